/* SPDX-License-Identifier: ISC */
/* console: the admin pseudo-database: commands.def and the SHOWs, over the simple and the extended
 * protocol. Contract section 15. */
#ifndef PGWEIR_ADMIN_CONSOLE_H
#define PGWEIR_ADMIN_CONSOLE_H

#include "admin/control.h"
#include "admin/show.h"

/* Fill in console_ops. */
void console_open(void);
void console_close(void);

/* The tables, for the manual: row @i, or NULL behind the last. */
struct command {
	const char *words, *argument, *help;
	bool admins_only;
	control_fn *run;
};
const struct command *command_row(unsigned i);
const struct show *show_row(unsigned i);

#endif
