/* SPDX-License-Identifier: ISC */
/* tls_session: one TLS connection as a machine that turns bytes into bytes; it has no socket. What
 * was received is fed in, what is to be sent is collected in one process-wide place, which the
 * caller empties before it works on another connection:
 *
 *     socket -> tls_session_room -> tls_session_received -> handshake, read -> plain bytes
 *     plain bytes -> write, handshake, end -> tls_session_output -> socket
 *
 * Received bytes lie in a process-wide buffer too: between calls a session keeps only what is no
 * whole record yet or had no room with the reader. An idle session owns no buffer. */
#ifndef PGWEIR_NET_TLS_SESSION_H
#define PGWEIR_NET_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/tls.h"

struct error;
struct tls_session;
struct ssl_st; /* OpenSSL's SSL */

enum tls_result {
	TLS_DONE,
	TLS_MORE,  /* nothing to be had before more is received */
	TLS_ENDED, /* the peer said close_notify */
	TLS_BROKEN /* not TLS, or not authentic; nothing can follow */
};

enum { TLS_RECORD = 16384 }; /* plain bytes in a full record */

/* A session under @context, which is referenced. @host: whom we connect to, a name or an IP
 * address, for SNI and verify-full; NULL or a path: unknown. NULL: @error says why. */
struct tls_session *tls_session_new(struct tls_context *context, const char *host,
				    struct error *error);
void tls_session_free(struct tls_session **session);

/* Take bytes that were received before the session began. False: no memory. */
bool tls_session_feed(struct tls_session *session, const void *bytes, size_t size);

/* Begin to receive: a place for up to *@size bytes, filled in by the caller at once;
 * @wanted is how many plain bytes the reader has room for. tls_session_received() follows in any
 * case, with what came (0: nothing), and then handshake or read, and tls_session_keep(). */
uint8_t *tls_session_room(struct tls_session *session, size_t wanted, size_t *size);
void tls_session_received(struct tls_session *session, size_t size);
/* The end of a round: what is left of the received bytes moves to the session. False: no memory. */
bool tls_session_keep(struct tls_session *session);
/* Can read return something without receiving more? Between rounds. */
bool tls_session_is_pending(const struct tls_session *session);
/* The same, and what was kept is not needed for it: read may be called without a round. */
bool tls_session_is_ready(const struct tls_session *session);

/* TLS_DONE: it is over; a ticket of TLS 1.3 is kept for the next output, whatever that is.
 * TLS_BROKEN: @error says why, and the output has an alert for the peer. */
enum tls_result tls_session_handshake(struct tls_session *session, struct error *error);
/* Read up to @size plain bytes; *@got may be > 0 with TLS_DONE only. */
enum tls_result tls_session_read(struct tls_session *session, void *bytes, size_t size,
				 size_t *got);
/* Encrypt into the output. False: broken. */
bool tls_session_write(struct tls_session *session, const void *bytes, size_t size);
/* Say close_notify (once). */
void tls_session_end(struct tls_session *session);
/* Do not, when it comes to the end: nobody would read it. Nothing can be written any more. */
void tls_session_forgo_end(struct tls_session *session);

/* What waits to be sent; tls_output_clear() forgets it. */
const uint8_t *tls_output(size_t *size);
void tls_output_clear(void);
/* OpenSSL's side of it, for tests. */
struct ssl_st *tls_session_ssl(const struct tls_session *session);

/* While secrets are received: OpenSSL overwrites its own copy of what it has handed out. */
void tls_session_hide(const struct tls_session *session, bool hides);

/* Free the process-wide buffers (at exit, for leak checkers). */
void tls_session_release(void);

/* --- facts, after the handshake --- */

/* "TLSv1.3/TLS_AES_256_GCM_SHA384" */
void tls_session_describe(const struct tls_session *session, char *text, size_t size);
/* Did both sides agree on the protocol "postgresql" (ALPN)? Direct TLS demands it. */
bool tls_session_has_alpn(const struct tls_session *session);
bool tls_session_is_resumed(const struct tls_session *session);
/* The host name the client asked for (SNI); NULL: none. */
const char *tls_session_asked_host(const struct tls_session *session);
/* The context that it was made with: the session's, not the caller's. */
struct tls_context *tls_session_context(const struct tls_session *session);
/* Was a certificate shown, and did it pass verification (which was asked for)? */
bool tls_session_peer_has_certificate(const struct tls_session *session);
bool tls_session_peer_is_verified(const struct tls_session *session);
/* The common name, or the whole subject as RFC 2253 writes it, of the peer's certificate. False:
 * there is none, it does not fit, or has a NUL inside. */
bool tls_session_peer_name(const struct tls_session *session, char *text, size_t size);
bool tls_session_peer_subject(const struct tls_session *session, char *text, size_t size);
/* Channel binding data tls-server-end-point (RFC 5929) of the TLS server's certificate, whichever
 * side we are. Returns its size, 0: this certificate has none. */
size_t tls_session_end_point(const struct tls_session *session, uint8_t data[TLS_END_POINT_MAX]);

#endif
