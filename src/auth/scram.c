/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/scram.h"
#include "auth/saslprep.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PHASE_FIRST, PHASE_CHALLENGE, PHASE_FINAL, PHASE_VERIFY, PHASE_DONE };

/* The gs2 header of SCRAM-SHA-256-PLUS. */
#define BOUND_HEADER "p=tls-server-end-point,,"

enum {
	SALT_TEXT = (SECRET_SALT_MAX + 2) / 3 * 4 + 1,
	BINDING_TEXT = (sizeof BOUND_HEADER + SCRAM_BINDING_MAX + 2) / 3 * 4 + 1,
	MADE_SALT = 16,	 /* salts that we make, as long as PostgreSQL's */
	SOURCE_MIN = 32, /* of a file that makes salts: the digits of a machine's id */
	SOURCE_MAX = 16384,
};

/* What an exchange looks like for a user must not change from login to login, or a stranger could
 * tell that there is no secret. This key makes the salts. */
static struct {
	bool is_made;
	struct digest_hmac_key key;
	uint8_t mock_key[DIGEST_SHA256]; /* of all mocks; no proof is right for them */
} salts;

static void take_salt_key(uint8_t key[DIGEST_SHA256])
{
	digest_hmac_key_init(&salts.key, key, DIGEST_SHA256);
	memory_erase(key, DIGEST_SHA256);
	random_bytes(salts.mock_key, sizeof(salts.mock_key));
	salts.is_made = true;
}

