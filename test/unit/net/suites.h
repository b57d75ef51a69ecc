/* SPDX-License-Identifier: ISC */
/* suites: what the test files of the net layer show to suites.c. */
#ifndef PGWEIR_TEST_NET_SUITES_H
#define PGWEIR_TEST_NET_SUITES_H

#include "../suite.h"

suite_fn suite_address, suite_network, suite_socket, suite_listener, suite_dns_reply,
	suite_resolv_conf, suite_resolver, suite_resolver_watch, suite_stream, suite_tls,
	suite_stream_tls;

#endif
