/* SPDX-License-Identifier: ISC */
/* control: PAUSE, RESUME, RELOAD, KILL and kin: a few lines of calls downward each. Signals do the
 * same. Contract sections 7, 15. */
#ifndef PGWEIR_ADMIN_CONTROL_H
#define PGWEIR_ADMIN_CONTROL_H

#include <stdbool.h>
#include "admin/command.h"
#include "conn/gate.h"
#include "core/error.h"
#include "pool/database.h"

/* What the daemon does when a new configuration is in force (log files, tuning). */
struct control_ops {
	void (*applied)(void);
};
void control_set_ops(const struct control_ops *ops);

/* Read the configuration again: all of it is put in force, or nothing (false). */
bool control_reload(struct error *error);
void control_pause_all(void);
/* Undo PAUSE; when that is not in force, what holds single databases (KILL, PAUSE of a database).
 * False: nothing does. */
bool control_resume_all(struct error *error);
void control_shutdown(enum gate_shutdown how);
/* Called when something was resumed: whoever waits for a PAUSE may wait in vain. One listener. */
void control_on_resume(void (*callback)(void));

/* How a command ended. */
enum control_end {
	CONTROL_DONE,
	CONTROL_FAILED, /* the error says why */
	CONTROL_PAUSES, /* to be answered when control_look() says so */
	CONTROL_CLOSES, /* likewise, for WAIT_CLOSE */
	CONTROL_GONE,	/* the process exits; nothing is answered */
};
typedef enum control_end control_fn(const struct command_words *words, struct error *error);

control_fn control_command_reload, control_command_pause, control_command_resume,
	control_command_disable, control_command_enable, control_command_reconnect,
	control_command_kill, control_command_kill_client, control_command_wait_close,
	control_command_shutdown, control_command_set;

/* What PAUSE or WAIT_CLOSE of this database (NULL: all) waits for. */
enum control_progress {
	CONTROL_WAITS,
	CONTROL_OVER,
	CONTROL_UNDONE, /* it never will be: somebody resumed */
};
enum control_progress control_look(enum control_end what, const char *database);
/* Who waits for a PAUSE gave up (cancelled, or gone): take it back. PgBouncer does so for a
 * cancelled PAUSE of all databases only, and else stays paused with nobody who knows. */
void control_take_back(const char *database);

#endif
