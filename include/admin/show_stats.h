/* SPDX-License-Identifier: ISC */
/* show_stats: the SHOWs about counters and averages. Contract section 16. */
#ifndef PGWEIR_ADMIN_SHOW_STATS_H
#define PGWEIR_ADMIN_SHOW_STATS_H

#include "admin/show.h"

/* The SHOWs of this room; *@count: how many. */
const struct show *show_stats_list(unsigned *count);

#endif
