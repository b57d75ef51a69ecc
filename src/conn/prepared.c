/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/prepared.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include "conn/statement.h"
#include "core/error.h"
#include "core/list.h"
#include "core/map.h"
#include "core/memory.h"
#include "proto/field.h"
#include "proto/message.h"

enum {
	KEPT_NAME = 64, /* PostgreSQL tells names apart by their first 63 bytes */
	SCRATCH = 2 * PREPARED_NAME_MAX + 512, /* that one message may need */
	CLOSES_AT_ONCE = 3,
};

/* A name that no server has a statement for. */
static const char no_statement[] = STATEMENT_PREFIX "none";

enum note_kind {
	PARSE,		/* of a name, sent */
	PARSE_LOCAL,	/* ... the server has it */
	PARSE_PROBE,	/* ... it has, but would it take the Parse? Sent without a name to see */
	PARSE_DOUBLED,	/* of a name that there is: sent to be refused */
	PARSE_INJECTED, /* before a Bind or Describe */
	PARSE_UNNAMED,	/* the client's */
	UNNAMED_INJECTED,
	CLOSE_LOCAL,
	CLOSE_UNNAMED, /* local, too */
	CLOSE_INJECTED,
	USE,	 /* Bind or Describe of a name */
	UNKNOWN, /* ... of what there is not: sent to be refused */
};

/* Every note begins with this. */
struct note {
	uint8_t kind;
};

/* A client's name. */
struct name {
	struct note use; /* of all its USEs: they have nothing to tell apart */
	bool is_made;	 /* the Parse is done, and is not taken back any more */
	bool is_closing, is_gone;
	uint32_t notes;	  /* under way about it */
	uint32_t made_in; /* the client's group of requests, up to a Sync */
	struct map_node node;
	struct statement *statement;
	char text[KEPT_NAME];
};

struct prepared_client {
	uint32_t references; /* the client's own, and notes' */
	bool is_gone;
	struct map names;
	struct buffer *unnamed;	 /* content of the unnamed statement; NULL: not kept */
	uint64_t version;	 /* of it, unique among all clients'; 0: there is none */
	uint64_t version_sent;	 /* of the Parse that is under way */
	uint16_t parses, closes; /* of it under way */
	uint32_t group;		 /* of requests, up to a Sync */
	uint32_t parsed_in;
};

/* A statement at a server. */
struct place {
	struct place *next;	 /* in its bucket */
	struct list_node of_use; /* unless closing */
	struct statement *statement;
	bool is_stale;	  /* what it refers to has changed: it must be prepared anew */
	bool is_pending;  /* its Parse is under way */
	bool is_closing;  /* its Close is */
	uint32_t sent_in; /* the client's group of requests with that Parse */
};

struct prepared_server {
	/* Places by statement: ids are given one after the other, so they spread by themselves. */
	struct place **buckets;
	uint32_t bucket_count, count; /* the former a power of two */
	struct list by_use;
	uint32_t unnamed_parses, unnamed_in; /* Parses of it that we injected; their group */
	uint64_t unnamed; /* whose unnamed statement it has: its version; 0: nobody's, or not known
			   */
	const struct prepared_client *last_client; /* only to be compared */
	bool has_dropper;  /* something bound here may drop statements when it is executed */
	bool barrier_next; /* a request under way may drop them */
};

/* All but USE. */
struct own_note {
	struct note note;
	struct name *name;
	struct place *place;
	struct prepared_client *client;
	struct prepared_server *server;
	struct buffer *content; /* PARSE_UNNAMED */
	uint64_t version;
	char *text; /* PARSE_DOUBLED, UNKNOWN: the client's name */
};

static struct memory_cache name_cache = MEMORY_CACHE("prepared_name_cache", struct name);
static struct memory_cache place_cache =
	MEMORY_CACHE("server_prepared_statement_cache", struct place);
static struct memory_cache note_cache = MEMORY_CACHE("outstanding_request_cache", struct own_note);

/* ---- names of a client ---- */

static void let_go_of_name(struct name *name)
{
	if (name->notes == 0 && name->is_gone) {
		statement_release(&name->statement);
		memory_cache_free(&name_cache, name);
	}
}

static void remove_name(struct prepared_client *client, struct name *name)
{
	if (name->is_gone)
		return;
	map_remove(&client->names, &name->node);
	name->is_gone = true;
	let_go_of_name(name);
}

