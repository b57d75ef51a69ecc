/* SPDX-License-Identifier: ISC */
/* pam: is this the user's password, by the PAM service's word? Blocks, perhaps for seconds: to be
 * called in core/offload. Sources: the Linux-PAM Application Developers' Guide; PostgreSQL manual,
 * "PAM Authentication". */
#ifndef PGWEIR_AUTH_PAM_H
#define PGWEIR_AUTH_PAM_H

#include <stdbool.h>

struct error;

struct pam_options {
	const char *service;
	const char *directory; /* where its file lies; NULL: where the system has them */
};

/* False: pgweir was built without PAM; @error says so, for a setting that asks for it. */
bool pam_is_available(struct error *error);

/* Authenticate, then see whether the account may be used now. The modules are given the password
 * once, at their first question with the echo off; one that asks further fails. @remote_host may be
 * NULL. An empty password is refused before a module is asked.
 *
 * False: the message is what the client may be told, "PAM authentication failed"; the SQLSTATE is
 * 28P01 when the user is refused, 58000 when the service does not work; the detail is for the log
 * only. Any thread. */
bool pam_check(const struct pam_options *options, const char *user, const char *password,
	       const char *remote_host, struct error *error);

#endif
