/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/list.h"
#include "core/loop.h"
#include "suites.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MSEC USEC_PER_MSEC

static char trace[100]; /* what ran, a letter each */

static void note(char letter)
{
	size_t length = strlen(trace);
	ck_assert_uint_lt(length + 1, sizeof(trace));
	trace[length] = letter;
	trace[length + 1] = '\0';
}

static const char *taken(void)
{
	static char text[sizeof(trace)];
	memcpy(text, trace, sizeof(trace));
	trace[0] = '\0';
	return text;
}

static void open_driven(void)
{
	clock_drive();
	loop_open();
}

/* --- timers --- */

struct named_timer {
	struct loop_timer timer;
	char name;
};

static void fire(struct loop_timer *timer)
{
	note(container_of(timer, struct named_timer, timer)->name);
}

static struct named_timer a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};

static void init_timers(void)
{
	open_driven();
	loop_timer_init(&a.timer, fire);
	loop_timer_init(&b.timer, fire);
	loop_timer_init(&c.timer, fire);
}

START_TEST(timers_fire_once_in_order_when_due)
{
	init_timers();
	usec_t now = clock_now();
	loop_timer_set(&b.timer, now + 20);
	loop_timer_set(&a.timer, now + 10);
	loop_timer_set(&c.timer, now + 30);
	ck_assert_int_eq(loop_next_timer(), now + 10);
	ck_assert(!loop_turn(0));
	clock_advance(9);
	ck_assert(!loop_turn(0));
	ck_assert_str_eq(taken(), "");
	clock_advance(1);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "a");
	ck_assert_int_eq(a.timer.due, 0);
	ck_assert_int_eq(loop_next_timer(), now + 20);
	clock_advance(1000);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "bc");
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(loop_next_timer(), 0);
	loop_close();
}
END_TEST

START_TEST(a_later_time_is_only_stored)
{
	init_timers();
	usec_t now = clock_now();
	loop_timer_set(&a.timer, now + 10);
	loop_timer_set(&a.timer, now + 30);
	ck_assert_int_eq(a.timer.scheduled, now + 10); /* where it was */
	ck_assert_int_eq(loop_next_timer(), now + 30);
	clock_advance(10);
	ck_assert(!loop_turn(0)); /* comes up, is put back */
	ck_assert_int_eq(a.timer.scheduled, now + 30);
	clock_advance(19);
	ck_assert(!loop_turn(0));
	clock_advance(1);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "a");
	loop_close();
}
END_TEST

START_TEST(an_earlier_time_moves_it)
{
	init_timers();
	usec_t now = clock_now();
	loop_timer_set(&b.timer, now + 20);
	loop_timer_set(&a.timer, now + 100);
	loop_timer_set(&a.timer, now + 5);
	clock_advance(5);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "a");
	clock_advance(95);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "b");
	ck_assert(!loop_turn(0));
	loop_close();
}
END_TEST

START_TEST(a_cleared_timer_leaves_the_heap_when_it_comes_up)
{
	init_timers();
	usec_t now = clock_now();
	loop_timer_set(&a.timer, now + 10);
	loop_timer_clear(&a.timer);
	ck_assert_int_eq(loop_next_timer(), 0);
	ck_assert_int_ne(a.timer.scheduled, 0);
	loop_timer_set(&a.timer,
		       now + 50); /* cleared and set for each transaction: costs a store */
	loop_timer_clear(&a.timer);
	clock_advance(10);
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(a.timer.scheduled, 0);
	loop_timer_set(&a.timer, 0);
	ck_assert_int_eq(a.timer.scheduled, 0);
	clock_advance(1000);
	ck_assert(!loop_turn(0));
	ck_assert_str_eq(taken(), "");
	loop_close();
}
END_TEST

START_TEST(a_time_in_the_past_fires_in_the_next_turn)
{
	init_timers();
	loop_timer_set(&a.timer, 1);
	loop_timer_set(&b.timer, clock_now());
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "ab");
	loop_close();
}
END_TEST