/* Stir what the file says into @key. False: it says too little to be a secret. */
static bool stir(const char *path, uint8_t key[DIGEST_SHA256])
{
	uint8_t bytes[SOURCE_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t size = read(fd, bytes, sizeof(bytes));
	close(fd);
	if (size < SOURCE_MIN)
		return false;
	digest_hmac_sha256(key, DIGEST_SHA256, bytes, (size_t)size, key);
	memory_erase(bytes, (size_t)size);
	return true;
}

void scram_salts_from(const char *const *paths, size_t count)
{
	static const char purpose[] = "pgweir: salts of SCRAM";
	uint8_t key[DIGEST_SHA256];
	bool is_secret = false;
	if (salts.is_made)
		return;
	digest_sha256(purpose, sizeof(purpose), key);
	for (size_t i = 0; i < count; i++)
		is_secret |= paths[i] && stir(paths[i], key);
	if (is_secret)
		take_salt_key(key);
}

static void make_salt(const char *user, uint8_t salt[MADE_SALT])
{
	const struct digest_part part = {user, strlen(user)};
	uint8_t digest[DIGEST_SHA256];
	if (!salts.is_made) {
		random_bytes(digest, sizeof(digest));
		take_salt_key(digest);
	}
	digest_hmac_parts(&salts.key, &part, 1, digest);
	memcpy(salt, digest, MADE_SALT);
}

static void make_nonce(char *text)
{
	uint8_t bytes[SCRAM_NONCE];
	random_bytes(bytes, sizeof(bytes));
	digest_base64_encode(bytes, sizeof(bytes), text);
}

/* The message as text that may be cut into pieces. */
static bool message_text(const uint8_t *message, size_t size, char text[SCRAM_MESSAGE_MAX + 1])
{
	if (size == 0 || size > SCRAM_MESSAGE_MAX || memchr(message, 0, size))
		return false;
	memcpy(text, message, size);
	text[size] = '\0';
	return true;
}

/* Take "@name=value" off *@at, and the comma behind it if another attribute follows. @name 0: any
 * letter. NULL: it is something else. */
static char *take_attribute(char **at, char name)
{
	char *text = *at;
	bool is_letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
	if (!is_letter || (name && *text != name) || text[1] != '=')
		return NULL;
	char *end = strchr(text, ',');
	if (end && !end[1])
		return NULL;
	if (end)
		*end++ = '\0';
	*at = end ? end : text + strlen(text);
	return text + 2;
}

/* RFC 5802: printable ASCII without the comma. */
static bool nonce_is_good(const char *nonce)
{
	for (const char *at = nonce; *at; at++) {
		if (*at < '!' || *at > '~' || *at == ',')
			return false;
	}
	return *nonce;
}

static bool decode_key(const char *text, uint8_t key[DIGEST_SHA256])
{
	size_t size;
	return digest_base64_decode(text, strlen(text), key, DIGEST_SHA256, &size) &&
	       size == DIGEST_SHA256;
}

static void key_xor(const uint8_t a[DIGEST_SHA256], const uint8_t b[DIGEST_SHA256],
		    uint8_t result[DIGEST_SHA256])
{
	for (size_t i = 0; i < DIGEST_SHA256; i++)
		result[i] = a[i] ^ b[i];
}

/* AuthMessage: client-first-message-bare, server-first-message and client-final-message without its
 * proof, with commas between; padded, for two keys sign it. */
struct auth_message {
	size_t padded;
	uint8_t bytes[3 * (SCRAM_MESSAGE_MAX + 1) + DIGEST_PADDING];
};

static uint8_t *put_text(uint8_t *at, const void *text, size_t length)
{
	assert(length <= SCRAM_MESSAGE_MAX);
	memcpy(at, text, length);
	at[length] = ',';
	return at + length + 1;
}

static void auth_message_make(struct auth_message *auth, const char *client_first_bare,
			      const char *server_first, const void *without_proof, size_t size)
{
	uint8_t *at = put_text(auth->bytes, client_first_bare, strlen(client_first_bare));
	at = put_text(at, server_first, strlen(server_first));
	at = put_text(at, without_proof, size) - 1;
	auth->padded = digest_pad(auth->bytes, (size_t)(at - auth->bytes));
}

/* The pads of keys that signed lately, found by a key's first byte: a stored secret signs each
 * login of its user, and hashing the pads anew is a third of the work. They say no more than the
 * stored secrets do. */
static struct pads {
	bool is_made;
	uint8_t key[DIGEST_SHA256];
	struct digest_hmac_key hmac;
} known_pads[256];

static const struct digest_hmac_key *pads_of(const uint8_t key[DIGEST_SHA256])
{
	struct pads *pads = &known_pads[key[0]];
	if (!pads->is_made || memcmp(pads->key, key, DIGEST_SHA256) != 0) {
		memcpy(pads->key, key, DIGEST_SHA256);
		digest_hmac_key_init(&pads->hmac, key, DIGEST_SHA256);
		pads->is_made = true;
	}
	return &pads->hmac;
}

void scram_release(void)
{
	memory_erase(known_pads, sizeof known_pads);
	memory_erase(&salts, sizeof salts);
}

static void sign(const uint8_t key[DIGEST_SHA256], const struct auth_message *auth,
		 uint8_t signature[DIGEST_SHA256])
{
	digest_hmac_padded(pads_of(key), auth->bytes, auth->padded, signature);
}

/* c= of the final message: what was said of channel binding in the first one, so that nobody on the
 * way can have changed it, and with 'p' the data. */
static void encode_binding(char flag, const uint8_t *data, size_t size, char text[BINDING_TEXT])
{
	uint8_t bytes[sizeof BOUND_HEADER + SCRAM_BINDING_MAX];
	size_t length = flag == 'p' ? sizeof BOUND_HEADER - 1 : 3;
	memcpy(bytes, flag == 'p' ? BOUND_HEADER : flag == 'y' ? "y,," : "n,,", length);
	if (flag == 'p') {
		memcpy(bytes + length, data, size);
		length += size;
	}
	digest_base64_encode(bytes, length, text);
}

/* ---- the expensive part ---- */

static struct key_source source_of(const struct scram_derivation *derivation)
{
	return (struct key_source){derivation->password, derivation->salt, derivation->salt_size,
				   derivation->iterations};
}

void scram_derivation_init(struct scram_derivation *derivation, const char *password,
			   const uint8_t *salt, size_t salt_size, uint32_t iterations)
{
	assert(salt_size <= SCRAM_SALT_MAX);
	*derivation = (struct scram_derivation){.salt_size = salt_size, .iterations = iterations};
	derivation->password = memory_strdup(password);
	memcpy(derivation->salt, salt, salt_size);
}

void scram_derive(struct scram_derivation *derivation)
{
	struct scram_keys *keys = &derivation->keys;
	uint8_t salted[DIGEST_SHA256];
	derivation->failed = strlen(derivation->password) > SECRET_LENGTH_MAX;
	if (derivation->failed)
		return;
	char *normal = saslprep(derivation->password);
	size_t length = strlen(normal);
	derivation->failed =
		!digest_pbkdf2_sha256(normal, length, derivation->salt, derivation->salt_size,
				      derivation->iterations, salted);
	memory_erase(normal, length);
	memory_free(&normal);
	if (derivation->failed)
		return;
	digest_hmac_sha256(salted, sizeof salted, "Client Key", 10, keys->client_key);
	digest_hmac_sha256(salted, sizeof salted, "Server Key", 10, keys->server_key);
	memory_erase(salted, sizeof salted);
}

void scram_derivation_keep(const struct scram_derivation *derivation)
{
	struct key_source source = source_of(derivation);
	if (!derivation->failed)
		key_cache_add(&source, &derivation->keys);
}

void scram_derivation_fini(struct scram_derivation *derivation)
{
	memory_free_secret(&derivation->password);
	memory_erase(derivation, sizeof *derivation);
}

/* ---- our side when a client logs in ---- */

bool scram_server_derivation(const char *password, const char *user, uint32_t iterations,
			     struct scram_derivation *derivation)
{
	uint8_t salt[MADE_SALT];
	struct scram_keys keys;
	make_salt(user, salt);
	struct key_source source = {password, salt, MADE_SALT, iterations};
	if (key_cache_find(&source, &keys)) {
		memory_erase(&keys, sizeof keys);
		return false;
	}
	scram_derivation_init(derivation, password, salt, MADE_SALT, iterations);
	return true;
}

bool scram_has_made(const struct secret *secret, uint32_t iterations)
{
	return secret && secret->kind == SECRET_PLAIN && secret->scram &&
	       secret->scram->iterations == iterations;
}

static void init_plain(struct scram_server *state, const char *password,
		       const uint8_t salt[MADE_SALT], uint32_t iterations)
{
	struct key_source source = {password, salt, MADE_SALT, iterations};
	struct scram_derivation derivation;
	struct scram_keys keys;
	if (!key_cache_find(&source, &keys)) {
		scram_derivation_init(&derivation, password, salt, MADE_SALT, iterations);
		scram_derive(&derivation);
		scram_derivation_keep(&derivation);
		keys = derivation.keys;
		state->doomed = derivation.failed; /* keys of nothing but zeros */
		scram_derivation_fini(&derivation);
	}
	state->secret = (struct scram_secret){.iterations = iterations, .salt_size = MADE_SALT};
	memcpy(state->secret.salt, salt, MADE_SALT);
	digest_sha256(keys.client_key, DIGEST_SHA256, state->secret.stored_key);
	memcpy(state->secret.server_key, keys.server_key, DIGEST_SHA256);
	memory_erase(&keys, sizeof keys);
}

static void init_mock(struct scram_server *state, const uint8_t salt[MADE_SALT],
		      uint32_t iterations)
{
	state->doomed = true;
	state->secret = (struct scram_secret){.iterations = iterations, .salt_size = MADE_SALT};
	memcpy(state->secret.salt, salt, MADE_SALT);
	/* One key for all, so that signing finds its pads as it does for a known user. */
	memcpy(state->secret.stored_key, salts.mock_key, DIGEST_SHA256);
	memcpy(state->secret.server_key, salts.mock_key, DIGEST_SHA256);
}

void scram_server_init(struct scram_server *state, const struct secret *secret, const char *user,
		       uint32_t iterations, const uint8_t *binding, size_t binding_size)
{
	assert(binding_size <= SCRAM_BINDING_MAX);
	*state = (struct scram_server){.phase = PHASE_FIRST, .binding_size = binding_size};
	if (binding_size)
		memcpy(state->binding, binding, binding_size);
	make_nonce(state->nonce);
	/* To read a stored secret takes as long as to make a salt. */
	bool is_scram = secret && secret->kind == SECRET_SCRAM;
	bool has_parts = is_scram ? secret->scram != NULL : scram_has_made(secret, iterations);
	if (has_parts)
		state->secret = *secret->scram;
	if (has_parts || (is_scram && secret_parse_scram(secret->text, &state->secret)))
		return;
	uint8_t salt[MADE_SALT];
	make_salt(user, salt);
	if (secret && secret->kind == SECRET_PLAIN && *secret->text)
		init_plain(state, secret->text, salt, iterations);
	else
		init_mock(state, salt, iterations);
}

static bool malformed(struct error *error, const char *detail)
{
	error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed SCRAM message");
	return error_detail(error, "%s", detail);
}

static bool refused_binding(struct error *error, const char *detail)
{
	error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
		  "SCRAM channel binding negotiation error");
	return error_detail(error, "%s", detail);
}

