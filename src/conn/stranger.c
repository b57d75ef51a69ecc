/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/stranger.h"
#include "config/snapshot.h"
#include "core/memory.h"

static struct {
	size_t kinds[SECRET_SCRAM + 1]; /* secrets that auth_query answered */
	uint32_t iterations;		/* of the last of SCRAM */
} queried;

bool stranger_is_scram(void)
{
	const struct userlist *list = snapshot_current()->userlist;
	size_t scram = queried.kinds[SECRET_SCRAM] + userlist_count(list, SECRET_SCRAM);
	size_t others = queried.kinds[SECRET_PLAIN] + queried.kinds[SECRET_MD5] +
			userlist_count(list, SECRET_PLAIN) + userlist_count(list, SECRET_MD5);
	return scram >= others;
}

unsigned stranger_iterations(bool of_plain)
{
	const struct userlist *list = snapshot_current()->userlist;
	unsigned set = (unsigned)settings_current()->scram_iterations;
	size_t plain = queried.kinds[SECRET_PLAIN] + userlist_count(list, SECRET_PLAIN);
	const struct {
		size_t users;
		unsigned iterations;
	} groups[] = {
		{0, set},
		{of_plain ? plain : 0, set},
		{queried.kinds[SECRET_SCRAM], queried.iterations},
		{userlist_count(list, SECRET_SCRAM), userlist_scram_iterations(list)},
	};
	size_t most = 0;
	for (size_t i = 1; i < sizeof groups / sizeof *groups; i++)
		if (groups[i].users > groups[most].users)
			most = i;
	return groups[most].iterations;
}

void stranger_note_queried(const struct secret *secret)
{
	struct scram_secret scram;
	queried.kinds[secret->kind]++;
	if (secret->kind != SECRET_SCRAM || !secret_parse_scram(secret->text, &scram))
		return;
	queried.iterations = scram.iterations;
	memory_erase(&scram, sizeof scram);
}

bool stranger_may_be_plain(void)
{
	return queried.kinds[SECRET_PLAIN] > 0;
}
