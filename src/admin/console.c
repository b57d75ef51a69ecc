/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/console.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "admin/access.h"
#include "admin/show_config.h"
#include "admin/show_conn.h"
#include "admin/show_pool.h"
#include "admin/show_net.h"
#include "admin/show_process.h"
#include "admin/show_stats.h"
#include "conn/client.h"
#include "conn/client_console.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include "pool/registry.h"
#include "proto/field.h"
#include "proto/message.h"

enum {
	STATEMENTS_MAX = 256,
	COMMAND_TAG = 1200,
	ANSWER_MAX = RESULT_MAX + (1 << 20), /* what stands around the rows always fits */
};

/* A prepared statement or a portal of the extended protocol. */
struct prepared {
	struct list_node node;
	char *name, *text;
	/* of a portal */
	uint8_t binary[RESULT_COLUMNS]; /* columns wanted in binary */
	bool was_run;
	struct buffer *answer; /* messages that the client has not asked for yet */
};

struct console {
	enum access access;
	struct list statements, portals;
	bool skips_to_sync;
	/* while a PAUSE or WAIT_CLOSE is not answered yet */
	enum control_end waits_for; /* CONTROL_DONE: nothing */
	char *database;
	char *rest; /* of the Query that it came in; NULL: it came in an Execute */
	char tag[COMMAND_TAG];
	struct list_node of_waiting;
	struct client *client;
};

static struct list waiting;
static struct loop_work looking;

/* ---- tables ---- */

#define NONE "", 0
#define OPTIONAL_DATABASE "[database]", 1
#define DATABASE "database", 1
#define ID "id", 1
#define ASSIGNMENT "name = value", 2
#define MODE "[WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]", 1
#define ADMINS true
#define ALL false

static const struct command commands[] = {
#define COMMAND_ROW(words, argument, most, who, function, help) \
	{words, argument, help, who, function},
#define COMMAND(words, argument, who, function, help) \
	COMMAND_ROW_(words, argument, who, function, help)
#define COMMAND_ROW_(...) COMMAND_ROW(__VA_ARGS__)
#include "admin/commands.def"
};
static const uint8_t most_arguments[] = {
#define SECOND(text, most) most
#define COMMAND(words, argument, who, function, help) SECOND_(argument),
#define SECOND_(...) SECOND(__VA_ARGS__)
#include "admin/commands.def"
};

const struct command *command_row(unsigned i)
{
	return i < sizeof commands / sizeof *commands ? &commands[i] : NULL;
}

typedef const struct show *show_list_fn(unsigned *count);
static show_list_fn *const show_lists[] = {show_pool_list,   show_conn_list, show_stats_list,
					   show_config_list, show_net_list,  show_process_list};

const struct show *show_row(unsigned i)
{
	for (size_t list = 0; list < sizeof show_lists / sizeof *show_lists; list++) {
		unsigned count;
		const struct show *shows = show_lists[list](&count);
		if (i < count)
			return &shows[i];
		i -= count;
	}
	return NULL;
}

static const struct show *find_show(const char *name)
{
	const struct show *show;
	for (unsigned i = 0; (show = show_row(i)); i++)
		if (text_equals_nocase(show->name, name))
			return show;
	return NULL;
}

/* Parameters that drivers ask for, as a PostgreSQL would answer. */
struct fake {
	const char *name, *value;
};
static const struct fake fakes[] = {
	{"client_encoding", "UTF-8"},
	{"default_transaction_isolation", "read committed"},
	{"standard_conforming_strings", "on"},
	{"datestyle", "ISO"},
	{"timezone", "GMT"},
};
static const struct result_column fake_columns[][1] = {
	{SHOW_COLUMN(TEXT, fake, value, "client_encoding", "")},
	{SHOW_COLUMN(TEXT, fake, value, "default_transaction_isolation", "")},
	{SHOW_COLUMN(TEXT, fake, value, "standard_conforming_strings", "")},
	{SHOW_COLUMN(TEXT, fake, value, "datestyle", "")},
	{SHOW_COLUMN(TEXT, fake, value, "timezone", "")},
};
enum { FAKES = sizeof fakes / sizeof *fakes };

