/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolver.h"
#include <ares.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include "core/list.h"
#include "core/loop.h"
#include "core/map.h"
#include "core/memory.h"

enum { SOCKETS_MAX = 16, ADDRESSES_MAX = 64, NAME_LENGTH_MAX = 255 };

/* What is known of a host name. */
struct resolver_name {
	struct map_node node;
	char *host;
	struct address *addresses; /* the last good answer */
	unsigned count;
	usec_t good_until, failed_until;
	struct error failure;
	bool asking;
	struct resolver_query *first, *last; /* who waits for the answer */
};

struct watched {
	struct loop_io io;
	int fd;
};

static struct map names;
static ares_channel channel;
static bool is_open;
static struct resolver_options options;
static struct watched sockets[SOCKETS_MAX];
static struct loop_timer timer;

static void schedule(void)
{
	struct timeval wait, *next = ares_timeout(channel, NULL, &wait);
	loop_timer_set(&timer, next ? clock_now() + next->tv_sec * USEC_PER_SECOND + next->tv_usec + 1 : 0);
}

static void process(ares_socket_t readable, ares_socket_t writable)
{
	ares_process_fd(channel, readable, writable);
	if (is_open)
		schedule();
}

static void due(struct loop_timer *unused)
{
	(void)unused;
	process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void ready(struct loop_io *watcher, int events)
{
	struct watched *socket = container_of(watcher, struct watched, io);
	int fd = socket->fd;
	process(events & LOOP_READ ? fd : ARES_SOCKET_BAD, events & LOOP_WRITE ? fd : ARES_SOCKET_BAD);
}

/* c-ares says what it wants to know of a socket. */
static void socket_state(void *unused, ares_socket_t fd, int reads, int writes)
{
	struct watched *place = NULL;
	(void)unused;
	for (int i = 0; i < SOCKETS_MAX; i++) {
		if (sockets[i].fd == fd) {
			place = &sockets[i];
			break;
		}
		if (!place && sockets[i].fd < 0)
			place = &sockets[i];
	}
	if (!place)
		return; /* then its time limit will come */
	if (!reads && !writes) {
		if (place->fd == fd)
			loop_io_stop(&place->io);
		place->fd = -1;
		return;
	}
	if (place->fd < 0)
		loop_io_init(&place->io, ready);
	place->fd = fd;
	loop_io_set(&place->io, fd, (reads ? LOOP_READ : 0) | (writes ? LOOP_WRITE : 0));
}

bool resolver_open(const struct resolver_options *new_options, struct error *error)
{
	struct ares_options ares = {.sock_state_cb = socket_state};
	int mask = ARES_OPT_SOCK_STATE_CB;
	resolver_set_options(new_options);
	if (new_options->resolv_conf && *new_options->resolv_conf) {
		ares.resolvconf_path = (char *)(uintptr_t)new_options->resolv_conf;
		mask |= ARES_OPT_RESOLVCONF;
	}
	for (int i = 0; i < SOCKETS_MAX; i++)
		sockets[i].fd = -1;
	int result = ares_library_init(ARES_LIB_INIT_ALL);
	if (result == ARES_SUCCESS)
		result = ares_init_options(&channel, &ares, mask);
	if (result != ARES_SUCCESS)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "cannot start the resolver: %s", ares_strerror(result));
	if (new_options->servers && *new_options->servers)
		ares_set_servers_ports_csv(channel, new_options->servers);
	loop_timer_init(&timer, due);
	map_init(&names);
	is_open = true;
	return true;
}

void resolver_set_options(const struct resolver_options *new_options)
{
	options.ttl_max = new_options->ttl_max;
	options.nxdomain_ttl = new_options->nxdomain_ttl;
}

void resolver_close(void)
{
	if (!is_open)
		return;
	is_open = false;
	map_foreach(node, &names) /* nobody is called any more */
		container_of(node, struct resolver_name, node)->first = NULL;
	ares_destroy(channel);
	loop_timer_fini(&timer);
	map_foreach(node, &names) {
		struct resolver_name *name = container_of(node, struct resolver_name, node);
		map_remove(&names, node);
		memory_free(&name->host);
		memory_free(&name->addresses);
		memory_free(&name);
	}
	ares_library_cleanup();
}

