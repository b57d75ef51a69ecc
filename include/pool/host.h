/* SPDX-License-Identifier: ISC */
/* host: a database's list of hosts and the next to try (load_balance_hosts). */
#ifndef PGWEIR_POOL_HOST_H
#define PGWEIR_POOL_HOST_H

#include <stdbool.h>
#include "config/settings.h"

struct host_list {
	char **names; /* host names, addresses, directories, @abstract; owned */
	int count, next;
	int port;
	enum balance balance;
};

/* @text: comma list; NULL or "": the Unix socket in @unix_directory. */
void host_list_init(struct host_list *list, const char *text, int port, enum balance balance,
		    const char *unix_directory);
void host_list_fini(struct host_list *list);
/* The host for the next connection. Round robin moves on each time; otherwise only host_failed()
 * does. */
const char *host_next(struct host_list *list);
void host_failed(struct host_list *list, const char *host);
/* Is it a directory of Unix sockets, or an abstract one? */
bool host_is_unix(const char *host);

#endif
