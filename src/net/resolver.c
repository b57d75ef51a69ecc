/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolver.h"
#include "core/list.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/map.h"
#include "core/memory.h"
#include "net/dns_reply.h"
#include "net/resolv_conf.h"
#include <ares.h>
#include <ares_nameser.h>
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

enum {
	/* Three tries of 2, 4 and 8 seconds: over before the default server_connect_timeout. */
	TRY_MSEC = 2000,
	TRIES = 3,
};

/* Who waits while nobody answers gets the addresses that were known before (RFC 8767). */
static const usec_t stale_after = USEC_PER_SECOND;
/* A watched name is not asked for more often, however short its records live; unless ttl_max says
 * so, but then not more often than refresh_least. There are names with another address in each
 * answer. */
static const usec_t refresh_usual = 5 * USEC_PER_SECOND, refresh_least = USEC_PER_SECOND;

/* What stands behind the first dot of a name. It lives as long as names in it do. */
struct resolver_zone {
	struct map_node node;
	struct list names;
	unsigned watched; /* how many of the names */
	bool asking;
	bool is_known; /* @serial is */
	uint32_t serial;
	char name[];
};

/* What is known of a host. Names that were watched come from the configuration, so they are few,
 * and are kept until the end, that their addresses outlast the name servers. Others come from
 * whoever connects, and are forgotten when their answers are over. */
