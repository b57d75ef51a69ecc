/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/stats.h"

/* What a period counted is the difference of two readings; a counter never goes back. */
void stats_roll(struct stats *stats, usec_t length)
{
#define COUNTER(name, doc) stats->period.name = stats->now.name - stats->then.name;
#include "pool/counters.def"
	stats->then = stats->now;
	stats->period_length = length;
}

static void counters_add(struct stats_counters *to, const struct stats_counters *from)
{
#define COUNTER(name, doc) to->name += from->name;
#include "pool/counters.def"
}

void stats_add(struct stats *to, const struct stats *from)
{
	counters_add(&to->now, &from->now);
	counters_add(&to->then, &from->then);
	counters_add(&to->period, &from->period);
	if (from->period_length > to->period_length)
		to->period_length = from->period_length;
}

/* Whole and rest apart: a period may be long, and bytes many. */
static uint64_t per_second(uint64_t count, usec_t length)
{
	uint64_t period = (uint64_t)length, second = (uint64_t)USEC_PER_SECOND;
	return length > 0 ? count / period * second + count % period * second / period : 0;
}

static uint64_t per_event(uint64_t total, uint64_t events)
{
	return events ? total / events : 0;
}

void stats_average(const struct stats *stats, struct stats_counters *average)
{
	const struct stats_counters *period = &stats->period;
#define COUNTER(name, doc) average->name = per_second(period->name, stats->period_length);
#include "pool/counters.def"
	average->xact_time = per_event(period->xact_time, period->xact_count);
	average->query_time = per_event(period->query_time, period->query_count);
	average->wait_time = per_event(period->wait_time, period->server_assignment_count);
}
