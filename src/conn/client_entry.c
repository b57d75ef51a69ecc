/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_entry.h"
#include <stdio.h>
#include <string.h>
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_login.h"
#include "conn/client_request.h"
#include "conn/server_connect.h"
#include "core/log.h"
#include "pool/limit.h"
#include "pool/registry.h"
#include "proto/authentication.h"
#include "proto/response.h"

enum { MINOR_MAX = 0 /* protocol 3.0 */ };

static bool refuses_logins;

/* ---- logging in ---- */

static void refuse(struct client *client, const struct error *error)
{
	if (client->login && client->login->user)
		log_info(client_subject(client), "login failed: db=%s user=%s",
			 client->login->database, client->login->user);
	client_close(client, CLOSE_LOGIN_REFUSED, error);
}

/* Values for a client that asked for none. */
static void put_database_wishes(struct client *client)
{
	const struct database *database = client->database;
	const char *const wishes[][2] = {
		{"client_encoding", database->client_encoding},
		{"DateStyle", database->datestyle},
		{"TimeZone", database->timezone},
		{"application_name", database->application_name},
	};
	for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++)
		if (wishes[i][1] && !parameter_get(client->parameters, wishes[i][0]))
			parameter_put(&client->parameters, wishes[i][0], wishes[i][1]);
}

/* ParameterStatus as the pool's server reported them, with the client's own values; BackendKeyData;
 * ReadyForQuery. */
static void greet(struct client *client)
{
	const struct pool *pool = client->member.pool;
	struct buffer *out = NULL;
	client->parameters = client->login->parameters;
	client->login->parameters = NULL;
	client_login_free(&client->login);
	put_database_wishes(client);
	parameter_put_over(&client->parameters, pool->welcome_parameters);
	const uint8_t *at = pool->welcome ? buffer_bytes(pool->welcome) : NULL;
	size_t left = buffer_length(pool->welcome);
	struct message message;
	bool well = true;
	while (message_parse(at, left, ENDPOINT_QUEUE_MAX, &message) == FRAME_OK) {
		const char *name = (const char *)message.body;
		const char *own = parameter_get(client->parameters, name);
		well &= own ? response_put_parameter_status(&out, ENDPOINT_QUEUE_MAX, name, own)
			    : buffer_append(&out, at, message.size + MESSAGE_HEADER,
					    ENDPOINT_QUEUE_MAX);
		at += message.size + MESSAGE_HEADER;
		left -= message.size + MESSAGE_HEADER;
	}
	cancel_key_add(&client->key);
	well &= response_put_backend_key_data(&out, ENDPOINT_QUEUE_MAX,
					      cancel_key_process_id(&client->key),
					      cancel_key_secret(&client->key), CANCEL_SECRET);
	well &= response_put_ready_for_query(&out, ENDPOINT_QUEUE_MAX, 'I');
	if (!well) {
		buffer_free(&out);
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
		return;
	}
	client_send(client, &out);
	/* A client may send its first request without waiting for this. */
	if (client->state == CLIENT_IDLE && client->endpoint.held)
		client_request_go_on(client);
}

/* Proven who it is. Everything that depends on names being true is asked only now. */
static void proven(struct client *client, struct buffer **out)
{
	struct client_login *login = client->login;
	struct error error;
	struct database *database = registry_database(login->database);
	if (!database) {
		error_set(&error, SQLSTATE_INVALID_CATALOG_NAME, "no such database: %s",
			  login->database);
		refuse(client, &error);
		return;
	}
	struct user *user = registry_user(login->user);
	if (!limit_admits_client(database, user, &error)) {
		refuse(client, &error);
		return;
	}
	if (database->is_disabled) {
		error_set(&error, SQLSTATE_CANNOT_CONNECT_NOW, "database \"%s\" is disabled",
			  database->name);
		refuse(client, &error);
		return;
	}
	if (refuses_logins && !database->is_console) {
		close_reason_error(CLOSE_POOLER_SHUTDOWN, &error);
		refuse(client, &error);
		return;
	}
	if (database->is_console && !client_console()->admit(client, login->user, &error)) {
		refuse(client, &error);
		return;
	}
	struct pool *pool = registry_pool(database, user);
	if (!database->is_console && !pool->welcome_parameters && pool_is_failing(pool, &error)) {
		refuse(client, &error);
		return;
	}
	client_enter_pool(client, pool);
	client->database = database;
	client->user = user;
	limit_client_added(database, user);
	client->is_counted = true;
	client->database->stats.now.client_login_count++;
	authentication_put_ok(out, CLIENT_LOGIN_OUT_MAX);
	if (!stream_queue(&client->endpoint.stream, buffer_bytes(*out), buffer_length(*out),
			  ENDPOINT_QUEUE_MAX)) {
		pool_client_move(pool, &client->member, CLIENT_PLACE_ACTIVE);
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
	} else if (database->is_console) {
		client->parameters = login->parameters;
		login->parameters = NULL;
		client_login_free(&client->login);
		if (client_set_state(client, CLIENT_IDLE)) {
			cancel_key_add(&client->key);
			client_console()->open(client);
		}
	} else if (pool->welcome_parameters) {
		if (client_set_state(client, CLIENT_IDLE))
			greet(client);
	} else {
		stream_flush(&client->endpoint.stream);
		pool_request_welcome(pool, &client->member);
		if (client->state == CLIENT_AUTH)
			client_set_state(client, CLIENT_WELCOME);
	}
}

