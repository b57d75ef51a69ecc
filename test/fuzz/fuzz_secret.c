/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/md5.h"
#include "auth/secret.h"
#include "fuzz.h"

static void fuzz_secret(const uint8_t *bytes, size_t size)
{
	static const uint8_t salt[4] = "salt";
	char *text = fuzz_text(bytes, size), answer[MD5_TEXT];
	struct scram_secret scram;
	const struct secret secret = secret_from_text(text);
	bool is_scram = secret_parse_scram(text, &scram);
	FUZZ_HOLDS((secret.kind == SECRET_SCRAM) == is_scram);
	FUZZ_HOLDS(!is_scram || (scram.iterations >= 1 && scram.salt_size >= 1 &&
				 scram.salt_size <= SECRET_SALT_MAX));
	/* What was to be a verifier is never a password. */
	FUZZ_HOLDS(strncmp(text, "SCRAM-SHA-256$", 14) != 0 || secret.kind != SECRET_PLAIN);
	if (md5_answer(&secret, "user", salt, answer))
		FUZZ_HOLDS(md5_verify(&secret, "user", salt, answer));
	else
		FUZZ_HOLDS(secret.kind != SECRET_MD5 && secret.kind != SECRET_PLAIN);
	FUZZ_HOLDS(!md5_verify(&secret, "user", salt, ""));
	free(text);
}

static const struct fuzz_seed seeds[] = {
	SEED("plain"),
	SEED("md5d41d8cd98f00b204e9800998ecf8427e"),
	SEED("SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
	     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
	     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
	SEED("SCRAM-SHA-256$99999999999:MDEy$AA==:AA=="),
};
FUZZ_TARGET(secret);
