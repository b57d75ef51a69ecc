/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/section.h"
#include "settings_priv.h"
#include "auth/secret.h"
#include "config/ini.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <assert.h>
#include <string.h>

enum {
	DATABASE_NAME_MAX = 63,
	USER_NAME_MAX = 127,
	HOST_NAME_MAX_LENGTH = 255,
	UNIX_DIRECTORY_MAX = 107 - 15, /* sun_path without "/.s.PGSQL.65535" */
	PEER_ID_MAX = 65535
};

static const struct value_field database_fields[] = {
#define DATABASE_KEY(type, name, range, doc) \
	{#name, VALUE_##type, offsetof(struct section_database, name), range},
#include "config/database_keys.def"
};
static const struct value_field user_fields[] = {
#define USER_KEY(type, name, range, doc) \
	{#name, VALUE_##type, offsetof(struct section_user, name), range},
#include "config/user_keys.def"
};
static const struct value_field peer_fields[] = {
#define PEER_KEY(type, name, range, doc) \
	{#name, VALUE_##type, offsetof(struct section_peer, name), range},
#include "config/peer_keys.def"
};

static const struct value_field tls_fields[] = {
#define TLS_KEY(type, name, range, doc) \
	{#name, VALUE_##type, offsetof(struct section_tls, name), range},
#include "config/tls_keys.def"
};

static_assert(SECTION_UNSET == -1, "value_unset() writes it");

/* A kind of row. */
struct kind {
	const char *noun;
	const struct value_field *fields;
	size_t count;
};

#define KIND(noun, fields)                                             \
	{                                                              \
		(noun), (fields), sizeof(fields) / sizeof((fields)[0]) \
	}
static const struct kind database_kind = KIND("database", database_fields);
static const struct kind user_kind = KIND("user", user_fields);
static const struct kind peer_kind = KIND("peer", peer_fields);
static const struct kind tls_kind = KIND("TLS host", tls_fields);

/* A row being read. */
struct reading {
	const struct kind *kind;
	const char *name;
	void *base;
	bool after_password; /* what follows may be a part of it that wanted quotes: never shown */
};

static bool fail(const struct reading *reading, const char *what, struct error *error)
{
	char shown[VALUE_SHOWN_SIZE];
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s \"%s\": %s", reading->kind->noun,
			 value_show(reading->name, shown), what);
}

/* The row is named by read_row(). */
static bool fail_unknown(const struct reading *reading, const char *key, struct error *error)
{
	char shown[VALUE_SHOWN_SIZE], suggestion[VALUE_SHOWN_SIZE];
	if (reading->after_password)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "unknown parameter behind the password, which needs 'quotes' if "
				 "it has blanks");
	return error_set(
		error, SQLSTATE_CONFIG_FILE_ERROR, "unknown parameter \"%s\"%s",
		value_show(key, shown),
		value_suggest(reading->kind->fields, reading->kind->count, key, suggestion));
}

static bool set_pair(void *context, const char *key, const char *value, struct error *error)
{
	struct reading *reading = context;
	if (strcmp(key, "reserve_pool") == 0) /* its old name */
		key = "reserve_pool_size";
	const struct value_field *field =
		value_find(reading->kind->fields, reading->kind->count, key);
	if (!field)
		return fail_unknown(reading, key, error);
	reading->after_password = strcmp(key, "password") == 0;
	if (value_parse(field, reading->base, value))
		return true;
	char shown[VALUE_SHOWN_SIZE], allowed[VALUE_ALLOWED_SIZE];
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			 "invalid value \"%s\" for parameter %s: allowed is %s",
			 value_show(value, shown), key, value_allowed(field, allowed));
}

static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7F)
			return false;
	}
	return true;
}

static bool check_name(const struct reading *reading, size_t longest, struct error *error)
{
	size_t length = strlen(reading->name);
	if (length == 0)
		return fail(reading, "the name must not be empty", error);
	if (!is_plain(reading->name))
		return fail(reading, "the name must not have control characters", error);
	if (length > longest)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "the name of a %s may have at most %zu bytes, not %zu",
				 reading->kind->noun, longest, length);
	return true;
}

/* Read the pairs of @text into the fields, all unset before. */
static bool read_row(struct reading *reading, const char *text, struct error *error)
{
	for (size_t i = 0; i < reading->kind->count; i++)
		value_unset(&reading->kind->fields[i], reading->base);
	char shown[VALUE_SHOWN_SIZE];
	if (ini_parse_pairs(text, set_pair, reading, error))
		return true;
	return error_prefix(error, "%s \"%s\"", reading->kind->noun,
			    value_show(reading->name, shown));
}

static void free_fields(const struct kind *kind, void *base)
{
	for (size_t i = 0; i < kind->count; i++)
		value_fini(&kind->fields[i], base);
}

/* ---- databases ---- */

