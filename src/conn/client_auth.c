/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_auth.h"
#include <string.h>
#include "auth/ban.h"
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_check.h"
#include "conn/client_login.h"
#include "conn/client_rule.h"
#include "conn/stranger.h"
#include "core/log.h"
#include "core/memory.h"
#include "net/tls_session.h"
#include "pool/registry.h"

enum {
	PASSWORD_MESSAGE_MAX = SECRET_LENGTH_MAX + 64, /* one byte too many is a wrong password */
};

static const struct client_auth_ops *ops;
void client_auth_close(void)
{
	ban_release();
}

/* ---- the end ---- */

static void refuse_now(struct loop_timer *timer)
{
	struct client_login *login = container_of(timer, struct client_login, delay);
	ops->refused(login->client, login->failure);
}

/* For the operator's eyes: the client is told the same in each case, and it takes as long. */
static void log_cause(const struct client *client)
{
	const struct client_login *login = client->login;
	enum secret_kind kind = login->secret.kind;
	bool by_secret = login->method == AUTH_PLAIN || login->method == AUTH_MD5 ||
			 login->method == AUTH_SCRAM_SHA_256;
	bool is_of_use =
		kind != SECRET_NONE && !(kind == SECRET_MD5 && login->method == AUTH_SCRAM_SHA_256);
	if (!by_secret)
		return;
	log_info(client_subject(client), "%s: %s",
		 !login->is_known ? "no such user"
		 : is_of_use	  ? "wrong password"
				  : "wrong password type",
		 login->user);
}

/* It could not prove who it is. */
static void fail(struct client *client, const struct error *error)
{
	const struct settings *settings = settings_current();
	struct client_login *login = client->login;
	login->exchange = EXCHANGE_NONE;
	if (!strcmp(error->sqlstate, sqlstate_code(SQLSTATE_INVALID_PASSWORD)))
		log_cause(client);
	registry_note_login_failure(login->database);
	ban_note_failure(&client->endpoint.remote, clock_now(), settings->auth_failure_window);
	if (settings->auth_failure_delay) {
		memory_free(&login->failure);
		login->failure = memory_dup(error, sizeof *error);
		loop_timer_init(&login->delay, refuse_now);
		loop_timer_set(&login->delay, clock_now() + settings->auth_failure_delay);
	} else {
		ops->refused(client, error);
	}
}

static void fail_with(struct client *client, enum sqlstate sqlstate, const char *text)
{
	struct error error;
	error_set(&error, sqlstate, "%s", text);
	fail(client, &error);
}

static void fail_method(struct client *client, const char *text)
{
	fail_with(client, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, text);
}

static void fail_unproven(struct client *client)
{
	struct error error;
	client_login_mismatch(client->login, &error);
	fail(client, &error);
}

/* Nothing that the client could have done better: it is not counted. */
static void cannot(struct client *client, const struct error *error)
{
	ops->refused(client, error);
}

/* auth_query did not answer. Why is in the log already, and no business of somebody who may be
 * anybody. */
static void cannot_ask(struct client *client)
{
	struct error error;
	error_set(&error, SQLSTATE_CONNECTION_FAILURE, "authentication query failed");
	cannot(client, &error);
}

static void refuse_busy(struct client *client)
{
	struct error error;
	error_set(&error, SQLSTATE_TOO_MANY_CONNECTIONS, "too many logins are waiting");
	cannot(client, &error);
}

/* Would auth_query be asked about it still? */
static bool is_asked_about(const struct client_login *login, const struct secret *listed)
{
	struct auth_query query;
	struct error error;
	return (!listed || listed->kind == SECRET_NONE) &&
	       auth_query_find(login->database, client_login_sent_name(login), &query, &error);
}

/* A RELOAD may have come since its secret was looked up: who was removed, or given another one,
 * does not get in. */
static bool is_still_listed(const struct client_login *login)
{
	const struct userlist *list = snapshot_current()->userlist;
	if (userlist_serial(list) == login->list_serial)
		return true;
	const struct secret *listed = userlist_find(list, client_login_sent_name(login));
	const char *text = login->secret.text ? login->secret.text : "";
	if (!login->is_known)
		return true; /* PAM and directories know users by themselves */
	if (login->was_queried)
		return is_asked_about(login, listed);
	if (!listed)
		return !*text && snapshot_user(snapshot_current(), login->user);
	return !strcmp(listed->text ? listed->text : "", text);
}

/* Has the one who is known to the system, or by his certificate, as @system_user the right to the
 * name that the client sent? */
static bool is_permitted(const struct client_login *login, const char *system_user)
{
	return ident_permits(snapshot_current()->ident, login->map, system_user,
			     client_login_sent_name(login));
}

