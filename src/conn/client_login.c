/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_login.h"
#include <string.h>
#include <strings.h>
#include "auth/md5.h"
#include "config/settings.h"
#include "conn/cancel.h"
#include "conn/client_check.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include "proto/authentication.h"
#include "proto/options.h"

enum { NAME_MAX_DATABASE = 63, NAME_MAX_USER = 127 };

struct client_login *client_login_new(struct client *client)
{
	struct client_login *login = memory_alloc(sizeof *login);
	login->client = client;
	login->secret_size = CANCEL_SECRET;
	hba_search_init(&login->search);
	login->parameters = parameter_empty();
	return login;
}

void client_login_take_secret(struct client_login *login, const struct secret *secret)
{
	if (login->secret.text)
		memory_erase((char *)(uintptr_t)login->secret.text, strlen(login->secret.text));
	memory_free(&login->secret.text);
	login->secret = secret ? *secret : (struct secret){.kind = SECRET_NONE};
	if (login->secret.text)
		login->secret.text = memory_strdup(login->secret.text);
}

void client_login_free(struct client_login **login)
{
	struct client_login *l = *login;
	if (!l)
		return;
	auth_query_cancel(&l->wish);
	resolver_cancel(&l->lookup);
	loop_timer_fini(&l->delay);
	client_check_abandon(&l->check);
	derive_abandon(&l->derive);
	system_user_abandon(&l->system_user);
	hba_search_fini(&l->search);
	memory_free(&l->demand);
	memory_free(&l->map);
	memory_free(&l->mapped);
	if (l->began_sasl)
		scram_server_fini(&l->scram);
	parameter_release(&l->parameters);
	client_login_take_secret(l, NULL);
	memory_free_secret(&l->password);
	memory_free_secret(&l->answer);
	memory_free(&l->service);
	memory_free(&l->host_name);
	ldap_options_release(&l->ldap);
	memory_free(&l->user);
	memory_free(&l->sent_user);
	memory_free(&l->database);
	memory_free(&l->failure);
	memory_free(&l->startup);
	memory_free(login);
}

/* ---- the start-up packet ---- */

struct take {
	struct client_login *login;
	const struct settings *settings;
	struct parameter_values values; /* bytes of the packet; not yet in the login's set */
	char words[STARTUP_MAX];	/* of its options */
};

/* Not to be had later in a session, or not to be taken back: what a transaction begins with, who
 * one is, where chance begins. */
static bool is_never_applied(const char *name)
{
	static const char *const names[] = {"transaction_isolation", "transaction_read_only",
					    "transaction_deferrable", "session_authorization",
					    "seed"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (text_equals_nocase(names[i], name))
			return true;
	return false;
}

/* One that PostgreSQL is to judge. What cannot be a name goes into no SQL. */
static bool take_extra(struct take *take, const char *name, const char *value, struct error *error)
{
	char printable[128];
	if (!text_is_qualified_name(name))
		return error_set(error, SQLSTATE_UNDEFINED_OBJECT,
				 "unrecognized configuration parameter \"%s\"",
				 text_printable(name, printable, sizeof printable));
	return parameter_note_extra(&take->values, name, value) ||
	       error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
			 "too many startup parameters: at most %d are applied",
			 PARAMETER_EXTRAS_MAX);
}

static bool refuse(const char *name, bool in_options, struct error *error)
{
	char printable[128];
	text_printable(name, printable, sizeof printable);
	return in_options ? error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				      "unsupported startup parameter in options: %s", printable)
			  : error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				      "unsupported startup parameter: %s", printable);
}

static bool take_value(struct take *take, const char *name, const char *value, bool in_options,
		       struct error *error)
{
	if (parameter_note(&take->values, name, value) ||
	    text_list_has(take->settings->ignore_startup_parameters, name))
		return true;
	if (take->settings->startup_parameters == STARTUP_PARAMETERS_APPLY &&
	    !is_never_applied(name))
		return take_extra(take, name, value, error);
	return refuse(name, in_options, error);
}

static bool ignores_options(const struct take *take)
{
	return text_list_has(take->settings->ignore_startup_parameters, "options");
}

static bool take_option(void *context, const char *name, const char *value, struct error *error)
{
	struct take *take = context;
	if (ignores_options(take)) {
		parameter_note(&take->values, name, value);
		return true;
	}
	return take_value(take, name, value, true, error);
}

/* Where options are ignored, what cannot be understood in there does not matter. */
static bool take_options(struct take *take, const char *options, struct error *error)
{
	struct error why;
	return options_walk(options, take->words, take_option, take, &why) ||
	       ignores_options(take) || (*error = why, false);
}

static bool replace(char **field, const char *value)
{
	memory_free(field);
	*field = memory_strdup(value);
	return true;
}

