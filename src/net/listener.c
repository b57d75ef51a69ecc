/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/listener.h"
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/text.h"

enum { ACCEPTS_PER_TURN = 64 };

static const usec_t backoff = 250 * USEC_PER_MSEC;

struct listening {
	struct loop_io watcher;
	struct list_node node;
	int fd;
	struct address local;
	bool is_wildcard; /* the near address must be asked for */
	char *path;       /* of a Unix socket's file that we made */
	dev_t device;     /* ... and its identity: another process may have replaced it */
	ino_t inode;
};

static struct list listeners;
static listener_accept_fn *on_accept;
static struct socket_options tuning;
static struct loop_timer retry;
static bool backing_off;

static struct listening *listening_of(struct list_node *node)
{
	return container_of(node, struct listening, node);
}

static void prepare(listener_accept_fn *accept, const struct socket_options *options)
{
	if (!listeners.head.next)
		list_init(&listeners);
	on_accept = accept;
	tuning = *options;
}

/* ---- accepting ---- */

static void watch_all(bool on)
{
	list_foreach(node, &listeners) {
		struct listening *l = listening_of(node);
		loop_io_set(&l->watcher, l->fd, on ? LOOP_READ : 0);
	}
}

static void try_again(struct loop_timer *timer)
{
	(void)timer;
	watch_all(true);
}

static void back_off(int error_number)
{
	if (!backing_off)
		log_warning("", "cannot accept connections now: %s; trying again until it works", strerror(error_number));
	backing_off = true;
	watch_all(false);
	loop_timer_set(&retry, clock_now() + backoff);
}

/* False: no more now. */
static bool accept_one(struct listening *l)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof sockaddr;
	struct address remote, local = l->local;
	int fd = accept4(l->fd, (struct sockaddr *)&sockaddr, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			back_off(errno);
		return errno == EINTR || errno == ECONNABORTED || errno == EPERM || errno == EPROTO;
	}
	if (backing_off) {
		log_info("", "accepting connections again");
		backing_off = false;
	}
	if (l->local.family == AF_UNIX) {
		if (!socket_remote(fd, &remote))
			remote = (struct address){.family = AF_UNIX};
		remote.port = local.port;
	} else {
		address_from_sockaddr(&remote, (struct sockaddr *)&sockaddr, length);
		if (l->is_wildcard)
			socket_local(fd, &local);
	}
	socket_tune(fd, l->local.family, &tuning);
	on_accept(fd, &remote, &local);
	return true;
}

static void ready(struct loop_io *watcher, int events)
{
	struct listening *l = container_of(watcher, struct listening, watcher);
	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN && l->fd >= 0; i++)
		if (!accept_one(l))
			break;
}

static struct listening *add(int fd, const struct address *local)
{
	struct listening *l = memory_alloc(sizeof *l);
	l->fd = fd;
	l->local = *local;
	l->is_wildcard = (local->family == AF_INET && local->v4.s_addr == INADDR_ANY) ||
			 (local->family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&local->v6));
	loop_io_init(&l->watcher, ready);
	list_push_last(&listeners, &l->node);
	if (!retry.callback)
		loop_timer_init(&retry, try_again);
	return l;
}

/* ---- opening ---- */

static bool open_tcp(const struct address *address, const struct listener_options *options, struct error *error)
{
	struct sockaddr_storage sockaddr;
	socklen_t length;
	char text[ADDRESS_TEXT];
	int one = 1;
	address_to_sockaddr(address, &sockaddr, &length);
	address_print(address, text);
	int fd = socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot listen on %s: %s", text, strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (address->family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (options->reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0)
		goto fail;
	if (options->defer_accept)
		setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &options->defer_accept, sizeof options->defer_accept);
	if (bind(fd, (struct sockaddr *)&sockaddr, length) < 0 || listen(fd, options->backlog) < 0)
		goto fail;
	struct address bound = *address;
	socket_local(fd, &bound); /* port 0 has become one */
	add(fd, &bound);
	log_info("", "listening on %s", address_print(&bound, text));
	return true;
fail:
	error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot listen on %s: %s", text, strerror(errno));
	if (errno == EADDRINUSE)
		error_hint(error, "Is another pooler running there? Stop it, set listen_port, or set so_reuseport in both.");
	close(fd);
	return false;
}

static bool open_name(const char *name, const struct listener_options *options, struct error *error)
{
	struct address address;
	char service[8];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found;
	if (address_parse(name, options->port, &address))
		return open_tcp(&address, options, error);
	/* A name is resolved once, at start, before anything is served. */
	snprintf(service, sizeof service, "%u", options->port);
	int result = getaddrinfo(name, service, &hints, &found);
	if (result)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot resolve listen_addr \"%s\": %s", name,
				 gai_strerror(result));
	bool well = true;
	for (struct addrinfo *i = found; i && well; i = i->ai_next) {
		address_from_sockaddr(&address, i->ai_addr, i->ai_addrlen);
		well = open_tcp(&address, options, error);
	}
	freeaddrinfo(found);
	return well;
}

static bool open_everywhere(const struct listener_options *options, struct error *error)
{
	struct address v4 = {.family = AF_INET, .port = options->port}, v6 = {.family = AF_INET6, .port = options->port};
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe >= 0)
		close(probe);
	return open_tcp(&v4, options, error) && (probe < 0 || open_tcp(&v6, options, error));
}

