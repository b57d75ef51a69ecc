/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_kept.h"
#include "core/list.h"
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <string.h>

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

bool tls_kept_digest(const struct tls_source *sources, unsigned count, uint8_t digest[TLS_DIGEST])
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