static void set_again_now(struct loop_timer *timer)
{
	fire(timer);
	loop_timer_set(timer, clock_now());
}

static void set_again_later(struct loop_timer *timer)
{
	fire(timer);
	loop_timer_set(timer, clock_now() + 10);
}

START_TEST(a_callback_may_set_its_timer_again)
{
	init_timers();
	a.timer.callback = set_again_later;
	loop_timer_set(&a.timer, clock_now() + 10);
	for (int i = 0; i < 3; i++) {
		clock_advance(10);
		ck_assert(loop_turn(0));
		ck_assert_str_eq(taken(), "a");
		ck_assert(!loop_turn(0));
	}
	loop_timer_fini(&a.timer);
	loop_close();
}
END_TEST

START_TEST(a_timer_set_again_for_now_does_not_hold_the_turn)
{
	init_timers();
	a.timer.callback = set_again_now;
	loop_timer_set(&a.timer, clock_now());
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "a");
	loop_timer_set(&b.timer, clock_now());
	ck_assert(loop_turn(0));
	ck_assert_ptr_nonnull(strchr(taken(), 'b'));
	loop_timer_fini(&a.timer);
	ck_assert(!loop_turn(0));
	loop_close();
}
END_TEST

static void end_others(struct loop_timer *timer)
{
	fire(timer);
	loop_timer_fini(&a.timer);
	loop_timer_fini(&b.timer);
	loop_timer_fini(&c.timer);
}

START_TEST(a_callback_may_end_itself_and_others_that_are_due)
{
	init_timers();
	usec_t now = clock_now();
	a.timer.callback = end_others;
	loop_timer_set(&a.timer, now + 1);
	loop_timer_set(&b.timer, now + 2);
	loop_timer_set(&c.timer, now + 3);
	clock_advance(100);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "a");
	ck_assert(!loop_turn(0));
	loop_timer_fini(&b.timer);
	loop_timer_set(&b.timer, clock_now());
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "b");
	loop_close();
}
END_TEST

static void free_timer(struct loop_timer *timer)
{
	note('f');
	free(timer);
}

START_TEST(a_callback_may_free_its_timer)
{
	open_driven();
	for (int i = 0; i < 10; i++) {
		struct loop_timer *timer = malloc(sizeof(*timer));
		loop_timer_init(timer, free_timer);
		loop_timer_set(timer, clock_now() + i);
	}
	clock_advance(100);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "ffffffffff");
	loop_close();
}
END_TEST

static int fired;

static void count_fired(struct loop_timer *timer)
{
	(void)timer;
	fired++;
}

/* Many timers set, moved, cleared and ended at random; each fires in exactly the turn in which it
 * is due. */
START_TEST(many_timers_fire_exactly_when_due)
{
	enum { COUNT = 300 };
	static struct loop_timer timers[COUNT];
	open_driven();
	srand(3);
	for (int i = 0; i < COUNT; i++)
		loop_timer_init(&timers[i], count_fired);
	for (int step = 0; step < 3000; step++) {
		for (int i = 0; i < 10; i++) {
			struct loop_timer *timer = &timers[rand() % COUNT];
			int what = rand() % 8;
			if (what == 0)
				loop_timer_clear(timer);
			else if (what == 1)
				loop_timer_fini(timer);
			else
				loop_timer_set(timer, clock_now() + 1 + rand() % 500);
		}
		clock_advance(rand() % 20);
		int want = 0;
		for (int i = 0; i < COUNT; i++)
			want += timers[i].due && timers[i].due <= clock_now();
		fired = 0;
		ck_assert_int_eq(loop_turn(0), want > 0);
		ck_assert_int_eq(fired, want);
		usec_t next = 0;
		for (int i = 0; i < COUNT; i++) {
			ck_assert(!timers[i].due || timers[i].due > clock_now());
			if (timers[i].due && (!next || timers[i].due < next))
				next = timers[i].due;
		}
		ck_assert_int_eq(loop_next_timer(), next);
	}
	loop_close();
	for (int i = 0; i < COUNT; i++)
		ck_assert_int_eq(timers[i].scheduled, 0);
}
END_TEST