/* A prefix of a word means the word, as parse_bool() of PostgreSQL has it. */
static bool begins(const char *word, const char *value, size_t least)
{
	size_t length = strlen(value);
	return length >= least && length <= strlen(word) && !strncasecmp(word, value, length);
}

static bool take_replication(struct client_login *login, const char *value, struct error *error)
{
	char printable[128];
	if (!strcmp(value, "database"))
		login->replication = REPLICATION_LOGICAL;
	else if (begins("true", value, 1) || begins("yes", value, 1) || begins("on", value, 2) ||
		 !strcmp(value, "1"))
		login->replication = REPLICATION_PHYSICAL;
	else if (begins("false", value, 1) || begins("no", value, 1) || begins("off", value, 2) ||
		 !strcmp(value, "0"))
		login->replication = REPLICATION_NONE;
	else {
		error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE,
			  "invalid value for parameter \"replication\": \"%s\"",
			  text_printable(value, printable, sizeof printable));
		return error_hint(error,
				  "Valid values are: \"false\", 0, \"true\", 1, \"database\".");
	}
	return true;
}

/* Most names differ in the first letter. */
static inline bool is(const char *name, const char *word)
{
	return *name == *word && !strcmp(name, word);
}

/* Who it is, where it wants to go and for what; *@options: the value of that one. */
static bool take_names(struct client_login *login, const char *parameters, const char **options,
		       struct error *error)
{
	const char *cursor = parameters, *name, *value;
	while (startup_next_parameter(&cursor, &name, &value)) {
		bool well = true;
		if (is(name, "user"))
			well = strlen(value) > NAME_MAX_USER
				       ? error_set(error,
						   SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
						   "username too long")
				       : replace(&login->user, value);
		else if (is(name, "database"))
			well = strlen(value) > NAME_MAX_DATABASE
				       ? error_set(error, SQLSTATE_INVALID_CATALOG_NAME,
						   "database name too long")
				       : replace(&login->database, value);
		else if (is(name, "replication"))
			well = take_replication(login, value, error);
		else if (is(name, "options"))
			*options = value;
		if (!well)
			return false;
	}
	/* The server that it gets for itself judges all the rest; @cursor is at the NUL that ends
	 * them. */
	if (login->replication) {
		login->startup_size = (size_t)(cursor - parameters) + 1;
		login->startup = memory_dup(parameters, login->startup_size);
	}
	return true;
}

static bool is_taken(const char *name)
{
	/* "_pq_." names are protocol options: answered by NegotiateProtocolVersion, not refused. */
	return is(name, "user") || is(name, "database") || is(name, "replication") ||
	       is(name, "options") || !strncmp(name, "_pq_.", 5);
}

/* As in PostgreSQL, what is inside options gives way to what stands beside them. */
static bool take_values(struct take *take, const char *parameters, const char *options,
			struct error *error)
{
	const char *cursor = parameters, *name, *value;
	if (!take_options(take, options, error))
		return false;
	while (startup_next_parameter(&cursor, &name, &value))
		if (!is_taken(name) && !take_value(take, name, value, false, error))
			return false;
	parameter_put_values(&take->login->parameters, &take->values);
	return true;
}

