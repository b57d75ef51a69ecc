/* SPDX-License-Identifier: ISC */
/* md5: PostgreSQL's MD5 password method: "md5" + hex(md5(hex(md5(password user)) salt)). Manual,
 * "AuthenticationMD5Password". */
#ifndef PGWEIR_AUTH_MD5_H
#define PGWEIR_AUTH_MD5_H

#include <stdbool.h>
#include <stdint.h>
#include "auth/secret.h"

enum { MD5_TEXT = 36 }; /* "md5", 32 hex digits, NUL */

/* The answer to a challenge for a SECRET_PLAIN or SECRET_MD5. False: another kind, or no MD5 in the
 * library. */
bool md5_answer(const struct secret *secret, const char *user, const uint8_t salt[4],
		char answer[MD5_TEXT]);

/* Is @answer the right one? Constant time in its letters. */
bool md5_verify(const struct secret *secret, const char *user, const uint8_t salt[4],
		const char *answer);

/* Is the stored @secret (SECRET_MD5) that of @user with this password? */
bool md5_is_of(const struct secret *secret, const char *user, const char *password);

#endif
