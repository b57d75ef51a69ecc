/* SPDX-License-Identifier: ISC */
/* tls_file: files that TLS is made from, and OpenSSL's word for what is wrong with one. */
#ifndef PGWEIR_NET_TLS_FILE_H
#define PGWEIR_NET_TLS_FILE_H

#include <stdbool.h>

struct error;
struct evp_md_ctx_st; /* OpenSSL's EVP_MD_CTX */

/* Fill in @error with what OpenSSL's queue says, "subject: reason", and empty the queue. False. */
bool tls_error(struct error *error, const char *subject);
/* The same, "what "file": reason". */
bool tls_file_error(struct error *error, const char *what, const char *file);
/* Is it a regular file that we may read? OpenSSL's words for what is not are many and unclear. */
bool tls_file_is_readable(const char *what, const char *file, struct error *error);
/* Hash the file's contents. False: it could not be read. */
bool tls_file_digest(struct evp_md_ctx_st *hash, const char *file);

#endif
