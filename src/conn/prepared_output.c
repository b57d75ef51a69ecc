/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/prepared_output.h"
#include <assert.h>
#include <string.h>
#include "prepared_book_priv.h"
#include "core/likely.h"
#include "proto/message.h"

/* What one message may need: names, and little around them. */
enum { SCRATCH = 2 * PREPARED_NAME_MAX + 512 };
enum { CLOSES_AT_ONCE = 3 };

static uint8_t scratch[(RELAY_PIECES + 1) * SCRATCH + 2 * RELAY_JOINED];

static const struct statement *kept[2];

void prepared_output_begin(struct relay_batch *batch)
{
	batch->room = scratch;
	kept[0] = kept[1] = NULL;
}

void prepared_keep(const struct statement *statement, const struct statement *needed)
{
	kept[0] = statement;
	kept[1] = needed;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(at, bytes, size);
	return at + size;
}

void prepared_replace_with(struct relay_batch *batch, const void *bytes, size_t size)
{
	assert(batch->replacements < RELAY_REPLACEMENT);
	batch->replacement[batch->replacements++] =
		(struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
}

static uint8_t *put_header(uint8_t *at, uint8_t type, size_t body)
{
	*at = type;
	message_put32(at + 1, (uint32_t)body + MESSAGE_LENGTH_MIN);
	return at + MESSAGE_HEADER;
}

/* Bytes that were put into the room up to @end become a piece. */
static inline void put_made(struct relay_batch *batch, uint8_t *end)
{
	prepared_replace_with(batch, batch->room, (size_t)(end - batch->room));
	batch->room = end;
}

void prepared_put_parse(struct relay_batch *batch, const char *name, size_t name_size,
			const void *content, size_t size)
{
	uint8_t *at = put_header(batch->room, MESSAGE_PARSE, name_size + size);
	put_made(batch, put(at, name, name_size));
	prepared_replace_with(batch, content, size);
}

/* The beginning of the client's message, up to where the statement's name goes. */
static inline uint8_t *put_beginning(struct relay_batch *batch, uint8_t type,
				     const struct prepared_naming *naming, size_t name_size)
{
	uint8_t *at = put_header(batch->room, type, naming->body_size - naming->size + name_size);
	batch->replaced = MESSAGE_HEADER + naming->before_size + naming->size;
	if (UNLIKELY(naming->before_size != 1)) /* a portal's name, or a Parse */
		return put(at, naming->before, naming->before_size);
	*at = *naming->before;
	return at + 1;
}

void prepared_rename(struct relay_batch *batch, uint8_t type, const struct prepared_naming *naming,
		     const char *name, size_t name_size)
{
	put_made(batch, put(put_beginning(batch, type, naming, name_size), name, name_size));
}

void prepared_rename_to(struct relay_batch *batch, uint8_t type,
			const struct prepared_naming *naming, const struct statement *statement)
{
	uint8_t *at = put_beginning(batch, type, naming, statement->name_size);
	memcpy(at, statement->name, sizeof statement->name);
	put_made(batch, at + statement->name_size);
}

/* ---- having a statement at the server ---- */

bool prepared_send_close(struct prepared_link *link, struct place *place, struct relay_batch *batch)
{
	struct prepared_server *server = prepared_server_of(link);
	struct own_note *note = prepared_send_noted(link, MESSAGE_CLOSE, CLOSE_INJECTED);
	if (!note)
		return false;
	note->place = place;
	place->is_closing = true;
	list_remove(&server->by_use, &place->of_use);
	const struct statement *statement = place->statement;
	uint8_t *at = put_header(batch->room, MESSAGE_CLOSE, 1u + statement->name_size);
	*at++ = 'S';
	put_made(batch, put(at, statement->name, statement->name_size));
	return true;
}

static struct place *oldest(const struct prepared_server *server)
{
	struct place *place = prepared_oldest(server, NULL);
	while (place && (place->statement == kept[0] || place->statement == kept[1]))
		place = prepared_oldest(server, place);
	return place;
}

bool prepared_is_overfull(const struct prepared_link *link)
{
	const struct prepared_server *server = *link->server;
	return server && server->by_use.length >= link->limit && !prepared_oldest(server, NULL);
}

bool prepared_make_room(struct prepared_link *link, struct relay_batch *batch)
{
	struct prepared_server *server = prepared_server_of(link);
	for (int most = CLOSES_AT_ONCE; most > 0 && server->by_use.length >= link->limit; most--) {
		struct place *place = oldest(server);
		if (!place)
			break;
		if (!prepared_send_close(link, place, batch))
			return false;
	}
	return true;
}

static uint8_t *put_zeros(uint8_t *at, size_t count)
{
	memset(at, 0, count);
	return at + count;
}

/* What SQL prepared is prepared by SQL again: a PREPARE with a name of its own for statement and
 * portal, so that it leaves the unnamed ones alone. */
static bool inject_sql(struct prepared_link *link, struct statement *statement,
		       struct relay_batch *batch)
{
	static const char own[] = STATEMENT_PREFIX "prepare", prepare[] = "PREPARE \"";
	struct own_note *note;
	if (!prepared_send_noted(link, MESSAGE_CLOSE, HIDDEN) ||
	    !prepared_send_noted(link, MESSAGE_PARSE, HIDDEN) ||
	    !prepared_send_noted(link, MESSAGE_BIND, HIDDEN) ||
	    !(note = prepared_send_noted(link, MESSAGE_EXECUTE, PREPARE_INJECTED)))
		return false;
	note->place = prepared_add_place(prepared_server_of(link), statement, *link->client);
	if (!prepared_send_noted(link, MESSAGE_CLOSE, HIDDEN) ||
	    !prepared_send_noted(link, MESSAGE_CLOSE, HIDDEN))
		return false;
	size_t name_size = statement->name_size - 1u;
	/* One that failed may have left its statement behind. */
	uint8_t *at = put_header(batch->room, MESSAGE_CLOSE, 1 + sizeof own);
	at = put(put(at, "S", 1), own, sizeof own);
	at = put_header(at, MESSAGE_PARSE,
			sizeof own + sizeof prepare - 1 + name_size + 1 + statement->size + 1 + 2);
	at = put(at, own, sizeof own);
	at = put(at, prepare, sizeof prepare - 1);
	at = put(at, statement->name, name_size);
	put_made(batch, put(at, "\"", 1));
	prepared_replace_with(batch, statement->content, statement->size);
	at = put_zeros(batch->room, 1 + 2);
	at = put_header(at, MESSAGE_BIND, 2 * sizeof own + 3 * 2);
	at = put(at, own, sizeof own);
	at = put_zeros(put(at, own, sizeof own), 3 * 2);
	at = put_header(at, MESSAGE_EXECUTE, sizeof own + 4);
	at = put_zeros(put(at, own, sizeof own), 4);
	for (const char *what = "SP"; *what; what++) {
		at = put_header(at, MESSAGE_CLOSE, 1 + sizeof own);
		at = put(put(at, what, 1), own, sizeof own);
	}
	put_made(batch, at);
	link->server_parses++;
	return true;
}

bool prepared_inject(struct prepared_link *link, struct statement *statement,
		     struct relay_batch *batch)
{
	if (!prepared_make_room(link, batch))
		return false;
	if (statement->is_sql)
		return inject_sql(link, statement, batch);
	struct own_note *note = prepared_send_noted(link, MESSAGE_PARSE, PARSE_INJECTED);
	if (!note)
		return false;
	note->place = prepared_add_place(prepared_server_of(link), statement, *link->client);
	prepared_put_parse(batch, statement->name, statement->name_size, statement->content,
			   statement->size);
	link->server_parses++;
	return true;
}

bool prepared_bring(struct prepared_link *link, struct statement *statement,
		    struct relay_batch *batch)
{
	struct place *place = prepared_find_place(*link->server, statement);
	if (place && place->is_closing) /* to make room, in front of the same message */
		place = NULL;
	if (statement_is_forgotten(statement) || (place && !place->is_stale))
		return true; /* of a forgotten one PostgreSQL says that it is not there */
	if (place && !prepared_send_close(link, place, batch))
		return false;
	return prepared_inject(link, statement, batch);
}
