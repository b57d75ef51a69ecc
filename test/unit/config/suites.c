/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stddef.h>

suite_fn *const SUITES[] = {suite_ini,	   suite_feature,  suite_settings,
			    suite_section, suite_snapshot, suite_source,
			    NULL};
