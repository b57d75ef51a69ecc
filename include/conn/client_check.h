/* SPDX-License-Identifier: ISC */
/* client_check: holds the password that a client typed against what knows it: the stored secret,
 * PAM or an LDAP directory. What may take long runs in a thread on copies; the queues are bounded.
 */
#ifndef PGWEIR_CONN_CLIENT_CHECK_H
#define PGWEIR_CONN_CLIENT_CHECK_H

#include <stdbool.h>
#include "auth/ldap_options.h"
#include "auth/method.h"
#include "auth/secret.h"
#include "core/error.h"

struct client_check;

/* Texts are copied where it takes longer. */
struct client_check_request {
	enum auth_method method;
	const char *user, *password;
	struct secret secret;	  /* plain: as stored */
	unsigned mock_iterations; /* where there is none: make it look like SCRAM; 0: not */
	const char *remote_host;  /* PAM */
	const char *service;
	struct ldap_options *ldap;
};

enum client_check_result {
	CLIENT_CHECK_NOW,   /* *@well says whether it is right */
	CLIENT_CHECK_LATER, /* @done follows, unless *@check is abandoned */
	CLIENT_CHECK_BUSY,  /* too many are waiting already */
};

/* @why: its detail is for the log alone, and empty when there is nothing to say. */
typedef void client_check_fn(void *context, bool well, const struct error *why);

enum client_check_result client_check_begin(const struct client_check_request *request,
					    client_check_fn *done, void *context,
					    struct client_check **check, bool *well);
/* Nobody waits for it any more. */
void client_check_abandon(struct client_check **check);

#endif
