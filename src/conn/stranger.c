/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/stranger.h"
#include "auth/scram.h"
#include "config/snapshot.h"
#include "core/memory.h"

struct group {
	size_t count;
	unsigned iterations;
};

enum { GROUPS = 8 }; /* more than that nobody has on purpose */

/* What auth_query answered since the start. */
static struct {
	size_t kinds[SECRET_SCRAM + 1];
	struct group scram[GROUPS];
} queried;

bool stranger_is_scram(void)
{
	const struct userlist *list = snapshot_current()->userlist;
	size_t scram = queried.kinds[SECRET_SCRAM] + userlist_count(list, SECRET_SCRAM);
	size_t others = queried.kinds[SECRET_PLAIN] + queried.kinds[SECRET_MD5] +
			userlist_count(list, SECRET_PLAIN) + userlist_count(list, SECRET_MD5);
	return scram >= others;
}

static void take_larger(const struct group *groups, size_t count, struct group *best)
{
	for (size_t i = 0; i < count; i++)
		if (groups[i].count > best->count)
			*best = groups[i];
}

unsigned stranger_iterations(bool of_plain)
{
	const struct userlist *list = snapshot_current()->userlist;
	unsigned set = (unsigned)settings_current()->scram_iterations;
	size_t plain = queried.kinds[SECRET_PLAIN] + userlist_count(list, SECRET_PLAIN);
	struct group best = {0, set};
	const struct group listed[] = {
		{of_plain ? plain : 0, set},
		{userlist_count(list, SECRET_SCRAM), userlist_scram_iterations(list)},
	};
	take_larger(listed, 2, &best);
	take_larger(queried.scram, GROUPS, &best);
	return best.iterations;
}

/* One odd secret moves nobody, and none that costs too much. */
static void count_iterations(unsigned iterations)
{
	for (size_t i = 0; i < GROUPS && iterations <= SCRAM_ITERATIONS_MAX; i++) {
		struct group *group = &queried.scram[i];
		if (group->count > 0 && group->iterations != iterations)
			continue;
		group->iterations = iterations;
		group->count++;
		return;
	}
}

void stranger_note_queried(const struct secret *secret)
{
	struct scram_secret scram;
	queried.kinds[secret->kind]++;
	if (secret->kind != SECRET_SCRAM || !secret_parse_scram(secret->text, &scram))
		return;
	count_iterations(scram.iterations);
	memory_erase(&scram, sizeof scram);
}

bool stranger_may_be_plain(void)
{
	return queried.kinds[SECRET_PLAIN] > 0;
}
