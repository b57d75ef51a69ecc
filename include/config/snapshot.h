/* SPDX-License-Identifier: ISC */
/* snapshot: all that a configuration names (settings, rows, userlist), loaded together or not at
 * all, immutable but for console SET. Replaced whole: hold no pointer into it past the loop turn.
 */
#ifndef PGWEIR_CONFIG_SNAPSHOT_H
#define PGWEIR_CONFIG_SNAPSHOT_H

#include <stdbool.h>
#include "auth/hba.h"
#include "auth/ident.h"
#include "auth/ldap_options.h"
#include "auth/userlist.h"
#include "config/encryption.h"
#include "config/section.h"
#include "config/settings.h"
#include "config/source.h"
#include "core/map.h"

struct error;

struct snapshot {
	char *path; /* of the file; "" when there is none: built-in defaults */
	struct settings settings;
	struct source sources[SETTING_COUNT]; /* of the settings */
	struct map databases;		      /* struct section_database by name, without "*" */
	struct section_database *automatic;   /* the row "*", or NULL */
	struct map users;
	struct map peers;	       /* struct section_peer by id, in file order */
	struct map tls;		       /* struct section_tls by host name */
	struct userlist *userlist;     /* never NULL; empty when auth_file is unset */
	struct hba *hba;	       /* NULL: no auth_type is hba */
	struct ident *ident;	       /* NULL: auth_ident_file is unset */
	struct ldap_options *ldap;     /* of auth_ldap_options; NULL: unset */
	struct encryption *encryption; /* never NULL */
};

/* Load the file and all it names. NULL with @error ("FILE:LINE: what is wrong; what is allowed").
 * @path NULL: the defaults of a pgweir without a configuration file (listen on 127.0.0.1 and the
 * Unix socket, port 6432, every database name goes to localhost:5432, session mode, auth_type
 * scram-sha-256: nobody gets in unless an auth_file lists them). Environment and command line win
 * over both, see source. While errors are collected (error_collect()) it goes on behind
 * each, and what it returns is to be freed at once. */
struct snapshot *snapshot_load(const char *path, struct error *error);
void snapshot_free(struct snapshot **snapshot);

/* The one in force; never NULL after snapshot_install(). */
const struct snapshot *snapshot_current(void);
static inline const struct settings *settings_current(void)
{
	return &snapshot_current()->settings;
}
/* Put @taken in force and free the one before. Settings that need a restart keep their old values:
 * a WARNING names each that the new file changed. NULL: none any more (at exit). */
void snapshot_install(struct snapshot *taken);
/* Console SET: change one reloadable setting of the snapshot in force. */
bool snapshot_set(enum setting_index index, const char *text, struct error *error);

const struct section_database *snapshot_database(const struct snapshot *snapshot, const char *name);
/* The row that holds for this name: its own, or "*"; NULL: there is none. */
const struct section_database *snapshot_row(const struct snapshot *snapshot, const char *name);
/* How servers of the database are talked to. */
const struct encryption_to_server *snapshot_server_tls(const struct snapshot *snapshot,
						       const char *name);
/* The method for this user of this database, as far as the settings say. */
enum auth_method snapshot_auth_type(const struct snapshot *snapshot, const char *database,
				    const char *user);
/* The client_login_timeout of who says to be this user of this database. */
usec_t snapshot_login_timeout(const struct snapshot *snapshot, const char *database,
			      const char *user);
/* The LDAP options of an HBA rule: a reference for the caller. */
struct ldap_options *snapshot_rule_ldap(const struct hba_rule *rule, struct error *error);
const struct section_user *snapshot_user(const struct snapshot *snapshot, const char *name);
/* The row of [peers] with this id, or NULL. */
const struct section_peer *snapshot_peer(const struct snapshot *snapshot, int id);

#endif