/* A RELOAD may have come since its method was found: does the same one hold for it still? */
static bool is_method_the_same(struct client *client)
{
	const struct client_login *login = client->login;
	return snapshot_auth_type(snapshot_current(), login->database,
				  client_login_sent_name(login)) == login->auth_type &&
	       (login->auth_type != AUTH_HBA || client_rule_still_demands(client, login->demand)) &&
	       (!login->mapped || is_permitted(login, login->mapped));
}

static void proven(struct client *client, struct buffer **out)
{
	struct client_login *login = client->login;
	struct error error;
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	login->exchange = EXCHANGE_NONE;
	if (tls)
		tls_session_hide(tls, false);
	if (!is_method_the_same(client)) {
		log_info(client_subject(client),
			 "login refused: its way to log in was changed meanwhile");
		error_set(&error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, "login rejected");
		cannot(client, &error);
		return;
	}
	if (!is_still_listed(login)) {
		fail_unproven(client);
		return;
	}
	ops->proven(client, out);
}

/* ---- the exchange ---- */

static void ask_secret(struct client *client, bool fresh);

static bool asks_again(struct client *client)
{
	struct client_login *login = client->login;
	if (!login->was_cached)
		return false;
	login->was_cached = false;
	login->has_asked_again = true;
	ask_secret(client, true);
	return true;
}

/* A secret that was cached did not match: it may have been changed meanwhile. It is fetched anew,
 * once, unless it was within the last second, for this login if its answer can be held against it,
 * and for the next. */
static bool refreshes(struct client *client)
{
	struct client_login *login = client->login;
	bool has_answered = login->began_sasl || login->password || login->answer;
	if (!has_answered) /* an empty password is none, whatever the secret */
		return false;
	return asks_again(client);
}

static void mismatch(struct client *client)
{
	struct error error;
	client_login_mismatch(client->login, &error);
	if (!refreshes(client))
		fail(client, &error);
}

/* It is the service's failure, not the client's. */
static void cannot_check(struct client *client, const struct error *why)
{
	struct error error;
	log_warning(client_subject(client), "%s%s%s", why->message, *why->detail ? ": " : "",
		    why->detail);
	client_login_mismatch(client->login, &error);
	cannot(client, &error);
}

static void checked(void *context, bool well, const struct error *why)
{
	struct client *client = context;
	struct buffer *out = NULL;
	client->login->check = NULL;
	bool has_verdict =
		!*why->sqlstate || !strcmp(why->sqlstate, sqlstate_code(SQLSTATE_INVALID_PASSWORD));
	if (well) {
		proven(client, &out);
	} else if (has_verdict) {
		if (*why->detail)
			log_info(client_subject(client), "%s: %s", why->message, why->detail);
		mismatch(client);
	} else {
		cannot_check(client, why);
	}
	buffer_free(&out);
}

/* The password that the client typed is checked, in a thread if that may take long. */
static void check(struct client *client)
{
	struct client_login *login = client->login;
	const struct error nothing = {0};
	char host[ADDRESS_TEXT];
	bool well;
	struct client_check_request request = {
		.method = login->method,
		.user = login->user,
		.password = login->password,
		.secret = login->secret,
		.mock_iterations = stranger_is_scram() ? stranger_iterations(false) : 0,
		.remote_host = login->host_name ? login->host_name
						: address_host(&client->endpoint.remote, host),
		.service = login->service ? login->service : settings_current()->auth_pam_service,
		.ldap = login->ldap ? login->ldap : snapshot_current()->ldap,
	};
	if (login->method == AUTH_LDAP && !request.ldap) {
		fail_method(client, "auth_ldap_options is null");
		return;
	}
	switch (client_check_begin(&request, checked, client, &login->check, &well)) {
	case CLIENT_CHECK_NOW:
		checked(client, well, &nothing);
		break;
	case CLIENT_CHECK_LATER:
		break;
	case CLIENT_CHECK_BUSY:
		refuse_busy(client);
	}
}

static void step(struct client *client, enum client_login_step step, struct buffer **out,
		 const struct error *error)
{
	switch (step) {
	case CLIENT_LOGIN_PROVEN:
		proven(client, out);
		break;
	case CLIENT_LOGIN_FAILED:
		client->login->exchange = EXCHANGE_NONE;
		if (strcmp(error->sqlstate, sqlstate_code(SQLSTATE_INVALID_PASSWORD)) != 0 ||
		    !refreshes(client))
			fail(client, error);
		break;
	case CLIENT_LOGIN_CHECK:
		client->login->exchange = EXCHANGE_NONE;
		check(client);
		break;
	case CLIENT_LOGIN_MORE:
		if (buffer_length(*out))
			client_send(client, out);
	}
}

