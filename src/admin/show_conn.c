/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/show_conn.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "conn/client.h"
#include "conn/prepared_book.h"
#include "net/socket.h"
#include "net/tls_session.h"
#include "pool/registry.h"

struct conn_info {
	const char *type, *user, *database, *replication, *state, *addr, *local_addr, *connect_time,
		*request_time, *ptr, *link;
	const char *tls, *application_name;
	int64_t port, local_port, wait, wait_us, close_needed, remote_pid, prepared_statements, id;
	int64_t recv_pos, pkt_pos, pkt_remain, send_pos, send_remain, pkt_avail, send_avail;
	char texts[8][ADDRESS_TEXT]; /* what the pointers above point to */
};

#define C(type, field, doc) SHOW_COLUMN(type, conn_info, field, #field, doc)
#define CONN_COLUMNS                                                                              \
	C(TEXT, type, "C: client, S: server."), C(TEXT, user, "User."),                           \
		C(TEXT, database, "Database."),                                                   \
		C(TEXT, replication, "none, logical or physical."),                               \
		C(TEXT, state, "State of the connection."),                                       \
		C(TEXT, addr, "Address of the far end."), C(INT4, port, "Port of the far end."),  \
		C(TEXT, local_addr, "Address of the near end."),                                  \
		C(INT4, local_port, "Port of the near end."),                                     \
		C(TEXT, connect_time, "When it was connected."),                                  \
		C(TEXT, request_time, "When the last request came."),                             \
		C(INT4, wait, "How long it has waited for a server, seconds."),                   \
		C(INT4, wait_us, "... and microseconds beyond."),                                 \
		C(INT4, close_needed, "1: closed when it is released."),                          \
		C(TEXT, ptr, "Address of the object."), C(TEXT, link, "Address of its partner."), \
		C(INT4, remote_pid, "Process at the far end, where known."),                      \
		C(TEXT, tls, "TLS version and cipher."),                                          \
		C(TEXT, application_name, "application_name in force."),                          \
		C(INT4, prepared_statements, "Prepared statements."),                             \
		C(INT4, id, "Number of the connection.")
static const struct result_column conn_columns[] = {CONN_COLUMNS};
static const struct result_column socket_columns[] = {
	CONN_COLUMNS,
	C(INT4, recv_pos, "Bytes held that were received."),
	C(INT4, pkt_pos, "0."),
	C(INT4, pkt_remain, "Bytes still to come of a message that is passing."),
	C(INT4, send_pos, "0."),
	C(INT4, send_remain, "Bytes in the out-queue."),
	C(INT4, pkt_avail, "0."),
	C(INT4, send_avail, "0."),
};
#undef C

