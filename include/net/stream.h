/* SPDX-License-Identifier: ISC */
/* stream: a byte stream over a connected socket (plain now; TLS joins behind this face): connect,
 * read, write, pause, close. Bounded: what a socket does not take is kept in one out-queue up to
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
#include "core/loop.h"

struct error;
struct stream;

enum io { IO_DONE, IO_AGAIN, IO_EOF, IO_ERROR };
enum { STREAM_PIECES_MAX = 64 }; /* of one write */

/* What the owner of a stream is told; one static table per kind of connection. */
struct stream_events {
	void (*readable)(struct stream *stream);
	void (*drained)(struct stream *stream); /* the out-queue is empty again, or lost: the next
						   call tells */
	void (*connected)(struct stream *stream,
			  int error_number); /* the end of stream_connecting(); 0: well */
};

struct stream {
	struct loop_io watcher; /* first */
	int fd;			/* -1: closed */
	bool paused;		/* not watched for reading */
	bool connecting;
	struct buffer *out; /* what the socket did not take */
	const struct stream_events *events;
};

/* Take over a connected socket and watch it for reading. */
void stream_open(struct stream *stream, int fd, const struct stream_events *events);
/* Take over a socket that is connecting: events->connected follows. */
void stream_open_connecting(struct stream *stream, int fd, const struct stream_events *events);
/* Stop watching, close the descriptor, drop the out-queue. Harmless twice. No event follows. */
void stream_close(struct stream *stream);

/* One read of at most @size bytes. IO_DONE: *@got > 0. IO_AGAIN: nothing there (a spurious event is
 * no error). */
enum io stream_read(struct stream *stream, void *bytes, size_t size, size_t *got);

/* Write @count pieces in one call. What the socket does not take is queued: IO_AGAIN
 * (events->drained follows); the queue may then hold at most @cap bytes, or IO_ERROR. IO_DONE: all
 * is with the kernel. After IO_ERROR errno tells (ENOBUFS: the cap), the queue is dropped and
 * nothing more can be written; what was received can still be read. */
enum io stream_write(struct stream *stream, const struct iovec *pieces, int count, size_t cap);
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
