/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_trust.h"
#include "core/error.h"
#include "core/list.h"
#include "core/memory.h"
#include "net/tls_file.h"
#include "net/tls_kept.h"
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

struct tls_trust {
	struct tls_kept kept; /* by the files' contents */
	X509_STORE *store;
};

static struct map trusts; /* all that are in use */

/* OpenSSL's pem_password_cb; without one it would ask on the terminal. */
static int no_passphrase(char *buffer, int size, int for_writing, void *data)
{
	(void)buffer, (void)size, (void)for_writing, (void)data;
	return -1;
}

/* Adds what is of a kind: authorities, or lists of certificates that one revoked. How many there
 * were; -1: something was wrong with one. */
static int add_all(X509_STORE *store, BIO *contents, bool is_authority)
{
	STACK_OF(X509_INFO) *all = PEM_X509_INFO_read_bio(contents, NULL, no_passphrase, NULL);
	int count = all ? 0 : -1;
	for (int i = 0; i < sk_X509_INFO_num(all) && count >= 0; i++) {
		const X509_INFO *one = sk_X509_INFO_value(all, i);
		if (!(is_authority ? one->x509 != NULL : one->crl != NULL))
			continue;
		bool well = is_authority ? X509_STORE_add_cert(store, one->x509) == 1
					 : X509_STORE_add_crl(store, one->crl) == 1;
		count = well ? count + 1 : -1;
	}
	sk_X509_INFO_pop_free(all, X509_INFO_free);
	return count;
}

/* @count: see add_all(). */
static bool judge(int count, const char *what, const char *file, const char *missing,
		  struct error *error)
{
	if (count < 0)
		tls_file_error(error, what, file);
	else if (count == 0)
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s \"%s\": there is no %s in it",
			  what, file, missing);
	return count > 0;
}

static bool add_authorities(X509_STORE *store, BIO *contents, const char *file, struct error *error)
{
	return judge(add_all(store, contents, true), "cannot load TLS CA file", file, "certificate",
		     error);
}

static bool add_revoked(X509_STORE *store, BIO *contents, const char *file, struct error *error)
{
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return judge(add_all(store, contents, false), "cannot load TLS CRL file", file,
		     "list of revoked certificates", error);
}

bool tls_trust_revoke(struct x509_store_st *store, const char *crl_file, struct error *error)
{
	BIO *contents = tls_file_read("TLS CRL file", crl_file, error);
	bool well = contents && add_revoked(store, contents, crl_file, error);
	BIO_free(contents);
	return well;
}

/* @authorities and @revoked (NULL: there is no such file) were read from these files. */
static struct tls_trust *load(BIO *authorities, const char *ca_file, BIO *revoked,
			      const char *crl_file, struct error *error)
{
	X509_STORE *store = X509_STORE_new();
	if (!store)
		tls_error(error, "TLS authorities");
	if (!store || !add_authorities(store, authorities, ca_file, error) ||
	    (revoked && !add_revoked(store, revoked, crl_file, error))) {
		X509_STORE_free(store);
		return NULL;
	}
	struct tls_trust *trust = memory_alloc(sizeof *trust);
	trust->store = store;
	return trust;
}

static struct tls_trust *find_or_load(BIO *authorities, const char *ca_file, BIO *revoked,
				      const char *crl_file, struct error *error)
{
	const struct tls_source sources[] = {{NULL, authorities}, {NULL, revoked}};
	uint8_t digest[TLS_DIGEST];
	if (!tls_kept_digest(sources, 2, digest)) {
		tls_error(error, "TLS authorities");
		return NULL;
	}
	struct tls_kept *kept = tls_kept_find(&trusts, digest);
	if (kept)
		return container_of(kept, struct tls_trust, kept);
	struct tls_trust *trust = load(authorities, ca_file, revoked, crl_file, error);
	if (trust)
		tls_kept_add(&trusts, &trust->kept, digest);
	return trust;
}

struct tls_trust *tls_trust_open(const char *ca_file, const char *crl_file, struct error *error)
{
	struct tls_trust *trust = NULL;
	BIO *authorities = tls_file_read("TLS CA file", ca_file, error), *revoked = NULL;
	if (authorities && *crl_file)
		revoked = tls_file_read("TLS CRL file", crl_file, error);
	if (authorities && (revoked || !*crl_file))
		trust = find_or_load(authorities, ca_file, revoked, crl_file, error);
	BIO_free(authorities);
	BIO_free(revoked);
	return trust;
}

void tls_trust_close(struct tls_trust **trust)
{
	struct tls_trust *dropped = *trust;
	*trust = NULL;
	if (!dropped || !tls_kept_drop(&trusts, &dropped->kept))
		return;
	X509_STORE_free(dropped->store);
	memory_free(&dropped);
}

struct x509_store_st *tls_trust_store(const struct tls_trust *trust)
{
	return trust->store;
}

const uint8_t *tls_trust_digest(const struct tls_trust *trust)
{
	return trust->kept.digest;
}
