/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_key.h"
#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "core/map.h"
#include "core/memory.h"
#include "net/tls_file.h"
#include "net/tls_passphrase.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIGEST_SIZE = 32 };

struct tls_key {
	struct map_node node; /* by the digest */
	unsigned references;
	EVP_PKEY *pkey;
	uint8_t digest[DIGEST_SIZE]; /* of the file's contents and the command */
};

static struct map keys; /* all that are in use */

struct question {
	const char *command;
	usec_t limit;
	struct error *error;
	bool failed; /* @error says why */
	bool asked;
};

/* OpenSSL's pem_password_cb. It never asks on the terminal itself. */
static int answer(char *buffer, int size, int for_writing, void *data)
{
	struct question *question = data;
	(void)for_writing;
	question->asked = true;
	if (!*question->command)
		return -1;
	question->failed = !tls_passphrase_ask(question->command, question->limit, buffer,
					       (size_t)size, question->error);
	return question->failed ? -1 : (int)strlen(buffer);
}

static struct evp_pkey_st *fail(const char *file, const struct question *question)
{
	struct error *error = question->error;
	if (!question->asked) {
		tls_file_error(error, "cannot load TLS key file", file);
	} else if (question->failed) {
		error_prefix(error, "TLS key file \"%s\"", file);
	} else if (!*question->command) {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "TLS key file \"%s\" needs a passphrase", file);
		error_hint(error, "Set a key passphrase command, or remove the passphrase.");
	} else {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "TLS key file \"%s\": the passphrase command gave a wrong passphrase",
			  file);
	}
	ERR_clear_error();
	return NULL;
}

/* Not by stdio or OpenSSL's files, whose buffers keep what was read, and whose descriptors the
 * command would inherit. */
static bool read_file(const char *file, BIO *contents, struct error *error)
{
	uint8_t bytes[4096];
	struct stat status;
	ssize_t size = -1;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0 && fstat(fd, &status) == 0 && status.st_mode & S_IRWXO)
		log_warning("",
			    "TLS key file \"%s\" can be read by everybody: its mode should be "
			    "0600 or 0640",
			    file);
	while (fd >= 0 && (size = read(fd, bytes, sizeof bytes)) > 0)
		BIO_write(contents, bytes, (int)size);
	int reason = errno;
	memory_erase(bytes, sizeof bytes);
	if (fd >= 0)
		close(fd);
	return size == 0 ||
	       error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "cannot read TLS key file \"%s\": %s",
			 file, strerror(reason));
}

static bool digest(BIO *contents, const char *command, uint8_t result[DIGEST_SIZE])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	char *bytes;
	long size = BIO_get_mem_data(contents, &bytes);
	bool well = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		    EVP_DigestUpdate(hash, command, strlen(command) + 1) == 1 &&
		    EVP_DigestUpdate(hash, bytes, (size_t)size) == 1 &&
		    EVP_DigestFinal_ex(hash, result, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return well;
}

static struct tls_key *add(EVP_PKEY *pkey, const uint8_t digest[DIGEST_SIZE])
{
	struct tls_key *key = memory_alloc(sizeof *key);
	key->pkey = pkey;
	memcpy(key->digest, digest, DIGEST_SIZE);
	map_add(&keys, key->digest, DIGEST_SIZE, &key->node);
	return key;
}

static struct tls_key *find_or_decrypt(const char *file, BIO *contents, struct question *question)
{
	uint8_t name[DIGEST_SIZE];
	if (!digest(contents, question->command, name)) {
		tls_error(question->error, "TLS key");
		return NULL;
	}
	struct map_node *node = map_find(&keys, name, DIGEST_SIZE);
	if (node)
		return container_of(node, struct tls_key, node);
	EVP_PKEY *pkey = PEM_read_bio_PrivateKey(contents, NULL, answer, question);
	if (!pkey)
		pkey = fail(file, question);
	return pkey ? add(pkey, name) : NULL;
}

struct tls_key *tls_key_open(const char *file, const char *command, usec_t limit,
			     struct error *error)
{
	struct question question = {.command = command, .limit = limit, .error = error};
	struct tls_key *key = NULL;
	BIO *contents = BIO_new(BIO_s_mem());
	if (!contents)
		tls_error(error, "TLS key");
	else if (tls_file_is_readable("TLS key file", file, error) &&
		 read_file(file, contents, error))
		key = find_or_decrypt(file, contents, &question);
	BIO_free(contents);
	if (key)
		key->references++;
	return key;
}

void tls_key_close(struct tls_key **key)
{
	struct tls_key *dropped = *key;
	*key = NULL;
	if (!dropped || --dropped->references > 0)
		return;
	map_remove(&keys, &dropped->node);
	EVP_PKEY_free(dropped->pkey);
	memory_free(&dropped);
}

struct evp_pkey_st *tls_key_pkey(const struct tls_key *key)
{
	return key->pkey;
}
