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
#include "admin/show_process.h"
#include "admin/show_stats.h"
#include "conn/client.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include "pool/registry.h"
#include "proto/field.h"
#include "proto/message.h"

enum { STATEMENTS_MAX = 256, COMMAND_TAG = 1200 };

/* A prepared statement or a portal of the extended protocol. */
struct prepared {
	struct list_node node;
	char *name, *text;
	uint8_t binary[RESULT_COLUMNS]; /* of a portal: columns wanted in binary */
};

struct console {
	enum access access;
	struct list statements, portals;
	bool skips_to_sync;
	/* while a PAUSE or WAIT_CLOSE is not answered yet */
	enum control_end waits_for; /* CONTROL_DONE: nothing */
	bool is_simple;             /* it came in a Query, of which rest is still to be run */
	char *database, *rest;
	char tag[COMMAND_TAG];
	struct list_node of_waiting;
	struct client *client;
};

static struct list waiting;

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
#define COMMAND_ROW(words, argument, most, who, function, help) {words, argument, help, who, function},
#define COMMAND(words, argument, who, function, help) COMMAND_ROW_(words, argument, who, function, help)
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
static show_list_fn *const show_lists[] = {show_pool_list, show_conn_list, show_stats_list, show_config_list,
					   show_process_list};

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
	if (!is_show(words) || words->count != 2)
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
		text_append(&help, "\n\t%s %s", command->words, command->argument);
	/* Longer than a struct error's detail: written by hand. */
	field_writer_init(&writer, out, RESULT_MAX);
	field_begin(&writer, MESSAGE_NOTICE_RESPONSE);
	const char *const fields[][2] = {{"S", "NOTICE"}, {"V", "NOTICE"}, {"C", notice.sqlstate}, {"M", notice.message}, {"D", text}};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
		field_put_byte(&writer, (uint8_t)fields[i][0][0]);
		field_put_string(&writer, fields[i][1]);
	}
	field_put_byte(&writer, 0);
	field_end(&writer);
}

static enum control_end run_show(const struct command_words *words, bool describe, const uint8_t *binary,
				 struct buffer **out, struct error *error)
{
	if (is_word(words, 1, "help") && words->count == 2) {
		put_help(out);
		return CONTROL_DONE;
	}
	if (is_word(words, 1, "fds"))
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "SHOW FDS is not supported: restart by so_reuseport or systemd's sockets"),
		       CONTROL_FAILED;
	unsigned count = 0;
	const struct result_column *columns = columns_of(words, &count);
	if (!columns)
		return error_set(error, SQLSTATE_SYNTAX_ERROR, "invalid command '%s %s', use SHOW HELP;", words->word[0],
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
	return CONTROL_DONE;
}

static enum control_end run(const struct console *console, const struct command_words *words, bool describe,
			    const uint8_t *binary, struct buffer **out, char tag[COMMAND_TAG], struct error *error)
{
	if (is_show(words)) {
		strcpy(tag, "SHOW");
		return run_show(words, describe, binary, out, error);
	}
	if (is_word(words, 0, "set") && words->count > 1 && find_fake(words->word[1]) >= 0) {
		struct error notice;
		error_set(&notice, SQLSTATE_SUCCESSFUL_COMPLETION, "SET ignored");
		response_put_notice(out, RESULT_MAX, "NOTICE", &notice);
		strcpy(tag, "SET");
		return CONTROL_DONE;
	}
	if (is_word(words, 0, "suspend"))
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "SUSPEND is not supported: use PAUSE"), CONTROL_FAILED;
	for (unsigned i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (!is_word(words, 0, commands[i].words))
			continue;
		if (commands[i].admins_only && console->access != ACCESS_ADMIN)
			return error_set(error, SQLSTATE_INSUFFICIENT_PRIVILEGE, "admin access needed"), CONTROL_FAILED;
		if (words->count > most_arguments[i] + 1u)
			return error_set(error, SQLSTATE_SYNTAX_ERROR, "bad arguments: %s %s", commands[i].words,
					 commands[i].argument),
			       CONTROL_FAILED;
		enum control_end end = commands[i].run(words, error);
		if (is_word(words, 0, "set") && words->count == 3)
			snprintf(tag, COMMAND_TAG, "SET %.100s=%.1000s", words->word[1], words->word[2]);
		else
			snprintf(tag, COMMAND_TAG, "%s", commands[i].words);
		return end;
	}
	error_set(error, SQLSTATE_SYNTAX_ERROR, "invalid command '%s', use SHOW HELP;", words->word[0]);
	return CONTROL_FAILED;
}

