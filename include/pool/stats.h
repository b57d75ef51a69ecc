/* SPDX-License-Identifier: ISC */
/* stats: counters of a database and their averages over the last period. Rows of counters.def;
 * every counter of the process is counted here. Times are microseconds of loop turns. Contract
 * section 16, SHOW STATS. */
#ifndef PGWEIR_POOL_STATS_H
#define PGWEIR_POOL_STATS_H

#include <stdint.h>
#include "core/clock.h"

struct stats_counters {
#define COUNTER(name, doc) uint64_t name;
#include "pool/counters.def"
};

struct stats {
	struct stats_counters now;
	struct stats_counters then;   /* at the beginning of the current period */
	struct stats_counters period; /* what the last whole period counted */
	usec_t period_length;	      /* of the last whole period; 0: none yet */
};

/* End a period of this length. */
void stats_roll(struct stats *stats, usec_t length);
/* Add @from's counters to @to (totals over databases, or of a database that goes away). */
void stats_add(struct stats *to, const struct stats *from);
/* Averages of the last whole period: counts are per second, times per event. */
void stats_average(const struct stats *stats, struct stats_counters *average);

#endif
