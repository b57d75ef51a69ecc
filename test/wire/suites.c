/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stddef.h>

suite_fn *const SUITES[] = {
	suite_modes,   suite_requests,	  suite_startup,  suite_vanish,	    suite_server,
	suite_waiting, suite_parameters,  suite_cancels,  suite_control,    suite_mixing,
	suite_hosts,   suite_replication, suite_timeout,  suite_abandoned,  suite_versions,
	suite_queued,  suite_peers,	  suite_prepared, suite_auth_query, suite_sql,
	NULL,
};
