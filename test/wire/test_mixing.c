/* SPDX-License-Identifier: ISC */
/* Many clients and few servers at random, with tagged requests: every answer belongs to who asked,
 * in order; a transaction is one client's; values of parameters are those of who asks; a cancel
 * hits whom it means. All is driven by a seed, so that a failure can be repeated. */
#include "config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conn/client.h"
#include "core/loop.h"
#include "pool/limit.h"
#include "pool/pool.h"
#include "proto/message.h"
#include "suites.h"
#include "wire.h"

enum { CLIENTS = 8, SERVERS = 64, STEPS = 4000, OUT = 1 << 16, EXPECTED = 64, TEXT = 48 };

struct asker {
	struct wire_peer *peer; /* NULL: not there */
	unsigned id, requests;
	uint8_t out[OUT];
	size_t out_size;
	char expected[EXPECTED][TEXT]; /* answers to come, oldest first */
	unsigned owed;
	bool greeted, in_transaction;
	unsigned cancels; /* that somebody asked for, and that have hit nothing yet */
	uint8_t key[8];
};

struct answerer {
	struct wire_peer *peer; /* NULL: gone */
	uint8_t out[OUT];
	size_t out_size;
	bool welcomed, in_transaction;
	unsigned owner;	   /* of the last request */
	char name[TEXT];   /* application_name */
	char parsed[TEXT]; /* text of the last Parse */
	uint8_t key[8];
};

static struct asker askers[CLIENTS];
static struct answerer answerers[SERVERS];
static unsigned next_id, answered, cancelled, rolled_back, dequeued, victim;

static void turn(void)
{
	for (unsigned i = wire_roll(4); i > 0; i--)
		loop_turn(0);
}

/* Send some of what is to go out. */
static void push(struct wire_peer *peer, uint8_t *out, size_t *size)
{
	size_t most = wire_roll(3) ? *size : wire_roll(20);
	if (most > *size)
		most = *size;
	size_t n = most ? wire_try(peer, out, most) : 0;
	memmove(out, out + n, *size - n);
	*size -= n;
}

static void put(uint8_t *out, size_t *size, char type, const void *body, size_t length)
{
	ck_assert_uint_lt(*size + length + 5, OUT);
	*size += wire_put(out + *size, type, body, length);
}

/* ---- clients ---- */

static void arrive(struct asker *asker)
{
	char name[TEXT] = "application_name";
	memset(asker, 0, sizeof *asker);
	asker->id = ++next_id;
	asker->peer = wire_connect();
	int n = snprintf(name + 17, sizeof name - 17, "c%u", asker->id);
	wire_say_startup(asker->peer, "u1", name, 17 + (size_t)n + 1);
}

static void leave(struct asker *asker)
{
	wire_hang_up(asker->peer);
	asker->peer = NULL;
}

static void ask(struct asker *asker)
{
	char text[TEXT], body[TEXT + 8];
	if (asker->owed >= EXPECTED || asker->out_size > OUT / 2)
		return;
	char kind = "QQQE"[wire_roll(4)];
	if (!wire_roll(4)) {
		kind = asker->in_transaction ? 'C' : 'B';
		asker->in_transaction = !asker->in_transaction;
	}
	int n = snprintf(text, sizeof text, "%u:%u:%c", asker->id, ++asker->requests, kind);
	strcpy(asker->expected[asker->owed++], text);
	if (kind != 'E') {
		put(asker->out, &asker->out_size, 'Q', text, (size_t)n + 1);
		return;
	}
	body[0] = '\0';
	memcpy(body + 1, text, (size_t)n + 1);
	memset(body + n + 2, 0, 2);
	put(asker->out, &asker->out_size, 'P', body, (size_t)n + 4);
	asker->out_size +=
		wire_put_types(asker->out + asker->out_size, wire_roll(3) ? "BES" : "BHES", false);
}