/* gs2-header: "n,,", "y,," or "p=tls-server-end-point,,". Leaves *@at at client-first-message-bare.
 */
static bool take_gs2_header(struct scram_server *state, bool is_plus, char **at,
			    struct error *error)
{
	static const char bound[] = "p=tls-server-end-point,";
	char *text = *at;
	if (text[0] == 'p' && !is_plus)
		return malformed(error, "The client requires channel binding, but chose a "
					"mechanism without it.");
	if (text[0] == 'p') {
		if (strncmp(text, bound, sizeof bound - 1) != 0)
			return malformed(error, "Unsupported channel-binding type.");
		text += sizeof bound - 1;
	} else if ((text[0] != 'n' && text[0] != 'y') || text[1] != ',') {
		return malformed(error, "Unexpected channel-binding flag.");
	} else if (is_plus) {
		return malformed(error, "The client chose a mechanism with channel binding, but "
					"does not use it.");
	} else if (text[0] == 'y' && state->binding_size) {
		/* Somebody took our offer out of the list. */
		return refused_binding(error, "The client supports channel binding but thinks "
					      "that the server does not.");
	} else {
		text += 2;
	}
	if (text[0] == 'a')
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "client uses authorization identity, but it is not supported");
	if (text[0] != ',')
		return malformed(error, "Unexpected attribute in client-first-message.");
	state->gs2_flag = **at;
	state->is_bound = is_plus;
	*at = text + 1;
	return true;
}