static void begin_exchange(struct client *client);

static void derived(void *context, const struct scram_derivation *derivation)
{
	struct client *client = context;
	client->login->derive = NULL;
	client->login->has_derived = true;
	if (derivation->failed) /* nobody has this password: as if it were not there */
		client_login_take_secret(client->login, NULL);
	begin_exchange(client);
}

/* The keys of a password in plain text, if they are not there from the last login. Where auth_query
 * answers such passwords, it is done for everybody whom it was asked for: otherwise the first login
 * with a name would tell whether somebody has it. */
static bool must_derive(const struct client_login *login, struct scram_derivation *derivation)
{
	static const char nobodys[] = "a password of the usual length";
	uint32_t iterations = (uint32_t)settings_current()->scram_iterations;
	const char *password = NULL;
	if (login->secret.kind == SECRET_PLAIN)
		password = login->secret.text;
	else if (login->was_queried && stranger_may_be_plain())
		password = nobodys;
	return login->method == AUTH_SCRAM_SHA_256 && password && !login->has_derived &&
	       !(password == login->secret.text && scram_has_made(&login->secret, iterations)) &&
	       scram_server_derivation(password, login->user, iterations, derivation);
}

/* What the exchange uses was made from a plain secret of auth_file: the user's next login finds it
 * there. */
static void keep_made(const struct client_login *login)
{
	struct userlist *list = snapshot_current()->userlist;
	if (login->began_sasl && login->secret.kind == SECRET_PLAIN && !login->was_queried &&
	    !login->scram.doomed && userlist_serial(list) == login->list_serial)
		userlist_keep_scram(list, login->user, &login->scram.secret);
}

/* What SCRAM binds the exchange to, in TLS. */
static void find_binding(struct client *client)
{
	struct client_login *login = client->login;
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	if (tls && (login->method == AUTH_SCRAM_SHA_256 || login->method == AUTH_MD5))
		login->binding_size = tls_session_end_point(tls, login->binding);
}

static void begin_exchange(struct client *client)
{
	unsigned iterations =
		client->login->secret.kind == SECRET_PLAIN
			? (unsigned)settings_current()->scram_iterations
			: stranger_iterations(client->login->method == AUTH_SCRAM_SHA_256);
	bool has_made = scram_has_made(&client->login->secret, iterations);
	struct scram_derivation derivation;
	if (must_derive(client->login, &derivation)) {
		client->login->secret.scram = NULL; /* the list may be gone when it is done */
		client->login->derive = derive_begin(&derivation, derived, client);
		if (!client->login->derive)
			refuse_busy(client);
		return;
	}
	struct buffer *out = NULL;
	struct error error;
	find_binding(client);
	enum client_login_step first =
		client_login_begin(client->login, iterations, stranger_is_scram(), &out, &error);
	if (!has_made)
		keep_made(client->login);
	step(client, first, &out, &error);
	buffer_free(&out);
	if (client->endpoint.held && client_auth_awaits(client))
		client_fail(client, SQLSTATE_PROTOCOL_VIOLATION,
			    "client password pkt before startup packet");
}

/* ---- is there such a user? ---- */

/* @client's secret is known now, or that it has none. */
static void user_known(struct client *client)
{
	struct client_login *login = client->login;
	struct buffer *out = NULL;
	if (login->password) { /* the second look, after a mismatch */
		check(client);
		return;
	}
	switch (login->method) {
	case AUTH_TRUST:
	case AUTH_CERT:
	case AUTH_PEER: /* nothing is left to be proven but that there is such a user */
		if (login->is_known)
			proven(client, &out);
		else if (!asks_again(client))
			fail_unproven(client);
		break;
	default:
		begin_exchange(client);
	}
	buffer_free(&out);
}

/* auth_query_wish.answered */
static void secret_answered(struct auth_query_wish *wish, const struct auth_query_answer *answer)
{
	struct client_login *login = container_of(wish, struct client_login, wish);
	struct client *client = login->client;
	struct error error;
	struct buffer *out = NULL;
	bool is_second = login->began_sasl || login->password || login->answer;
	if (answer->result == AUTH_QUERY_FAILED) {
		cannot_ask(client);
		return;
	}
	login->was_queried = true;
	login->was_cached = answer->was_cached && !login->has_asked_again;
	login->is_known = answer->result == AUTH_QUERY_FOUND;
	const struct secret fetched = secret_from_text(answer->secret);
	client_login_take_secret(login, login->is_known ? &fetched : NULL);
	if (!answer->was_cached)
		stranger_note_queried(&login->secret);
	if (login->is_known && strcmp(login->user, answer->user) != 0) {
		if (login->sent_user)
			memory_free(&login->user);
		else
			login->sent_user = login->user;
		login->user = memory_strdup(answer->user);
	}
	if (is_second && login->is_known && client_login_answer_fits(login)) {
		proven(client, &out);
		buffer_free(&out);
		return;
	}
	if (is_second && !login->password) { /* nothing to hold it against; the next login has it */
		client_login_mismatch(login, &error);
		fail(client, &error);
		return;
	}
	user_known(client);
}

