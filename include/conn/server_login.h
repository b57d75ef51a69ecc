/* SPDX-License-Identifier: ISC */
/* server_login: our side of logging in to PostgreSQL, from StartupMessage to the first
 * ReadyForQuery, as steps on messages: the caller carries the bytes. Trust, cleartext, MD5 and
 * SCRAM-SHA-256. Protocol 3.2 is asked for, and whatever older 3 the server speaks is taken. Some
 * do not know how to say that, and end the connection: ->has_heard says whether one might.
 * Source: manual, "Start-up", "Protocol Versions". */
#ifndef PGWEIR_CONN_SERVER_LOGIN_H
#define PGWEIR_CONN_SERVER_LOGIN_H

#include <stdbool.h>
#include <stdint.h>
#include "auth/scram.h"
#include "auth/secret.h"
#include "conn/derive.h"
#include "conn/parameter.h"
#include "core/buffer.h"
#include "core/error.h"
#include "proto/message.h"

struct server_login {
	char *user;
	char *secret;  /* as stored; erased when freed */
	bool has_keys; /* of a client's own login */
	struct scram_keys keys;
	uint8_t binding[SCRAM_BINDING_MAX]; /* of the TLS connection */
	size_t binding_size;		    /* 0: none */
	struct derive *derive;		    /* under way */
	struct scram_client scram;
	uint16_t minor; /* asked for, then agreed on */
	bool has_heard; /* more than that it does not want to talk to us */
	bool has_answered, scram_begun, must_derive, scram_verified, authenticated;
	bool ready;			  /* ReadyForQuery came */
	struct buffer *welcome;		  /* the ParameterStatus messages */
	struct parameter_set *parameters; /* the tracked ones of them */
	uint32_t process_id;
	uint8_t key[256];
	uint16_t key_size;
};

enum server_login_step {
	SERVER_LOGIN_MORE,    /* wait for the next message; *out may have an answer */
	SERVER_LOGIN_DERIVE,  /* keys must be derived: server_login_derivation(), _derived() */
	SERVER_LOGIN_DONE,    /* ReadyForQuery came; notices and parameters may be behind it, and
				 nothing else */
	SERVER_LOGIN_REFUSED, /* the server said no: the error is its own */
	SERVER_LOGIN_BROKEN,  /* it broke the protocol, or asked for what we do not have */
};

/* @secret: may be NULL or of any kind. @keys: for a server that holds the same SCRAM secret as we
 * (or NULL). @binding: channel binding data, size 0: none. All are copied. */
struct server_login *server_login_new(const char *user, const char *secret,
				      const struct scram_keys *keys, const uint8_t *binding,
				      size_t binding_size);
void server_login_free(struct server_login **login);
enum { SERVER_LOGIN_MINOR_MAX = 2 };
/* The StartupMessage of protocol 3.@minor. @names_values as in startup_put_message(). */
bool server_login_start(struct server_login *login, uint16_t minor, const char *const *names_values,
			struct buffer **out);
/* After SERVER_LOGIN_DERIVE: what to derive, and the answer when that is done. */
void server_login_derivation(const struct server_login *login, struct scram_derivation *derivation);
bool server_login_derived(struct server_login *login, const struct scram_derivation *derivation,
			  struct buffer **out, struct error *error);
enum server_login_step server_login_message(struct server_login *login,
					    const struct message *message, struct buffer **out,
					    struct error *error);

#endif
