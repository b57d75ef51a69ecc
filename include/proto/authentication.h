/* SPDX-License-Identifier: ISC */
/* authentication: the Authentication messages and their password and SASL answers, as bytes. The
 * cryptography is in the auth layer. Source: PostgreSQL manual, "Start-up" and "SASL
 * Authentication". */
#ifndef PGWEIR_PROTO_AUTHENTICATION_H
#define PGWEIR_PROTO_AUTHENTICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"

enum authentication_code {
	AUTHENTICATION_OK = 0,
	AUTHENTICATION_CLEARTEXT_PASSWORD = 3,
	AUTHENTICATION_MD5_PASSWORD = 5,
	AUTHENTICATION_GSS = 7,
	AUTHENTICATION_SSPI = 9,
	AUTHENTICATION_SASL = 10,
	AUTHENTICATION_SASL_CONTINUE = 11,
	AUTHENTICATION_SASL_FINAL = 12,
};

/* An 'R' message of a server, seen from its body; data points into the body. */
struct authentication {
	uint32_t code;
	uint8_t salt[4];     /* MD5 */
	const uint8_t *data; /* SASL_CONTINUE, SASL_FINAL: the mechanism's data */
	size_t data_size;
	bool has_scram_sha_256, has_scram_sha_256_plus; /* SASL */
};
/* False: the body is malformed (too short, too long, no terminator). Unknown codes are true. */
bool authentication_parse(const uint8_t *body, size_t size, struct authentication *result);

/* A SASLInitialResponse body ('p'): mechanism's name and its data (NULL: none was sent). False:
 * malformed. */
bool authentication_parse_sasl_initial(const uint8_t *body, size_t size, const char **mechanism,
				       const uint8_t **data, size_t *data_size);
/* A PasswordMessage body: one string and nothing behind it. False: malformed. */
bool authentication_parse_password(const uint8_t *body, size_t size, const char **password);

/* What we send to clients; @mechanisms ends with NULL. */
bool authentication_put_ok(struct buffer **out, size_t cap);
bool authentication_put_cleartext(struct buffer **out, size_t cap);
bool authentication_put_md5(struct buffer **out, size_t cap, const uint8_t salt[4]);
bool authentication_put_sasl(struct buffer **out, size_t cap, const char *const *mechanisms);
bool authentication_put_sasl_continue(struct buffer **out, size_t cap, const void *data,
				      size_t size);
bool authentication_put_sasl_final(struct buffer **out, size_t cap, const void *data, size_t size);

/* What we send to servers. */
bool authentication_put_password(struct buffer **out, size_t cap, const char *password);
bool authentication_put_sasl_initial(struct buffer **out, size_t cap, const char *mechanism,
				     const void *data, size_t size);
bool authentication_put_sasl_response(struct buffer **out, size_t cap, const void *data,
				      size_t size);

#endif
