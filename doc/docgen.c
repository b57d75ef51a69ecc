/* SPDX-License-Identifier: ISC */
/* docgen PART: prints the generated parts of the documents from the tables of the program:
 * config, states, usage (Markdown) and man (macros of man(7) for pgweir.5). `make docs` writes them
 * to doc/, `make check` holds what is there against it. */
#include "config.h"
#include "admin/console.h"
#include "config/settings.h"
#include "conn/client.h"
#include "conn/server.h"
#include "core/error.h"
#include "daemon/option.h"
#include "pool/close_reason.h"
#include "proto/message.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- text ---- */

/* Plain text in Markdown, also inside a table. */
static void markdown(const char *text)
{
	for (; *text; text++) {
		if (strchr("|*<>\\", *text))
			putchar('\\');
		putchar(*text);
	}
}

/* In `code`; nothing is escaped there but the bar of a table. */
static void code(const char *text)
{
	putchar('`');
	for (; *text; text++) {
		if (*text == '|')
			putchar('\\');
		putchar(*text);
	}
	putchar('`');
}

/* Plain text in man(7), one line. */
static void man(const char *text)
{
	if (*text == '.' || *text == '\'')
		printf("\\&");
	for (; *text; text++) {
		if (*text == '\\')
			printf("\\e");
		else if (*text == '-')
			printf("\\-");
		else
			putchar(*text);
	}
}

static void generated(const char *tables)
{
	printf("<!-- Printed by doc/docgen from %s: \"make docs\" writes it anew. -->\n\n", tables);
}

/* ---- settings, and keys of the other sections ---- */

struct key {
	const char *name, *type;
	const char *low, *high; /* NULL: any */
	const char *doc;
};

#define TYPE_TEXT "text"
#define TYPE_INT "integer"
#define TYPE_DURATION "time"
#define TYPE_BALANCE "`round-robin` or `disable`"
#define TYPE_POOL_MODE "`session`, `transaction` or `statement`"
#define TYPE_LIST "list"
#define TYPE_AUTH_TYPE "a method, as auth_type"
#define TYPE_SSLMODE "a mode, as client_tls_sslmode"
#define TYPE_NEGOTIATION "`postgres` or `direct`"
#define TYPE_FEATURES "policies, as session_features"
#define TYPE_TIMEOUT_ACTION "`cancel` or `close`"
#define ANY NULL, NULL
#define RANGE(low, high) #low, #high

static const struct key database_keys[] = {
#define DATABASE_KEY(type, name, range, doc) {#name, TYPE_##type, range, doc},
#include "config/database_keys.def"
};
static const struct key user_keys[] = {
#define USER_KEY(type, name, range, doc) {#name, TYPE_##type, range, doc},
#include "config/user_keys.def"
};
static const struct key peer_keys[] = {
#define PEER_KEY(type, name, range, doc) {#name, TYPE_##type, range, doc},
#include "config/peer_keys.def"
};

static const struct key tls_keys[] = {
#define TLS_KEY(type, name, range, doc) {#name, TYPE_##type, range, doc},
#include "config/tls_keys.def"
};

static const struct key_section {
	const char *name, *doc;
	const struct key *keys;
	size_t count;
} key_sections[] = {
	{"[databases]",
	 "A row is the name that clients ask for, then keys: NAME = host=10.0.0.5 port=5432. The "
	 "name * stands for every name that has no row of its own. A value with blanks is put in "
	 "single quotes, a quote in it is doubled.",
	 database_keys, COUNT(database_keys)},
	{"[users]", "A row is a user's name, then keys: NAME = pool_mode=session pool_size=5.",
	 user_keys, COUNT(user_keys)},
	{"[peers]",
	 "A row is the peer_id of another pooler behind the same address, then keys: 2 = "
	 "host=/run/pooler2. A CancelRequest that reaches this process and is for a client of that "
	 "one is "
	 "sent on there. Connections to peers are encrypted as server_tls_sslmode says. A row with "
	 "the own "
	 "peer_id is allowed, so that all may have the same rows.",
	 peer_keys, COUNT(peer_keys)},
	{"[tls]",
	 "Certificates by the host name that a client asks for (SNI): NAME = cert_file=a.crt "
	 "key_file=a.key. The name *.example.org stands for any one label before it. Who asks for "
	 "no "
	 "name, or one that has no row, is shown client_tls_cert_file, which must be set.",
	 tls_keys, COUNT(tls_keys)},
};

