/* SPDX-License-Identifier: ISC */
/* suites: what the test files of the conn layer show to suites.c. */
#ifndef PGWEIR_TEST_CONN_SUITES_H
#define PGWEIR_TEST_CONN_SUITES_H

#include "../suite.h"

suite_fn suite_pipeline, suite_parameter, suite_relay, suite_statement, suite_cancel, suite_states;

#endif
