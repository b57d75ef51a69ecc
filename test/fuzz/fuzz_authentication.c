/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "fuzz.h"
#include "proto/authentication.h"

static void fuzz_authentication(const uint8_t *bytes, size_t size)
{
	struct authentication asked;
	const char *mechanism, *password;
	const uint8_t *data;
	size_t data_size;
	if (authentication_parse(bytes, size, &asked))
		FUZZ_HOLDS(!asked.data ||
			   (asked.data >= bytes && asked.data + asked.data_size == bytes + size));
	if (authentication_parse_sasl_initial(bytes, size, &mechanism, &data, &data_size))
		FUZZ_HOLDS((const uint8_t *)mechanism == bytes && strlen(mechanism) < size &&
			   (!data || data + data_size == bytes + size));
	if (authentication_parse_password(bytes, size, &password))
		FUZZ_HOLDS((const uint8_t *)password == bytes && strlen(password) + 1 == size);
}

static const struct fuzz_seed seeds[] = {
	SEED("\0\0\0\0"),
	SEED("\0\0\0\5salt"),
	SEED("\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
	SEED("\0\0\0\x0br=abc,s=c2FsdA==,i=4096"),
	SEED("\0\0\0\x0cv=abc"),
	SEED("SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abcd"),
	SEED("SCRAM-SHA-256\0\xff\xff\xff\xff"),
	SEED("secret\0"),
};
FUZZ_TARGET(authentication);