bool client_login_startup(struct client_login *login, const struct startup *startup,
			  const struct settings *settings, struct error *error)
{
	const char *options = "";
	struct take take;
	take.login = login;
	take.settings = settings;
	take.values = (struct parameter_values){0};
	if (!take_names(login, startup->parameters, &options, error) ||
	    (!login->replication && !take_values(&take, startup->parameters, options, error)))
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

static enum client_login_step asks(struct client_login *login, enum client_login_exchange exchange,
				   bool was_put, struct error *error)
{
	login->exchange = exchange;
	return was_put ? CLIENT_LOGIN_MORE : failed(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
}

static enum client_login_step begin_scram(struct client_login *login, unsigned iterations,
					  struct buffer **out, struct error *error)
{
	static const char *const plain[] = {SCRAM_NAME, NULL};
	static const char *const bound[] = {SCRAM_PLUS_NAME, SCRAM_NAME, NULL};
	scram_server_init(&login->scram, &login->secret, login->user, iterations, login->binding,
			  login->binding_size);
	login->secret.scram = NULL; /* the list may be gone when the answer comes */
	login->began_sasl = true;
	return asks(login, EXCHANGE_SASL_FIRST,
		    authentication_put_sasl(out, CLIENT_LOGIN_OUT_MAX,
					    login->binding_size ? bound : plain),
		    error);
}

enum client_login_step client_login_begin(struct client_login *login, unsigned iterations,
					  bool mock_is_scram, struct buffer **out,
					  struct error *error)
{
	bool is_scram = login->secret.kind == SECRET_NONE ? mock_is_scram
							  : login->secret.kind == SECRET_SCRAM;
	if (login->method != AUTH_SCRAM_SHA_256 && !(login->method == AUTH_MD5 && is_scram))
		login->secret.scram = NULL; /* the list may be gone when the answer comes */
	switch (login->method) {
	case AUTH_MD5:
		if (is_scram)
			return begin_scram(login, iterations, out, error);
		random_bytes(login->salt, sizeof login->salt);
		return asks(login, EXCHANGE_MD5,
			    authentication_put_md5(out, CLIENT_LOGIN_OUT_MAX, login->salt), error);
	case AUTH_SCRAM_SHA_256:
		return begin_scram(login, iterations, out, error);
	default: /* plain, pam, ldap */
		return asks(login, EXCHANGE_PASSWORD,
			    authentication_put_cleartext(out, CLIENT_LOGIN_OUT_MAX), error);
	}
}

bool client_login_mismatch(const struct client_login *login, struct error *error)
{
	const char *refusal = method_get(login->method)->refusal;
	if (refusal)
		return error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, "%s",
				 refusal);
	return error_set(error, SQLSTATE_INVALID_PASSWORD, "%s",
			 login->began_sasl ? "SASL authentication failed"
					   : "password authentication failed");
}

const char *client_login_sent_name(const struct client_login *login)
{
	return login->sent_user ? login->sent_user : login->user;
}

bool client_login_answer_fits(const struct client_login *login)
{
	/* It hashed its password with the name that it knows. */
	return login->answer && md5_verify(&login->secret, client_login_sent_name(login),
					   login->salt, login->answer);
}

static enum client_login_step answer_md5(struct client_login *login, const char *answer,
					 struct error *error)
{
	memory_free_secret(&login->answer);
	login->answer = memory_strdup(answer);
	if (client_login_answer_fits(login))
		return CLIENT_LOGIN_PROVEN;
	client_login_mismatch(login, error);
	return CLIENT_LOGIN_FAILED;
}

static enum client_login_step answer_password(struct client_login *login,
					      const struct message *message, struct error *error)
{
	const char *password;
	if (!authentication_parse_password(message->body, message->size, &password))
		return failed(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed password message");
	if (!*password)
		return failed(error, SQLSTATE_INVALID_PASSWORD,
			      "empty password returned by client");
	if (login->exchange == EXCHANGE_MD5)
		return answer_md5(login, password, error);
	if (strlen(password) > SECRET_LENGTH_MAX) {
		client_login_mismatch(login, error);
		return CLIENT_LOGIN_FAILED;
	}
	login->password = memory_strdup(password);
	return CLIENT_LOGIN_CHECK;
}

static enum client_login_step answer_sasl_first(struct client_login *login,
						const struct message *message, struct buffer **out,
						struct error *error)
{
	char reply[SCRAM_MESSAGE_MAX];
	const char *mechanism;
	const uint8_t *data;
	size_t size;
	if (!authentication_parse_sasl_initial(message->body, message->size, &mechanism, &data,
					       &size) ||
	    !data)
		return failed(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed SASL message");
	bool is_plus = !strcmp(mechanism, SCRAM_PLUS_NAME);
	if (is_plus ? !login->binding_size : strcmp(mechanism, SCRAM_NAME) != 0)
		return failed(error, SQLSTATE_PROTOCOL_VIOLATION,
			      "client selected an invalid SASL authentication mechanism");
	if (!scram_server_first(&login->scram, is_plus, data, size, reply, error))
		return CLIENT_LOGIN_FAILED;
	return asks(
		login, EXCHANGE_SASL_FINAL,
		authentication_put_sasl_continue(out, CLIENT_LOGIN_OUT_MAX, reply, strlen(reply)),
		error);
}

static enum client_login_step answer_sasl_final(struct client_login *login,
						const struct message *message, struct buffer **out,
						struct error *error)
{
	char reply[SCRAM_MESSAGE_MAX];
	if (!scram_server_final(&login->scram, message->body, message->size, reply, error))
		return CLIENT_LOGIN_FAILED;
	if (!authentication_put_sasl_final(out, CLIENT_LOGIN_OUT_MAX, reply, strlen(reply)))
		return failed(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	return CLIENT_LOGIN_PROVEN;
}

enum client_login_step client_login_answer(struct client_login *login,
					   const struct message *message, struct buffer **out,
					   struct error *error)
{
	switch (login->exchange) {
	case EXCHANGE_PASSWORD:
	case EXCHANGE_MD5:
		return answer_password(login, message, error);
	case EXCHANGE_SASL_FIRST:
		return answer_sasl_first(login, message, out, error);
	case EXCHANGE_SASL_FINAL:
		return answer_sasl_final(login, message, out, error);
	case EXCHANGE_NONE:
		break;
	}
	return failed(error, SQLSTATE_PROTOCOL_VIOLATION,
		      "client password pkt before startup packet");
}
