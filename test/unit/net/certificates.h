/* SPDX-License-Identifier: ISC */
/* certificates: authorities, certificates, keys and revocations for tests, in the test's directory
 * (see helpers.h), made when they are asked for. */
#ifndef PGWEIR_TEST_NET_CERTIFICATES_H
#define PGWEIR_TEST_NET_CERTIFICATES_H

#include <stdbool.h>
#include "net/tls.h"

struct certificate {
	const char *file;	/* NAME.crt and NAME.key are written; a CA is its own issuer */
	const char *issuer;	/* the file name of a CA; NULL: itself */
	const char *name;	/* common name; NULL: none */
	const char *alternates; /* "DNS:a,IP:127.0.0.1"; NULL: none */
	const char *key;	/* "EC" (and NULL), "RSA", "ED25519" */
	const char *digest;	/* NULL: SHA256; "none" for ED25519 */
	const char *passphrase; /* of the key file; NULL: none */
	bool is_expired;
	int serial;
};

/* Write @certificate's files. */
void certificate_make(const struct certificate *certificate);
/* A CA "ca", and "server" for localhost, *.example.com and 127.0.0.1. */
void certificates_make_usual(void);
/* Write NAME.crl of a CA, which revokes @serial (0: nothing). */
void certificates_revoke(const char *issuer, const char *crl, int serial);

/* The path of a file, valid until the end of the test. */
const char *certificates_path(const char *name);

/* Options for "server" and its key, and for a client that trusts "ca". */
struct tls_options certificates_server(void);
struct tls_options certificates_client(void);
/* Free the paths. */
void certificates_close(void);

#endif
