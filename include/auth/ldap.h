/* SPDX-License-Identifier: ISC */
/* ldap: checks a password by an LDAP directory, by a simple bind as the user, or by a search for
 * the user and then a bind as what was found. Options are written as in pg_hba.conf (manual,
 * section 20.10). Checking blocks: for a thread. Options are immutable and shared by counted
 * references, which any thread may take and drop. */
#ifndef PGWEIR_AUTH_LDAP_H
#define PGWEIR_AUTH_LDAP_H

#include <stdbool.h>

struct error;
struct ldap_options;

bool ldap_is_built_in(void);
/* From "ldapserver=... ldapport=...": words name=value, a value with blanks in "quotes", a quote in
 * it doubled. NULL: @error says what is wrong and what is allowed, never a password. */
struct ldap_options *ldap_options_parse(const char *text, struct error *error);
/* NULL is passed through. */
struct ldap_options *ldap_options_ref(struct ldap_options *options);
void ldap_options_free(struct ldap_options **options);

/* Is @password that of @user? False: @error says why, for the log; it never has a password. An
 * empty password is refused: to a directory it means no authentication at all. */
bool ldap_check(const struct ldap_options *options, const char *user, const char *password,
		struct error *error);

#endif
