/* SPDX-License-Identifier: ISC */
/* client_login: a client's way from its StartupMessage to being proven, as steps on messages: the
 * caller carries the bytes and knows databases. Memory of it is bounded by the start-up packet's
 * and gone after the login. Contract sections 5, 9. */
#ifndef PGWEIR_CONN_CLIENT_LOGIN_H
#define PGWEIR_CONN_CLIENT_LOGIN_H

#include <stdbool.h>
#include "auth/scram.h"
#include "config/settings.h"
#include "conn/parameter.h"
#include "core/buffer.h"
#include "core/error.h"
#include "proto/startup.h"

enum { CLIENT_LOGIN_OUT_MAX = 16384 };

struct client_login {
	char *user, *database;
	struct parameter_set *parameters; /* the tracked ones that the client asked for */
	bool began_sasl, in_sasl;
	struct scram_server scram;
};

enum client_login_step {
	CLIENT_LOGIN_MORE,   /* a message of the client is awaited; *out may have a challenge */
	CLIENT_LOGIN_PROVEN, /* it is who it says it is; *out may have SASLFinal (AuthenticationOk
				not) */
	CLIENT_LOGIN_FAILED, /* error is what it is told */
};

struct client_login *client_login_new(void);
void client_login_free(struct client_login **login);

/* Read a StartupMessage's parameters. @ignored: comma list of names to ignore
 * (ignore_startup_parameters). False: refused. */
bool client_login_startup(struct client_login *login, const struct startup *startup,
			  const char *ignored, struct error *error);
/* Begin to authenticate. @secret: NULL: no such user, which shows only at the end. @iterations:
 * scram_iterations. */
enum client_login_step client_login_begin(struct client_login *login, enum auth_type method,
					  const struct secret *secret, unsigned iterations,
					  struct buffer **out, struct error *error);
/* A message of type 'p'. */
enum client_login_step client_login_answer(struct client_login *login,
					   const struct message *message, struct buffer **out,
					   struct error *error);

#endif
