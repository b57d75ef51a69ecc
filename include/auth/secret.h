/* SPDX-License-Identifier: ISC */
/* secret: what is stored of a password: the plain text, "md5" and 32 hex digits, or a SCRAM-SHA-256
 * secret as in pg_authid (SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey); contract, 5. */
#ifndef PGWEIR_AUTH_SECRET_H
#define PGWEIR_AUTH_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "auth/digest.h"

enum secret_kind { SECRET_NONE, SECRET_PLAIN, SECRET_MD5, SECRET_SCRAM };

enum { SECRET_SALT_MAX = 64, SECRET_LENGTH_MAX = 65530 };

struct scram_secret {
	uint32_t iterations;
	uint8_t salt[SECRET_SALT_MAX];
	uint8_t salt_size;
	uint8_t stored_key[DIGEST_SHA256], server_key[DIGEST_SHA256];
};

/* A view; the text belongs to the userlist or to the configuration. */
struct secret {
	enum secret_kind kind;
	const char *text; /* as stored; NULL: none */
	/* The parts of it, or for plain text what was made from it last, if its owner keeps them;
	 * may be NULL. */
	const struct scram_secret *scram;
};

/* What kind of secret is this text? A text that begins like a SCRAM secret but is
 * none is SECRET_NONE: a damaged verifier must not become a password. Like MD5 only: SECRET_PLAIN;
 * "" and NULL are SECRET_NONE. */
struct secret secret_from_text(const char *text);
/* The parts of a SECRET_SCRAM text. */
bool secret_parse_scram(const char *text, struct scram_secret *scram);
/* Make one from a plain password (normalised by the caller) with a given salt. */
void secret_build_scram(const char *password, const uint8_t *salt, size_t salt_size,
			uint32_t iterations, struct scram_secret *scram);

#endif
