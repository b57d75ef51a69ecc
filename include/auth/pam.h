/* SPDX-License-Identifier: ISC */
/* pam: checks a password by Linux-PAM. Blocks: for a thread. Without the library nobody passes. */
#ifndef PGWEIR_AUTH_PAM_H
#define PGWEIR_AUTH_PAM_H

#include <stdbool.h>

struct error;

/* Was it built with PAM? */
bool pam_is_built_in(void);
/* Authenticate @user with @password by the service, a file in /etc/pam.d, or an absolute path: then
 * the directory that has it. @remote_host: where the user is. False: @error says why, for the log;
 * it never has the password. */
bool pam_check(const char *service, const char *user, const char *password, const char *remote_host,
	       struct error *error);

#endif
