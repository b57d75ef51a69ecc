/* SPDX-License-Identifier: ISC */
/* time_limit: the limits of time that are in force for a client: of its own user's row, else of its
 * database's, else the global ones. A forced user's row is for those who log in as that user. */
#ifndef PGWEIR_POOL_TIME_LIMIT_H
#define PGWEIR_POOL_TIME_LIMIT_H

#include "pool/database.h"
#include "pool/user.h"

/* 0: no limit. */
struct time_limits {
	usec_t query_timeout, query_wait_timeout, query_wait_notify, idle_transaction_timeout,
		transaction_timeout, client_idle_timeout, client_login_timeout, cancel_wait_timeout;
	enum timeout_action query_timeout_action;
};

/* The console's clients have none. */
struct time_limits time_limits_of(const struct database *database, const struct user *user);

#endif
