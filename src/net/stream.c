/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/stream.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/list.h"
#include "core/loop.h"
#include "core/memory.h"
#include "net/socket.h"
#include "net/tls_session.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What TLS needs must not make plain streams save more registers. */
#define OFF_THE_HOT_PATH __attribute__((noinline))

/* What a TLS stream has more than a plain one. */
struct stream_tls {
	struct tls_session *session;
	struct stream *stream;
	struct loop_timer again; /* the next turn goes on without an event of the socket */
	uint32_t control;	 /* bytes of TLS itself in the out-queue, at most */
	struct error *failure;	 /* why there is no session; told in the next turn */
};

enum {
	OUTPUT_SLICE = 65536,	      /* encrypted and then sent at once */
	CONTROL_CAP = 1 << 18,	      /* answers of TLS itself, to a peer that does not read */
	KEPT_ALLOWANCE = CONTROL_CAP, /* they may come on top of the owner's bytes */
};

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
	return stream->connecting || (edge_events(&stream->watcher) & EDGE_WRITE);
}

static void watch(struct stream *stream, int write_event)
{
	bool reads = !stream->paused || stream->securing;
	edge_set(&stream->watcher, stream->fd, (reads ? EDGE_READ : 0) | write_event);
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
		watch(stream, EDGE_WRITE);
	return IO_AGAIN;
}

/* Several pieces, or such as come behind what was queued: one system call for all of it. */
static enum io write_plain(struct stream *stream, const struct iovec *pieces, int count, size_t cap)
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

/* The usual write: nothing waits, and there is one piece. */
enum io stream_write_one(struct stream *stream, const struct iovec *piece, size_t cap)
{
	ssize_t sent = send_bytes(stream->fd, piece->iov_base, piece->iov_len);
	if (sent == (ssize_t)piece->iov_len)
		return IO_DONE;
	if (sent < 0 && errno != EAGAIN)
		return end_writing(stream);
	return keep(stream, piece, 1, sent < 0 ? 0 : (size_t)sent, cap);
}

/* --- writing through TLS --- */

/* Records add a few bytes each to what the owner's cap is meant for. */
static size_t encrypted_cap(size_t cap)
{
	return cap + cap / 8 + KEPT_ALLOWANCE;
}

/* Send what TLS made. */
static enum io send_output(struct stream *stream, size_t cap)
{
	size_t size;
	const uint8_t *bytes = tls_output(&size);
	struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	enum io io = size == 0 || stream->out ? write_plain(stream, &piece, 1, cap)
					      : stream_write_one(stream, &piece, cap);
	tls_output_clear();
	return io;
}

static bool encrypt(struct stream *stream, const void *bytes, size_t size, size_t cap, enum io *io)
{
	size_t waiting;
	if (size == 0)
		return true;
	if (!tls_session_write(stream->tls->session, bytes, size)) {
		tls_output_clear();
		errno = EPROTO;
		*io = end_writing(stream);
		return false;
	}
	tls_output(&waiting);
	if (waiting >= OUTPUT_SLICE)
		*io = send_output(stream, cap);
	return *io != IO_ERROR;
}

/* How much of a piece is encrypted where it lies: full records, and the end of the last piece. */
static size_t direct_size(size_t left, bool is_last)
{
	if (left >= OUTPUT_SLICE)
		return OUTPUT_SLICE;
	return is_last ? left : left - left % TLS_RECORD;
}

/* Small pieces are gathered into full records. */
static enum io write_tls(struct stream *stream, const struct iovec *pieces, int count, size_t cap)
{
	static uint8_t record[TLS_RECORD];
	size_t gathered = 0, size;
	enum io io = IO_DONE;
	if (stream->securing || !stream->tls->session) {
		errno = ENOTCONN;
		return IO_ERROR;
	}
	cap = encrypted_cap(cap);
	for (int i = 0; i < count; i++) {
		const uint8_t *bytes = pieces[i].iov_base;
		for (size_t left = pieces[i].iov_len; left > 0; left -= size, bytes += size) {
			size = gathered ? 0 : direct_size(left, i == count - 1);
			if (size > 0) {
				if (!encrypt(stream, bytes, size, cap, &io))
					return IO_ERROR;
				continue;
			}
			size = TLS_RECORD - gathered < left ? TLS_RECORD - gathered : left;
			memcpy(record + gathered, bytes, size);
			gathered += size;
			if (gathered < TLS_RECORD)
				continue;
			if (!encrypt(stream, record, gathered, cap, &io))
				return IO_ERROR;
			gathered = 0;
		}
	}
	if (!encrypt(stream, record, gathered, cap, &io))
		return IO_ERROR;
	return send_output(stream, cap);
}

