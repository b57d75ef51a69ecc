/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/prepared_book.h"
#include "prepared_book_priv.h"
#include <assert.h>
#include <string.h>
#include "core/likely.h"
#include "core/memory.h"
#include "proto/message.h"

enum {
	CONTENTS_KEPT = 4096,	/* room for a client's unnamed statement that it may keep */
	CONTENTS_MAX = 1 << 20, /* bytes of those under way, too, that are kept */
	CONTENTS_HARD_MAX = CONTENTS_MAX + PIPELINE_MAX * (int)sizeof(struct unnamed),
};

static struct memory_cache name_cache = MEMORY_CACHE("prepared_name_cache", struct name);
static struct memory_cache place_cache =
	MEMORY_CACHE("server_prepared_statement_cache", struct place);
static struct memory_cache change_cache = MEMORY_CACHE("sql_change_cache", struct sql_change);
static struct memory_cache note_cache = MEMORY_CACHE("outstanding_request_cache", struct own_note);

/* ---- names of a client ---- */

void sql_change_release(struct sql_change **change)
{
	struct sql_change *c = *change;
	*change = NULL;
	if (!c || --c->references)
		return;
	statement_release(&c->statement);
	buffer_free(&c->original);
	memory_cache_free(&change_cache, c);
}

static void let_go_of_name(struct name *name)
{
	if (name->notes == 0 && name->is_gone) {
		statement_release(&name->statement);
		sql_change_release(&name->change);
		memory_cache_free(&name_cache, name);
	}
}

static size_t kept_length(const char *text)
{
	return strnlen(text, KEPT_NAME - 1);
}

struct name *prepared_find_name(const struct prepared_client *client, const char *text)
{
	struct map_node *node = client ? map_find(&client->names, text, kept_length(text)) : NULL;
	return node ? container_of(node, struct name, node) : NULL;
}

void prepared_remove_name(struct prepared_client *client, struct name *name)
{
	if (name->is_gone)
		return;
	struct name **slot = prepared_used_slot(client, name->text, strlen(name->text));
	if (*slot == name)
		*slot = NULL;
	map_remove(&client->names, &name->node);
	name->is_gone = true;
	let_go_of_name(name);
}

struct name *prepared_add_name(struct prepared_client *client, const char *text,
			       struct statement *taken)
{
	struct name *name = memory_cache_alloc(&name_cache);
	size_t length = kept_length(text);
	name->use.kind = USE;
	name->made_in = client->group;
	memcpy(name->text, text, length);
	name->statement = taken;
	map_add(&client->names, name->text, length, &name->node);
	return name;
}

/* Whether the client has this name shows only when earlier requests are answered: it is being
 * closed, or its Parse stands before a Sync, and what comes behind that does not share its fate. */
bool prepared_name_is_doubtful(const struct name *name, const struct prepared_client *client)
{
	return name->is_closing || (!name->is_made && name->made_in != client->group);
}

struct prepared_client *prepared_client_of(struct prepared_link *link)
{
	if (!*link->client) {
		*link->client = memory_alloc(sizeof **link->client);
		(*link->client)->references = 1;
		(*link->client)->parse.kind = PARSE_UNNAMED;
	}
	return *link->client;
}

static void release_client(struct prepared_client **client)
{
	struct prepared_client *c = *client;
	*client = NULL;
	if (c && --c->references == 0)
		memory_free(&c);
}

void prepared_forget_unnamed(struct prepared_client *client)
{
	sql_change_release(&client->unnamed.change);
	buffer_consume(&client->contents, client->unnamed.size);
	client->unnamed = (struct unnamed){.version = 0};
}

/* What those under way hold. */
static void release_unnamed(struct prepared_client *client)
{
	uint8_t *at = client->contents ? client->contents->data + client->contents->start : NULL;
	size_t from = client->unnamed.size;
	sql_change_release(&client->unnamed.change);
	for (uint32_t i = 0; i < client->parses; i++) {
		struct unnamed sent;
		memcpy(&sent, at + from, sizeof sent);
		sql_change_release(&sent.change);
		memory_free(&sent.refusal);
		from += sizeof sent + sent.size;
	}
}

void prepared_client_free(struct prepared_client **client)
{
	if (!*client)
		return;
	map_foreach (node, &(*client)->names)
		prepared_remove_name(*client, container_of(node, struct name, node));
	release_unnamed(*client);
	sql_change_release(&(*client)->sent_change);
	buffer_free(&(*client)->contents);
	(*client)->is_gone = true;
	release_client(client);
}

uint32_t prepared_client_count(const struct prepared_client *client)
{
	return client ? map_length(&client->names) : 0;
}

/* ---- statements at a server ---- */