static usec_t real_time(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * USEC_PER_SECOND + time.tv_nsec / 1000;
}

static void fire_and_stop(struct loop_timer *timer)
{
	fire(timer);
	loop_stop();
}

typedef void timer_fn(struct loop_timer *timer);

/* With the system's clock; returns its time. */
static usec_t open_real(timer_fn *of_a, timer_fn *of_b, timer_fn *of_c)
{
	loop_open();
	loop_timer_init(&a.timer, of_a);
	loop_timer_init(&b.timer, of_b);
	loop_timer_init(&c.timer, of_c);
	return real_time();
}

START_TEST(the_system_clock_ends_the_wait)
{
	usec_t start = open_real(fire_and_stop, fire, fire);
	loop_timer_set(&c.timer, clock_now() + 3600 * USEC_PER_SECOND);
	loop_timer_set(&a.timer, clock_now() + 30 * MSEC);
	loop_timer_set(&b.timer, clock_now() + 5 * MSEC);
	loop_run();
	ck_assert_str_eq(taken(), "ba");
	usec_t took = real_time() - start;
	ck_assert_int_ge(took, 30 * MSEC);
	ck_assert_int_lt(took, 10 * USEC_PER_SECOND);
	/* the clock was read in that turn */
	ck_assert_int_ge(clock_now(), start + 30 * MSEC);
	loop_close();
}
END_TEST

static void fire_and_set_b(struct loop_timer *timer)
{
	fire(timer);
	loop_timer_set(&b.timer, clock_now() + 5 * MSEC);
}

static void fire_and_set_c(struct loop_timer *timer)
{
	fire(timer);
	c.timer.callback = fire_and_stop;
	loop_timer_set(&c.timer, clock_now() - 1);
}

START_TEST(what_is_set_earlier_meanwhile_ends_the_wait_in_its_time)
{
	usec_t start = open_real(fire_and_set_b, fire_and_set_c, fire);
	loop_timer_set(&c.timer, clock_now() + 3600 * USEC_PER_SECOND); /* the alarm's time ... */
	loop_turn(0);
	loop_timer_set(&a.timer, clock_now() + 5 * MSEC); /* ... becomes this, that of b, none */
	loop_run();
	ck_assert_str_eq(taken(), "abc");
	usec_t took = real_time() - start;
	ck_assert_int_ge(took, 10 * MSEC);
	ck_assert_int_lt(took, 10 * USEC_PER_SECOND);
	loop_close();
}
END_TEST

static void fire_three_times(struct loop_timer *timer)
{
	fire(timer);
	if (++fired < 3)
		loop_timer_set(timer, clock_now());
	else
		loop_stop();
}

START_TEST(what_is_set_for_now_does_not_wait)
{
	fired = 0;
	usec_t start = open_real(fire_three_times, fire, fire);
	loop_timer_set(&a.timer, clock_now() + 5 * MSEC);
	loop_run();
	ck_assert_str_eq(taken(), "aaa");
	ck_assert_int_lt(real_time() - start, USEC_PER_SECOND);
	loop_close();
}
END_TEST

static struct named_timer *posted_by_work;

static void set_by_work(struct loop_work *work)
{
	(void)work;
	loop_timer_set(&posted_by_work->timer, clock_now());
}

static void fire_post_and_stop(struct loop_timer *timer)
{
	static struct loop_work work = {.callback = set_by_work};
	fire(timer);
	loop_post(&work);
	loop_stop();
}

