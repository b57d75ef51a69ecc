/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_file.h"
#include "core/error.h"
#include <errno.h>
#include <fcntl.h>
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

bool tls_file_is_readable(const char *what, const char *file, struct error *error)
{
	struct stat status;
	int reason = 0, fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status) < 0)
		reason = errno;
	else if (S_ISDIR(status.st_mode))
		reason = EISDIR;
	bool is_file = reason == 0 && S_ISREG(status.st_mode);
	if (fd >= 0)
		close(fd);
	if (is_file)
		return true;
	/* To read from a pipe could take for ever, while everybody waits. */
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "cannot read %s \"%s\": %s", what, file,
			 reason ? strerror(reason) : "It is not a regular file");
}

bool tls_file_digest(struct evp_md_ctx_st *hash, const char *file)
{
	uint8_t bytes[4096];
	size_t size;
	FILE *stream = fopen(file, "re");
	if (!stream)
		return false;
	while ((size = fread(bytes, 1, sizeof bytes, stream)) > 0)
		EVP_DigestUpdate(hash, bytes, size);
	bool well = !ferror(stream);
	fclose(stream);
	return well;
}