/* pool_ops.welcome */
void client_entry_welcome(struct pool_client *member)
{
	struct client *client = client_of_member(member);
	if (client_set_state(client, CLIENT_IDLE))
		greet(client);
}

static void authenticate(struct client *client, enum client_login_step step, struct buffer **out,
			 const struct error *error)
{
	switch (step) {
	case CLIENT_LOGIN_PROVEN:
		proven(client, out);
		break;
	case CLIENT_LOGIN_FAILED:
		refuse(client, error);
		break;
	case CLIENT_LOGIN_MORE:
		if (buffer_length(*out))
			client_send(client, out);
	}
	buffer_free(out);
}

static void start(struct client *client, const struct startup *startup)
{
	const struct settings *settings = settings_current();
	struct client_login *login = client->login = client_login_new();
	struct buffer *out = NULL;
	struct error error;
	bool is_unix = address_is_unix(&client->endpoint.remote);
	if (settings->client_tls_sslmode >= SSLMODE_REQUIRE && !is_unix) {
		error_set(&error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, "SSL required");
		client_close(client, CLOSE_LOGIN_REFUSED, &error);
		return;
	}
	if (!client_login_startup(login, startup, settings->ignore_startup_parameters, &error)) {
		client_close(client, CLOSE_CLIENT_ERROR, &error);
		return;
	}
	bool for_console = registry_is_console_name(login->database);
	if (settings->log_connections)
		log_info(client_subject(client),
			 "login attempt: db=%s user=%s tls=no replication=none", login->database,
			 login->user);
	if (!for_console && !limit_admits_connection(&error)) {
		client_close(client, CLOSE_LOGIN_REFUSED, &error);
		return;
	}
	if (!client_set_state(client, CLIENT_AUTH))
		return;
	if (startup_must_negotiate(startup, MINOR_MAX))
		startup_put_negotiate(&out, CLIENT_LOGIN_OUT_MAX, startup, MINOR_MAX);
	enum client_login_step step = CLIENT_LOGIN_PROVEN;
	if (for_console && client_console()->trusts(client, login->user)) {
		log_info(client_subject(client), "pgbouncer access from unix socket");
	} else {
		const struct secret *secret =
			userlist_find(snapshot_current()->userlist, login->user);
		if (!secret && settings->auth_type != AUTH_TRUST)
			log_debug(client_subject(client), "no such user: %s", login->user);
		step = client_login_begin(login, settings->auth_type, secret,
					  (unsigned)settings->scram_iterations, &out, &error);
	}
	authenticate(client, step, &out, &error);
}

/* ---- cancel requests ---- */

/* Carry it out if a connection may be opened for it now. */
static void try_cancel(struct client *asker, struct server *target)
{
	const struct pool *pool = target->member.pool;
	uint32_t carriers = pool->servers[SERVER_PLACE_CANCELING].length;
	if (pool->size && carriers >= (uint32_t)pool->size)
		return; /* waits: cancel_ended() of another comes back here */
	if (client_set_state(asker, CLIENT_CANCEL_ACTIVE))
		server_launch_cancel(target, asker);
}

static struct server *cancel_target(struct client *victim)
{
	struct server *server = victim->state == CLIENT_ACTIVE ? client_server(victim) : NULL;
	/* While our own query runs there is nothing of the client's to cancel. */
	return server && !server->errand && pipeline_owes_ready(&server->pipeline) ? server : NULL;
}

static void cancel(struct client *client, const struct startup *startup)
{
	struct cancel_key *key =
		cancel_key_find(startup->process_id, startup->key, startup->key_size);
	if (!key) {
		client_close(client, CLOSE_BAD_CANCEL, NULL);
		return;
	}
	struct client *victim = container_of(key, struct client, key);
	struct server *target = cancel_target(victim);
	if (victim->console) {
		client_console()->cancel(victim);
		client_close(client, CLOSE_CANCEL_DONE, NULL);
	} else if (!target) {
		client_close(client, CLOSE_CANCEL_IDLE, NULL);
	} else {
		client_enter_pool(client, target->member.pool);
		client->member.wait_since = clock_now();
		memcpy(client->key.bytes, key->bytes,
		       sizeof key->bytes); /* not listed: only whom it asks about */
		if (client_set_state(client, CLIENT_CANCEL_WAITING))
			try_cancel(client, target);
	}
}

