/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolver.h"
#include "core/list.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/map.h"
#include "core/memory.h"
#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

enum {
	/* Three tries of 2, 4 and 8 seconds: over before the default server_connect_timeout. */
	TRY_MSEC = 2000,
	TRIES = 3,
};

/* What is known of a host. Names come from the configuration, so they are few, and are kept until
 * the end. */
struct resolver_name {
	struct map_node node;
	struct resolver_query *first, *last; /* who waits for the answer */
	bool asking;			     /* c-ares has it */
	bool telling;			     /* the callbacks are running */
	int status;			     /* of c-ares; ARES_SUCCESS: @addresses are good */
	usec_t expires;			     /* 0: never asked */
	unsigned count;
	struct address *addresses;
	bool is_reverse; /* asks for the name of an address, not kept */
	bool is_brief;	 /* a stranger's: not kept either */
	struct address of;
	char *found;
	char host[];
};

/* A socket of c-ares. */
struct resolver_socket {
	struct loop_io watcher; /* first */
	struct list_node node;
	int fd;
};

static struct {
	ares_channel channel;
	struct map names;
	struct list sockets;
	struct loop_timer timer; /* when c-ares wants to try again */
	usec_t ttl_max, nxdomain_ttl;
} room;

/* --- c-ares and the loop --- */

static void set_timer(void)
{
	struct timeval wait;
	if (!ares_timeout(room.channel, NULL, &wait)) {
		loop_timer_clear(&room.timer);
		return;
	}
	usec_t usec = (usec_t)wait.tv_sec * USEC_PER_SECOND + wait.tv_usec;
	loop_timer_set(&room.timer,
		       clock_now() + usec + USEC_PER_MSEC); /* not just before its time */
}

