/* SPDX-License-Identifier: ISC */
/* tracking: another list of tracked parameters while connections are there. What pools and clients
 * know of values is made anew for it; servers, which reported by the old list, are replaced. */
#ifndef PGWEIR_CONN_TRACKING_H
#define PGWEIR_CONN_TRACKING_H

/* Track what track_extra_parameters says now. Nothing happens if that is what it said before. */
void tracking_renew(void);

#endif
