/* SPDX-License-Identifier: ISC */
/* systemd: inherited sockets, readiness, status line and watchdog (sd_notify(3), sd_listen_fds(3)).
 * Every call is harmless where no service manager runs us. Contract section 8. */
#ifndef PGWEIR_DAEMON_SYSTEMD_H
#define PGWEIR_DAEMON_SYSTEMD_H

#include <stdbool.h>
#include "net/listener.h"

struct error;

/* Look who started us: takes note of inherited sockets. First of all, since it counts for this
 * process only. */
bool systemd_open(struct error *error);
/* Are there inherited sockets, to be used instead of our own? */
bool systemd_has_sockets(void);
/* Listen on them all. */
bool systemd_listen(const struct socket_options *options, listener_accept_fn *accept,
		    struct error *error);

void systemd_ready(void);
/* A reload begins; systemd_ready() ends it. */
void systemd_reloading(void);
void systemd_stopping(void);
/* One line for `systemctl status`. */
void systemd_status(const char *line);

/* Report that the loop turns, twice as often as the service manager asks for. The loop is open. */
void systemd_start_watchdog(void);
void systemd_stop_watchdog(void);

#endif
