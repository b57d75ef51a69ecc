/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_entry.h"
#include <stdio.h>
#include <string.h>
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_auth.h"
#include "conn/client_cancel.h"
#include "conn/client_console.h"
#include "conn/client_greeting.h"
#include "conn/client_login.h"
#include "conn/client_replication.h"
#include "conn/client_request.h"
#include "core/log.h"
#include "core/memory.h"
#include "net/tls_session.h"
#include "pool/limit.h"
#include "pool/registry.h"
#include "proto/authentication.h"
#include "proto/response.h"

enum {
	MINOR_MAX = 2,	      /* protocol 3.2 */
	MINOR_LONG_KEYS = 2,  /* from here on */
	TLS_HANDSHAKE = 0x16, /* first byte of a ClientHello */
};

static bool refuses_logins;

/* ---- logging in ---- */

static void refuse(struct client *client, const struct error *error)
{
	if (client->login && client->login->user)
		log_info(client_subject(client), "login failed: db=%s user=%s",
			 client->login->database, client->login->user);
	client_close(client, CLOSE_LOGIN_REFUSED, error);
}

/* What of the login is needed to log in to the pool's servers, if they are logged in to as this
 * user. */
static void learn(struct pool *pool, const struct user *user, const struct client_login *login)
{
	bool is_scram = login->secret.kind == SECRET_SCRAM;
	bool is_elsewhere = login->method == AUTH_PAM || login->method == AUTH_LDAP;
	if (pool->user != user)
		return;
	if (!is_elsewhere)
		pool_prefer_listed(pool);
	if (login->password)
		pool_learn_secret(pool, login->password, is_elsewhere);
	else if (login->was_queried && login->secret.text && !is_scram)
		pool_learn_secret(pool, login->secret.text, false);
	else if (login->began_sasl && is_scram)
		pool_learn_keys(pool, login->scram.client_key, login->scram.secret.server_key);
}

/* May someone who is proven to be @user be served from @database now? */
static bool is_admitted(struct client *client, const struct database *database,
			const struct user *user, struct error *error)
{
	if (!client->is_own && !limit_admits_client(database, user, error))
		return false;
	if (database->is_disabled)
		return error_set(error, SQLSTATE_CANNOT_CONNECT_NOW, "database \"%s\" is disabled",
				 database->name);
	if (refuses_logins && !database->is_console) {
		close_reason_error(CLOSE_POOLER_SHUTDOWN, error);
		return false;
	}
	return !database->is_console || client_console()->admit(client, user->name, error);
}

/* Proven who it is. Everything that depends on names being true is asked only now. */
static void proven(struct client *client, struct buffer **out)
{
	struct client_login *login = client->login;
	struct error error;
	struct database *database = client->is_own ? registry_find_database(login->database)
						   : registry_database(login->database);
	if (!database) {
		error_set(&error, SQLSTATE_INVALID_CATALOG_NAME, "no such database: %s",
			  login->database);
		refuse(client, &error);
		return;
	}
	struct user *user = registry_user(login->user);
	if (!is_admitted(client, database, user, &error)) {
		refuse(client, &error);
		return;
	}
	/* auth_query is auth_user's, also where the row has another user for its clients. */
	struct pool *pool =
		client->is_own ? registry_pool_of(database, user) : registry_pool(database, user);
	if (!client->is_own)
		learn(pool, user, login);
	if (!database->is_console && !login->replication && !pool->welcome_parameters &&
	    pool_is_failing(pool, &error)) {
		refuse(client, &error);
		return;
	}
	client_enter_pool(client, pool);
	cancel_key_add(&client->key, login->secret_size, (unsigned)settings_current()->peer_id);
	client->database = database;
	client->user = user;
	client->query_at = clock_now();
	client_take_limits(client);
	if (!client->is_own) {
		limit_client_added(database, user);
		client->is_counted = true;
		client->database->stats.now.client_login_count++;
	}
	bool is_greeted = !database->is_console && !login->replication &&
			  pool->welcome_parameters; /* with one write */
	if (!authentication_put_ok(out, CLIENT_LOGIN_OUT_MAX) ||
	    (!is_greeted && !stream_queue(&client->endpoint.stream, buffer_bytes(*out),
					  buffer_length(*out), ENDPOINT_QUEUE_MAX))) {
		pool_client_move(pool, &client->member, CLIENT_PLACE_ACTIVE);
		client_close(client, CLOSE_OUT_OF_MEMORY, NULL);
	} else if (database->is_console) {
		client->parameters = login->parameters;
		login->parameters = NULL;
		client_login_free(&client->login);
		if (client_set_state(client, CLIENT_IDLE)) {
			client_console()->open(client);
			if (client->console && client->endpoint.held)
				client_console_resume(client);
		}
	} else if (login->replication) {
		stream_flush(&client->endpoint.stream);
		client_replication_begin(client);
	} else if (is_greeted) {
		client_greet(client, out);
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
	struct buffer *out = NULL;
	client->was_notified = false;
	client_greet(client, &out);
	buffer_free(&out);
}

/* How far this client's connection is from what the settings and the database's row demand. */
static bool is_secure_enough(const struct client *client, const char *database, struct error *error)
{
	const struct section_database *row = snapshot_row(snapshot_current(), database);
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	enum sslmode mode = settings_current()->client_tls_sslmode;
	if (row && row->client_tls_sslmode != SSLMODE_UNSET && row->client_tls_sslmode > mode)
		mode = row->client_tls_sslmode;
	if (client->is_own || mode < SSLMODE_REQUIRE || address_is_unix(&client->endpoint.remote))
		return true;
	if (!tls)
		return error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
				 "SSL required");
	return mode < SSLMODE_VERIFY_CA || tls_session_peer_is_verified(tls) ||
	       error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			 "connection requires a valid client certificate");
}

