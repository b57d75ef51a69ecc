/* SPDX-License-Identifier: ISC */
/* inspect: what the command line may ask about a configuration instead of starting: --check-config,
 * --show-config, --print-config. */
#ifndef PGWEIR_DAEMON_INSPECT_H
#define PGWEIR_DAEMON_INSPECT_H

#include <stdbool.h>

struct error;

/* From here on mistakes are collected: each is a line on standard error. Before what the
 * environment and the command line say of settings is read, so that it is checked too. */
void inspect_begin(void);
/* Load what @path (NULL: no file) names, as a start and then the user whom root would become do.
 * Returns whether there was no mistake, also since inspect_begin(). */
bool inspect_check(const char *path);
/* Print every setting, with its default and where its value comes from; secrets are masked. */
bool inspect_show(const char *path, struct error *error);
bool inspect_print_sample(void);

#endif
