/* SPDX-License-Identifier: ISC */
/* tls_key: private keys read from PEM files. The same contents are decrypted once while the key is
 * in use, so that a reload does not ask for the passphrase again. */
#ifndef PGWEIR_NET_TLS_KEY_H
#define PGWEIR_NET_TLS_KEY_H

#include "core/clock.h"

struct error;
struct tls_key;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* The key in the file: a reference for the caller. @command: for its passphrase, "" if there is
 * none; @until: see tls_passphrase_ask(). NULL with @error, which names the file and what is wrong.
 * Reads a file and may run the command, so it blocks: for start and reload only. */
struct tls_key *tls_key_open(const char *file, const char *command, usec_t until,
			     struct error *error);
/* Drop the holder's reference, and leave NULL; NULL is fine. */
void tls_key_close(struct tls_key **key);
/* Valid as long as the reference. */
struct evp_pkey_st *tls_key_pkey(const struct tls_key *key);

#endif