static void timed_out(struct loop_timer *timer)
{
	(void)timer;
	ares_process_fd(room.channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	set_timer();
}

static void socket_ready(struct loop_io *watcher, int events)
{
	int fd = ((struct resolver_socket *)watcher)->fd; /* the struct may end in here */
	ares_process_fd(room.channel, events & LOOP_READ ? fd : ARES_SOCKET_BAD,
			events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
	set_timer();
}

static struct resolver_socket *socket_of(int fd)
{
	list_foreach (node, &room.sockets) {
		struct resolver_socket *one = container_of(node, struct resolver_socket, node);
		if (one->fd == fd)
			return one;
	}
	struct resolver_socket *added = memory_alloc(sizeof *added);
	loop_io_init(&added->watcher, socket_ready);
	added->fd = fd;
	list_push_last(&room.sockets, &added->node);
	return added;
}

static void watch_socket(void *unused, ares_socket_t fd, int readable, int writable)
{
	struct resolver_socket *one = socket_of(fd);
	(void)unused;
	if (readable || writable) {
		loop_io_set(&one->watcher, fd,
			    (readable ? LOOP_READ : 0) | (writable ? LOOP_WRITE : 0));
		return;
	}
	loop_io_stop(&one->watcher);
	list_remove(&room.sockets, &one->node);
	memory_free(&one);
}

/* --- answers --- */

static void forget(struct resolver_name *name)
{
	map_remove(&room.names, &name->node);
	memory_free(&name->addresses);
	memory_free(&name->found);
	memory_free(&name);
}

/* "There is no such name" is an answer; that nobody answered is none. */
static bool is_answer(int status)
{
	return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME ||
	       status == ARES_ENONAME;
}

static void tell(struct resolver_name *name)
{
	struct error error;
	bool failed = name->count == 0;
	if (failed)
		error_set(&error, SQLSTATE_CONNECTION_FAILURE,
			  name->is_reverse ? "could not find the name of address %s: %s"
					   : "could not translate host name \"%s\" to address: %s",
			  name->host, ares_strerror(name->status));
	name->telling = true;
	for (struct resolver_query *query; (query = name->first);) {
		name->first = query->next;
		query->name = NULL;
		query->next = NULL;
		query->found = name->found;
		query->is_absent = failed && is_answer(name->status);
		query->callback(query, name->addresses, name->count, failed ? &error : NULL);
	}
	name->last = NULL;
	name->telling = false;
	if (name->is_reverse || name->is_brief)
		forget(name);
}

static void keep_addresses(struct resolver_name *name, const struct ares_addrinfo *info)
{
	unsigned most = 0;
	memory_free(&name->addresses);
	name->count = 0;
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
		most++;
	if (most)
		name->addresses = memory_alloc(most * sizeof *name->addresses);
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
		struct address *address = &name->addresses[name->count];
		bool known = false;
		address_from_sockaddr(address, node->ai_addr, (socklen_t)node->ai_addrlen);
		address->port = 0;
		for (unsigned i = 0; i < name->count; i++)
			known |= address_is_equal(address, &name->addresses[i]);
		if (!known && address->family != AF_UNSPEC)
			name->count++;
	}
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolver_name *name = context;
	(void)timeouts;
	if (status == ARES_EDESTRUCTION) /* resolver_close() */
		return;
	name->asking = false;
	if (status == ARES_SUCCESS) {
		keep_addresses(name, info);
		if (name->count == 0)
			status = ARES_ENODATA;
	} else if (is_answer(status)) {
		memory_free(&name->addresses);
		name->count = 0;
	} else if (name->count > 0) {
		log_warning("", "DNS lookup of \"%s\" failed: %s, its known addresses stay in use",
			    name->host, ares_strerror(status));
	}
	if (info)
		ares_freeaddrinfo(info);
	name->status = status;
	name->expires = clock_now() + (status == ARES_SUCCESS ? room.ttl_max : room.nxdomain_ttl);
	tell(name);
}

static void named(void *context, int status, int timeouts, struct hostent *host)
{
	struct resolver_name *name = context;
	(void)timeouts;
	if (status == ARES_EDESTRUCTION) /* resolver_close() */
		return;
	name->asking = false;
	name->status = status;
	if (status == ARES_SUCCESS && host && host->h_name) {
		name->found = memory_strdup(host->h_name);
		name->addresses = memory_dup(&name->of, sizeof name->of);
		name->count = 1;
	}
	tell(name);
}

/* --- questions --- */

static struct resolver_name *name_of(const char *host)
{
	size_t size = strlen(host);
	struct map_node *node = map_find(&room.names, host, size);
	if (node)
		return container_of(node, struct resolver_name, node);
	struct resolver_name *name = memory_alloc(sizeof *name + size + 1);
	memcpy(name->host, host, size);
	map_add(&room.names, name->host, size, &name->node);
	return name;
}

static void ask(struct resolver_name *name)
{
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	name->asking = true;
	ares_getaddrinfo(room.channel, name->host, NULL, &hints, answered,
			 name); /* may answer at once */
	set_timer();
}

static void wait_for(struct resolver_query *query, struct resolver_name *name)
{
	query->name = name;
	if (name->first)
		name->last->next = query;
	else
		name->first = query;
	name->last = query;
}

void resolver_lookup_name(struct resolver_query *query, const struct address *address)
{
	char text[ADDRESS_TEXT];
	assert(room.channel);
	query->next = NULL;
	struct resolver_name *name = name_of(address_host(address, text));
	bool is_new = !name->is_reverse;
	name->is_reverse = true;
	name->of = *address;
	wait_for(query, name);
	if (!is_new)
		return;
	name->asking = true;
	ares_gethostbyaddr(room.channel, &address->v4,
			   address->family == AF_INET ? sizeof address->v4 : sizeof address->v6,
			   address->family, named, name); /* may answer at once */
	set_timer();
}

static void look_up(struct resolver_query *query, const char *host, bool once)
{
	struct address address;
	assert(room.channel);
	query->name = NULL;
	query->next = NULL;
	if (address_parse(host, 0, &address)) {
		query->callback(query, &address, 1, NULL);
		return;
	}
	struct resolver_name *name = name_of(host);
	bool is_new = !name->expires && !name->asking;
	name->is_brief = once && (is_new || name->is_brief);
	wait_for(query, name);
	if (name->asking || name->telling) /* comes with the answer that is under way */
		return;
	if (clock_now() < name->expires)
		tell(name);
	else
		ask(name);
}

void resolver_lookup(struct resolver_query *query, const char *host)
{
	look_up(query, host, false);
}

void resolver_lookup_once(struct resolver_query *query, const char *host)
{
	look_up(query, host, true);
}

void resolver_cancel(struct resolver_query *query)
{
	struct resolver_name *name = query->name;
	struct resolver_query *previous = NULL;
	if (!name)
		return;
	for (struct resolver_query *other = name->first; other != query; other = other->next)
		previous = other;
	if (previous)
		previous->next = query->next;
	else
		name->first = query->next;
	if (name->last == query)
		name->last = previous;
	query->name = NULL;
	query->next = NULL;
}

/* --- life --- */

void resolver_set_options(const struct resolver_options *options)
{
	room.ttl_max = options->ttl_max;
	room.nxdomain_ttl = options->nxdomain_ttl;
}

bool resolver_open(const struct resolver_options *options, struct error *error)
{
	struct ares_options wanted = {
		.timeout = TRY_MSEC, .tries = TRIES, .sock_state_cb = watch_socket};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB, status;
	assert(!room.channel);
	if (options->resolv_conf && *options->resolv_conf) {
		if (access(options->resolv_conf, R_OK) < 0)
			return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					 "cannot read resolv_conf \"%s\": %s", options->resolv_conf,
					 strerror(errno));
		wanted.resolvconf_path = (char *)(uintptr_t)options->resolv_conf;
		mask |= ARES_OPT_RESOLVCONF;
	}
	map_init(&room.names);
	list_init(&room.sockets);
	loop_timer_init(&room.timer, timed_out);
	resolver_set_options(options);
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&room.channel, &wanted, mask);
	if (status == ARES_SUCCESS && options->servers)
		status = ares_set_servers_ports_csv(room.channel, options->servers);
	if (status == ARES_SUCCESS)
		return true;
	resolver_close();
	return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot start the DNS resolver: %s",
			 ares_strerror(status));
}

void resolver_close(void)
{
	if (room.channel) {
		ares_destroy(room.channel); /* closes its sockets: watch_socket() */
		ares_library_cleanup();
	}
	room.channel = NULL;
	loop_timer_fini(&room.timer);
	map_foreach (node, &room.names) {
		struct resolver_name *name = container_of(node, struct resolver_name, node);
		while (name->first)
			resolver_cancel(name->first);
		forget(name);
	}
}

const char *resolver_describe(void)
{
	static char text[64];
	snprintf(text, sizeof text, "c-ares %s", ares_version(NULL));
	return text;
}
