/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/prepared_sql.h"
#include <stdio.h>
#include <string.h>
#include "prepared_book_priv.h"
#include "conn/parameter.h"
#include "conn/statement.h"
#include "core/memory.h"
#include "proto/message.h"
#include "proto/sql.h"

enum {
	ORIGINAL_MAX = 1024, /* of a text that may be changed anew */
	CHANGES_MAX = 4096,  /* in one text */
	TEXT_MAX = 64 << 20, /* of what is sent */
	CLOSES_AT_ONCE = 8,
};

/* ---- what is sent instead ---- */

/* Of one batch, the latest first. */
static struct text {
	struct text *next;
	struct buffer *bytes;
} * texts;

static struct buffer **new_text(void)
{
	struct text *text = memory_alloc(sizeof *text);
	text->next = texts;
	texts = text;
	return &text->bytes;
}

void prepared_sql_begin_batch(void)
{
	while (texts) {
		struct text *text = texts;
		texts = text->next;
		buffer_free(&text->bytes);
		memory_free(&text);
	}
}

static bool put(struct buffer **out, const void *bytes, size_t size)
{
	return buffer_append(out, bytes, size, TEXT_MAX);
}

static bool put_text(struct buffer **out, const char *text)
{
	return put(out, text, strlen(text));
}

/* A name of our own, which needs no escapes in its quotes. */
static bool put_command(struct buffer **out, const char *command, const char *name)
{
	return put_text(out, command) && put_text(out, " \"") && put_text(out, name) &&
	       put_text(out, "\"");
}

/* Types as SQL calls them, of those that drivers name. */
static const struct {
	uint32_t oid;
	const char *name;
} types[] = {
	{16, "bool"},	     {17, "bytea"},	    {18, "\"char\""},	{19, "name"},
	{20, "int8"},	     {21, "int2"},	    {23, "int4"},	{25, "text"},
	{26, "oid"},	     {114, "json"},	    {700, "float4"},	{701, "float8"},
	{1000, "bool[]"},    {1005, "int2[]"},	    {1007, "int4[]"},	{1009, "text[]"},
	{1015, "varchar[]"}, {1016, "int8[]"},	    {1021, "float4[]"}, {1022, "float8[]"},
	{1042, "bpchar"},    {1043, "varchar"},	    {1082, "date"},	{1083, "time"},
	{1114, "timestamp"}, {1184, "timestamptz"}, {1186, "interval"}, {1266, "timetz"},
	{1700, "numeric"},   {2950, "uuid"},	    {3802, "jsonb"},
};

static bool put_type(struct buffer **out, uint32_t oid)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].oid == oid)
			return put_text(out, "pg_catalog.") && put_text(out, types[i].name);
	return false;
}

/* May PREPARE stand before this text? */
static bool is_preparable(const char *text, size_t size)
{
	static const char *const words[] = {"select", "insert", "update", "delete",
					    "with",   "values", "merge",  "table"};
	struct sql_reader reader;
	struct sql_token token;
	sql_reader_init(&reader, text, size, (struct sql_dialect){0});
	sql_next(&reader, &token);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (sql_is_word(&token, words[i]))
			return true;
	return token.kind == SQL_SYMBOL && *token.at == '(';
}

/* The types and text of one that was prepared by protocol. */
static bool put_protocol_statement(struct buffer **out, const struct statement *statement)
{
	const char *text = (const char *)statement->content;
	size_t size = strlen(text);
	const uint8_t *at = statement->content + size + 1;
	int count = at[0] << 8 | at[1];
	bool well = is_preparable(text, size);
	at += 2;
	for (int i = 0; i < count && well; i++, at += 4)
		well = put_text(out, i ? "," : "(") && put_type(out, message_get32(at));
	return well && (!count || put_text(out, ")")) && put_text(out, " AS ") &&
	       put(out, text, size) && put_text(out, "\n"); /* it may end in a comment */
}

bool prepared_sql_put_prepare(struct buffer **out, const struct statement *statement)
{
	if (statement_is_forgotten(statement) || !put_command(out, "PREPARE", statement->name))
		return false;
	return statement->is_sql ? put(out, statement->content, statement->size)
				 : put_protocol_statement(out, statement);
}

/* ---- one text ---- */

static struct {
	struct prepared_link *link;
	struct buffer *front;			 /* what stands before the client's text */
	struct sql_change *changes[CHANGES_MAX]; /* ours first */
	struct sql_token tokens[CHANGES_MAX];	 /* where the client's names stand */
	uint32_t count, hidden;
	bool failed; /* no memory, or too much of it */
} work;