/* " (1 to 65535)", or nothing. */
static void print_range(const struct key *key)
{
	if (!key->low)
		return;
	if (isdigit((unsigned char)*key->high))
		printf(" (%s to %s)", key->low, key->high);
	else
		printf(" (%s or more)", key->low);
}

static const char *scope_words(const struct setting *row)
{
	bool database = row->scope & SCOPE_DATABASE, user = row->scope & SCOPE_USER;
	if (database && user)
		return "also in rows of [databases] and [users]";
	if (database)
		return "also in rows of [databases]";
	return user ? "also in rows of [users]" : "global";
}

static const char *change_words(const struct setting *row)
{
	return row->change == CHANGE_RESTART ? "needs a restart" : "changed by a reload";
}

/* Does what is allowed say more than the type and the head of the document? */
static bool says_more(const struct setting *row)
{
	static const char *const plain[] = {"text", "list", "boolean"};
	for (size_t i = 0; i < COUNT(plain); i++) {
		if (strcmp(row->type, plain[i]) == 0)
			return false;
	}
	return *row->allowed && strcmp(row->type, row->allowed) != 0;
}

static void print_setting(const struct setting *row)
{
	printf("### %s\n\n", row->name);
	markdown(row->doc);
	printf("\n\nType: %s; default: ", row->type);
	if (*row->default_text)
		code(row->default_text);
	else
		printf("empty");
	if (says_more(row)) {
		printf("; allowed: ");
		markdown(row->allowed);
	}
	printf("; %s; %s.\n\n", scope_words(row), change_words(row));
}

static void print_config(void)
{
	generated("the tables in include/config");
	printf("# Configuration\n\n"
	       "A file of sections: `[pgweir]` (or `[pgbouncer]`, the same), `[databases]`, "
	       "`[users]`, `[peers]`. A line is `name = value`; comments begin with `;` or `#` and "
	       "have a line of their own; `%%include FILE` reads another file, relative to this "
	       "one "
	       "first.\n\n"
	       "Times and sizes take units as in postgresql.conf (`500ms`, `30s`, `5min`, `64kB`); "
	       "bare numbers are seconds, or milliseconds where the type says so, and bytes. "
	       "Booleans are 0 and 1, off and on, no and yes, false and true.\n\n"
	       "Above the file are the environment (`PGWEIR_LISTEN_PORT=6433`) and the command "
	       "line "
	       "(`--set listen_port=6433`).\n\n"
	       "A file is taken as a whole or not at all: a mistake is reported with file and "
	       "line, "
	       "and the configuration in force stays. A setting that needs a restart and was "
	       "changed is named in a WARNING at reload.\n\n");
	printf("## [pgweir]\n\n");
	for (int i = 0; i < SETTING_COUNT; i++)
		print_setting(setting_row(i));
	for (size_t s = 0; s < COUNT(key_sections); s++) {
		const struct key_section *section = &key_sections[s];
		printf("## %s\n\n", section->name);
		markdown(section->doc);
		printf("\n\n| key | type | meaning |\n|---|---|---|\n");
		for (size_t i = 0; i < section->count; i++) {
			const struct key *key = &section->keys[i];
			printf("| %s | %s", key->name, key->type);
			print_range(key);
			printf(" | ");
			markdown(key->doc);
			printf(" |\n");
		}
		printf("%s", s + 1 < COUNT(key_sections) ? "\n" : "");
	}
}

static void print_man_setting(const struct setting *row)
{
	printf(".TP\n.B %s\n", row->name);
	man(row->doc);
	printf("\n.br\nType: %s; default: ", row->type);
	man(*row->default_text ? row->default_text : "empty");
	if (says_more(row)) {
		printf("; allowed: ");
		man(row->allowed);
	}
	printf("; %s; %s.\n", scope_words(row), change_words(row));
}

