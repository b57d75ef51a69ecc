/* SPDX-License-Identifier: ISC */
/* show_process: the SHOWs about the process itself. Contract section 16. */
#ifndef PGWEIR_ADMIN_SHOW_PROCESS_H
#define PGWEIR_ADMIN_SHOW_PROCESS_H

#include "admin/show.h"

/* The SHOWs of this room; *@count: how many. */
const struct show *show_process_list(unsigned *count);

#endif
