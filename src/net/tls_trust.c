/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_trust.h"
#include "core/error.h"
#include "core/list.h"
#include "core/map.h"
#include "core/memory.h"
#include "net/tls_file.h"
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>
#include <string.h>

enum { DIGEST_SIZE = 32 };

struct tls_trust {
	struct map_node node; /* by the digest */
	unsigned references;
	X509_STORE *store;
	uint8_t digest[DIGEST_SIZE]; /* of the files' contents */
};

static struct map trusts; /* all that are in use */

static bool digest(const char *ca_file, const char *crl_file, uint8_t result[DIGEST_SIZE])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool well = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		    tls_file_digest(hash, ca_file) && EVP_DigestUpdate(hash, "", 1) == 1 &&
		    (!*crl_file || tls_file_digest(hash, crl_file)) &&
		    EVP_DigestFinal_ex(hash, result, NULL) == 1;
	EVP_MD_CTX_free(hash);
	return well;
}

static bool load_authorities(X509_STORE *store, const char *file, struct error *error)
{
	return X509_STORE_load_file(store, file) == 1 ||
	       tls_file_error(error, "cannot load TLS CA file", file);
}

bool tls_trust_revoke(struct x509_store_st *store, const char *file, struct error *error)
{
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (!lookup || X509_load_crl_file(lookup, file, X509_FILETYPE_PEM) <= 0)
		return tls_file_error(error, "cannot load TLS CRL file", file);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return true;
}

static struct tls_trust *load(const char *ca_file, const char *crl_file,
			      const uint8_t digest[DIGEST_SIZE], struct error *error)
{
	X509_STORE *store = X509_STORE_new();
	if (!store)
		tls_error(error, "TLS authorities");
	if (!store || !load_authorities(store, ca_file, error) ||
	    (*crl_file && !tls_trust_revoke(store, crl_file, error))) {
		X509_STORE_free(store);
		return NULL;
	}
	struct tls_trust *trust = memory_alloc(sizeof *trust);
	trust->store = store;
	memcpy(trust->digest, digest, DIGEST_SIZE);
	map_add(&trusts, trust->digest, DIGEST_SIZE, &trust->node);
	return trust;
}

struct tls_trust *tls_trust_open(const char *ca_file, const char *crl_file, struct error *error)
{
	uint8_t name[DIGEST_SIZE];
	if (!tls_file_is_readable("TLS CA file", ca_file, error))
		return NULL;
	if (*crl_file && !tls_file_is_readable("TLS CRL file", crl_file, error))
		return NULL;
	if (!digest(ca_file, crl_file, name)) {
		tls_error(error, "TLS authorities");
		return NULL;
	}
	struct map_node *node = map_find(&trusts, name, DIGEST_SIZE);
	struct tls_trust *trust = node ? container_of(node, struct tls_trust, node)
				       : load(ca_file, crl_file, name, error);
	if (trust)
		trust->references++;
	return trust;
}

void tls_trust_close(struct tls_trust **trust)
{
	struct tls_trust *dropped = *trust;
	*trust = NULL;
	if (!dropped || --dropped->references > 0)
		return;
	map_remove(&trusts, &dropped->node);
	X509_STORE_free(dropped->store);
	memory_free(&dropped);
}

struct x509_store_st *tls_trust_store(const struct tls_trust *trust)
{
	return trust->store;
}