static int find_fake(const char *name)
{
	for (int i = 0; i < FAKES; i++)
		if (text_equals_nocase(fakes[i].name, name))
			return i;
	return -1;
}

/* ---- running one command ---- */

static bool is_word(const struct command_words *words, unsigned i, const char *text)
{
	return words->count > i && text_equals_nocase(words->word[i], text);
}

static bool is_show(const struct command_words *words)
{
	return is_word(words, 0, "show") || is_word(words, 0, "select");
}

/* The columns that a command answers with; NULL: none. */
static const struct result_column *columns_of(const struct command_words *words, unsigned *count)
{
	if (!is_show(words) || words->count != 2 || words->has_equals)
		return NULL;
	const struct show *show = find_show(words->word[1]);
	int fake = find_fake(words->word[1]);
	*count = show ? show->count : 1;
	return show ? show->columns : fake >= 0 ? fake_columns[fake] : NULL;
}

static void put_help(struct buffer **out)
{
	struct error notice;
	struct field_writer writer;
	char text[8192];
	struct text_builder help;
	const struct command *command;
	const struct show *show;
	error_set(&notice, SQLSTATE_SUCCESSFUL_COMPLETION, "Console usage");
	text_builder_init(&help, text, sizeof text);
	text_append(&help, "\n\tSHOW HELP");
	for (unsigned i = 0; (show = show_row(i)); i++)
		text_append(&help, "|%s", show->name);
	for (unsigned i = 0; (command = command_row(i)); i++)
		text_append(&help, "\n\t%s%s%s", command->words, *command->argument ? " " : "",
			    command->argument);
	/* Longer than a struct error's detail: written by hand. */
	field_writer_init(&writer, out, ANSWER_MAX);
	field_begin(&writer, MESSAGE_NOTICE_RESPONSE);
	const char *const fields[][2] = {{"S", "NOTICE"},
					 {"V", "NOTICE"},
					 {"C", notice.sqlstate},
					 {"M", notice.message},
					 {"D", text}};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		field_put_byte(&writer, (uint8_t)fields[i][0][0]);
		field_put_string(&writer, fields[i][1]);
	}
	field_put_byte(&writer, 0);
	field_end(&writer);
}

static enum control_end run_show(const struct command_words *words, bool describe,
				 const uint8_t *binary, struct buffer **out, struct error *error)
{
	if (is_word(words, 1, "help") && words->count == 2) {
		put_help(out);
		return CONTROL_DONE;
	}
	if (is_word(words, 1, "fds"))
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "SHOW FDS is not supported: restart by so_reuseport or systemd's "
				 "sockets"),
		       CONTROL_FAILED;
	unsigned count = 0;
	const struct result_column *columns = columns_of(words, &count);
	if (!columns)
		return error_set(error, SQLSTATE_SYNTAX_ERROR,
				 "invalid command '%s %s', use SHOW HELP;", words->word[0],
				 words->count > 1 ? words->word[1] : ""),
		       CONTROL_FAILED;
	if (describe)
		result_describe(out, columns, count, binary);
	struct result result = {.out = out, .columns = columns, .count = count, .binary = binary};
	const struct show *show = find_show(words->word[1]);
	if (show)
		show->rows(&result);
	else
		result_row(&result, &fakes[find_fake(words->word[1])]);
	if (!result.is_cut)
		return CONTROL_DONE;
	buffer_free(out);
	return error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "the result is too large"),
	       CONTROL_FAILED;
}