static bool check_hosts(const struct reading *reading, const char *hosts, struct error *error)
{
	char host[HOST_NAME_MAX_LENGTH + 2];
	while (text_next_item(&hosts, host, sizeof(host))) {
		bool is_unix = host[0] == '/' || host[0] == '@';
		if (!is_plain(host) || (!is_unix && strpbrk(host, " /")))
			return fail(reading,
				    "a host must be a name, an address, a directory or an "
				    "@abstract name",
				    error);
		if (strlen(host) > (is_unix ? UNIX_DIRECTORY_MAX : HOST_NAME_MAX_LENGTH))
			return fail(reading, "a host's name is too long", error);
	}
	return true;
}

static bool check_database(const struct reading *reading, const struct section_database *row,
			   struct error *error)
{
	if (row->dbname && !*row->dbname)
		return fail(reading, "dbname must not be empty", error);
	if (row->user && (!*row->user || strlen(row->user) > USER_NAME_MAX))
		return fail(reading, "user must have 1 to 127 bytes", error);
	if (row->password && strlen(row->password) > SECRET_LENGTH_MAX)
		return fail(reading, "password may have at most 65530 bytes", error);
	if (row->auth_dbname &&
	    (strcmp(row->auth_dbname, "pgbouncer") == 0 || strcmp(row->auth_dbname, "pgweir") == 0))
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "database \"%s\": cannot use the reserved \"%s\" database as an "
				 "auth_dbname",
				 reading->name, row->auth_dbname);
	return !row->host || check_hosts(reading, row->host, error);
}

struct section_database *section_parse_database(const char *name, const char *text,
						struct error *error)
{
	struct section_database *row = memory_alloc(sizeof(*row));
	struct reading reading = {.kind = &database_kind, .name = name, .base = row};
	row->name = memory_strdup(name);
	bool ok = check_name(&reading, DATABASE_NAME_MAX, error);
	if (ok && (strcmp(name, "pgbouncer") == 0 || strcmp(name, "pgweir") == 0))
		ok = fail(&reading, "this name is reserved for the console", error);
	if (!ok || !read_row(&reading, text, error) || !check_database(&reading, row, error))
		section_free_database(&row);
	return row;
}

void section_free_database(struct section_database **row)
{
	if (!*row)
		return;
	free_fields(&database_kind, *row);
	source_fini(&(*row)->place);
	memory_free(&(*row)->name);
	memory_free(row);
}

/* ---- users ---- */

struct section_user *section_parse_user(const char *name, const char *text, struct error *error)
{
	struct section_user *row = memory_alloc(sizeof(*row));
	struct reading reading = {.kind = &user_kind, .name = name, .base = row};
	row->name = memory_strdup(name);
	if (!check_name(&reading, USER_NAME_MAX, error) || !read_row(&reading, text, error))
		section_free_user(&row);
	return row;
}

void section_free_user(struct section_user **row)
{
	if (!*row)
		return;
	free_fields(&user_kind, *row);
	memory_free(&(*row)->name);
	memory_free(row);
}

/* ---- peers ---- */

struct section_peer *section_parse_peer(const char *id, const char *text, struct error *error)
{
	struct section_peer *row = memory_alloc(sizeof(*row));
	struct reading reading = {.kind = &peer_kind, .name = id, .base = row};
	int64_t number;
	bool ok = text_to_int(id, &number) && number >= 1 && number <= PEER_ID_MAX;
	if (!ok)
		fail(&reading, "the id of a peer must be 1 to 65535", error);
	else
		row->id = (int)number;
	ok = ok && read_row(&reading, text, error) &&
	     (!row->host || check_hosts(&reading, row->host, error));
	if (ok && (!row->host || !*row->host))
		ok = fail(&reading, "a peer needs its host", error);
	if (!ok)
		section_free_peer(&row);
	return row;
}

void section_free_peer(struct section_peer **row)
{
	if (!*row)
		return;
	free_fields(&peer_kind, *row);
	memory_free(row);
}

/* ---- certificates by name ---- */

struct section_tls *section_parse_tls(const char *name, const char *text, struct error *error)
{
	struct section_tls *row = memory_alloc(sizeof(*row));
	struct reading reading = {.kind = &tls_kind, .name = name, .base = row};
	row->name = memory_strdup(name);
	bool ok = check_name(&reading, HOST_NAME_MAX_LENGTH, error) &&
		  read_row(&reading, text, error);
	if (ok && (!row->cert_file || !*row->cert_file || !row->key_file || !*row->key_file))
		ok = fail(&reading, "it needs cert_file and key_file", error);
	if (!ok)
		section_free_tls(&row);
	return row;
}

void section_free_tls(struct section_tls **row)
{
	if (!*row)
		return;
	free_fields(&tls_kind, *row);
	source_fini(&(*row)->place);
	memory_free(&(*row)->name);
	memory_free(row);
}