/* Without the marks of code. */
static void man_type(const char *type)
{
	for (; *type; type++) {
		if (*type != '`')
			putchar(*type);
	}
}

static void print_man(void)
{
	printf(".\\\" From here on printed by doc/docgen: \"make docs\" writes it anew.\n");
	printf(".SH SETTINGS OF [pgweir]\n");
	for (int i = 0; i < SETTING_COUNT; i++)
		print_man_setting(setting_row(i));
	for (size_t s = 0; s < COUNT(key_sections); s++) {
		const struct key_section *section = &key_sections[s];
		printf(".SH KEYS OF %s\n", section->name);
		man(section->doc);
		putchar('\n');
		for (size_t i = 0; i < section->count; i++) {
			const struct key *key = &section->keys[i];
			printf(".TP\n.B %s\n", key->name);
			man(key->doc);
			printf("\n.br\nType: ");
			man_type(key->type);
			print_range(key);
			printf(".\n");
		}
	}
	printf(".SH SEE ALSO\n.BR pgweir (1)\n");
}

/* ---- states ---- */

/* What the words of the columns mean. A row with a new word does not compile until it is here. */
#define CLIENT_DEADLINE_NONE "none"
#define CLIENT_DEADLINE_LOGIN "client_login_timeout"
#define CLIENT_DEADLINE_WELCOME "client_login_timeout, query_wait_timeout; query_wait_notify"
#define CLIENT_DEADLINE_IDLE "client_idle_timeout"
#define CLIENT_DEADLINE_QUERY_WAIT "query_wait_timeout, query_timeout; query_wait_notify"
#define CLIENT_DEADLINE_ACTIVE                                                        \
	"query_timeout, transaction_timeout, idle_transaction_timeout, in a session " \
	"client_idle_timeout; a short time once "                                     \
	"the client has left"
#define CLIENT_DEADLINE_CANCEL_WAIT "cancel_wait_timeout"
#define CLIENT_DEADLINE_LINGER "a short time to read why"

#define SERVER_DEADLINE_NONE "none"
#define SERVER_DEADLINE_CONNECT "server_connect_timeout"
#define SERVER_DEADLINE_REST "server_idle_timeout, server_lifetime, server_check_delay"
#define SERVER_DEADLINE_DRAIN "10 seconds"
#define SERVER_DEADLINE_TEST "server_connect_timeout"

#define PLACE_NONE "-"
#define PLACE_WELCOME "waiting for the greeting"
#define PLACE_CLAIM "waiting for room for a server of its own"
#define PLACE_CLAIMED "waiting for its own server to log in"
#define PLACE_ACTIVE "active"
#define PLACE_WAITING "waiting"
#define PLACE_CANCEL_WAITING "cancels waiting"
#define PLACE_CANCEL_ACTIVE "cancels on their way"
#define PLACE_LOGIN "logging in"
#define PLACE_IDLE "idle"
#define PLACE_USED "idle, to be tested"
#define PLACE_TESTED "being reset or tested"
#define PLACE_BEING_CANCELED "being cancelled"
#define PLACE_CANCELING "carrying cancels"

static const char *const client_places[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) PLACE_##place,
#include "conn/client_states.def"
};
static const char *const client_deadlines[] = {
#define CLIENT_STATE(name, shown, place, deadline, next) CLIENT_DEADLINE_##deadline,
#include "conn/client_states.def"
};
static const char *const server_places[] = {
#define SERVER_STATE(name, shown, place, deadline, next) PLACE_##place,
#include "conn/server_states.def"
};
static const char *const server_deadlines[] = {
#define SERVER_STATE(name, shown, place, deadline, next) SERVER_DEADLINE_##deadline,
#include "conn/server_states.def"
};