static enum control_end run(const struct console *console, const struct command_words *words,
			    bool describe, const uint8_t *binary, struct buffer **out,
			    char tag[COMMAND_TAG], struct error *error)
{
	if (is_show(words)) {
		strcpy(tag, "SHOW");
		return run_show(words, describe, binary, out, error);
	}
	if (is_word(words, 0, "set") && words->count > 1 && find_fake(words->word[1]) >= 0) {
		struct error notice;
		error_set(&notice, SQLSTATE_SUCCESSFUL_COMPLETION, "SET ignored");
		response_put_notice(out, ANSWER_MAX, "NOTICE", &notice);
		strcpy(tag, "SET");
		return CONTROL_DONE;
	}
	if (is_word(words, 0, "suspend"))
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "SUSPEND is not supported: use PAUSE"),
		       CONTROL_FAILED;
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!is_word(words, 0, commands[i].words))
			continue;
		if (commands[i].admins_only && console->access != ACCESS_ADMIN)
			return error_set(error, SQLSTATE_INSUFFICIENT_PRIVILEGE,
					 "admin access needed"),
			       CONTROL_FAILED;
		if (words->count > most_arguments[i] + 1u ||
		    (words->has_equals && most_arguments[i] < 2))
			return error_set(error, SQLSTATE_SYNTAX_ERROR, "bad arguments: %s%s%s",
					 commands[i].words, *commands[i].argument ? " " : "",
					 commands[i].argument),
			       CONTROL_FAILED;
		enum control_end end = commands[i].run(words, error);
		if (is_word(words, 0, "set") && words->count == 3)
			snprintf(tag, COMMAND_TAG, "SET %.100s=%.1000s", words->word[1],
				 words->word[2]);
		else
			snprintf(tag, COMMAND_TAG, "%s", commands[i].words);
		return end;
	}
	error_set(error, SQLSTATE_SYNTAX_ERROR, "invalid command '%s', use SHOW HELP;",
		  words->word[0]);
	return CONTROL_FAILED;
}

/* ---- waiting for PAUSE and WAIT_CLOSE ---- */

static void wait_for(struct console *console, enum control_end what,
		     const struct command_words *words, const char *tag)
{
	console->waits_for = what;
	console->database = words->count > 1 ? memory_strdup(words->word[1]) : NULL;
	strcpy(console->tag, tag);
	console->client->stalled = true;
	list_push_last(&waiting, &console->of_waiting);
}

static void stop_waiting(struct console *console)
{
	if (console->waits_for == CONTROL_DONE)
		return;
	console->waits_for = CONTROL_DONE;
	list_remove(&waiting, &console->of_waiting);
	memory_free(&console->database);
}

static void run_statements(struct console *console, const char *text, struct buffer **out);

/* Answer what a client waits for (@error: in vain), and go on with what it sent behind. */
static void answer_waiting(struct console *console, const struct error *error)
{
	struct client *client = console->client;
	struct buffer *out = NULL;
	char *rest = console->rest;
	console->rest = NULL;
	stop_waiting(console);
	if (!error) {
		response_put_command_complete(&out, ANSWER_MAX, console->tag);
		if (rest)
			run_statements(console, rest, &out);
	} else {
		response_put_error(&out, ANSWER_MAX, "ERROR", error);
		if (rest)
			response_put_ready_for_query(&out, ANSWER_MAX, 'I');
		else
			console->skips_to_sync = true;
	}
	memory_free(&rest);
	client_send(client, &out);
	if (client->console && console->waits_for == CONTROL_DONE)
		client_console_resume(client);
}

/* Answer one whose wait is over. False: all others go on waiting. */
static bool answer_one(void)
{
	list_foreach (node, &waiting) {
		struct console *console = container_of(node, struct console, of_waiting);
		enum control_progress progress =
			control_look(console->waits_for, console->database);
		struct error error;
		if (progress == CONTROL_WAITS)
			continue;
		error_set(&error, SQLSTATE_QUERY_CANCELED, "PAUSE was undone by RESUME");
		answer_waiting(console, progress == CONTROL_UNDONE ? &error : NULL);
		return true;
	}
	return false;
}

/* Something came free or was resumed. An answer may change the list: what else its client sent is
 * run. */
static void look(void)
{
	while (answer_one())
		;
}

static void look_now(struct loop_work *work)
{
	(void)work;
	look();
}

static void look_later(void)
{
	looking.callback = look_now;
	loop_post(&looking);
}

/* ---- simple protocol ---- */