static struct sql_change *add(enum sql_change_kind kind, uint32_t at, struct statement *statement,
			      const char *servers)
{
	struct sql_change *change = prepared_new_change(kind);
	change->at = at;
	change->statement = statement ? statement_share(statement) : NULL;
	snprintf(change->servers, sizeof change->servers, "%s", servers);
	if (work.count == CHANGES_MAX) {
		work.failed = true;
		sql_change_release(&work.changes[--work.count]);
	}
	work.changes[work.count] = change;
	work.tokens[work.count++] = (struct sql_token){.at = NULL};
	return change;
}

/* One of ours, whose text was put into the front. */
static void add_hidden(enum sql_change_kind kind, struct statement *statement, const char *servers)
{
	add(kind, work.hidden++, statement, servers);
	work.failed |= !put_text(&work.front, ";");
}

/* What the client's name means at this point of the text; NULL: nothing. */
static struct statement *resolve(const char *name)
{
	for (uint32_t i = work.count; i-- > 0;) {
		const struct sql_change *change = work.changes[i];
		if (change->kind == CHANGE_ALL_DROPPED)
			return NULL;
		if ((change->kind != CHANGE_MADE && change->kind != CHANGE_DROPPED) ||
		    strcmp(change->clients, name) != 0)
			continue;
		return change->kind == CHANGE_MADE ? change->statement : NULL;
	}
	struct name *known = prepared_find_name(*work.link->client, name);
	return known ? known->statement : NULL;
}

static bool is_in_text(const struct statement *statement)
{
	for (uint32_t i = 0; i < work.count; i++)
		if (work.changes[i]->statement == statement)
			return true;
	return false;
}

/* Will it be at the server when the text has come so far? */
static bool is_there(const struct statement *statement)
{
	for (uint32_t i = work.count; i-- > 0;) {
		const struct sql_change *change = work.changes[i];
		if (change->kind == CHANGE_ALL_DROPPED)
			return false;
		if (change->statement == statement)
			return change->kind != CHANGE_CLOSED;
	}
	const struct place *place = prepared_find_place(*work.link->server, statement);
	return place && !place->is_stale;
}

/* A statement that is there for its name only. */
static void hide_prepare(enum sql_change_kind kind, const char *name)
{
	work.failed |= !put_command(&work.front, "PREPARE", name) ||
		       !put_text(&work.front, " AS SELECT 1");
	add_hidden(kind, NULL, name);
}

static void close_first(struct statement *statement)
{
	work.failed |= !put_command(&work.front, "DEALLOCATE", statement->name);
	add_hidden(CHANGE_CLOSED, statement, statement->name);
}

/* Statements of this server that the text has nothing to do with go, until there is room for one
 * more. */
static void make_room(void)
{
	struct prepared_server *server = prepared_server_of(work.link);
	uint32_t length = server->by_use.length;
	int most = CLOSES_AT_ONCE;
	list_foreach (node, &server->by_use) {
		struct place *place = container_of(node, struct place, of_use);
		if (length < work.link->limit || most == 0)
			break;
		if (is_in_text(place->statement))
			continue;
		close_first(place->statement);
		length--;
		most--;
	}
}

/* EXECUTE of it follows. False: it cannot be had at the server. */
static bool need(struct statement *statement)
{
	if (is_there(statement))
		return true;
	struct place *place = prepared_find_place(*work.link->server, statement);
	struct buffer *prepare = NULL;
	bool well = prepared_sql_put_prepare(&prepare, statement);
	if (well) {
		if (place && !is_in_text(statement))
			close_first(statement);
		make_room();
		work.failed |= !put(&work.front, buffer_bytes(prepare), buffer_length(prepare));
		add_hidden(CHANGE_PREPARED, statement, statement->name);
		work.link->server_parses++;
	}
	buffer_free(&prepare);
	return well;
}

/* A statement that nobody uses, for the client's DEALLOCATE to drop: then the answer is right
 * whatever comes between. */
static const char *new_spare(void)
{
	static uint64_t last;
	static char name[SERVER_NAME];
	snprintf(name, sizeof name, STATEMENT_PREFIX "spare_%llu", (unsigned long long)++last);
	return name;
}

/* The name, or what stands for one that cannot be read. */
static void key_of(const struct sql_token *token, char key[SQL_NAME_MAX])
{
	if (!sql_name(token, key))
		snprintf(key, SQL_NAME_MAX, "%.*s", (int)token->size, token->at);
}

