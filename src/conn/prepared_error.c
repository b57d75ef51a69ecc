/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/prepared_error.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "prepared_book_priv.h"
#include "core/error.h"
#include "proto/field.h"
#include "proto/message.h"
#include "proto/response.h"

/* ---- which names, of which statement ---- */

/* The change, of those in a text, that an error is about: of the statement that was not completed;
 * they are looked for from @from on. NULL: none. */
static struct sql_change *change_at(const struct sql_note *note, uint32_t *from)
{
	for (; *from < note->count; ++*from)
		if (note->changes[*from]->at == note->completed)
			return note->changes[(*from)++];
	return NULL;
}

static const struct sql_note *as_sql(const void *note)
{
	return note && ((const struct note *)note)->kind >= TEXT_QUERY ? note : NULL;
}

/* The change in the text of a Parse. */
static const struct sql_change *parsed_change(const void *note)
{
	const struct note *any = note;
	struct unnamed unnamed;
	if (!note)
		return NULL;
	if (any->kind == PARSE_UNNAMED)
		return prepared_unnamed_under_way(note, &unnamed) ? unnamed.change : NULL;
	return any->kind == PARSE ? ((const struct own_note *)note)->change : NULL;
}

/* What an error about it becomes; NULL: it is not refused by us. */
static const struct error *refusal_of(const void *note)
{
	const struct note *any = note;
	const struct sql_note *sql = as_sql(note);
	struct unnamed unnamed;
	if (!note)
		return NULL;
	if (sql)
		return sql->refusal;
	if (any->kind == PARSE_UNNAMED)
		return prepared_unnamed_under_way(note, &unnamed) ? unnamed.refusal : NULL;
	return any->kind == REFUSED ? ((const struct own_note *)note)->refusal : NULL;
}

/* What the server calls the statement that the request was about, and what the client does. */
static bool names_of(const void *context, const char **servers, const char **clients)
{
	const struct own_note *own = context;
	const struct name *name = context;
	const struct sql_note *sql = as_sql(context);
	uint32_t from = 0;
	const struct sql_change *change = sql ? change_at(sql, &from) : parsed_change(context);
	if (!context)
		return false;
	if (change) {
		*servers = change->servers;
		*clients = change->clients;
		return *change->clients;
	}
	switch ((enum note_kind)((const struct note *)context)->kind) {
	case USE:
		*servers = name->statement->name;
		*clients = name->text;
		return true;
	case PARSE_DOUBLED:
		*servers = own->name->statement->name;
		*clients = own->text;
		return true;
	case UNKNOWN:
		*servers = PREPARED_NO_STATEMENT;
		*clients = own->text;
		return true;
	default:
		return false;
	}
}

/* ---- what the error tells ---- */

bool prepared_is_stale(const void *note, const char *sqlstate, const char *message)
{
	return note && (((const struct note *)note)->kind == USE || as_sql(note)) &&
	       !strcmp(sqlstate, sqlstate_code(SQLSTATE_FEATURE_NOT_SUPPORTED)) &&
	       !strcmp(message, "cached plan must not change result type");
}

static void mark_stale(struct prepared_server *server, const struct statement *statement)
{
	struct place *place = statement ? prepared_find_place(server, statement) : NULL;
	if (place)
		place->is_stale = true;
}

void prepared_mark_stale(const void *note, struct prepared_server *server)
{
	const struct sql_note *sql = as_sql(note);
	uint32_t from = 0;
	const struct sql_change *change;
	if (!sql)
		mark_stale(server, ((const struct name *)note)->statement);
	else
		while ((change = change_at(sql, &from)))
			mark_stale(server, change->statement);
}

bool prepared_is_to_fail(const void *note)
{
	enum note_kind kind = note ? ((const struct note *)note)->kind : USE;
	const struct sql_note *sql = as_sql(note);
	uint32_t from = 0;
	const struct sql_change *change = sql ? change_at(sql, &from) : NULL;
	return kind == PARSE_DOUBLED || kind == UNKNOWN || refusal_of(note) ||
	       (change && (change->kind == CHANGE_DOUBLED || change->kind == CHANGE_UNKNOWN));
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

static bool is_use(const void *note)
{
	const struct sql_note *sql = as_sql(note);
	uint32_t from = 0;
	const struct sql_change *change = sql ? change_at(sql, &from) : NULL;
	return sql ? change && change->kind == CHANGE_USED
		   : note && ((const struct note *)note)->kind == USE;
}

bool prepared_is_lacking(const void *note, const char *sqlstate, const char *message)
{
	const char *servers, *clients;
	if (!names_of(note, &servers, &clients) || !find_quoted(message, servers))
		return strstr(message, "\"" STATEMENT_PREFIX);
	return is_use(note) &&
	       !strcmp(sqlstate, sqlstate_code(SQLSTATE_INVALID_SQL_STATEMENT_NAME));
}

/* ---- the error anew ---- */

bool prepared_changes_error(const void *note, const char *message)
{
	const char *servers, *clients;
	return as_sql(note) || parsed_change(note) || refusal_of(note) ||
	       (names_of(note, &servers, &clients) && find_quoted(message, servers));
}

static void put_message(struct field_writer *writer, const char *text, const char *servers,
			const char *clients)
{
	const char *at = servers ? find_quoted(text, servers) : NULL;
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

/* Where the changes of a text move a position in it; characters are counted from 0. */
static uint32_t moved(uint32_t position, const struct sql_change *change)
{
	if (!change->length || position <= change->offset)
		return 0;
	return position < change->offset + change->length
		       ? position - change->offset /* within the name: to its beginning */
		       : (uint32_t)change->longer;
}

/* A position in the client's text. 0: it lies in front of that. */
static uint32_t position_before(const void *note, uint32_t position)
{
	const struct sql_note *sql = as_sql(note);
	const struct sql_change *change = parsed_change(note);
	uint32_t back = 0;
	if (sql && position <= sql->front)
		return 0;
	position -= 1 + (sql ? sql->front : 0);
	if (change)
		back = moved(position, change);
	for (uint32_t i = 0; sql && i < sql->count; i++)
		back += moved(position, sql->changes[i]);
	return position - back + 1;
}

static void put_position(struct field_writer *writer, const void *note, const char *value)
{
	char text[16];
	uint32_t position = position_before(note, (uint32_t)strtoul(value, NULL, 10));
	if (position == 0)
		return;
	snprintf(text, sizeof text, "%u", position);
	field_put_byte(writer, 'P');
	field_put_string(writer, text);
}

bool prepared_put_error(const void *note, const uint8_t *body, uint32_t size, struct buffer **out)
{
	struct field_reader reader;
	struct field_writer writer;
	const char *servers, *clients;
	if (refusal_of(note))
		return response_put_error(out, MESSAGE_WHOLE_MAX, "ERROR", refusal_of(note));
	if (!names_of(note, &servers, &clients))
		servers = clients = NULL;
	field_reader_init(&reader, body, size);
	field_writer_init(&writer, out, MESSAGE_WHOLE_MAX * 4);
	field_begin(&writer, MESSAGE_ERROR_RESPONSE);
	for (uint8_t code; (code = field_get_byte(&reader)) != 0;) {
		const char *value = field_get_string(&reader);
		if (code == 'P') {
			put_position(&writer, note, value);
			continue;
		}
		field_put_byte(&writer, code);
		if (code == 'M')
			put_message(&writer, value, servers, clients);
		else
			field_put_string(&writer, value);
	}
	field_put_byte(&writer, 0);
	return field_end(&writer) && !reader.bad;
}
