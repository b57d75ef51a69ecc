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
	/* of the [users] row; SECTION_UNSET, POOL_MODE_UNSET when it does not say */
	enum pool_mode pool_mode;
	int pool_size, reserve_pool_size, max_user_connections, max_user_client_connections;
	usec_t query_wait_timeout;
	bool is_configured; /* in [users] or auth_file */
	/* Learned when a client logged in, for logging in to servers; erased when replaced. */
	char *secret; /* auth_query's answer, or what was typed for PAM or LDAP; NULL: none */
	uint8_t *scram_keys; /* ClientKey and ServerKey, USER_SCRAM_KEY bytes each; NULL: none */
};

enum { USER_SCRAM_KEY = 32 };

struct user *user_new(const char *name);
/* Take the row's values; NULL: all unset. */
void user_configure(struct user *user, const struct section_user *row);
/* NULL: none is known any more. */
void user_learn_secret(struct user *user, const char *secret);
void user_learn_scram_keys(struct user *user, const uint8_t *client_key, const uint8_t *server_key);
void user_free(struct user **user);

#endif