/* What it hears must be its own. */
static void hear(struct asker *asker)
{
	while (wire_next(asker->peer)) {
		const char *text = asker->peer->text;
		switch (asker->peer->type) {
		case 'K':
			memcpy(asker->key, asker->peer->body, 8);
			break;
		case 'D':
			if (!asker->owed || strcmp(text, asker->expected[0]))
				ck_abort_msg("client %u got \"%s\", wanted \"%s\"", asker->id, text,
					     asker->owed ? asker->expected[0] : "nothing");
			break;
		case 'E':
			if (!strncmp(text, "SFATAL", 6))
				break;
			if (strstr(text, "C57014")) { /* it waited in the queue */
				ck_assert_uint_gt(asker->owed, 0);
				ck_assert_uint_gt(asker->cancels, 0);
				asker->cancels--;
				dequeued++;
				break;
			}
			if (!asker->owed || !strstr(text, asker->expected[0]))
				ck_abort_msg("client %u got \"%s\"", asker->id, text);
			break;
		case 'Z':
			if (!asker->greeted) {
				asker->greeted = true;
				break;
			}
			ck_assert_uint_gt(asker->owed, 0);
			memmove(asker->expected[0], asker->expected[1],
				sizeof *asker->expected * --asker->owed);
			answered++;
			break;
		default:
			break;
		}
	}
	if (!wire_inside(asker->peer))
		leave(asker);
}

static void ask_to_cancel(void)
{
	struct asker *asker = &askers[wire_roll(CLIENTS)];
	uint8_t packet[16] = {0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e};
	if (wire_clients(CLIENT_PLACE_CANCEL_ACTIVE) || wire_clients(CLIENT_PLACE_CANCEL_WAITING) ||
	    !asker->peer || !asker->greeted)
		return;
	memcpy(packet + 8, asker->key, 8);
	struct wire_peer *peer = wire_connect();
	wire_push(peer, packet, sizeof packet);
	wire_hang_up(peer);
	victim = asker->id;
	asker->cancels++;
}

/* ---- servers ---- */

static void welcome(struct answerer *by)
{
	static uint32_t process_id;
	memcpy(by->peer->in, by->peer->in + message_get32(by->peer->in), by->peer->length);
	put(by->out, &by->out_size, 'R', "\0\0\0\0", 4);
	put(by->out, &by->out_size, 'S', "application_name\0", 18);
	message_put32(by->key, ++process_id);
	put(by->out, &by->out_size, 'K', by->key, 8);
	put(by->out, &by->out_size, 'Z', "I", 1);
	by->welcomed = true;
}

static bool is_here(unsigned id)
{
	for (int i = 0; i < CLIENTS; i++)
		if (askers[i].id == id && askers[i].peer)
			return true;
	return false;
}

/* A connection with a CancelRequest: the server that it means must serve nobody but the victim. */
static void serve(struct answerer *by);

static void take_cancel(struct answerer *carrier)
{
	for (int i = 0; i < SERVERS; i++) {
		struct answerer *target = &answerers[i];
		if (!target->peer || !target->welcomed ||
		    memcmp(target->key, carrier->peer->in + 8, 8))
			continue;
		serve(target); /* what it was asked before */
		/* a query whose client has vanished is cancelled by us */
		if (target->owner != victim && is_here(target->owner))
			ck_abort_msg("a cancel of client %u hits client %u", victim, target->owner);
		cancelled++;
	}
}

static void answer_with(struct answerer *by, const char *text)
{
	char error[TEXT + 32];
	if (wire_roll(8)) {
		put(by->out, &by->out_size, 'D', text, strlen(text));
		put(by->out, &by->out_size, 'C', "OK", 3);
	} else {
		int n = snprintf(error, sizeof error, "SERROR%cC42601%cM%s%c", 0, 0, text, 0);
		put(by->out, &by->out_size, 'E', error, (size_t)n + 1);
	}
}

static void ready(struct answerer *by)
{
	put(by->out, &by->out_size, 'Z', by->in_transaction ? "T" : "I", 1);
}

/* A request "client:number:kind" (with NUL) of somebody. */
static void take_request(struct answerer *by, const char *text)
{
	unsigned id = 0, number = 0;
	char kind = 0, name[TEXT];
	if (sscanf(text, "%u:%u:%c", &id, &number, &kind) != 3)
		ck_abort_msg("a server got \"%s\"", text);
	if (by->in_transaction && by->owner != id)
		ck_abort_msg("client %u is in the transaction of client %u", id, by->owner);
	snprintf(name, sizeof name, "c%u", id);
	if (strcmp(name, by->name))
		ck_abort_msg("client %u has the application_name \"%s\"", id, by->name);
	by->owner = id;
	if (kind == 'B' || kind == 'C')
		by->in_transaction = kind == 'B';
}