/* @at: client-first-message-bare. The client's nonce in *@nonce. */
static bool parse_client_first_bare(char *at, const char **nonce, struct error *error)
{
	if (*at == 'm')
		return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED,
				 "client requires an unsupported SCRAM extension");
	/* Whoever logs in has said so in the start-up packet; this name is ignored, as PostgreSQL
	 * does. */
	if (!take_attribute(&at, 'n') || !(*nonce = take_attribute(&at, 'r')))
		return malformed(error,
				 "Attribute \"n\" or \"r\" is missing in client-first-message.");
	if (!nonce_is_good(*nonce))
		return malformed(error, "The nonce is empty or has non-printable characters.");
	while (*at) {
		if (!take_attribute(&at, 0))
			return malformed(error,
					 "Garbage found at the end of client-first-message.");
	}
	return true;
}

/* server-first-message; nonce and salt are bounded. By hand: printf would take as long as the rest
 * of the step. */
static void put_server_first(const struct scram_server *state, char *reply)
{
	char digits[16], *digit = digits + sizeof(digits);
	uint32_t iterations = state->secret.iterations;
	static_assert(sizeof(state->nonce) + SALT_TEXT + sizeof(digits) + 8 <= SCRAM_MESSAGE_MAX,
		      "it fits");
	char *at = stpcpy(stpcpy(reply, "r="), state->nonce);
	at = stpcpy(at, ",s=");
	digest_base64_encode(state->secret.salt, state->secret.salt_size, at);
	at = stpcpy(at + strlen(at), ",i=");
	*--digit = '\0';
	do
		*--digit = (char)('0' + iterations % 10);
	while (iterations /= 10);
	strcpy(at, digit);
}

bool scram_server_first(struct scram_server *state, bool is_plus, const uint8_t *message,
			size_t size, char *reply, struct error *error)
{
	char text[SCRAM_MESSAGE_MAX + 1];
	char *at = text;
	bool in_order = state->phase == PHASE_FIRST;
	state->phase = PHASE_DONE;
	*reply = '\0';
	if (!in_order || !message_text(message, size, text))
		return malformed(error, "The message is empty, too long, or has a zero byte.");
	if (is_plus && !state->binding_size)
		return malformed(error, "Channel binding was not offered.");
	if (!take_gs2_header(state, is_plus, &at, error))
		return false;
	state->client_first_bare = memory_strdup(at);
	const char *nonce = NULL;
	if (!parse_client_first_bare(at, &nonce, error))
		return false;
	size_t length = strlen(nonce), own = strlen(state->nonce);
	if (length + own >= sizeof(state->nonce))
		return malformed(error, "The nonce is too long.");
	memmove(state->nonce + length, state->nonce, own + 1);
	memcpy(state->nonce, nonce, length);

	put_server_first(state, reply);
	state->server_first = memory_strdup(reply);
	state->phase = PHASE_FINAL;
	return true;
}

