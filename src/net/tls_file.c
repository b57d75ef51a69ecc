/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_file.h"
#include "core/error.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
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
	else if (status.st_size > TLS_FILE_MAX)
		reason = EFBIG;
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
