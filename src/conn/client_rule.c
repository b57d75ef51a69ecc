/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_rule.h"
#include <string.h>
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_login.h"
#include "core/log.h"
#include "core/memory.h"

static const struct client_rule_ops *ops;

void client_rule_open(const struct client_rule_ops *new_ops)
{
	ops = new_ops;
}

bool client_rule_has_address(const struct client *client, const struct address *addresses,
			     unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (address_is_equal(&addresses[i], &client->endpoint.remote))
			return true;
	return false;
}

static struct hba_subject subject_of(const struct client *client)
{
	const struct client_login *login = client->login;
	return (struct hba_subject){
		.database = login->database,
		.user = client_login_sent_name(login),
		.remote = &client->endpoint.remote,
		.is_tls = stream_tls(&client->endpoint.stream) != NULL,
		.is_physical_replication = login->replication == REPLICATION_PHYSICAL,
	};
}

/* What a rule asks for cannot be known now. */
static void cannot_answer(struct client *client, const char *question, const char *why)
{
	struct client_login *login = client->login;
	log_warning(client_subject(client), "login refused: a rule asks for %s \"%s\": %s",
		    question, login->search.text, why);
	hba_answer(&login->search, HBA_REPLY_FAILED);
	client_rule_find(client);
}

static void answer_rule(struct client *client, enum hba_reply reply)
{
	hba_answer(&client->login->search, reply);
	client_rule_find(client);
}

static void name_answered(struct resolver_query *query, const struct address *addresses,
			  unsigned count, const struct error *error)
{
	struct client_login *login = container_of(query, struct client_login, lookup);
	struct client *client = login->client;
	if (count > 0) {
		answer_rule(client, client_rule_has_address(client, addresses, count)
					    ? HBA_REPLY_YES
					    : HBA_REPLY_NO);
	} else if (query->is_absent) {
		log_debug(client_subject(client), "host name \"%s\" of a rule: %s",
			  login->search.text, error->message);
		answer_rule(client, HBA_REPLY_NO_SUCH_NAME);
	} else {
		cannot_answer(client, "host", error->message);
	}
}

/* The name of the client's address, for a rule that says ".suffix"; it counts only if it has that
 * address. */
static void suffix_answered(struct resolver_query *query, const struct address *addresses,
			    unsigned count, const struct error *error)
{
	struct client_login *login = container_of(query, struct client_login, lookup);
	if (count == 0) {
		name_answered(query, addresses, 0, error);
	} else if (hba_name_has(query->found, login->search.text)) {
		login->lookup.callback = name_answered;
		resolver_lookup_once(&login->lookup, query->found);
	} else {
		answer_rule(login->client, HBA_REPLY_NO);
	}
}

static void ask_name(struct client *client)
{
	struct client_login *login = client->login;
	if (*login->search.text == '.') {
		login->lookup.callback = suffix_answered;
		resolver_lookup_name(&login->lookup, &client->endpoint.remote);
	} else {
		login->lookup.callback = name_answered;
		resolver_lookup(&login->lookup, login->search.text);
	}
}

static void role_answered(struct auth_query_wish *wish, const struct auth_query_answer *answer)
{
	struct client *client = container_of(wish, struct client_login, wish)->client;
	if (answer->result == AUTH_QUERY_FAILED)
		cannot_answer(client, "members of role", answer->error->message);
	else
		answer_rule(client, answer->result == AUTH_QUERY_FOUND && answer->secret
					    ? HBA_REPLY_YES
					    : HBA_REPLY_NO);
}

static void ask_role(struct client *client)
{
	struct client_login *login = client->login;
	struct auth_query query;
	struct error error;
	if (auth_query_find(login->database, login->user, &query, &error)) {
		query.sql = settings_current()->auth_group_query;
		query.role = login->search.text;
		login->wish.answered = role_answered;
		auth_query_ask(&login->wish, &query, false);
	} else if (*error.message) {
		cannot_answer(client, "members of role", error.message);
	} else {
		cannot_answer(client, "members of role",
			      *query.login ? "the console and unknown databases have no roles; "
					     "auth_dbname says where else to ask"
					   : "that needs auth_user");
	}
}

void client_rule_find(struct client *client)
{
	struct client_login *login = client->login;
	const struct hba_rule *rule;
	const struct hba_subject subject = subject_of(client);
	const struct hba *hba = snapshot_current()->hba;
	switch (hba ? hba_next(hba, &login->search, &subject, &rule) : HBA_NO_MATCH) {
	case HBA_MATCH:
		ops->found(client, rule);
		break;
	case HBA_NO_MATCH:
		ops->none(client);
		break;
	case HBA_UNANSWERED:
		ops->unknown(client);
		break;
	case HBA_ASKS_NAME:
		ask_name(client);
		break;
	case HBA_ASKS_GROUP:
		ask_role(client);
	}
}

char *client_rule_demand(const struct hba_rule *rule)
{
	return memory_printf("%s %s", rule->auth_method,
			     rule->options_shown ? rule->options_shown : "");
}

bool client_rule_still_demands(struct client *client, const char *demand)
{
	const struct hba *hba = snapshot_current()->hba;
	const struct hba_subject subject = subject_of(client);
	const struct hba_rule *rule;
	if (hba && hba_is_searched(hba, &client->login->search))
		return true;
	if (!hba || hba_next(hba, &client->login->search, &subject, &rule) != HBA_MATCH)
		return false;
	char *now = client_rule_demand(rule);
	bool is_same = !strcmp(now, demand);
	memory_free(&now);
	return is_same;
}
