/* SPDX-License-Identifier: ISC */
/* maintenance: what is done at the end of each stats_period: roll averages, log the stats line,
 * fill pools that could not reach their min_pool_size when they wanted to. */
#ifndef PGWEIR_POOL_MAINTENANCE_H
#define PGWEIR_POOL_MAINTENANCE_H

/* Start the periods of stats_period. */
void maintenance_open(void);
/* There are new settings: a changed stats_period holds from now on, counted from when the period
 * began. */
void maintenance_reconfigured(void);
void maintenance_close(void);
/* Settings changed: pools and automatic databases that nobody uses may be due, or due at another
 * time. */
void maintenance_look_for_idle(void);
/* The last "stats: ..." line, for systemd's STATUS. */
const char *maintenance_stats_line(void);
/* Called with each new line. */
void maintenance_on_stats(void (*callback)(const char *line));

#endif
