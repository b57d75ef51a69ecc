/* SPDX-License-Identifier: ISC */
/* limit: every max_* rule, and the only writer of the counts they are about. Contract sections
 * 2, 13. */
#ifndef PGWEIR_POOL_LIMIT_H
#define PGWEIR_POOL_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include "pool/database.h"
#include "pool/user.h"

struct error;

/* A client connection began or ended, whatever becomes of it. */
void limit_connection_opened(void);
void limit_connection_closed(void);
uint32_t limit_connections(void);

/* May one more client be served (max_client_conn)? Asked after its start-up packet; the console is
 * exempt. */
bool limit_admits_connection(struct error *error);
/* May one more come in, of whom nothing is known yet? Those that have not logged in may be so many
 * beyond max_client_conn, so that the console and CancelRequests find a way in. */
enum { LIMIT_ENTRANCE = 100 };
bool limit_admits_entrant(struct error *error);
/* May this client of @database and @user be admitted after authentication? Then count it. */
bool limit_admits_client(const struct database *database, const struct user *user,
			 struct error *error);
void limit_client_added(struct database *database, struct user *user);
void limit_client_removed(struct database *database, struct user *user);

/* May another server connection be opened? Which bound says no. */
enum limit_verdict { LIMIT_FREE, LIMIT_DATABASE, LIMIT_USER };
enum limit_verdict limit_admits_server(const struct database *database, const struct user *user);
/* Is this one of the bounds reached? */
bool limit_is_reached(enum limit_verdict bound, const struct database *database,
		      const struct user *user);
/* Are there more server connections than a bound allows, since it was lowered? */
bool limit_is_exceeded(const struct database *database, const struct user *user);
void limit_server_added(struct database *database, struct user *user);
void limit_server_removed(struct database *database, struct user *user);

/* Values in force; 0: no limit. */
int limit_database_servers(const struct database *database);
int limit_database_clients(const struct database *database);
int limit_user_servers(const struct user *user);
int limit_user_clients(const struct user *user);

#endif
