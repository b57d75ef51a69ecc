/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/scram.h"
#include "core/error.h"
#include "fuzz.h"

/* A client's two messages with a newline between; the first byte says what is known of the user,
 * and what was chosen. A byte 1 stands for our nonce. Nobody guesses a proof: all must be refused.
 */
static void fuzz_scram_server(const uint8_t *bytes, size_t size)
{
	static const char verifier[] = "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
				       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
				       "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	static const uint8_t binding[32] = "binding";
	struct scram_server state;
	struct error error = {0};
	uint8_t final[2 * SCRAM_MESSAGE_MAX];
	char reply[SCRAM_MESSAGE_MAX];
	if (size < 1)
		return;
	const struct secret secret = bytes[0] & 1   ? secret_from_text(verifier)
				     : bytes[0] & 2 ? secret_from_text("plain")
						    : (struct secret){.kind = SECRET_NONE};
	bool is_plus = bytes[0] & 4, is_bound = bytes[0] & 8;
	scram_server_init(&state, &secret, "user", 1, binding, is_bound ? sizeof binding : 0);
	const uint8_t *first = bytes + 1, *end = bytes + size;
	const uint8_t *newline = memchr(first, '\n', size - 1);
	size_t first_size = (size_t)((newline ? newline : end) - first);
	if (scram_server_first(&state, is_plus, first, first_size, reply, &error)) {
		FUZZ_HOLDS(strlen(reply) < sizeof reply && strstr(reply, state.nonce));
		size_t final_size = newline ? fuzz_fill_in(newline + 1, (size_t)(end - newline) - 1,
							   state.nonce, final, sizeof final)
					    : 0;
		FUZZ_HOLDS(!scram_server_final(&state, final, final_size, reply, &error));
	}
	FUZZ_HOLDS(*error.message);
	FUZZ_HOLDS(!scram_server_final(&state, first, first_size, reply, &error));
	scram_server_fini(&state);
	scram_release();
	key_cache_release();
}

#define PROOF "p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
static const struct fuzz_seed seeds[] = {
	SEED("\1n,,n=,r=clientnonce\nc=biws,r=\1," PROOF),
	SEED("\2y,,n=user,r=clientnonce,x=y\nc=eSws,r=\1,x=y," PROOF),
	SEED("\15p=tls-server-end-point,,n=,r=abc\n"
	     "c=cD10bHMtc2VydmVyLWVuZC1wb2ludCwsYmluZGluZwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==,r="
	     "\1," PROOF),
	SEED("\0n,a=other,n=,r=abc\nx"),
	SEED("\1n,,m=ext,n=,r=abc\nx"),
};
FUZZ_TARGET(scram_server);
