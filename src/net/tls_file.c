/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_file.h"
#include "core/error.h"
#include "core/list.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the error queue says; empties it. */
static const char *openssl_reason(char *text, size_t size)
{
	unsigned long code = ERR_peek_error(); /* the first is nearest to the cause */
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	if (!reason && ERR_SYSTEM_ERROR(code))
		reason = strerror(ERR_GET_REASON(code));
	if (reason)
		snprintf(text, size, "%s", reason);
	else
		snprintf(text, size, "OpenSSL error %lx", code);
	ERR_clear_error();
	return text;
}

bool tls_error(struct error *error, const char *subject)
{
	char reason[160];
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s: %s", subject,
			 openssl_reason(reason, sizeof reason));
}

bool tls_file_error(struct error *error, const char *what, const char *file)
{
	char reason[160];
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s \"%s\": %s", what, file,
			 openssl_reason(reason, sizeof reason));
}

/* A descriptor, or -1 with @error. */
static int open_file(const char *what, const char *file, struct error *error)
{
	struct stat status;
	int reason = 0, fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) < 0)
		reason = errno;
	else if (S_ISDIR(status.st_mode))
		reason = EISDIR;
	if (reason == 0 && S_ISREG(status.st_mode))
		return fd;
	if (fd >= 0)
		close(fd);
	/* To read from a pipe could take for ever, while everybody waits. */
	error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "cannot read %s \"%s\": %s", what, file,
		  reason ? strerror(reason) : "It is not a regular file");
	return -1;
}

bool tls_file_is_readable(const char *what, const char *file, struct error *error)
{
	int fd = open_file(what, file, error);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

bool tls_file_is_public(const char *file)
{
	struct stat status;
	return stat(file, &status) == 0 && (status.st_mode & S_IRWXO) != 0;
}

struct bio_st *tls_file_read(const char *what, const char *file, struct error *error)
{
	uint8_t bytes[4096];
	ssize_t size = 0;
	int fd = open_file(what, file, error);
	if (fd < 0)
		return NULL;
	BIO *contents = BIO_new(BIO_s_mem());
	while (contents && (size = read(fd, bytes, sizeof bytes)) > 0 &&
	       BIO_write(contents, bytes, (int)size) == size) {
	}
	int reason = size < 0 ? errno : ENOMEM;
	memory_erase(bytes, sizeof bytes);
	close(fd);
	if (contents && size == 0)
		return contents;
	BIO_free(contents);
	error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "cannot read %s \"%s\": %s", what, file,
		  strerror(reason));
	return NULL;
}

/* --- books --- */

/* Its size goes before a part, so that no two lists of parts have the same digest. */
static bool hash_part(EVP_MD_CTX *hash, const void *bytes, size_t size)
{
	uint64_t head = size;
	return EVP_DigestUpdate(hash, &head, sizeof head) == 1 &&
	       EVP_DigestUpdate(hash, bytes, size) == 1;
}

static bool hash_source(EVP_MD_CTX *hash, const struct tls_source *source)
{
	char *bytes = NULL;
	size_t size = source->contents ? (size_t)BIO_get_mem_data(source->contents, &bytes) : 0;
	uint8_t which = (uint8_t)(source->text != NULL) | (uint8_t)(source->contents != NULL) << 1;
	return EVP_DigestUpdate(hash, &which, 1) == 1 &&
	       hash_part(hash, source->text ? source->text : "",
			 source->text ? strlen(source->text) : 0) &&
	       hash_part(hash, bytes ? bytes : "", size);
}

bool tls_file_digest(const struct tls_source *sources, unsigned count, uint8_t digest[TLS_DIGEST])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool well = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;
	for (unsigned i = 0; i < count && well; i++)
		well = hash_source(hash, &sources[i]);
	well = well && EVP_DigestFinal_ex(hash, digest, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return well;
}

struct tls_kept *tls_kept_find(const struct map *book, const uint8_t digest[TLS_DIGEST])
{
	struct map_node *node = map_find(book, digest, TLS_DIGEST);
	struct tls_kept *kept = node ? container_of(node, struct tls_kept, node) : NULL;
	if (kept)
		kept->references++;
	return kept;
}

void tls_kept_add(struct map *book, struct tls_kept *kept, const uint8_t digest[TLS_DIGEST])
{
	kept->references = 1;
	memcpy(kept->digest, digest, TLS_DIGEST);
	map_add(book, kept->digest, TLS_DIGEST, &kept->node);
}

bool tls_kept_drop(struct map *book, struct tls_kept *kept)
{
	if (--kept->references > 0)
		return false;
	map_remove(book, &kept->node);
	return true;
}
