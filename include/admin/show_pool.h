/* SPDX-License-Identifier: ISC */
/* show_pool: the SHOWs about pools, databases, users and lists. Contract section 16. */
#ifndef PGWEIR_ADMIN_SHOW_POOL_H
#define PGWEIR_ADMIN_SHOW_POOL_H

#include "admin/show.h"

/* The SHOWs of this room; *@count: how many. */
const struct show *show_pool_list(unsigned *count);

#endif
