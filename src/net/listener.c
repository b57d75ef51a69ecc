/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/listener.h"
#include "core/edge.h"
#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_AFTER (250 * USEC_PER_MSEC) /* when descriptors ran out */

enum {
	ACCEPT_MOST = 64, /* connections taken in one turn: others want to be served too */
	PATH_SIZE = sizeof((struct sockaddr_un){0}.sun_path) + 1,
};

struct listener {
	struct edge watcher; /* first */
	struct list_node node;
	struct loop_work ending;
	int fd; /* -1: closed */
	struct address address;
	bool is_deferred; /* a TCP socket of our own */
	bool is_wildcard; /* the near end of a connection is not known from @address */
	listener_accept_fn *accept;
	char path[PATH_SIZE]; /* of a Unix socket */
	bool is_ours;	      /* @path is a file that we made: this one */
	dev_t device;
	ino_t inode;
};

static struct {
	struct list listeners;
	struct socket_options tuning;
	bool was_retuned; /* since the sockets listen, which hand on what they were given */
	struct loop_timer retry;
	bool is_short;	      /* nothing can be accepted */
	bool said_so;	      /* in the log */
	usec_t complained_at; /* when it was last said; 0: never */
} room = {.listeners.head = {&room.listeners.head, &room.listeners.head}};

/* --- accepting --- */

static void retry(struct loop_timer *timer)
{
	(void)timer;
	list_foreach (node, &room.listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		edge_set(&listener->watcher, listener->fd, EDGE_READ);
	}
}

/* A listening socket stays ready while a connection waits for a descriptor: not to spin, look away
 * for a while. */
static void back_off(int reason)
{
	/* At the edge it comes and goes with each connection. */
	if (!room.is_short && log_is_due(&room.complained_at)) {
		log_warning("", "cannot accept connections: %s, trying again until it works",
			    strerror(reason));
		room.said_so = true;
	}
	room.is_short = true;
	list_foreach (node, &room.listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		edge_set(&listener->watcher, listener->fd, 0);
	}
	loop_timer_set(&room.retry, clock_now() + RETRY_AFTER);
}

/* Of a connection that ended in the queue, or a network's error that accept(2) hands over: the next
 * may be well. */
static bool is_of_one_connection(int reason)
{
	switch (reason) {
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENONET:
	case EOPNOTSUPP:
	case ETIMEDOUT:
	case EPERM: /* a firewall */
		return true;
	default:
		return false;
	}
}

static void take(struct listener *listener, int fd, const struct sockaddr_storage *sockaddr,
		 socklen_t length)
{
	struct address remote, local = listener->address;
	if (room.said_so)
		log_info("", "accepting connections again");
	room.is_short = room.said_so = false;
	if (address_is_unix(&local)) {
		/* Nobody in particular (not root), should the kernel not know. */
		remote = (struct address){
			.family = AF_UNIX, .port = local.port, .unix_peer.uid = (uid_t)-1};
		(void)socket_peer_process(fd, &remote);
	} else {
		address_from_sockaddr(&remote, (const struct sockaddr *)sockaddr, length);
		if (listener->is_wildcard)
			socket_local(fd, &local);
	}
	if (room.was_retuned)
		socket_tune(fd, local.family, &room.tuning);
	listener->accept(fd, &remote, &local);
}

static void ready(struct edge *watcher, int events)
{
	struct listener *listener = (struct listener *)watcher;
	(void)events;
	for (int i = 0; i < ACCEPT_MOST && listener->fd >= 0; i++) {
		struct sockaddr_storage sockaddr;
		socklen_t length = sizeof sockaddr;
		int fd = accept4(listener->fd, (struct sockaddr *)&sockaddr, &length,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take(listener, fd, &sockaddr, length);
		} else if (errno == EAGAIN) {
			edge_is_empty(watcher);
			return;
		} else if (!is_of_one_connection(errno)) {
			back_off(errno);
			return;
		}
	}
}

/* --- closing --- */

static void free_later(struct loop_work *work)
{
	free(container_of(work, struct listener, ending));
}

/* May be called out of its own accept. */
static void listener_end(struct listener *listener)
{
	struct stat status;
	edge_stop(&listener->watcher); /* whoever handed it to us may hold it, too */
	/* The file may by now be that of the process which replaces us. */
	if (listener->is_ours && lstat(listener->path, &status) == 0 &&
	    status.st_dev == listener->device && status.st_ino == listener->inode)
		unlink(listener->path);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->fd = -1;
	listener->ending.callback = free_later;
	loop_post(&listener->ending);
}

