/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/loop.h"
#include "core/edge.h"
#include "core/log.h"
#include "core/memory.h"
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* libev calls end_turn() after it has waited, instead of its own way of calling the ready watchers:
 * that one call is where a turn's order is made. It needs no prepare, check or idle watcher, which
 * would each be queued and called in every turn.
 *
 * Where it waits, it waits for the sockets of edge, too. A turn in which nothing of its own is
 * ready does not leave the wait: to tell libev of it would cost as much as the turn.
 *
 * The timers are our own heap. The alarm is a timer of the kernel's, whose only work is to end the
 * wait in time: libev has none, so each wait is one without end, for which the kernel need not
 * start and stop a timer. */

enum { HEAP_ARITY = 4 };

/* The alarm rings at whole multiples of it: timers that come up one after the other do not set it
 * oftener. */
#define ALARM_GRAIN USEC_PER_MSEC

struct signal_watch {
	ev_signal watcher;
	struct signal_watch *next;
	void (*callback)(int signal_number);
};

static struct {
	struct ev_loop *ev;
	bool stopped;
	bool ran;	/* something ran in this turn */
	bool waited;	/* libev's wait came here */
	bool is_wanted; /* libev was told something, which it looks at before it waits */
	bool is_served; /* the turn that ended the wait is over */

	struct loop_timer **heap;
	uint32_t heap_length, heap_room;
	struct edge alarm;
	usec_t alarm_time; /* when it rings; 0: it is not set */
	bool rang;	   /* in this turn, for which that is nothing that ran */
	bool has_limit;	   /* of libev's own for this wait */

	struct loop_io *ready; /* to be called in this turn, the first first */

	struct loop_work *first_work, *last_work;
	struct signal_watch *signals;

	ev_async wake;
	void (*on_wake)(void);

	ev_fork renewal;
} loop;

/* --- timers --- */

static void heap_put(struct loop_timer *timer, uint32_t index)
{
	loop.heap[index] = timer;
	timer->index = index;
}

static void heap_up(struct loop_timer *timer, uint32_t index)
{
	while (index > 0) {
		uint32_t parent = (index - 1) / HEAP_ARITY;
		if (loop.heap[parent]->scheduled <= timer->scheduled)
			break;
		heap_put(loop.heap[parent], index);
		index = parent;
	}
	heap_put(timer, index);
}

static void heap_down(struct loop_timer *timer, uint32_t index)
{
	for (;;) {
		uint32_t child = index * HEAP_ARITY + 1, end = child + HEAP_ARITY, least = child;
		if (child >= loop.heap_length)
			break;
		if (end > loop.heap_length)
			end = loop.heap_length;
		while (++child < end) {
			if (loop.heap[child]->scheduled < loop.heap[least]->scheduled)
				least = child;
		}
		if (loop.heap[least]->scheduled >= timer->scheduled)
			break;
		heap_put(loop.heap[least], index);
		index = least;
	}
	heap_put(timer, index);
}

static void heap_remove(struct loop_timer *timer)
{
	struct loop_timer *last = loop.heap[--loop.heap_length];
	uint32_t index = timer->index;
	timer->scheduled = 0;
	if (last == timer)
		return;
	if (index > 0 && last->scheduled < loop.heap[(index - 1) / HEAP_ARITY]->scheduled)
		heap_up(last, index);
	else
		heap_down(last, index);
}

void loop_timer_schedule(struct loop_timer *timer)
{
	if (timer->scheduled) {
		timer->scheduled = timer->due;
		heap_up(timer, timer->index);
		return;
	}
	if (loop.heap_length == loop.heap_room) {
		loop.heap_room = loop.heap_room ? loop.heap_room * 2 : 64;
		loop.heap = memory_realloc(loop.heap, loop.heap_room * sizeof(loop.heap[0]));
	}
	timer->scheduled = timer->due;
	heap_up(timer, loop.heap_length++);
}

void loop_timer_fini(struct loop_timer *timer)
{
	timer->due = 0;
	if (timer->scheduled)
		heap_remove(timer);
}

