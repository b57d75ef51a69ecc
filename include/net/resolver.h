/* SPDX-License-Identifier: ISC */
/* resolver: host names to addresses through c-ares, never blocking, with a cache: positive answers
 * live ttl_max, failed ones nxdomain_ttl. When the name servers do not answer, the addresses that
 * were known stay in use. Concurrent lookups of a name share one query. All A and AAAA addresses
 * are kept; the answer's order is the resolver's. (Zone checks are a later addition to this room.)
 */
#ifndef PGWEIR_NET_RESOLVER_H
#define PGWEIR_NET_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/clock.h"
#include "core/error.h"
#include "net/address.h"

struct resolver_options {
	usec_t ttl_max, nxdomain_ttl;
	const char *resolv_conf; /* "" or NULL: the system's */
	const char *servers; /* for tests: comma list of address:port instead of the name servers in
				resolv_conf; NULL */
};

/* A wish for an answer; embed it. */
struct resolver_query {
	void (*callback)(struct resolver_query *query, const struct address *addresses,
			 unsigned count, const struct error *error);
	struct resolver_name *name; /* NULL: not waiting */
	const char
		*found; /* the name that was asked for; in the callback of resolver_lookup_name() */
	bool is_absent; /* in the callback, with count 0: there is no such name, and that is the
			   answer; else nobody could be asked */
	struct resolver_query *next;
};

bool resolver_open(const struct resolver_options *options, struct error *error);
void resolver_close(void);
void resolver_set_options(const struct resolver_options *options); /* reload: ttls only */

/* Look @host up. The callback comes exactly once unless cancelled, possibly before this returns
 * (cache). count 0: failed,
 * @error says why. Addresses have port 0 and are valid during the callback. */
void resolver_lookup(struct resolver_query *query, const char *host);
/* Look up the name of @address, of which only the callback knows: query->found, with count 1. It is
 * not cached: addresses come from strangers. */
void resolver_lookup_name(struct resolver_query *query, const struct address *address);
/* As resolver_lookup(), of a name that a stranger chose: it is not kept behind the answer. */
void resolver_lookup_once(struct resolver_query *query, const char *host);
void resolver_cancel(struct resolver_query *query);

/* "c-ares 1.18.1" */
const char *resolver_describe(void);

#endif
