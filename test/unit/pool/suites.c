/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stddef.h>

suite_fn *const SUITES[] = {
	suite_close_reason, suite_stats,       suite_host,
	suite_database,	    suite_limit,       suite_pool_queue,
	suite_pool_login,   suite_pool_bound,  suite_pool_rest,
	suite_pool_admin,   suite_pool_chance, suite_registry_reload,
	suite_maintenance,  suite_pool_empty,  suite_pool_reach,
	suite_pool_values,  suite_peer,	       NULL,
};
