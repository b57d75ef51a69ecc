/* SPDX-License-Identifier: ISC */
/* loop: readiness of descriptors, timers, signals, and work posted to the end of the turn (libev).
 * One loop per process. A turn is: wait, read the clock once, run the ready watchers, those of edge
 * last, run due timers, run posted work.
 *
 * Timers are lazy: moving one to a later time is a store. It stays where it is in the heap, and is
 * put back when it comes up too early. So a deadline that is set and cleared for each transaction
 * costs nothing per transaction. */
#ifndef PGWEIR_CORE_LOOP_H
#define PGWEIR_CORE_LOOP_H

#define EV_COMPAT3 0
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/clock.h"

enum { LOOP_READ = EV_READ, LOOP_WRITE = EV_WRITE };

/* A watched descriptor of any kind; embed it. Level-triggered. Its callback gets LOOP_READ |
 * LOOP_WRITE bits. For the sockets of clients and servers: edge. */
struct loop_io {
	ev_io io;
	struct loop_io *next; /* while it is to be called in this turn */
	int events;
};
typedef void loop_io_fn(struct loop_io *watcher, int events);

void loop_open(void);
void loop_close(void);
/* Run until loop_stop(). */
void loop_run(void);
void loop_stop(void);
/* One turn; waits at most @wait_msec (0: does not wait). For tests. Returns whether anything ran.
 */
bool loop_turn(int wait_msec);

void loop_io_init(struct loop_io *watcher, loop_io_fn *callback);
/* Watch @fd for @events (0: nothing). Cheap when nothing changes. */
void loop_io_set(struct loop_io *watcher, int fd, int events);
/* Must come before close() of the descriptor. Harmless twice. */
void loop_io_stop(struct loop_io *watcher);
static inline int loop_io_events(const struct loop_io *watcher)
{
	return watcher->io.active ? watcher->io.events & (EV_READ | EV_WRITE) : 0;
}

/* A lazy timer; embed it. */
struct loop_timer {
	usec_t due;	  /* when to fire; 0: not set */
	usec_t scheduled; /* its place in the heap (<= due); 0: not in it */
	uint32_t index;	  /* in the heap */
	void (*callback)(struct loop_timer *timer);
};

static inline void loop_timer_init(struct loop_timer *timer, void (*callback)(struct loop_timer *))
{
	*timer = (struct loop_timer){.callback = callback};
}

void loop_timer_schedule(struct loop_timer *timer); /* for loop_timer_set() only */

/* Fire once at the time @due (clock_now() based; 0: never). Replaces an earlier time. */
static inline void loop_timer_set(struct loop_timer *timer, usec_t due)
{
	timer->due = due;
	if (due && (!timer->scheduled || due < timer->scheduled))
		loop_timer_schedule(timer);
}

static inline void loop_timer_clear(struct loop_timer *timer)
{
	timer->due = 0;
}

/* Take it out of the heap: before its memory is freed. */
void loop_timer_fini(struct loop_timer *timer);

/* The due time of the earliest timer in the heap, 0: none. For tests. */
usec_t loop_next_timer(void);

/* Work to be done at the end of this turn, once; embed it. Posting it twice is one posting. */
struct loop_work {
	struct loop_work *next;
	bool posted;
	void (*callback)(struct loop_work *work);
};
void loop_post(struct loop_work *work);

/* Call @callback in the loop when the process gets @signal_number. */
void loop_on_signal(int signal_number, void (*callback)(int signal_number));

/* Call @callback in the loop soon after loop_wake(), however often that was called. NULL: no more.
 */
void loop_on_wake(void (*callback)(void));
/* May be called by any thread, while loop_on_wake() is in force. */
void loop_wake(void);

/* "libev 4.33 (epoll)" */
const char *loop_describe(void);

#endif
