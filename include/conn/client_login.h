/* SPDX-License-Identifier: ISC */
/* client_login: what is known of a client from its StartupMessage until it is logged in, and the
 * exchange in which it proves who it is, as steps on messages: the caller carries the bytes. Memory
 * of it is bounded by the start-up packet's and gone after the login. Contract sections 5, 9. */
#ifndef PGWEIR_CONN_CLIENT_LOGIN_H
#define PGWEIR_CONN_CLIENT_LOGIN_H

#include <stdbool.h>
#include "auth/hba_match.h"
#include "auth/method.h"
#include "auth/scram.h"
#include "auth/system_user.h"
#include "conn/auth_query.h"
#include "conn/derive.h"
#include "conn/endpoint.h"
#include "conn/parameter.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/loop.h"
#include "net/resolver.h"
#include "proto/startup.h"

enum { CLIENT_LOGIN_OUT_MAX = 16384 };

/* What is awaited of the client. */
enum client_login_exchange {
	EXCHANGE_NONE,
	EXCHANGE_PASSWORD, /* in clear text */
	EXCHANGE_MD5,
	EXCHANGE_SASL_FIRST,
	EXCHANGE_SASL_FINAL,
};

struct client;
struct client_check;
struct settings;

struct client_login {
	struct client *client; /* whose it is; for callbacks */
	char *user, *database;
	char *sent_user;		  /* if auth_query named another one; else NULL */
	struct parameter_set *parameters; /* that the client asked for */
	enum replication replication;	  /* what it wants to be */
	char *startup;	     /* then its start-up parameters, as in the packet; else NULL */
	size_t startup_size; /* of these, with the NUL at the end */
	size_t secret_size;  /* of its cancel key, as its protocol has it */
	/* proving who it is */
	enum auth_method auth_type; /* as the settings have it */
	enum auth_method method;    /* ... or the rule that holds */
	char *demand;		    /* what that rule asks for, as text; NULL: there is none */
	char *map;		    /* of the HBA rule: for names of cert and peer; NULL: none */
	char *mapped;		    /* ... the one that was permitted; NULL: none was asked for */
	bool wants_subject;	    /* ... cert: the whole subject is the name */
	struct secret secret;	    /* of the user, as stored; its text is owned, and erased */
	bool is_known;		    /* there is such a user */
	uint64_t list_serial;	    /* of the list where it was looked up */
	bool was_queried;	    /* ... as auth_query says */
	bool was_cached;	    /* ... and said a while ago */
	bool has_asked_again;	    /* ... for this login: once is enough */
	char *service;		    /* PAM: of the rule; NULL: as set */
	bool wants_host_name;	    /* PAM: of the rule: tell it that */
	char *host_name;	    /* PAM: of where the client is; NULL: its address will do */
	struct ldap_options *ldap;  /* of the rule; NULL: as set */
	char *password; /* what it typed, where a check or a server needs it; erased too */
	char *answer;	/* to the MD5 challenge; for a second look */
	enum client_login_exchange exchange;
	uint8_t salt[4];
	bool began_sasl;
	struct scram_server scram;
	uint8_t binding[SCRAM_BINDING_MAX]; /* channel binding data of its TLS connection */
	size_t binding_size;		    /* 0: none */
	/* what is under way for it */
	struct hba_search search;
	struct auth_query_wish wish;
	struct resolver_query lookup;
	struct client_check *check;	 /* in a thread */
	struct derive *derive;		 /* likewise */
	bool has_derived;		 /* once is enough, also if it failed */
	struct system_user *system_user; /* likewise */
	struct loop_timer delay;
	struct error *failure; /* told when the delay is over; NULL: there is none */
};

enum client_login_step {
	CLIENT_LOGIN_MORE,   /* a message of the client is awaited; *out may have a challenge */
	CLIENT_LOGIN_PROVEN, /* it is who it says it is; *out may have SASLFinal (AuthenticationOk
				not) */
	CLIENT_LOGIN_CHECK,  /* login->password is to be checked elsewhere */
	CLIENT_LOGIN_FAILED, /* error is what it is told */
};

struct client_login *client_login_new(struct client *client);
void client_login_free(struct client_login **login);

/* The secret of its user is this (copied, but for its parts, which are valid until the exchange has
 * begun); NULL: none. */
void client_login_take_secret(struct client_login *login, const struct secret *secret);

/* Read a StartupMessage's parameters; @settings: what is to be ignored or refused. False: refused.
 */
bool client_login_startup(struct client_login *login, const struct startup *startup,
			  const struct settings *settings, struct error *error);

/* Begin the exchange of the method: *@out gets the question. The user's secret is in the login;
 * that there is none shows only at the end. @iterations: of what is made from a plain secret, or of
 * a mock; @mock_is_scram: what to ask an unknown user for where that depends on the secret. */
enum client_login_step client_login_begin(struct client_login *login, unsigned iterations,
					  bool mock_is_scram, struct buffer **out,
					  struct error *error);
/* A message of type 'p'. */
enum client_login_step client_login_answer(struct client_login *login,
					   const struct message *message, struct buffer **out,
					   struct error *error);
/* The name that the client sent: rules, and auth_query, know it by that, whatever the query named
 * it. */
const char *client_login_sent_name(const struct client_login *login);
/* Does its answer to the MD5 challenge fit the secret that is known now? */
bool client_login_answer_fits(const struct client_login *login);
/* What a client is told whose proof is wrong, whichever the reason. Returns false. */
bool client_login_mismatch(const struct client_login *login, struct error *error);

#endif
