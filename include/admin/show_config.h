/* SPDX-License-Identifier: ISC */
/* show_config: the SHOWs about settings. Contract section 16. */
#ifndef PGWEIR_ADMIN_SHOW_CONFIG_H
#define PGWEIR_ADMIN_SHOW_CONFIG_H

#include "admin/show.h"

/* The SHOWs of this room; *@count: how many. */
const struct show *show_config_list(unsigned *count);

#endif
