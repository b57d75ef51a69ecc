/* SPDX-License-Identifier: ISC */
/* show_conn: the SHOWs about clients and servers. Contract section 16. */
#ifndef PGWEIR_ADMIN_SHOW_CONN_H
#define PGWEIR_ADMIN_SHOW_CONN_H

#include "admin/show.h"

/* The SHOWs of this room; *@count: how many. */
const struct show *show_conn_list(unsigned *count);

#endif
