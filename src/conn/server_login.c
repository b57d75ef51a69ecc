/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/server_login.h"
#include <string.h>
#include "auth/md5.h"
#include "core/memory.h"
#include "proto/authentication.h"
#include "proto/response.h"
#include "proto/startup.h"

enum { OUT_MAX = 128 * 1024, WELCOME_MAX = 64 * 1024 };

struct server_login *server_login_new(const char *user, const char *secret,
				      const struct scram_keys *keys, const uint8_t *binding,
				      size_t binding_size)
{
	struct server_login *login = memory_alloc(sizeof *login);
	login->has_keys = keys != NULL;
	if (keys)
		login->keys = *keys;
	login->binding_size = binding_size;
	memcpy(login->binding, binding, binding_size);
	login->user = memory_strdup(user);
	login->secret = secret ? memory_strdup(secret) : NULL;
	login->parameters = parameter_empty();
	return login;
}

void server_login_free(struct server_login **login)
{
	struct server_login *l = *login;
	if (!l)
		return;
	derive_abandon(&l->derive);
	if (l->scram_begun)
		scram_client_fini(&l->scram);
	memory_erase(&l->keys, sizeof l->keys);
	memory_free_secret(&l->secret);
	memory_free(&l->user);
	buffer_free(&l->welcome);
	parameter_release(&l->parameters);
	memory_free(login);
}

bool server_login_start(struct server_login *login, uint16_t minor, const char *const *names_values,
			struct buffer **out)
{
	login->minor = minor;
	return startup_put_message(out, OUT_MAX, STARTUP_VERSION(3, minor), names_values);
}

static bool negotiate(struct server_login *login, const struct message *message,
		      struct error *error)
{
	uint16_t minor;
	uint32_t unknown;
	if (!startup_parse_negotiate(message->body, message->size, &minor, &unknown) ||
	    minor > login->minor || unknown > 0 || login->has_heard)
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "the server negotiates a protocol that was not asked for");
	login->minor = minor;
	return true;
}

/* Might this first word of a server mean that it does not know our minor version? */
static bool is_about_protocol(const struct error *error)
{
	static const enum sqlstate kinds[] = {SQLSTATE_FEATURE_NOT_SUPPORTED,
					      SQLSTATE_PROTOCOL_VIOLATION, SQLSTATE_INTERNAL_ERROR};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(error->sqlstate, sqlstate_code(kinds[i])))
			return true;
	return false;
}

static bool no_password(struct server_login *login, const char *method, struct error *error)
{
	error_set(error, SQLSTATE_INVALID_PASSWORD,
		  "the server asks for %s, but there is no usable password for user \"%s\"", method,
		  login->user);
	return error_hint(
		error, "Set password= in the [databases] row, or a plain password in auth_file.");
}

/* The plain password is only ever given to a server that we hold it in plain text for. */
static bool answer_cleartext(struct server_login *login, struct buffer **out, struct error *error)
{
	struct secret secret = secret_from_text(login->secret);
	if (secret.kind != SECRET_PLAIN)
		return no_password(login, "a cleartext password", error);
	return authentication_put_password(out, OUT_MAX, secret.text) ||
	       error_set(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
}

static bool answer_md5(struct server_login *login, const uint8_t salt[4], struct buffer **out,
		       struct error *error)
{
	struct secret secret = secret_from_text(login->secret);
	char answer[MD5_TEXT];
	if ((secret.kind != SECRET_PLAIN && secret.kind != SECRET_MD5) ||
	    !md5_answer(&secret, login->user, salt, answer))
		return no_password(login, "an MD5 password", error);
	bool well = authentication_put_password(out, OUT_MAX, answer);
	memory_erase(answer, sizeof answer);
	return well || error_set(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
}

static bool begin_scram(struct server_login *login, const struct authentication *asked,
			struct buffer **out, struct error *error)
{
	struct secret secret = secret_from_text(login->secret);
	char reply[SCRAM_MESSAGE_MAX];
	if (!asked->has_scram_sha_256 && !(asked->has_scram_sha_256_plus && login->binding_size))
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "the server offers no SASL mechanism that pgweir knows");
	if (login->scram_begun)
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "the server began a second SASL exchange");
	bool is_plain = secret.kind == SECRET_PLAIN;
	if (!is_plain && !login->has_keys)
		return no_password(login, "SCRAM-SHA-256", error);
	scram_client_init(&login->scram, is_plain ? secret.text : NULL, &login->keys,
			  login->binding, login->binding_size, asked->has_scram_sha_256_plus);
	login->scram_begun = true;
	if (!scram_client_first(&login->scram, reply) ||
	    !authentication_put_sasl_initial(out, OUT_MAX, scram_client_mechanism(&login->scram),
					     reply, strlen(reply)))
		return error_set(error, SQLSTATE_INTERNAL_ERROR, "SCRAM could not begin");
	return true;
}

void server_login_derivation(const struct server_login *login, struct scram_derivation *derivation)
{
	scram_client_derivation(&login->scram, derivation);
}

bool server_login_derived(struct server_login *login, const struct scram_derivation *derivation,
			  struct buffer **out, struct error *error)
{
	char reply[SCRAM_MESSAGE_MAX];
	login->must_derive = false;
	bool well = scram_client_final(&login->scram, derivation, reply, error) &&
		    (authentication_put_sasl_response(out, OUT_MAX, reply, strlen(reply)) ||
		     error_set(error, SQLSTATE_OUT_OF_MEMORY, "out of memory"));
	memory_erase(reply, sizeof reply);
	return well;
}

