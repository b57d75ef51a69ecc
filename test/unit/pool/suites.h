/* SPDX-License-Identifier: ISC */
#ifndef PGWEIR_TEST_POOL_SUITES_H
#define PGWEIR_TEST_POOL_SUITES_H

#include "suite.h"

suite_fn suite_close_reason, suite_stats, suite_host, suite_database, suite_limit;
suite_fn suite_pool_queue, suite_pool_login, suite_pool_bound, suite_pool_rest, suite_pool_admin;
suite_fn suite_pool_chance, suite_registry_reload, suite_maintenance, suite_pool_empty;
suite_fn suite_pool_reach, suite_pool_values, suite_peer;

#endif
