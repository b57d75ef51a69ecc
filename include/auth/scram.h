/* SPDX-License-Identifier: ISC */
/* scram: SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides, as pure steps: text in, text out; the
 * caller carries the messages. No channel binding yet (gs2 header "n" and "y" are accepted from
 * clients). Everything in a state is erased by its _fini. */
#ifndef PGWEIR_AUTH_SCRAM_H
#define PGWEIR_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "auth/secret.h"

struct error;

enum { SCRAM_MESSAGE_MAX = 1024, SCRAM_NONCE = 18, SCRAM_ITERATIONS_MAX = 100000 };

/* Our side when a client logs in. */
struct scram_server {
	struct scram_secret secret;
	bool doomed;	 /* mock: whatever the proof, it fails */
	char gs2_flag;	 /* 'n' or 'y': what the client said of channel binding */
	char nonce[128]; /* ours; from the first message on the client's and ours */
	char *client_first_bare;
	char *server_first;
	uint8_t client_key[DIGEST_SHA256]; /* after success: for logging in to a server that holds
					      the same secret */
	uint8_t phase;
};

/* @secret: plain or SCRAM; any other kind, or NULL (unknown user), makes a mock exchange that costs
 * and looks the same: salt and iterations stable per @user within this process. @iterations: for
 * secrets made from plain text. */
void scram_server_init(struct scram_server *state, const struct secret *secret, const char *user,
		       uint32_t iterations);
/* Each step reads the client's message and writes ours into @reply (SCRAM_MESSAGE_MAX bytes,
 * NUL-terminated). False: malformed or wrong; @error is what the client is told ("SASL
 * authentication failed", 28P01; a malformed message 08P01), never why. */
bool scram_server_first(struct scram_server *state, const uint8_t *message, size_t size,
			char *reply, struct error *error);
bool scram_server_final(struct scram_server *state, const uint8_t *message, size_t size,
			char *reply, struct error *error);
void scram_server_fini(struct scram_server *state);

/* Our side when we log in to a server. */
struct scram_client {
	char *password; /* normalised; NULL when keys are given */
	bool has_keys;
	uint8_t client_key[DIGEST_SHA256], server_key[DIGEST_SHA256];
	char nonce[64];
	char *auth_message;
	uint8_t server_signature[DIGEST_SHA256];
	uint8_t phase;
};
/* Log in with a plain password, or (password NULL) with keys taken from a client's own login. */
void scram_client_init(struct scram_client *state, const char *password, const uint8_t *client_key,
		       const uint8_t *server_key);
bool scram_client_first(struct scram_client *state, char *reply);
/* @error: the server's message is malformed, its nonce is not ours, its iterations are beyond
 * SCRAM_ITERATIONS_MAX ... */
bool scram_client_final(struct scram_client *state, const uint8_t *message, size_t size,
			char *reply, struct error *error);
/* Verify the server's signature. False: it does not know the secret; do not talk to it. */
bool scram_client_verify(struct scram_client *state, const uint8_t *message, size_t size,
			 struct error *error);
void scram_client_fini(struct scram_client *state);

#endif