static void count(const struct client *client)
{
	client->database->stats.now.query_count++;
	client->database->stats.now.xact_count++;
}

static bool must_wait(enum control_end end, const struct command_words *words)
{
	return (end == CONTROL_PAUSES || end == CONTROL_CLOSES) &&
	       control_look(end, words->count > 1 ? words->word[1] : NULL) == CONTROL_WAITS;
}

/* Run what is left of a Query, as far as that goes now. The console is gone behind this if a
 * command closed its client. */
static void run_statements(struct console *console, const char *text, struct buffer **out)
{
	struct client *client = console->client;
	struct command_words words;
	struct error error;
	while (command_split(&text, &words, &error)) {
		char tag[COMMAND_TAG] = "";
		if (words.count == 0 && *text)
			continue;
		if (words.count == 0) {
			response_put_ready_for_query(out, ANSWER_MAX, 'I');
			return;
		}
		enum control_end end = run(console, &words, true, NULL, out, tag, &error);
		if (!client->console || end == CONTROL_GONE)
			return;
		if (end == CONTROL_FAILED)
			break;
		if (must_wait(end, &words)) {
			console->rest = memory_strdup(text);
			wait_for(console, end, &words, tag);
			return;
		}
		response_put_command_complete(out, ANSWER_MAX, tag);
	}
	response_put_error(out, ANSWER_MAX, "ERROR", &error);
	response_put_ready_for_query(out, ANSWER_MAX, 'I');
}

static void run_query(struct console *console, const char *text, struct buffer **out)
{
	struct command_words words;
	struct error error;
	const char *at = text;
	count(console->client);
	/* Nothing at all, or only semicolons. */
	while (command_split(&at, &words, &error) && words.count == 0) {
		if (*at)
			continue;
		response_put_empty(out, ANSWER_MAX, MESSAGE_EMPTY_QUERY_RESPONSE);
		break;
	}
	run_statements(console, text, out);
}

/* ---- extended protocol ---- */

static struct prepared *find_prepared(struct list *list, const char *name)
{
	list_foreach (node, list) {
		struct prepared *prepared = container_of(node, struct prepared, node);
		if (!strcmp(prepared->name, name))
			return prepared;
	}
	return NULL;
}

static void drop_prepared(struct list *list, struct prepared *prepared)
{
	list_remove(list, &prepared->node);
	memory_free(&prepared->name);
	memory_free(&prepared->text);
	buffer_free(&prepared->answer);
	memory_free(&prepared);
}

static void drop_all(struct list *list)
{
	while (list->length)
		drop_prepared(list, container_of(list_first(list), struct prepared, node));
}

static struct prepared *add_prepared(struct list *list, const char *name, const char *text)
{
	struct prepared *prepared = memory_alloc(sizeof *prepared);
	prepared->name = memory_strdup(name);
	prepared->text = memory_strdup(text);
	list_push_last(list, &prepared->node);
	return prepared;
}

static bool parse(struct console *console, struct field_reader *reader, struct buffer **out,
		  struct error *error)
{
	const char *name = field_get_string(reader), *text = field_get_string(reader);
	const char *at = text;
	struct command_words words;
	uint16_t types = field_get_int16(reader);
	field_get_bytes(reader, (size_t)types * 4);
	if (!field_is_done(reader))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Parse message");
	if (!command_split(&at, &words, error))
		return false;
	struct command_words second;
	if (!command_split(&at, &second, error))
		return false;
	if (second.count)
		return error_set(error, SQLSTATE_SYNTAX_ERROR,
				 "cannot insert multiple commands into a prepared statement");
	struct prepared *old = find_prepared(&console->statements, name);
	if (old && *name)
		return error_set(error, SQLSTATE_DUPLICATE_PREPARED_STATEMENT,
				 "prepared statement \"%s\" already exists", name);
	if (old)
		drop_prepared(&console->statements, old);
	if (console->statements.length >= STATEMENTS_MAX)
		return error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
				 "too many prepared statements on the console");
	add_prepared(&console->statements, name, text);
	return response_put_empty(out, ANSWER_MAX, MESSAGE_PARSE_COMPLETE);
}

