/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/signal.h"
#include "daemon/systemd.h"
#include "admin/control.h"
#include "conn/gate.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "pool/pool.h"
#include <signal.h>
#include <stddef.h>

static void reload(int number)
{
	struct error error;
	(void)number;
	log_info("", "got SIGHUP, re-reading config");
	systemd_reloading();
	if (!control_reload(&error))
		log_warning("",
			    "config file loading failed, the old configuration stays in force: %s",
			    error.message);
	systemd_ready();
}

static void shut_down(const char *name, const char *waiting_for, enum gate_shutdown how)
{
	systemd_stopping();
	if (gate_state() != GATE_OPEN) {
		log_info("", "got %s while shutting down, fast exit", name);
		how = GATE_IMMEDIATE;
	} else {
		log_info("", "got %s, shutting down, waiting for %s", name, waiting_for);
	}
	control_shutdown(how);
}

static void terminate(int number)
{
	(void)number;
	shut_down("SIGTERM", "all clients disconnect", GATE_WAIT_FOR_CLIENTS);
}

static void interrupt(int number)
{
	(void)number;
	shut_down("SIGINT", "all servers connections to be released", GATE_WAIT_FOR_SERVERS);
}

static void quit(int number)
{
	(void)number;
	log_info("", "got SIGQUIT, fast exit");
	systemd_stopping();
	control_shutdown(GATE_IMMEDIATE);
}

static void pause_all(int number)
{
	(void)number;
	if (gate_state() != GATE_OPEN) {
		log_info("", "got SIGUSR1 while shutting down, ignoring");
	} else if (pool_all_paused()) {
		log_info("", "got SIGUSR1, but already paused/suspended");
	} else {
		log_info("", "got SIGUSR1, pausing all activity");
		control_pause_all();
	}
}

static void resume_all(int number)
{
	struct error error;
	(void)number;
	if (gate_state() != GATE_OPEN) {
		log_info("", "got SIGUSR2 while shutting down, ignoring");
	} else if (!pool_all_paused()) {
		log_info("", "got SIGUSR2, but not paused/suspended");
	} else {
		log_info("", "got SIGUSR2, continuing from PAUSE");
		if (!control_resume_all(&error))
			log_error("", "could not resume: %s", error.message);
	}
}

void signal_open(void)
{
	static const struct {
		int number;
		void (*callback)(int number);
	} actions[] = {
		{SIGHUP, reload}, {SIGTERM, terminate}, {SIGINT, interrupt},
		{SIGQUIT, quit},  {SIGUSR1, pause_all}, {SIGUSR2, resume_all},
	};
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		loop_on_signal(actions[i].number, actions[i].callback);
}
