/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_login.h"
#include <string.h>
#include "core/memory.h"
#include "core/text.h"
#include "proto/authentication.h"
#include "proto/options.h"

enum { NAME_MAX_DATABASE = 63, NAME_MAX_USER = 127 };

struct client_login *client_login_new(void)
{
	struct client_login *login = memory_alloc(sizeof *login);
	login->parameters = parameter_empty();
	return login;
}

void client_login_free(struct client_login **login)
{
	struct client_login *l = *login;
	if (!l)
		return;
	if (l->began_sasl)
		scram_server_fini(&l->scram);
	parameter_release(&l->parameters);
	memory_free(&l->user);
	memory_free(&l->database);
	memory_free(login);
}

/* ---- the start-up packet ---- */

struct take {
	struct client_login *login;
	const char *ignored;
};

static bool take_option(void *context, const char *name, const char *value, struct error *error)
{
	struct take *take = context;
	const char *tracked = parameter_tracked(name);
	char printable[128];
	if (tracked)
		parameter_put(&take->login->parameters, tracked, value);
	else if (!text_list_has(take->ignored, name) && !text_list_has(take->ignored, "options"))
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "unsupported startup parameter in options: %s",
				 text_printable(name, printable, sizeof printable));
	return true;
}

static bool replace(char **field, const char *value)
{
	memory_free(field);
	*field = memory_strdup(value);
	return true;
}

static bool is_false(const char *value)
{
	bool on;
	return !*value || (text_to_bool(value, &on) && !on);
}

static bool take_parameter(struct take *take, const char *name, const char *value,
			   struct error *error)
{
	const char *tracked = parameter_tracked(name);
	char printable[128];
	if (!strcmp(name, "user"))
		return strlen(value) > NAME_MAX_USER
			       ? error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
					   "username too long")
			       : replace(&take->login->user, value);
	if (!strcmp(name, "database"))
		return strlen(value) > NAME_MAX_DATABASE
			       ? error_set(error, SQLSTATE_INVALID_CATALOG_NAME,
					   "database name too long")
			       : replace(&take->login->database, value);
	if (!strcmp(name, "options")) {
		struct error why;
		/* "options" among the ignored names: what cannot be understood in there does not
		 * matter. */
		return options_walk(value, take_option, take, &why) ||
		       text_list_has(take->ignored, "options") || (*error = why, false);
	}
	if (!strcmp(name, "replication") && !text_list_has(take->ignored, name))
		return is_false(value) ||
		       error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "replication connections are not implemented yet");
	if (tracked) {
		parameter_put(&take->login->parameters, tracked, value);
		return true;
	}
	/* "_pq_." names are protocol options: answered by NegotiateProtocolVersion, not refused. */
	if (!strncmp(name, "_pq_.", 5) || text_list_has(take->ignored, name))
		return true;
	return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "unsupported startup parameter: %s",
			 text_printable(name, printable, sizeof printable));
}

bool client_login_startup(struct client_login *login, const struct startup *startup,
			  const char *ignored, struct error *error)
{
	struct take take = {.login = login, .ignored = ignored};
	const char *cursor = startup->parameters, *name, *value;
	while (startup_next_parameter(&cursor, &name, &value))
		if (!take_parameter(&take, name, value, error))
			return false;
	if (!login->user || !*login->user)
		return error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
				 "no username supplied");
	if (!login->database || !*login->database)
		replace(&login->database, login->user);
	return true;
}

/* ---- proving it ---- */

static enum client_login_step failed(struct error *error, enum sqlstate sqlstate, const char *text)
{
	error_set(error, sqlstate, "%s", text);
	return CLIENT_LOGIN_FAILED;
}

enum client_login_step client_login_begin(struct client_login *login, enum auth_type method,
					  const struct secret *secret, unsigned iterations,
					  struct buffer **out, struct error *error)
{
	static const char *const mechanisms[] = {"SCRAM-SHA-256", NULL};
	switch (method) {
	case AUTH_TRUST:
		if (secret)
			return CLIENT_LOGIN_PROVEN;
		return failed(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			      "\"trust\" authentication failed");
	case AUTH_MD5:
	case AUTH_PLAIN:
	case AUTH_SCRAM_SHA_256:
		scram_server_init(&login->scram, secret, login->user, iterations);
		login->began_sasl = true;
		if (!authentication_put_sasl(out, CLIENT_LOGIN_OUT_MAX, mechanisms))
			return failed(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return CLIENT_LOGIN_MORE;
	default:
		return failed(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			      "no authentication method is found");
	}
}

enum client_login_step client_login_answer(struct client_login *login,
					   const struct message *message, struct buffer **out,
					   struct error *error)
{
	char reply[SCRAM_MESSAGE_MAX];
	if (!login->began_sasl)
		return failed(error, SQLSTATE_PROTOCOL_VIOLATION,
			      "client password pkt before startup packet");
	if (login->in_sasl) {
		if (!scram_server_final(&login->scram, message->body, message->size, reply, error))
			return CLIENT_LOGIN_FAILED;
		if (!authentication_put_sasl_final(out, CLIENT_LOGIN_OUT_MAX, reply, strlen(reply)))
			return failed(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		return CLIENT_LOGIN_PROVEN;
	}
	const char *mechanism;
	const uint8_t *data;
	size_t size;
	if (!authentication_parse_sasl_initial(message->body, message->size, &mechanism, &data,
					       &size) ||
	    !data)
		return failed(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed SASL message");
	if (strcmp(mechanism, "SCRAM-SHA-256"))
		return failed(error, SQLSTATE_PROTOCOL_VIOLATION,
			      "client selected an invalid SASL authentication mechanism");
	if (!scram_server_first(&login->scram, data, size, reply, error))
		return CLIENT_LOGIN_FAILED;
	login->in_sasl = true;
	if (!authentication_put_sasl_continue(out, CLIENT_LOGIN_OUT_MAX, reply, strlen(reply)))
		return failed(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return CLIENT_LOGIN_MORE;
}
