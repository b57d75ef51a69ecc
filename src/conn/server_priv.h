/* SPDX-License-Identifier: ISC */
/* server_priv: what the rooms of a server (server, server_connect, server_event) share. */
#ifndef PGWEIR_SRC_CONN_SERVER_PRIV_H
#define PGWEIR_SRC_CONN_SERVER_PRIV_H

#include <assert.h>
#include "conn/server.h"
#include "core/likely.h"

enum { SERVER_MAGIC = 0x73727672 };

/* Which limit of time runs in a state. */
enum server_deadline {
	DEADLINE_NONE,
	DEADLINE_CONNECT,
	DEADLINE_REST,
	DEADLINE_TEST,
	DEADLINE_DRAIN
};

/* The columns of the table that each change of state looks at, apart from the names. */
#define TO(state) (1u << SERVER_##state)
static const uint16_t server_next_states[] = {
#define SERVER_STATE(name, shown, place, deadline, next) (uint16_t)((next) | TO(CLOSING)),
#include "conn/server_states.def"
};
#undef TO
static const uint8_t server_places[] = {
#define SERVER_STATE(name, shown, place, deadline, next) SERVER_PLACE_##place,
#include "conn/server_states.def"
};
static const uint8_t server_deadlines[] = {
#define SERVER_STATE(name, shown, place, deadline, next) DEADLINE_##deadline,
#include "conn/server_states.def"
};
static inline struct server *server_of(struct endpoint *endpoint)
{
	struct server *server = container_of(endpoint, struct server, endpoint);
	assert(server->endpoint.magic == SERVER_MAGIC);
	return server;
}

static inline struct server *server_of_stream(struct stream *stream)
{
	return server_of(container_of(stream, struct endpoint, stream));
}

/* A connection to be, counted in @pool. */
struct server *server_new(struct pool *pool);
enum server_deadline server_deadline(const struct server *server);
/* Set the deadline of its state anew. */
void server_arm(struct server *server);
/* A move that its row does not allow: a bug, which closes it. Returns false. */
bool server_refuse_state(struct server *server, enum server_state state);

/* server_set_state(), where it is called for each request. */
static inline bool server_go(struct server *server, enum server_state state)
{
	if (__builtin_expect(!(server_next_states[server->state] >> state & 1), 0))
		return server_refuse_state(server, state);
	server->state = (uint8_t)state;
	if (server->member.place != server_places[state])
		pool_server_move(&server->member, server_places[state]);
	if (server_deadlines[state] == DEADLINE_NONE)
		loop_timer_clear(&server->endpoint.timer);
	else
		server_arm(server);
	return true;
}

/* Give it back: to a waiting client, or to rest. */
void server_rest(struct server *server);
/* Send a query of our own. */
bool server_run(struct server *server, enum server_errand errand, const char *sql);
/* It is logged in: hand it to the client that claimed it. */
void server_serve(struct server *server);
/* Its answer is complete. */
void server_errand_ended(struct server *server);

/* What server_event.c fills in. */
void server_set_ops(const struct server_partner_ops *ops, const struct stream_events *events,
		    void (*due)(struct loop_timer *));
const struct stream_events *server_stream_events(void);

#endif