static struct sql_change *change_name(enum sql_change_kind kind, uint32_t at,
				      struct statement *statement, const char *servers,
				      const char *clients, const struct sql_token *token)
{
	struct sql_change *change = add(kind, at, statement, servers);
	snprintf(change->clients, sizeof change->clients, "%s", clients);
	work.tokens[work.count - 1] = *token;
	return change;
}

/* The statement of a client's PREPARE. One that this text speaks of already is not shared: a space
 * more makes another. */
static struct statement *statement_of(const struct sql_statement *sql)
{
	struct statement *statement = NULL;
	struct buffer *content = NULL;
	size_t size = (size_t)(sql->end - sql->rest);
	if (!put(&content, sql->rest, size))
		return NULL;
	for (;;) {
		statement_release(&statement);
		statement = statement_get_sql(buffer_bytes(content), buffer_length(content));
		if (!statement || !is_in_text(statement) || !put_text(&content, " "))
			break;
	}
	buffer_free(&content);
	return statement;
}

/* A name that is taken at the server, for a PREPARE that is to be told so. */
static const char taken[] = STATEMENT_PREFIX "taken";

static void take_name(void)
{
	if (prepared_server_of(work.link)->has_taken)
		return;
	for (uint32_t i = 0; i < work.count; i++)
		if (work.changes[i]->kind == CHANGE_TAKEN)
			return;
	hide_prepare(CHANGE_TAKEN, taken);
}

static void see_prepare(const struct sql_statement *sql, uint32_t at, const char *name)
{
	struct statement *old = resolve(name);
	if (old) {
		bool there = is_there(old);
		if (!there)
			take_name();
		change_name(CHANGE_DOUBLED, at, old, there ? old->name : taken, name, &sql->name);
		return;
	}
	struct statement *statement = statement_of(sql);
	if (!statement) {
		work.failed = true;
		return;
	}
	if (prepared_find_place(*work.link->server, statement))
		close_first(statement);
	else
		make_room();
	change_name(CHANGE_MADE, at, statement, statement->name, name, &sql->name);
	statement_release(&statement);
	work.link->client_parses++;
	work.link->server_parses++;
}

static void see_deallocate(const struct sql_statement *sql, uint32_t at, const char *name)
{
	if (!resolve(name)) {
		change_name(CHANGE_UNKNOWN, at, NULL, PREPARED_NO_STATEMENT, name, &sql->name);
		return;
	}
	const char *spare = new_spare();
	hide_prepare(CHANGE_SPARED, spare);
	change_name(CHANGE_DROPPED, at, NULL, spare, name, &sql->name);
}

static void see_execute(const struct sql_statement *sql, uint32_t at, const char *name)
{
	struct statement *statement = resolve(name);
	if (statement && need(statement)) {
		statement_touch(statement);
		struct place *place = prepared_find_place(*work.link->server, statement);
		if (place)
			prepared_touch_place(*work.link->server, place, work.link->limit);
		change_name(CHANGE_USED, at, statement, statement->name, name, &sql->name);
		work.link->binds++;
	} else {
		change_name(CHANGE_UNKNOWN, at, NULL, PREPARED_NO_STATEMENT, name, &sql->name);
	}
}

static void see_statement(const struct sql_statement *sql, uint32_t at)
{
	char name[SQL_NAME_MAX];
	if (sql->name.at)
		key_of(&sql->name, name);
	switch ((enum sql_kind)sql->kind) {
	case SQL_PREPARE:
		see_prepare(sql, at, name);
		break;
	case SQL_EXECUTE:
		see_execute(sql, at, name);
		break;
	case SQL_DEALLOCATE:
		see_deallocate(sql, at, name);
		break;
	case SQL_DEALLOCATE_ALL:
	case SQL_DISCARD_ALL:
		add(CHANGE_ALL_DROPPED, at, NULL, "");
		break;
	case SQL_OTHER:
	case SQL_RESET_ALL:
	case SQL_RESET:
	case SQL_SET:
		break;
	}
}

static void begin_work(struct prepared_link *link)
{
	work.link = link;
	work.count = work.hidden = 0;
	work.failed = false;
}

static void end_work(void)
{
	buffer_free(&work.front);
	while (work.count > 0)
		sql_change_release(&work.changes[--work.count]);
}

/* Characters, if it is UTF-8; what the client counts in other encodings differs by little. */
static uint32_t characters(const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint32_t count = 0;
	for (size_t i = 0; i < size; i++)
		count += (at[i] & 0xc0) != 0x80;
	return count;
}

