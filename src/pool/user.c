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

void user_configure(struct user *user, const struct section_user *row)
{
	user->pool_mode = row ? row->pool_mode : POOL_MODE_UNSET;
	user->pool_size = row ? row->pool_size : SECTION_UNSET;
	user->reserve_pool_size = row ? row->reserve_pool_size : SECTION_UNSET;
	user->max_user_connections = row ? row->max_user_connections : SECTION_UNSET;
	user->max_user_client_connections = row ? row->max_user_client_connections : SECTION_UNSET;
	user->max_waiting_clients = row ? row->max_waiting_clients : SECTION_UNSET;
	user->query_timeout_action = row ? row->query_timeout_action : TIMEOUT_ACTION_UNSET;
	user->server_lifetime = row ? row->server_lifetime : SECTION_UNSET;
	user->server_idle_timeout = row ? row->server_idle_timeout : SECTION_UNSET;
	user->server_check_delay = row ? row->server_check_delay : SECTION_UNSET;
	user->server_connect_timeout = row ? row->server_connect_timeout : SECTION_UNSET;
	user->query_wait_notify = row ? row->query_wait_notify : SECTION_UNSET;
	user->query_timeout = row ? row->query_timeout : SECTION_UNSET;
	user->query_wait_timeout = row ? row->query_wait_timeout : SECTION_UNSET;
	user->idle_transaction_timeout = row ? row->idle_transaction_timeout : SECTION_UNSET;
	user->transaction_timeout = row ? row->transaction_timeout : SECTION_UNSET;
	user->client_idle_timeout = row ? row->client_idle_timeout : SECTION_UNSET;
}

void user_free(struct user **user)
{
	if (!*user)
		return;
	memory_free(&(*user)->name);
	memory_free(user);
}