struct resolver_name {
	struct map_node node;
	struct list_node of_age; /* of all names but reverse ones */
	struct list_node of_zone;
	struct resolver_zone *zone; /* NULL: none */
	struct list watches;
	struct resolver_query *first, *last; /* who waits for the answer */
	bool asking;			     /* c-ares has it */
	bool ask_again;			     /* ... but what it finds may be out of date already */
	bool telling;			     /* the callbacks are running */
	bool is_local;			     /* found without a question: in /etc/hosts */
	bool is_kept;
	int status;		 /* of c-ares; ARES_SUCCESS: @addresses are good */
	usec_t expires;		 /* 0: never asked */
	usec_t refresh_at;	 /* ask then if it is watched; 0: do not */
	usec_t stale_at;	 /* while asking: do not wait longer */
	struct loop_timer timer; /* one of the two */
	unsigned count;
	unsigned turn; /* grows with each answer given */
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
	struct map names, zones;
	struct list aged; /* names, in about the order of their answers */
	struct list sockets;
	struct loop_timer timer;      /* when c-ares wants to try again */
	struct loop_timer zone_timer; /* the next check */
	unsigned watched_zones, questions;
	usec_t ttl_max, nxdomain_ttl, zone_check_period;
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

/* --- zones --- */

static void arm(struct resolver_name *name);

/* What is known of a name is out of date: whoever needs it next asks, or its watchers do now. */
static void distrust(struct resolver_name *name)
{
	if (name->asking) {
		name->ask_again = true;
		return;
	}
	name->expires = 0;
	name->refresh_at = clock_now();
	arm(name);
}

static void free_zone(struct resolver_zone *zone)
{
	map_remove(&room.zones, &zone->node);
	memory_free(&zone);
}

static void zone_answered(void *context, int status, int timeouts, unsigned char *reply, int size)
{
	struct resolver_zone *zone = context;
	uint32_t serial;
	(void)timeouts;
	room.questions--;
	zone->asking = false;
	if (list_is_empty(&zone->names)) {
		free_zone(zone);
		return;
	}
	if (status == ARES_EDESTRUCTION) /* resolver_close() */
		return;
	/* A name that is none of a zone has no SOA, or does not exist: then it is told which zone
	 * it would be in. */
	if (!reply || size <= 0 || !dns_reply_serial(reply, (size_t)size, &serial)) {
		log_debug("", "no serial of DNS zone \"%s\": %s", zone->name,
			  ares_strerror(status));
		return;
	}
	bool changed = zone->is_known && serial != zone->serial;
	zone->is_known = true;
	zone->serial = serial;
	if (!changed)
		return;
	log_info("", "DNS zone \"%s\" changed, serial=%u", zone->name, serial);
	list_foreach (node, &zone->names)
		distrust(container_of(node, struct resolver_name, of_zone));
}

static void ask_zone(struct resolver_zone *zone)
{
	if (zone->asking)
		return;
	zone->asking = true;
	room.questions++;
	ares_query(room.channel, zone->name, C_IN, T_SOA, zone_answered,
		   zone); /* may answer at once */
	set_timer();
}

static void set_zone_timer(void)
{
	if (!room.zone_check_period || !room.watched_zones)
		loop_timer_clear(&room.zone_timer);
	else if (!room.zone_timer.due)
		loop_timer_set(&room.zone_timer, clock_now() + room.zone_check_period);
}

static void check_zones(struct loop_timer *timer)
{
	(void)timer;
	map_foreach (node, &room.zones) {
		struct resolver_zone *zone = container_of(node, struct resolver_zone, node);
		if (zone->watched)
			ask_zone(zone);
	}
	set_zone_timer();
}

static void enter_zone(struct resolver_name *name)
{
	const char *dot = strchr(name->host, '.');
	if (!dot || !dot[1])
		return;
	size_t size = strlen(dot + 1);
	struct map_node *node = map_find(&room.zones, dot + 1, size);
	if (!node) {
		struct resolver_zone *zone = memory_alloc(sizeof *zone + size + 1);
		memcpy(zone->name, dot + 1, size);
		list_init(&zone->names);
		map_add(&room.zones, zone->name, size, &zone->node);
		node = &zone->node;
	}
	name->zone = container_of(node, struct resolver_zone, node);
	list_push_last(&name->zone->names, &name->of_zone);
}

static void leave_zone(struct resolver_name *name)
{
	if (!name->zone)
		return;
	list_remove(&name->zone->names, &name->of_zone);
	if (list_is_empty(&name->zone->names) && !name->zone->asking)
		free_zone(name->zone);
}

/* Names that are watched have become one more, or fewer. */
static void count_watched(struct resolver_zone *zone, int more)
{
	if (!zone)
		return;
	bool before = zone->watched > 0;
	zone->watched += (unsigned)more;
	room.watched_zones += (unsigned)((zone->watched > 0) - before);
	if (!before && room.zone_check_period)
		ask_zone(zone); /* to have something to compare with */
	set_zone_timer();
}

/* --- answers --- */

static void forget(struct resolver_name *name)
{
	map_remove(&room.names, &name->node);
	if (!name->is_reverse)
		list_remove(&room.aged, &name->of_age);
	leave_zone(name);
	loop_timer_fini(&name->timer);
	memory_free(&name->addresses);
	memory_free(&name->found);
	memory_free(&name);
}

/* Names that nobody watches and nobody waits for are looked at whenever one is added, so that they
 * do not grow more and more. */
static void forget_some(void)
{
	for (int i = 0; i < 2 && room.aged.length; i++) {
		struct list_node *node = list_pop_first(&room.aged);
		struct resolver_name *name = container_of(node, struct resolver_name, of_age);
		list_push_last(&room.aged, node);
		if (!name->is_kept && !name->asking && !name->telling && !name->first &&
		    clock_now() >= name->expires)
			forget(name);
	}
}

/* When to look after a name without being asked. */
static void arm(struct resolver_name *name)
{
	usec_t due = 0;
	if (name->asking && name->first && name->count)
		due = name->stale_at;
	else if (!name->asking && name->watches.length)
		due = name->refresh_at;
	loop_timer_set(&name->timer, due);
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
		query->turn = failed ? 0 : name->turn++ % name->count;
		query->callback(query, name->addresses, name->count, failed ? &error : NULL);
	}
	name->last = NULL;
	name->telling = false;
	if (name->is_reverse)
		forget(name);
}

/* Each watcher was in the list before this, or it knows: those told go behind those that are not.
 */
static void tell_watchers(struct resolver_name *name)
{
	if (name->watches.length)
		log_info("", "the addresses of host \"%s\" have changed", name->host);
	for (uint32_t most = name->watches.length; most > 0 && name->watches.length; most--) {
		struct list_node *node = list_pop_first(&name->watches);
		struct resolver_watch *watch = container_of(node, struct resolver_watch, node);
		list_push_last(&name->watches, node);
		watch->changed(watch, name->addresses, name->count);
	}
}