/* ---- answers ---- */

static void take(struct resolver_name *name, const struct ares_addrinfo *found)
{
	struct address addresses[ADDRESSES_MAX];
	unsigned count = 0;
	for (const struct ares_addrinfo_node *i = found->nodes; i && count < ADDRESSES_MAX; i = i->ai_next) {
		address_from_sockaddr(&addresses[count], i->ai_addr, i->ai_addrlen);
		addresses[count].port = 0;
		bool known = addresses[count].family == AF_UNSPEC;
		for (unsigned k = 0; k < count && !known; k++)
			known = address_is_equal(&addresses[k], &addresses[count]);
		count += !known;
	}
	if (!count)
		return;
	memory_free(&name->addresses);
	name->addresses = memory_dup(addresses, count * sizeof *addresses);
	name->count = count;
	name->good_until = clock_now() + options.ttl_max;
}

static void answer(struct resolver_name *name)
{
	/* One by one, since a callback may cancel others; who asks again from its callback queues behind the last. */
	const struct resolver_query *last = name->last;
	for (struct resolver_query *query; (query = name->first);) {
		bool is_last = query == last;
		name->first = query->next;
		if (!name->first)
			name->last = NULL;
		query->name = NULL;
		query->next = NULL;
		query->callback(query, name->addresses, name->count, name->count ? NULL : &name->failure);
		if (is_last)
			break;
	}
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *found)
{
	struct resolver_name *name = context;
	(void)timeouts;
	if (!is_open) {
		if (found)
			ares_freeaddrinfo(found);
		return;
	}
	name->asking = false;
	if (status == ARES_SUCCESS && found)
		take(name, found);
	if (found)
		ares_freeaddrinfo(found);
	if (status != ARES_SUCCESS || !name->count) {
		name->failed_until = clock_now() + options.nxdomain_ttl;
		error_set(&name->failure, SQLSTATE_CONNECTION_FAILURE, "cannot resolve \"%s\": %s", name->host,
			  status == ARES_SUCCESS ? "it has no addresses" : ares_strerror(status));
		/* A name that does not exist has no addresses; a name server that is down leaves the last ones in use. */
		if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
			name->count = 0;
	} else {
		name->failed_until = 0;
	}
	answer(name);
}

static struct resolver_name *name_for(const char *host)
{
	struct map_node *node = map_find(&names, host, strlen(host));
	if (node)
		return container_of(node, struct resolver_name, node);
	struct resolver_name *name = memory_alloc(sizeof *name);
	name->host = memory_strdup(host);
	map_add(&names, name->host, strlen(host), &name->node);
	return name;
}

void resolver_lookup(struct resolver_query *query, const char *host)
{
	struct address literal;
	struct error error;
	if (address_parse(host, 0, &literal)) {
		query->callback(query, &literal, 1, NULL);
		return;
	}
	if (strlen(host) > NAME_LENGTH_MAX) {
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "the host name is too long");
		query->callback(query, NULL, 0, &error);
		return;
	}
	struct resolver_name *name = name_for(host);
	if (!name->asking && name->count && (clock_now() < name->good_until || clock_now() < name->failed_until)) {
		query->callback(query, name->addresses, name->count, NULL);
		return;
	}
	if (!name->asking && clock_now() < name->failed_until) {
		query->callback(query, NULL, 0, &name->failure);
		return;
	}
	query->name = name;
	query->next = NULL;
	if (name->last)
		name->last->next = query;
	else
		name->first = query;
	name->last = query;
	if (name->asking)
		return;
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
	name->asking = true;
	ares_getaddrinfo(channel, host, NULL, &hints, answered, name);
	schedule();
}

void resolver_cancel(struct resolver_query *query)
{
	struct resolver_name *name = query->name;
	if (!name)
		return;
	struct resolver_query *before = NULL;
	for (struct resolver_query *i = name->first; i; before = i, i = i->next) {
		if (i != query)
			continue;
		if (before)
			before->next = i->next;
		else
			name->first = i->next;
		if (name->last == i)
			name->last = before;
		break;
	}
	query->name = NULL;
	query->next = NULL;
}

const char *resolver_describe(void)
{
	static char text[32];
	snprintf(text, sizeof text, "c-ares %s", ares_version(NULL));
	return text;
}