START_TEST(the_turn_in_which_it_is_stopped_is_the_last)
{
	open_real(fire, fire_post_and_stop, fire);
	posted_by_work = &c;
	loop_timer_set(&a.timer, clock_now() + 2 * MSEC);
	loop_timer_set(&b.timer, clock_now() + 6 * MSEC);
	loop_run();
	ck_assert_str_eq(taken(), "ab"); /* what the work has set is for a turn that never comes */
	loop_close();
}
END_TEST

START_TEST(a_turn_waits_no_longer_than_told)
{
	loop_open();
	usec_t start = real_time();
	ck_assert(!loop_turn(20));
	ck_assert_int_ge(real_time() - start, 19 * MSEC);
	loop_timer_init(&a.timer, fire);
	loop_timer_set(&a.timer, clock_now() + 5 * MSEC);
	ck_assert(loop_turn(10000)); /* the timer ends it */
	ck_assert_str_eq(taken(), "a");
	ck_assert_int_lt(real_time() - start, 9 * USEC_PER_SECOND);
	start = real_time();
	ck_assert(!loop_turn(20)); /* it has ended that one alone */
	ck_assert_int_ge(real_time() - start, 19 * MSEC);
	loop_close();
}
END_TEST

/* --- work --- */

struct named_work {
	struct loop_work work;
	struct loop_work *posts;
	char name;
};

static void work_done(struct loop_work *work)
{
	struct named_work *named = container_of(work, struct named_work, work);
	note(named->name);
	if (named->posts) {
		struct loop_work *next = named->posts;
		named->posts = NULL;
		loop_post(next);
	}
}

START_TEST(posted_work_runs_once_in_order)
{
	struct named_work one = {.work.callback = work_done, .name = '1'};
	struct named_work two = {.work.callback = work_done, .name = '2'};
	open_driven();
	ck_assert(!loop_turn(0));
	loop_post(&one.work);
	loop_post(&two.work);
	loop_post(&one.work);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "12");
	ck_assert(!loop_turn(0));
	loop_post(&one.work);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "1");
	loop_close();
}
END_TEST

START_TEST(posted_work_does_not_wait)
{
	struct named_work one = {.work.callback = work_done, .name = '1'};
	loop_open();
	usec_t start = real_time();
	loop_post(&one.work);
	ck_assert(loop_turn(10000));
	ck_assert_int_lt(real_time() - start, 9 * USEC_PER_SECOND);
	ck_assert_str_eq(taken(), "1");
	loop_close();
}
END_TEST

START_TEST(work_posted_by_work_runs_in_the_same_turn)
{
	struct named_work one = {.work.callback = work_done, .name = '1'};
	struct named_work two = {.work.callback = work_done, .name = '2'};
	one.posts = &two.work;
	two.posts = &one.work;
	open_driven();
	loop_post(&one.work);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "121");
	ck_assert(!loop_turn(0));
	loop_close();
}
END_TEST

static void free_work(struct loop_work *work)
{
	note('f');
	free(work);
}

START_TEST(closing_the_loop_runs_what_is_posted)
{
	open_driven();
	for (int i = 0; i < 3; i++) {
		struct loop_work *work = calloc(1, sizeof(*work));
		work->callback = free_work;
		loop_post(work);
	}
	loop_close();
	ck_assert_str_eq(taken(), "fff");
}
END_TEST

/* --- descriptors --- */

struct named_io {
	struct loop_io io;
	int other; /* our end */
	bool drains;
};

static void io_event(struct loop_io *watcher, int events)
{
	struct named_io *io = container_of(watcher, struct named_io, io);
	char byte;
	if (events & LOOP_READ)
		note('r');
	if (events & LOOP_WRITE)
		note('w');
	ck_assert_int_eq(events & ~(LOOP_READ | LOOP_WRITE), 0);
	if (io->drains)
		ck_assert_int_eq(read(watcher->io.fd, &byte, 1), 1);
}

