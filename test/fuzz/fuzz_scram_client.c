/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/scram.h"
#include "core/error.h"
#include "fuzz.h"

/* A server's two messages with a newline between; a byte 1 stands for our nonce. It cannot know the
 * password: never may it be believed. */
static void fuzz_scram_client(const uint8_t *bytes, size_t size)
{
	static const uint8_t binding[32] = "binding";
	const struct scram_derivation derived = {.keys = {{1}, {2}}};
	struct scram_client state;
	struct error error = {0};
	uint8_t challenge[2 * SCRAM_MESSAGE_MAX];
	char reply[SCRAM_MESSAGE_MAX];
	if (size < 1)
		return;
	scram_client_init(&state, "password", NULL, binding, bytes[0] & 1 ? sizeof binding : 0,
			  bytes[0] & 2);
	FUZZ_HOLDS(scram_client_first(&state, reply));
	const uint8_t *first = bytes + 1, *end = bytes + size;
	const uint8_t *newline = memchr(first, '\n', size - 1);
	size_t challenge_size = fuzz_fill_in(first, (size_t)((newline ? newline : end) - first),
					     state.nonce, challenge, sizeof challenge);
	if (scram_client_challenge(&state, challenge, challenge_size, &error)) {
		FUZZ_HOLDS(state.iterations >= 1 && state.iterations <= SCRAM_ITERATIONS_MAX);
		FUZZ_HOLDS(state.salt_size >= 1 && state.salt_size <= SCRAM_SALT_MAX);
		if (scram_client_final(&state, &derived, reply, &error)) {
			FUZZ_HOLDS(strlen(reply) < sizeof reply);
			FUZZ_HOLDS(!scram_client_verify(&state, newline ? newline + 1 : end,
							newline ? (size_t)(end - newline) - 1 : 0,
							&error));
		}
	}
	FUZZ_HOLDS(*error.message);
	scram_client_fini(&state);
	scram_release();
	key_cache_release();
}

static const struct fuzz_seed seeds[] = {
	SEED("\0r=\1more,s=c2FsdHNhbHRzYWx0,i=4096\nv="
	     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
	SEED("\3r=\1more,s=c2FsdHNhbHRzYWx0,i=1000000,x=y\nv="
	     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
	SEED("\1r=\1more,s=c2FsdHNhbHRzYWx0,i=1\ne=invalid-proof"),
	SEED("\0e=other-error\n"),
	SEED("\0m=ext,r=\1more,s=c2Fs,i=4096\n"),
	SEED("\0r=\1more,s=c2Fs,i=99999999999999999999\n"),
};
FUZZ_TARGET(scram_client);
