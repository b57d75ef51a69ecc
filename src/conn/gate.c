/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/gate.h"
#include "server_priv.h"
#include "conn/auth_query.h"
#include "conn/client_auth.h"
#include "conn/client_entry.h"
#include "conn/client_event.h"
#include "conn/client_greeting.h"
#include "conn/client_replication.h"
#include "conn/client_limit.h"
#include "conn/server_connect.h"
#include "config/snapshot.h"
#include "conn/tracking.h"
#include "conn/derive.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/offload.h"
#include "net/listener.h"
#include "pool/registry.h"
#include <unistd.h>

static enum gate_shutdown shutdown_state;
static void (*on_end)(void);
static struct loop_timer watch;

/* ---- pool_ops ---- */

static void close_server(struct pool_server *member, enum close_reason reason)
{
	server_close(server_of_member(member), reason, NULL);
}

static void test_server(struct pool_server *member)
{
	server_test(server_of_member(member));
}

static void close_client(struct pool_client *member, enum close_reason reason)
{
	client_close(client_of_member(member), reason, NULL);
}

static void drop_parameters(void *parameters)
{
	struct parameter_set *set = parameters;
	parameter_release(&set);
}

static void rearm(struct pool_server *member)
{
	server_arm(server_of_member(member));
}

/* auth_query_ops.connect */
static void connect_own(int fd, const char *database, const char *user)
{
	const struct address here = {.family = AF_UNIX};
	client_entry_admit(client_accept(fd, &here, &here), database, user);
}

void gate_open(void)
{
	static const struct pool_ops ops = {
		.assign = client_greeting_assign,
		.reject = client_event_reject,
		.welcome = client_entry_welcome,
		.launch = server_launch,
		.launch_claimed = client_replication_launch,
		.close_server = close_server,
		.test_server = test_server,
		.close_client = close_client,
		.drop_parameters = drop_parameters,
		.drop_greeting = client_greeting_drop,
		.rearm = rearm,
	};
	static const struct auth_query_ops auth_query_ops = {.connect = connect_own};
	pool_set_ops(&ops);
	auth_query_open(&auth_query_ops);
	offload_open();
	client_event_open();
	shutdown_state = GATE_OPEN;
}

/* Not from stored secrets: strangers are told salts, and could try passwords against them at home.
 * The machine's id and the certificate's key stay as long, and are too long to be tried. */
static void make_salts(void)
{
	const char *const sources[] = {"/etc/machine-id", settings_current()->client_tls_key_file};
	scram_salts_from(sources, sizeof sources / sizeof *sources);
}

void gate_reconfigured(void)
{
	make_salts();
	tracking_renew();
	auth_query_forget();
	derive_known();
	client_limit_renew();
	list_foreach (member, pool_all()) {
		struct pool *pool = container_of(member, struct pool, node);
		list_foreach (node, &pool->servers[SERVER_PLACE_LOGIN])
			rearm(container_of(node, struct pool_server, node));
	}
}

/* Whoever is here is served; who comes is turned away until there is memory again. */
static bool has_no_room(void)
{
	static usec_t said_at;
	if (!memory_is_short())
		return false;
	if (log_is_due(&said_at))
		log_error("", "out of memory: new connections are refused");
	return true;
}

void gate_accept(int fd, const struct address *remote, const struct address *local)
{
	if (has_no_room()) {
		close(fd);
		return;
	}
	client_accept(fd, remote, local);
}

/* ---- shutting down ---- */

static bool is_ours(struct client *client, void *context)
{
	if (client->database && client->database->is_console)
		return true;
	++*(unsigned *)context;
	return true;
}

static bool is_over(void)
{
	if (shutdown_state == GATE_WAIT_FOR_SERVERS) {
		list_foreach (node, pool_all()) {
			const struct pool *pool = container_of(node, struct pool, node);
			if (pool->servers[SERVER_PLACE_ACTIVE].length ||
			    pool->servers[SERVER_PLACE_TESTED].length ||
			    pool->servers[SERVER_PLACE_BEING_CANCELED].length)
				return false;
		}
		return true;
	}
	unsigned clients = 0;
	client_each(is_ours, &clients);
	return clients == 0;
}

/* Looked at twice a second while shutting down only: the process has nothing better to wait for. */
static void look(struct loop_timer *timer)
{
	if (!is_over()) {
		loop_timer_set(timer, clock_now() + USEC_PER_SECOND / 2);
		return;
	}
	log_info("", shutdown_state == GATE_WAIT_FOR_SERVERS
			     ? "server connections dropped, exiting"
			     : "client connections dropped, exiting");
	void (*callback)(void) = on_end;
	on_end = NULL;
	if (callback)
		callback();
}

void gate_shut(enum gate_shutdown how)
{
	if (shutdown_state == GATE_OPEN) {
		loop_timer_init(&watch, look);
		listener_close_tcp();
		client_entry_refuse_logins(true);
	}
	shutdown_state = how;
	if (how == GATE_WAIT_FOR_SERVERS) {
		pool_set_draining();
		list_foreach (node, pool_all())
			pool_close_idle(container_of(node, struct pool, node),
					CLOSE_SERVER_SHUTDOWN);
	}
	if (how == GATE_IMMEDIATE) {
		if (on_end)
			on_end();
		on_end = NULL;
		return;
	}
	loop_timer_set(&watch, clock_now() + USEC_PER_MSEC);
}

enum gate_shutdown gate_state(void)
{
	return shutdown_state;
}

void gate_on_end(void (*callback)(void))
{
	on_end = callback;
}

void gate_close(void)
{
	if (shutdown_state != GATE_OPEN)
		loop_timer_fini(&watch);
	on_end = NULL;
	pool_stop_launching();
	client_close_all(CLOSE_POOLER_SHUTDOWN);
	client_auth_close();
	auth_query_close();
	offload_close();
	list_foreach (member, pool_of_peers())
		pool_kill(container_of(member, struct pool, node), CLOSE_SERVER_SHUTDOWN);
	list_foreach (member, pool_all())
		pool_kill(container_of(member, struct pool, node), CLOSE_SERVER_SHUTDOWN);
}