static int open_pair(struct named_io *io)
{
	int ends[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	loop_io_init(&io->io, io_event);
	io->other = ends[1];
	return ends[0];
}

START_TEST(readiness_is_reported_while_it_lasts)
{
	struct named_io io = {.drains = false};
	open_driven();
	int fd = open_pair(&io);
	ck_assert_int_eq(loop_io_events(&io.io), 0);
	loop_io_set(&io.io, fd, LOOP_READ);
	ck_assert_int_eq(loop_io_events(&io.io), LOOP_READ);
	ck_assert(!loop_turn(0));
	ck_assert_int_eq(write(io.other, "x", 1), 1);
	ck_assert(loop_turn(0));
	ck_assert(loop_turn(0)); /* level-triggered */
	ck_assert_str_eq(taken(), "rr");
	io.drains = true;
	ck_assert(loop_turn(0));
	ck_assert(!loop_turn(0));
	ck_assert_str_eq(taken(), "r");
	io.drains = false;
	close(io.other);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "r");
	loop_io_stop(&io.io);
	close(fd);
	ck_assert(!loop_turn(0));
	loop_close();
}
END_TEST

/* In a turn of timers, or of sockets of edge, libev has no part: what it is told there, it heeds.
 */
static struct named_io told;
static int told_fd;

static void tell_of_descriptor(struct loop_timer *timer)
{
	fire(timer);
	loop_io_set(&told.io, told_fd, LOOP_READ);
}

static void stop_by_signal(int number)
{
	note(number == SIGUSR1 ? '1' : '?');
	loop_stop();
}

static void tell_of_signal(struct loop_timer *timer)
{
	fire(timer);
	loop_on_signal(SIGUSR1, stop_by_signal);
	kill(getpid(), SIGUSR1);
}

static void stop_by_wake(void)
{
	note('w');
	loop_stop();
}

static void tell_of_wake(struct loop_timer *timer)
{
	fire(timer);
	loop_on_wake(stop_by_wake);
	loop_wake();
}

static void io_event_stops(struct loop_io *watcher, int events)
{
	io_event(watcher, events);
	loop_io_set(watcher, told_fd, 0);
	loop_stop();
}

START_TEST(what_is_told_in_a_turn_without_libev_is_heeded)
{
	static void (*const tells[])(struct loop_timer *) = {tell_of_descriptor, tell_of_signal,
							     tell_of_wake};
	static const char *const traces[] = {"aar", "aa1", "aaw"};
	for (int i = 0; i < 3; i++) {
		loop_open(); /* nothing of libev's is left of the one before */
		told.drains = true;
		told_fd = open_pair(&told);
		loop_io_init(&told.io, io_event_stops);
		ck_assert_int_eq(write(told.other, "x", 1), 1);
		/* the first begins the wait, the second is a turn within */
		loop_timer_init(&a.timer, fire);
		loop_timer_init(&b.timer, tells[i]);
		b.name = 'a';
		loop_timer_set(&a.timer, clock_now() + 2 * MSEC);
		loop_timer_set(&b.timer, clock_now() + 6 * MSEC);
		loop_run();
		ck_assert_str_eq(taken(), traces[i]);
		b.name = 'b';
		loop_io_stop(&told.io);
		close(told_fd), close(told.other);
		loop_close();
	}
}
END_TEST

