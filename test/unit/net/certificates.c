/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "certificates.h"
#include "helpers.h"
#include <check.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *paths[64];
static int path_count;

const char *certificates_path(const char *name)
{
	ck_assert_int_lt(path_count, 64);
	return paths[path_count++] = strdup(helpers_path(name));
}

void certificates_close(void)
{
	while (path_count > 0)
		free(paths[--path_count]);
}

static FILE *open_file(const char *name, const char *end, const char *mode)
{
	char file[100];
	snprintf(file, sizeof file, "%s.%s", name, end);
	FILE *opened = fopen(helpers_path(file), mode);
	ck_assert_ptr_nonnull(opened);
	return opened;
}

static EVP_PKEY *new_key(const char *type)
{
	EVP_PKEY *key;
	if (type && strcmp(type, "RSA") == 0)
		key = EVP_RSA_gen(2048U);
	else if (type && strcmp(type, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_EC_gen("P-256");
	ck_assert_ptr_nonnull(key);
	return key;
}

static EVP_PKEY *read_key(const char *name)
{
	FILE *file = open_file(name, "key", "r");
	EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	ck_assert_ptr_nonnull(key);
	fclose(file);
	return key;
}

static X509 *read_certificate(const char *name)
{
	FILE *file = open_file(name, "crt", "r");
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	ck_assert_ptr_nonnull(certificate);
	fclose(file);
	return certificate;
}

static void add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(certificate, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static void add_name(X509_NAME *subject, const char *field, const char *value)
{
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
						    (const unsigned char *)value, -1, -1, 0),
			 1);
}

static void write_files(const struct certificate *made, X509 *certificate, EVP_PKEY *key)
{
	FILE *file = open_file(made->file, "crt", "w");
	ck_assert_int_eq(PEM_write_X509(file, certificate), 1);
	fclose(file);
	file = open_file(made->file, "key", "w");
	ck_assert_int_eq(PEM_write_PrivateKey(
				 file, key, made->passphrase ? EVP_aes_128_cbc() : NULL,
				 (const unsigned char *)made->passphrase,
				 made->passphrase ? (int)strlen(made->passphrase) : 0, NULL, NULL),
			 1);
	fclose(file);
}

void certificate_make(const struct certificate *made)
{
	EVP_PKEY *key = new_key(made->key);
	X509 *certificate = X509_new();
	X509 *issuer = made->issuer ? read_certificate(made->issuer) : certificate;
	EVP_PKEY *issuer_key = made->issuer ? read_key(made->issuer) : key;
	X509_NAME *subject = X509_get_subject_name(certificate);
	const char *digest = made->digest ? made->digest : "SHA256";
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), made->serial ? made->serial : 1);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -86400);
	X509_gmtime_adj(X509_getm_notAfter(certificate), made->is_expired ? -3600 : 86400);
	add_name(subject, "O", "Weir, Inc.");
	if (made->name)
		add_name(subject, "CN", made->name);
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	X509_set_pubkey(certificate, key);
	add(certificate, issuer, NID_basic_constraints,
	    made->issuer ? "CA:FALSE" : "critical,CA:TRUE");
	add(certificate, issuer, NID_subject_key_identifier, "hash");
	if (made->alternates)
		add(certificate, issuer, NID_subject_alt_name, made->alternates);
	const EVP_MD *method = strcmp(digest, "none") == 0 ? NULL : EVP_get_digestbyname(digest);
	ck_assert_int_gt(X509_sign(certificate, issuer_key, method), 0);
	write_files(made, certificate, key);
	if (made->issuer) {
		X509_free(issuer);
		EVP_PKEY_free(issuer_key);
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
}

void certificates_make_usual(void)
{
	certificate_make(&(struct certificate){.file = "ca", .name = "Test CA"});
	certificate_make(
		&(struct certificate){.file = "server",
				      .issuer = "ca",
				      .name = "ignored.example.com",
				      .alternates = "DNS:localhost,DNS:*.example.com,IP:127.0.0.1",
				      .serial = 2});
}

void certificates_revoke(const char *issuer, const char *crl_name, int serial)
{
	X509 *certificate = read_certificate(issuer);
	EVP_PKEY *key = read_key(issuer);
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -60), *later = X509_gmtime_adj(NULL, 86400);
	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(certificate));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, later);
	if (serial) {
		X509_REVOKED *revoked = X509_REVOKED_new();
		ASN1_INTEGER *number = ASN1_INTEGER_new();
		ASN1_INTEGER_set(number, serial);
		X509_REVOKED_set_serialNumber(revoked, number);
		X509_REVOKED_set_revocationDate(revoked, now);
		X509_CRL_add0_revoked(crl, revoked);
		ASN1_INTEGER_free(number);
	}
	ck_assert_int_gt(X509_CRL_sign(crl, key, EVP_sha256()), 0);
	FILE *file = open_file(crl_name, "crl", "w");
	ck_assert_int_eq(PEM_write_X509_CRL(file, crl), 1);
	fclose(file);
	ASN1_TIME_free(now);
	ASN1_TIME_free(later);
	X509_CRL_free(crl);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

struct tls_options certificates_server(void)
{
	return (struct tls_options){.accepts = true,
				    .cert_file = certificates_path("server.crt"),
				    .key_file = certificates_path("server.key")};
}

struct tls_options certificates_client(void)
{
	return (struct tls_options){.verify = TLS_VERIFY_FULL,
				    .ca_file = certificates_path("ca.crt")};
}
