/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_key.h"
#include "core/error.h"
#include "core/list.h"
#include "core/memory.h"
#include "net/tls_file.h"
#include "net/tls_kept.h"
#include "net/tls_passphrase.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

struct tls_key {
	struct tls_kept kept; /* by the file's contents and the command */
	EVP_PKEY *pkey;
};

static struct map keys; /* all that are in use */

struct question {
	const char *command;
	usec_t until;
	struct error *error;
	bool asked;
	bool failed; /* @error says why */
};

/* OpenSSL's pem_password_cb. It never asks on the terminal itself, and once only: OpenSSL tries
 * another decoder when the first has failed. */
static int answer(char *buffer, int size, int for_writing, void *data)
{
	struct question *question = data;
	bool is_first = !question->asked;
	(void)for_writing;
	question->asked = true;
	if (!is_first || !*question->command)
		return -1;
	question->failed = !tls_passphrase_ask(question->command, question->until, buffer,
					       (size_t)size, question->error);
	return question->failed ? -1 : (int)strlen(buffer);
}

static void fail(const char *file, const struct question *question)
{
	struct error *error = question->error;
	if (question->failed) {
		error_prefix(error, "TLS key file \"%s\"", file);
	} else if (question->asked && !*question->command) {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "TLS key file \"%s\" needs a passphrase", file);
		error_hint(error, "Set a key passphrase command, or remove the passphrase.");
	} else if (question->asked) {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "TLS key file \"%s\": the passphrase command gave a wrong passphrase",
			  file);
	} else if (ERR_GET_REASON(ERR_peek_error()) == ERR_R_UNSUPPORTED) {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "cannot load TLS key file \"%s\": there is no private key in it", file);
	} else {
		tls_file_error(error, "cannot load TLS key file", file);
	}
	ERR_clear_error();
}

static struct tls_key *decrypt(const char *file, BIO *contents, struct question *question)
{
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(contents, NULL, answer, question);
	if (!pkey) {
		fail(file, question);
		return NULL;
	}
	struct tls_key *key = memory_alloc(sizeof *key);
	key->pkey = pkey;
	return key;
}

static struct tls_key *find_or_decrypt(const char *file, BIO *contents, struct question *question)
{
	const struct tls_source source = {question->command, contents};
	uint8_t digest[TLS_DIGEST];
	if (!tls_kept_digest(&source, 1, digest)) {
		tls_error(question->error, "TLS key");
		return NULL;
	}
	struct tls_kept *kept = tls_kept_find(&keys, digest);
	if (kept)
		return container_of(kept, struct tls_key, kept);
	struct tls_key *key = decrypt(file, contents, question);
	if (key)
		tls_kept_add(&keys, &key->kept, digest);
	return key;
}

struct tls_key *tls_key_open(const char *file, const char *command, usec_t until,
			     struct error *error)
{
	struct question question = {.command = command, .until = until, .error = error};
	BIO *contents = tls_file_read("TLS key file", file, error);
	struct tls_key *key = contents ? find_or_decrypt(file, contents, &question) : NULL;
	BIO_free(contents);
	return key;
}

void tls_key_close(struct tls_key **key)
{
	struct tls_key *dropped = *key;
	*key = NULL;
	if (!dropped || !tls_kept_drop(&keys, &dropped->kept))
		return;
	EVP_PKEY_free(dropped->pkey);
	memory_free(&dropped);
}

struct evp_pkey_st *tls_key_pkey(const struct tls_key *key)
{
	return key->pkey;
}