START_TEST(the_watched_events_can_be_changed_paused_and_resumed)
{
	struct named_io io = {.drains = false};
	open_driven();
	int fd = open_pair(&io);
	loop_io_set(&io.io, fd, 0);
	ck_assert_int_eq(loop_io_events(&io.io), 0);
	loop_io_set(&io.io, fd, LOOP_WRITE);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "w");
	ck_assert_int_eq(write(io.other, "x", 1), 1);
	loop_io_set(&io.io, fd, LOOP_READ | LOOP_WRITE);
	ck_assert_int_eq(loop_io_events(&io.io), LOOP_READ | LOOP_WRITE);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "rw");
	loop_io_set(&io.io, fd, LOOP_READ);
	loop_io_set(&io.io, fd, LOOP_READ);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "r");
	for (int round = 0; round < 2; round++) {
		loop_io_set(&io.io, fd, 0);
		ck_assert_int_eq(loop_io_events(&io.io), 0);
		ck_assert(!loop_turn(0));
		loop_io_set(&io.io, fd, 0);
		ck_assert(!loop_turn(0));
		loop_io_set(&io.io, fd, LOOP_READ);
		ck_assert(loop_turn(0));
		ck_assert_str_eq(taken(), "r");
	}
	/* off and on within a turn */
	loop_io_set(&io.io, fd, 0);
	loop_io_set(&io.io, fd, LOOP_READ);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "r");
	loop_io_stop(&io.io);
	loop_io_stop(&io.io);
	ck_assert_int_eq(loop_io_events(&io.io), 0);
	ck_assert(!loop_turn(0));
	close(fd), close(io.other);
	loop_close();
}
END_TEST

START_TEST(a_number_that_comes_back_as_another_file_is_watched)
{
	struct named_io io = {.drains = true};
	open_driven();
	for (int round = 0; round < 4; round++) {
		int ends[2];
		ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
		if (round == 0)
			loop_io_init(&io.io, io_event);
		loop_io_set(&io.io, ends[0], LOOP_READ);
		if (round % 2 == 0)
			ck_assert(!loop_turn(0));
		ck_assert_int_eq(write(ends[1], "x", 1), 1);
		ck_assert(loop_turn(0));
		ck_assert_str_eq(taken(), "r");
		loop_io_stop(&io.io);
		close(ends[0]), close(ends[1]);
	}
	loop_close();
}
END_TEST

static struct named_io first_io, second_io;
static void stop_both(struct loop_io *watcher, int events)
{
	(void)watcher, (void)events;
	note('s');
	loop_io_stop(&first_io.io);
	loop_io_stop(&second_io.io);
}

START_TEST(a_stopped_watcher_is_not_called_even_if_it_was_ready)
{
	open_driven();
	int fd_one = open_pair(&first_io), fd_two = open_pair(&second_io);
	loop_io_init(&first_io.io, stop_both);
	loop_io_init(&second_io.io, stop_both);
	loop_io_set(&first_io.io, fd_one, LOOP_WRITE);
	loop_io_set(&second_io.io, fd_two, LOOP_WRITE);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "s");
	ck_assert(!loop_turn(0));
	close(fd_one), close(fd_two), close(first_io.other), close(second_io.other);
	loop_close();
}
END_TEST

START_TEST(a_turn_runs_descriptors_then_timers_then_work)
{
	struct named_io io = {.drains = true};
	struct named_work early = {.work.callback = work_done, .name = '0'};
	init_timers();
	int fd = open_pair(&io);
	loop_io_set(&io.io, fd, LOOP_READ);
	loop_timer_set(&a.timer, clock_now());
	loop_post(&early.work);
	ck_assert_int_eq(write(io.other, "x", 1), 1);
	ck_assert(loop_turn(0));
	ck_assert_str_eq(taken(), "ra0");
	loop_io_stop(&io.io);
	close(fd), close(io.other);
	loop_close();
}
END_TEST

/* --- signals, stopping --- */

static void got_signal(int number)
{
	note(number == SIGUSR1 ? 'u' : 'h');
	loop_stop();
}

static void got_signal_otherwise(int number)
{
	(void)number;
	note('o');
	loop_stop();
}

START_TEST(signals_are_called_in_the_loop)
{
	loop_open();
	loop_on_signal(SIGUSR1, got_signal);
	loop_on_signal(SIGHUP, got_signal);
	raise(SIGUSR1);
	ck_assert_str_eq(taken(), "");
	loop_run();
	ck_assert_str_eq(taken(), "u");
	raise(SIGHUP);
	loop_run();
	ck_assert_str_eq(taken(), "h");
	loop_on_signal(SIGHUP, got_signal_otherwise);
	raise(SIGHUP);
	loop_run();
	ck_assert_str_eq(taken(), "o");
	loop_close();
}
END_TEST

