/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/time_limit.h"
#include "config/snapshot.h"

static enum timeout_action prefer_action(enum timeout_action user, enum timeout_action database)
{
	if (user != TIMEOUT_ACTION_UNSET)
		return user;
	return database != TIMEOUT_ACTION_UNSET ? database
						: settings_current()->query_timeout_action;
}

struct time_limits time_limits_of(const struct database *database, const struct user *user)
{
	const struct settings *settings = settings_current();
	if (database->is_console)
		return (struct time_limits){0};
#define PREFER(name) .name = section_prefer(user->name, database->name, settings->name)
	return (struct time_limits){
		.query_timeout_action =
			prefer_action(user->query_timeout_action, database->query_timeout_action),
		PREFER(query_timeout),
		PREFER(query_wait_timeout),
		PREFER(query_wait_notify),
		PREFER(idle_transaction_timeout),
		PREFER(transaction_timeout),
		PREFER(client_idle_timeout),
		PREFER(client_login_timeout),
		PREFER(cancel_wait_timeout),
	};
#undef PREFER
}
