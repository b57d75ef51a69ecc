/* SPDX-License-Identifier: ISC */
/* asker: who asks a resolver that asks the name server of the test. */
#ifndef PGWEIR_TEST_NET_ASKER_H
#define PGWEIR_TEST_NET_ASKER_H

#include "name_server.h"

struct asker {
	struct resolver_query query;
	int told;
	unsigned count;
	char addresses[256], message[512];
	char first[64]; /* the one whose turn it is */
	void (*then)(struct asker *asker);
};
void asker_look_up(struct asker *asker, const char *host);
void asker_look_up_once(struct asker *asker, const char *host);
bool asker_has(const struct asker *asker, const char *address);

/* Fixture: helpers_open(), a name server and a resolver. */
extern struct resolver_options name_server_options;
void name_server_open(void);
void name_server_close(void);
/* Let time pass. */
void name_server_wait(usec_t time);

#endif
