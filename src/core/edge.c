/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/edge.h"
#include "core/likely.h"
#include "core/log.h"
#include "core/memory.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* Sockets of one turn. What the kernel looks at to tell of an event is what the read will
	 * need: were there more, it would have left the caches by then. */
	CALLS_MAX = 128,
	/* ... of which so many may be new, also where others were put back. */
	NEWS_MIN = CALLS_MAX / 4,
	RETRY_MSEC = 100, /* when the other set cannot be waited for */
	OWNER_LINES = 4,  /* what belongs to a watcher lies behind its own line */
};

static struct {
	int set;
	int beside;		   /* waited for with it; -1: none */
	struct edge *first, *last; /* to be called */
	uint32_t length;	   /* so many */
	uint32_t due;		   /* ... the first of them in this turn */
	struct edge *current;	   /* is being called; NULL: it was stopped */
	bool expects_children;	   /* who may hold a socket that was closed here */
} edges = {.set = -1, .beside = -1};

static inline bool is_to_be_queued(const struct edge *edge)
{
	return !edge->queued && (edge->ready & edge->watched);
}

static void queue_first(struct edge *edge)
{
	if (!is_to_be_queued(edge))
		return;
	edge->queued = true;
	edge->next = edges.first;
	if (!edges.first)
		edges.last = edge;
	edges.first = edge;
	edges.length++;
}

static void queue(struct edge *edge)
{
	if (!is_to_be_queued(edge))
		return;
	edge->queued = true;
	edge->next = NULL;
	if (edges.first)
		edges.last->next = edge;
	else
		edges.first = edge;
	edges.last = edge;
	edges.length++;
}

void edge_init(struct edge *edge, edge_fn *callback)
{
	*edge = (struct edge){.callback = callback, .fd = -1};
}

/* The kernel has no memory for it, or no more may be watched (fs.epoll.max_user_watches). */
static void give_up(struct edge *edge)
{
	static usec_t said_at;
	if (log_is_due(&said_at))
		log_warning("", "could not watch a socket, closing it: %s", strerror(errno));
	shutdown(edge->fd, SHUT_RDWR);
	edge->ready = EDGE_READ | EDGE_WRITE;
	edge->ended = true;
}

/* The kernel looks at the socket when it is asked, and tells what it is ready for already. */
static bool ask(struct edge *edge, int operation, int fd, int events)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET,
				    .data.ptr = edge};
	if (events & EDGE_WRITE)
		event.events |= EPOLLOUT;
	return epoll_ctl(edges.set, operation, fd, &event) == 0;
}

bool edge_try_set(struct edge *edge, int fd, int events)
{
	assert(edge->fd < 0);
	if (!ask(edge, EPOLL_CTL_ADD, fd, events))
		return false;
	edge->fd = fd;
	edge->watched = (uint8_t)events;
	return true;
}

void edge_set(struct edge *edge, int fd, int events)
{
	if (edge->fd != fd) {
		if (!edge_try_set(edge, fd, events)) {
			edge->fd = fd;
			give_up(edge);
		}
	} else if ((events ^ edge->watched) & EDGE_WRITE) {
		/* Also when it ceases: the reader of a Unix socket would wake us each time. */
		edge->ready &= (uint8_t)~EDGE_WRITE;
		if (!ask(edge, EPOLL_CTL_MOD, fd, events))
			give_up(edge);
	}
	edge->watched = (uint8_t)events;
	queue(edge);
}

static void unqueue(struct edge *edge)
{
	struct edge *before = NULL, *at = edges.first;
	uint32_t index = 0;
	for (; at && at != edge; at = at->next, index++)
		before = at;
	if (!at)
		return; /* the set was closed */
	if (before)
		before->next = edge->next;
	else
		edges.first = edge->next;
	if (edges.last == edge)
		edges.last = before;
	edges.length--;
	edges.due -= index < edges.due;
}

