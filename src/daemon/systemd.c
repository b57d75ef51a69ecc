/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/systemd.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

static int inherited; /* sockets, from SD_LISTEN_FDS_START on */
static struct loop_timer watchdog;
static usec_t watchdog_period;

bool systemd_open(struct error *error)
{
	inherited = sd_listen_fds(1);
	if (inherited >= 0)
		return true;
	error_set(error, SQLSTATE_SYSTEM_ERROR,
		  "could not take the sockets of the service manager: %s", strerror(-inherited));
	inherited = 0;
	return false;
}

bool systemd_has_sockets(void)
{
	return inherited > 0;
}

bool systemd_listen(const struct socket_options *options, listener_accept_fn *accept,
		    struct error *error)
{
	for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + inherited; fd++) {
		if (!listener_adopt(fd, options, accept, error))
			return error_prefix(error, "socket passed from service manager (fd %d)",
					    fd);
	}
	return true;
}

/* What a service manager thinks of it is nothing we could mend. */
static void notify(const char *state)
{
	int result = sd_notify(0, state);
	if (result < 0)
		log_debug("", "could not notify the service manager: %s", strerror(-result));
}

void systemd_ready(void)
{
	notify("READY=1");
}

void systemd_reloading(void)
{
	/* Type=notify-reload wants to know that this answers its signal and no earlier one. */
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t usec = (int64_t)now.tv_sec * USEC_PER_SECOND + now.tv_nsec / 1000;
	int result = sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, usec);
	if (result < 0)
		log_debug("", "could not notify the service manager: %s", strerror(-result));
}

void systemd_stopping(void)
{
	notify("STOPPING=1");
}

void systemd_status(const char *line)
{
	int result = sd_notifyf(0, "STATUS=%s", line);
	if (result < 0)
		log_debug("", "could not notify the service manager: %s", strerror(-result));
}

static void feed(struct loop_timer *timer)
{
	notify("WATCHDOG=1");
	loop_timer_set(timer, clock_now() + watchdog_period);
}

void systemd_start_watchdog(void)
{
	uint64_t limit = 0;
	loop_timer_init(&watchdog, feed);
	if (sd_watchdog_enabled(0, &limit) <= 0)
		return;
	watchdog_period = (usec_t)(limit / 2);
	feed(&watchdog);
}

void systemd_stop_watchdog(void)
{
	loop_timer_fini(&watchdog);
}