static void end_all(struct list *listeners, bool unix_too)
{
	list_foreach_safe (node, listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		if (!unix_too && address_is_unix(&listener->address))
			continue;
		list_remove(listeners, node);
		listener_end(listener);
	}
}

void listener_close_tcp(void)
{
	end_all(&room.listeners, false);
}

void listener_close(void)
{
	end_all(&room.listeners, true);
	loop_timer_fini(&room.retry);
	room.is_short = room.said_so = false;
	room.complained_at = 0;
}

/* --- opening --- */

static struct listener *listener_new(struct list *opened, listener_accept_fn *accept)
{
	struct listener *listener = memory_alloc(sizeof *listener);
	edge_init(&listener->watcher, ready);
	listener->fd = -1;
	listener->accept = accept;
	list_push_last(opened, &listener->node);
	return listener;
}

static const char *print(const struct listener *listener, char *text, size_t size)
{
	char address[ADDRESS_TEXT];
	if (address_is_unix(&listener->address))
		snprintf(text, size, "unix:%s", listener->path);
	else
		snprintf(text, size, "%s", address_print(&listener->address, address));
	return text;
}

static bool is_any(const struct address *address)
{
	return (address->family == AF_INET && address->v4.s_addr == htonl(INADDR_ANY)) ||
	       (address->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address->v6));
}

static bool fail(const struct listener *listener, int reason, struct error *error)
{
	char text[PATH_SIZE + ADDRESS_TEXT];
	error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot listen on %s: %s",
		  print(listener, text, sizeof text), strerror(reason));
	if (reason == EADDRINUSE)
		error_hint(
			error,
			"Another pooler or server listens there: stop it, or choose another port.");
	else if (reason == EADDRNOTAVAIL)
		error_hint(error, "No interface of this machine has this address.");
	else if (reason == ENOENT)
		error_hint(error, "The directory of the socket must exist.");
	return false;
}

static bool watch(struct listener *listener, struct error *error)
{
	return edge_try_set(&listener->watcher, listener->fd, EDGE_READ) ||
	       fail(listener, errno, error);
}

static void announce(const struct listener *listener)
{
	char text[PATH_SIZE + ADDRESS_TEXT];
	log_info("", "listening on %s", print(listener, text, sizeof text));
}

static bool is_open_already(const struct list *opened, const struct address *address)
{
	list_foreach (node, opened) {
		const struct address *other = &container_of(node, struct listener, node)->address;
		if (address_is_equal(other, address) ||
		    (other->family == address->family && is_any(other)))
			return true;
	}
	return false;
}

