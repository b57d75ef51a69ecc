/* SPDX-License-Identifier: ISC */
/* tls_passphrase: asks a shell command for the passphrase of a key. Source: PostgreSQL manual,
 * ssl_passphrase_command. */
#ifndef PGWEIR_NET_TLS_PASSPHRASE_H
#define PGWEIR_NET_TLS_PASSPHRASE_H

#include <stdbool.h>
#include <stddef.h>
#include "core/clock.h"

struct error;

/* Run @command (%p is the prompt, %% a percent sign) and take the first line that it prints,
 * without its end; of a longer one, as much as fits. It blocks until the command has ended. @until
 * (clock_read()): when it must have, or it and its children are killed; 0: whenever it likes, and
 * it may ask on the terminal. False with @error; then @line is empty. The caller erases @line. */
bool tls_passphrase_ask(const char *command, usec_t until, char *line, size_t size,
			struct error *error);

#endif
