/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suite.h"
#include <stdlib.h>

/* Runs all suites of a layer; prints one closing line. CK_RUN_CASE, CK_RUN_SUITE and CK_FORK select
 * as Check does. */
int main(void)
{
	/* Check's 4 seconds are few for a sanitized test on a busy machine. */
	setenv("CK_DEFAULT_TIMEOUT", "60", 0);
	SRunner *runner = srunner_create(NULL);
	for (suite_fn *const *suite = SUITES; *suite; suite++)
		srunner_add_suite(runner, (*suite)());
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
