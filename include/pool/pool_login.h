/* SPDX-License-Identifier: ISC */
/* pool_login: what the end of a login means to a pool: the welcome for its clients, or a failure,
 * kept until the next attempt. */
#ifndef PGWEIR_POOL_POOL_LOGIN_H
#define PGWEIR_POOL_POOL_LOGIN_H

#include "pool/pool_member.h"

/* A server of the pool logged in: @taken are its ParameterStatus messages (NULL: it sent none),
 * @taken_parameters what the conn layer keeps beside them (never NULL). */
void pool_login_succeeded(struct pool *pool, struct buffer *taken, void *taken_parameters);
/* It could not be reached (@refused false), or it refused the login with @error. */
void pool_login_failed(struct pool *pool, bool refused, const struct error *error);
/* @server's login was refused: the same, unless what it logged in with is outdated. */
void pool_login_refused(struct pool_server *server, const struct error *error);
/* One of its hosts could not be used, or is starting up: @server found out. The others are tried at
 * once, and when they all failed, all again after the pause. */
void pool_host_failed(struct pool_server *server, const char *host, const struct error *error);
/* Is the pool's server known to refuse logins just now, or out of reach for too long? Then @error
 * says what the client is told.
 */
bool pool_explain_failure(const struct pool *pool, struct error *error);
static inline bool pool_is_failing(const struct pool *pool, struct error *error)
{
	return (pool->login_failed | pool->is_unreachable) && pool_explain_failure(pool, error);
}

/* As if nobody had logged in yet, or failed to. */
void pool_forget_welcome(struct pool *pool);
/* How its servers may be logged in to, as a client's own login showed. @comes_first: also where
 * auth_file lists another secret. What was learned outlives servers, and changes of the row: the
 * clients that taught it are still there. What is new ends the pause after a refused login, a few
 * times in each: the login is tried again soon. */
void pool_learn_secret(struct pool *pool, const char *secret, bool comes_first);
/* Whatever was learned before is not more than that. */
void pool_prefer_listed(struct pool *pool);
void pool_learn_keys(struct pool *pool, const uint8_t *client_key, const uint8_t *server_key);
void pool_forget_learned(struct pool *pool);
/* What was made of it for clients: it depends on the database's row, too. */
void pool_forget_greeting(struct pool *pool);
void pool_forget_failure(struct pool *pool);
/* The configuration is another one: the same. */
void pool_has_other_ways(struct pool *pool);

#endif
