/* SPDX-License-Identifier: ISC */
/* method: the table of authentication methods, methods.def: what auth_type and HBA rules call them,
 * and what they need. Contract, sections 5 and 6. */
#ifndef PGWEIR_AUTH_METHOD_H
#define PGWEIR_AUTH_METHOD_H

#include <stdbool.h>
#include <stddef.h>

enum auth_method {
#define METHOD(name, auth_type, hba, flags, refusal, doc) AUTH_##name,
#include "auth/methods.def"
	AUTH_METHOD_COUNT
};

enum method_flag {
	METHOD_ASKS_PASSWORD = 1, /* the client must send something before it is let in */
	METHOD_NEEDS_TLS = 2,
	METHOD_ONLY_UNIX = 4,	 /* only on Unix sockets */
	METHOD_NEEDS_OFFLOAD = 8 /* the check may block, so it runs in a thread */
};

struct method {
	const char *auth_type; /* its keyword in auth_type; NULL: not allowed there */
	const char *hba;       /* its keyword in an HBA rule; NULL: not allowed there */
	unsigned flags;	       /* of enum method_flag */
	const char *refusal; /* what is told to who could not prove it; NULL: as a wrong password */
	const char *doc;     /* one sentence */
};

const struct method *method_get(enum auth_method method);
static inline bool method_has(enum auth_method method, enum method_flag flag)
{
	return method_get(method)->flags & flag;
}

/* From a keyword, exactly as written. False: there is no such method there. */
bool method_from_auth_type(const char *keyword, enum auth_method *method);
bool method_from_hba(const char *keyword, enum auth_method *method);
/* All HBA keywords as a sentence's list, "trust, password ... or peer", into @text. */
const char *method_hba_keywords(char *text, size_t size);

#endif