static void ask(struct resolver_name *name);

/* Nobody answers the question, or it is time for one. */
static void look_after(struct loop_timer *timer)
{
	struct resolver_name *name = container_of(timer, struct resolver_name, timer);
	if (name->asking)
		tell(name);
	else if (name->watches.length)
		ask(name);
}

static bool has_address(const struct address *addresses, unsigned count, const struct address *one)
{
	for (unsigned i = 0; i < count; i++)
		if (address_is_equal(&addresses[i], one))
			return true;
	return false;
}

/* The addresses of an answer, each once. */
static unsigned gather(const struct ares_addrinfo *info, struct address **addresses)
{
	unsigned most = 0, count = 0;
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
		most++;
	*addresses = most ? memory_alloc(most * sizeof **addresses) : NULL;
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next) {
		struct address *address = &(*addresses)[count];
		address_from_sockaddr(address, node->ai_addr, (socklen_t)node->ai_addrlen);
		address->port = 0;
		if (address->family != AF_UNSPEC && !has_address(*addresses, count, address))
			count++;
	}
	return count;
}

/* The same ones keep their order, that each gets its turn. False: nothing is new. */
static bool keep_addresses(struct resolver_name *name, const struct ares_addrinfo *info)
{
	struct address *addresses;
	unsigned count = gather(info, &addresses), known = 0;
	for (unsigned i = 0; i < count; i++)
		known += has_address(name->addresses, name->count, &addresses[i]);
	bool is_new = known < count || count < name->count;
	if (is_new) {
		memory_free(&name->addresses);
		name->addresses = addresses;
		name->count = count;
	} else {
		memory_free(&addresses);
	}
	return is_new;
}

/* How long an answer lives: as long as each record in it. */
static usec_t lifetime(const struct resolver_name *name, const struct ares_addrinfo *info)
{
	usec_t shortest = room.ttl_max;
	if (name->is_local) /* the file says nothing */
		return shortest;
	for (const struct ares_addrinfo_node *node = info->nodes; node; node = node->ai_next)
		if (node->ai_ttl >= 0 && node->ai_ttl * USEC_PER_SECOND < shortest)
			shortest = node->ai_ttl * USEC_PER_SECOND;
	for (const struct ares_addrinfo_cname *alias = info->cnames; alias; alias = alias->next)
		if (alias->ttl >= 0 && alias->ttl * USEC_PER_SECOND < shortest)
			shortest = alias->ttl * USEC_PER_SECOND;
	return shortest;
}

static usec_t longer(usec_t a, usec_t b)
{
	return a > b ? a : b;
}

static usec_t shorter(usec_t a, usec_t b)
{
	return a < b ? a : b;
}

static void set_lifetime(struct resolver_name *name, usec_t life)
{
	usec_t rest = longer(shorter(longer(life, refresh_usual), room.ttl_max), refresh_least);
	if (name->status != ARES_SUCCESS)
		rest = longer(life, refresh_least);
	name->expires = clock_now() + life;
	name->refresh_at = name->is_local ? 0 : clock_now() + rest;
}

/* Takes what c-ares found. Returns whether the name has new addresses. */
static bool take_answer(struct resolver_name *name, int status, const struct ares_addrinfo *info)
{
	bool is_new = false, failed_before = name->status != ARES_SUCCESS;
	usec_t life = room.nxdomain_ttl;
	if (status == ARES_SUCCESS) {
		is_new = keep_addresses(name, info);
		life = lifetime(name, info);
		if (name->count == 0)
			status = ARES_ENODATA;
	} else if (is_answer(status)) {
		memory_free(&name->addresses);
		name->count = 0;
	} else if (name->count > 0 && !failed_before) {
		log_warning("", "DNS lookup of \"%s\" failed: %s, its known addresses stay in use",
			    name->host, ares_strerror(status));
	}
	name->status = status;
	set_lifetime(name, status == ARES_SUCCESS ? life : room.nxdomain_ttl);
	return is_new && name->count > 0;
}

