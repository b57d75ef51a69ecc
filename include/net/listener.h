/* SPDX-License-Identifier: ISC */
/* listener: listening sockets, our own or inherited; accepts, and backs off while descriptors or
 * memory run out: watching stops and is tried again by a timer, one rate-limited log line says so.
 */
#ifndef PGWEIR_NET_LISTENER_H
#define PGWEIR_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include "net/address.h"
#include "net/socket.h"

struct error;

struct listener_options {
	const char
		*addresses; /* comma list; "*": all; "": none; host names are not allowed to block:
			       numeric or "localhost" or resolved once at start by getaddrinfo */
	uint16_t port;	    /* 0: no TCP */
	int backlog;
	bool reuseport;
	int defer_accept;	    /* seconds, 0: off */
	const char *unix_directory; /* "": none; "@name": abstract */
	int unix_mode;		    /* permission bits */
	const char *unix_group;	    /* name or number; "": unchanged */
	struct socket_options socket;
};

/* Called for each accepted connection; takes ownership of @fd, which is tuned. @local has the port
 * filled in for Unix too. */
typedef void listener_accept_fn(int fd, const struct address *remote, const struct address *local);

/* Open all that the options name, log "listening on ..." each, and begin to accept. All or nothing:
 * false leaves nothing open. A Unix socket that another process serves is an error ("unix socket is
 * in use, cannot continue"), a dead one is replaced; so is a TCP port in use (says address and
 * port, and what to do), and options that name nothing at all. */
bool listener_open(const struct listener_options *options, listener_accept_fn *accept,
		   struct error *error);
/* Adopt a socket that is listening already (systemd). False: not a listening stream socket, or
 * it cannot be watched; @fd stays the caller's. */
bool listener_adopt(int fd, const struct socket_options *options, listener_accept_fn *accept,
		    struct error *error);
/* New tuning for connections accepted from now on (reload). */
void listener_retune(const struct socket_options *options);
/* A new options.defer_accept for the TCP sockets that we opened. */
void listener_defer(int seconds);

/* Stop accepting on the TCP sockets only (SHUTDOWN WAIT_FOR_*): they are closed, the Unix socket
 * stays. */
void listener_close_tcp(void);
/* Close everything; our own Unix socket's file is removed. */
void listener_close(void);

#endif