struct prepared_server *prepared_server_of(struct prepared_link *link)
{
	if (!*link->server) {
		static uint64_t last_id;
		*link->server = memory_alloc(sizeof **link->server);
		(*link->server)->id = ++last_id;
		list_init(&(*link->server)->by_use);
	}
	return *link->server;
}

static void put_into_bucket(struct prepared_server *server, struct place *place)
{
	struct place **bucket = prepared_bucket_of(server, place->statement);
	place->next = *bucket;
	*bucket = place;
}

static void grow_buckets(struct prepared_server *server)
{
	struct place **old = server->buckets;
	uint32_t count = server->bucket_count;
	server->bucket_count = count ? count * 2 : 16;
	server->buckets = memory_alloc(server->bucket_count * sizeof *server->buckets);
	for (uint32_t i = 0; i < count; i++)
		for (struct place *place = old[i], *next; place; place = next) {
			next = place->next;
			put_into_bucket(server, place);
		}
	memory_free(&old);
}

struct place *prepared_add_place(struct prepared_server *server, struct statement *statement,
				 const struct prepared_client *client)
{
	struct place *place = memory_cache_alloc(&place_cache);
	if (server->count == server->bucket_count)
		grow_buckets(server);
	server->count++;
	place->statement = statement_share(statement);
	place->is_pending = true;
	place->sent_in = client->group;
	put_into_bucket(server, place);
	list_push_last(&server->by_use, &place->of_use);
	return place;
}

static void remove_place(struct prepared_server *server, struct place *place)
{
	struct place **at = prepared_bucket_of(server, place->statement);
	while (*at != place)
		at = &(*at)->next;
	*at = place->next;
	server->count--;
	if (!place->is_closing)
		list_remove(&server->by_use, &place->of_use);
	statement_release(&place->statement);
	memory_cache_free(&place_cache, place);
}

/* Remove all, or those about which nothing is under way. */
static void remove_places(struct prepared_server *server, bool all)
{
	for (uint32_t i = 0; i < server->bucket_count; i++)
		for (struct place *place = server->buckets[i], *next; place; place = next) {
			next = place->next;
			if (all || (!place->is_pending && !place->is_closing))
				remove_place(server, place);
		}
}

void prepared_touch_place(struct prepared_server *server, struct place *place, uint32_t limit)
{
	/* Which was used last matters when there are many. */
	if (place->of_use.next == &server->by_use.head || server->by_use.length < limit / 2)
		return;
	list_remove(&server->by_use, &place->of_use);
	list_push_last(&server->by_use, &place->of_use);
}

/* The same of a statement at a server. */
bool prepared_place_is_doubtful(const struct place *place, const struct prepared_client *client)
{
	return place->is_closing || (place->is_pending && place->sent_in != client->group);
}

/* Which statement is to make room for another one; NULL: all are on their way. */
struct place *prepared_oldest(const struct prepared_server *server, const struct place *behind)
{
	list_foreach (node, &server->by_use) {
		struct place *place = container_of(node, struct place, of_use);
		if (place == behind)
			behind = NULL;
		else if (!behind && !place->is_pending)
			return place;
	}
	return NULL;
}

void prepared_server_linked(struct prepared_server *server, const struct prepared_client *client)
{
	server->barrier_next = server->has_dropper = false;
	if (UNLIKELY(server->bound_change != NULL))
		sql_change_release(&server->bound_change);
	/* Whoever it was before may have used the unnamed statement in ways that nobody saw. */
	if (!client || server->last_client != client)
		server->unnamed = 0;
	server->last_client = client;
}

void prepared_server_free(struct prepared_server **server)
{
	if (!*server)
		return;
	remove_places(*server, true);
	sql_change_release(&(*server)->bound_change);
	memory_free(&(*server)->buckets);
	memory_free(server);
}

uint32_t prepared_server_count(const struct prepared_server *server)
{
	return server ? server->by_use.length : 0;
}

/* ---- notes ---- */

/* NULL: there is no memory to note it. */
struct own_note *prepared_send_noted(struct prepared_link *link, uint8_t type, enum note_kind kind)
{
	struct own_note *note = memory_cache_alloc(&note_cache);
	if (!pipeline_sent_noted(link->pipeline, type, note)) {
		memory_cache_free(&note_cache, note);
		return NULL;
	}
	note->note.kind = (uint8_t)kind;
	note->server = prepared_server_of(link);
	if (*link->client) {
		note->client = *link->client;
		note->client->references++;
	}
	return note;
}

void prepared_note_name(struct own_note *note, struct name *name)
{
	note->name = name;
	name->notes++;
}

struct sql_change *prepared_new_change(enum sql_change_kind kind)
{
	struct sql_change *change = memory_cache_alloc(&change_cache);
	change->references = 1;
	change->kind = (uint8_t)kind;
	return change;
}