/* A question has come back. False: because of resolver_close(). */
static bool ends_question(struct resolver_name *name, int status)
{
	room.questions--;
	if (status == ARES_EDESTRUCTION)
		return false;
	name->asking = false;
	return true;
}

static void answered(void *context, int status, int timeouts, struct ares_addrinfo *info)
{
	struct resolver_name *name = context;
	(void)timeouts;
	if (!ends_question(name, status))
		return;
	bool is_new = take_answer(name, status, info);
	if (name->is_brief)
		name->expires = 0; /* forgotten with the next that comes */
	if (info)
		ares_freeaddrinfo(info);
	tell(name);
	if (is_new)
		tell_watchers(name);
	bool again = name->ask_again;
	name->ask_again = false;
	if (again)
		distrust(name);
	else
		arm(name);
}

static void named(void *context, int status, int timeouts, struct hostent *host)
{
	struct resolver_name *name = context;
	(void)timeouts;
	if (!ends_question(name, status))
		return;
	name->status = status;
	if (status == ARES_SUCCESS && host && host->h_name) {
		name->found = memory_strdup(host->h_name);
		name->addresses = memory_dup(&name->of, sizeof name->of);
		name->count = 1;
	}
	tell(name);
}

/* --- questions --- */

static struct resolver_name *find(const char *host)
{
	struct map_node *node = map_find(&room.names, host, strlen(host));
	return node ? container_of(node, struct resolver_name, node) : NULL;
}

static struct resolver_name *name_new(const char *host, bool is_reverse)
{
	size_t size = strlen(host);
	struct resolver_name *name = memory_alloc(sizeof *name + size + 1);
	memcpy(name->host, host, size);
	list_init(&name->watches);
	loop_timer_init(&name->timer, look_after);
	map_add(&room.names, name->host, size, &name->node);
	name->is_reverse = is_reverse;
	if (is_reverse)
		return name;
	forget_some();
	list_push_last(&room.aged, &name->of_age);
	enter_zone(name);
	return name;
}

static void ask(struct resolver_name *name)
{
	/* Not sorted: which of them can be reached is tried out, each in its turn. */
	struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};
	name->asking = true;
	name->is_local = true; /* unless it has not answered when this returns */
	name->stale_at = clock_now() + stale_after;
	room.questions++;
	ares_getaddrinfo(room.channel, name->host, NULL, &hints, answered,
			 name); /* may answer at once */
	if (name->asking)
		name->is_local = false;
	arm(name);
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
	struct resolver_name *name = find(address_host(address, text));
	if (name) { /* under way */
		wait_for(query, name);
		return;
	}
	name = name_new(text, true);
	name->of = *address;
	wait_for(query, name);
	name->asking = true;
	room.questions++;
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
	query->turn = 0;
	if (address_parse(host, 0, &address)) {
		query->callback(query, &address, 1, NULL);
		return;
	}
	struct resolver_name *name = find(host);
	bool is_new = !name;
	if (is_new)
		name = name_new(host, false);
	name->is_brief = once && (is_new || name->is_brief);
	wait_for(query, name);
	if (name->telling) /* comes with the answer that is being given */
		return;
	if (name->asking ? name->count && clock_now() >= name->stale_at
			 : clock_now() < name->expires)
		tell(name);
	else if (name->asking)
		arm(name);
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

/* --- watching --- */

void resolver_watch(struct resolver_watch *watch, const char *host)
{
	struct resolver_name *name = find(host);
	if (!name || name->is_reverse)
		return;
	watch->name = name;
	list_push_last(&name->watches, &watch->node);
	name->is_kept = true;
	if (name->watches.length > 1)
		return;
	count_watched(name->zone, 1);
	arm(name);
}

void resolver_unwatch(struct resolver_watch *watch)
{
	struct resolver_name *name = watch->name;
	if (!name)
		return;
	watch->name = NULL;
	list_remove(&name->watches, &watch->node);
	if (name->watches.length)
		return;
	count_watched(name->zone, -1);
	arm(name);
}

