/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_feature.h"
#include <string.h>
#include "config/feature.h"
#include "config/snapshot.h"
#include "client_priv.h"
#include "conn/prepared_sql.h"
#include "core/log.h"
#include "proto/response.h"
#include "proto/sql.h"

static const struct {
	uint8_t trace;
	const char *what;
} features[] = {
#define FEATURE(name, trace, what, doc) {trace, what},
#include "config/features.def"
};

/* SET or RESET of what does not follow the client? */
static bool changes_session(const struct sql_statement *statement)
{
	return (statement->kind == SQL_SET || statement->kind == SQL_RESET) &&
	       !parameter_tracked(statement->parameter);
}

unsigned client_features_in(const struct client *client, const char *text, size_t size)
{
	struct sql_reader reader;
	struct sql_statement statement;
	unsigned found = 0;
	sql_reader_init(&reader, text, size, prepared_sql_dialect(client->parameters));
	while (sql_next_statement(&reader, &statement)) {
		if (changes_session(&statement))
			found |= 1u << FEATURE_set;
		for (int i = 0; i < FEATURE_COUNT; i++)
			if (statement.traces & features[i].trace)
				found |= 1u << i;
	}
	return found;
}

static int policies_of(const struct client *client)
{
	return (int)section_prefer(client->user->session_features,
				   client->database->session_features,
				   settings_current()->session_features);
}

static void describe(const struct client *client, enum feature feature, enum sqlstate sqlstate,
		     struct error *error)
{
	error_set(error, sqlstate,
		  "%s needs a session of its own, which pool_mode %s does not give",
		  features[feature].what, pool_mode_name(client->member.pool->mode));
	error_hint(error,
		   "Use pool_mode session for such clients, or let it pass by session_features.");
}

bool client_features_admit(const struct client *client, unsigned found, struct error *error)
{
	int policies = policies_of(client);
	for (int i = 0; i < FEATURE_COUNT; i++) {
		if (!(found >> i & 1) ||
		    feature_policy_of(policies, (enum feature)i) != FEATURE_ERROR)
			continue;
		describe(client, (enum feature)i, SQLSTATE_FEATURE_NOT_SUPPORTED, error);
		return false;
	}
	return true;
}

/* Not into the middle of a message that it is being sent. */
static bool may_be_told(const struct client *client)
{
	const struct server *server = client_server(client);
	return !server || server->endpoint.body_left == 0;
}

static void warn(struct client *client, enum feature feature)
{
	struct buffer *out = NULL;
	struct error warning;
	client->features_told |= (uint8_t)(1u << feature);
	client->database->features_warned++;
	describe(client, feature, SQLSTATE_WARNING, &warning);
	log_warning(client_subject(client), "%s", warning.message);
	if (response_put_notice(&out, ENDPOINT_QUEUE_MAX, "WARNING", &warning))
		stream_queue(&client->endpoint.stream, buffer_bytes(out), buffer_length(out),
			     ENDPOINT_QUEUE_MAX);
	buffer_free(&out);
}

static void count(const struct client *client, unsigned found)
{
	for (int i = 0; i < FEATURE_COUNT; i++)
		client->database->features[i] += found >> i & 1;
}

void client_features_refused(const struct client *client, unsigned found)
{
	count(client, found);
	client->database->features_refused++;
}

void client_features_note(struct client *client, unsigned found)
{
	int policies = policies_of(client);
	count(client, found);
	found &= ~(unsigned)client->features_told;
	for (int i = 0; i < FEATURE_COUNT; i++)
		if (found >> i & 1 &&
		    feature_policy_of(policies, (enum feature)i) == FEATURE_WARN &&
		    may_be_told(client))
			warn(client, (enum feature)i);
}