struct sql_note *prepared_send_changes(struct prepared_link *link, uint8_t type,
				       enum note_kind kind, struct sql_change *const *changes,
				       uint32_t count)
{
	size_t size = sizeof(struct sql_note) + count * sizeof *changes;
	struct sql_note *note = memory_alloc(size);
	if (!pipeline_sent_noted(link->pipeline, type, note)) {
		memory_free(&note);
		return NULL;
	}
	note->note.kind = (uint8_t)kind;
	note->server = prepared_server_of(link);
	note->client = prepared_client_of(link);
	note->client->references++;
	note->count = count;
	if (count > 0)
		memcpy(note->changes, changes, count * sizeof *changes);
	return note;
}

/* What the server has done is true from now on. */
static void take_effect(const struct sql_note *note, const struct sql_change *change)
{
	struct prepared_client *client = note->client->is_gone ? NULL : note->client;
	struct statement *statement = change->statement;
	struct place *place = statement ? prepared_find_place(note->server, statement) : NULL;
	struct name *name = client ? prepared_find_name(client, change->clients) : NULL;
	switch ((enum sql_change_kind)change->kind) {
	case CHANGE_MADE:
		if (client && !name) {
			name = prepared_add_name(client, change->clients,
						 statement_share(statement));
			name->is_made = true;
		}
		/* fall through */
	case CHANGE_PREPARED:
		if (!place)
			place = prepared_add_place(note->server, statement, note->client);
		place->is_pending = place->is_stale = false;
		break;
	case CHANGE_CLOSED:
		if (place)
			remove_place(note->server, place);
		break;
	case CHANGE_DROPPED:
		if (name)
			prepared_remove_name(client, name);
		break;
	case CHANGE_TAKEN:
		note->server->has_taken = true;
		break;
	case CHANGE_DOUBLED:
	case CHANGE_USED:
	case CHANGE_UNKNOWN:
	case CHANGE_ALL_DROPPED:
	case CHANGE_SPARED:
		break;
	}
}

bool prepared_completed(struct sql_note *note)
{
	uint32_t at = note->completed++;
	for (uint32_t i = 0; i < note->count; i++)
		if (note->changes[i]->at == at)
			take_effect(note, note->changes[i]);
	return at < note->hidden;
}

static void end_changes(struct sql_note *note, enum pipeline_end how)
{
	if (note->note.kind == TEXT_EXECUTE && how == PIPELINE_ANSWERED)
		prepared_completed(note);
	for (uint32_t i = 0; i < note->count; i++)
		sql_change_release(&note->changes[i]);
	memory_free(&note->refusal);
	release_client(&note->client);
	memory_free(&note);
}

static uint64_t last_version; /* of an unnamed statement */

bool prepared_send_unnamed(struct prepared_link *link, const uint8_t *content, uint32_t size,
			   bool may_drop, struct sql_change *change)
{
	struct prepared_client *client = prepared_client_of(link);
	struct prepared_server *server = prepared_server_of(link);
	struct unnamed sent = {.size = size, .may_drop = may_drop};
	uint8_t *room = buffer_reserve(&client->contents, sizeof sent + size, CONTENTS_MAX);
	if (UNLIKELY(!room)) {
		sent.size = 0;
		room = buffer_reserve(&client->contents, sizeof sent, CONTENTS_HARD_MAX);
	}
	if (!room || !pipeline_sent_noted(link->pipeline, MESSAGE_PARSE, &client->parse))
		return false;
	sent.version = ++last_version;
	sent.change = sql_change_share(change);
	if (UNLIKELY(client->sent_change || change)) {
		sql_change_release(&client->sent_change);
		client->sent_change = sql_change_share(change);
	}
	memcpy(room, &sent, sizeof sent);
	memcpy(room + sizeof sent, content, sent.size);
	buffer_commit(client->contents, sizeof sent + sent.size);
	client->references++;
	client->parses++;
	client->parsed_in = client->group;
	client->parsed_at = server;
	client->version_sent = server->unnamed = sent.version;
	return true;
}

/* The struct of the oldest Parse under way; it lies where it may. */
static uint8_t *oldest_unnamed(struct prepared_client *client)
{
	return client->contents->data + client->contents->start + client->unnamed.size;
}

bool prepared_unnamed_under_way(const struct note *note, struct unnamed *unnamed)
{
	struct prepared_client *client = container_of(note, struct prepared_client, parse);
	if (client->is_gone)
		return false;
	memcpy(unnamed, oldest_unnamed(client), sizeof *unnamed);
	return true;
}

void prepared_refuse_unnamed(struct prepared_client *client, const struct error *error)
{
	struct unnamed last;
	uint8_t *at = client->contents->data + client->contents->end - sizeof last;
	memcpy(&last, at, sizeof last); /* without a content: it is the last there */
	last.refusal = memory_dup(error, sizeof *error);
	memcpy(at, &last, sizeof last);
}

