/* SPDX-License-Identifier: ISC */
/* user: live counts and limits of one user name. Small, since there may be many. */
#ifndef PGWEIR_POOL_USER_H
#define PGWEIR_POOL_USER_H

#include "config/section.h"
#include "core/list.h"
#include "core/map.h"

struct user {
	struct map_node node; /* by name */
	char *name;
	struct list pools;
	struct list held_back; /* pools whose clients wait for max_user_connections; the first is
				  next */
	uint32_t client_count, server_count; /* written by pool/limit only */
	/* of the [users] row; SECTION_UNSET, POOL_MODE_UNSET ... when it does not say */
#define USER_KEY(type, name, range, doc) SETTING_C_##type name;
#include "config/user_keys.def"
	bool is_configured; /* in [users] or auth_file */
};

struct user *user_new(const char *name);
/* Take the row's values; NULL: all unset. */
void user_configure(struct user *user, const struct section_user *row);
void user_free(struct user **user);

#endif