START_TEST(a_loop_stopped_before_it_runs_ends_after_one_turn)
{
	struct named_work work = {.work.callback = work_done, .name = '1'};
	loop_open();
	loop_post(&work.work);
	loop_stop();
	loop_run();
	ck_assert_str_eq(taken(), "1");
	loop_close();
}
END_TEST

START_TEST(a_closed_loop_can_be_opened_again)
{
	for (int i = 0; i < 3; i++) {
		loop_open();
		loop_timer_init(&a.timer, fire_and_stop);
		loop_timer_set(&a.timer, clock_now() + MSEC);
		loop_run();
		ck_assert_str_eq(taken(), "a");
		loop_timer_set(&a.timer, clock_now() + MSEC);
		loop_close();
		loop_close();
	}
}
END_TEST

START_TEST(the_loop_says_what_it_is)
{
	ck_assert_int_eq(strncmp(loop_describe(), "libev ", 6), 0);
	loop_open();
	ck_assert_ptr_nonnull(strstr(loop_describe(), "(epoll)"));
	loop_close();
}
END_TEST

Suite *suite_loop(void)
{
	Suite *suite = suite_create("loop");
	TCase *tcase = tcase_create("loop");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, timers_fire_once_in_order_when_due);
	tcase_add_test(tcase, a_later_time_is_only_stored);
	tcase_add_test(tcase, an_earlier_time_moves_it);
	tcase_add_test(tcase, a_cleared_timer_leaves_the_heap_when_it_comes_up);
	tcase_add_test(tcase, a_time_in_the_past_fires_in_the_next_turn);
	tcase_add_test(tcase, a_callback_may_set_its_timer_again);
	tcase_add_test(tcase, a_timer_set_again_for_now_does_not_hold_the_turn);
	tcase_add_test(tcase, a_callback_may_end_itself_and_others_that_are_due);
	tcase_add_test(tcase, a_callback_may_free_its_timer);
	tcase_add_test(tcase, many_timers_fire_exactly_when_due);
	tcase_add_test(tcase, the_system_clock_ends_the_wait);
	tcase_add_test(tcase, what_is_set_earlier_meanwhile_ends_the_wait_in_its_time);
	tcase_add_test(tcase, what_is_set_for_now_does_not_wait);
	tcase_add_test(tcase, the_turn_in_which_it_is_stopped_is_the_last);
	tcase_add_test(tcase, a_turn_waits_no_longer_than_told);
	tcase_add_test(tcase, posted_work_runs_once_in_order);
	tcase_add_test(tcase, posted_work_does_not_wait);
	tcase_add_test(tcase, work_posted_by_work_runs_in_the_same_turn);
	tcase_add_test(tcase, closing_the_loop_runs_what_is_posted);
	tcase_add_test(tcase, readiness_is_reported_while_it_lasts);
	tcase_add_test(tcase, what_is_told_in_a_turn_without_libev_is_heeded);
	tcase_add_test(tcase, the_watched_events_can_be_changed_paused_and_resumed);
	tcase_add_test(tcase, a_number_that_comes_back_as_another_file_is_watched);
	tcase_add_test(tcase, a_stopped_watcher_is_not_called_even_if_it_was_ready);
	tcase_add_test(tcase, a_turn_runs_descriptors_then_timers_then_work);
	tcase_add_test(tcase, signals_are_called_in_the_loop);
	tcase_add_test(tcase, a_loop_stopped_before_it_runs_ends_after_one_turn);
	tcase_add_test(tcase, a_closed_loop_can_be_opened_again);
	tcase_add_test(tcase, the_loop_says_what_it_is);
	return suite;
}