usec_t loop_next_timer(void)
{
	usec_t next = 0;
	for (uint32_t i = 0; i < loop.heap_length; i++) {
		usec_t due = loop.heap[i]->due;
		if (due && (!next || due < next))
			next = due;
	}
	return next;
}

static bool timers_are_due(void)
{
	return loop.heap_length > 0 && loop.heap[0]->scheduled <= clock_now();
}

static void run_timers(void)
{
	/* A callback that sets its timer to a time that has come gets another turn, not this one
	 * for ever. */
	uint32_t most = loop.heap_length;
	while (timers_are_due() && most > 0) {
		struct loop_timer *timer = loop.heap[0];
		if (timer->due > clock_now()) {
			timer->scheduled = timer->due;
			heap_down(timer, 0);
			continue;
		}
		heap_remove(timer);
		if (!timer->due)
			continue;
		timer->due = 0;
		loop.ran = true;
		most--;
		timer->callback(timer);
	}
}

static void ring_alarm(struct edge *alarm, int events)
{
	(void)events;
	edge_is_empty(alarm);
	loop.alarm_time = 0; /* it has done its work: the wait is over */
	loop.rang = true;
}

/* Let the next wait end when the first timer comes up. An alarm that is too early is left alone: it
 * rings, costs a turn, and is set again. */