/* ---- waiting for PAUSE and WAIT_CLOSE ---- */

static void wait_for(struct console *console, enum control_end what, const struct command_words *words, const char *tag)
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

static void run_query(struct console *console, const char *text);

/* Something came free: whose wait is over? */
static void look(void)
{
	list_foreach_safe(node, &waiting) {
		struct console *console = container_of(node, struct console, of_waiting);
		struct client *client = console->client;
		if (!control_is_done(console->waits_for, console->database))
			continue;
		struct buffer *out = NULL;
		char *rest = console->rest;
		console->rest = NULL;
		stop_waiting(console);
		response_put_command_complete(&out, RESULT_MAX, console->tag);
		client_send(client, &out);
		if (rest && client->console)
			run_query(console, rest);
		memory_free(&rest);
		if (client->console && console->waits_for == CONTROL_DONE)
			client_resume(client);
	}
}

/* ---- simple protocol ---- */

static void count(const struct client *client)
{
	client->database->stats.now.query_count++;
	client->database->stats.now.xact_count++;
}

static void run_query(struct console *console, const char *text)
{
	struct client *client = console->client;
	struct buffer *out = NULL;
	struct error error = {0};
	struct command_words words;
	unsigned commands_run = 0;
	count(client);
	for (;;) {
		char tag[COMMAND_TAG] = "";
		enum control_end end = CONTROL_FAILED;
		if (command_split(&text, &words, &error)) {
			if (words.count == 0 && *text)
				continue;
			if (words.count == 0)
				break;
			commands_run++;
			end = run(console, &words, true, NULL, &out, tag, &error);
		}
		if (!client->console) { /* it closed itself */
			buffer_free(&out);
			return;
		}
		if (end == CONTROL_GONE) {
			buffer_free(&out);
			return;
		}
		if (end == CONTROL_FAILED) {
			response_put_error(&out, RESULT_MAX, "ERROR", &error);
			commands_run++;
			break;
		}
		if ((end == CONTROL_PAUSES || end == CONTROL_CLOSES) &&
		    !control_is_done(end, words.count > 1 ? words.word[1] : NULL)) {
			client_send(client, &out);
			if (client->console) {
				console->rest = memory_strdup(text);
				wait_for(console, end, &words, tag);
			}
			return;
		}
		response_put_command_complete(&out, RESULT_MAX, tag);
	}
	if (!commands_run)
		response_put_empty(&out, RESULT_MAX, MESSAGE_EMPTY_QUERY_RESPONSE);
	response_put_ready_for_query(&out, RESULT_MAX, 'I');
	client_send(client, &out);
}

/* ---- extended protocol ---- */

static struct prepared *find_prepared(struct list *list, const char *name)
{
	list_foreach(node, list) {
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
	memory_free(&prepared);
}

static struct prepared *add_prepared(struct list *list, const char *name, const char *text)
{
	struct prepared *prepared = memory_alloc(sizeof *prepared);
	prepared->name = memory_strdup(name);
	prepared->text = memory_strdup(text);
	list_push_last(list, &prepared->node);
	return prepared;
}

static bool parse(struct console *console, struct field_reader *reader, struct buffer **out, struct error *error)
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
		return error_set(error, SQLSTATE_SYNTAX_ERROR, "cannot insert multiple commands into a prepared statement");
	struct prepared *old = find_prepared(&console->statements, name);
	if (old && *name)
		return error_set(error, SQLSTATE_DUPLICATE_PREPARED_STATEMENT, "prepared statement \"%s\" already exists", name);
	if (old)
		drop_prepared(&console->statements, old);
	if (console->statements.length >= STATEMENTS_MAX)
		return error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "too many prepared statements on the console");
	add_prepared(&console->statements, name, text);
	return response_put_empty(out, RESULT_MAX, MESSAGE_PARSE_COMPLETE);
}

static bool find_statement(struct console *console, const char *name, struct prepared **statement, struct error *error)
{
	*statement = find_prepared(&console->statements, name);
	return *statement || error_set(error, SQLSTATE_INVALID_SQL_STATEMENT_NAME, "prepared statement \"%s\" does not exist", name);
}