static size_t kept_length(const char *text)
{
	return strnlen(text, KEPT_NAME - 1);
}

static struct name *find_name(const struct prepared_client *client, const char *text)
{
	struct map_node *node = client ? map_find(&client->names, text, kept_length(text)) : NULL;
	return node ? container_of(node, struct name, node) : NULL;
}

static struct name *add_name(struct prepared_client *client, const char *text,
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
static bool is_doubtful(const struct name *name, const struct prepared_client *client)
{
	return name->is_closing || (!name->is_made && name->made_in != client->group);
}

static struct prepared_client *client_of(struct prepared_link *link)
{
	if (!*link->client) {
		*link->client = memory_alloc(sizeof **link->client);
		(*link->client)->references = 1;
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

static void forget_unnamed(struct prepared_client *client)
{
	buffer_free(&client->unnamed);
	client->version = 0;
}

void prepared_client_free(struct prepared_client **client)
{
	if (!*client)
		return;
	map_foreach (node, &(*client)->names)
		remove_name(*client, container_of(node, struct name, node));
	forget_unnamed(*client);
	(*client)->is_gone = true;
	release_client(client);
}

uint32_t prepared_client_count(const struct prepared_client *client)
{
	return client ? map_length(&client->names) : 0;
}

/* ---- statements at a server ---- */

static struct prepared_server *server_of(struct prepared_link *link)
{
	if (!*link->server) {
		*link->server = memory_alloc(sizeof **link->server);
		list_init(&(*link->server)->by_use);
	}
	return *link->server;
}

static struct place **bucket_of(const struct prepared_server *server,
				const struct statement *statement)
{
	return &server->buckets[statement->id & (server->bucket_count - 1)];
}

static struct place *find_place(const struct prepared_server *server,
				const struct statement *statement)
{
	if (!server || !server->count)
		return NULL;
	struct place *place = *bucket_of(server, statement);
	while (place && place->statement != statement)
		place = place->next;
	return place;
}

static void put_into_bucket(struct prepared_server *server, struct place *place)
{
	struct place **bucket = bucket_of(server, place->statement);
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

static struct place *add_place(struct prepared_server *server, struct statement *statement,
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
	struct place **at = bucket_of(server, place->statement);
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

static void touch_place(struct prepared_server *server, struct place *place)
{
	if (place->of_use.next == &server->by_use.head)
		return;
	list_remove(&server->by_use, &place->of_use);
	list_push_last(&server->by_use, &place->of_use);
}

/* The same of a statement at a server. */
static bool place_is_doubtful(const struct place *place, const struct prepared_client *client)
{
	return place->is_closing || (place->is_pending && place->sent_in != client->group);
}

/* Which statement is to make room for another one; NULL: all are on their way. */
static struct place *oldest(const struct prepared_server *server)
{
	list_foreach (node, &server->by_use) {
		struct place *place = container_of(node, struct place, of_use);
		if (!place->is_pending)
			return place;
	}
	return NULL;
}

void prepared_server_linked(struct prepared_server *server, const struct prepared_client *client)
{
	server->barrier_next = server->has_dropper = false;
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
	memory_free(&(*server)->buckets);
	memory_free(server);
}

uint32_t prepared_server_count(const struct prepared_server *server)
{
	return server ? server->by_use.length : 0;
}

/* ---- notes ---- */

/* NULL: there is no memory to note it. */
static struct own_note *send_noted(struct prepared_link *link, uint8_t type, enum note_kind kind)
{
	struct own_note *note = memory_cache_alloc(&note_cache);
	if (!pipeline_sent_noted(link->pipeline, type, note)) {
		memory_cache_free(&note_cache, note);
		return NULL;
	}
	note->note.kind = (uint8_t)kind;
	note->server = server_of(link);
	if (*link->client) {
		note->client = *link->client;
		note->client->references++;
	}
	return note;
}

static void note_name(struct own_note *note, struct name *name)
{
	note->name = name;
	name->notes++;
}

/* The client's own Parse '' is done, or not. */
static void end_unnamed(struct own_note *note, enum pipeline_end how)
{
	struct prepared_client *client = note->client;
	client->parses--;
	if (how == PIPELINE_SKIPPED || client->is_gone)
		return;
	forget_unnamed(client);
	if (how == PIPELINE_ANSWERED) {
		client->unnamed = note->content;
		client->version = note->version;
		note->content = NULL;
	}
}

static void end_own(struct own_note *note, enum pipeline_end how)
{
	bool done = how == PIPELINE_ANSWERED;
	struct place *place = note->place;
	switch ((enum note_kind)note->note.kind) {
	case PARSE:
	case PARSE_INJECTED:
		place->is_pending = false;
		if (!done)
			remove_place(note->server, place);
		break;
	case PARSE_UNNAMED:
		end_unnamed(note, how);
		/* fall through */
	case UNNAMED_INJECTED:
		note->server->unnamed_parses -= note->note.kind == UNNAMED_INJECTED;
		if (!done)
			note->server->unnamed = 0;
		break;
	case CLOSE_LOCAL:
		if (note->name)
			note->name->is_closing = false;
		if (note->name && done)
			remove_name(note->client, note->name);
		break;
	case CLOSE_UNNAMED:
		note->client->closes--;
		if (done)
			forget_unnamed(note->client);
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
	case USE:
	case UNKNOWN:
		break;
	}
	bool made = note->note.kind <= PARSE_PROBE;
	if (made && note->name)
		note->name->is_made = true;
	if (made && !done && note->client)
		remove_name(note->client, note->name);
	if (note->name) {
		note->name->notes--;
		let_go_of_name(note->name);
	}
	buffer_free(&note->content);
	memory_free(&note->text);
	release_client(&note->client);
	memory_cache_free(&note_cache, note);
}

static void ended(void *context, enum pipeline_end how)
{
	struct note *note = context;
	if (note->kind != USE) {
		end_own((struct own_note *)context, how);
		return;
	}
	struct name *name = (struct name *)context;
	name->notes--;
	let_go_of_name(name);
}

void prepared_open(void)
{
	pipeline_on_end(ended);
}

/* ---- what is sent instead ---- */

static uint8_t scratch[(RELAY_PIECES + 1) * SCRATCH];
static size_t scratch_used;

void prepared_begin_batch(void)
{
	scratch_used = 0;
}

static void replace_with(struct relay_batch *batch, const void *bytes, size_t size)
{
	assert(batch->replacements < RELAY_REPLACEMENT);
	batch->replacement[batch->replacements++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put_header(uint8_t *at, uint8_t type, size_t body)
{
	*at = type;
	message_put32(at + 1, (uint32_t)body + MESSAGE_LENGTH_MIN);
	return at + MESSAGE_HEADER;
}

/* Bytes of the scratch area up to @end become a piece. */
static void put_scratch(struct relay_batch *batch, uint8_t *end)
{
	uint8_t *begin = scratch + scratch_used;
	replace_with(batch, begin, (size_t)(end - begin));
	scratch_used += (size_t)(end - begin);
}

/* A whole Parse of our own; @name "": the unnamed statement. */
static void put_parse(struct relay_batch *batch, const char *name, size_t name_size,
		      const void *content, size_t size)
{
	uint8_t *at = put_header(scratch + scratch_used, MESSAGE_PARSE, name_size + size);
	put_scratch(batch, put(at, name, name_size));
	replace_with(batch, content, size);
}

/* The beginning of the client's message, up to and with the statement's name, with another name in
 * it. @before: what stands between header and name. */
static void rename_in(struct relay_batch *batch, uint8_t type, const uint8_t *before,
		      size_t before_size, const char *old, const char *name, size_t name_size,
		      uint32_t body_size)
{
	size_t old_size = strlen(old) + 1;
	uint8_t *at = put_header(scratch + scratch_used, type, body_size - old_size + name_size);
	at = put(at, before, before_size);
	put_scratch(batch, put(at, name, name_size));
	batch->replaced = MESSAGE_HEADER + before_size + old_size;
}

static enum relay_action barrier(struct prepared_link *link)
{
	link->barrier = true;
	return RELAY_STOP;
}

static enum relay_action refuse(struct prepared_link *link, const char *why)
{
	link->refusal = why;
	return RELAY_STOP;
}

static enum relay_action no_memory(struct prepared_link *link)
{
	return refuse(link, "out of memory");
}

/* ---- having a statement at the server ---- */

/* The server is to close a statement of ours. */
static bool send_close(struct prepared_link *link, struct place *place, struct relay_batch *batch)
{
	struct prepared_server *server = server_of(link);
	struct own_note *note = send_noted(link, MESSAGE_CLOSE, CLOSE_INJECTED);
	if (!note)
		return false;
	note->place = place;
	place->is_closing = true;
	list_remove(&server->by_use, &place->of_use);
	const struct statement *statement = place->statement;
	uint8_t *at = put_header(scratch + scratch_used, MESSAGE_CLOSE, 1u + statement->name_size);
	*at++ = 'S';
	put_scratch(batch, put(at, statement->name, statement->name_size));
	return true;
}

/* Is the server full of statements that are all on their way? Then it must be waited for them: ask
 * before anything is sent for the message at hand. */
static bool is_overfull(const struct prepared_link *link)
{
	const struct prepared_server *server = *link->server;
	return server && server->by_use.length >= link->limit && !oldest(server);
}

/* Close what has not been used for the longest time until there is room for one more, as far as
 * that goes. False: no memory. */
static bool make_room(struct prepared_link *link, struct relay_batch *batch)
{
	struct prepared_server *server = server_of(link);
	for (int most = CLOSES_AT_ONCE; most > 0 && server->by_use.length >= link->limit; most--) {
		struct place *place = oldest(server);
		if (!place)
			break;
		if (!send_close(link, place, batch))
			return false;
	}
	return true;
}

/* A Parse of it goes in front of the client's message. */
static bool inject(struct prepared_link *link, struct statement *statement,
		   struct relay_batch *batch)
{
	if (!make_room(link, batch))
		return false;
	struct own_note *note = send_noted(link, MESSAGE_PARSE, PARSE_INJECTED);
	if (!note)
		return false;
	note->place = add_place(server_of(link), statement, *link->client);
	put_parse(batch, statement->name, statement->name_size, statement->content,
		  statement->size);
	link->server_parses++;
	return true;
}

/* Is the client's unnamed statement at the server when what was sent is done? */
enum presence { PRESENT, ABSENT, NOT_KEPT, UNCERTAIN };

static enum presence unnamed_presence(const struct prepared_client *client,
				      const struct prepared_server *server)
{
	if (!client)
		return NOT_KEPT;
	if (client->closes || (client->parses && client->parsed_in != client->group))
		return UNCERTAIN;
	/* Whatever becomes of that Parse becomes of what comes behind it. */
	if (client->parses)
		return server->unnamed == client->version_sent ? PRESENT : UNCERTAIN;
	if (!client->version)
		return NOT_KEPT;
	if (server && server->unnamed_parses && server->unnamed_in != client->group)
		return UNCERTAIN;
	if (server && server->unnamed == client->version)
		return PRESENT;
	return client->unnamed ? ABSENT : NOT_KEPT;
}

/* ---- the client's messages ---- */

/* The end of a string that begins at @at, behind its NUL; NULL: it is not all here. */
static const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
	const uint8_t *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
	return nul ? nul + 1 : NULL;
}

/* Send it as it is: what is wrong with it the server says best. */
static enum relay_action pass(struct prepared_link *link, uint8_t type)
{
	return pipeline_sent(link->pipeline, type) ? RELAY_FORWARD : no_memory(link);
}

static enum relay_action wait_for(struct prepared_link *link, uint32_t body)
{
	link->awaited = body + MESSAGE_HEADER;
	return RELAY_SHORT;
}

/* A Bind or Describe that goes to a name that no server has: the refusal is to speak of the
 * client's name. */
static enum relay_action use_unknown(struct prepared_link *link, uint8_t type,
				     const uint8_t *before, size_t before_size, const char *text,
				     uint32_t size, struct relay_batch *batch)
{
	struct own_note *note = send_noted(link, type, UNKNOWN);
	if (!note)
		return no_memory(link);
	note->text = memory_strdup(text);
	rename_in(batch, type, before, before_size, text, no_statement, sizeof no_statement, size);
	return RELAY_REPLACE;
}

/* The unnamed statement that is about to be bound may be of that kind. */
static void mark_unnamed_dropper(struct prepared_link *link)
{
	const struct prepared_client *client = *link->client;
	if (!client->parses && client->unnamed &&
	    statement_text_may_drop(buffer_bytes(client->unnamed), buffer_length(client->unnamed)))
		server_of(link)->has_dropper = true;
}

static enum relay_action use_unnamed(struct prepared_link *link, uint8_t type,
				     const uint8_t *before, size_t before_size, uint32_t size,
				     struct relay_batch *batch)
{
	struct prepared_client *client = *link->client;
	struct own_note *note;
	switch (unnamed_presence(client, *link->server)) {
	case UNCERTAIN:
		return barrier(link);
	case PRESENT:
		mark_unnamed_dropper(link);
		return pass(link, type);
	case NOT_KEPT:
		return use_unknown(link, type, before, before_size, "", size, batch);
	case ABSENT:
		break;
	}
	note = send_noted(link, MESSAGE_PARSE, UNNAMED_INJECTED);
	if (!note || !pipeline_sent(link->pipeline, type))
		return no_memory(link);
	server_of(link)->unnamed = client->version;
	server_of(link)->unnamed_in = client->group;
	server_of(link)->unnamed_parses++;
	mark_unnamed_dropper(link);
	put_parse(batch, "", 1, buffer_bytes(client->unnamed), buffer_length(client->unnamed));
	link->server_parses++;
	batch->replaced = 0;
	return RELAY_REPLACE;
}

/* A Bind or Describe of the statement called @text. */
static enum relay_action use(struct prepared_link *link, uint8_t type, const uint8_t *before,
			     size_t before_size, const char *text, uint32_t size,
			     struct relay_batch *batch)
{
	if (!*text)
		return use_unnamed(link, type, before, before_size, size, batch);
	struct name *name = find_name(*link->client, text);
	struct statement *statement = name ? name->statement : NULL;
	struct place *place = statement ? find_place(*link->server, statement) : NULL;
	if ((name && is_doubtful(name, *link->client)) ||
	    (place && place_is_doubtful(place, *link->client)))
		return barrier(link);
	if (!statement || (!place && statement_is_forgotten(statement)))
		return use_unknown(link, type, before, before_size, text, size, batch);
	statement_touch(statement);
	if ((!place || place->is_stale) && is_overfull(link))
		return barrier(link);
	if (place && place->is_stale && statement->content) {
		if (!send_close(link, place, batch))
			return no_memory(link);
		place = NULL;
	}
	if (place)
		touch_place(*link->server, place);
	else if (!inject(link, statement, batch))
		return no_memory(link);
	if (!pipeline_sent_noted(link->pipeline, type, name))
		return no_memory(link);
	name->notes++;
	rename_in(batch, type, before, before_size, text, statement->name, statement->name_size,
		  size);
	if (statement->may_drop)
		server_of(link)->has_dropper = true;
	return RELAY_REPLACE;
}

static enum relay_action request_bind(struct prepared_link *link, const uint8_t *body,
				      uint32_t size, uint32_t available, struct relay_batch *batch)
{
	const uint8_t *end = body + available;
	const uint8_t *name = string_end(body, end);
	const uint8_t *rest = name ? string_end(name, end) : NULL;
	if (!rest && available < size && available <= 2 * PREPARED_NAME_MAX)
		return wait_for(link, available + 1);
	if (!rest)
		return available < size ? refuse(link, "name of portal or statement is too long")
					: pass(link, MESSAGE_BIND);
	if (name - body > PREPARED_NAME_MAX || rest - name > PREPARED_NAME_MAX)
		return refuse(link, "name of portal or statement is too long");
	enum relay_action action = use(link, MESSAGE_BIND, body, (size_t)(name - body),
				       (const char *)name, size, batch);
	link->binds += action != RELAY_STOP; /* else it comes back */
	return action;
}

static enum relay_action request_describe(struct prepared_link *link, const uint8_t *body,
					  uint32_t size, struct relay_batch *batch)
{
	if (size < 2 || body[0] != 'S' || string_end(body + 1, body + size) != body + size)
		return pass(link, MESSAGE_DESCRIBE);
	return use(link, MESSAGE_DESCRIBE, body, 1, (const char *)body + 1, size, batch);
}

static enum relay_action close_local(struct prepared_link *link, const char *text)
{
	struct prepared_client *client = client_of(link);
	struct name *name = *text ? find_name(client, text) : NULL;
	if (name && name->is_closing)
		return barrier(link);
	struct own_note *note =
		send_noted(link, PIPELINE_LOCAL, *text ? CLOSE_LOCAL : CLOSE_UNNAMED);
	if (!note)
		return no_memory(link);
	if (name) {
		note_name(note, name);
		name->is_closing = true;
	} else if (!*text) {
		client->closes++;
	}
	return RELAY_DROP;
}

static enum relay_action request_close(struct prepared_link *link, const uint8_t *body,
				       uint32_t size)
{
	if (size < 2 || body[0] != 'S' || string_end(body + 1, body + size) != body + size)
		return pass(link, MESSAGE_CLOSE);
	return close_local(link, (const char *)body + 1);
}

static enum relay_action parse_unnamed(struct prepared_link *link, const uint8_t *content,
				       uint32_t size, bool is_whole)
{
	static uint64_t last_version;
	struct prepared_client *client = client_of(link);
	struct buffer *copy = NULL;
	if (is_whole && !buffer_append(&copy, content, size, PREPARED_UNNAMED_MAX))
		return no_memory(link);
	struct own_note *note = send_noted(link, MESSAGE_PARSE, PARSE_UNNAMED);
	if (!note) {
		buffer_free(&copy);
		return no_memory(link);
	}
	note->content = copy;
	note->version = client->version_sent = server_of(link)->unnamed = ++last_version;
	client->parses++;
	client->parsed_in = client->group;
	if (!is_whole || statement_text_may_drop(content, size))
		server_of(link)->has_dropper = true;
	link->server_parses++;
	return RELAY_FORWARD;
}

/* The statement is at the server already, or will be. Is it certain that PostgreSQL would take a
 * Parse of it now? In a failed transaction it would not. */
static bool is_certain(const struct prepared_link *link)
{
	return link->status != 'E' && !pipeline_owes_ready(link->pipeline);
}

/* Parse of a name that the client has not got yet. */
static enum relay_action parse_new(struct prepared_link *link, const char *text,
				   struct statement **taken, uint32_t size,
				   struct relay_batch *batch)
{
	struct statement *statement = *taken;
	struct prepared_client *client = client_of(link);
	struct place *place = find_place(*link->server, statement);
	struct own_note *note;
	if (place && (place->is_closing || place->is_pending))
		return barrier(link);
	if ((!place || place->is_stale) && is_overfull(link))
		return barrier(link);
	if (place && place->is_stale) {
		if (!send_close(link, place, batch))
			return no_memory(link);
		place = NULL;
	}
	if (place && is_certain(link)) {
		note = send_noted(link, PIPELINE_LOCAL, PARSE_LOCAL);
	} else if (place) {
		server_of(link)->unnamed = 0;
		note = send_noted(link, MESSAGE_PARSE, PARSE_PROBE);
	} else {
		if (!make_room(link, batch))
			return no_memory(link);
		note = send_noted(link, MESSAGE_PARSE, PARSE);
	}
	if (!note)
		return no_memory(link);
	if (place)
		touch_place(server_of(link), place);
	else
		note->place = add_place(server_of(link), statement, client);
	note_name(note, add_name(client, text, statement));
	*taken = NULL;
	if (note->note.kind == PARSE_LOCAL)
		return RELAY_DROP;
	link->server_parses++;
	bool probes = note->note.kind == PARSE_PROBE;
	rename_in(batch, MESSAGE_PARSE, NULL, 0, text, probes ? "" : statement->name,
		  probes ? 1 : statement->name_size, size);
	return RELAY_REPLACE;
}

/* Parse of a name that the client has: PostgreSQL refuses it, unless there is more wrong with it.
 */
static enum relay_action parse_doubled(struct prepared_link *link, struct name *name, uint32_t size,
				       struct relay_batch *batch, const char *text)
{
	struct statement *old = name->statement;
	struct place *place = find_place(*link->server, old);
	if (is_doubtful(name, *link->client) || (place && (place->is_closing || place->is_pending)))
		return barrier(link);
	if (!place && statement_is_forgotten(old)) { /* then it may be made anew */
		remove_name(*link->client, name);
		return RELAY_SHORT;
	}
	if (!place && is_overfull(link))
		return barrier(link);
	if (!place && !inject(link, old, batch))
		return no_memory(link);
	struct own_note *note = send_noted(link, MESSAGE_PARSE, PARSE_DOUBLED);
	if (!note)
		return no_memory(link);
	note->text = memory_strdup(text);
	note_name(note, name);
	rename_in(batch, MESSAGE_PARSE, NULL, 0, text, old->name, old->name_size, size);
	return RELAY_REPLACE;
}

/* Is what stands behind the name as it should be? */
static bool content_is_good(const uint8_t *content, const uint8_t *end)
{
	const uint8_t *types = string_end(content, end);
	if (!types || end - types < 2)
		return false;
	size_t count = (size_t)(types[0] << 8 | types[1]);
	return (size_t)(end - types) == 2 + 4 * count;
}

static enum relay_action parse_named(struct prepared_link *link, const char *text,
				     const uint8_t *content, const uint8_t *end, uint32_t size,
				     struct relay_batch *batch)
{
	struct name *name = find_name(*link->client, text);
	if (name) {
		enum relay_action action = parse_doubled(link, name, size, batch, text);
		if (action != RELAY_SHORT)
			return action;
	}
	struct statement *statement = statement_get(content, (size_t)(end - content));
	if (!statement)
		return no_memory(link);
	enum relay_action action = parse_new(link, text, &statement, size, batch);
	statement_release(&statement);
	return action;
}

static enum relay_action request_parse(struct prepared_link *link, const uint8_t *body,
				       uint32_t size, uint32_t available, struct relay_batch *batch)
{
	const uint8_t *end = body + available;
	const uint8_t *content = string_end(body, end);
	bool is_unnamed = content == body + 1, is_whole = available == size;
	if (!content && !is_whole && available <= PREPARED_NAME_MAX)
		return wait_for(link, available + 1);
	if (content ? content - body > PREPARED_NAME_MAX : !is_whole)
		return refuse(link, "name of portal or statement is too long");
	if (!is_whole && size <= (is_unnamed ? PREPARED_UNNAMED_MAX : PREPARED_PARSE_MAX))
		return wait_for(link, size);
	if (!is_whole && !is_unnamed)
		return refuse(link, "prepared statement is too long");
	if (is_whole && (!content || !content_is_good(content, end)))
		return pass(link, MESSAGE_PARSE);
	enum relay_action action =
		is_unnamed ? parse_unnamed(link, content, size - 1,
					   is_whole && size <= PREPARED_UNNAMED_MAX)
			   : parse_named(link, (const char *)body, content, end, size, batch);
	link->client_parses += action != RELAY_STOP; /* else it comes back */
	return action;
}

/* Something under way may drop all statements. */
static bool must_wait(const struct prepared_link *link)
{
	struct prepared_server *server = *link->server;
	if (!server || !server->barrier_next)
		return false;
	if (pipeline_owes_answer(link->pipeline))
		return true;
	server->barrier_next = false;
	return false;
}

enum relay_action prepared_request(struct prepared_link *link, uint8_t type, const uint8_t *body,
				   uint32_t size, uint32_t available, struct relay_batch *batch)
{
	batch->replacements = 0;
	if (pipeline_discards(link->pipeline))
		return pass(link, type);
	if (must_wait(link))
		return barrier(link);
	switch (type) {
	case MESSAGE_PARSE:
		return request_parse(link, body, size, available, batch);
	case MESSAGE_BIND:
		return request_bind(link, body, size, available, batch);
	default:
		break;
	}
	if (available < size && size > PREPARED_NAME_MAX)
		return refuse(link, "name of portal or statement is too long");
	if (available < size)
		return wait_for(link, size);
	return type == MESSAGE_DESCRIBE ? request_describe(link, body, size, batch)
					: request_close(link, body, size);
}

enum relay_action prepared_query(struct prepared_link *link, const uint8_t *text, uint32_t size)
{
	struct prepared_client *client = *link->client;
	if (pipeline_discards(link->pipeline))
		return RELAY_FORWARD;
	/* Whether the server looks at it is not certain before that. */
	bool depends = client && link->pipeline->unsynced && pipeline_owes_answer(link->pipeline);
	if (depends || must_wait(link) || (client && (client->parses || client->closes)))
		return barrier(link);
	if (client)
		forget_unnamed(client);
	struct prepared_server *server = *link->server;
	if (server)
		server->unnamed = 0;
	if (statement_text_may_drop(text, size))
		server_of(link)->barrier_next = true;
	return RELAY_FORWARD;
}

void prepared_execute(struct prepared_server *server)
{
	server->barrier_next |= server->has_dropper;
}

void prepared_sync(struct prepared_client *client)
{
	client->group++;
}

/* ---- the server's answers ---- */

bool prepared_is_stale(const void *note, const char *sqlstate, const char *message)
{
	return note && ((const struct note *)note)->kind == USE &&
	       !strcmp(sqlstate, sqlstate_code(SQLSTATE_FEATURE_NOT_SUPPORTED)) &&
	       !strcmp(message, "cached plan must not change result type");
}

void prepared_mark_stale(const void *note, struct prepared_server *server)
{
	struct place *place = find_place(server, ((const struct name *)note)->statement);
	if (place)
		place->is_stale = true;
}

uint8_t prepared_answer(const void *note)
{
	return ((const struct note *)note)->kind == PARSE_LOCAL ? MESSAGE_PARSE_COMPLETE
								: MESSAGE_CLOSE_COMPLETE;
}

bool prepared_is_hidden(const void *note)
{
	switch ((enum note_kind)((const struct note *)note)->kind) {
	case PARSE_INJECTED:
	case UNNAMED_INJECTED:
	case CLOSE_INJECTED:
		return true;
	default:
		return false;
	}
}

/* What the server calls the statement that the request was about, and what the client does. */
static bool names_of(const struct note *note, const char **servers, const char **clients)
{
	const struct own_note *own = (const struct own_note *)note;
	const struct name *name = (const struct name *)note;
	switch ((enum note_kind)note->kind) {
	case USE:
		*servers = name->statement->name;
		*clients = name->text;
		return true;
	case PARSE_DOUBLED:
		*servers = own->name->statement->name;
		*clients = own->text;
		return true;
	case UNKNOWN:
		*servers = no_statement;
		*clients = own->text;
		return true;
	default:
		return false;
	}
}

/* Where @name stands in quotes in @text, or NULL. */
static const char *find_quoted(const char *text, const char *name)
{
	size_t length = strlen(name);
	for (const char *at = text; (at = strstr(at, name)); at += length)
		if (at > text && at[-1] == '"' && at[length] == '"')
			return at;
	return NULL;
}

bool prepared_renames_error(const void *note, const char *message)
{
	const char *servers, *clients;
	return note && names_of(note, &servers, &clients) && find_quoted(message, servers);
}

static void put_renamed(struct field_writer *writer, const char *text, const char *servers,
			const char *clients)
{
	const char *at = find_quoted(text, servers);
	if (at && !*clients) {
		field_put_string(writer, "unnamed prepared statement does not exist");
		return;
	}
	if (at) {
		field_put_bytes(writer, text, (size_t)(at - text));
		field_put_bytes(writer, clients, strlen(clients));
		text = at + strlen(servers);
	}
	field_put_string(writer, text);
}

bool prepared_put_error(const void *note, const uint8_t *body, uint32_t size, struct buffer **out)
{
	struct field_reader reader;
	struct field_writer writer;
	const char *servers, *clients;
	if (!names_of(note, &servers, &clients))
		return false;
	field_reader_init(&reader, body, size);
	field_writer_init(&writer, out, MESSAGE_WHOLE_MAX * 4);
	field_begin(&writer, MESSAGE_ERROR_RESPONSE);
	for (uint8_t code; (code = field_get_byte(&reader)) != 0;) {
		const char *value = field_get_string(&reader);
		field_put_byte(&writer, code);
		if (code == 'M')
			put_renamed(&writer, value, servers, clients);
		else
			field_put_string(&writer, value);
	}
	field_put_byte(&writer, 0);
	return field_end(&writer) && !reader.bad;
}

bool prepared_tag_drops_all(const uint8_t *body, uint32_t available)
{
	static const char deallocate[] = "DEALLOCATE ALL", discard[] = "DISCARD ALL";
	return (available == sizeof deallocate && !memcmp(body, deallocate, sizeof deallocate)) ||
	       (available == sizeof discard && !memcmp(body, discard, sizeof discard));
}

void prepared_drop_all(struct prepared_client *client, struct prepared_server *server)
{
	if (server)
		remove_places(server, false);
	if (!client)
		return;
	map_foreach (node, &client->names) {
		struct name *name = container_of(node, struct name, node);
		if (name->is_made)
			remove_name(client, name);
	}
}
