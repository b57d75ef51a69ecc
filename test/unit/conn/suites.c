/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stddef.h>

suite_fn *const SUITES[] = {
	suite_pipeline, suite_parameter, suite_relay, suite_statement,
	suite_cancel,	suite_states,	 NULL,
};
