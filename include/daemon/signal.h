/* SPDX-License-Identifier: ISC */
/* signal: what each signal does: HUP reloads, TERM and INT shut down gracefully (a second one at
 * once), QUIT at once, USR1 pauses, USR2 resumes; PIPE is ignored. Contract section 7. */
#ifndef PGWEIR_DAEMON_SIGNAL_H
#define PGWEIR_DAEMON_SIGNAL_H

/* From now on; the loop is open. loop_close() ends it. */
void signal_open(void);

#endif
