/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/offload.h"
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include "core/edge.h"
#include "core/loop.h"
#include "core/memory.h"

enum { CLOSE_WAIT_MSEC = 200, STACK_SIZE = 512 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work_came = PTHREAD_COND_INITIALIZER;
static pthread_cond_t thread_ended = PTHREAD_COND_INITIALIZER;
/* all under the lock */
static struct offload_queue *queues;
static struct list finished;
static bool closing;
static unsigned threads;
static struct list workers;
static unsigned pending; /* the loop's alone */

struct worker {
	struct list_node node;
	struct offload_queue *queue;
	pthread_t thread;
	bool has_ended;
};

static struct offload_job *job_of(struct list_node *node)
{
	return container_of(node, struct offload_job, node);
}

/* ---- in threads ---- */

static void *run(void *argument)
{
	struct worker *worker = argument;
	struct offload_queue *queue = worker->queue;
	struct list_node *node;
	pthread_mutex_lock(&lock);
	for (;;) {
		while (!closing && list_is_empty(&queue->waiting)) {
			queue->resting++;
			pthread_cond_wait(&work_came, &lock);
			queue->resting--;
		}
		if (closing)
			break;
		node = list_pop_first(&queue->waiting);
		job_of(node)->is_waiting = false;
		pthread_mutex_unlock(&lock);
		job_of(node)->work(job_of(node));
		pthread_mutex_lock(&lock);
		list_push_last(&finished, node);
		if (!closing)
			loop_wake();
	}
	worker->has_ended = true;
	queue->threads--;
	threads--;
	pthread_cond_broadcast(&thread_ended);
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* Signals are the loop's. */
static bool start_thread(struct offload_queue *queue)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	struct worker *worker = memory_alloc(sizeof *worker);
	worker->queue = queue;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	bool well = pthread_create(&worker->thread, &attributes, run, worker) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (well) {
		queue->threads++;
		threads++;
		list_push_last(&workers, &worker->node);
	} else {
		memory_free(&worker);
	}
	return well;
}

/* ---- in the loop ---- */

static void discard(struct offload_job *job)
{
	pending--;
	job->discard(job);
}

unsigned offload_pending(void)
{
	return pending;
}

static void take_finished(void)
{
	struct list_node *node;
	for (;;) {
		pthread_mutex_lock(&lock);
		node = list_pop_first(&finished);
		pthread_mutex_unlock(&lock);
		if (!node)
			return;
		struct offload_job *job = job_of(node);
		if (!job->is_abandoned)
			job->done(job);
		discard(job);
	}
}

void offload_open(void)
{
	pthread_mutex_lock(&lock);
	if (!finished.head.next) {
		list_init(&finished);
		list_init(&workers);
	}
	closing = false;
	bool is_late = !list_is_empty(&finished); /* left behind by offload_close() */
	pthread_mutex_unlock(&lock);
	loop_on_wake(take_finished);
	if (is_late)
		loop_wake();
}

static void list_queue(struct offload_queue *queue)
{
	if (queue->is_listed)
		return;
	list_init(&queue->waiting);
	queue->is_listed = true;
	queue->next = queues;
	queues = queue;
}

bool offload_submit(struct offload_queue *queue, struct offload_job *job)
{
	if (queue->runs_plugins)
		edge_expect_children();
	pthread_mutex_lock(&lock);
	list_queue(queue);
	bool has_room = !closing && queue->waiting.length < queue->waiting_max;
	if (has_room && queue->resting <= queue->waiting.length &&
	    queue->threads < queue->threads_max)
		has_room = start_thread(queue) || queue->threads > 0;
	if (has_room) {
		job->queue = queue;
		job->is_waiting = true;
		job->is_abandoned = false;
		pending++;
		list_push_last(&queue->waiting, &job->node);
		pthread_cond_broadcast(&work_came);
	}
	pthread_mutex_unlock(&lock);
	return has_room;
}

void offload_abandon(struct offload_job *job)
{
	pthread_mutex_lock(&lock);
	bool was_waiting = job->is_waiting;
	if (was_waiting)
		list_remove(&job->queue->waiting, &job->node);
	pthread_mutex_unlock(&lock);
	job->is_abandoned = true;
	if (was_waiting)
		discard(job);
}

/* Those that are in a call get a little time to come back. */
static void await_threads(void)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until); /* the wall clock may be set */
	until.tv_nsec += CLOSE_WAIT_MSEC * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (threads > 0 &&
	       pthread_cond_clockwait(&thread_ended, &lock, CLOCK_MONOTONIC, &until) == 0)
		;
}

/* Those that came back have ended, or are about to. Others are left alone with their call. */
static void take_ended(struct list *ended)
{
	list_init(ended);
	if (!workers.head.next)
		return;
	list_foreach_safe (node, &workers) {
		if (!container_of(node, struct worker, node)->has_ended)
			continue;
		list_remove(&workers, node);
		list_push_last(ended, node);
	}
}

static void join(struct list *ended)
{
	struct list_node *node;
	while ((node = list_pop_first(ended))) {
		struct worker *worker = container_of(node, struct worker, node);
		pthread_join(worker->thread, NULL);
		memory_free(&worker);
	}
}

void offload_close(void)
{
	struct list_node *node;
	struct list ended;
	pthread_mutex_lock(&lock);
	closing = true;
	pthread_cond_broadcast(&work_came);
	await_threads();
	for (struct offload_queue *queue = queues; queue; queue = queue->next)
		while ((node = list_pop_first(&queue->waiting)))
			discard(job_of(node));
	while (finished.head.next && (node = list_pop_first(&finished)))
		discard(job_of(node));
	take_ended(&ended);
	pthread_mutex_unlock(&lock);
	join(&ended);
	loop_on_wake(NULL);
}