static bool bind_portal(struct console *console, struct field_reader *reader, struct buffer **out, struct error *error)
{
	const char *portal_name = field_get_string(reader), *name = field_get_string(reader), *at;
	struct prepared *statement;
	struct command_words words;
	unsigned count = 0;
	field_get_bytes(reader, (size_t)field_get_int16(reader) * 2);
	uint16_t parameters = field_get_int16(reader);
	if (parameters)
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "the console takes no parameters: write the value into the command");
	if (!find_statement(console, name, &statement, error))
		return false;
	at = statement->text;
	const struct result_column *columns = command_split(&at, &words, error) ? columns_of(&words, &count) : NULL;
	uint16_t formats = field_get_int16(reader), format = 0;
	struct prepared *old = find_prepared(&console->portals, portal_name);
	if (old)
		drop_prepared(&console->portals, old);
	if (console->portals.length >= STATEMENTS_MAX)
		return error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED, "too many portals on the console");
	struct prepared *portal = add_prepared(&console->portals, portal_name, statement->text);
	for (unsigned i = 0; i < (formats > 1 ? formats : count); i++) {
		if (i < formats)
			format = field_get_int16(reader);
		if (i >= count || !columns)
			continue;
		/* Text is the same in both formats. */
		if (format && columns[i].type == RESPONSE_NUMERIC)
			return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "the console has column \"%s\" in text format only",
					 columns[i].name);
		portal->binary[i] = format == 1;
	}
	if (formats == 1 && count == 0)
		field_get_int16(reader);
	if (!field_is_done(reader))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Bind message");
	return response_put_empty(out, RESULT_MAX, MESSAGE_BIND_COMPLETE);
}

static bool describe(struct console *console, struct field_reader *reader, struct buffer **out, struct error *error)
{
	uint8_t kind = field_get_byte(reader);
	const char *name = field_get_string(reader);
	if (!field_is_done(reader) || (kind != 'S' && kind != 'P'))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Describe message");
	struct prepared *prepared = find_prepared(kind == 'S' ? &console->statements : &console->portals, name);
	if (!prepared)
		return error_set(error, SQLSTATE_INVALID_SQL_STATEMENT_NAME, "%s \"%s\" does not exist",
				 kind == 'S' ? "prepared statement" : "portal", name);
	if (kind == 'S') {
		struct field_writer writer;
		field_writer_init(&writer, out, RESULT_MAX);
		field_begin(&writer, MESSAGE_PARAMETER_DESCRIPTION);
		field_put_int16(&writer, 0);
		field_end(&writer);
	}
	struct command_words words;
	const char *at = prepared->text;
	unsigned count;
	const struct result_column *columns = command_split(&at, &words, error) ? columns_of(&words, &count) : NULL;
	if (columns)
		result_describe(out, columns, count, prepared->binary);
	else
		response_put_empty(out, RESULT_MAX, MESSAGE_NO_DATA);
	return true;
}

/* True also when it waits: then its CommandComplete comes later. */
static bool execute(struct console *console, struct field_reader *reader, struct buffer **out, struct error *error)
{
	const char *name = field_get_string(reader);
	field_get_int32(reader); /* a row limit: all come at once */
	if (!field_is_done(reader))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Execute message");
	struct prepared *portal = find_prepared(&console->portals, name);
	struct command_words words;
	if (!portal)
		return error_set(error, SQLSTATE_INVALID_SQL_STATEMENT_NAME, "portal \"%s\" does not exist", name);
	const char *at = portal->text;
	if (!command_split(&at, &words, error))
		return false;
	count(console->client);
	if (words.count == 0)
		return response_put_empty(out, RESULT_MAX, MESSAGE_EMPTY_QUERY_RESPONSE);
	char tag[COMMAND_TAG] = "";
	enum control_end end = run(console, &words, false, portal->binary, out, tag, error);
	if (end == CONTROL_FAILED)
		return false;
	if (end == CONTROL_GONE)
		return true;
	if ((end == CONTROL_PAUSES || end == CONTROL_CLOSES) && !control_is_done(end, words.count > 1 ? words.word[1] : NULL))
		wait_for(console, end, &words, tag);
	else
		response_put_command_complete(out, RESULT_MAX, tag);
	return true;
}

