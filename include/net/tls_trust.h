/* SPDX-License-Identifier: ISC */
/* tls_trust: authorities and what they revoked, read from PEM files. The same contents are parsed
 * and kept once, for however many contexts. */
#ifndef PGWEIR_NET_TLS_TRUST_H
#define PGWEIR_NET_TLS_TRUST_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct tls_trust;
struct x509_store_st; /* OpenSSL's X509_STORE */

/* What these files say: a reference for the caller. @crl_file: "" if there is none. NULL with
 * @error, which names the file and what is wrong. Reads files: for start and reload only. */
struct tls_trust *tls_trust_open(const char *ca_file, const char *crl_file, struct error *error);
/* Drop the holder's reference, and leave NULL; NULL is fine. */
void tls_trust_close(struct tls_trust **trust);
/* Both valid as long as the reference. The digest, of TLS_DIGEST bytes, is that of the contents. */
struct x509_store_st *tls_trust_store(const struct tls_trust *trust);
const uint8_t *tls_trust_digest(const struct tls_trust *trust);

/* Certificates in the file are good no more for who asks this store, nor are those of an authority
 * that has no list in it. */
bool tls_trust_revoke(struct x509_store_st *store, const char *crl_file, struct error *error);

#endif
