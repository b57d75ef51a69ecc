/* SPDX-License-Identifier: ISC */
/* scram: SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, 5929, 7677), both sides, as pure steps:
 * text in, text out; the caller carries the messages. Channel binding is tls-server-end-point.
 * Deriving keys from a password takes thousands of hashes, as many as the other side says: the
 * caller does that in a thread, with a scram_derivation; the result is cached (key_cache).
 * Everything in a state is erased by its _fini. */
#ifndef PGWEIR_AUTH_SCRAM_H
#define PGWEIR_AUTH_SCRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "auth/key_cache.h"
#include "auth/secret.h"

struct error;

#define SCRAM_NAME "SCRAM-SHA-256"
#define SCRAM_PLUS_NAME "SCRAM-SHA-256-PLUS"

enum {
	SCRAM_MESSAGE_MAX = 1024,
	SCRAM_NONCE = 18,
	SCRAM_ITERATIONS_MAX = 1000000,
	SCRAM_SALT_MAX = SCRAM_MESSAGE_MAX,
	SCRAM_BINDING_MAX = 64,
};

/* ---- the expensive part ---- */

struct scram_derivation {
	char *password; /* as it was given */
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_size;
	uint32_t iterations;
	struct scram_keys keys; /* the result */
	bool failed;		/* no keys: the password is too long, or there are no iterations */
};

void scram_derivation_init(struct scram_derivation *derivation, const char *password,
			   const uint8_t *salt, size_t salt_size, uint32_t iterations);
/* Touches nothing but @derivation: may run in a thread. */
void scram_derive(struct scram_derivation *derivation);
/* Put the result into the cache, where whoever waits for it finds it. */
void scram_derivation_keep(const struct scram_derivation *derivation);
void scram_derivation_fini(struct scram_derivation *derivation);

/* ---- our side when a client logs in ---- */

/* Before the first exchange: the salts that we make come from what these files say (NULL, or what
 * cannot be read or has less than 32 bytes, does not count), so that they are the same after a
 * restart and in every process that is given the same. Once; without a file they are random. */
void scram_salts_from(const char *const *paths, size_t count);

struct scram_server {
	struct scram_secret secret;
	bool doomed;   /* mock: whatever the proof, it fails */
	bool is_bound; /* SCRAM-SHA-256-PLUS was chosen */
	char gs2_flag; /* 'n', 'y' or 'p': what the client said of channel binding */
	uint8_t binding[SCRAM_BINDING_MAX];
	size_t binding_size; /* 0: no channel binding is offered */
	char nonce[128];     /* ours; from the first message on the client's and ours */
	char *client_first_bare;
	char *server_first;
	uint8_t client_key[DIGEST_SHA256]; /* after success: for logging in to a server that holds
					      the same secret */
	uint8_t phase;
};

/* What must be derived before an exchange with a user who has this plain password; the salt is
 * stable per user. False: it is in the cache already. */
bool scram_server_derivation(const char *password, const char *user, uint32_t iterations,
			     struct scram_derivation *derivation);
/* Is there beside this plain secret what an exchange with so many iterations needs? Then nothing is
 * to be derived. What that is, is in state->secret after an exchange without it; it holds for the
 * user of that exchange, within this process. */
bool scram_has_made(const struct secret *secret, uint32_t iterations);
/* @secret: plain or SCRAM; any other kind, or NULL (unknown user), makes a mock exchange that costs
 * and looks the same: the salt is stable per @user. @iterations: for secrets made from plain text,
 * whose keys should be in the cache, and for mocks. @binding: channel binding data of the
 * connection, size 0: none, SCRAM-SHA-256-PLUS is not offered. */
void scram_server_init(struct scram_server *state, const struct secret *secret, const char *user,
		       uint32_t iterations, const uint8_t *binding, size_t binding_size);
/* Each step reads the client's message and writes ours into @reply (SCRAM_MESSAGE_MAX bytes,
 * NUL-terminated). @is_plus: the mechanism that the client chose. False: malformed or wrong; @error
 * is what the client is told ("SASL authentication failed", 28P01; a malformed message 08P01),
 * never why. */
bool scram_server_first(struct scram_server *state, bool is_plus, const uint8_t *message,
			size_t size, char *reply, struct error *error);
bool scram_server_final(struct scram_server *state, const uint8_t *message, size_t size,
			char *reply, struct error *error);
void scram_server_fini(struct scram_server *state);
/* Erase what is kept between exchanges (at exit). */
void scram_release(void);

/* ---- our side when we log in to a server ---- */

struct scram_client {
	char *password; /* NULL when keys are given */
	bool has_keys;
	struct scram_keys keys;
	char gs2_flag;
	uint8_t binding[SCRAM_BINDING_MAX];
	size_t binding_size;
	char nonce[64];
	char *client_first_bare;
	char *server_first;
	char *whole_nonce; /* ours and the server's */
	uint8_t salt[SCRAM_SALT_MAX];
	size_t salt_size;
	uint32_t iterations;
	uint8_t server_signature[DIGEST_SHA256];
	uint8_t phase;
};
/* Log in with a plain password, or (password NULL) with keys taken from a client's own login.
 * @binding: of the TLS connection, size 0: none. @offers_plus: the server offers
 * SCRAM-SHA-256-PLUS, which is used if there is binding data. */
void scram_client_init(struct scram_client *state, const char *password,
		       const struct scram_keys *keys, const uint8_t *binding, size_t binding_size,
		       bool offers_plus);
/* The mechanism to name in SASLInitialResponse. */
const char *scram_client_mechanism(const struct scram_client *state);
bool scram_client_first(struct scram_client *state, char *reply);
/* Read the server's challenge. @error: it is malformed, its nonce is not ours, its iterations are
 * beyond SCRAM_ITERATIONS_MAX ... */
bool scram_client_challenge(struct scram_client *state, const uint8_t *message, size_t size,
			    struct error *error);
/* What must be derived before the answer (@derivation NULL: only ask). False: the keys are there.
 */
bool scram_client_derivation(const struct scram_client *state, struct scram_derivation *derivation);
/* The answer to the challenge, with @derived keys; NULL: they were there. */
bool scram_client_final(struct scram_client *state, const struct scram_derivation *derived,
			char *reply, struct error *error);
/* Verify the server's signature. False: it does not know the secret; do not talk to it. */
bool scram_client_verify(struct scram_client *state, const uint8_t *message, size_t size,
			 struct error *error);
void scram_client_fini(struct scram_client *state);

#endif