static const char *client_name(int state)
{
	return client_state_name(state);
}
static const char *client_shown(int state)
{
	return client_state_shown(state);
}
static bool client_allows(int from, int to)
{
	return client_state_allows(from, to);
}
static const char *server_name(int state)
{
	return server_state_name(state);
}
static const char *server_shown(int state)
{
	return server_state_shown(state);
}
static bool server_allows(int from, int to)
{
	return server_state_allows(from, to);
}

static const struct machine {
	const char *title;
	int count, first, last;
	const char *(*name)(int state), *(*shown)(int state);
	bool (*allows)(int from, int to);
	const char *const *places, *const *deadlines;
} machines[] = {
	{"Clients", CLIENT_STATE_COUNT, CLIENT_STARTUP, CLIENT_CLOSING, client_name, client_shown,
	 client_allows, client_places, client_deadlines},
	{"Servers", SERVER_STATE_COUNT, SERVER_CONNECTING, SERVER_CLOSING, server_name,
	 server_shown, server_allows, server_places, server_deadlines},
};

static void print_machine(const struct machine *m)
{
	printf("\n## %s\n\n", m->title);
	printf("| state | shown | counted as | deadline | next |\n|---|---|---|---|---|\n");
	for (int from = 0; from < m->count; from++) {
		const char *shown = m->shown(from);
		printf("| %s | %s | %s | %s |", m->name(from), shown ? shown : "-", m->places[from],
		       m->deadlines[from]);
		const char *comma = " ";
		for (int to = 0; to < m->count; to++) {
			if (to != m->last && m->allows(from, to)) {
				printf("%s%s", comma, m->name(to));
				comma = ", ";
			}
		}
		printf("%s |\n", *comma == ',' ? "" : " -");
	}
	printf("\n```mermaid\nstateDiagram-v2\n    [*] --> %s\n", m->name(m->first));
	for (int from = 0; from < m->count; from++) {
		for (int to = 0; to < m->count; to++) {
			if (to != m->last && m->allows(from, to))
				printf("    %s --> %s\n", m->name(from), m->name(to));
		}
	}
	printf("```\n");
}

static void print_states(void)
{
	generated("include/conn/client_states.def and server_states.def");
	printf("# States of connections\n\n"
	       "Every connection is in one state. *shown* is the word in SHOW CLIENTS and SHOW "
	       "SERVERS, *counted as* its place in the pool, *deadline* the setting that bounds "
	       "its "
	       "stay. Besides the states under *next*, every state may go to CLOSING; the pictures "
	       "leave that out. Any other change is refused, logged and closes the connection.\n");
	for (size_t i = 0; i < COUNT(machines); i++)
		print_machine(&machines[i]);
}

/* ---- usage ---- */

static void print_options(void)
{
	printf("## Command line\n\n    pgweir [OPTION]... [CONFIG.ini]\n\n");
	printf("| option | meaning |\n|---|---|\n");
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = option_row(i);
		printf("| `");
		if (row->letter)
			printf("-%c%s%s`, `", row->letter, row->argument ? " " : "",
			       row->argument ? row->argument : "");
		printf("--%s", row->name);
		if (row->argument)
			printf(" %s", row->argument);
		printf("` | ");
		markdown(row->doc);
		printf(" |\n");
	}
}

static void print_commands(void)
{
	const struct command *row;
	printf("\n## Commands of the console\n\n| command | for | meaning |\n|---|---|---|\n");
	for (unsigned i = 0; (row = command_row(i)); i++) {
		char text[128];
		snprintf(text, sizeof(text), "%s%s%s", row->words,
			 row->argument && *row->argument ? " " : "",
			 row->argument ? row->argument : "");
		printf("| ");
		code(text);
		printf(" | %s | ", row->admins_only ? "admin_users" : "all");
		markdown(row->help);
		printf(" |\n");
	}
	printf("\n## SHOW\n\nFor admin_users and stats_users.\n");
}

/* The SQL type of a column. */
static const char *column_type(enum response_type type)
{
	switch (type) {
	case RESPONSE_TEXT:
		return "text";
	case RESPONSE_INT4:
		return "int4";
	case RESPONSE_INT8:
		return "int8";
	case RESPONSE_NUMERIC:
		return "numeric";
	case RESPONSE_BYTEA:
		return "bytea";
	}
	return "?";
}

