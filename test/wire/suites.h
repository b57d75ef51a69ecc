/* SPDX-License-Identifier: ISC */
/* suites: what the test files of the wire tests show to suites.c. */
#ifndef PGWEIR_TEST_WIRE_SUITES_H
#define PGWEIR_TEST_WIRE_SUITES_H

#include "../unit/suite.h"

suite_fn suite_modes, suite_requests, suite_startup, suite_vanish, suite_server, suite_waiting,
	suite_parameters, suite_cancels, suite_control, suite_mixing, suite_hosts, suite_timeout,
	suite_abandoned, suite_replication, suite_versions, suite_queued, suite_peers,
	suite_prepared, suite_auth_query, suite_sql;

#endif
