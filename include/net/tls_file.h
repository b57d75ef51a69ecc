/* SPDX-License-Identifier: ISC */
/* tls_file: files that TLS is made from, and OpenSSL's word for what is wrong with one. */
#ifndef PGWEIR_NET_TLS_FILE_H
#define PGWEIR_NET_TLS_FILE_H

#include <stdbool.h>

struct error;
struct bio_st; /* OpenSSL's BIO */

/* Fill in @error with what OpenSSL's queue says, "subject: reason", and empty the queue. False. */
bool tls_error(struct error *error, const char *subject);
/* The same, 'what "file": reason'. @file: or another word of the configuration. */
bool tls_file_error(struct error *error, const char *what, const char *file);
/* Is it a regular file that we may read? OpenSSL's words for what is not are many and unclear. */
bool tls_file_is_readable(const char *what, const char *file, struct error *error);
/* May everybody on this machine read or write it? */
bool tls_file_is_public(const char *file);
/* Its contents in memory that is erased by BIO_free(), which the caller calls; NULL with @error.
 * There is no other copy but what is parsed from it. At most TLS_FILE_MAX bytes. */
enum { TLS_FILE_MAX = 16 << 20 };
struct bio_st *tls_file_read(const char *what, const char *file, struct error *error);

#endif