static bool close_prepared(struct console *console, struct field_reader *reader, struct buffer **out, struct error *error)
{
	uint8_t kind = field_get_byte(reader);
	const char *name = field_get_string(reader);
	if (!field_is_done(reader) || (kind != 'S' && kind != 'P'))
		return error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Close message");
	struct list *list = kind == 'S' ? &console->statements : &console->portals;
	struct prepared *prepared = find_prepared(list, name);
	if (prepared)
		drop_prepared(list, prepared);
	return response_put_empty(out, RESULT_MAX, MESSAGE_CLOSE_COMPLETE);
}

static bool run_extended(struct console *console, const struct message *message, struct buffer **out, struct error *error)
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
	if (message->type == MESSAGE_QUERY) {
		struct field_reader reader;
		field_reader_init(&reader, message->body, message->size);
		const char *text = field_get_string(&reader);
		if (field_is_done(&reader)) {
			run_query(console, text);
			return;
		}
		error_set(&error, SQLSTATE_PROTOCOL_VIOLATION, "malformed Query message");
		response_put_error(&out, RESULT_MAX, "ERROR", &error);
		response_put_ready_for_query(&out, RESULT_MAX, 'I');
	} else if (message->type == MESSAGE_SYNC) {
		console->skips_to_sync = false;
		while (console->portals.length) /* they end with the transaction */
			drop_prepared(&console->portals, container_of(list_first(&console->portals), struct prepared, node));
		response_put_ready_for_query(&out, RESULT_MAX, 'I');
	} else if (message->type == MESSAGE_FUNCTION_CALL) {
		error_set(&error, SQLSTATE_FEATURE_NOT_SUPPORTED, "the console has no functions");
		response_put_error(&out, RESULT_MAX, "ERROR", &error);
		response_put_ready_for_query(&out, RESULT_MAX, 'I');
	} else if (!console->skips_to_sync && !run_extended(console, message, &out, &error) && client->console) {
		console->skips_to_sync = true;
		response_put_error(&out, RESULT_MAX, "ERROR", &error);
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
		{"server_version", PACKAGE_VERSION "/bouncer"}, {"client_encoding", "UTF8"}, {"server_encoding", "UTF8"},
		{"DateStyle", "ISO"}, {"TimeZone", "GMT"}, {"standard_conforming_strings", "on"}, {"is_superuser", "on"},
	};
	struct console *console = client->console = memory_alloc(sizeof *console);
	struct buffer *out = NULL;
	console->client = client;
	console->access = access_of(client, client->user->name);
	list_init(&console->statements);
	list_init(&console->portals);
	for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
		response_put_parameter_status(&out, RESULT_MAX, parameters[i][0], parameters[i][1]);
	response_put_backend_key_data(&out, RESULT_MAX, cancel_key_process_id(&client->key), cancel_key_secret(&client->key),
				      CANCEL_SECRET);
	response_put_ready_for_query(&out, RESULT_MAX, 'I');
	client_send(client, &out);
}

/* Who waits for a PAUSE and goes takes it back, as PgBouncer does: nobody else knows of it. */
static void abandon(struct console *console)
{
	struct error ignored;
	if (console->waits_for == CONTROL_PAUSES) {
		struct database *database = console->database ? registry_find_database(console->database) : NULL;
		if (database) {
			database->is_paused = false;
			list_foreach_safe(node, &database->pools)
				pool_work(container_of(node, struct pool, of_database));
		} else {
			control_resume_all(&ignored);
		}
	}
	stop_waiting(console);
	memory_free(&console->rest);
}

static void close_for(struct client *client)
{
	struct console *console = client->console;
	client->console = NULL;
	abandon(console);
	while (console->statements.length)
		drop_prepared(&console->statements, container_of(list_first(&console->statements), struct prepared, node));
	while (console->portals.length)
		drop_prepared(&console->portals, container_of(list_first(&console->portals), struct prepared, node));
	memory_free(&console);
}

static void cancel(struct client *client)
{
	struct console *console = client->console;
	struct buffer *out = NULL;
	struct error error;
	if (console->waits_for == CONTROL_DONE)
		return;
	bool simple = console->rest != NULL;
	abandon(console);
	error_set(&error, SQLSTATE_QUERY_CANCELED, "canceling statement due to user request");
	response_put_error(&out, RESULT_MAX, "ERROR", &error);
	if (simple)
		response_put_ready_for_query(&out, RESULT_MAX, 'I');
	else
		console->skips_to_sync = true;
	client_send(client, &out);
	if (client->console)
		client_resume(client);
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
}

void console_close(void)
{
	pool_on_quiet(NULL);
}
