/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/host.h"
#include <string.h>
#include "core/memory.h"
#include "core/text.h"

static void add(struct host_list *list, const char *name)
{
	list->names = memory_realloc(list->names, sizeof *list->names * (size_t)(list->count + 1));
	list->names[list->count++] = memory_strdup(name);
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
		memory_free(&list->names[i]);
	memory_free(&list->names);
	list->count = 0;
}

const char *host_next(struct host_list *list)
{
	const char *name = list->names[list->next % list->count];
	if (list->balance != BALANCE_DISABLE)
		list->next = (list->next + 1) % list->count;
	return name;
}

void host_failed(struct host_list *list, const char *host)
{
	if (list->balance == BALANCE_DISABLE &&
	    !strcmp(list->names[list->next % list->count], host))
		list->next = (list->next + 1) % list->count;
}

bool host_is_unix(const char *host)
{
	return host[0] == '/' || host[0] == '@';
}
