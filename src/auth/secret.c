/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/secret.h"
#include "core/memory.h"
#include "core/random.h"
#include <limits.h>
#include <string.h>

static const char scheme[] = "SCRAM-SHA-256$";

static bool is_md5(const char *text)
{
	return strncmp(text, "md5", 3) == 0 && strspn(text + 3, "0123456789abcdef") == 32 &&
	       text[35] == '\0';
}

/* @text up to @end (a character, or NUL for the end of the text) as base64 of at most @size bytes.
 * The place behind
 * @end, or NULL. */
static const char *parse_part(const char *text, char end, uint8_t *bytes, size_t size,
			      size_t *decoded)
{
	const char *stop = strchr(text, end);
	if (!stop || !digest_base64_decode(text, (size_t)(stop - text), bytes, size, decoded))
		return NULL;
	return stop + 1;
}

bool secret_parse_scram(const char *text, struct scram_secret *scram)
{
	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0)
		return false;
	text += sizeof(scheme) - 1;
	uint32_t iterations = 0;
	for (; *text >= '0' && *text <= '9'; text++) {
		if (iterations > (INT_MAX - 9) / 10)
			return false;
		iterations = iterations * 10 + (uint32_t)(*text - '0');
	}
	if (iterations < 1 || *text++ != ':')
		return false;
	*scram = (struct scram_secret){.iterations = iterations};
	size_t salt_size, size;
	if (!(text = parse_part(text, '$', scram->salt, SECRET_SALT_MAX, &salt_size)) ||
	    salt_size == 0)
		return false;
	scram->salt_size = (uint8_t)salt_size;
	if (!(text = parse_part(text, ':', scram->stored_key, DIGEST_SHA256, &size)) ||
	    size != DIGEST_SHA256)
		return false;
	return parse_part(text, '\0', scram->server_key, DIGEST_SHA256, &size) &&
	       size == DIGEST_SHA256;
}

struct secret secret_from_text(const char *text)
{
	if (!text || !*text)
		return (struct secret){.kind = SECRET_NONE, .text = text};
	struct secret secret = {.kind = SECRET_PLAIN, .text = text};
	struct scram_secret scram;
	if (is_md5(text))
		secret.kind = SECRET_MD5;
	else if (secret_parse_scram(text, &scram))
		secret.kind = SECRET_SCRAM;
	else if (strncmp(text, scheme, sizeof scheme - 1) == 0)
		secret.kind = SECRET_NONE; /* a damaged one: it must not become a password */
	memory_erase(&scram, sizeof(scram));
	return secret;
}

void secret_build_scram(const char *password, const uint8_t *salt, size_t salt_size,
			uint32_t iterations, struct scram_secret *scram)
{
	if (salt_size > SECRET_SALT_MAX)
		salt_size = SECRET_SALT_MAX;
	*scram = (struct scram_secret){.iterations = iterations, .salt_size = (uint8_t)salt_size};
	memcpy(scram->salt, salt, salt_size);
	uint8_t salted[DIGEST_SHA256], client_key[DIGEST_SHA256];
	/* A library that refuses (FIPS asks for a minimum of iterations and salt) leaves a secret
	 * that nobody has. */
	if (!digest_pbkdf2_sha256(password, strlen(password), salt, salt_size, iterations, salted))
		random_bytes(salted, sizeof(salted));
	digest_hmac_sha256(salted, sizeof(salted), "Client Key", 10, client_key);
	digest_sha256(client_key, sizeof(client_key), scram->stored_key);
	digest_hmac_sha256(salted, sizeof(salted), "Server Key", 10, scram->server_key);
	memory_erase(salted, sizeof(salted));
	memory_erase(client_key, sizeof(client_key));
}