static void print_shows(void)
{
	const struct show *show;
	for (unsigned i = 0; (show = show_row(i)); i++) {
		printf("\n### SHOW %s\n\n", show->name);
		markdown(show->doc);
		printf("\n\n| column | type | meaning |\n|---|---|---|\n");
		for (unsigned c = 0; c < show->count; c++) {
			const struct result_column *column = &show->columns[c];
			printf("| %s | %s | ", column->name, column_type(column->type));
			markdown(column->doc);
			printf(" |\n");
		}
	}
}

static const char *const reason_names[] = {
#define CLOSE_REASON(name, text, sqlstate) #name,
#include "pool/close_reasons.def"
};

static void print_close_reasons(void)
{
	printf("\n## Why a connection is closed\n\n"
	       "The log says `closing because: ` and the text, then the age of the connection. The "
	       "code is the SQLSTATE of what a client is told, unless the cause has a more exact "
	       "one; `-`: a client is told nothing.\n\n"
	       "| text | SQLSTATE | reason |\n|---|---|---|\n");
	for (int i = 0; i < CLOSE_REASON_COUNT; i++) {
		struct error error;
		bool is_told = close_reason_error(i, &error);
		printf("| %s | %s | %s |\n", close_reason_text(i), is_told ? error.sqlstate : "-",
		       reason_names[i]);
	}
}

static void print_sqlstates(void)
{
	static const struct {
		const char *name, *doc;
	} rows[] = {
#define SQLSTATE(name, code, doc) {#name, doc},
#include "core/sqlstates.def"
	};
	printf("\n## SQLSTATEs that come from pgweir\n\n"
	       "All others come from PostgreSQL and pass unchanged.\n\n"
	       "| SQLSTATE | name | means |\n|---|---|---|\n");
	for (int i = 0; i < SQLSTATE_COUNT; i++)
		printf("| %s | %s | %s |\n", sqlstate_code(i), rows[i].name, rows[i].doc);
}

struct message_row {
	char type;
	const char *care, *name;
};

#define CARE_PASS "passes, any size"
#define CARE_SEE_TYPE "type and length"
#define CARE_SEE_HEAD "its first bytes"
#define CARE_SEE_WHOLE "all of it"
#define CARE_INVALID "at login only"

static void print_messages_of(const char *sender, const struct message_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		printf("| %s | `%c` | %s | %s |\n", sender, rows[i].type, rows[i].name,
		       rows[i].care);
}

static void print_messages(void)
{
	static const struct message_row frontend[] = {
#define FRONTEND(type, name, care, doc) {type, CARE_##care, doc},
#include "proto/messages.def"
	};
	static const struct message_row backend[] = {
#define BACKEND(type, name, care, doc) {type, CARE_##care, doc},
#include "proto/messages.def"
	};
	printf("\n## Messages of the protocol\n\n"
	       "What pgweir looks at in a message that it passes on. A type that is not listed "
	       "closes the connection that sent it.\n\n"
	       "| sender | type | message | looked at |\n|---|---|---|---|\n");
	print_messages_of("client", frontend, COUNT(frontend));
	print_messages_of("server", backend, COUNT(backend));
}

static void print_usage(void)
{
	generated("the tables in include");
	print_options();
	print_commands();
	print_shows();
	print_close_reasons();
	print_sqlstates();
	print_messages();
}

/* ---- parts ---- */

static const struct part {
	const char *name;
	void (*print)(void);
} parts[] = {
	{"config", print_config},
	{"states", print_states},
	{"usage", print_usage},
	{"man", print_man},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < COUNT(parts); i++) {
		if (strcmp(parts[i].name, argv[1]) == 0) {
			parts[i].print();
			return fflush(stdout) || ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
		}
	}
	fprintf(stderr, "usage: docgen config|states|usage|man\n");
	return EXIT_FAILURE;
}
