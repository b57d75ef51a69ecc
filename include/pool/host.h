/* SPDX-License-Identifier: ISC */
/* host: a database's list of hosts and the next to try (load_balance_hosts). One that could not be
 * used rests for a while, in which the others are preferred. */
#ifndef PGWEIR_POOL_HOST_H
#define PGWEIR_POOL_HOST_H

#include <stdbool.h>
#include "config/settings.h"

struct host {
	char *name;		       /* host name, address, directory, @abstract; owned */
	usec_t failed_at, rests_until; /* 0: it did not, does not */
};

struct host_list {
	struct host *hosts; /* owned */
	int count, next;
	int port;
	enum balance balance;
};

/* @text: comma list; NULL or "": the Unix socket in @unix_directory. */
void host_list_init(struct host_list *list, const char *text, int port, enum balance balance,
		    const char *unix_directory);
void host_list_fini(struct host_list *list);
/* The host for the next connection: the next in turn that does not rest, or if all do, the one
 * whose rest is over first. Round robin moves on each time; otherwise only host_failed() does. */
const char *host_next(struct host_list *list);
void host_failed(struct host_list *list, const char *host);
/* It could not be reached, and rests. Returns whether there is another to try at once: one that has
 * not failed since the round of attempts that began at @since. */
bool host_rest(struct host_list *list, const char *host, usec_t since, usec_t until);
/* It works; they all deserve another try. */
void host_worked(struct host_list *list, const char *host);
void host_list_forget(struct host_list *list);
/* Is it a directory of Unix sockets, or an abstract one? */
bool host_is_unix(const char *host);

#endif
