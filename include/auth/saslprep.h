/* SPDX-License-Identifier: ISC */
/* saslprep: password normalisation before SCRAM (RFC 4013, libidn). */
#ifndef PGWEIR_AUTH_SASLPREP_H
#define PGWEIR_AUTH_SASLPREP_H

/* A new string, to be freed after memory_erase(). A password that is not valid UTF-8, or that the
 * profile prohibits, is used as it is, as PostgreSQL does. */
char *saslprep(const char *password);

#endif
