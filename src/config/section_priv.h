/* SPDX-License-Identifier: ISC */
/* What the snapshot asks of rows and nobody else does. */
#ifndef PGWEIR_CONFIG_SECTION_PRIV_H
#define PGWEIR_CONFIG_SECTION_PRIV_H

#include <stdbool.h>
#include "config/section.h"

/* Note in @later each setting of a later version that the row overrides. */
void section_note_later_database(const struct section_database *row, bool later[SETTING_COUNT]);
void section_note_later_user(const struct section_user *row, bool later[SETTING_COUNT]);

#endif
