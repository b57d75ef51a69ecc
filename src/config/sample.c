/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/sample.h"
#include "settings_priv.h"
#include "core/memory.h"
#include <stddef.h>
#include <string.h>

enum { WIDTH = 100, DEFAULT_SHOWN = 40 };

struct key {
	struct value_field field;
	const char *doc;
};

static const struct key database_keys[] = {
#define DATABASE_KEY(type, name, range, doc) {{#name, VALUE_##type, 0, range}, doc},
#include "config/database_keys.def"
};
static const struct key user_keys[] = {
#define USER_KEY(type, name, range, doc) {{#name, VALUE_##type, 0, range}, doc},
#include "config/user_keys.def"
};
static const struct key peer_keys[] = {
#define PEER_KEY(type, name, range, doc) {{#name, VALUE_##type, 0, range}, doc},
#include "config/peer_keys.def"
};
static const struct key tls_keys[] = {
#define TLS_KEY(type, name, range, doc) {{#name, VALUE_##type, 0, range}, doc},
#include "config/tls_keys.def"
};

#define KEYS(keys) (keys), sizeof(keys) / sizeof((keys)[0])

static const struct {
	const char *name, *doc, *example;
	const struct key *keys;
	size_t count;
} sections[] = {
	{"databases",
	 "The names that clients ask for, and where each database lives; * stands for all other "
	 "names. Values with blanks are put in 'quotes'.",
	 "shop = host=127.0.0.1 port=5432", KEYS(database_keys)},
	{"users", "Users who have limits of their own.", "batch = pool_mode=session pool_size=2",
	 KEYS(user_keys)},
	{"peers", "Other poolers, by their peer_id.", "2 = host=10.0.0.2 port=6432",
	 KEYS(peer_keys)},
	{"tls", "Certificates by the host name that a client asks for.",
	 "db.example.org = cert_file=db.crt key_file=db.key", KEYS(tls_keys)},
};

/* Comment lines; those after the first are indented by @indent. */
static void comment(FILE *to, const char *text, int indent)
{
	int column = 0;
	while (*(text += strspn(text, " "))) {
		int length = (int)strcspn(text, " ");
		if (column == 0 || column + 1 + length > WIDTH) {
			fprintf(to, "%s;%*s", column ? "\n" : "", column ? indent : 0, "");
			column = 1 + (column ? indent : 0);
		}
		fprintf(to, " %.*s", length, text);
		column += 1 + length;
		text += length;
	}
	fprintf(to, "\n");
}

static void print_setting(FILE *to, enum setting_index index)
{
	const struct setting *row = setting_row(index);
	fprintf(to, "\n");
	comment(to, row->doc, 0);
	bool is_long = strlen(row->default_text) > DEFAULT_SHOWN; /* it stands below anyway */
	char *facts = memory_printf(
		"%s%s%s%s%s%s; %s.", row->type, strcmp(row->type, row->allowed) ? ": " : "",
		strcmp(row->type, row->allowed) ? row->allowed : "",
		row->scope & SCOPE_DATABASE ? row->scope & SCOPE_USER
						      ? "; also in rows of [databases] and [users]"
						      : "; also in rows of [databases]"
		: row->scope & SCOPE_USER   ? "; also in rows of [users]"
					    : "",
		is_long ? "" : "; default: ",
		is_long		     ? ""
		: *row->default_text ? row->default_text
				     : "empty",
		row->change == CHANGE_RESTART ? "needs a restart" : "changed by a reload");
	comment(to, facts, 0);
	memory_free(&facts);
	fprintf(to, ";%s =%s%s\n", row->name, *row->default_text ? " " : "", row->default_text);
}

static void print_key(FILE *to, const struct key *key)
{
	char allowed[VALUE_ALLOWED_SIZE];
	char *line = memory_printf("%s: %s (%s)", key->field.name, key->doc,
				   value_allowed(&key->field, allowed));
	comment(to, line, 4);
	memory_free(&line);
}

void sample_print(FILE *to)
{
	comment(to,
		"Every setting of " PACKAGE_STRING " at its default: take away the ; and change "
		"what should differ. Times and sizes take units (500ms, 30s, 5min, 64kB). Comments "
		"have a line of their own. Printed by pgweir --print-config.",
		0);
	fprintf(to, "\n[pgweir]\n");
	for (enum setting_index i = 0; i < SETTING_COUNT; i++)
		print_setting(to, i);
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		fprintf(to, "\n[%s]\n", sections[i].name);
		comment(to, sections[i].doc, 0);
		fprintf(to, ";%s\n; Keys of a row:\n", sections[i].example);
		for (size_t k = 0; k < sections[i].count; k++)
			print_key(to, &sections[i].keys[k]);
	}
}
