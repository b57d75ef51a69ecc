/* SPDX-License-Identifier: ISC */
/* stream: a byte stream over a connected socket, plain or TLS: connect, handshake, read, write,
 * pause, close. Bounded: what a socket does not take is kept in one out-queue up to
 * the cap given with each write, and the owner is told when it has drained. Reading is
 * level-triggered and stays watched unless paused.
 *
 * Hot path: one recv per readable event, a write is tried at once, and nothing else. */
#ifndef PGWEIR_NET_STREAM_H
#define PGWEIR_NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include "core/buffer.h"
#include "core/edge.h"

struct error;
struct stream;
struct stream_tls;
struct tls_context;
struct tls_session;

enum io { IO_DONE, IO_AGAIN, IO_EOF, IO_ERROR };
enum { STREAM_PIECES_MAX = 64 }; /* of one write */

/* What the owner of a stream is told; one static table per kind of connection. */
struct stream_events {
	void (*readable)(struct stream *stream);
	void (*drained)(struct stream *stream); /* the out-queue is empty again, or lost: the next
						   call tells */
	void (*connected)(struct stream *stream,
			  int error_number); /* the end of stream_connecting(); 0: well */
	/* The end of stream_start_tls(). NULL: well. After a failure, which is one sentence, the
	 * stream can only be closed. */
	void (*secured)(struct stream *stream, const struct error *failure);
};

struct stream {
	struct edge watcher; /* first */
	int fd;		     /* -1: closed */
	bool paused;	     /* not watched for reading */
	bool connecting;
	bool securing;		/* in the TLS handshake */
	struct buffer *out;	/* what the socket did not take; of a TLS stream: encrypted */
	struct stream_tls *tls; /* NULL: plain */
	const struct stream_events *events;
};

/* Take over a connected socket and watch it for reading. */
void stream_open(struct stream *stream, int fd, const struct stream_events *events);
/* Take over a socket that is connecting: events->connected follows. */
void stream_open_connecting(struct stream *stream, int fd, const struct stream_events *events);
/* Go on as TLS, on the side that @context is for: events->secured follows, never before this
 * returns. Until then nothing may be read or written; pausing takes effect afterwards. What is in
 * the out-queue leaves first, unencrypted. @host: whom we connect to (see tls_session_new).
 * @already: bytes that were read and belong to the handshake. */
void stream_start_tls(struct stream *stream, struct tls_context *context, const char *host,
		      const uint8_t *already, size_t already_size);
/* For the facts about a secured stream. NULL: it is plain. */
const struct tls_session *stream_tls(const struct stream *stream);

/* Stop watching, close the descriptor, drop the out-queue. Harmless twice. No event follows. */
void stream_close(struct stream *stream);

/* The peer has said goodbye and reads no more: stream_close() need not say close_notify. Nothing
 * can be written any more. */
void stream_forgo_end(struct stream *stream);

/* One read of at most @size bytes. IO_DONE: *@got > 0. IO_AGAIN: nothing there (a spurious event is
 * no error). */
enum io stream_read(struct stream *stream, void *bytes, size_t size, size_t *got);

/* The peer has sent its last byte, which may still have to be read, or the connection is broken.
 * May be known later than it is so. */
static inline bool stream_is_ending(const struct stream *stream)
{
	return stream->watcher.ended;
}

/* A TLS stream reads and writes like a plain one, with these differences: one read may take more
 * from the socket than it has room for, and events->readable comes again for what is left, without
 * the socket; IO_EOF is also the peer's close_notify, IO_ERROR with EPROTO what is not TLS or not
 * authentic; the cap holds for encrypted bytes, with some more room for what TLS adds;
 * stream_queue() encrypts at once; stream_shutdown() and stream_close() say close_notify if the
 * socket takes it. */

/* Write @count pieces in one call. What the socket does not take is queued: IO_AGAIN
 * (events->drained follows); the queue may then hold at most @cap bytes, or IO_ERROR. IO_DONE: all
 * is with the kernel. After IO_ERROR errno tells (ENOBUFS: the cap), the queue is dropped and
 * nothing more can be written; what was received can still be read. */
enum io stream_write_pieces(struct stream *stream, const struct iovec *pieces, int count,
			    size_t cap);
enum io stream_write_one(struct stream *stream, const struct iovec *piece, size_t cap);
static inline enum io stream_write(struct stream *stream, const struct iovec *pieces, int count,
				   size_t cap)
{
	bool is_usual = count == 1 && !((uintptr_t)stream->out | (uintptr_t)stream->tls) &&
			!stream->connecting;
	return is_usual ? stream_write_one(stream, pieces, cap)
			: stream_write_pieces(stream, pieces, count, cap);
}
static inline enum io stream_write_bytes(struct stream *stream, const void *bytes, size_t size,
					 size_t cap)
{
	struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	return stream_write(stream, &piece, 1, cap);
}
/* Put bytes into the out-queue without trying to write yet: for what shall leave with the next
 * stream_write(). */
bool stream_queue(struct stream *stream, const void *bytes, size_t size, size_t cap);
/* Try to write the out-queue now. */
enum io stream_flush(struct stream *stream);
static inline bool stream_is_blocked(const struct stream *stream)
{
	return stream->out != NULL;
}

/* Stop and resume watching for readability. Harmless twice. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* Say that nothing more is to be written (FIN), leave the reading side open: for a lingering close.
 */
void stream_shutdown(struct stream *stream);

#endif