static void set(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

/* Returns 0 or the errno, which @error tells too. */
static int open_tcp(struct list *opened, const struct address *address,
		    const struct listener_options *options, listener_accept_fn *accept,
		    struct error *error)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = 0;
	if (is_open_already(opened, address))
		return 0;
	struct listener *listener = listener_new(opened, accept);
	listener->address = *address;
	listener->is_wildcard = is_any(address);
	listener->fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		goto fail;
	set(listener->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (address->family == AF_INET6)
		set(listener->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (options->reuseport)
		set(listener->fd, SOL_SOCKET, SO_REUSEPORT, 1);
	listener->is_deferred = true;
	if (options->defer_accept > 0)
		set(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, options->defer_accept);
	socket_tune(listener->fd, address->family, &options->socket); /* accepted ones inherit it */
	address_to_sockaddr(address, &sockaddr, &length);
	if (bind(listener->fd, (struct sockaddr *)&sockaddr, length) == 0 &&
	    listen(listener->fd, options->backlog) == 0)
		return 0;
fail:;
	int reason = errno;
	fail(listener, reason, error);
	list_remove(opened, &listener->node);
	listener_end(listener);
	return reason;
}

static bool family_is_missing(int reason)
{
	return reason == EAFNOSUPPORT || reason == EPROTONOSUPPORT || reason == EADDRNOTAVAIL;
}

static bool open_everywhere(struct list *opened, const struct listener_options *options,
			    listener_accept_fn *accept, struct error *error)
{
	struct address v4 = {.family = AF_INET, .port = options->port};
	struct address v6 = {.family = AF_INET6, .port = options->port};
	int reason = open_tcp(opened, &v4, options, accept, error);
	if (reason && !family_is_missing(reason))
		return false;
	int reason6 = open_tcp(opened, &v6, options, accept, error);
	return reason6 == 0 || (family_is_missing(reason6) && reason == 0);
}

/* A name is looked up here once, before there is anything that could be kept waiting. */
static bool open_name(struct list *opened, const char *name, const struct listener_options *options,
		      listener_accept_fn *accept, struct error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	int result = getaddrinfo(name, NULL, &hints, &found), reason = 0;
	bool any = false;
	if (result)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "cannot listen on \"%s\": %s",
				 name,
				 result == EAI_SYSTEM ? strerror(errno) : gai_strerror(result));
	for (struct addrinfo *one = found; one; one = one->ai_next) {
		struct address address;
		address_from_sockaddr(&address, one->ai_addr, one->ai_addrlen);
		address.port = options->port;
		reason = open_tcp(opened, &address, options, accept, error);
		if (reason &&
		    !family_is_missing(reason)) /* ::1 of a host without IPv6 is no reason */
			break;
		any |= reason == 0;
		reason = 0;
	}
	freeaddrinfo(found);
	return any && reason == 0;
}

static bool open_addresses(struct list *opened, const struct listener_options *options,
			   listener_accept_fn *accept, struct error *error)
{
	const char *rest = options->addresses;
	char item[256];
	while (text_next_item(&rest, item, sizeof item)) {
		struct address address;
		bool well;
		if (strcmp(item, "*") == 0)
			well = open_everywhere(opened, options, accept, error);
		else if (address_parse(item, options->port, &address))
			well = open_tcp(opened, &address, options, accept, error) == 0;
		else
			well = open_name(opened, item, options, accept, error);
		if (!well)
			return false;
	}
	return true;
}

static bool in_use(const struct listener *listener, struct error *error)
{
	error_set(error, SQLSTATE_SYSTEM_ERROR, "unix socket is in use, cannot continue");
	error_detail(error, "A process listens on \"%s\".", listener->path);
	error_hint(error, "Stop it, or choose another port or directory.");
	return false;
}

/* Remove the file that a dead process left. */
static bool remove_stale(const struct listener *listener, const struct sockaddr_un *sockaddr,
			 socklen_t length, struct error *error)
{
	struct stat status;
	if (lstat(listener->path, &status) < 0)
		return errno == ENOENT || fail(listener, errno, error);
	if (!S_ISSOCK(status.st_mode)) {
		fail(listener, EEXIST, error);
		return error_hint(error, "The file is no socket, and is not removed.");
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(listener, errno, error);
	int reason = connect(fd, (const struct sockaddr *)sockaddr, length) < 0 ? errno : 0;
	close(fd);
	if (reason == 0 || reason == EAGAIN ||
	    reason == EINPROGRESS) /* EAGAIN: its queue is full */
		return in_use(listener, error);
	if (reason == ENOENT)
		return true;
	if (reason != ECONNREFUSED)
		return fail(listener, reason, error);
	return unlink(listener->path) == 0 || errno == ENOENT || fail(listener, errno, error);
}

static bool find_group(const char *name, gid_t *gid, struct error *error)
{
	int64_t number;
	const struct group *group = getgrnam(name);
	if (group) {
		*gid = group->gr_gid;
		return true;
	}
	if (!text_to_int(name, &number) || number < 0 || number >= UINT32_MAX)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "group \"%s\" of the unix socket does not exist", name);
	*gid = (gid_t)number;
	return true;
}

/* Who may connect. Until here the file was ours alone, and nobody listened. */
static bool give_access(struct listener *listener, const struct listener_options *options,
			struct error *error)
{
	struct stat status;
	gid_t gid = 0;
	if (lstat(listener->path, &status) == 0) {
		listener->is_ours = true;
		listener->device = status.st_dev;
		listener->inode = status.st_ino;
	}
	if (*options->unix_group) {
		if (!find_group(options->unix_group, &gid, error))
			return false;
		if (chown(listener->path, (uid_t)-1, gid) < 0)
			return error_set(error, SQLSTATE_SYSTEM_ERROR,
					 "cannot give unix socket \"%s\" to group \"%s\": %s",
					 listener->path, options->unix_group, strerror(errno));
	}
	if (chmod(listener->path, (mode_t)options->unix_mode & 0777) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "cannot set the mode of unix socket \"%s\" to 0%o: %s",
				 listener->path, (unsigned)options->unix_mode & 0777,
				 strerror(errno));
	return true;
}

static bool open_unix(struct list *opened, const struct listener_options *options,
		      listener_accept_fn *accept, struct error *error)
{
	struct sockaddr_un sockaddr;
	socklen_t length = 0;
	char path[PATH_SIZE + 256];
	struct listener *listener = listener_new(opened, accept);
	bool is_abstract = options->unix_directory[0] == '@';
	listener->address = (struct address){.family = AF_UNIX, .port = options->port};
	snprintf(path, sizeof path, "%s/.s.PGSQL.%u", options->unix_directory, options->port);
	if (!address_unix_sockaddr(path, &sockaddr, &length))
		return error_set(
			error, SQLSTATE_CONFIG_FILE_ERROR,
			"the path of the unix socket is too long (at most %zu bytes): \"%s\"",
			sizeof sockaddr.sun_path - 1, path);
	memcpy(listener->path, path, strlen(path) + 1);
	if (!is_abstract && !remove_stale(listener, &sockaddr, length, error))
		return false;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return fail(listener, errno, error);
	socket_tune(listener->fd, AF_UNIX, &options->socket);
	mode_t saved = umask(0177);
	int reason = bind(listener->fd, (struct sockaddr *)&sockaddr, length) < 0 ? errno : 0;
	umask(saved);
	if (reason == EADDRINUSE)
		return in_use(listener, error);
	if (reason)
		return fail(listener, reason, error);
	if (!is_abstract && !give_access(listener, options, error))
		return false;
	return listen(listener->fd, options->backlog) == 0 || fail(listener, errno, error);
}

static void prepare(const struct socket_options *options)
{
	room.tuning = *options;
	room.was_retuned = false;
	if (!room.retry.callback)
		loop_timer_init(&room.retry, retry);
}

bool listener_open(const struct listener_options *options, listener_accept_fn *accept,
		   struct error *error)
{
	struct list opened;
	list_init(&opened);
	bool well =
		(options->port == 0 || open_addresses(&opened, options, accept, error)) &&
		(*options->unix_directory == '\0' || open_unix(&opened, options, accept, error));
	if (well && list_is_empty(&opened))
		well = error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "nowhere to listen on");
	list_foreach (node, &opened)
		well = well && watch(container_of(node, struct listener, node), error);
	if (!well) {
		end_all(&opened, true);
		return false;
	}
	prepare(&options->socket);
	for (struct list_node *node; (node = list_pop_first(&opened));) {
		list_push_last(&room.listeners, node);
		announce(container_of(node, struct listener, node));
	}
	return true;
}