static bool queue_tls(struct stream *stream, const void *bytes, size_t size, size_t cap)
{
	size_t made;
	if (stream->securing || !stream->tls->session ||
	    buffer_length(stream->out) + size > encrypted_cap(cap) - KEPT_ALLOWANCE ||
	    !tls_session_write(stream->tls->session, bytes, size))
		return false;
	const uint8_t *output = tls_output(&made);
	bool well = buffer_append(&stream->out, output, made, encrypted_cap(cap));
	tls_output_clear();
	if (!well) /* a record is missing now */
		(void)end_writing(stream);
	return well;
}

OFF_THE_HOT_PATH enum io stream_write_pieces(struct stream *stream, const struct iovec *pieces,
					     int count, size_t cap)
{
	return stream->tls ? write_tls(stream, pieces, count, cap)
			   : write_plain(stream, pieces, count, cap);
}

bool stream_queue(struct stream *stream, const void *bytes, size_t size, size_t cap)
{
	if (stream->fd < 0)
		return false;
	if (stream->tls && size > 0)
		return queue_tls(stream, bytes, size, cap);
	return buffer_append(&stream->out, bytes, size, cap);
}

static enum io send_queue(struct stream *stream)
{
	size_t size = buffer_length(stream->out);
	ssize_t sent = send_bytes(stream->fd, buffer_bytes(stream->out), size);
	edge_sent(&stream->watcher, sent, size);
	if (sent < 0 && errno != EAGAIN)
		return end_writing(stream);
	if (sent > 0)
		buffer_consume(&stream->out, (size_t)sent);
	watch(stream, stream->out ? EDGE_WRITE : 0);
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

static inline ssize_t receive_bytes(struct stream *stream, void *bytes, size_t size)
{
	ssize_t received;
	do
		received = recv(stream->fd, bytes, size, 0);
	while (received < 0 && errno == EINTR);
	edge_received(&stream->watcher, received, size);
	return received;
}

/* --- reading through TLS --- */

/* Go on in the next turn. */
static void go_on(struct stream *stream)
{
	loop_timer_set(&stream->tls->again, clock_now());
}

/* TLS may have something to say of its own: an alert, a key update. */
static void send_control(struct stream *stream)
{
	size_t size;
	tls_output(&size);
	if (size == 0)
		return;
	if (!stream->out)
		stream->tls->control = 0;
	stream->tls->control += (uint32_t)size;
	if (stream->tls->control <= CONTROL_CAP) {
		(void)send_output(stream, buffer_length(stream->out) + CONTROL_CAP);
		return;
	}
	tls_output_clear();
	errno = ENOBUFS;
	(void)end_writing(stream);
}

OFF_THE_HOT_PATH static enum io read_tls(struct stream *stream, void *bytes, size_t size,
					 size_t *got)
{
	struct tls_session *session = stream->tls->session;
	enum io at_socket = IO_AGAIN;
	*got = 0;
	if (stream->securing || !session)
		return IO_AGAIN;
	loop_timer_clear(&stream->tls->again);
	if (!tls_session_is_ready(session)) {
		size_t room;
		bool pends = tls_session_is_pending(session);
		uint8_t *place = tls_session_room(session, size, &room);
		ssize_t received = pends ? 0 : receive_bytes(stream, place, room);
		if (!pends && received <= 0)
			at_socket = received == 0 ? IO_EOF : errno == EAGAIN ? IO_AGAIN : IO_ERROR;
		tls_session_received(session, received > 0 ? (size_t)received : 0);
	}
	int reason = errno;
	enum tls_result result = tls_session_read(session, bytes, size, got);
	bool kept = tls_session_keep(session);
	send_control(stream);
	errno = !kept ? ENOMEM : result == TLS_BROKEN ? EPROTO : reason;
	if (result == TLS_DONE && !stream->paused && tls_session_is_pending(session))
		go_on(stream);
	switch (result) {
	case TLS_DONE:
		return IO_DONE;
	case TLS_ENDED:
		return IO_EOF;
	case TLS_BROKEN:
		return IO_ERROR;
	case TLS_MORE:
		break;
	}
	return kept ? at_socket : IO_ERROR;
}

enum io stream_read(struct stream *stream, void *bytes, size_t size, size_t *got)
{
	assert(size > 0);
	if (__builtin_expect(stream->tls != NULL, 0))
		return read_tls(stream, bytes, size, got);
	ssize_t received = receive_bytes(stream, bytes, size);
	*got = received > 0 ? (size_t)received : 0;
	if (received > 0)
		return IO_DONE;
	if (received == 0)
		return IO_EOF;
	return errno == EAGAIN ? IO_AGAIN : IO_ERROR;
}

/* --- handshake --- */

static void end_securing(struct stream *stream, const struct error *failure)
{
	stream->securing = false;
	if (failure) {
		loop_timer_clear(&stream->tls->again);
		edge_set(&stream->watcher, stream->fd, 0);
	} else {
		watch(stream, stream->out ? EDGE_WRITE : 0);
		if (!stream->paused && tls_session_is_pending(stream->tls->session))
			go_on(stream);
	}
	stream->events->secured(stream, failure);
}

/* Why the handshake cannot go on after what came from the socket; false: it can. */
static bool is_over(ssize_t received, int reason, bool kept, struct error *error)
{
	if (!kept)
		error_set(error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
	else if (received == 0)
		error_set(error, SQLSTATE_CONNECTION_FAILURE,
			  "the connection was closed during the TLS handshake");
	else if (received < 0 && reason != EAGAIN)
		error_set(error, SQLSTATE_CONNECTION_FAILURE, "%s", strerror(reason));
	else
		return false;
	return true;
}

/* One step, with what the socket has or (at the beginning) without asking it. */
static void handshake(struct stream *stream, bool receives)
{
	struct tls_session *session = stream->tls->session;
	struct error error;
	size_t room;
	uint8_t *place = tls_session_room(session, 0, &room);
	ssize_t received = receives ? receive_bytes(stream, place, room) : -1;
	int reason = receives ? errno : EAGAIN;
	tls_session_received(session, received > 0 ? (size_t)received : 0);
	enum tls_result result = tls_session_handshake(session, &error);
	bool kept = tls_session_keep(session);
	send_control(stream);
	if (result == TLS_DONE && kept)
		end_securing(stream, NULL);
	else if (result == TLS_BROKEN || is_over(received, reason, kept, &error))
		end_securing(stream, &error);
}

/* Without an event of the socket: the first step of the handshake, or what a reader had no room
 * for. */
static void again(struct loop_timer *timer)
{
	struct stream_tls *tls = container_of(timer, struct stream_tls, again);
	struct stream *stream = tls->stream;
	if (tls->failure) {
		struct error failure = *tls->failure;
		end_securing(stream, &failure);
		return;
	}
	if (stream->securing) {
		handshake(stream, false);
		return;
	}
	if (stream->paused || !tls_session_is_pending(tls->session))
		return;
	stream->events->readable(stream);
	/* Level-triggered, like the socket: the owner may have left some. */
	if (stream->tls == tls && !stream->paused && tls_session_is_pending(tls->session))
		go_on(stream);
}

void stream_start_tls(struct stream *stream, struct tls_context *context, const char *host,
		      const uint8_t *already, size_t already_size)
{
	struct stream_tls *tls = memory_alloc(sizeof *tls);
	struct error error;
	assert(!stream->tls && stream->fd >= 0 && !stream->connecting);
	(void)stream_flush(stream); /* the peer waits for it before it begins */
	tls->stream = stream;
	loop_timer_init(&tls->again, again);
	stream->tls = tls;
	stream->securing = true;
	tls->session = tls_session_new(context, host, &error);
	if (tls->session && !tls_session_feed(tls->session, already, already_size)) {
		error_set(&error, SQLSTATE_OUT_OF_MEMORY, "out of memory");
		tls_session_free(&tls->session);
	}
	if (!tls->session)
		tls->failure = memory_dup(&error, sizeof error);
	watch(stream, edge_events(&stream->watcher) & EDGE_WRITE);
	if (tls->failure)
		edge_set(&stream->watcher, stream->fd, 0);
	if (tls->failure || already_size > 0 || !tls_context_accepts(context))
		go_on(stream); /* else the peer begins */
}

const struct tls_session *stream_tls(const struct stream *stream)
{
	return stream->tls ? stream->tls->session : NULL;
}

/* --- events --- */

static void end_connecting(struct stream *stream)
{
	int result = socket_connect_result(stream->fd);
	stream->connecting = false;
	if (result)
		edge_set(&stream->watcher, stream->fd, 0); /* a dead socket is always ready */
	else
		watch(stream, stream->out ? EDGE_WRITE : 0);
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

static void ready(struct edge *watcher, int events)
{
	struct stream *stream = (struct stream *)watcher;
	/* The usual event. Reading is not watched while it is paused, nor while connecting. */
	if (__builtin_expect(events == EDGE_READ &&
				     !(stream->paused | stream->connecting | stream->securing),
			     1)) {
		stream->events->readable(stream);
		return;
	}
	if (stream->securing) {
		if ((events & EDGE_WRITE) && stream->out)
			(void)send_queue(stream);
		else if (events & EDGE_WRITE)
			watch(stream, 0);
		if (events & EDGE_READ)
			handshake(stream, true);
		return;
	}
	if (stream->connecting) {
		end_connecting(stream);
		return;
	}
	if (events & EDGE_WRITE)
		writable(stream);
	/* The owner may have closed, paused or even opened it again. */
	if ((events & EDGE_READ) && stream->fd >= 0 && !stream->paused && !stream->connecting)
		stream->events->readable(stream);
}

/* --- life --- */

static void begin(struct stream *stream, int fd, const struct stream_events *events,
		  bool connecting)
{
	*stream = (struct stream){.fd = fd, .connecting = connecting, .events = events};
	edge_init(&stream->watcher, ready);
	edge_set(&stream->watcher, fd, connecting ? EDGE_WRITE : EDGE_READ);
}

void stream_open(struct stream *stream, int fd, const struct stream_events *events)
{
	begin(stream, fd, events, false);
}

void stream_open_connecting(struct stream *stream, int fd, const struct stream_events *events)
{
	begin(stream, fd, events, true);
}

/* Best effort: behind bytes that wait it would come too late. */
static void say_end(struct stream *stream)
{
	size_t size;
	if (!stream->tls->session || stream->out)
		return;
	tls_session_end(stream->tls->session);
	const uint8_t *bytes = tls_output(&size);
	if (size > 0)
		(void)send_bytes(stream->fd, bytes, size);
	tls_output_clear();
}

static void drop_tls(struct stream *stream)
{
	struct stream_tls *tls = stream->tls;
	say_end(stream);
	stream->tls = NULL;
	loop_timer_fini(&tls->again);
	tls_session_free(&tls->session);
	memory_free(&tls->failure);
	memory_free(&tls);
}

void stream_forgo_end(struct stream *stream)
{
	if (stream->tls && stream->tls->session)
		tls_session_forgo_end(stream->tls->session);
}

void stream_close(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	if (stream->tls)
		drop_tls(stream);
	edge_stop_for_close(&stream->watcher);
	close(stream->fd);
	stream->fd = -1;
	stream->connecting = stream->securing = false;
	buffer_free(&stream->out);
}

void stream_pause(struct stream *stream)
{
	if (stream->paused)
		return;
	stream->paused = true;
	if (stream->fd >= 0 && !stream->connecting)
		watch(stream, edge_events(&stream->watcher) & EDGE_WRITE);
}

void stream_resume(struct stream *stream)
{
	if (!stream->paused)
		return;
	stream->paused = false;
	if (stream->fd >= 0 && !stream->connecting)
		watch(stream, edge_events(&stream->watcher) & EDGE_WRITE);
	if (stream->tls && stream->tls->session && tls_session_is_pending(stream->tls->session))
		go_on(stream);
}

void stream_shutdown(struct stream *stream)
{
	if (stream->fd < 0)
		return;
	if (stream->tls)
		say_end(stream);
	shutdown(stream->fd, SHUT_WR);
}
