/* SPDX-License-Identifier: ISC */
/* socket: makes and tunes sockets; peer credentials. Every descriptor made here is non-blocking and
 * close-on-exec. */
#ifndef PGWEIR_NET_SOCKET_H
#define PGWEIR_NET_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>
#include "net/address.h"

struct error;

/* 0: the operating system's default. */
struct socket_options {
	bool keepalive;
	int keepalive_idle, keepalive_interval, keepalive_count; /* seconds, seconds, probes */
	int user_timeout;					 /* milliseconds */
	int buffer_size;					 /* bytes, send and receive */
};

/* Tune a connected or connecting socket: TCP_NODELAY always, the options where they apply. What the
 * kernel refuses is left as it is. Nothing is done to Unix sockets but the buffer sizes. */
void socket_tune(int fd, int family, const struct socket_options *options);

/* Begin to connect. Returns the descriptor, or -1 with @error (58000 or 08006). *@in_progress: wait
 * until writable, then call socket_connect_result(). */
int socket_connect(const struct sockaddr *sockaddr, socklen_t length,
		   const struct socket_options *options, bool *in_progress, struct error *error);
/* 0 or the errno that connecting ended with. */
int socket_connect_result(int fd);

/* The far end, with pid and uid for Unix sockets; near end likewise (a Unix socket's own port must
 * be set by the caller). */
bool socket_remote(int fd, struct address *address);
bool socket_local(int fd, struct address *address);
/* Fill in pid and uid of the process at the far end of a connected Unix socket. */
bool socket_peer_process(int fd, struct address *address);

#endif
