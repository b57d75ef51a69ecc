/* SPDX-License-Identifier: ISC */
/* name_server: a name server in the loop of the test that answers as it was told, a resolver that
 * asks it, and who asks the resolver. RFC 1035, section 4. */
#ifndef PGWEIR_TEST_NET_NAME_SERVER_H
#define PGWEIR_TEST_NET_NAME_SERVER_H

#include "net/resolver.h"

enum { NO_ERROR = 0, SERVER_FAILURE = 2, NAME_ERROR = 3, SILENT = 100 };

extern struct name_server {
	int code;
	const char *v4[4], *v6[4]; /* NULL-terminated */
	const char *alias;	   /* of what they are the addresses; NULL: of the name itself */
	unsigned ttl, alias_ttl;   /* seconds */
	uint32_t serial;
	bool is_below; /* what was asked is no zone, but in one */
	unsigned asked_v4, asked_v6, asked_soa;
	char last[256], last_zone[256]; /* the names in the questions */
} dns;

/* Begin to answer in the open loop. *@options: for a resolver that asks it; ttl_max is 15 s,
 * nxdomain_ttl 5 s, records live for a minute. */
void name_server_start(struct resolver_options *options);
void name_server_stop(void);

#endif