static bool find_statement(struct console *console, const char *name, struct prepared **statement,
			   struct error *error)
{
	*statement = find_prepared(&console->statements, name);
	return *statement || error_set(error, SQLSTATE_INVALID_SQL_STATEMENT_NAME,
				       "prepared statement \"%s\" does not exist", name);
}

static bool bind_portal(struct console *console, struct field_reader *reader, struct buffer **out,
			struct error *error)
{
	const char *portal_name = field_get_string(reader), *name = field_get_string(reader), *at;
	struct prepared *statement;
	struct command_words words;
	unsigned count = 0;
	field_get_bytes(reader, (size_t)field_get_int16(reader) * 2);
	uint16_t parameters = field_get_int16(reader);
	if (reader->bad)
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Bind message");
	if (parameters)
		return error_set(
			error, SQLSTATE_FEATURE_NOT_SUPPORTED,
			"the console takes no parameters: write the value into the command");
	if (!find_statement(console, name, &statement, error))
		return false;
	at = statement->text;
	const struct result_column *columns =
		command_split(&at, &words, error) ? columns_of(&words, &count) : NULL;
	uint16_t formats = field_get_int16(reader), format = 0;
	if (formats > 1 && formats != count)
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION,
				 "bind message has %u result formats but query has %u columns",
				 formats, count);
	struct prepared *old = find_prepared(&console->portals, portal_name);
	if (old)
		drop_prepared(&console->portals, old);
	if (console->portals.length >= STATEMENTS_MAX)
		return error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
				 "too many portals on the console");
	struct prepared *portal = add_prepared(&console->portals, portal_name, statement->text);
	for (unsigned i = 0; i < count && columns; i++) {
		if (i < formats)
			format = field_get_int16(reader);
		if (format > 1)
			return error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE,
					 "unsupported format code: %u", format);
		/* Text is the same in both formats. */
		if (format && columns[i].type == RESPONSE_NUMERIC)
			return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
					 "the console has column \"%s\" in text format only",
					 columns[i].name);
		portal->binary[i] = format == 1;
	}
	if (formats == 1 && count == 0)
		field_get_int16(reader);
	if (!field_is_done(reader))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Bind message");
	return response_put_empty(out, ANSWER_MAX, MESSAGE_BIND_COMPLETE);
}

static bool describe(struct console *console, struct field_reader *reader, struct buffer **out,
		     struct error *error)
{
	uint8_t kind = field_get_byte(reader);
	const char *name = field_get_string(reader);
	if (!field_is_done(reader) || (kind != 'S' && kind != 'P'))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Describe message");
	struct prepared *prepared =
		find_prepared(kind == 'S' ? &console->statements : &console->portals, name);
	if (!prepared)
		return error_set(error,
				 kind == 'S' ? SQLSTATE_INVALID_SQL_STATEMENT_NAME
					     : SQLSTATE_INVALID_CURSOR_NAME,
				 "%s \"%s\" does not exist",
				 kind == 'S' ? "prepared statement" : "portal", name);
	if (kind == 'S') {
		struct field_writer writer;
		field_writer_init(&writer, out, ANSWER_MAX);
		field_begin(&writer, MESSAGE_PARAMETER_DESCRIPTION);
		field_put_int16(&writer, 0);
		field_end(&writer);
	}
	struct command_words words;
	const char *at = prepared->text;
	unsigned count;
	const struct result_column *columns =
		command_split(&at, &words, error) ? columns_of(&words, &count) : NULL;
	if (columns)
		result_describe(out, columns, count, prepared->binary);
	else
		response_put_empty(out, ANSWER_MAX, MESSAGE_NO_DATA);
	return true;
}

