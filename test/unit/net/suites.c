/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "suites.h"
#include <stddef.h>

suite_fn *const SUITES[] = {
	suite_address,	 suite_network,	    suite_socket,     suite_listener,
	suite_dns_reply, suite_resolv_conf, suite_resolver,   suite_resolver_watch,
	suite_stream,	 suite_tls,	    suite_stream_tls, NULL,
};
