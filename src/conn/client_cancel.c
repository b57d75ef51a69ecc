/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_cancel.h"
#include "client_priv.h"
#include "config/snapshot.h"
#include "conn/client_request.h"
#include "conn/server_connect.h"
#include "pool/registry.h"

/* Of those that wait and cannot be carried yet, so many are looked at each time that one ended. */
enum { LOOKED_AT_MAX = 256 };

static struct cancel_request request_of(const struct startup *startup)
{
	return (struct cancel_request){.process_id = startup->process_id,
				       .secret = startup->key,
				       .size = startup->key_size};
}

/* The server that works for @victim. While our own query runs there is nothing of the client's to
 * cancel. */
static struct server *find_target(struct client *victim)
{
	struct server *server = victim->state == CLIENT_ACTIVE ? client_server(victim) : NULL;
	return server && !server->errand && server->pipeline.length > 0 ? server : NULL;
}

static struct client *find_victim(const struct cancel_request *request)
{
	struct cancel_key *key = cancel_key_find(request);
	return key ? container_of(key, struct client, key) : NULL;
}

static void close_as(struct client *asker, enum close_reason reason)
{
	client_close(asker, reason, NULL);
}

/* ---- those that must wait ---- */

/* Carry what @asker asks for, if that may be done now. False: it must wait. */
static bool forward(struct client *asker, const struct cancel_request *request)
{
	uint8_t secret[STARTUP_CANCEL_KEY_MAX];
	struct cancel_request sent = *request;
	memcpy(secret, request->secret, request->size);
	cancel_set_hops_left(secret, cancel_hops_left(request) - 1);
	sent.secret = secret;
	if (client_set_state(asker, CLIENT_CANCEL_ACTIVE))
		server_launch_forward(asker->member.pool, asker, &sent);
	return true;
}

static bool carry(struct client *asker, struct server *target)
{
	if (!server_admits_cancel(target))
		return false;
	if (client_set_state(asker, CLIENT_CANCEL_ACTIVE))
		server_launch_cancel(target, asker);
	return true;
}

/* The same for one that has waited. Then its victim may do something else by now, which is not what
 * it meant. */
static bool try_again(struct client *asker)
{
	struct pool *pool = asker->member.pool;
	struct startup startup;
	struct error error;
	startup_parse(buffer_bytes(asker->endpoint.held), buffer_length(asker->endpoint.held),
		      &startup, &error);
	struct cancel_request request = request_of(&startup);
	if (pool->database->peer_id)
		return forward(asker, &request);
	struct client *victim = find_victim(&request);
	struct server *target = victim ? find_target(victim) : NULL;
	if (target && target->member.pool == pool && victim->query_at <= asker->member.wait_since)
		return carry(asker, target);
	close_as(asker, CLOSE_CANCEL_IDLE);
	return true;
}

/* Those whose server has as many against it as may be let others go first. What is done here may
 * end at once and come back. */
static void serve_waiting(struct pool *pool)
{
	const struct list *waiting = &pool->clients[CLIENT_PLACE_CANCEL_WAITING];
	uint32_t passed = 0;
	if (pool->is_carrying)
		return;
	pool->is_carrying = true;
	while (passed < waiting->length && passed < LOOKED_AT_MAX && pool_admits_carrier(pool)) {
		struct pool_client *first =
			container_of(list_first(waiting), struct pool_client, node);
		if (try_again(client_of_member(first)))
			continue;
		pool_client_move(pool, first, CLIENT_PLACE_CANCEL_WAITING); /* to the end */
		passed++;
	}
	pool->is_carrying = false;
}

void client_cancel_ended(struct client *asker, struct pool *pool)
{
	if (asker)
		close_as(asker, CLOSE_CANCEL_DONE);
	serve_waiting(pool);
}

/* It waits in @pool, until cancel_wait_timeout at most. It may leave meanwhile, its request stands:
 * what else it does is not looked at. */
static bool enqueue(struct client *asker, struct pool *pool, const uint8_t *packet, size_t size)
{
	client_hold(asker, packet, size);
	if (asker->state == CLIENT_CLOSING)
		return false;
	stream_pause(&asker->endpoint.stream);
	client_enter_pool(asker, pool);
	asker->member.wait_since = clock_now();
	return client_set_state(asker, CLIENT_CANCEL_WAITING);
}

/* ---- the beginning ---- */

static void cancel_query(struct client *asker, struct server *target, const uint8_t *packet,
			 size_t size)
{
	struct pool *pool = target->member.pool;
	if (enqueue(asker, pool, packet, size) && pool_admits_carrier(pool))
		carry(asker, target);
}

static void cancel_at_peer(struct client *asker, const struct cancel_request *request,
			   const uint8_t *packet, size_t size)
{
	const struct peer *peer = registry_peer((int)cancel_peer_id(request));
	if (cancel_hops_left(request) == 0)
		close_as(asker, CLOSE_CANCEL_HOPS);
	else if (!peer)
		close_as(asker, CLOSE_CANCEL_NO_PEER);
	else if (enqueue(asker, peer->pool, packet, size) && pool_admits_carrier(peer->pool))
		forward(asker, request);
}

/* It has no server yet: its request fails here. */
static bool cancel_waiting(struct client *victim)
{
	struct error error;
	error_set(&error, SQLSTATE_QUERY_CANCELED, "canceling statement due to user request");
	return client_request_cancel(victim, &error);
}

static bool is_of_peer(const struct cancel_request *request)
{
	unsigned own = (unsigned)settings_current()->peer_id;
	return own && cancel_peer_id(request) != own;
}

void client_cancel_begin(struct client *asker, const struct startup *startup, const uint8_t *packet)
{
	struct cancel_request request = request_of(startup);
	/* What is known here is here, whatever its peer_id: that may have been set later. */
	struct client *victim = find_victim(&request);
	struct server *target = victim ? find_target(victim) : NULL;
	if (!victim && is_of_peer(&request)) {
		cancel_at_peer(asker, &request, packet, startup->length);
	} else if (!victim) {
		close_as(asker, CLOSE_BAD_CANCEL);
	} else if (victim->console) {
		client_console()->cancel(victim);
		close_as(asker, CLOSE_CANCEL_DONE);
	} else if (victim->state == CLIENT_WAITING) {
		close_as(asker, cancel_waiting(victim) ? CLOSE_CANCEL_QUEUED : CLOSE_CANCEL_IDLE);
	} else if (target) {
		cancel_query(asker, target, packet, startup->length);
	} else {
		close_as(asker, CLOSE_CANCEL_IDLE);
	}
}