/* The client's text with the servers' names in it. */
static bool put_changed(struct buffer **out, const char *text, size_t size)
{
	const char *from = text, *end = text + size;
	uint32_t offset = 0;
	for (uint32_t i = 0; i < work.count; i++) {
		struct sql_change *change = work.changes[i];
		const struct sql_token *token = &work.tokens[i];
		if (!token->at)
			continue;
		char quoted[SERVER_NAME + 2];
		int length = snprintf(quoted, sizeof quoted, "\"%s\"", change->servers);
		offset += characters(from, (size_t)(token->at - from));
		change->offset = offset;
		change->length = (uint32_t)length;
		change->longer = length - (int32_t)characters(token->at, token->size);
		offset += change->length;
		if (!put(out, from, (size_t)(token->at - from)) ||
		    !put(out, quoted, (size_t)length))
			return false;
		from = token->at + token->size;
	}
	return put(out, from, (size_t)(end - from));
}

/* A statement of the text is of interest here. */
static bool is_of_interest(const struct sql_statement *sql)
{
	return sql->kind >= SQL_PREPARE && sql->kind <= SQL_DEALLOCATE;
}

/* Is there anything, and is it a text that PostgreSQL can take? If not it says so. */
static bool is_to_be_changed(const char *text, size_t size, struct sql_dialect dialect)
{
	struct sql_reader reader;
	struct sql_statement sql = {0};
	bool any = false;
	sql_reader_init(&reader, text, size, dialect);
	while (sql_next_statement(&reader, &sql)) {
		any |= is_of_interest(&sql);
		if (sql.is_bad)
			return false;
	}
	return any;
}

static enum relay_action stop(struct prepared_link *link, const char *refusal)
{
	link->refusal = refusal;
	link->barrier = !refusal;
	return RELAY_STOP;
}

/* Ours were counted from the beginning of the text, the client's too. */
static void number_changes(void)
{
	for (uint32_t i = 0; i < work.count; i++)
		if (work.changes[i]->kind < CHANGE_PREPARED)
			work.changes[i]->at += work.hidden;
}

static enum relay_action send_changed(const char *text, size_t size, struct relay_batch *batch)
{
	struct prepared_link *link = work.link;
	struct buffer **out = new_text(), *changed = NULL;
	uint8_t header[MESSAGE_HEADER] = {MESSAGE_QUERY};
	size_t front = buffer_length(work.front);
	bool well = put_changed(&changed, text, size);
	if (well) {
		message_put32(header + 1,
			      (uint32_t)(front + buffer_length(changed) + 1 + MESSAGE_LENGTH_MIN));
		well = put(out, header, sizeof header) &&
		       (!front || put(out, buffer_bytes(work.front), front)) &&
		       put(out, buffer_bytes(changed), buffer_length(changed)) && put(out, "", 1);
	}
	buffer_free(&changed);
	number_changes();
	struct sql_note *note = well ? prepared_send_changes(link, MESSAGE_QUERY, TEXT_QUERY,
							     work.changes, work.count)
				     : NULL;
	if (!note)
		return stop(link, "out of memory");
	note->front = front ? characters(buffer_bytes(work.front), front) : 0;
	note->hidden = work.hidden;
	work.count = 0; /* the note has them */
	prepared_server_of(link)->barrier_next = true;
	batch->replacement[0] = (struct iovec){.iov_base = (void *)(uintptr_t)buffer_bytes(*out),
					       .iov_len = buffer_length(*out)};
	batch->replacements = 1;
	batch->replaced = MESSAGE_HEADER + size + 1;
	return RELAY_REPLACE;
}

struct sql_dialect prepared_sql_dialect(const struct parameter_set *parameters)
{
	const char *standard = parameter_get(parameters, "standard_conforming_strings");
	return (struct sql_dialect){
		.backslashes = standard && !strcmp(standard, "off"),
		.wide = sql_encoding_is_wide(parameter_get(parameters, "client_encoding")),
	};
}

bool prepared_sql_begins(const struct prepared_link *link, const char *text, size_t size)
{
	struct sql_reader reader;
	struct sql_statement sql;
	sql_reader_init(&reader, text, size, prepared_sql_dialect(link->parameters));
	return sql_next_statement(&reader, &sql) && is_of_interest(&sql);
}

enum relay_action prepared_sql_query(struct prepared_link *link, const char *text, size_t size,
				     struct relay_batch *batch)
{
	struct sql_dialect dialect = prepared_sql_dialect(link->parameters);
	struct sql_reader reader;
	struct sql_statement sql;
	if (!is_to_be_changed(text, size, dialect))
		return RELAY_FORWARD;
	if (pipeline_owes_answer(link->pipeline))
		return stop(link, NULL); /* what will be true is not certain before that */
	begin_work(link);
	sql_reader_init(&reader, text, size, dialect);
	for (uint32_t at = 0; sql_next_statement(&reader, &sql); at++)
		see_statement(&sql, at);
	enum relay_action action = work.failed ? stop(link, "too many prepared statements at once")
					       : send_changed(text, size, batch);
	end_work();
	return action;
}

