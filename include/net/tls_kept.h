/* SPDX-License-Identifier: ISC */
/* tls_kept: books of what was made from files: the same contents are parsed and kept once, for as
 * long as somebody uses them. */
#ifndef PGWEIR_NET_TLS_KEPT_H
#define PGWEIR_NET_TLS_KEPT_H

#include <stdbool.h>
#include <stdint.h>
#include "core/map.h"

struct bio_st; /* OpenSSL's BIO */

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
bool tls_kept_digest(const struct tls_source *sources, unsigned count, uint8_t digest[TLS_DIGEST]);

/* The member with this digest, with one more reference, or NULL. */
struct tls_kept *tls_kept_find(const struct map *book, const uint8_t digest[TLS_DIGEST]);
/* Add one, with one reference. */
void tls_kept_add(struct map *book, struct tls_kept *kept, const uint8_t digest[TLS_DIGEST]);
/* Drop a reference. True: it was the last, and the member has left the book; the caller frees it.
 */
bool tls_kept_drop(struct map *book, struct tls_kept *kept);

#endif
