/* SPDX-License-Identifier: ISC */
/* tls: what a side of TLS connections is made from: certificate and key, whom it trusts, what it
 * agrees to. A context is made once from configuration words and shared by connections through
 * counted references; an old one lives on until its last connection ends.
 *
 * Sources: PostgreSQL manual "Secure TCP/IP Connections with SSL", "SSL Support" (libpq); RFC 8446,
 * 7301 (ALPN), 6066 (SNI), 5929 (tls-server-end-point). */
#ifndef PGWEIR_NET_TLS_H
#define PGWEIR_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/clock.h"

struct error;
struct tls_context;
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
struct x509_st;	   /* ... X509 */

enum { TLS_END_POINT_MAX = 64 };

enum tls_verify {
	TLS_VERIFY_NONE,
	TLS_VERIFY_CA,	/* the peer's certificate must come from an authority in ca_file */
	TLS_VERIFY_FULL /* ... and, when we connect, name the host */
};

/* Everything is text as the configuration has it; NULL and "" mean the default. */
struct tls_options {
	bool accepts; /* we are the TLS server */
	enum tls_verify verify;
	bool asks_certificate;		    /* accepting: ask for one, verify it if it comes */
	const char *cert_file, *key_file;   /* PEM; the chain follows the certificate */
	const char *ca_file;		    /* PEM; connecting without one: the system's */
	const char *crl_file;		    /* PEM */
	const char *key_passphrase_command; /* as ssl_passphrase_command: %p is the prompt */
	usec_t key_passphrase_until; /* when it must have ended (clock_read()); 0: whenever */
	const char *protocols;	     /* comma list: tlsv1.0 ... tlsv1.3, all, secure, default, !x */
	const char *ciphers; /* up to TLS 1.2: default, secure, fast, normal or an OpenSSL list */
	const char *tls13_ciphers; /* an OpenSSL list of TLS 1.3 suites */
	const char *ecdhcurve;	   /* none, auto, or group names, ':' between them */
	const char *dheparams;	   /* none, auto, legacy (1024 bits) */
};

/* Make a context. It has one reference, the caller's. NULL: @error names the file or word, and what
 * is wrong with it. Reads files and may run the passphrase command, so it blocks: for start and
 * reload only. */
struct tls_context *tls_context_new(const struct tls_options *options, struct error *error);
struct tls_context *tls_context_ref(struct tls_context *context);
/* Drop the holder's reference, and leave NULL. */
void tls_context_free(struct tls_context **context);

/* Let sessions that began under @old be resumed under @context: after a reload. That ends when the
 * keys of the tickets are a day old, or when the rules or the certificate are others. Who showed a
 * certificate is not resumed at all: that would not look at it again. */
void tls_context_take_tickets(struct tls_context *context, const struct tls_context *old);

/* Accepting, of each handshake: shall this client get a ticket? To make one is a good part of the
 * work, and most clients, all of libpq's among them, never show it. So when long none came back it
 * is only each eighth, until one does. */
bool tls_context_gives_ticket(struct tls_context *context);
void tls_context_ticket_returned(struct tls_context *context);

/* Accepting: who asks for the host @name (or "*.name": any one label before it), regardless of
 * case, gets certificate and rules of @other, which is referenced. Later rows of the same name
 * replace earlier ones. False: no such name can be asked for. */
bool tls_context_add_name(struct tls_context *context, const char *name, struct tls_context *other,
			  struct error *error);

bool tls_context_accepts(const struct tls_context *context);
/* Channel binding data "tls-server-end-point" of a certificate (NULL: none), and of the one that an
 * accepting context shows, hashed only once. 0: there is none. */
size_t tls_end_point(struct x509_st *certificate, uint8_t data[TLS_END_POINT_MAX]);
size_t tls_context_end_point(struct tls_context *context, uint8_t data[TLS_END_POINT_MAX]);
struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context);
enum tls_verify tls_context_verify(const struct tls_context *context);

/* Is this text one that tls_context_new takes? For the check of a single setting. */
bool tls_protocols_are_known(const char *protocols, struct error *error);

#endif