/* Check all but the proof. *@without_proof: how many bytes of the message the proof's signature
 * covers. */
static bool parse_client_final(const struct scram_server *state, char *text,
			       uint8_t proof[DIGEST_SHA256], size_t *without_proof,
			       struct error *error)
{
	char *at = text;
	char expected[BINDING_TEXT];
	encode_binding(state->gs2_flag, state->binding, state->binding_size, expected);
	const char *binding = take_attribute(&at, 'c');
	if (!binding || (strcmp(binding, expected) != 0 && !state->is_bound))
		return malformed(error,
				 "Unexpected channel-binding attribute in client-final-message.");
	/* It sees another certificate than ours: somebody is in between. */
	if (strcmp(binding, expected) != 0) {
		error_set(error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			  "SCRAM channel binding check failed");
		return false;
	}
	const char *nonce = take_attribute(&at, 'r');
	if (!nonce || strcmp(nonce, state->nonce) != 0)
		return malformed(error, "Nonce does not match.");
	while (*at && *at != 'p') {
		if (!take_attribute(&at, 0))
			return malformed(error, "Unexpected attribute in client-final-message.");
	}
	*without_proof = (size_t)(at - text) - 1; /* nor the comma */
	const char *encoded = take_attribute(&at, 'p');
	if (!encoded || !decode_key(encoded, proof))
		return malformed(error, "Malformed proof in client-final-message.");
	if (*at)
		return malformed(error, "Garbage found at the end of client-final-message.");
	return true;
}

/* Is it the proof of who knows the password? Leaves the client's key in @state if so. */
static bool proof_is_right(struct scram_server *state, const struct auth_message *auth,
			   const uint8_t proof[DIGEST_SHA256])
{
	uint8_t hash[DIGEST_SHA256];
	sign(state->secret.stored_key, auth, hash);
	key_xor(proof, hash, state->client_key);
	digest_sha256(state->client_key, DIGEST_SHA256, hash);
	bool is_right = digest_is_equal(hash, state->secret.stored_key, DIGEST_SHA256);
	if (is_right && !state->doomed)
		return true;
	memory_erase(state->client_key, DIGEST_SHA256);
	return false;
}

bool scram_server_final(struct scram_server *state, const uint8_t *message, size_t size,
			char *reply, struct error *error)
{
	char text[SCRAM_MESSAGE_MAX + 1];
	uint8_t proof[DIGEST_SHA256], signature[DIGEST_SHA256];
	struct auth_message auth;
	size_t without_proof = 0;
	bool in_order = state->phase == PHASE_FINAL;
	state->phase = PHASE_DONE;
	*reply = '\0';
	if (!in_order || !message_text(message, size, text))
		return malformed(error, "The message is empty, too long, or has a zero byte.");
	if (!parse_client_final(state, text, proof, &without_proof, error))
		return false;
	auth_message_make(&auth, state->client_first_bare, state->server_first, message,
			  without_proof);
	bool is_right = proof_is_right(state, &auth, proof);
	if (is_right) {
		sign(state->secret.server_key, &auth, signature);
		memcpy(reply, "v=", 2);
		digest_base64_encode(signature, sizeof(signature), reply + 2);
	}
	/* Whoever has the secret's stored key makes the client's key from the proof. */
	memory_erase(proof, sizeof(proof));
	memory_erase(text, size);
	return is_right ||
	       error_set(error, SQLSTATE_INVALID_PASSWORD, "SASL authentication failed");
}

void scram_server_fini(struct scram_server *state)
{
	memory_free(&state->client_first_bare);
	memory_free(&state->server_first);
	memory_erase(state, sizeof(*state));
	state->phase = PHASE_DONE;
}

