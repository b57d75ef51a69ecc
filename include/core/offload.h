/* SPDX-License-Identifier: ISC */
/* offload: runs a blocking call on copies of its arguments in a thread, and posts the result to the
 * loop; the only threads of the process. A queue is one kind of calls: it has its own threads, made
 * when there is work, and a bound on what may wait, so that a slow directory neither fills the
 * memory nor holds up other kinds. */
#ifndef PGWEIR_CORE_OFFLOAD_H
#define PGWEIR_CORE_OFFLOAD_H

#include <stdbool.h>
#include "core/list.h"

/* Static, with OFFLOAD_QUEUE(). */
struct offload_queue {
	unsigned threads_max, waiting_max;
	bool runs_plugins; /* code that is not ours, which may start children */
	/* under the lock */
	struct list waiting;
	unsigned threads, resting; /* those that wait for work */
	struct offload_queue *next;
	bool is_listed;
};
#define OFFLOAD_QUEUE(threads, waiting)                            \
	{                                                          \
		.threads_max = (threads), .waiting_max = (waiting) \
	}
#define OFFLOAD_QUEUE_OF_PLUGINS(threads, waiting)                                        \
	{                                                                                 \
		.threads_max = (threads), .waiting_max = (waiting), .runs_plugins = true, \
	}

/* A call; embed it in its arguments and its result. */
struct offload_job {
	void (*work)(struct offload_job *job);	  /* in a thread: touches the job alone */
	void (*done)(struct offload_job *job);	  /* in the loop, never before submit returns */
	void (*discard)(struct offload_job *job); /* frees it; the last call */
	/* private */
	struct list_node node;
	struct offload_queue *queue;
	bool is_waiting;   /* under the lock: no thread has it yet */
	bool is_abandoned; /* the loop's alone */
};

/* After loop_open(), before the first job. */
void offload_open(void);
/* Before loop_close(). What waits is discarded; a call that hangs is left behind after a short
 * while: the process may end. */
void offload_close(void);

/* Run it: done, then discard follow. False: too many are waiting already; nothing follows. */
bool offload_submit(struct offload_queue *queue, struct offload_job *job);
/* Jobs whose discard is still to come. For tests. */
unsigned offload_pending(void);
/* Nobody wants the result: done is not called, discard as soon as no thread has the job. */
void offload_abandon(struct offload_job *job);

#endif