enum relay_action prepared_sql_refuse(struct prepared_link *link, uint32_t size,
				      const struct error *error, struct relay_batch *batch)
{
	static struct {
		uint8_t header[MESSAGE_HEADER];
		char text[sizeof PREPARED_REFUSED];
	} query = {{MESSAGE_QUERY}, PREPARED_REFUSED};
	struct sql_note *note = prepared_send_changes(link, MESSAGE_QUERY, TEXT_QUERY, NULL, 0);
	if (!note)
		return stop(link, "out of memory");
	note->refusal = memory_dup(error, sizeof *error);
	message_put32(query.header + 1, sizeof query.text + MESSAGE_LENGTH_MIN);
	batch->replacement[0] = (struct iovec){.iov_base = &query, .iov_len = sizeof query};
	batch->replacements = 1;
	batch->replaced = MESSAGE_HEADER + size;
	return RELAY_REPLACE;
}

/* ---- a Parse of such a text ---- */

static struct sql_change *change_parsed(enum sql_change_kind kind, struct statement *statement,
					const char *servers, const char *clients,
					const struct sql_token *token)
{
	return sql_change_share(change_name(kind, 0, statement, servers, clients, token));
}

/* False: out of memory. */
static bool parse_prepare(const struct sql_statement *sql, const char *name,
			  struct prepared_sql_parse *parse)
{
	struct statement *old = resolve(name);
	if (old) {
		parse->needs = old;
		parse->change = change_parsed(CHANGE_DOUBLED, old, old->name, name, &sql->name);
		return true;
	}
	struct statement *statement = statement_of(sql);
	if (!statement)
		return false;
	parse->must_close = statement;
	parse->change = change_parsed(CHANGE_MADE, statement, statement->name, name, &sql->name);
	statement_release(&statement);
	return true;
}

bool prepared_sql_parse(struct prepared_link *link, const uint8_t *content, size_t size,
			struct prepared_sql_parse *parse)
{
	const char *text = (const char *)content;
	size_t length = strlen(text);
	struct sql_reader reader;
	struct sql_statement sql, next;
	char name[SQL_NAME_MAX];
	*parse = (struct prepared_sql_parse){.change = NULL};
	sql_reader_init(&reader, text, length, prepared_sql_dialect(link->parameters));
	if (!sql_next_statement(&reader, &sql) || !is_of_interest(&sql) || sql.is_bad ||
	    sql.kind == SQL_DEALLOCATE_ALL || sql_next_statement(&reader, &next))
		return true;
	begin_work(link);
	key_of(&sql.name, name);
	struct statement *known = resolve(name);
	bool well = true;
	if (sql.kind == SQL_PREPARE) {
		well = parse_prepare(&sql, name, parse);
	} else if (!known) {
		parse->change =
			change_parsed(CHANGE_UNKNOWN, NULL, PREPARED_NO_STATEMENT, name, &sql.name);
	} else if (sql.kind == SQL_EXECUTE) {
		parse->needs = known;
		parse->change = change_parsed(CHANGE_USED, known, known->name, name, &sql.name);
	} else {
		parse->spare = new_spare();
		parse->change = change_parsed(CHANGE_DROPPED, NULL, parse->spare, name, &sql.name);
		parse->change->spared_at = prepared_server_of(link)->id;
	}
	struct buffer **out = new_text();
	well = well && put_changed(out, text, length) &&
	       put(out, content + length, size - length) &&
	       (size > ORIGINAL_MAX || put(&parse->change->original, content, size));
	if (well) {
		parse->content = buffer_bytes(*out);
		parse->size = buffer_length(*out);
	} else {
		sql_change_release(&parse->change);
	}
	end_work();
	return well;
}

bool prepared_sql_is_outdated(struct prepared_link *link, const struct sql_change *change)
{
	if (!change->original)
		return false;
	begin_work(link);
	const struct statement *now = resolve(change->clients);
	switch ((enum sql_change_kind)change->kind) {
	case CHANGE_MADE:
		return change->is_bound || now ||
		       prepared_find_place(*link->server, change->statement);
	case CHANGE_DROPPED:
		return change->is_bound || !now ||
		       change->spared_at != prepared_server_of(link)->id;
	default:
		return now != change->statement;
	}
}