/* ---- our side when we log in to a server ---- */

void scram_client_init(struct scram_client *state, const char *password,
		       const struct scram_keys *keys, const uint8_t *binding, size_t binding_size,
		       bool offers_plus)
{
	assert(binding_size <= SCRAM_BINDING_MAX && (password || keys));
	*state = (struct scram_client){.phase = PHASE_FIRST, .has_keys = !password};
	make_nonce(state->nonce);
	if (password)
		state->password = memory_strdup(password);
	else
		state->keys = *keys;
	state->gs2_flag = !binding_size ? 'n' : offers_plus ? 'p' : 'y';
	state->binding_size = binding_size;
	if (binding_size)
		memcpy(state->binding, binding, binding_size);
}

const char *scram_client_mechanism(const struct scram_client *state)
{
	return state->gs2_flag == 'p' ? SCRAM_PLUS_NAME : SCRAM_NAME;
}

bool scram_client_first(struct scram_client *state, char *reply)
{
	*reply = '\0';
	if (state->phase != PHASE_FIRST)
		return false;
	/* PostgreSQL takes the name from the start-up packet. */
	state->client_first_bare = memory_printf("n=,r=%s", state->nonce);
	snprintf(reply, SCRAM_MESSAGE_MAX, "%s%s",
		 state->gs2_flag == 'p'	  ? BOUND_HEADER
		 : state->gs2_flag == 'y' ? "y,,"
					  : "n,,",
		 state->client_first_bare);
	state->phase = PHASE_CHALLENGE;
	return true;
}

static bool malformed_server(struct error *error, const char *detail)
{
	error_set(error, SQLSTATE_PROTOCOL_VIOLATION, "malformed SCRAM message from server");
	return error_detail(error, "%s", detail);
}

/* server-error: "e=" and what is wrong. */
static bool server_error(char *at, struct error *error)
{
	const char *reason = take_attribute(&at, 'e');
	char printable[128];
	return error_set(
		error, SQLSTATE_INVALID_PASSWORD,
		"error received from server in SCRAM exchange: %s",
		text_printable(reason ? reason : "malformed", printable, sizeof(printable)));
}

/* server-first-message: the whole nonce, the salt and the iterations. */
static bool parse_server_first(struct scram_client *state, char *text, struct error *error)
{
	enum { REPLY_REST = 256 }; /* what our reply has besides the nonce, at most */
	char *at = text;
	size_t own = strlen(state->nonce);
	int64_t count;
	const char *nonce = take_attribute(&at, 'r');
	if (!nonce || !nonce_is_good(nonce))
		return malformed_server(error,
					"The nonce is missing or has non-printable characters.");
	/* The server must have added to it, else an old exchange could be played again to us. */
	if (strncmp(nonce, state->nonce, own) != 0 || !nonce[own])
		return malformed_server(error, "Nonce does not match.");
	if (strlen(nonce) > SCRAM_MESSAGE_MAX - REPLY_REST)
		return malformed_server(error, "The nonce is too long.");
	const char *salt = take_attribute(&at, 's');
	if (!salt || !*salt ||
	    !digest_base64_decode(salt, strlen(salt), state->salt, sizeof(state->salt),
				  &state->salt_size))
		return malformed_server(error, "The salt is missing or not base64.");
	const char *iterations = take_attribute(&at, 'i');
	if (!iterations || *iterations < '1' || *iterations > '9' ||
	    !text_to_int(iterations, &count))
		return malformed_server(error, "The iteration count is missing or not a number.");
	if (*at)
		return malformed_server(error, "Garbage found at the end of server-first-message.");
	if (count > SCRAM_ITERATIONS_MAX)
		return error_set(error, SQLSTATE_PROGRAM_LIMIT_EXCEEDED,
				 "server demands %lld SCRAM iterations, at most %d are allowed",
				 (long long)count, SCRAM_ITERATIONS_MAX);
	state->iterations = (uint32_t)count;
	state->whole_nonce = memory_strdup(nonce);
	return true;
}

