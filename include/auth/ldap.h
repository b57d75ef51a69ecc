/* SPDX-License-Identifier: ISC */
/* ldap: is this the user's password, by the directory's word? Names are escaped after RFC 4514 (in
 * a DN) and RFC 4515 (in a filter). What a TLS connection trusts is said in OpenLDAP's ldap.conf or
 * its LDAPTLS_* environment, as for PostgreSQL. */
#ifndef PGWEIR_AUTH_LDAP_H
#define PGWEIR_AUTH_LDAP_H

#include <stdbool.h>

struct error;
struct ldap_options;

/* Bind as the user; in search+bind mode find the one entry that has the name first, on a connection
 * of its own. Blocks, a few times the timeout at most: to be called in core/offload. An empty
 * password is refused before anything is sent: directories take it for an anonymous bind and say
 * yes.
 *
 * False: the message is what the client may be told, "LDAP authentication failed"; the SQLSTATE is
 * 28P01 when the user is refused, 58000 when the directory does not work; the detail is for the log
 * only. Any thread. */
bool ldap_check(const struct ldap_options *options, const char *user, const char *password,
		struct error *error);

#endif
