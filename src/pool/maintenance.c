/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/maintenance.h"
#include <inttypes.h>
#include <stdio.h>
#include "config/snapshot.h"
#include "core/log.h"
#include "core/loop.h"
#include "pool/pool_empty.h"
#include "pool/registry.h"

static struct loop_timer timer, expiry;
static bool is_open;
static usec_t period_began, period;
static char line[512];
static void (*on_stats)(const char *line);

static void describe(void)
{
	struct stats totals;
	struct stats_counters a;
	registry_totals(&totals);
	stats_average(&totals, &a);
	snprintf(line, sizeof line,
		 "stats: %" PRIu64 " xacts/s, %" PRIu64 " queries/s, %" PRIu64
		 " client parses/s, %" PRIu64 " server parses/s, %" PRIu64 " binds/s, %" PRIu64
		 " client logins/s, in %" PRIu64 " B/s, out %" PRIu64 " B/s, xact %" PRIu64
		 " us, query %" PRIu64 " us, wait %" PRIu64 " us",
		 a.xact_count, a.query_count, a.client_parse_count, a.server_parse_count,
		 a.bind_count, a.client_login_count, a.received, a.sent, a.xact_time, a.query_time,
		 a.wait_time);
}

static void schedule(void)
{
	period = settings_current()->stats_period;
	loop_timer_set(&timer, period_began + period);
}

static void period_ends(struct loop_timer *unused)
{
	(void)unused;
	usec_t length = clock_now() - period_began;
	registry_roll(length);
	describe();
	if (settings_current()->log_stats)
		log_info("", "%s", line);
	if (on_stats)
		on_stats(line);
	list_foreach (node, pool_all()) {
		struct pool *pool = container_of(node, struct pool, node);
		if (pool->server_count < (uint32_t)pool->min_size)
			pool_work(pool);
	}
	period_began = clock_now();
	schedule();
}

static void expire(struct loop_timer *unused)
{
	(void)unused;
	loop_timer_set(&expiry, registry_expire());
}

/* Soon, not now: whoever tells that something became empty is in the middle of it. */
void maintenance_look_for_idle(void)
{
	if (is_open)
		loop_timer_set(&expiry, clock_now());
}

void maintenance_open(void)
{
	loop_timer_init(&timer, period_ends);
	period_began = clock_now();
	loop_timer_init(&expiry, expire);
	pool_empty_on_first(maintenance_look_for_idle);
	is_open = true;
	schedule();
	maintenance_look_for_idle();
}

void maintenance_reconfigured(void)
{
	if (settings_current()->stats_period != period)
		schedule();
	maintenance_look_for_idle();
}

void maintenance_close(void)
{
	is_open = false;
	pool_empty_on_first(NULL);
	loop_timer_fini(&timer);
	loop_timer_fini(&expiry);
}

const char *maintenance_stats_line(void)
{
	return line;
}

void maintenance_on_stats(void (*callback)(const char *))
{
	on_stats = callback;
}