/* What ends the name of a Unix socket: ".s.PGSQL.6432". */
static uint16_t port_in_path(const char *path)
{
	static const char mark[] = ".s.PGSQL.";
	int64_t port;
	const char *found = strstr(path, mark), *next;
	while (found && (next = strstr(found + 1, mark)))
		found = next;
	if (!found || !text_to_int(found + sizeof mark - 1, &port) || port < 0 || port > UINT16_MAX)
		return 0;
	return (uint16_t)port;
}

bool listener_adopt(int fd, const struct socket_options *options, listener_accept_fn *accept,
		    struct error *error)
{
	int listens = 0, type = 0;
	socklen_t size = sizeof(int), length = sizeof(struct sockaddr_storage);
	union {
		struct sockaddr any;
		struct sockaddr_un path;
		struct sockaddr_storage storage;
	} sockaddr = {.storage = {0}};
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens ||
	    getsockname(fd, &sockaddr.any, &length) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "inherited descriptor %d is no listening stream socket", fd);
	struct address address;
	address_from_sockaddr(&address, &sockaddr.any, length);
	if (address.family == AF_UNSPEC)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "inherited descriptor %d is no IP or unix socket", fd);
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "cannot use inherited descriptor %d: %s", fd, strerror(errno));
	prepare(options);
	struct listener *listener = listener_new(&room.listeners, accept);
	socket_tune(fd, listener->address.family, options);
	listener->fd = fd;
	listener->address = address;
	listener->is_wildcard = is_any(&address);
	if (address_is_unix(&address)) {
		size_t path_size = length - offsetof(struct sockaddr_un, sun_path);
		memcpy(listener->path, sockaddr.path.sun_path, path_size);
		if (path_size > 0 && listener->path[0] == '\0')
			listener->path[0] = '@';
		listener->address.port = port_in_path(listener->path);
	}
	if (!watch(listener, error)) {
		listener->fd = -1; /* stays the caller's */
		list_remove(&room.listeners, &listener->node);
		listener_end(listener);
		return false;
	}
	announce(listener);
	return true;
}

void listener_defer(int seconds)
{
	list_foreach (node, &room.listeners) {
		struct listener *listener = container_of(node, struct listener, node);
		if (listener->is_deferred && listener->fd >= 0)
			set(listener->fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds);
	}
}

void listener_retune(const struct socket_options *options)
{
	/* What the listening sockets were given cannot be taken back from them: from now on each
	 * connection is tuned. */
	room.was_retuned |= memcmp(&room.tuning, options, sizeof *options) != 0;
	room.tuning = *options;
}
