/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/socket.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>
#include "core/error.h"

static void set(int fd, int level, int name, int value)
{
	/* What the kernel does not know stays as it is. */
	(void)!setsockopt(fd, level, name, &value, sizeof value);
}

void socket_tune(int fd, int family, const struct socket_options *options)
{
	if (options->buffer_size) {
		set(fd, SOL_SOCKET, SO_RCVBUF, options->buffer_size);
		set(fd, SOL_SOCKET, SO_SNDBUF, options->buffer_size);
	}
	if (family == AF_UNIX)
		return;
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (options->keepalive) {
		set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
		if (options->keepalive_idle)
			set(fd, IPPROTO_TCP, TCP_KEEPIDLE, options->keepalive_idle);
		if (options->keepalive_interval)
			set(fd, IPPROTO_TCP, TCP_KEEPINTVL, options->keepalive_interval);
		if (options->keepalive_count)
			set(fd, IPPROTO_TCP, TCP_KEEPCNT, options->keepalive_count);
	}
	if (options->user_timeout)
		set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, options->user_timeout);
}

int socket_connect(const struct sockaddr *sockaddr, socklen_t length, const struct socket_options *options,
		   bool *in_progress, struct error *error)
{
	int fd = socket(sockaddr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	*in_progress = false;
	if (fd < 0) {
		error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot make a socket: %s", strerror(errno));
		return -1;
	}
	socket_tune(fd, sockaddr->sa_family, options);
	if (connect(fd, sockaddr, length) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		*in_progress = true;
		return fd;
	}
	error_set(error, SQLSTATE_CONNECTION_FAILURE, "connect failed: %s", strerror(errno));
	close(fd);
	return -1;
}

int socket_connect_result(int fd)
{
	int result = 0;
	socklen_t size = sizeof result;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) < 0 ? errno : result;
}

bool socket_remote(int fd, struct address *address)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof sockaddr;
	if (getpeername(fd, (struct sockaddr *)&sockaddr, &length) < 0)
		return false;
	address_from_sockaddr(address, (struct sockaddr *)&sockaddr, length);
	if (address->family == AF_UNIX) {
		struct ucred peer;
		socklen_t size = sizeof peer;
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
			return false;
		address->unix_peer.pid = peer.pid;
		address->unix_peer.uid = peer.uid;
	}
	return true;
}

bool socket_local(int fd, struct address *address)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof sockaddr;
	if (getsockname(fd, (struct sockaddr *)&sockaddr, &length) < 0)
		return false;
	address_from_sockaddr(address, (struct sockaddr *)&sockaddr, length);
	return true;
}
