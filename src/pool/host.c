/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/host.h"
#include <string.h>
#include "core/clock.h"
#include "core/memory.h"
#include "core/text.h"

static void add(struct host_list *list, const char *name)
{
	list->hosts = memory_realloc(list->hosts, sizeof *list->hosts * (size_t)(list->count + 1));
	list->hosts[list->count++] = (struct host){.name = memory_strdup(name)};
}

void host_list_init(struct host_list *list, const char *text, int port, enum balance balance,
		    const char *unix_directory)
{
	char name[256];
	*list = (struct host_list){.port = port, .balance = balance};
	while (text && text_next_item(&text, name, sizeof name))
		if (*name)
			add(list, name);
	if (list->count == 0)
		add(list, unix_directory && *unix_directory ? unix_directory : "/tmp");
}

void host_list_fini(struct host_list *list)
{
	for (int i = 0; i < list->count; i++)
		memory_free(&list->hosts[i].name);
	memory_free(&list->hosts);
	list->count = 0;
}

const char *host_next(struct host_list *list)
{
	int chosen = list->next % list->count;
	usec_t least = INT64_MAX;
	for (int i = 0; i < list->count; i++) {
		int at = (list->next + i) % list->count;
		usec_t until = list->hosts[at].rests_until;
		if (until <= clock_now())
			until = 0;
		if (until >= least)
			continue;
		least = until;
		chosen = at;
	}
	list->next = list->balance == BALANCE_DISABLE ? chosen : (chosen + 1) % list->count;
	return list->hosts[chosen].name;
}

void host_failed(struct host_list *list, const char *host)
{
	if (list->balance == BALANCE_DISABLE &&
	    !strcmp(list->hosts[list->next % list->count].name, host))
		list->next = (list->next + 1) % list->count;
}

bool host_rest(struct host_list *list, const char *host, usec_t since, usec_t until)
{
	bool found = false, other = false;
	for (int i = 0; i < list->count; i++) {
		struct host *one = &list->hosts[i];
		if (!strcmp(one->name, host)) {
			one->failed_at = clock_now();
			one->rests_until = until;
			found = true;
		} else if (one->failed_at < since) {
			other = true;
		}
	}
	return found && other; /* else it is of a list that was replaced */
}

void host_worked(struct host_list *list, const char *host)
{
	for (int i = 0; i < list->count; i++)
		if (list->hosts[i].failed_at && !strcmp(list->hosts[i].name, host))
			list->hosts[i].failed_at = list->hosts[i].rests_until = 0;
}

void host_list_forget(struct host_list *list)
{
	for (int i = 0; i < list->count; i++)
		list->hosts[i].failed_at = list->hosts[i].rests_until = 0;
}

bool host_is_unix(const char *host)
{
	return host[0] == '/' || host[0] == '@';
}
