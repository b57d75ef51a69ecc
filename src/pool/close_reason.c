/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/close_reason.h"

static const struct {
	const char *text;
	enum sqlstate sqlstate;
} reasons[] = {
#define CLOSE_REASON(name, text, sqlstate) {text, SQLSTATE_##sqlstate},
#include "pool/close_reasons.def"
};

const char *close_reason_text(enum close_reason reason)
{
	return reasons[reason].text;
}

bool close_reason_error(enum close_reason reason, struct error *error)
{
	if (reasons[reason].sqlstate == SQLSTATE_SUCCESSFUL_COMPLETION)
		return false;
	error_set(error, reasons[reason].sqlstate, "%s", reasons[reason].text);
	return true;
}
