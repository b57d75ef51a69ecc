/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stddef.h>

suite_fn *const SUITES[] = {
	suite_error,  suite_memory, suite_list, suite_map,  suite_buffer,  suite_clock, suite_text,
	suite_random, suite_log,    suite_edge, suite_loop, suite_offload, NULL,
};