static void take_message(struct answerer *by)
{
	const char *text = (const char *)by->peer->body;
	char status[TEXT + 32] = "application_name";
	switch (by->peer->type) {
	case 'Q':
		if (sscanf(text, "SET application_name='%40[^']'", by->name) == 1) {
			ck_assert(!by->in_transaction);
			strcpy(status + 17, by->name);
			put(by->out, &by->out_size, 'S', status, 18 + strlen(by->name));
			put(by->out, &by->out_size, 'C', "SET", 4);
		} else if (!strcmp(text, "ROLLBACK")) {
			if (is_here(by->owner))
				ck_abort_msg("the transaction of client %u is rolled back",
					     by->owner);
			by->in_transaction = false;
			rolled_back++;
			put(by->out, &by->out_size, 'C', "ROLLBACK", 9);
		} else {
			take_request(by, text);
			answer_with(by, text);
		}
		ready(by);
		break;
	case 'P':
		strcpy(by->parsed, text + 1);
		take_request(by, by->parsed);
		put(by->out, &by->out_size, '1', NULL, 0);
		break;
	case 'B':
		put(by->out, &by->out_size, '2', NULL, 0);
		break;
	case 'E':
		put(by->out, &by->out_size, 'D', by->parsed, strlen(by->parsed));
		put(by->out, &by->out_size, 'C', "OK", 3);
		break;
	case 'S':
		ready(by);
		break;
	case 'H':
	case 'X':
		break;
	default:
		ck_abort_msg("a server got a message '%c'", by->peer->type);
	}
}

static void drop(struct answerer *by)
{
	wire_hang_up(by->peer);
	by->peer = NULL;
}

static void serve(struct answerer *by)
{
	size_t n;
	while ((n = wire_take(by->peer, by->peer->in + by->peer->length, 4096)) > 0)
		by->peer->length += n;
	if (!by->welcomed) {
		if (by->peer->length < 8 || by->peer->length < message_get32(by->peer->in))
			return;
		if (message_get32(by->peer->in + 4) != 196610) {
			take_cancel(by);
			drop(by);
			return;
		}
		by->peer->length -= message_get32(by->peer->in);
		welcome(by);
		return;
	}
	/* as wire_next() does, without settling */
	while (by->out_size < OUT / 2 && by->peer->length >= 5 &&
	       by->peer->length > message_length(by->peer->in)) {
		static uint8_t body[1 << 16];
		size_t whole = message_length(by->peer->in) + 1;
		ck_assert_uint_lt(whole, sizeof body);
		by->peer->type = by->peer->in[0];
		memcpy(body, by->peer->in + 5, whole - 5);
		by->peer->body = body;
		by->peer->length -= whole;
		memmove(by->peer->in, by->peer->in + whole, by->peer->length);
		take_message(by);
	}
}

static void accept_servers(void)
{
	struct wire_peer *peer = wire_accept();
	for (int i = 0; peer && i < SERVERS; i++)
		if (!answerers[i].peer) {
			memset(&answerers[i], 0, sizeof answerers[i]);
			answerers[i].peer = peer;
			return;
		}
	ck_assert_ptr_null(peer);
}

/* Servers that the other side has closed. */
static void bury(void)
{
	for (int i = 0; i < SERVERS; i++)
		if (answerers[i].peer && wire_is_closed(answerers[i].peer))
			drop(&answerers[i]);
}