/* --- for the console --- */

void resolver_count(struct resolver_counts *counts)
{
	*counts = (struct resolver_counts){.names = room.aged.length,
					   .zones = map_length(&room.zones),
					   .queries = room.questions};
	map_foreach (node, &room.names) {
		const struct resolver_name *name = container_of(node, struct resolver_name, node);
		for (const struct resolver_query *query = name->first; query; query = query->next)
			counts->pending++;
	}
}

void resolver_each_host(void (*each)(const struct resolver_host_info *info, void *context),
			void *context)
{
	map_foreach (node, &room.names) {
		const struct resolver_name *name = container_of(node, struct resolver_name, node);
		struct resolver_host_info info = {.host = name->host,
						  .ttl = longer(name->expires - clock_now(), 0),
						  .addresses = name->addresses,
						  .count = name->count};
		if (!name->is_reverse)
			each(&info, context);
	}
}

void resolver_each_zone(void (*each)(const struct resolver_zone_info *info, void *context),
			void *context)
{
	map_foreach (node, &room.zones) {
		const struct resolver_zone *zone = container_of(node, struct resolver_zone, node);
		struct resolver_zone_info info = {
			.zone = zone->name, .serial = zone->serial, .count = zone->names.length};
		each(&info, context);
	}
}

/* --- life --- */

/* A shorter ttl_max holds for what is known already. */
static void shorten(struct resolver_name *name)
{
	if (name->status != ARES_SUCCESS)
		return;
	name->expires = shorter(name->expires, clock_now() + room.ttl_max);
	name->refresh_at =
		shorter(name->refresh_at, clock_now() + longer(room.ttl_max, refresh_least));
	arm(name);
}

void resolver_set_options(const struct resolver_options *options)
{
	bool shorter_ttl = options->ttl_max < room.ttl_max;
	bool other_period = options->zone_check_period != room.zone_check_period;
	room.ttl_max = options->ttl_max;
	room.nxdomain_ttl = options->nxdomain_ttl;
	room.zone_check_period = options->zone_check_period;
	if (shorter_ttl)
		map_foreach (node, &room.names)
			shorten(container_of(node, struct resolver_name, node));
	if (other_period) {
		loop_timer_clear(&room.zone_timer);
		if (room.zone_check_period)
			check_zones(NULL);
	}
}

bool resolver_open(const struct resolver_options *options, struct error *error)
{
	struct ares_options wanted = {
		.timeout = TRY_MSEC, .tries = TRIES, .sock_state_cb = watch_socket};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB, status;
	char *ported = NULL;
	assert(!room.channel);
#ifdef ARES_OPT_QUERY_CACHE
	mask |= ARES_OPT_QUERY_CACHE; /* none: what is kept for how long is decided here */
#endif
	if (options->resolv_conf && *options->resolv_conf) {
		if (!resolv_conf_read(options->resolv_conf, &ported, error))
			return false;
		wanted.resolvconf_path = (char *)(uintptr_t)options->resolv_conf;
		mask |= ARES_OPT_RESOLVCONF;
	}
	map_init(&room.names);
	map_init(&room.zones);
	list_init(&room.aged);
	list_init(&room.sockets);
	loop_timer_init(&room.timer, timed_out);
	loop_timer_init(&room.zone_timer, check_zones);
	room.watched_zones = room.questions = 0;
	room.ttl_max = room.zone_check_period = 0;
	resolver_set_options(options);
	status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(&room.channel, &wanted, mask);
	const char *servers = options->servers ? options->servers : ported;
	if (status == ARES_SUCCESS && servers)
		status = ares_set_servers_ports_csv(room.channel, servers);
	memory_free(&ported);
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
		while (name->watches.length)
			resolver_unwatch(container_of(list_first(&name->watches),
						      struct resolver_watch, node));
		forget(name);
	}
	loop_timer_fini(&room.zone_timer);
}

const char *resolver_describe(void)
{
	static char text[64];
	snprintf(text, sizeof text, "c-ares %s", ares_version(NULL));
	return text;
}
