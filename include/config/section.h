/* SPDX-License-Identifier: ISC */
/* section: the rows of [databases], [users], [peers] and [tls]. Keys are rows of database_keys.def,
 * user_keys.def, peer_keys.def and tls_keys.def. Numbers and durations that a row does not name are
 * SECTION_UNSET, texts NULL, modes POOL_MODE_UNSET. Rows of databases and certificates know their
 * place (SOURCE_DEFAULT: no file), since what is wrong with them may be found out later. */
#ifndef PGWEIR_CONFIG_SECTION_H
#define PGWEIR_CONFIG_SECTION_H

#include <stdbool.h>
#include "core/clock.h"
#include "core/map.h"
#include "config/settings.h"
#include "config/source.h"

struct error;

#define SECTION_UNSET (-1)

/* The first of three values that is set: a user's row's, a database's row's, the one for all. */
static inline int64_t section_prefer(int64_t user, int64_t database, int64_t global)
{
	return user != SECTION_UNSET ? user : database != SECTION_UNSET ? database : global;
}

/* DATABASE_KEY(type, name, range, doc): types as in settings.h. */
struct section_database {
	struct map_node node; /* by name, in file order */
	struct source place;
	char *name;
#define DATABASE_KEY(type, name, range, doc) SETTING_C_##type name;
#include "config/database_keys.def"
};

struct section_user {
	struct map_node node;
	char *name;
#define USER_KEY(type, name, range, doc) SETTING_C_##type name;
#include "config/user_keys.def"
};

struct section_peer {
	struct map_node node; /* by id, in file order */
	int id;		      /* 1 to 65535 */
#define PEER_KEY(type, name, range, doc) SETTING_C_##type name;
#include "config/peer_keys.def"
};

struct section_tls {
	struct map_node node; /* by name */
	struct source place;
	char *name; /* a host name, or "*.domain" */
#define TLS_KEY(type, name, range, doc) SETTING_C_##type name;
#include "config/tls_keys.def"
};

/* Rows from "k=v k=v ..."; NULL with @error (what is wrong, what is allowed; never a password). */
struct section_database *section_parse_database(const char *name, const char *text,
						struct error *error);
struct section_user *section_parse_user(const char *name, const char *text, struct error *error);
struct section_peer *section_parse_peer(const char *id, const char *text, struct error *error);
struct section_tls *section_parse_tls(const char *name, const char *text, struct error *error);
void section_free_database(struct section_database **row);
void section_free_user(struct section_user **row);
void section_free_peer(struct section_peer **row);
void section_free_tls(struct section_tls **row);

#endif
