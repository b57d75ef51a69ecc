/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/edge.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/offload.h"
#include "suites.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A job says its name when it is done and when it goes; it may have to wait for a byte first. */
struct job {
	struct offload_job job;
	int wait_fd; /* -1: does not wait */
	char name;
	pthread_t thread;
	sigset_t blocked;
};

static char trace[200];
static int pair[2]; /* a pipe: a byte lets one job go on */
static struct offload_queue one = OFFLOAD_QUEUE(1, 3), two = OFFLOAD_QUEUE(2, 100);

static void note(char letter)
{
	size_t length = strlen(trace);
	ck_assert_uint_lt(length + 1, sizeof trace);
	trace[length] = letter;
	trace[length + 1] = '\0';
}

static void work(struct offload_job *job)
{
	struct job *mine = (struct job *)job;
	char byte;
	mine->thread = pthread_self();
	pthread_sigmask(SIG_BLOCK, NULL, &mine->blocked);
	if (mine->wait_fd >= 0 && read(mine->wait_fd, &byte, 1) != 1)
		mine->name = '?';
}

static void done(struct offload_job *job)
{
	struct job *mine = (struct job *)job;
	ck_assert(!pthread_equal(mine->thread, pthread_self()));
	ck_assert_int_eq(sigismember(&mine->blocked, SIGTERM), 1);
	note(mine->name);
}

static void discard(struct offload_job *job)
{
	note('.');
	memory_free(&job);
}

static struct job *make(char name, bool waits)
{
	struct job *made = memory_alloc(sizeof *made);
	made->job = (struct offload_job){.work = work, .done = done, .discard = discard};
	made->name = name;
	made->wait_fd = waits ? pair[0] : -1;
	return made;
}

static struct job *submit(struct offload_queue *queue, char name, bool waits)
{
	struct job *made = make(name, waits);
	ck_assert(offload_submit(queue, &made->job));
	return made;
}

static void let_go(int count)
{
	while (count-- > 0)
		ck_assert_int_eq(write(pair[1], "x", 1), 1);
}

static void settle(void)
{
	while (offload_pending())
		loop_turn(1000);
}

/* Until a thread has taken the job and waits in it. */
static void await_begun(void)
{
	for (int i = 0; i < 5000 && one.waiting.length; i++)
		usleep(1000);
	ck_assert_uint_eq(one.waiting.length, 0);
}

static void setup(void)
{
	trace[0] = '\0';
	ck_assert_int_eq(pipe(pair), 0);
	loop_open();
	offload_open();
}

static void teardown(void)
{
	offload_close();
	loop_close();
	close(pair[0]);
	close(pair[1]);
}

START_TEST(jobs_of_one_thread_come_back_in_order)
{
	submit(&one, 'a', false);
	submit(&one, 'b', false);
	submit(&one, 'c', false);
	ck_assert_str_eq(trace, ""); /* never before submit returns */
	settle();
	ck_assert_str_eq(trace, "a.b.c.");
}
END_TEST

START_TEST(threads_work_beside_each_other)
{
	submit(&two, 'a', true);
	submit(&two, 'b', false);
	while (!strchr(trace, 'b'))
		loop_turn(1000);
	ck_assert_str_eq(trace, "b.");
	let_go(1);
	settle();
	ck_assert_str_eq(trace, "b.a.");
}
END_TEST

START_TEST(a_full_queue_takes_nothing_more)
{
	submit(&one, 'a', true);
	await_begun();
	submit(&one, 'b', false);
	submit(&one, 'c', false);
	submit(&one, 'd', false);
	struct job *refused = make('e', false);
	ck_assert(!offload_submit(&one, &refused->job));
	memory_free(&refused);
	submit(&two, 'f', false); /* other queues do not mind */
	let_go(1);
	settle();
	ck_assert_ptr_nonnull(strchr(trace, 'f'));
	ck_assert_ptr_null(strchr(trace, 'e'));
	submit(&one, 'g', false);
	settle();
	ck_assert_ptr_nonnull(strchr(trace, 'g'));
}
END_TEST

START_TEST(an_abandoned_job_is_discarded_and_not_told)
{
	struct job *begun = submit(&one, 'a', true);
	await_begun();
	struct job *waiting = submit(&one, 'b', false);
	offload_abandon(&waiting->job); /* nobody has it: it goes at once */
	ck_assert_str_eq(trace, ".");
	offload_abandon(&begun->job);
	ck_assert_str_eq(trace, ".");
	let_go(1);
	settle();
	ck_assert_str_eq(trace, "..");
	struct job *over = submit(&one, 'c', false);
	while (offload_pending() && !one.resting)
		usleep(1000); /* it is finished, and not told yet */
	offload_abandon(&over->job);
	settle();
	ck_assert_str_eq(trace, "...");
}
END_TEST

static void called(struct edge *edge, int events)
{
	(void)edge, (void)events;
	note('!');
}

START_TEST(a_plug_in_may_start_a_child_that_holds_our_sockets)
{
	static struct offload_queue plugins = OFFLOAD_QUEUE_OF_PLUGINS(1, 3);
	struct edge edge;
	int ends[2], held;
	submit(&plugins, 'a', true);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	held = dup(ends[0]); /* as the child does */
	edge_init(&edge, called);
	edge_set(&edge, ends[0], EDGE_READ);
	edge_stop_for_close(&edge);
	close(ends[0]);
	edge.watched = EDGE_READ; /* it is another's memory now */
	ck_assert_int_eq(write(ends[1], "x", 1), 1);
	let_go(1);
	settle();
	ck_assert_str_eq(trace, "a.");
	close(held);
	close(ends[1]);
}
END_TEST

START_TEST(many_jobs_all_come_back)
{
	int count = 0;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 50; i++)
			submit(&two, 'x', false);
		settle();
		for (const char *at = trace; *at; at++)
			count += *at == 'x';
		trace[0] = '\0';
	}
	ck_assert_int_eq(count, 1000);
}
END_TEST

START_TEST(closing_discards_what_waits_and_leaves_what_hangs)
{
	submit(&one, 'a', true);
	await_begun();
	submit(&one, 'b', false);
	offload_close();
	ck_assert_str_eq(trace, "."); /* b; a hangs, and is not waited for */
	let_go(1);
	for (int i = 0; i < 5000 && one.threads; i++)
		usleep(1000);
	offload_open(); /* what came back too late is gone with the process: here it is taken over
			 */
	submit(&one, 'c', false);
	settle();
	ck_assert_ptr_nonnull(strchr(trace, 'c'));
}
END_TEST

Suite *suite_offload(void)
{
	Suite *suite = suite_create("offload");
	TCase *tcase = tcase_create("offload");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, jobs_of_one_thread_come_back_in_order);
	tcase_add_test(tcase, threads_work_beside_each_other);
	tcase_add_test(tcase, a_full_queue_takes_nothing_more);
	tcase_add_test(tcase, an_abandoned_job_is_discarded_and_not_told);
	tcase_add_test(tcase, a_plug_in_may_start_a_child_that_holds_our_sockets);
	tcase_add_test(tcase, many_jobs_all_come_back);
	tcase_add_test(tcase, closing_discards_what_waits_and_leaves_what_hangs);
	suite_add_tcase(suite, tcase);
	return suite;
}