static bool open_addresses(const struct listener_options *options, struct error *error)
{
	const char *list = options->addresses;
	char name[256];
	while (options->port && list && text_next_item(&list, name, sizeof name))
		if (*name && !(strcmp(name, "*") ? open_name(name, options, error) : open_everywhere(options, error)))
			return false;
	return true;
}

static bool set_group(const char *path, const char *group, struct error *error)
{
	if (!group || !*group)
		return true;
	char *end;
	const struct group *found = getgrnam(group);
	unsigned long id = strtoul(group, &end, 10);
	if (!found && *end)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "unix_socket_group \"%s\" does not exist", group);
	if (chown(path, (uid_t)-1, found ? found->gr_gid : (gid_t)id) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot give \"%s\" to group \"%s\": %s", path, group,
				 strerror(errno));
	return true;
}

/* A socket file that nobody serves any more is in the way. */
static bool remove_stale(const char *path, const struct sockaddr_un *sockaddr, socklen_t length, struct error *error)
{
	struct stat status;
	if (lstat(path, &status) < 0)
		return true;
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "\"%s\" is there, and is no socket", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int result = fd < 0 ? -1 : connect(fd, (const struct sockaddr *)sockaddr, length);
	bool dead = result < 0 && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	if (!dead)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "unix socket is in use, cannot continue: %s", path);
	if (unlink(path) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot remove the stale socket \"%s\": %s", path, strerror(errno));
	return true;
}

static bool open_unix(const struct listener_options *options, struct error *error)
{
	char path[512];
	struct sockaddr_un sockaddr;
	struct stat status;
	socklen_t length;
	bool abstract = options->unix_directory[0] == '@';
	struct address local = {.family = AF_UNIX, .port = options->port};
	snprintf(path, sizeof path, "%s/.s.PGSQL.%u", options->unix_directory, options->port);
	if (!address_unix_sockaddr(path, &sockaddr, &length))
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "the path of the Unix socket is too long: \"%s\"", path);
	if (!abstract && !remove_stale(path, &sockaddr, length, error))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot listen on unix:%s: %s", path, strerror(errno));
	/* Nobody may connect before the mode is right. */
	mode_t old = umask(0777);
	int bound = bind(fd, (struct sockaddr *)&sockaddr, length), error_number = errno;
	umask(old);
	if (bound < 0) {
		error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot listen on unix:%s: %s", path, strerror(error_number));
		if (error_number == ENOENT)
			error_hint(error, "Make the directory, or set unix_socket_dir.");
		close(fd);
		return false;
	}
	struct listening *l = add(fd, &local);
	if (!abstract) {
		l->path = memory_strdup(path);
		if (!set_group(path, options->unix_group, error))
			return false;
		if (chmod(path, (mode_t)options->unix_mode) < 0)
			return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot set the mode of \"%s\": %s", path,
					 strerror(errno));
		if (stat(path, &status) == 0) {
			l->device = status.st_dev;
			l->inode = status.st_ino;
		}
	}
	if (listen(fd, options->backlog) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot listen on unix:%s: %s", path, strerror(errno));
	log_info("", "listening on unix:%s", path);
	return true;
}

bool listener_open(const struct listener_options *options, listener_accept_fn *accept, struct error *error)
{
	prepare(accept, &options->socket);
	if (!open_addresses(options, error) ||
	    (options->unix_directory && *options->unix_directory && !open_unix(options, error))) {
		listener_close();
		return false;
	}
	watch_all(true);
	return true;
}

bool listener_adopt(int fd, const struct socket_options *options, listener_accept_fn *accept, struct error *error)
{
	struct sockaddr_storage sockaddr;
	socklen_t length = sizeof sockaddr, size = sizeof(int);
	struct address local;
	char text[ADDRESS_TEXT];
	int type = 0, listens = 0;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || !listens ||
	    getsockname(fd, (struct sockaddr *)&sockaddr, &length) < 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "inherited descriptor %d is no listening stream socket", fd);
	prepare(accept, options);
	address_from_sockaddr(&local, (struct sockaddr *)&sockaddr, length);
	if (local.family == AF_UNIX) {
		const char *dot = strrchr(((struct sockaddr_un *)&sockaddr)->sun_path, '.');
		local.port = dot ? (uint16_t)atoi(dot + 1) : 0;
	}
	add(fd, &local);
	log_info("", "listening on %s (inherited)", address_print(&local, text));
	watch_all(true);
	return true;
}

void listener_retune(const struct socket_options *options)
{
	tuning = *options;
}

/* ---- closing ---- */

static void close_one(struct listening *l)
{
	struct stat status;
	loop_io_stop(&l->watcher);
	close(l->fd);
	l->fd = -1;
	/* Not the file of a successor that has taken the place meanwhile. */
	if (l->path && (!l->inode || (stat(l->path, &status) == 0 && status.st_ino == l->inode && status.st_dev == l->device)))
		unlink(l->path);
	memory_free(&l->path);
	list_remove(&listeners, &l->node);
	memory_free(&l);
}

void listener_close_tcp(void)
{
	if (!listeners.head.next)
		return;
	list_foreach_safe(node, &listeners)
		if (listening_of(node)->local.family != AF_UNIX)
			close_one(listening_of(node));
}

void listener_close(void)
{
	if (!listeners.head.next)
		return;
	list_foreach_safe(node, &listeners)
		close_one(listening_of(node));
	if (retry.callback)
		loop_timer_fini(&retry);
	backing_off = false;
}
