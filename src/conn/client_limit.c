/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_limit.h"
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_request.h"
#include "conn/server_cancel.h"
#include "pool/pool_claim.h"
#include "pool/time_limit.h"
#include "proto/response.h"

/* How long a query that query_timeout cancelled may take to end. */
static const usec_t cancel_grace = 10 * USEC_PER_SECOND;

/* ---- at work, or idle ---- */

/* What is looked for: the limit that is over first, and when it was or will be. */
struct search {
	enum close_reason reason;
	usec_t due; /* 0: nothing can become due */
};

static void consider(struct search *search, usec_t limit, usec_t since, enum close_reason reason)
{
	if (!limit || (search->due && search->due <= since + limit))
		return;
	*search = (struct search){.reason = reason, .due = since + limit};
}

static usec_t query_began(const struct client *client)
{
	if (!client->in_transaction) /* its values are being set first */
		return client->endpoint.request_at;
	return client->query_marks & QUERY_WAITED ? client->member.wait_since : client->query_at;
}

/* What its client begins hastens the timer (client_hasten). So only what runs counts,
 * and what an answer may begin from now on. */
static struct search look(const struct client *client, const struct time_limits *limits)
{
	const struct server *server = client_server(client);
	bool works = server && !pipeline_is_idle(&server->pipeline);
	bool in_block = client->in_transaction;
	bool was_canceled = client->query_marks & QUERY_TIMED_OUT;
	usec_t idle_since = works ? clock_now() : client->query_at;
	struct search search = {0};
	if (client->endpoint.replication) /* may go on for ever */
		return search;
	if (works)
		consider(&search, limits->query_timeout,
			 was_canceled ? clock_now() : query_began(client), CLOSE_QUERY_TIMEOUT);
	if (works && was_canceled && limits->query_timeout)
		consider(&search, limits->query_timeout + cancel_grace, query_began(client),
			 CLOSE_QUERY_TIMEOUT);
	if (in_block)
		consider(&search, limits->transaction_timeout, client->transaction_at,
			 CLOSE_TRANSACTION_TIMEOUT);
	if (works || in_block)
		consider(&search, limits->idle_transaction_timeout, idle_since,
			 CLOSE_IDLE_TRANSACTION_TIMEOUT);
	if (!server || (client->member.pool->mode == POOL_MODE_SESSION && (works || !in_block)))
		consider(&search, limits->client_idle_timeout, idle_since,
			 CLOSE_CLIENT_IDLE_TIMEOUT);
	return search;
}

/* Have the query that took too long cancelled. False: its client is to be closed. */
static bool cancels(struct client *client, const struct time_limits *limits)
{
	if (limits->query_timeout_action != TIMEOUT_CANCEL || client->query_marks & QUERY_TIMED_OUT)
		return false;
	client->query_marks |= QUERY_TIMED_OUT;
	if (!server_cancel_query(client_server(client)))
		return false;
	client->database->timed_out_queries++;
	return true;
}

void client_limit_check(struct client *client)
{
	struct time_limits limits = time_limits_of(client->database, client->user);
	struct search search = look(client, &limits);
	if (search.due && search.due <= clock_now()) {
		if (search.reason != CLOSE_QUERY_TIMEOUT || !cancels(client, &limits)) {
			client_close(client, search.reason, NULL);
			return;
		}
		search = look(client, &limits);
	}
	loop_timer_set(&client->endpoint.timer, search.due);
}

/* ---- waiting ---- */

static void notify(struct client *client)
{
	struct buffer *out = NULL;
	struct error notice;
	error_set(&notice, SQLSTATE_SUCCESSFUL_COMPLETION,
		  "No server connection available in postgres backend, client being queued");
	client->was_notified = true;
	if (response_put_notice(&out, MESSAGE_WHOLE_MAX, "NOTICE", &notice))
		client_send(client, &out);
	buffer_free(&out);
}

static bool is_over(usec_t limit, usec_t since)
{
	return limit && clock_now() - since >= limit;
}

/* Why it has waited for long enough, or CLOSE_REASON_COUNT. */
static enum close_reason verdict(const struct client *client, const struct time_limits *limits)
{
	usec_t since = client->member.wait_since;
	bool logs_in = client->state == CLIENT_WELCOME || client->state == CLIENT_TRIAL_WAITING;
	if (is_over(limits->query_wait_timeout, since))
		return CLOSE_QUERY_WAIT_TIMEOUT;
	if (!logs_in && !client->endpoint.replication && is_over(limits->query_timeout, since))
		return CLOSE_QUERY_TIMEOUT_WAITING;
	if (logs_in && is_over(limits->client_login_timeout, client->endpoint.connected_at))
		return CLOSE_LOGIN_TIMEOUT_SERVER;
	return CLOSE_REASON_COUNT;
}

void client_limit_check_wait(struct client *client)
{
	struct time_limits limits = time_limits_of(client->database, client->user);
	enum close_reason reason = verdict(client, &limits);
	struct error error;
	client_take_limits(client);
	if (reason == CLOSE_REASON_COUNT) {
		if (!client->was_notified && !client->endpoint.replication &&
		    is_over(limits.query_wait_notify, client->member.wait_since))
			notify(client);
		if (client->state != CLIENT_CLOSING)
			client_arm(client);
		return;
	}
	close_reason_error(reason, &error);
	const char *cause = client->endpoint.replication ? pool_claim_obstacle(&client->member)
							 : client->member.pool->failure.message;
	if (cause && *cause) /* the real one */
		error_detail(&error, "%s", cause);
	bool cancels = reason == CLOSE_QUERY_TIMEOUT_WAITING &&
		       limits.query_timeout_action == TIMEOUT_CANCEL;
	if (cancels && client_request_cancel(client, &error))
		client->database->timed_out_queries++;
	else
		client_close(client, reason, &error);
}

/* ---- new settings ---- */

static bool renew_one(struct client *client, void *context)
{
	(void)context;
	struct loop_timer *timer = &client->endpoint.timer;
	client_take_limits(client);
	if (client->state == CLIENT_IDLE)
		loop_timer_set(timer,
			       client->idle_limit ? client->query_at + client->idle_limit : 0);
	else if (client->state != CLIENT_ACTIVE)
		client_arm(client);
	else if (!client->departing) /* what is over, if anything, is found out at once */
		loop_timer_set(timer, client->work_limit ? clock_now() : 0);
	return true;
}

void client_limit_renew(void)
{
	client_each(renew_one, NULL);
}
