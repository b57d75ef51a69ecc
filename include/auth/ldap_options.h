/* SPDX-License-Identifier: ISC */
/* ldap_options: which directory to ask, and how, in the words of PostgreSQL's pg_hba.conf (manual,
 * "LDAP Authentication"). */
#ifndef PGWEIR_AUTH_LDAP_OPTIONS_H
#define PGWEIR_AUTH_LDAP_OPTIONS_H

#include <stdatomic.h>
#include <stdbool.h>
#include "core/clock.h"

struct error;

#define LDAP_USERNAME "$username" /* in a search filter */

/* Immutable once it is shared: threads hold it while they use it. */
struct ldap_options {
	atomic_uint holders;
	char *uris; /* of the servers, to be tried in this order */
	bool start_tls;
	/* Simple bind: the name is put between these. Both NULL: search+bind. */
	char *prefix, *suffix;
	/* Search+bind. */
	char *base_dn;
	char *bind_dn, *bind_password;		/* NULL: anonymous search */
	char *search_attribute, *search_filter; /* one of them, or none: "uid" */
	int scope;				/* LDAP_SCOPE_* */
	usec_t timeout; /* for each connect and each answer; a test may set it before use */
};

/* False: pgweir was built without LDAP; @error says so. */
bool ldap_is_available(struct error *error);

/* Words name=value, between blanks; a value or a part of it may be in double quotes, where "" is a
 * quote: ldapserver (several, in one quoted value), ldapport, ldapscheme, ldaptls, ldapprefix,
 * ldapsuffix, ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, ldapsearchfilter (with
 * $username), ldapurl (RFC 4516). Of a word given twice the last counts. NULL: a word or their
 * combination is wrong; @error tells which (F0000), never with a part of the password. The caller
 * is the first holder. */
struct ldap_options *ldap_options_parse(const char *text, struct error *error);
/* One holder more; any thread. Returns @options. */
struct ldap_options *ldap_options_hold(struct ldap_options *options);
/* One holder less; the last one erases and frees. Any thread. */
void ldap_options_release(struct ldap_options **options);

#endif
