/* SPDX-License-Identifier: ISC */
/* close_reason: why a connection ends: what is logged, and what the client is told. Rows of
 * close_reasons.def. */
#ifndef PGWEIR_POOL_CLOSE_REASON_H
#define PGWEIR_POOL_CLOSE_REASON_H

#include <stdbool.h>
#include "core/error.h"

enum close_reason {
#define CLOSE_REASON(name, text, sqlstate) CLOSE_##name,
#include "pool/close_reasons.def"
	CLOSE_REASON_COUNT
};

const char *close_reason_text(enum close_reason reason);
/* Fill in what a client is told. False: it is told nothing. */
bool close_reason_error(enum close_reason reason, struct error *error);

#endif