/* Hand out at most @limit rows (0: all) of a portal's answer. True: that were all. */
static bool put_rows(struct prepared *portal, uint32_t limit, struct buffer **out)
{
	const uint8_t *begin = portal->answer ? buffer_bytes(portal->answer) : NULL, *at = begin;
	size_t left = buffer_length(portal->answer);
	uint32_t rows = 0;
	while (left && (!limit || rows < limit)) {
		size_t size = message_length(at) + 1;
		rows += at[0] == MESSAGE_DATA_ROW;
		at += size;
		left -= size;
	}
	if (at != begin) {
		buffer_append(out, begin, (size_t)(at - begin), ANSWER_MAX);
		buffer_consume(&portal->answer, (size_t)(at - begin));
	}
	return !limit || rows < limit;
}

/* Run a portal for the first time. True also when it waits, or when its client is gone: nothing
 * more is to be said. */
static bool run_portal(struct console *console, struct prepared *portal, bool *silent,
		       struct buffer **out, struct error *error)
{
	struct client *client = console->client;
	struct command_words words;
	struct buffer *answer = NULL;
	char tag[COMMAND_TAG] = "";
	const char *at = portal->text;
	count(client);
	if (!command_split(&at, &words, error))
		return false;
	*silent = true;
	if (words.count == 0)
		return response_put_empty(out, ANSWER_MAX, MESSAGE_EMPTY_QUERY_RESPONSE);
	enum control_end end = run(console, &words, false, portal->binary, &answer, tag, error);
	if (!client->console || end == CONTROL_GONE) {
		buffer_free(&answer);
		return true;
	}
	portal->was_run = true;
	portal->answer = answer;
	if (end == CONTROL_FAILED)
		return false;
	if (must_wait(end, &words))
		wait_for(console, end, &words, tag);
	else if (is_show(&words))
		*silent = false;
	else
		return put_rows(portal, 0, out) &&
		       response_put_command_complete(out, ANSWER_MAX, tag);
	return true;
}

static bool execute(struct console *console, struct field_reader *reader, struct buffer **out,
		    struct error *error)
{
	const char *name = field_get_string(reader);
	uint32_t limit = field_get_int32(reader);
	if (limit > INT32_MAX) /* negative: none, as PostgreSQL has it */
		limit = 0;
	if (!field_is_done(reader))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Execute message");
	struct prepared *portal = find_prepared(&console->portals, name);
	if (!portal)
		return error_set(error, SQLSTATE_INVALID_CURSOR_NAME,
				 "portal \"%s\" does not exist", name);
	bool silent = false;
	if (!portal->was_run && !run_portal(console, portal, &silent, out, error))
		return false;
	if (silent)
		return true;
	struct command_words words;
	const char *at = portal->text;
	if (!command_split(&at, &words, error))
		return false;
	if (!is_show(&words))
		return error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				 "portal \"%s\" cannot be run", name);
	if (put_rows(portal, limit, out))
		response_put_command_complete(out, ANSWER_MAX, "SHOW");
	else
		response_put_empty(out, ANSWER_MAX, MESSAGE_PORTAL_SUSPENDED);
	return true;
}

static bool close_prepared(struct console *console, struct field_reader *reader,
			   struct buffer **out, struct error *error)
{
	uint8_t kind = field_get_byte(reader);
	const char *name = field_get_string(reader);
	if (!field_is_done(reader) || (kind != 'S' && kind != 'P'))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Close message");
	struct list *list = kind == 'S' ? &console->statements : &console->portals;
	struct prepared *prepared = find_prepared(list, name);
	if (prepared)
		drop_prepared(list, prepared);
	return response_put_empty(out, ANSWER_MAX, MESSAGE_CLOSE_COMPLETE);
}

static bool run_extended(struct console *console, const struct message *message,
			 struct buffer **out, struct error *error)
{
	struct field_reader reader;
	field_reader_init(&reader, message->body, message->size);
	switch (message->type) {
	case MESSAGE_PARSE:
		return parse(console, &reader, out, error);
	case MESSAGE_BIND:
		return bind_portal(console, &reader, out, error);
	case MESSAGE_DESCRIBE:
		return describe(console, &reader, out, error);
	case MESSAGE_EXECUTE:
		return execute(console, &reader, out, error);
	case MESSAGE_CLOSE:
		return close_prepared(console, &reader, out, error);
	default:
		return true;
	}
}