static void step(bool violent)
{
	struct asker *asker = &askers[wire_roll(CLIENTS)];
	struct answerer *by = &answerers[wire_roll(8)];
	switch (wire_roll(16)) {
	case 0:
		if (violent && !wire_roll(10) && asker->peer)
			leave(asker);
		break;
	case 1:
		if (violent && !wire_roll(30) && by->peer)
			drop(by);
		break;
	case 2:
		if (!wire_roll(4))
			ask_to_cancel();
		break;
	case 3:
		accept_servers();
		break;
	case 4:
		bury();
		break;
	case 5:
		wire_advance(wire_roll(100000));
		break;
	case 6:
	case 7:
	case 8:
		if (!asker->peer)
			arrive(asker);
		else if (asker->greeted)
			ask(asker);
		break;
	case 9:
	case 10:
		if (by->peer)
			serve(by);
		break;
	case 11:
	case 12:
		if (by->peer && by->out_size)
			push(by->peer, by->out, &by->out_size);
		break;
	case 13:
	case 14:
		if (asker->peer && asker->out_size)
			push(asker->peer, asker->out, &asker->out_size);
		break;
	default:
		if (asker->peer)
			hear(asker);
	}
	turn();
}

/* Let everybody who is in a transaction end it, and everything be answered. */
static void finish_all(void)
{
	for (int round = 0; round < 1000; round++) {
		bool busy = false;
		accept_servers();
		for (int i = 0; i < CLIENTS; i++) {
			struct asker *asker = &askers[i];
			if (asker->peer && asker->greeted && asker->in_transaction &&
			    asker->owed < EXPECTED) {
				char text[TEXT];
				int n = snprintf(text, sizeof text, "%u:%u:C", asker->id,
						 ++asker->requests);
				strcpy(asker->expected[asker->owed++], text);
				put(asker->out, &asker->out_size, 'Q', text, (size_t)n + 1);
				asker->in_transaction = false;
			}
			if (asker->peer && asker->out_size)
				push(asker->peer, asker->out, &asker->out_size);
			if (asker->peer)
				hear(asker);
			busy |= asker->peer && (asker->owed || asker->out_size);
		}
		for (int i = 0; i < SERVERS; i++) {
			if (answerers[i].peer)
				serve(&answerers[i]);
			if (answerers[i].peer && answerers[i].out_size)
				push(answerers[i].peer, answerers[i].out, &answerers[i].out_size);
		}
		bury();
		wire_advance(100 * USEC_PER_MSEC);
		if (!busy)
			return;
	}
	for (int i = 0; i < CLIENTS; i++)
		ck_assert_msg(!askers[i].peer || !askers[i].owed, "client %u is owed \"%s\"",
			      askers[i].id, askers[i].expected[0]);
}

static void play(uint64_t number, const char *settings, bool violent)
{
	wire_seed(number * 0x9e3779b97f4a7c15 + 1);
	next_id = answered = cancelled = rolled_back = dequeued = victim = 0;
	memset(askers, 0, sizeof askers);
	memset(answerers, 0, sizeof answerers);
	wire_open(settings, NULL);
	for (int i = 0; i < STEPS; i++)
		step(violent);
	finish_all();
	ck_assert_uint_gt(answered, 50);
	ck_assert_uint_gt(dequeued, 0);
	if (!violent)
		ck_assert_uint_eq(next_id, CLIENTS);
	for (int i = 0; i < CLIENTS; i++)
		if (askers[i].peer)
			leave(&askers[i]);
	wire_settle();
	ck_assert_uint_eq(limit_connections(), 0);
	wire_close();
}

START_TEST(nobody_gets_what_is_anothers)
{
	play((uint64_t)_i + 1,
	     _i % 2 ? "default_pool_size = 2" : "default_pool_size = 3\nserver_round_robin = 1",
	     false);
}
END_TEST

START_TEST(nobody_gets_what_is_anothers_when_clients_and_servers_vanish)
{
	play((uint64_t)_i + 1000,
	     _i % 2 ? "default_pool_size = 1\nserver_login_retry = 1"
		    : "default_pool_size = 3\nserver_login_retry = 1",
	     true);
}
END_TEST

Suite *suite_mixing(void)
{
	Suite *suite = suite_create("wire/mixing");
	TCase *tcase = tcase_create("mixing");
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, nobody_gets_what_is_anothers, 0, 20);
	tcase_add_loop_test(tcase, nobody_gets_what_is_anothers_when_clients_and_servers_vanish, 0,
			    30);
	suite_add_tcase(suite, tcase);
	return suite;
}
