/* SPDX-License-Identifier: ISC */
/* show_net: the SHOWs about the network: host names and DNS zones. Contract section 16. */
#ifndef PGWEIR_ADMIN_SHOW_NET_H
#define PGWEIR_ADMIN_SHOW_NET_H

#include "admin/show.h"

/* The SHOWs of this room; *@count: how many. */
const struct show *show_net_list(unsigned *count);

#endif