/* ---- console_ops ---- */

static void message(struct client *client, const struct message *message)
{
	struct console *console = client->console;
	struct buffer *out = NULL;
	struct error error = {0};
	if (console->skips_to_sync && message->type != MESSAGE_SYNC)
		return;
	if (message->type == MESSAGE_QUERY) {
		struct field_reader reader;
		field_reader_init(&reader, message->body, message->size);
		const char *text = field_get_string(&reader);
		if (field_is_done(&reader)) {
			drop_all(&console->portals);
			run_query(console, text, &out);
		} else {
			error_set(&error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Query message");
			response_put_error(&out, ANSWER_MAX, "ERROR", &error);
			response_put_ready_for_query(&out, ANSWER_MAX, 'I');
		}
	} else if (message->type == MESSAGE_SYNC) {
		console->skips_to_sync = false;
		drop_all(&console->portals); /* they end with the transaction */
		response_put_ready_for_query(&out, ANSWER_MAX, 'I');
	} else if (message->type == MESSAGE_FUNCTION_CALL) {
		error_set(&error, SQLSTATE_FEATURE_NOT_SUPPORTED, "the console has no functions");
		response_put_error(&out, ANSWER_MAX, "ERROR", &error);
		response_put_ready_for_query(&out, ANSWER_MAX, 'I');
	} else if (!run_extended(console, message, &out, &error) && client->console) {
		console->skips_to_sync = true;
		response_put_error(&out, ANSWER_MAX, "ERROR", &error);
	}
	client_send(client, &out);
}

static bool admit(struct client *client, const char *user, struct error *error)
{
	if (access_of(client, user) != ACCESS_NONE)
		return true;
	return error_set(error, SQLSTATE_INSUFFICIENT_PRIVILEGE, "not allowed");
}

static void open_for(struct client *client)
{
	static const char *const parameters[][2] = {
		{"server_version", PACKAGE_VERSION "/bouncer"},
		{"client_encoding", "UTF8"},
		{"server_encoding", "UTF8"},
		{"DateStyle", "ISO"},
		{"TimeZone", "GMT"},
		{"standard_conforming_strings", "on"},
		{"is_superuser", "on"},
	};
	struct console *console = client->console = memory_alloc(sizeof *console);
	struct buffer *out = NULL;
	console->client = client;
	console->access = access_of(client, client->user->name);
	list_init(&console->statements);
	list_init(&console->portals);
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
		response_put_parameter_status(&out, ANSWER_MAX, parameters[i][0], parameters[i][1]);
	cancel_key_put(&client->key, &out, ANSWER_MAX);
	response_put_ready_for_query(&out, ANSWER_MAX, 'I');
	client_send(client, &out);
}

static void close_for(struct client *client)
{
	struct console *console = client->console;
	client->console = NULL;
	if (console->waits_for == CONTROL_PAUSES)
		control_take_back(console->database);
	stop_waiting(console);
	memory_free(&console->rest);
	drop_all(&console->statements);
	drop_all(&console->portals);
	memory_free(&console);
}

static void cancel(struct client *client)
{
	struct console *console = client->console;
	struct error error;
	if (console->waits_for == CONTROL_DONE)
		return;
	if (console->waits_for == CONTROL_PAUSES)
		control_take_back(console->database);
	error_set(&error, SQLSTATE_QUERY_CANCELED, "canceling statement due to user request");
	answer_waiting(console, &error);
}

static bool trusts(const struct client *client, const char *user)
{
	return access_is_system_user(client, user);
}

void console_open(void)
{
	static const struct console_ops ops = {
		.admit = admit,
		.trusts = trusts,
		.open = open_for,
		.message = message,
		.close = close_for,
		.cancel = cancel,
	};
	list_init(&waiting);
	client_set_console(&ops);
	pool_on_quiet(look);
	control_on_resume(look_later);
}

void console_close(void)
{
	pool_on_quiet(NULL);
	control_on_resume(NULL);
}