static void stop(struct edge *edge, bool is_closed_next)
{
	if (edge->fd < 0)
		return;
	if (edge->queued)
		unqueue(edge);
	if (edges.current == edge)
		edges.current = NULL;
	/* As long as anybody holds it, the kernel goes on telling of a socket that was only closed.
	 */
	if (edges.set >= 0 && !is_closed_next)
		(void)epoll_ctl(edges.set, EPOLL_CTL_DEL, edge->fd, NULL);
	edge_init(edge, edge->callback); /* the number may come back as another socket */
}

void edge_stop(struct edge *edge)
{
	stop(edge, false);
}

void edge_stop_for_close(struct edge *edge)
{
	stop(edge, !edges.expects_children);
}

void edge_expect_children(void)
{
	edges.expects_children = true;
}

/* --- for the loop --- */

void edge_open(void)
{
	assert(edges.set < 0);
	edges.set = epoll_create1(EPOLL_CLOEXEC);
	if (edges.set >= 0)
		return;
	log_fatal("", "could not make an epoll set: %s", strerror(errno));
	exit(EXIT_FAILURE);
}

void edge_close(void)
{
	close(edges.set);
	edges.set = edges.beside = -1;
	edges.first = edges.last = NULL;
	edges.length = edges.due = 0;
}

void edge_leave_beside(void)
{
	/* close() would do, if no child of a library holds it, too: then it would be ready for
	 * ever. */
	if (edges.beside >= 0)
		(void)epoll_ctl(edges.set, EPOLL_CTL_DEL, edges.beside, NULL);
	edges.beside = -1;
}

static bool join_beside(int beside)
{
	static usec_t said_at;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (epoll_ctl(edges.set, EPOLL_CTL_ADD, beside, &event) == 0 || errno == EEXIST) {
		edges.beside = beside;
		return true;
	}
	if (log_is_due(&said_at))
		log_error("", "could not watch the event loop: %s", strerror(errno));
	return false;
}

static inline void note(struct edge *edge, uint32_t events)
{
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		edge->ready |= EDGE_WRITE;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		edge->ready |= EDGE_READ;
	if (events & EPOLLPRI)
		edge->is_uneven = true;
	if (LIKELY(!(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))) {
		queue(edge);
		return;
	}
	/* Before anybody in this turn relies on it. */
	edge->ended = true;
	queue_first(edge);
}

int edge_wait(int beside, int wait_msec)
{
	struct epoll_event events[CALLS_MAX];
	int is_ready = 0, most = CALLS_MAX;
	if (beside != edges.beside && !join_beside(beside)) {
		is_ready = 1;
		wait_msec = 0 <= wait_msec && wait_msec < RETRY_MSEC ? wait_msec : RETRY_MSEC;
	}
	if (edges.length > 0) {
		most = edges.length < CALLS_MAX - NEWS_MIN ? CALLS_MAX - (int)edges.length
							   : NEWS_MIN;
		wait_msec = 0;
	}
	int count = epoll_pwait(edges.set, events, most, wait_msec, NULL);
	for (int i = 0; i < count; i++) {
		if (events[i].data.ptr)
			note(events[i].data.ptr, events[i].events);
		else
			is_ready = 1;
	}
	return count < 0 ? -1 : is_ready;
}

unsigned edge_call(void)
{
	unsigned calls = 0;
	/* What is put back meanwhile gets another turn, in front of what becomes ready until then.
	 */
	edges.due = edges.length < CALLS_MAX ? edges.length : CALLS_MAX;
	while (edges.due > 0) {
		struct edge *edge = edges.first;
		edges.first = edge->next;
		edges.length--;
		edges.due--;
		if (edge->next)
			memory_expect((const char *)edge->next + MEMORY_LINE, OWNER_LINES);
		int events = edge->ready & edge->watched;
		edge->queued = false;
		if (events == 0)
			continue;
		calls++;
		edges.current = edge;
		edge->callback(edge, events);
		if (edges.current)
			queue(edge);
	}
	edges.current = NULL;
	return calls;
}