static void ask_secret(struct client *client, bool fresh)
{
	struct client_login *login = client->login;
	struct auth_query query;
	struct error error;
	const char *user = client_login_sent_name(login);
	bool is_set_up = auth_query_find(login->database, user, &query, &error);
	/* auth_user itself is in auth_file, or nowhere. */
	if (is_set_up && strcmp(query.login, user) != 0) {
		login->wish.answered = secret_answered;
		auth_query_ask(&login->wish, &query, fresh);
	} else if (*error.message) {
		cannot(client, &error);
	} else if (fresh) { /* not set up any more */
		fail_unproven(client);
	} else {
		user_known(client);
	}
}

static void find_user(struct client *client)
{
	struct client_login *login = client->login;
	const struct userlist *list = snapshot_current()->userlist;
	const struct secret *secret = userlist_find(list, login->user);
	login->list_serial = userlist_serial(list);
	/* A row of [users] is as good as a listed name without a secret. */
	login->is_known = secret || snapshot_user(snapshot_current(), login->user);
	if (secret)
		client_login_take_secret(login, secret);
	/* Someone without a secret may have one in the database. */
	if (secret && secret->kind != SECRET_NONE)
		user_known(client);
	else
		ask_secret(client, false);
}

/* ---- methods that look at the connection ---- */

/* ... who is remembered then: a RELOAD may bring another map. */
static bool is_mapped(struct client_login *login, const char *system_user)
{
	if (!is_permitted(login, system_user))
		return false;
	memory_free(&login->mapped);
	login->mapped = memory_strdup(system_user);
	return true;
}

static void system_user_found(void *context, const char *name)
{
	struct client *client = context;
	client->login->system_user = NULL;
	if (name && is_mapped(client->login, name))
		find_user(client);
	else
		fail_unproven(client);
}

static void begin_peer(struct client *client)
{
	struct client_login *login = client->login;
	if (!address_is_unix(&client->endpoint.remote)) {
		fail_unproven(client);
		return;
	}
	login->system_user =
		system_user_find(client->endpoint.remote.unix_peer.uid, system_user_found, client);
	if (!login->system_user)
		refuse_busy(client);
}

/* Has it shown a valid certificate whose name is the user's, or mapped to it? */
static bool has_certificate(const struct client *client)
{
	char name[1024];
	struct client_login *login = client->login;
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	return tls && tls_session_peer_is_verified(tls) &&
	       (login->wants_subject ? tls_session_peer_subject(tls, name, sizeof name)
				     : tls_session_peer_name(tls, name, sizeof name)) &&
	       is_mapped(login, name);
}

static bool forces_user(const char *database)
{
	const struct section_database *row = snapshot_row(snapshot_current(), database);
	return row && row->user;
}

/* ---- the name of a client's host ---- */

/* Who says what an address is called may say anything: PAM is told a name only if it has that
 * address. Else it is told the address, as when there is no name or nobody who knows it. */
static void host_answered(struct resolver_query *query, const struct address *addresses,
			  unsigned count, const struct error *error)
{
	struct client_login *login = container_of(query, struct client_login, lookup);
	(void)error;
	if (count > 0 && !login->host_name) {
		login->host_name = memory_strdup(query->found);
		resolver_lookup_once(&login->lookup, login->host_name);
		return;
	}
	if (!client_rule_has_address(login->client, addresses, count))
		memory_free(&login->host_name);
	begin_exchange(login->client);
}

static void begin_pam(struct client *client)
{
	struct client_login *login = client->login;
	if (!login->wants_host_name || address_is_unix(&client->endpoint.remote)) {
		begin_exchange(client);
		return;
	}
	login->lookup.callback = host_answered;
	resolver_lookup_name(&login->lookup, &client->endpoint.remote);
}

