/* SPDX-License-Identifier: ISC */
/* resolver: host names to addresses through c-ares and /etc/hosts, never blocking, with a cache.
 * An answer lives as long as its records say, ttl_max at most; that there is no such name lives
 * nxdomain_ttl. When the name servers do not answer, the addresses that were known stay in use.
 * Concurrent lookups of a name share one query. All A and AAAA addresses are kept, and each answer
 * begins with the next of them.
 *
 * Who uses an address of a name watches that name. A watched name is asked for again when its
 * answer is over, and the watchers are told when its addresses have changed. With a
 * zone_check_period the serials of the zones of watched names (what stands behind a name's first
 * dot) are asked for, too, and a changed one makes the answers in that zone void. Without watchers
 * nothing runs. Sources: RFC 1035, RFC 8767 (stale answers).
 */
#ifndef PGWEIR_NET_RESOLVER_H
#define PGWEIR_NET_RESOLVER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/clock.h"
#include "core/error.h"
#include "core/list.h"
#include "net/address.h"

struct resolver_options {
	usec_t ttl_max, nxdomain_ttl, zone_check_period; /* zone_check_period 0: no checks */
	const char *resolv_conf;			 /* "" or NULL: the system's */
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
	unsigned turn; /* in the callback: the address to begin with, below count */
};

bool resolver_open(const struct resolver_options *options, struct error *error);
void resolver_close(void);
/* reload: times only */
void resolver_set_options(const struct resolver_options *options);

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

/* Somebody who uses an address of a host; embed it. */
struct resolver_watch {
	struct list_node node;
	struct resolver_name *name; /* NULL: watches nothing */
	/* The addresses of the host are others now, never none: that a name is gone, or that nobody
	 * answers, is no reason to leave an address that works. They are valid during the callback,
	 * which may end any watch. */
	void (*changed)(struct resolver_watch *watch, const struct address *addresses,
			unsigned count);
};
/* Watch a host that was looked up. A numeric address is not watched. */
void resolver_watch(struct resolver_watch *watch, const char *host);
/* Harmless twice. */
void resolver_unwatch(struct resolver_watch *watch);

/* What there is, for the console. */
struct resolver_counts {
	unsigned names, zones;
	unsigned queries; /* under way */
	unsigned pending; /* lookups that wait for their answers */
};
struct resolver_host_info {
	const char *host;
	usec_t ttl; /* until it is asked for again; 0: by whoever needs it next */
	const struct address *addresses;
	unsigned count;
};
struct resolver_zone_info {
	const char *zone;
	uint32_t serial; /* 0: not known */
	unsigned count;	 /* of its names in the cache */
};
void resolver_count(struct resolver_counts *counts);
void resolver_each_host(void (*each)(const struct resolver_host_info *info, void *context),
			void *context);
void resolver_each_zone(void (*each)(const struct resolver_zone_info *info, void *context),
			void *context);

/* "c-ares 1.18.1" */
const char *resolver_describe(void);

#endif
