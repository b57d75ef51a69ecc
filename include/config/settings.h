/* SPDX-License-Identifier: ISC */
/* settings: the typed values made from settings.def, the one table of all settings of [pgbouncer]
 * (or [pgweir]): struct fields, parser, ranges, SHOW CONFIG, SET, reload rule, manual and sample
 * file. Contract section 2. */
#ifndef PGWEIR_CONFIG_SETTINGS_H
#define PGWEIR_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include "auth/method.h"
#include "core/clock.h"

struct error;

enum pool_mode { POOL_MODE_SESSION, POOL_MODE_TRANSACTION, POOL_MODE_STATEMENT, POOL_MODE_UNSET };
/* Behind those that auth_type may name. */
#define AUTH_UNSET ((enum auth_method)(AUTH_SCRAM_SHA_256 + 1))
enum sslmode {
	SSLMODE_DISABLE,
	SSLMODE_ALLOW,
	SSLMODE_PREFER,
	SSLMODE_REQUIRE,
	SSLMODE_VERIFY_CA,
	SSLMODE_VERIFY_FULL,
	SSLMODE_UNSET
};
enum tls_negotiation { NEGOTIATION_POSTGRES, NEGOTIATION_DIRECT, NEGOTIATION_UNSET };
enum timeout_action { TIMEOUT_CANCEL, TIMEOUT_CLOSE, TIMEOUT_ACTION_UNSET };
enum startup_parameters { STARTUP_PARAMETERS_APPLY, STARTUP_PARAMETERS_REFUSE };
enum balance { BALANCE_ROUND_ROBIN, BALANCE_DISABLE, BALANCE_UNSET };

/* Row types and their C types. Bare numbers of DURATION are seconds, of MSEC milliseconds; SECONDS
 * are whole ones, for the kernel. MODE is octal. */
#define SETTING_C_BOOL bool
#define SETTING_C_INT int
#define SETTING_C_DURATION usec_t
#define SETTING_C_MSEC usec_t
#define SETTING_C_SECONDS int
#define SETTING_C_SIZE int64_t
#define SETTING_C_MODE int
#define SETTING_C_TEXT char *
#define SETTING_C_LIST char *
#define SETTING_C_POOL_MODE enum pool_mode
#define SETTING_C_AUTH_TYPE enum auth_method
#define SETTING_C_SSLMODE enum sslmode
#define SETTING_C_NEGOTIATION enum tls_negotiation
#define SETTING_C_BALANCE enum balance
#define SETTING_C_TIMEOUT_ACTION enum timeout_action
#define SETTING_C_FEATURES int /* policies of feature.h */
#define SETTING_C_STARTUP_PARAMETERS enum startup_parameters

/* One value each; texts are owned, never NULL ("" when unset). */
struct settings {
#define SETTING(type, name, default_text, range, scope, change, doc) SETTING_C_##type name;
#include "config/settings.def"
};

enum setting_index {
#define SETTING(type, name, default_text, range, scope, change, doc) SETTING_##name,
#include "config/settings.def"
	SETTING_COUNT
};

/* Of track_extra_parameters: names, and bytes of one with its NUL. */
enum { SETTING_TRACKED_MAX = 27, SETTING_TRACKED_SIZE = 64 };

enum setting_scope { SCOPE_GLOBAL = 1, SCOPE_DATABASE = 2, SCOPE_USER = 4 };
enum setting_change { CHANGE_RELOAD, CHANGE_RESTART };

/* A row, for those who walk the table (console, documents, samples). */
struct setting {
	const char *name, *default_text, *doc;
	const char *type; /* "integer", "boolean", "time", "size", "text", "list", "pool mode" ...
			     for the manual */
	const char *allowed; /* a sentence: "0 to 65535", "session, transaction or statement" ... */
	unsigned scope;	     /* setting_scope bits */
	enum setting_change change;
};
const struct setting *setting_row(enum setting_index index);
/* By name (exact, or an alias); SETTING_COUNT: unknown. */
enum setting_index setting_find(const char *name);

/* All defaults. */
void settings_init(struct settings *settings);
void settings_copy(struct settings *to, const struct settings *from);
void settings_fini(struct settings *settings);
/* Parse @text into its field. False: @error says `invalid value "X" for parameter NAME: ...what is
 * allowed`. */
bool settings_set(struct settings *settings, enum setting_index index, const char *text,
		  struct error *error);
/* The value as SHOW CONFIG has it (contract section 16); valid until the next call. */
const char *settings_text(const struct settings *settings, enum setting_index index);
/* The same for people, secrets masked. */
const char *settings_shown(const struct settings *settings, enum setting_index index);
bool settings_is_default(const struct settings *settings, enum setting_index index);
bool settings_is_equal(const struct settings *a, const struct settings *b,
		       enum setting_index index);

const char *pool_mode_name(enum pool_mode mode);
bool pool_mode_parse(const char *text, enum pool_mode *mode);

#endif