/* The method is known. */
static void begin_method(struct client *client)
{
	struct client_login *login = client->login;
	struct buffer *out = NULL;
	switch (login->method) {
	case AUTH_REJECT:
		fail_method(client, "login rejected");
		break;
	case AUTH_ANY:
		/* At the console everybody may look, and admin_users by name. */
		if (registry_is_console_name(login->database) || forces_user(login->database))
			proven(client, &out);
		else
			fail_method(client, "bouncer config error");
		break;
	case AUTH_PEER:
		begin_peer(client);
		break;
	case AUTH_CERT:
		if (has_certificate(client))
			find_user(client);
		else
			fail_unproven(client);
		break;
	case AUTH_PAM:
		begin_pam(client);
		break;
	case AUTH_LDAP: /* it knows users by itself, as PAM does */
		begin_exchange(client);
		break;
	default:
		find_user(client);
	}
	buffer_free(&out);
}

/* ---- which method? ---- */

static char *copy(const char *text)
{
	return text ? memory_strdup(text) : NULL;
}

/* client_rule_ops.found. The rule may be gone by the next message. */
static void take_rule(struct client *client, const struct hba_rule *rule)
{
	struct client_login *login = client->login;
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	struct error error;
	login->method = rule->method;
	login->demand = client_rule_demand(rule);
	login->map = copy(rule->map);
	login->wants_subject = rule->uses_distinguished_name;
	login->service = copy(rule->pam_service);
	login->wants_host_name = rule->pam_use_hostname;
	if (rule->method == AUTH_LDAP) {
		login->ldap = snapshot_rule_ldap(rule, &error);
		if (!login->ldap) {
			log_warning(client_subject(client), "%s:%u: %s", rule->file_name,
				    rule->line_number, error.message);
			client_login_mismatch(login, &error);
			cannot(client, &error);
			return;
		}
	}
	bool has_valid = tls && tls_session_peer_is_verified(tls);
	bool well =
		rule->client_certificate == HBA_CERTIFICATE_OPTIONAL ||
		(rule->client_certificate == HBA_CERTIFICATE_VERIFY_CA ? has_valid
								       : has_certificate(client));
	if (well || rule->method == AUTH_REJECT)
		begin_method(client);
	else
		fail_method(client, has_valid ? method_get(AUTH_CERT)->refusal
					      : "connection requires a valid client certificate");
}

static const char no_method[] = "no authentication method is found";

/* client_rule_ops.none */
static void rule_none(struct client *client)
{
	fail_method(client, no_method);
}

/* client_rule_ops.unknown */
static void rule_unknown(struct client *client)
{
	struct error error;
	error_set(&error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION, "%s", no_method);
	cannot(client, &error);
}

static bool is_banned(const struct client *client)
{
	const struct settings *settings = settings_current();
	return ban_holds(&client->endpoint.remote, clock_now(), settings->auth_failure_limit,
			 settings->auth_failure_window);
}

static void refuse_banned(struct client *client)
{
	struct error error;
	error_set(&error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
		  "too many failed logins from this address");
	ops->refused(client, &error);
}

void client_auth_open(const struct client_auth_ops *new_ops)
{
	static const struct client_rule_ops rule_ops = {
		.found = take_rule, .none = rule_none, .unknown = rule_unknown};
	ops = new_ops;
	client_rule_open(&rule_ops);
}

void client_auth_begin(struct client *client, struct buffer **out)
{
	struct client_login *login = client->login;
	if (is_banned(client)) {
		refuse_banned(client);
		return;
	}
	const struct tls_session *tls = stream_tls(&client->endpoint.stream);
	if (tls)
		tls_session_hide(tls, true); /* a password comes */
	client_send(client, out);
	if (client->state == CLIENT_CLOSING) /* it is gone, and its login with it */
		return;
	login->auth_type = snapshot_auth_type(snapshot_current(), login->database, login->user);
	login->method = login->auth_type;
	if (login->auth_type == AUTH_HBA)
		client_rule_find(client);
	else
		begin_method(client);
}

void client_auth_answer(struct client *client, const struct message *message)
{
	struct buffer *out = NULL;
	struct error error;
	if (is_banned(client)) { /* others from there have failed meanwhile */
		refuse_banned(client);
		return;
	}
	enum client_login_step next = client_login_answer(client->login, message, &out, &error);
	step(client, next, &out, &error);
	buffer_free(&out);
}

bool client_auth_awaits(const struct client *client)
{
	return client->state == CLIENT_AUTH && client->login->exchange != EXCHANGE_NONE;
}

uint32_t client_auth_message_max(const struct client *client)
{
	return client->login->exchange == EXCHANGE_PASSWORD ? PASSWORD_MESSAGE_MAX : STARTUP_MAX;
}

const char *client_auth_waits_for(const struct client *client)
{
	return client->login ? auth_query_waits_for(&client->login->wish) : NULL;
}
