/* SPDX-License-Identifier: ISC */
/* tls_file: files that TLS is made from, OpenSSL's word for what is wrong with one, and books of
 * what was made: the same contents are parsed and kept once. */
#ifndef PGWEIR_NET_TLS_FILE_H
#define PGWEIR_NET_TLS_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include "core/map.h"

struct error;
struct bio_st; /* OpenSSL's BIO */

/* Fill in @error with what OpenSSL's queue says, "subject: reason", and empty the queue. False. */
bool tls_error(struct error *error, const char *subject);
/* The same, 'what "file": reason'; or with the @file's place a word of the configuration. */
bool tls_file_error(struct error *error, const char *what, const char *file);
/* Is it a regular file that we may read? OpenSSL's words for what is not are many and unclear. */
bool tls_file_is_readable(const char *what, const char *file, struct error *error);
/* May everybody on this machine read or write it? */
bool tls_file_is_public(const char *file);
/* Its contents in memory that is erased by BIO_free(), which the caller calls; NULL with @error. No
 * copy is left in other buffers. */
struct bio_st *tls_file_read(const char *what, const char *file, struct error *error);

enum { TLS_DIGEST = 32 };

/* A member of a book; embed it. */
struct tls_kept {
	struct map_node node; /* by the digest */
	unsigned references;
	uint8_t digest[TLS_DIGEST];
};

/* The digest of these texts and files' contents, and of which there are: NULL members count, too.
 */
struct tls_source {
	const char *text;
	struct bio_st *contents;
};
bool tls_file_digest(const struct tls_source *sources, unsigned count, uint8_t digest[TLS_DIGEST]);

/* The member with this digest, with one more reference, or NULL. */
struct tls_kept *tls_kept_find(const struct map *book, const uint8_t digest[TLS_DIGEST]);
/* Add one, with one reference. */
void tls_kept_add(struct map *book, struct tls_kept *kept, const uint8_t digest[TLS_DIGEST]);
/* Drop a reference. True: it was the last, and the member has left the book; the caller frees it.
 */
bool tls_kept_drop(struct map *book, struct tls_kept *kept);

#endif
