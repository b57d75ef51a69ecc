/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/user.h"
#include <string.h>
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

void user_configure(struct user *user, const struct section_user *row)
{
	user->pool_mode = row ? row->pool_mode : POOL_MODE_UNSET;
	user->pool_size = row ? row->pool_size : SECTION_UNSET;
	user->reserve_pool_size = row ? row->reserve_pool_size : SECTION_UNSET;
	user->max_user_connections = row ? row->max_user_connections : SECTION_UNSET;
	user->max_user_client_connections = row ? row->max_user_client_connections : SECTION_UNSET;
	user->query_wait_timeout = row ? row->query_wait_timeout : SECTION_UNSET;
}

static void forget_secret(struct user *user)
{
	if (user->secret)
		memory_erase(user->secret, strlen(user->secret));
	memory_free(&user->secret);
}

void user_learn_secret(struct user *user, const char *secret)
{
	if (secret && user->secret && !strcmp(secret, user->secret))
		return;
	forget_secret(user);
	user->secret = secret ? memory_strdup(secret) : NULL;
}

void user_learn_scram_keys(struct user *user, const uint8_t *client_key, const uint8_t *server_key)
{
	if (!user->scram_keys)
		user->scram_keys = memory_alloc((size_t)2 * USER_SCRAM_KEY);
	memcpy(user->scram_keys, client_key, USER_SCRAM_KEY);
	memcpy(user->scram_keys + USER_SCRAM_KEY, server_key, USER_SCRAM_KEY);
}

void user_free(struct user **user)
{
	if (!*user)
		return;
	forget_secret(*user);
	if ((*user)->scram_keys)
		memory_erase((*user)->scram_keys, (size_t)2 * USER_SCRAM_KEY);
	memory_free(&(*user)->scram_keys);
	memory_free(&(*user)->name);
	memory_free(user);
}