static bool authenticate(struct server_login *login, const struct message *message,
			 struct buffer **out, struct error *error)
{
	struct authentication asked;
	if (!authentication_parse(message->body, message->size, &asked) || login->authenticated)
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "malformed authentication message from the server");
	bool asks_password = asked.code == AUTHENTICATION_CLEARTEXT_PASSWORD ||
			     asked.code == AUTHENTICATION_MD5_PASSWORD;
	if (asks_password && (login->scram_begun || login->has_answered))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "the server asks for a second proof");
	login->has_answered |= asks_password;
	switch (asked.code) {
	case AUTHENTICATION_OK:
		/* A server that skips its proof may not know the secret at all. */
		if (login->scram_begun && !login->scram_verified)
			return error_set(error, SQLSTATE_INVALID_PASSWORD,
					 "the server did not prove that it knows the password");
		login->authenticated = true;
		return true;
	case AUTHENTICATION_CLEARTEXT_PASSWORD:
		return answer_cleartext(login, out, error);
	case AUTHENTICATION_MD5_PASSWORD:
		return answer_md5(login, asked.salt, out, error);
	case AUTHENTICATION_SASL:
		return begin_scram(login, &asked, out, error);
	case AUTHENTICATION_SASL_CONTINUE:
		if (!login->scram_begun)
			break;
		if (!scram_client_challenge(&login->scram, asked.data, asked.data_size, error))
			return false;
		login->must_derive = scram_client_derivation(&login->scram, NULL);
		return login->must_derive || server_login_derived(login, NULL, out, error);
	case AUTHENTICATION_SASL_FINAL:
		if (!login->scram_begun)
			break;
		login->scram_verified =
			scram_client_verify(&login->scram, asked.data, asked.data_size, error);
		return login->scram_verified;
	default:
		return error_set(
			error, SQLSTATE_FEATURE_NOT_SUPPORTED,
			"the server asks for authentication method %u, which pgweir does not know",
			asked.code);
	}
	return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
			 "the server continues a SASL exchange that was not begun");
}

static bool take_parameter(struct server_login *login, const struct message *message,
			   struct error *error)
{
	const char *name, *value;
	if (!response_parse_parameter_status(message->body, message->size, &name, &value))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "malformed ParameterStatus from the server");
	if (parameter_tracked(name))
		parameter_put(&login->parameters, parameter_tracked(name), value);
	if (!response_put_parameter_status(&login->welcome, WELCOME_MAX, name, value))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "the server reports too many parameters");
	return true;
}

static bool take_key(struct server_login *login, const struct message *message, struct error *error)
{
	const uint8_t *key;
	size_t size;
	if (!response_parse_backend_key_data(message->body, message->size, &login->process_id, &key,
					     &size) ||
	    size > sizeof login->key)
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "malformed BackendKeyData from the server");
	memcpy(login->key, key, size);
	login->key_size = (uint16_t)size;
	return true;
}

enum server_login_step server_login_message(struct server_login *login,
					    const struct message *message, struct buffer **out,
					    struct error *error)
{
	char severity[16];
	bool well;
	if (message->type == MESSAGE_NEGOTIATE_PROTOCOL_VERSION) {
		well = negotiate(login, message, error);
		login->has_heard = true;
		return well ? SERVER_LOGIN_MORE : SERVER_LOGIN_BROKEN;
	}
	bool is_first = !login->has_heard;
	login->has_heard = true;
	switch (message->type) {
	case MESSAGE_AUTHENTICATION:
		well = authenticate(login, message, out, error);
		break;
	case MESSAGE_ERROR_RESPONSE:
		if (!response_parse_error(message->body, message->size, severity, error) ||
		    !*error->message)
			error_set(error, SQLSTATE_CONNECTION_FAILURE,
				  "the server refused the login without a reason");
		login->has_heard = !is_first || !is_about_protocol(error);
		return SERVER_LOGIN_REFUSED;
	case MESSAGE_NOTICE_RESPONSE:
		well = true;
		break;
	case MESSAGE_PARAMETER_STATUS:
		well = login->authenticated ? take_parameter(login, message, error)
					    : error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
							"ParameterStatus before authentication");
		break;
	case MESSAGE_BACKEND_KEY_DATA:
		well = login->authenticated ? take_key(login, message, error)
					    : error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
							"BackendKeyData before authentication");
		break;
	case MESSAGE_READY_FOR_QUERY:
		if (login->authenticated && !login->ready && message->size == 1 &&
		    message->body[0] == 'I') {
			login->ready = true;
			return SERVER_LOGIN_DONE;
		}
		well = error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "unexpected ReadyForQuery from the server");
		break;
	default:
		well = error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "unexpected message '%c' from the server during login",
				 message->type >= ' ' && message->type < 127 ? message->type : '?');
	}
	if (!well)
		return SERVER_LOGIN_BROKEN;
	bool derives = login->must_derive;
	login->must_derive = false;
	return derives ? SERVER_LOGIN_DERIVE : SERVER_LOGIN_MORE;
}
