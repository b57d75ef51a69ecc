/* SPDX-License-Identifier: ISC */
/* edge: sockets that are watched for readiness, edge-triggered (epoll(7)).
 *
 * To its user a socket is level-triggered: its callback is called in every turn in which it is
 * ready for what is watched. But the kernel tells only of what changes, and is not asked again:
 * what it told is remembered here until a read finds the socket empty, or a write finds it full. So
 * whoever reads says what came of it, and whoever writes while that is watched: edge_received() and
 * edge_sent(). Then nothing is asked twice, and to pause reading is a store.
 *
 * The loop waits here, for these sockets and for those of libev beside them. */
#ifndef PGWEIR_CORE_EDGE_H
#define PGWEIR_CORE_EDGE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { EDGE_READ = 1, EDGE_WRITE = 2 };

struct edge;
typedef void edge_fn(struct edge *edge, int events);

/* A watched socket; embed it. Its callback gets EDGE_READ | EDGE_WRITE bits. */
struct edge {
	struct edge *next; /* while it is to be called */
	edge_fn *callback;
	int fd;		 /* -1: not watched */
	uint8_t watched; /* what the callback is called for */
	uint8_t ready;	 /* what the kernel told, and is not used up */
	bool ended;	 /* the kernel told of the end, or an error */
	bool is_uneven;	 /* it told of urgent data: a read stops in front of it */
	bool queued;	 /* is to be called */
};

void edge_init(struct edge *edge, edge_fn *callback);
/* Watch @fd, which does not block, for @events (0: nothing). The kernel is asked only when @fd is
 * new, and when writing begins or ceases to be watched. If it cannot watch one more, the connection
 * is shut down: whoever reads from it finds its end. */
void edge_set(struct edge *edge, int fd, int events);
/* The same for what is no connection, and new. False: it cannot be watched (errno), nothing was
 * done. */
bool edge_try_set(struct edge *edge, int fd, int events);
/* Must come before close() of the socket. Harmless twice. */
void edge_stop(struct edge *edge);
/* The same for what is closed next and this process alone holds: close() takes it out of the
 * kernel's set, too, and a system call is saved for each connection. (popen() in this thread does
 * no harm: it comes back when the child has closed what it held.) */
void edge_stop_for_close(struct edge *edge);
/* From now on code that is not ours may start children, which hold our sockets for a while or for
 * good. edge_stop_for_close() takes nothing for granted any more. */
void edge_expect_children(void);
static inline int edge_events(const struct edge *edge)
{
	return edge->watched;
}

/* There is nothing to be read any more: as accept() said, for one. */
static inline void edge_is_empty(struct edge *edge)
{
	edge->ready &= (uint8_t)~EDGE_READ;
}

/* A recv() with room for @size bytes returned @received (-1: with errno). Less than there was room
 * for: the socket is empty, unless its end is still to be read. (Who passes descriptors through a
 * Unix socket cuts a read short, too, and is not heard before he says more.) */
static inline void edge_received(struct edge *edge, ssize_t received, size_t size)
{
	bool is_empty = received > 0 ? (size_t)received < size && !(edge->ended | edge->is_uneven)
				     : received < 0 && errno == EAGAIN;
	if (is_empty)
		edge_is_empty(edge);
}

/* A send() of @size bytes, while writing is watched, returned @sent. */
static inline void edge_sent(struct edge *edge, ssize_t sent, size_t size)
{
	if (sent < 0 ? errno == EAGAIN : (size_t)sent < size)
		edge->ready &= (uint8_t)~EDGE_WRITE;
}

/* --- for the loop --- */

void edge_open(void);
void edge_close(void);
/* Wait until a socket is ready, or the other epoll set @beside is, or @wait_msec have passed (-1:
 * without end; not at all if a socket is still to be called). Returns 1: @beside may be ready; 0:
 * it is not; -1: errno. */
int edge_wait(int beside, int wait_msec);
/* That other set is about to be closed. */
void edge_leave_beside(void);
/* Call what is ready, who came first first, so many as one turn may serve. Returns how many were.
 */
unsigned edge_call(void);

#endif
