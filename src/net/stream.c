/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/stream.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "core/list.h"
#include "net/socket.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)

/* Watch for what matters now: writing while bytes are queued, reading unless paused. */
static void watch(struct stream *stream)
{
	int events = stream->connecting ? LOOP_WRITE : (stream->out ? LOOP_WRITE : 0) | (stream->paused ? 0 : LOOP_READ);
	loop_io_set(&stream->watcher, stream->fd, events);
}

static void writable(struct stream *stream)
{
	if (stream->connecting) {
		int error_number = socket_connect_result(stream->fd);
		stream->connecting = false;
		watch(stream);
		stream->events->connected(stream, error_number);
		return;
	}
	enum io io = stream_flush(stream);
	if (io == IO_DONE && stream->events->drained)
		stream->events->drained(stream);
	else if (io == IO_ERROR && stream->paused && stream->fd >= 0)
		/* Nobody would read the error while reading is paused: say that it is readable. */
		stream->events->readable(stream);
}

static void ready(struct loop_io *watcher, int events)
{
	struct stream *stream = container_of(watcher, struct stream, watcher);
	if (LIKELY(events == LOOP_READ && !stream->connecting)) {
		if (!stream->paused)
			stream->events->readable(stream);
		return;
	}
	if (events & LOOP_WRITE)
		writable(stream);
	if ((events & LOOP_READ) && stream->fd >= 0 && !stream->paused && !stream->connecting)
		stream->events->readable(stream);
}

static void begin(struct stream *stream, int fd, const struct stream_events *events, bool connecting)
{
	stream->fd = fd;
	stream->events = events;
	stream->paused = false;
	stream->connecting = connecting;
	stream->out = NULL;
	loop_io_init(&stream->watcher, ready);
	watch(stream);
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

enum io stream_read(struct stream *stream, void *bytes, size_t size, size_t *got)
{
	ssize_t n = recv(stream->fd, bytes, size, 0);
	if (LIKELY(n > 0)) {
		*got = (size_t)n;
		return IO_DONE;
	}
	if (n == 0)
		return IO_EOF;
	return errno == EAGAIN || errno == EINTR ? IO_AGAIN : IO_ERROR;
}

/* What one call of the kernel took; -1: an error, with errno. */
static ssize_t send_pieces(struct stream *stream, const struct iovec *pieces, int count)
{
	struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)pieces, .msg_iovlen = (size_t)count};
	ssize_t n;
	do
		n = count == 1 ? send(stream->fd, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL)
			       : sendmsg(stream->fd, &message, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 && errno == EAGAIN ? 0 : n;
}

/* Queue what is left of the pieces behind the first @sent bytes. */
static bool keep(struct stream *stream, const struct iovec *pieces, int count, size_t sent, size_t cap)
{
	for (int i = 0; i < count; i++) {
		size_t size = pieces[i].iov_len;
		if (sent >= size) {
			sent -= size;
			continue;
		}
		if (!buffer_append(&stream->out, (const uint8_t *)pieces[i].iov_base + sent, size - sent, cap)) {
			errno = ENOBUFS;
			return false;
		}
		sent = 0;
	}
	return true;
}

static enum io write_behind_queue(struct stream *stream, const struct iovec *pieces, int count, size_t cap)
{
	struct iovec all[32];
	size_t queued = buffer_length(stream->out);
	bool waits = loop_io_events(&stream->watcher) & LOOP_WRITE;
	if (waits || count >= 32 || stream->connecting) {
		if (!keep(stream, pieces, count, 0, cap))
			return IO_ERROR;
		return waits || stream->connecting ? IO_AGAIN : stream_flush(stream);
	}
	all[0] = (struct iovec){.iov_base = stream->out->data + stream->out->start, .iov_len = queued};
	for (int i = 0; i < count; i++)
		all[i + 1] = pieces[i];
	ssize_t n = send_pieces(stream, all, count + 1);
	if (n < 0)
		return IO_ERROR;
	size_t sent = (size_t)n;
	if (sent < queued) {
		buffer_consume(&stream->out, sent);
		sent = 0;
	} else {
		buffer_free(&stream->out);
		sent -= queued;
	}
	if (!keep(stream, pieces, count, sent, cap))
		return IO_ERROR;
	watch(stream);
	return stream->out ? IO_AGAIN : IO_DONE;
}

enum io stream_write(struct stream *stream, const struct iovec *pieces, int count, size_t cap)
{
	if (stream->out)
		return write_behind_queue(stream, pieces, count, cap);
	ssize_t n = send_pieces(stream, pieces, count);
	if (LIKELY(n == (ssize_t)pieces->iov_len && count == 1))
		return IO_DONE;
	if (n < 0 || !keep(stream, pieces, count, (size_t)n, cap))
		return IO_ERROR;
	if (!stream->out)
		return IO_DONE;
	watch(stream);
	return IO_AGAIN;
}

bool stream_queue(struct stream *stream, const void *bytes, size_t size, size_t cap)
{
	return buffer_append(&stream->out, bytes, size, cap);
}

enum io stream_flush(struct stream *stream)
{
	while (stream->out) {
		struct iovec piece = {.iov_base = stream->out->data + stream->out->start,
				      .iov_len = buffer_length(stream->out)};
		ssize_t n = send_pieces(stream, &piece, 1);
		if (n < 0)
			return IO_ERROR;
		if (n == 0) {
			watch(stream);
			return IO_AGAIN;
		}
		buffer_consume(&stream->out, (size_t)n);
	}
	watch(stream);
	return IO_DONE;
}

void stream_pause(struct stream *stream)
{
	if (stream->fd < 0 || stream->paused)
		return;
	stream->paused = true;
	watch(stream);
}

void stream_resume(struct stream *stream)
{
	if (stream->fd < 0 || !stream->paused)
		return;
	stream->paused = false;
	watch(stream);
}

void stream_shutdown(struct stream *stream)
{
	if (stream->fd >= 0)
		shutdown(stream->fd, SHUT_WR);
}