/* "no", or "TLSv1.3/TLS_AES_256_GCM_SHA384". */
static const char *describe_tls(const struct client *client, char *text, size_t size)
{
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	if (!tls)
		return "no";
	tls_session_describe(tls, text, size);
	return text;
}

static void start(struct client *client, const struct startup *startup)
{
	const struct settings *settings = settings_current();
	struct client_login *login = client->login = client_login_new(client);
	struct buffer *out = NULL;
	struct error error;
	char tls[128];
	if (!client_login_startup(login, startup, settings, &error)) {
		client_close(client, CLOSE_CLIENT_ERROR, &error);
		return;
	}
	bool for_console = registry_is_console_name(login->database);
	client->endpoint.replication = (uint8_t)login->replication;
	if ((uint16_t)startup->version >= MINOR_LONG_KEYS)
		login->secret_size = CANCEL_SECRET_LONG;
	if (settings->log_connections)
		log_info(client_subject(client),
			 "login attempt: db=%s user=%s tls=%s replication=%s", login->database,
			 login->user, describe_tls(client, tls, sizeof tls),
			 login->replication ? endpoint_replication(&client->endpoint) : "no");
	if (for_console && login->replication) {
		client_fail(client, SQLSTATE_FEATURE_NOT_SUPPORTED,
			    "the console has nothing to replicate");
		return;
	}
	if (!is_secure_enough(client, login->database, &error) ||
	    (!for_console && !limit_admits_connection(&error) && !client_drop_silent(client))) {
		client_close(client, CLOSE_LOGIN_REFUSED, &error);
		return;
	}
	if (!client_set_state(client, CLIENT_AUTH))
		return;
	if (startup_must_negotiate(startup, MINOR_MAX))
		startup_put_negotiate(&out, CLIENT_LOGIN_OUT_MAX, startup, MINOR_MAX);
	if (for_console && client_console()->trusts(client, login->user)) {
		log_info(client_subject(client), "pgbouncer access from unix socket");
		proven(client, &out);
	} else {
		client_auth_begin(client, &out);
	}
	buffer_free(&out);
}

/* Before TLS, which costs much more than this. Whoever may reach the Unix socket is always let in:
 * it is there for administrators. */
void client_entry_arrived(struct client *client)
{
	struct error error;
	if (!address_is_unix(&client->endpoint.remote) && !limit_admits_entrant(&error) &&
	    !client_drop_silent(client))
		client_close(client, CLOSE_LOGIN_REFUSED, &error);
}

void client_entry_admit(struct client *client, const char *database, const char *user)
{
	struct buffer *out = NULL;
	client->is_own = true;
	limit_connection_closed(); /* it is nobody's guest */
	client->login = client_login_new(client);
	client->login->user = memory_strdup(user);
	client->login->database = memory_strdup(database);
	if (client_set_state(client, CLIENT_AUTH))
		proven(client, &out);
	buffer_free(&out);
}

/* ---- what clients say before they are logged in ---- */

/* The answer to a request for encryption is one byte. Someone may have put plaintext behind it that
 * would be taken for encrypted. */
static bool answer_request(struct client *client, const char *answer, const char *what,
			   size_t behind)
{
	if (behind || stream_tls(&client->endpoint.stream)) {
		char text[128];
		snprintf(text, sizeof text,
			 behind ? "received unencrypted data after %s request"
				: "%s request inside of an encrypted connection",
			 what);
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION, text);
		return false;
	}
	if (stream_write_bytes(&client->endpoint.stream, answer, 1, 1) != IO_ERROR)
		return true;
	client_close(client, CLOSE_CLIENT_EOF, NULL);
	return false;
}