bool prepared_replace_unnamed(struct prepared_client *client, const uint8_t *content, size_t size)
{
	assert(!client->parses);
	buffer_free(&client->contents);
	client->unnamed.version = ++last_version;
	client->unnamed.size = 0;
	if (!buffer_append(&client->contents, content, size, size))
		return false;
	client->unnamed.size = (uint32_t)size;
	return true;
}

/* A long pipeline's room is not kept for what is left of it. */
static void shrink_contents(struct prepared_client *client)
{
	struct buffer *smaller = NULL;
	size_t size = client->unnamed.size;
	if (client->parses || client->contents->size < CONTENTS_KEPT ||
	    client->contents->size < 4 * size ||
	    (size && !buffer_append(&smaller, buffer_bytes(client->contents), size, size)))
		return;
	buffer_free(&client->contents);
	client->contents = smaller;
}

/* The oldest of the client's Parses of the unnamed statement is done, or not. */
static void end_unnamed(struct prepared_client *client, enum pipeline_end how)
{
	client->parses--;
	if (how != PIPELINE_ANSWERED)
		client->parsed_at->unnamed = 0;
	if (!client->is_gone) {
		struct unnamed sent;
		size_t old = client->unnamed.size;
		uint8_t *contents = client->contents->data + client->contents->start;
		memcpy(&sent, oldest_unnamed(client), sizeof sent);
		memory_free(&sent.refusal);
		if (how == PIPELINE_ANSWERED) {
			sql_change_release(&client->unnamed.change);
			client->unnamed = sent;
			buffer_consume(&client->contents, old + sizeof sent);
		} else {
			size_t gap = sizeof sent + sent.size;
			sql_change_release(&sent.change);
			memmove(contents + gap, contents, old);
			buffer_consume(&client->contents, gap);
		}
		if (how == PIPELINE_FAILED) /* PostgreSQL drops the old one first */
			prepared_forget_unnamed(client);
		if (client->contents)
			shrink_contents(client);
	}
	release_client(&client);
}

static void end_own(struct own_note *note, enum pipeline_end how)
{
	bool done = how == PIPELINE_ANSWERED;
	struct place *place = note->place;
	switch ((enum note_kind)note->note.kind) {
	case PARSE:
	case PARSE_INJECTED:
	case PREPARE_INJECTED:
		place->is_pending = false;
		if (!done)
			remove_place(note->server, place);
		break;
	case UNNAMED_INJECTED:
		note->server->unnamed_parses--;
		if (!done)
			note->server->unnamed = 0;
		break;
	case CLOSE_LOCAL:
		if (note->name)
			note->name->is_closing = false;
		if (note->name && done)
			prepared_remove_name(note->client, note->name);
		break;
	case CLOSE_UNNAMED:
		note->client->closes--;
		if (done)
			prepared_forget_unnamed(note->client);
		break;
	case CLOSE_INJECTED:
		if (done) {
			remove_place(note->server, place);
		} else {
			place->is_closing = false;
			list_push_first(&note->server->by_use, &place->of_use);
		}
		break;
	case PARSE_LOCAL:
	case PARSE_PROBE:
	case PARSE_DOUBLED:
	case PARSE_UNNAMED:
	case USE:
	case UNKNOWN:
	case REFUSED:
	case HIDDEN:
	case TEXT_QUERY:
	case TEXT_EXECUTE:
		break;
	}
	bool made = note->note.kind <= PARSE_PROBE;
	if (made && note->name)
		note->name->is_made = true;
	if (made && !done && note->client)
		prepared_remove_name(note->client, note->name);
	if (note->name) {
		note->name->notes--;
		let_go_of_name(note->name);
	}
	sql_change_release(&note->change);
	memory_free(&note->refusal);
	memory_free(&note->text);
	release_client(&note->client);
	memory_cache_free(&note_cache, note);
}

static void ended(void *context, enum pipeline_end how)
{
	struct note *note = context;
	if (note->kind >= TEXT_QUERY) {
		end_changes((struct sql_note *)context, how);
	} else if (note->kind == USE) {
		struct name *name = (struct name *)context;
		name->notes--;
		let_go_of_name(name);
	} else if (note->kind == PARSE_UNNAMED) {
		end_unnamed(container_of(note, struct prepared_client, parse), how);
	} else {
		end_own((struct own_note *)context, how);
	}
}

void prepared_open(void)
{
	pipeline_on_end(ended);
}

void prepared_sync(struct prepared_client *client)
{
	client->group++;
}

void prepared_drop_all(struct prepared_client *client, struct prepared_server *server)
{
	if (server) {
		remove_places(server, false);
		server->has_taken = false;
	}
	if (!client)
		return;
	map_foreach (node, &client->names) {
		struct name *name = container_of(node, struct name, node);
		if (name->is_made)
			prepared_remove_name(client, name);
	}
}
