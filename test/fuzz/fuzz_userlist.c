/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/userlist.h"
#include "core/error.h"
#include "fuzz.h"

static void fuzz_userlist(const uint8_t *bytes, size_t size)
{
	struct error error = {0};
	struct userlist *list = userlist_parse((const char *)bytes, size, "users", &error);
	if (!list) {
		FUZZ_HOLDS(strncmp(error.message, "users:", 6) == 0);
		FUZZ_HOLDS(!strstr(error.message, "hush")); /* what a secret is in the seeds */
		return;
	}
	const void *cursor = NULL;
	const char *name;
	size_t count = 0, kinds = 0;
	while ((name = userlist_next(list, &cursor))) {
		const struct secret *secret = userlist_find(list, name);
		FUZZ_HOLDS(secret && (secret->kind == SECRET_NONE || *secret->text));
		count++;
	}
	for (int kind = SECRET_NONE; kind <= SECRET_SCRAM; kind++)
		kinds += userlist_count(list, (enum secret_kind)kind);
	FUZZ_HOLDS(count == userlist_length(list) && kinds == count);
	userlist_free(&list);
}

static const struct fuzz_seed seeds[] = {
	SEED("\"alice\" \"hush\"\n; comment\n\n\"bob\" \"\"\n"),
	SEED("\"a\"\"b\" \"hush\"\"hush\" more\r\n\"alice\" "
	     "\"md5d41d8cd98f00b204e9800998ecf8427e\"\n"),
	SEED("\"s\" \"SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
	     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
	     "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n"),
	SEED("\"alice\" \"hush\n\"bob\" hush"),
};
FUZZ_TARGET(userlist);
