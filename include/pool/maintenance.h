/* SPDX-License-Identifier: ISC */
/* maintenance: timed work on pools as wholes: roll averages, log the stats line, reach
 * min_pool_size. */
#ifndef PGWEIR_POOL_MAINTENANCE_H
#define PGWEIR_POOL_MAINTENANCE_H

/* Start the periods; stats_period is taken from the settings at each period's end. */
void maintenance_open(void);
void maintenance_close(void);
/* The last "stats: ..." line, for systemd's STATUS. */
const char *maintenance_stats_line(void);
/* Called with each new line. */
void maintenance_on_stats(void (*callback)(const char *line));

#endif
