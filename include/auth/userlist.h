/* SPDX-License-Identifier: ISC */
/* userlist: the auth_file: user name to secret. Immutable once loaded, but for what was made from
 * its secrets. Contract section 5. */
#ifndef PGWEIR_AUTH_USERLIST_H
#define PGWEIR_AUTH_USERLIST_H

#include <stdbool.h>
#include <stddef.h>
#include "auth/secret.h"

struct error;
struct userlist;

/* Read the file; NULL with @error (path:line) when it cannot be read or a line is wrong: all or
 * nothing. Lines: "user" "secret" anything; ';' comments and blank lines; "" escapes a quote; a
 * later line for a name wins. */
struct userlist *userlist_load(const char *path, struct error *error);
/* From text, for tests. @path names it in errors. */
struct userlist *userlist_parse(const char *text, size_t size, const char *path,
				struct error *error);
/* Erases the secrets. */
void userlist_free(struct userlist **list);

/* The user's secret, or NULL: unknown. Valid as long as the list. */
const struct secret *userlist_find(const struct userlist *list, const char *user);
/* Another one for each list there ever was: who has seen a list need not look again. Never 0. */
uint64_t userlist_serial(const struct userlist *list);
/* The user's secret is plain text, and @made was made from it: it is kept beside it. */
void userlist_keep_scram(struct userlist *list, const char *user, const struct scram_secret *made);
/* Walk all names in file order: *@cursor starts as NULL. NULL at the end. */
const char *userlist_next(const struct userlist *list, const void **cursor);
size_t userlist_length(const struct userlist *list);
/* Of those, how many have a secret of this kind. */
size_t userlist_count(const struct userlist *list, enum secret_kind kind);
/* How many iterations most of the SCRAM secrets have; 0: there are none. */
uint32_t userlist_scram_iterations(const struct userlist *list);

#endif
