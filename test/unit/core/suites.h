/* SPDX-License-Identifier: ISC */
/* suites: what the test files of the core layer show to suites.c. */
#ifndef PGWEIR_TEST_CORE_SUITES_H
#define PGWEIR_TEST_CORE_SUITES_H

#include "../suite.h"

suite_fn suite_error, suite_memory, suite_list, suite_map, suite_buffer, suite_clock, suite_text;
suite_fn suite_random, suite_log, suite_edge, suite_loop, suite_offload;

#endif
