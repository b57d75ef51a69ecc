/* SPDX-License-Identifier: ISC */
/* client_check: holds the password that a client typed against what knows it: the stored secret, PAM
 * or an LDAP directory. What may take long runs in a thread on copies; the queues are bounded. */
#ifndef PGWEIR_CONN_CLIENT_CHECK_H
#define PGWEIR_CONN_CLIENT_CHECK_H

#include <stdbool.h>
#include "core/error.h"
#include "net/address.h"

struct client_login;
struct client_check;

enum client_check_result {
	CLIENT_CHECK_NOW,   /* *@well says whether it is right */
	CLIENT_CHECK_LATER, /* @done follows, unless abandoned */
	CLIENT_CHECK_BUSY,  /* too many are waiting already: @error is for the client */
};

/* Check login->password for the method of the login. @why of @done is for the log alone, and empty
 * when there is nothing to say. */
enum client_check_result
client_check_begin(struct client_login *login, const struct address *remote,
		   void (*done)(struct client_login *login, bool well, const struct error *why),
		   bool *well, struct error *error);
/* Nobody waits for it any more. */
void client_check_abandon(struct client_check **check);

#endif