static inline void set_alarm(void)
{
	if (loop.heap_length == 0)
		return;
	usec_t first = loop.heap[0]->scheduled;
	if (loop.alarm_time && loop.alarm_time < first + ALARM_GRAIN)
		return;
	if (first <= clock_now() || clock_is_driven())
		return; /* the next turn does not wait; whoever drives the clock takes it */
	loop.alarm_time = (first + ALARM_GRAIN - 1) / ALARM_GRAIN * ALARM_GRAIN;
	struct itimerspec when = {
		.it_value.tv_sec = loop.alarm_time / USEC_PER_SECOND,
		.it_value.tv_nsec = loop.alarm_time % USEC_PER_SECOND * 1000,
	};
	(void)timerfd_settime(loop.alarm.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void open_alarm(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	edge_init(&loop.alarm, ring_alarm);
	loop.alarm_time = 0;
	if (fd >= 0 && edge_try_set(&loop.alarm, fd, EDGE_READ))
		return;
	log_fatal("", "could not make a timer: %s", strerror(errno));
	exit(EXIT_FAILURE);
}

static void close_alarm(void)
{
	int fd = loop.alarm.fd;
	edge_stop_for_close(&loop.alarm);
	close(fd);
}

/* --- work --- */

void loop_post(struct loop_work *work)
{
	if (work->posted)
		return;
	work->posted = true;
	work->next = NULL;
	if (loop.first_work)
		loop.last_work->next = work;
	else
		loop.first_work = work;
	loop.last_work = work;
}

static void run_work(void)
{
	while (loop.first_work) {
		struct loop_work *work = loop.first_work;
		loop.first_work = work->next;
		work->posted = false;
		loop.ran = true;
		work->callback(work); /* may free it, or post it again */
	}
}

/* --- the wait --- */

/* libev has no edge-triggered watchers, and no way to wait for a set of them without one more
 * system call in each turn. But it waits with epoll_wait(), which the program answers in place of
 * the C library: this thread waits for its sockets then, and for libev's own descriptors beside
 * them. */
static _Thread_local bool is_libevs_call; /* and nobody else's */

static void serve(void);

/* Take turns until libev is wanted. Returns as edge_wait() does. */
static int wait_long(int fd)
{
	loop.is_wanted = false;
	for (;;) {
		int result = edge_wait(fd, timers_are_due() ? 0 : -1);
		if (result != 0)
			return result;
		is_libevs_call = false;
		clock_update();
		serve();
		is_libevs_call = true;
		if (loop.is_wanted) {
			loop.is_served = true;
			return 0;
		}
	}
}

int epoll_wait(int fd, struct epoll_event *events, int most, int wait_msec)
{
	if (!is_libevs_call)
		return epoll_pwait(fd, events, most, wait_msec, NULL);
	loop.waited = true;
	int result = wait_msec > 0 && !loop.has_limit ? wait_long(fd) : edge_wait(fd, wait_msec);
	return result > 0 ? epoll_pwait(fd, events, most, 0, NULL) : result;
}

static void before_wait(struct ev_loop *ev) EV_NOEXCEPT
{
	(void)ev;
	is_libevs_call = true;
}

static void after_wait(struct ev_loop *ev) EV_NOEXCEPT
{
	(void)ev;
	is_libevs_call = false;
}

/* libev makes a new set when it is told of a descriptor that was closed, but is held by a child. */
static void set_will_be_renewed(struct ev_loop *ev, ev_fork *renewal, int events)
{
	(void)ev, (void)renewal, (void)events;
	edge_leave_beside();
}

/* --- the turn --- */

static void io_is_ready(struct ev_loop *ev, ev_io *io, int events)
{
	struct loop_io *watcher = (struct loop_io *)io;
	(void)ev;
	watcher->events = events & (EV_READ | EV_WRITE);
	watcher->next = loop.ready;
	loop.ready = watcher;
}

/* libev calls what became ready last first. Who came first is served first here: what is ready is
 * gathered, and called in the order in which the kernel told it. */
static void call_ready(void)
{
	struct loop_io *watcher;
	loop.ran = true;
	while ((watcher = loop.ready)) {
		loop.ready = watcher->next;
		((loop_io_fn *)watcher->io.data)(watcher, watcher->events);
	}
}

/* What a turn is where libev has no part in it. */
static void serve(void)
{
	unsigned calls = edge_call();
	loop.ran |= calls > loop.rang;
	loop.rang = false;
	if (timers_are_due())
		run_timers();
	if (loop.first_work)
		run_work();
	set_alarm();
}

static void end_turn(struct ev_loop *ev)
{
	clock_update();
	ev_invoke_pending(ev);
	if (loop.ready)
		call_ready();
	if (!loop.is_served)
		serve();
	loop.is_served = false;
	if (loop.stopped)
		ev_break(ev, EVBREAK_ONE); /* from within the wait libev does not hear it */
}

/* ev_run() begins with a call for what is pending, before it waits: that is no turn. */
static void begin_run(struct ev_loop *ev)
{
	ev_set_invoke_pending_cb(ev, end_turn);
	ev_invoke_pending(ev);
}

static void run(int flags)
{
	ev_set_invoke_pending_cb(loop.ev, begin_run);
	ev_run(loop.ev, flags);
}

/* libev's own ends the process as soon as memory is refused. */
static void *reallocate(void *old, long size)
{
	if (size > 0)
		return memory_realloc(old, (size_t)size);
	free(old);
	return NULL;
}

void loop_open(void)
{
	assert(!loop.ev);
	ev_set_allocator(reallocate);
	loop.ev = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
	if (!loop.ev) {
		log_fatal("", "could not make an event loop: %s", strerror(errno));
		exit(EXIT_FAILURE);
	}
	edge_open();
	ev_ref(loop.ev); /* a loop in which nothing is watched waits */
	ev_set_loop_release_cb(loop.ev, before_wait, after_wait);
	ev_fork_init(&loop.renewal, set_will_be_renewed);
	ev_fork_start(loop.ev, &loop.renewal);
	ev_unref(loop.ev);
	open_alarm();
	loop.stopped = false;
	loop.waited = false;
	clock_update();
	ev_run(loop.ev, EVRUN_NOWAIT);
	if (!loop.waited) {
		log_fatal("", "libev %d.%d does not wait with epoll_wait()", ev_version_major(),
			  ev_version_minor());
		exit(EXIT_FAILURE);
	}
}

void loop_close(void)
{
	if (!loop.ev)
		return;
	run_work(); /* frees what was closed since the last turn */
	while (loop.heap_length > 0)
		loop_timer_fini(loop.heap[loop.heap_length - 1]);
	memory_free(&loop.heap);
	loop.heap_room = 0;
	loop.ready = NULL;
	for (struct signal_watch *watch = loop.signals, *next; watch; watch = next) {
		next = watch->next;
		ev_signal_stop(loop.ev, &watch->watcher);
		free(watch);
	}
	loop.signals = NULL;
	loop_on_wake(NULL);
	close_alarm();
	ev_loop_destroy(loop.ev);
	loop.ev = NULL;
	edge_close();
}

/* --- other threads --- */

static void woken(struct ev_loop *ev, ev_async *wake, int events)
{
	(void)ev;
	(void)wake;
	(void)events;
	loop.ran = true;
	loop.on_wake();
}

void loop_on_wake(void (*callback)(void))
{
	loop.is_wanted = true;
	if (loop.on_wake)
		ev_async_stop(loop.ev, &loop.wake);
	loop.on_wake = callback;
	if (!callback)
		return;
	ev_async_init(&loop.wake, woken);
	ev_async_start(loop.ev, &loop.wake);
}

void loop_wake(void)
{
	ev_async_send(loop.ev, &loop.wake);
}

void loop_run(void)
{
	/* What was posted or came due before the first turn must not wait for it. */
	loop_turn(0);
	while (!loop.stopped)
		run(0);
	loop.stopped = false;
}

void loop_stop(void)
{
	loop.stopped = loop.is_wanted = true;
}

/* Its work is done: the wait is over. */
static void limit_came(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev, (void)timer, (void)events;
}

bool loop_turn(int wait_msec)
{
	loop.ran = false;
	if (wait_msec <= 0 || loop.first_work || timers_are_due()) {
		run(EVRUN_NOWAIT);
		return loop.ran;
	}
	ev_timer limit;
	ev_timer_init(&limit, limit_came, wait_msec / 1000.0, 0.0);
	ev_now_update(loop.ev);
	ev_timer_start(loop.ev, &limit);
	loop.has_limit = true;
	set_alarm();
	run(EVRUN_ONCE);
	loop.has_limit = false;
	ev_timer_stop(loop.ev, &limit);
	return loop.ran;
}

/* --- descriptors --- */

void loop_io_init(struct loop_io *watcher, loop_io_fn *callback)
{
	ev_init(&watcher->io, io_is_ready);
	watcher->io.fd = -1;
	watcher->io.events = 0;
	watcher->io.data = (void *)callback;
}

void loop_io_set(struct loop_io *watcher, int fd, int events)
{
	ev_io *io = &watcher->io;
	if (loop_io_events(watcher) == events && (io->fd == fd || events == 0))
		return;
	loop.is_wanted = true;
	ev_io_stop(loop.ev, io);
	if (events == 0)
		return;
	/* ev_io_set() tells libev that this may be another file under a known number, which costs
	 * an epoll_ctl() even when a watcher was only paused. */
	if (io->fd == fd)
		ev_io_modify(io, events);
	else
		ev_io_set(io, fd, events);
	ev_io_start(loop.ev, io);
}

void loop_io_stop(struct loop_io *watcher)
{
	loop.is_wanted = true;
	if (loop.ev)
		ev_io_stop(loop.ev, &watcher->io);
	for (struct loop_io **at = &loop.ready; *at; at = &(*at)->next) {
		if (*at == watcher) {
			*at = watcher->next;
			break;
		}
	}
	watcher->io.fd = -1; /* the number may come back as another file */
}

/* --- signals --- */

static void signal_came(struct ev_loop *ev, ev_signal *watcher, int events)
{
	(void)ev, (void)events;
	loop.ran = true;
	((struct signal_watch *)watcher)->callback(watcher->signum);
}

void loop_on_signal(int signal_number, void (*callback)(int signal_number))
{
	for (struct signal_watch *watch = loop.signals; watch; watch = watch->next) {
		if (watch->watcher.signum == signal_number) {
			watch->callback = callback;
			return;
		}
	}
	struct signal_watch *watch = memory_alloc(sizeof(*watch));
	watch->callback = callback;
	watch->next = loop.signals;
	loop.signals = watch;
	loop.is_wanted = true;
	ev_signal_init(&watch->watcher, signal_came, signal_number);
	ev_signal_start(loop.ev, &watch->watcher);
}

const char *loop_describe(void)
{
	static char text[32];
	snprintf(text, sizeof text, "libev %d.%d (epoll)", ev_version_major(), ev_version_minor());
	return text;
}
