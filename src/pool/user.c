/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/user.h"
#include "core/memory.h"

struct user *user_new(const char *name)
{
	struct user *user = memory_alloc(sizeof *user);
	user->name = memory_strdup(name);
	list_init(&user->pools);
	list_init(&user->held_back);
	user_configure(user, NULL);
	return user;
}

#define UNSET_INT SECTION_UNSET
#define UNSET_DURATION SECTION_UNSET
#define UNSET_POOL_MODE POOL_MODE_UNSET
#define UNSET_AUTH_TYPE AUTH_UNSET
#define UNSET_FEATURES SECTION_UNSET
#define UNSET_TIMEOUT_ACTION TIMEOUT_ACTION_UNSET

void user_configure(struct user *user, const struct section_user *row)
{
#define USER_KEY(type, name, range, doc) user->name = row ? row->name : UNSET_##type;
#include "config/user_keys.def"
}

void user_free(struct user **user)
{
	if (!*user)
		return;
	memory_free(&(*user)->name);
	memory_free(user);
}
