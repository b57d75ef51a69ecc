/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/socket.h"
#include "core/error.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void set(int fd, int level, int name, int value)
{
	/* Refused by the kernel: it works untuned. */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

void socket_tune(int fd, int family, const struct socket_options *options)
{
	if (options->buffer_size > 0) {
		set(fd, SOL_SOCKET, SO_SNDBUF, options->buffer_size);
		set(fd, SOL_SOCKET, SO_RCVBUF, options->buffer_size);
	}
	if (family == AF_UNIX)
		return;
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* Also off: an accepted socket has what its listener was given before a reload. */
	set(fd, SOL_SOCKET, SO_KEEPALIVE, options->keepalive);
	if (options->keepalive) {
		if (options->keepalive_idle > 0)
			set(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keepalive_idle);
		if (options->keepalive_interval > 0)
			set(fd, IPPROTO_TCP, TCP_KEEPINTVL, options->keepalive_interval);
		if (options->keepalive_count > 0)
			set(fd, IPPROTO_TCP, TCP_KEEPCNT, options->keepalive_count);
	}
	if (options->user_timeout > 0)
		set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout);
}

/* "127.0.0.1:5432", "unix:/tmp/.s.PGSQL.5432", "unix:@name/.s.PGSQL.5432" */
static void print_target(const struct sockaddr *sockaddr, socklen_t length, char *text, size_t size)
{
	char printed[ADDRESS_TEXT];
	struct address address;
	if (sockaddr->sa_family != AF_UNIX) {
		address_from_sockaddr(&address, sockaddr, length);
		snprintf(text, size, "%s", address_print(&address, printed));
		return;
	}
	const char *path = ((const struct sockaddr_un *)(const void *)sockaddr)->sun_path;
	int path_size = (int)(length - offsetof(struct sockaddr_un, sun_path));
	if (path_size > 0 && path[0] == '\0')
		snprintf(text, size, "unix:@%.*s", path_size - 1, path + 1);
	else
		snprintf(text, size, "unix:%.*s", path_size, path);
}

int socket_connect(const struct sockaddr *sockaddr, socklen_t length,
		   const struct socket_options *options, bool *in_progress, struct error *error)
{
	int fd = socket(sockaddr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		error_set(error, SQLSTATE_SYSTEM_ERROR, "could not make a socket: %s",
			  strerror(errno));
		return -1;
	}
	socket_tune(fd, sockaddr->sa_family, options);
	*in_progress = false;
	if (connect(fd, sockaddr, length) == 0)
		return fd;
	if (errno == EINPROGRESS || errno == EINTR) {
		*in_progress = true;
		return fd;
	}
	char target[sizeof(struct sockaddr_un) + ADDRESS_TEXT];
	int reason = errno;
	print_target(sockaddr, length, target, sizeof target);
	error_set(error, SQLSTATE_CONNECTION_FAILURE, "connect to %s failed: %s", target,
		  strerror(reason));
	close(fd);
	return -1;
}

int socket_connect_result(int fd)
{
	int result = 0;
	socklen_t size = sizeof result;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0)
		return errno;
	return result;
}

bool socket_peer_process(int fd, struct address *address)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	address->unix_peer.pid = peer.pid;
	address->unix_peer.uid = peer.uid;
	return true;
}

bool socket_remote(int fd, struct address *address)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof sockaddr;
	memset(address, 0, sizeof *address);
	if (getpeername(fd, (struct sockaddr *)&sockaddr, &length) < 0)
		return false;
	address_from_sockaddr(address, (struct sockaddr *)&sockaddr, length);
	return address->family != AF_UNIX || socket_peer_process(fd, address);
}

bool socket_local(int fd, struct address *address)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof sockaddr;
	memset(address, 0, sizeof *address);
	if (getsockname(fd, (struct sockaddr *)&sockaddr, &length) < 0)
		return false;
	address_from_sockaddr(address, (struct sockaddr *)&sockaddr, length);
	if (address->family == AF_UNIX) {
		address->unix_peer.pid = getpid();
		address->unix_peer.uid = geteuid();
	}
	return true;
}