static void put_endpoint(struct conn_info *info, const struct endpoint *endpoint)
{
	struct address local = {.family = AF_UNSPEC};
	bool is_unix = address_is_unix(&endpoint->remote);
	if (!is_unix && endpoint->stream.fd >= 0)
		socket_local(endpoint->stream.fd, &local);
	info->addr = address_host(&endpoint->remote, info->texts[0]);
	info->port = endpoint->remote.port;
	info->local_addr = is_unix ? "unix" : address_host(&local, info->texts[1]);
	info->local_port = is_unix ? endpoint->remote.port : local.port;
	clock_format(clock_to_wall(endpoint->connected_at), false, info->texts[2]);
	info->connect_time = info->texts[2];
	if (endpoint->request_at) {
		clock_format(clock_to_wall(endpoint->request_at), false, info->texts[3]);
		info->request_time = info->texts[3];
	}
	snprintf(info->texts[4], ADDRESS_TEXT, "%p", (const void *)endpoint);
	info->ptr = info->texts[4];
	info->link = "";
	if (endpoint->partner) {
		snprintf(info->texts[5], ADDRESS_TEXT, "%p", (const void *)endpoint->partner);
		info->link = info->texts[5];
	}
	const struct tls_session *tls = stream_tls(&endpoint->stream);
	info->tls = "";
	if (tls && !endpoint->stream.securing) {
		tls_session_describe(tls, info->texts[7], ADDRESS_TEXT);
		info->tls = info->texts[7];
	}
	info->replication = endpoint_replication(endpoint);
	info->id = (int64_t)endpoint->id;
	info->recv_pos = (int64_t)buffer_length(endpoint->held);
	info->pkt_remain = endpoint->body_left;
	info->send_remain = (int64_t)buffer_length(endpoint->stream.out);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

struct wanted {
	struct result *result;
	bool prefixed, active_only;
};

static const char *state_text(struct conn_info *info, const struct wanted *wanted,
			      const char *prefix, const char *shown)
{
	if (!wanted->prefixed)
		return shown;
	snprintf(info->texts[6], ADDRESS_TEXT, "%s%s", prefix, shown);
	return info->texts[6];
}

static bool client_row(struct client *client, void *context)
{
	struct wanted *wanted = context;
	const char *shown = client_state_shown(client->state);
	struct conn_info info = {.type = "C"};
	const struct pool *pool =
		client->member
			.pool; /* none before the login; a CancelRequest has one, but no user */
	bool waits = client->member.place == CLIENT_PLACE_WAITING ||
		     client->member.place == CLIENT_PLACE_WELCOME ||
		     client->member.place == CLIENT_PLACE_CLAIM ||
		     client->member.place == CLIENT_PLACE_CLAIMED ||
		     client->member.place == CLIENT_PLACE_CANCEL_WAITING;
	if (!shown || client->is_own || (!wanted->prefixed && !pool) ||
	    (wanted->active_only && client->state != CLIENT_ACTIVE))
		return true;
	put_endpoint(&info, &client->endpoint);
	info.user = client->user ? client->user->name : "(nouser)";
	info.database = pool ? pool->database->name : "(nodb)";
	/* SOCKETS has no idle clients. */
	info.state =
		state_text(&info, wanted, "cl_",
			   wanted->prefixed && client->state == CLIENT_IDLE ? "active" : shown);
	info.application_name =
		client->parameters ? or_empty(parameter_get(client->parameters, "application_name"))
				   : "";
	info.prepared_statements = prepared_client_count(client->prepared);
	if (address_is_unix(&client->endpoint.remote))
		info.remote_pid = client->endpoint.remote.unix_peer.pid;
	if (waits) {
		usec_t wait = clock_now() - client->member.wait_since;
		info.wait = wait / USEC_PER_SECOND;
		info.wait_us = wait % USEC_PER_SECOND;
	}
	result_row(wanted->result, &info);
	return true;
}

static void server_row(const struct wanted *wanted, const struct server *server)
{
	struct conn_info info = {.type = "S"};
	const char *shown = server_state_shown(server->state);
	if (!shown || (wanted->active_only && server->state != SERVER_ACTIVE))
		return;
	put_endpoint(&info, &server->endpoint);
	info.user = server->member.pool->user->name;
	info.database = server->member.pool->database->name;
	info.state = state_text(&info, wanted, "sv_",
				wanted->prefixed && !strcmp(shown, "new") ? "login" : shown);
	info.close_needed = server->member.close_needed;
	info.prepared_statements = prepared_server_count(server->prepared);
	info.remote_pid = server->process_id;
	info.application_name =
		server->parameters ? or_empty(parameter_get(server->parameters, "application_name"))
				   : "";
	result_row(wanted->result, &info);
}

static void servers_of(const struct list *pools, const struct wanted *wanted)
{
	list_foreach (member, pools) {
		const struct pool *pool = container_of(member, struct pool, node);
		for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_COUNT; place++)
			list_foreach (node, &pool->servers[place])
				server_row(wanted, server_of_member(container_of(
							   node, struct pool_server, node)));
	}
}

static void servers(const struct wanted *wanted)
{
	servers_of(pool_all(), wanted);
	servers_of(pool_of_peers(), wanted);
}

static void client_rows(struct result *result)
{
	struct wanted wanted = {.result = result};
	client_each(client_row, &wanted);
}

static void server_rows(struct result *result)
{
	struct wanted wanted = {.result = result};
	servers(&wanted);
}

static void socket_rows(struct result *result)
{
	struct wanted wanted = {.result = result, .prefixed = true};
	client_each(client_row, &wanted);
	servers(&wanted);
}

static void active_socket_rows(struct result *result)
{
	struct wanted wanted = {.result = result, .prefixed = true, .active_only = true};
	client_each(client_row, &wanted);
	servers(&wanted);
}

static const struct show shows[] = {
	SHOW_ROW("CLIENTS", conn_columns, client_rows, "The clients."),
	SHOW_ROW("SERVERS", conn_columns, server_rows, "The server connections."),
	SHOW_ROW("SOCKETS", socket_columns, socket_rows,
		 "Both, also before login, with what is buffered."),
	SHOW_ROW("ACTIVE_SOCKETS", socket_columns, active_socket_rows,
		 "Those of SOCKETS that are active."),
};

const struct show *show_conn_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
