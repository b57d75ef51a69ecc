/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/stream.h"
#include "net/socket.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static ssize_t send_bytes(int fd, const void *bytes, size_t size)
{
	ssize_t sent;
	do
		sent = send(fd, bytes, size, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

static ssize_t send_pieces(int fd, struct iovec *pieces, int count)
{
	struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
	ssize_t sent;
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent;
}

/* Must a write wait for an event? Then bytes are only put behind the others. */
static bool is_waiting(const struct stream *stream)
{
	return stream->connecting || (loop_io_events(&stream->watcher) & LOOP_WRITE);
}

static void watch(struct stream *stream, int write_event)
{
	loop_io_set(&stream->watcher, stream->fd, (stream->paused ? 0 : LOOP_READ) | write_event);
}

/* Nothing more can be written, and nobody may go on in the middle of a message: the socket is ended
 * both ways. What has been received can still be read, then comes the end of the stream. Keeps
 * errno; returns IO_ERROR. */
static enum io end_writing(struct stream *stream)
{
	int reason = errno;
	buffer_free(&stream->out);
	if (stream->fd >= 0) {
		if (!stream->connecting)
			watch(stream, 0);
		shutdown(stream->fd, SHUT_RDWR);
	}
	errno = reason;
	return IO_ERROR;
}

/* Put all but the first @skip bytes of the pieces into the out-queue, and wait until the socket
 * takes more. */
static enum io keep(struct stream *stream, const struct iovec *pieces, int count, size_t skip,
		    size_t cap)
{
	size_t total = 0;
	for (int i = 0; i < count; i++)
		total += pieces[i].iov_len;
	if (total == 0 && !stream->out)
		return IO_DONE;
	size_t left = total - skip;
	uint8_t *room = buffer_reserve(&stream->out, left, cap);
	if (!room) {
		errno = ENOBUFS;
		return end_writing(stream);
	}
	for (int i = 0; i < count; i++) {
		size_t passed = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;
		size_t size = pieces[i].iov_len - passed;
		skip -= passed;
		if (size == 0)
			continue;
		memcpy(room, (const uint8_t *)pieces[i].iov_base + passed, size);
		room += size;
	}
	buffer_commit(stream->out, left);
	if (!stream->connecting)
		watch(stream, LOOP_WRITE);
	return IO_AGAIN;
}

/* Several pieces, or such as come behind what was queued: one system call for all of it. */
static enum io write_pieces(struct stream *stream, const struct iovec *pieces, int count,
			    size_t cap)
{
	struct iovec all[STREAM_PIECES_MAX + 1];
	size_t queued = buffer_length(stream->out), total = 0;
	int used = 0;
	assert(count <= STREAM_PIECES_MAX);
	if (is_waiting(stream))
		return keep(stream, pieces, count, 0, cap);
	if (queued) {
		all[used++] =
			(struct iovec){.iov_base = (void *)(uintptr_t)buffer_bytes(stream->out),
				       .iov_len = queued};
		total = queued;
	}
	for (int i = 0; i < count; i++) {
		all[used++] = pieces[i];
		total += pieces[i].iov_len;
	}
	if (total == 0)
		return IO_DONE;
	ssize_t result = send_pieces(stream->fd, all, used);
	if (result < 0 && errno != EAGAIN)
		return end_writing(stream);
	size_t sent = result < 0 ? 0 : (size_t)result;
	size_t of_queue = sent < queued ? sent : queued;
	buffer_consume(&stream->out, of_queue);
	if (sent == total)
		return IO_DONE;
	return keep(stream, pieces, count, sent - of_queue, cap);
}

enum io stream_write(struct stream *stream, const struct iovec *pieces, int count, size_t cap)
{
	if (count != 1 || stream->out || stream->connecting)
		return write_pieces(stream, pieces, count, cap);
	ssize_t sent = send_bytes(stream->fd, pieces->iov_base, pieces->iov_len);
	if (sent == (ssize_t)pieces->iov_len)
		return IO_DONE;
	if (sent < 0 && errno != EAGAIN)
		return end_writing(stream);
	return keep(stream, pieces, 1, sent < 0 ? 0 : (size_t)sent, cap);
}

bool stream_queue(struct stream *stream, const void *bytes, size_t size, size_t cap)
{
	return stream->fd >= 0 && buffer_append(&stream->out, bytes, size, cap);
}

static enum io send_queue(struct stream *stream)
{
	ssize_t sent =
		send_bytes(stream->fd, buffer_bytes(stream->out), buffer_length(stream->out));
	if (sent < 0 && errno != EAGAIN)
		return end_writing(stream);
	if (sent > 0)
		buffer_consume(&stream->out, (size_t)sent);
	watch(stream, stream->out ? LOOP_WRITE : 0);
	return stream->out ? IO_AGAIN : IO_DONE;
}

enum io stream_flush(struct stream *stream)
{
	if (!stream->out)
		return IO_DONE;
	if (is_waiting(stream))
		return IO_AGAIN;
	return send_queue(stream);
}

enum io stream_read(struct stream *stream, void *bytes, size_t size, size_t *got)
{
	ssize_t received;
	assert(size > 0);
	do
		received = recv(stream->fd, bytes, size, 0);
	while (received < 0 && errno == EINTR);
	*got = received > 0 ? (size_t)received : 0;
	if (received > 0)
		return IO_DONE;
	if (received == 0)
		return IO_EOF;
	return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
}

/* --- events --- */

static void end_connecting(struct stream *stream)
{
	int result = socket_connect_result(stream->fd);
	stream->connecting = false;
	if (result)
		loop_io_set(&stream->watcher, stream->fd, 0); /* a dead socket is always ready */
	else
		watch(stream, stream->out ? LOOP_WRITE : 0);
	stream->events->connected(stream, result);
}

static void writable(struct stream *stream)
{
	if (!stream->out) {
		watch(stream, 0);
		return;
	}
	/* An error is not told here: the queue is gone, so whoever waits for it goes on, and learns
	 * it from the next read or write. */
	if (send_queue(stream) != IO_AGAIN)
		stream->events->drained(stream);
}

static void ready(struct loop_io *watcher, int events)
{
	struct stream *stream = (struct stream *)watcher;
	/* The usual event. Reading is not watched while it is paused, nor while connecting. */
	if (__builtin_expect(events == LOOP_READ && !stream->paused && !stream->connecting, 1)) {
		stream->events->readable(stream);
		return;
	}
	if (stream->connecting) {
		end_connecting(stream);
		return;
	}
	if (events & LOOP_WRITE)
		writable(stream);
	/* The owner may have closed, paused or even opened it again. */
	if ((events & LOOP_READ) && stream->fd >= 0 && !stream->paused && !stream->connecting)
		stream->events->readable(stream);
}

/* --- life --- */

static void begin(struct stream *stream, int fd, const struct stream_events *events,
		  bool connecting)
{
	*stream = (struct stream){.fd = fd, .connecting = connecting, .events = events};
	loop_io_init(&stream->watcher, ready);
	loop_io_set(&stream->watcher, fd, connecting ? LOOP_WRITE : LOOP_READ);
}

void stream_open(struct stream *stream, int fd, const struct stream_events *events)
{
	begin(stream, fd, events, false);
}

void stream_open_connecting(struct stream *stream, int fd, const struct stream_events *events)
{
	begin(stream, fd, events, true);
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	loop_io_stop(&stream->watcher);
	close(stream->fd);
	stream->fd = -1;
	stream->connecting = false;
	buffer_free(&stream->out);
}

void stream_pause(struct stream *stream)
{
	if (stream->paused)
		return;
	stream->paused = true;
	if (stream->fd >= 0 && !stream->connecting)
		watch(stream, loop_io_events(&stream->watcher) & LOOP_WRITE);
}

void stream_resume(struct stream *stream)
{
	if (!stream->paused)
		return;
	stream->paused = false;
	if (stream->fd >= 0 && !stream->connecting)
		watch(stream, loop_io_events(&stream->watcher) & LOOP_WRITE);
}

void stream_shutdown(struct stream *stream)
{
	if (stream->fd >= 0)
		shutdown(stream->fd, SHUT_WR);
}
