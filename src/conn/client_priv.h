/* SPDX-License-Identifier: ISC */
/* client_priv: what the rooms of a client (client_scan, client_request, client_answer, client_entry
 * ...) share. */
#ifndef PGWEIR_SRC_CONN_CLIENT_PRIV_H
#define PGWEIR_SRC_CONN_CLIENT_PRIV_H

#include <assert.h>
#include "conn/client.h"
#include "conn/relay.h"
#include "core/likely.h"

enum {
	CLIENT_MAGIC = 0x636c6e74,
	CLIENT_REQUEST_MAX = 16 * 1024, /* a longer request takes a server before it is whole */
};

/* Which limit of time runs in a state. */
enum client_deadline {
	DEADLINE_NONE,
	DEADLINE_IDLE,
	DEADLINE_ACTIVE, /* up to here: none unless the client is_limited */
	DEADLINE_LOGIN,
	DEADLINE_WELCOME,
	DEADLINE_QUERY_WAIT,
	DEADLINE_CANCEL_WAIT,
	DEADLINE_LINGER
};

/* The columns of the table that each change of state looks at, apart from the names. */
#define TO(state) (1u << CLIENT_##state)
static const uint16_t client_next_states[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) (uint16_t)((next) | TO(CLOSING)),
#include "conn/client_states.def"
};
#undef TO
static const uint8_t client_places[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) CLIENT_PLACE_##place,
#include "conn/client_states.def"
};
static const uint8_t client_deadlines[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) DEADLINE_##deadline,
#include "conn/client_states.def"
};
static inline struct client *client_of(struct endpoint *endpoint)
{
	struct client *client = container_of(endpoint, struct client, endpoint);
	assert(client->endpoint.magic == CLIENT_MAGIC);
	return client;
}

static inline struct client *client_of_stream(struct stream *stream)
{
	return client_of(container_of(stream, struct endpoint, stream));
}

/* Where its database counts. */
static inline struct stats_counters *client_counters(const struct client *client)
{
	return &client->database->stats.now;
}

/* A connection that was accepted; @due is told when its state's deadline came. */
struct client *client_new(int fd, const struct address *remote, const struct address *local,
			  const struct stream_events *events, void (*due)(struct loop_timer *));
/* It is known what it wants: it leaves the entrance; its next state puts it into a list of the
 * pool. */
void client_enter_pool(struct client *client, struct pool *pool);
enum client_deadline client_deadline(const struct client *client);
/* Set the deadline of its state, which it just entered. */
void client_arm(struct client *client);
/* A client that is_limited begins something: its timer is to fire in time for that, too. */
void client_hasten(struct client *client);
/* Take the limits that are in force for it, once it is known who it is. */
void client_take_limits(struct client *client);
/* A move that its row does not allow: a bug, which closes it. Returns false. */
bool client_refuse_state(struct client *client, enum client_state state);

/* When a client that waits for a server is due for something, 0: never. */
static inline usec_t client_wait_due(const struct client *client)
{
	usec_t limit = client->was_notified ? client->wait_limit : client->wait_step;
	return limit ? client->member.wait_since + limit : 0;
}

/* client_set_state(), where it is called for each request: with a constant state most of it is
 * decided by the compiler. */
static inline bool client_go(struct client *client, enum client_state state)
{
	if (__builtin_expect(!(client_next_states[client->state] >> state & 1), 0))
		return client_refuse_state(client, state);
	client->state = (uint8_t)state;
	if (client_places[state] != client->member.place)
		pool_client_move(client->member.pool, &client->member, client_places[state]);
	if (client_deadlines[state] <= DEADLINE_ACTIVE && !client->is_limited)
		loop_timer_clear(&client->endpoint.timer);
	else if (state == CLIENT_WAITING)
		loop_timer_set(&client->endpoint.timer, client_wait_due(client));
	else
		client_arm(client);
	return true;
}

/* Close it; @silently: it cannot be told why, or was. */
void client_close_saying(struct client *client, enum close_reason reason, const struct error *error,
			 bool silently);
/* The last step of closing: nothing more is to be said or heard. */
void client_vanish(struct client *client);
/* It broke the protocol: told so, and closed. */
void client_fail(struct client *client, enum sqlstate sqlstate, const char *text);
void client_fail_header(struct client *client, enum relay_end end, const uint8_t *bytes,
			size_t size);
/* Keep bytes until they can go on; _for_later: and stop reading when it is much. */
void client_hold(struct client *client, const uint8_t *bytes, size_t size);
void client_hold_for_later(struct client *client, const uint8_t *bytes, size_t size);

#endif
