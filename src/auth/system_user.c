/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/system_user.h"
#include "core/memory.h"
#include "core/offload.h"
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>

enum { THREADS = 4, WAITING_MAX = 1000, ENTRY_LEAST = 1024, ENTRY_MOST = 1 << 20 };

struct system_user {
	struct offload_job job;
	uid_t uid;
	char *name; /* NULL: none */
	void (*done)(void *context, const char *name);
	void *context;
};

static struct offload_queue queue = OFFLOAD_QUEUE_OF_PLUGINS(THREADS, WAITING_MAX);

static struct system_user *find_of(struct offload_job *job)
{
	return container_of(job, struct system_user, job);
}

/* In a thread. */
static void work(struct offload_job *job)
{
	struct system_user *find = find_of(job);
	int reason = ERANGE;
	for (size_t size = ENTRY_LEAST; reason == ERANGE && size <= ENTRY_MOST; size *= 2) {
		struct passwd entry, *found = NULL;
		char *texts = memory_alloc(size);
		reason = getpwuid_r(find->uid, &entry, texts, size, &found);
		if (reason == 0 && found)
			find->name = memory_strdup(entry.pw_name);
		memory_free(&texts);
	}
}

static void done(struct offload_job *job)
{
	struct system_user *find = find_of(job);
	find->done(find->context, find->name);
}

static void discard(struct offload_job *job)
{
	struct system_user *find = find_of(job);
	memory_free(&find->name);
	memory_free(&find);
}

struct system_user *system_user_find(uid_t uid, void (*callback)(void *context, const char *name),
				     void *context)
{
	struct system_user *find = memory_alloc(sizeof *find);
	find->job = (struct offload_job){.work = work, .done = done, .discard = discard};
	find->uid = uid;
	find->done = callback;
	find->context = context;
	if (!offload_submit(&queue, &find->job)) {
		discard(&find->job);
		return NULL;
	}
	return find;
}

void system_user_abandon(struct system_user **find)
{
	if (*find)
		offload_abandon(&(*find)->job);
	*find = NULL;
}