static void start_tls(struct client *client, const uint8_t *hello, size_t size)
{
	if (client_set_state(client, CLIENT_TLS))
		stream_start_tls(&client->endpoint.stream, snapshot_current()->encryption->clients,
				 NULL, hello, size);
}

static bool can_tls(const struct client *client)
{
	return snapshot_current()->encryption->clients && !stream_tls(&client->endpoint.stream) &&
	       !address_is_unix(&client->endpoint.remote);
}

/* A ClientHello where a start-up packet would be: TLS without asking. */
static void start_direct_tls(struct client *client, const uint8_t *bytes, size_t size)
{
	client->is_direct = true;
	start_tls(client, bytes, size);
}

void client_entry_secured(struct client *client, const struct error *failure)
{
	struct error error;
	char text[128];
	if (failure) {
		log_warning(client_subject(client), "TLS handshake failed: %s", failure->message);
		client_close(client, CLOSE_CLIENT_TLS_FAILED, NULL);
		return;
	}
	if (client->is_direct && !tls_session_has_alpn(stream_tls(&client->endpoint.stream))) {
		error_set(&error, SQLSTATE_PROTOCOL_VIOLATION,
			  "received a direct TLS connection without ALPN protocol negotiation");
		client_close(client, CLOSE_CLIENT_ERROR, &error);
		return;
	}
	log_debug(client_subject(client), "SSL established: %s",
		  describe_tls(client, text, sizeof text));
	client_set_state(client, CLIENT_STARTUP);
}

void client_entry_startup(struct client *client, const uint8_t *bytes, size_t size)
{
	struct startup startup;
	struct error error;
	if (bytes[0] == TLS_HANDSHAKE && can_tls(client)) {
		start_direct_tls(client, bytes, size);
		return;
	}
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
		if (answer_request(client, can_tls(client) ? "S" : "N", "SSL", behind) &&
		    can_tls(client))
			start_tls(client, NULL, 0);
		break;
	case STARTUP_GSSENC_REQUEST:
		answer_request(client, "N", "GSSAPI encryption", behind);
		break;
	case STARTUP_CANCEL_REQUEST:
		client_cancel_begin(client, &startup, bytes);
		break;
	case STARTUP_MESSAGE:
		start(client, &startup);
		if (behind && client->state != CLIENT_CLOSING) {
			if (client->state == CLIENT_AUTH &&
			    client_auth_awaits(client)) /* no answer comes before the question */
				client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
					    "client password pkt before startup packet");
			else if (client->state == CLIENT_IDLE && !client->console)
				client_request_begin(client, bytes + startup.length, behind);
			else if (client->state == CLIENT_ACTIVE)
				client_request_forward(client, bytes + startup.length, behind);
			else
				client_hold(client, bytes + startup.length, behind);
		}
	}
	if (client->console && client->endpoint.held)
		client_console_resume(client);
}

void client_entry_answer(struct client *client, const uint8_t *bytes, size_t size)
{
	struct message message;
	if (!client_auth_awaits(client)) { /* it has said what there is to say: more must wait */
		client_hold_for_later(client, bytes, size);
		return;
	}
	if (bytes[0] != 'p') { /* a start-up packet begins with a zero */
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
			    bytes[0] ? "unknown pkt" : "client re-sent startup pkt");
		return;
	}
	switch (message_parse(bytes, size, client_auth_message_max(client), &message)) {
	case FRAME_SHORT:
		client_hold(client, bytes, size);
		buffer_make_secret(client->endpoint.held);
		memory_erase((uint8_t *)(uintptr_t)bytes, size);
		return;
	case FRAME_BAD:
		client_fail_header(client, RELAY_BAD_LENGTH, bytes, size);
		return;
	case FRAME_OK:
		break;
	}
	/* Requests may follow the last message of the exchange: they wait for the greeting. */
	size_t behind = size - message.size - MESSAGE_HEADER;
	if (behind)
		client_hold(client, bytes + size - behind, behind);
	if (client->state != CLIENT_CLOSING)
		client_auth_answer(client, &message);
	memory_erase((uint8_t *)(uintptr_t)bytes,
		     size); /* of the receive buffer, for all to come */
	if (client->state == CLIENT_AUTH && client->endpoint.held && client_auth_awaits(client))
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
			    "data behind the authentication message");
	if (client->console && client->endpoint.held)
		client_console_resume(client);
}

void client_entry_refuse_logins(bool refuse)
{
	refuses_logins = refuse;
}

void client_entry_open(void)
{
	static const struct client_auth_ops ops = {.proven = proven, .refused = refuse};
	client_auth_open(&ops);
	refuses_logins = false;
}