/* A carrier ended: its asker goes, and those that wait in the pool are tried until one goes out. */
void client_entry_cancel_ended(struct client *client, struct pool *pool)
{
	struct list_node *node;
	if (client)
		client_close(client, CLOSE_CANCEL_DONE, NULL);
	while ((node = list_first(&pool->clients[CLIENT_PLACE_CANCEL_WAITING]))) {
		struct client *next =
			client_of_member(container_of(node, struct pool_client, node));
		struct cancel_key *key =
			cancel_key_find(cancel_key_process_id(&next->key),
					cancel_key_secret(&next->key), CANCEL_SECRET);
		struct server *target =
			key ? cancel_target(container_of(key, struct client, key)) : NULL;
		if (target && target->member.pool == pool) {
			try_cancel(next, target);
			break;
		}
		client_close(next, CLOSE_CANCEL_IDLE, NULL);
	}
}

/* ---- what clients say before they are logged in ---- */

static void say_no_encryption(struct client *client, const char *what, size_t behind)
{
	if (behind) { /* someone smuggled plaintext behind the request */
		char text[128];
		snprintf(text, sizeof text, "received unencrypted data after %s request", what);
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION, text);
	} else if (stream_write_bytes(&client->endpoint.stream, "N", 1, 1) == IO_ERROR) {
		client_close(client, CLOSE_CLIENT_EOF, NULL);
	}
}

void client_entry_startup(struct client *client, const uint8_t *bytes, size_t size)
{
	struct startup startup;
	struct error error;
	switch (startup_parse(bytes, size, &startup, &error)) {
	case FRAME_SHORT:
		client_hold(client, bytes, size);
		return;
	case FRAME_BAD:
		if (bytes[0] == 'p')
			error_set(&error, SQLSTATE_PROTOCOL_VIOLATION,
				  "client password pkt before startup packet");
		client_close(client, CLOSE_CLIENT_ERROR, &error);
		return;
	case FRAME_OK:
		break;
	}
	size_t behind = size - startup.length;
	switch (startup.kind) {
	case STARTUP_SSL_REQUEST:
		say_no_encryption(client, "SSL", behind);
		break;
	case STARTUP_GSSENC_REQUEST:
		say_no_encryption(client, "GSSAPI encryption", behind);
		break;
	case STARTUP_CANCEL_REQUEST:
		cancel(client, &startup);
		break;
	case STARTUP_MESSAGE:
		start(client, &startup);
		if (behind && client->state != CLIENT_CLOSING) {
			if (client->state ==
			    CLIENT_AUTH) /* an answer cannot come before the question */
				client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
					    "client password pkt before startup packet");
			else if (client->state == CLIENT_IDLE && !client->console)
				client_request_begin(client, bytes + startup.length, behind);
			else
				client_hold(client, bytes + startup.length, behind);
		}
	}
	if (client->console && client->endpoint.held)
		client_resume(client);
}

void client_entry_answer(struct client *client, const uint8_t *bytes, size_t size)
{
	struct message message;
	struct buffer *out = NULL;
	struct error error;
	if (bytes[0] != 'p') { /* a start-up packet begins with a zero */
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
			    bytes[0] ? "unknown pkt" : "client re-sent startup pkt");
		return;
	}
	switch (message_parse(bytes, size, STARTUP_MAX, &message)) {
	case FRAME_SHORT:
		client_hold(client, bytes, size);
		return;
	case FRAME_BAD:
		client_fail_header(client, RELAY_BAD_LENGTH, bytes, size);
		return;
	case FRAME_OK:
		break;
	}
	enum client_login_step step = client_login_answer(client->login, &message, &out, &error);
	size_t behind = size - message.size - MESSAGE_HEADER;
	if (behind && step == CLIENT_LOGIN_MORE) {
		buffer_free(&out);
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
			    "data behind the authentication message");
		return;
	}
	/* Requests may follow the last message of the exchange: they wait for the greeting. */
	if (behind && step == CLIENT_LOGIN_PROVEN)
		client_hold(client, bytes + size - behind, behind);
	authenticate(client, step, &out, &error);
	if (client->console && client->endpoint.held)
		client_resume(client);
}

void client_entry_refuse_logins(bool refuse)
{
	refuses_logins = refuse;
}
