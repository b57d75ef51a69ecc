/* SPDX-License-Identifier: ISC */
/* stranger: what a name that is nobody's is asked. It must look like the others: as most that
 * auth_query answered since the start, or that are in auth_file, would be asked. */
#ifndef PGWEIR_CONN_STRANGER_H
#define PGWEIR_CONN_STRANGER_H

#include <stdbool.h>
#include "auth/secret.h"

/* auth_query answered this secret, or that there is none. */
void stranger_note_queried(const struct secret *secret);
/* Does it answer passwords in plain text, from which keys must be derived? */
bool stranger_may_be_plain(void);

/* Is a stranger asked for SCRAM where that depends on the secret? */
bool stranger_is_scram(void);
/* ... and with how many iterations. @of_plain: plain secrets count, made into SCRAM. */
unsigned stranger_iterations(bool of_plain);

#endif
