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

struct asker {
	struct resolver_query query;
	int told;
	unsigned count;
	char addresses[256], message[512];
	char first[64]; /* the one whose turn it is */
	void (*then)(struct asker *asker);
};
void asker_look_up(struct asker *asker, const char *host);
bool asker_has(const struct asker *asker, const char *address);

/* Fixture: helpers_open() and all of the above. The resolver's ttl_max is 15 s, its nxdomain_ttl 5
 * s, records live for a minute. */
extern struct resolver_options name_server_options;
void name_server_open(void);
void name_server_close(void);
/* Let time pass. */
void name_server_wait(usec_t time);

#endif
