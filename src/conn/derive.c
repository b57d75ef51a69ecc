/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/derive.h"
#include "config/snapshot.h"
#include "core/memory.h"
#include "core/offload.h"

enum { THREADS = 2, WAITING_MAX = 1000, KNOWN_WAITING_MAX = 1 };

struct derive {
	struct offload_job job;
	struct scram_derivation derivation;
	void (*done)(void *context, const struct scram_derivation *derived);
	void *context;
};

static struct offload_queue queue = OFFLOAD_QUEUE(THREADS, WAITING_MAX);
/* Those of auth_file have a queue of their own, so that logins need not wait for thousands. */
static struct offload_queue known_queue = OFFLOAD_QUEUE(1, KNOWN_WAITING_MAX);
static bool known_is_running;
static const void *known_cursor; /* in the userlist of known_list */
static const struct userlist *known_list;

static struct derive *derive_of(struct offload_job *job)
{
	return container_of(job, struct derive, job);
}

static void work(struct offload_job *job)
{
	scram_derive(&derive_of(job)->derivation);
}

static void done(struct offload_job *job)
{
	struct derive *derive = derive_of(job);
	scram_derivation_keep(&derive->derivation);
	derive->done(derive->context, &derive->derivation);
}

static void discard(struct offload_job *job)
{
	struct derive *derive = derive_of(job);
	scram_derivation_fini(&derive->derivation);
	memory_free(&derive);
}

static struct derive *submit(struct offload_queue *to, struct scram_derivation *taken,
			     void (*callback)(void *, const struct scram_derivation *),
			     void *context)
{
	struct derive *derive = memory_alloc(sizeof *derive);
	derive->job = (struct offload_job){.work = work, .done = done, .discard = discard};
	derive->derivation = *taken;
	derive->done = callback;
	derive->context = context;
	if (!offload_submit(to, &derive->job)) {
		discard(&derive->job);
		return NULL;
	}
	return derive;
}

struct derive *derive_begin(struct scram_derivation *taken,
			    void (*callback)(void *context, const struct scram_derivation *derived),
			    void *context)
{
	return submit(&queue, taken, callback, context);
}

void derive_abandon(struct derive **derive)
{
	if (*derive)
		offload_abandon(&(*derive)->job);
	*derive = NULL;
}

/* ---- auth_file ---- */

static void known_done(void *context, const struct scram_derivation *derived);

/* The next whose keys are not in the cache. */
static void known_next(void)
{
	const struct settings *settings = settings_current();
	const struct userlist *list = snapshot_current()->userlist;
	struct scram_derivation derivation;
	const char *user;
	if (list != known_list) {
		known_list = list;
		known_cursor = NULL;
	}
	known_is_running = false;
	while ((user = userlist_next(list, &known_cursor))) {
		const struct secret *secret = userlist_find(list, user);
		if (secret->kind != SECRET_PLAIN ||
		    !scram_server_derivation(secret->text, user,
					     (uint32_t)settings->scram_iterations, &derivation))
			continue;
		known_is_running = submit(&known_queue, &derivation, known_done, NULL) != NULL;
		return;
	}
}

static void known_done(void *context, const struct scram_derivation *derived)
{
	(void)context;
	(void)derived;
	known_next();
}

void derive_known(void)
{
	const struct snapshot *snapshot = snapshot_current();
	bool uses_scram = snapshot->hba || snapshot->settings.auth_type == AUTH_SCRAM_SHA_256;
	known_list = NULL; /* a new one may have the address of the old */
	if (!uses_scram)
		return;
	key_cache_reserve(userlist_count(snapshot->userlist, SECRET_PLAIN));
	if (!known_is_running)
		known_next();
}
