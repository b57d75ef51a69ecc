/* SPDX-License-Identifier: ISC */
/* suites: what the test files of the admin layer show to suites.c. */
#ifndef PGWEIR_TEST_ADMIN_SUITES_H
#define PGWEIR_TEST_ADMIN_SUITES_H

#include "../suite.h"

suite_fn suite_command, suite_show, suite_result;

#endif