bool scram_client_challenge(struct scram_client *state, const uint8_t *message, size_t size,
			    struct error *error)
{
	char text[SCRAM_MESSAGE_MAX + 1];
	bool in_order = state->phase == PHASE_CHALLENGE;
	state->phase = PHASE_DONE;
	if (!in_order || !message_text(message, size, text))
		return malformed_server(
			error, "The message is unexpected, empty, too long, or has a zero byte.");
	if (*text == 'e')
		return server_error(text, error);
	state->server_first = memory_strdup(text);
	if (!parse_server_first(state, text, error))
		return false;
	state->phase = PHASE_FINAL;
	return true;
}

static struct key_source client_source(const struct scram_client *state)
{
	return (struct key_source){state->password, state->salt, state->salt_size,
				   state->iterations};
}

bool scram_client_derivation(const struct scram_client *state, struct scram_derivation *derivation)
{
	struct scram_keys keys;
	struct key_source source = client_source(state);
	if (state->has_keys)
		return false;
	if (key_cache_find(&source, &keys)) {
		memory_erase(&keys, sizeof keys);
		return false;
	}
	if (derivation)
		scram_derivation_init(derivation, state->password, state->salt, state->salt_size,
				      state->iterations);
	return true;
}

/* The keys are given, derived or cached. */
static bool find_keys(struct scram_client *state, const struct scram_derivation *derived,
		      struct error *error)
{
	struct key_source source = client_source(state);
	if (state->has_keys)
		return true;
	if (derived && derived->failed)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "the password is too long for SCRAM");
	if (derived)
		state->keys = derived->keys;
	else if (!key_cache_find(&source, &state->keys))
		return error_set(error, SQLSTATE_INTERNAL_ERROR, "the SCRAM keys were forgotten");
	return true;
}

bool scram_client_final(struct scram_client *state, const struct scram_derivation *derived,
			char *reply, struct error *error)
{
	char binding[BINDING_TEXT];
	uint8_t stored_key[DIGEST_SHA256], proof[DIGEST_SHA256];
	struct auth_message auth;
	bool in_order = state->phase == PHASE_FINAL;
	state->phase = PHASE_DONE;
	*reply = '\0';
	if (!in_order)
		return malformed_server(error, "The message is unexpected.");
	if (!find_keys(state, derived, error))
		return false;
	encode_binding(state->gs2_flag, state->binding, state->binding_size, binding);
	size_t length = (size_t)snprintf(reply, SCRAM_MESSAGE_MAX, "c=%s,r=%s", binding,
					 state->whole_nonce);
	auth_message_make(&auth, state->client_first_bare, state->server_first, reply, length);
	digest_sha256(state->keys.client_key, DIGEST_SHA256, stored_key);
	sign(stored_key, &auth, proof);
	key_xor(proof, state->keys.client_key, proof);
	sign(state->keys.server_key, &auth, state->server_signature);
	memcpy(reply + length, ",p=", 3);
	digest_base64_encode(proof, sizeof(proof), reply + length + 3);
	memory_erase(stored_key, sizeof(stored_key));
	memory_erase(proof, sizeof(proof));
	state->phase = PHASE_VERIFY;
	return true;
}

bool scram_client_verify(struct scram_client *state, const uint8_t *message, size_t size,
			 struct error *error)
{
	char text[SCRAM_MESSAGE_MAX + 1];
	uint8_t signature[DIGEST_SHA256];
	char *at = text;
	bool in_order = state->phase == PHASE_VERIFY;
	state->phase = PHASE_DONE;
	if (!in_order || !message_text(message, size, text))
		return malformed_server(
			error, "The message is unexpected, empty, too long, or has a zero byte.");
	if (*at == 'e')
		return server_error(at, error);
	const char *encoded = take_attribute(&at, 'v');
	if (!encoded || *at || !decode_key(encoded, signature))
		return malformed_server(error, "Malformed server-final-message.");
	if (!digest_is_equal(signature, state->server_signature, DIGEST_SHA256))
		return error_set(
			error, SQLSTATE_INVALID_AUTHORIZATION_SPECIFICATION,
			"SASL authentication failed: the server does not know the password");
	return true;
}

void scram_client_fini(struct scram_client *state)
{
	memory_free_secret(&state->password);
	memory_free(&state->client_first_bare);
	memory_free(&state->server_first);
	memory_free(&state->whole_nonce);
	memory_erase(state, sizeof(*state));
	state->phase = PHASE_DONE;
}
