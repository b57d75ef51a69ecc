/* SPDX-License-Identifier: ISC */
/* ident: the user name maps of auth_ident_file: which system user (of a certificate, or at the far
 * end of a Unix socket) may be which database user. Immutable once loaded. Lines, after PostgreSQL
 * manual section 20.2 and contract section 6:
 *   map  system-user  db-user
 * system-user may be a /regex (see pattern for where it differs from PostgreSQL's), and then "\1"
 * in db-user is what its first group matched; db-user may be a /regex, or all. "+group" is refused:
 * membership is known to the server only. So is what PostgreSQL ignores: words behind db-user. */
#ifndef PGWEIR_AUTH_IDENT_H
#define PGWEIR_AUTH_IDENT_H

#include <stdbool.h>

struct error;
struct ident;

/* NULL with @error, "FILE:LINE: ...": all or nothing. */
struct ident *ident_load(const char *path, struct error *error);
void ident_free(struct ident **ident);

/* May @system_user be @user by this map? Without a map (NULL, or ""), and then also without maps
 * (@ident NULL), when the names are equal. A map without lines lets nobody in, and an
 * empty @system_user is nobody. */
bool ident_permits(const struct ident *ident, const char *map, const char *system_user,
		   const char *user);
/* Has the map any line? */
bool ident_has_map(const struct ident *ident, const char *map);

#endif
