/* SPDX-License-Identifier: ISC */
#ifndef PGWEIR_TEST_POOL_SUITES_H
#define PGWEIR_TEST_POOL_SUITES_H

#include "suite.h"

suite_fn suite_pool, suite_registry, suite_small;

#endif
