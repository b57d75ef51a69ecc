/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/settings.h"
#include "settings_priv.h"
#include "config/feature.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DISTANCE_MAX = 2, NAME_MAX_LENGTH = 64 };

/* ---- values ---- */

static const char *const pool_modes[] = {"session", "transaction", "statement", NULL};
static const char *const auth_types[] = {
#define METHOD(name, auth_type, hba, flags, refusal, doc) \
	auth_type, /* those without one come last */
#include "auth/methods.def"
};
static const char *const sslmodes[] = {"disable",   "allow",	   "prefer", "require",
				       "verify-ca", "verify-full", NULL};
static const char *const negotiations[] = {"postgres", "direct", NULL};
static const char *const timeout_actions[] = {"cancel", "close", NULL};
static const char *const startup_parameters[] = {"apply", "refuse", NULL};
static const char *const balances[] = {"round-robin", "disable", NULL};

static const struct {
	const char *name;
	const char *const *words; /* by their number in the enum; NULL: no keywords */
} types[VALUE_TYPE_COUNT] = {
	[VALUE_BOOL] = {"boolean", NULL},
	[VALUE_INT] = {"integer", NULL},
	[VALUE_DURATION] = {"time", NULL},
	[VALUE_MSEC] = {"time (milliseconds)", NULL},
	[VALUE_SECONDS] = {"time (whole seconds)", NULL},
	[VALUE_SIZE] = {"size", NULL},
	[VALUE_MODE] = {"permissions", NULL},
	[VALUE_TEXT] = {"text", NULL},
	[VALUE_LIST] = {"list", NULL},
	[VALUE_POOL_MODE] = {"pool mode", pool_modes},
	[VALUE_AUTH_TYPE] = {"authentication type", auth_types},
	[VALUE_SSLMODE] = {"TLS mode", sslmodes},
	[VALUE_NEGOTIATION] = {"TLS negotiation", negotiations},
	[VALUE_BALANCE] = {"load balancing", balances},
	[VALUE_TIMEOUT_ACTION] = {"timeout action", timeout_actions},
	[VALUE_FEATURES] = {"policies", NULL},
	[VALUE_STARTUP_PARAMETERS] = {"startup parameters", startup_parameters},
};

/* Keywords are enums, which have the size of an int. */
static_assert(sizeof(enum pool_mode) == sizeof(int) && sizeof(enum auth_method) == sizeof(int) &&
		      sizeof(enum sslmode) == sizeof(int) &&
		      sizeof(enum tls_negotiation) == sizeof(int) &&
		      sizeof(enum balance) == sizeof(int) &&
		      sizeof(enum timeout_action) == sizeof(int) &&
		      sizeof(enum startup_parameters) == sizeof(int),
	      "a keyword is no int");
static_assert(sizeof(usec_t) == sizeof(int64_t), "usec_t has 64 bits");

/* The C types behind value types. */
enum value_storage { STORED_BOOL, STORED_INT, STORED_INT64, STORED_TEXT, STORED_KEYWORD };

static enum value_storage storage(const struct value_field *field)
{
	switch (field->type) {
	case VALUE_BOOL:
		return STORED_BOOL;
	case VALUE_INT:
	case VALUE_SECONDS:
	case VALUE_MODE:
	case VALUE_FEATURES:
		return STORED_INT;
	case VALUE_DURATION:
	case VALUE_MSEC:
	case VALUE_SIZE:
		return STORED_INT64;
	case VALUE_TEXT:
	case VALUE_LIST:
		return STORED_TEXT;
	default:
		return STORED_KEYWORD;
	}
}

static void *at(const struct value_field *field, void *base)
{
	return (char *)base + field->offset;
}

static const void *const_at(const struct value_field *field, const void *base)
{
	return (const char *)base + field->offset;
}

static int64_t number_of(const struct value_field *field, const void *base)
{
	const void *place = const_at(field, base);
	switch (storage(field)) {
	case STORED_BOOL:
		return *(const bool *)place;
	case STORED_INT:
	case STORED_KEYWORD:
		return *(const int *)place;
	default:
		return *(const int64_t *)place;
	}
}

static void set_number(const struct value_field *field, void *base, int64_t number)
{
	void *place = at(field, base);
	switch (storage(field)) {
	case STORED_BOOL:
		*(bool *)place = number != 0;
		break;
	case STORED_INT:
	case STORED_KEYWORD:
		*(int *)place = (int)number;
		break;
	default:
		*(int64_t *)place = number;
	}
}

static char **text_at(const struct value_field *field, void *base)
{
	return at(field, base);
}

static const char *text_of(const struct value_field *field, const void *base)
{
	return *(const char *const *)const_at(field, base);
}

static bool find_word(const char *const *words, const char *text, int64_t *number)
{
	for (int i = 0; words[i]; i++) {
		if (text_equals_nocase(words[i], text)) {
			*number = i;
			return true;
		}
	}
	return false;
}

/* Plain integers, also hexadecimal and octal ones as PgBouncer reads them, or with a unit. */
static bool parse_time(const char *text, usec_t unit, int64_t *usec)
{
	int64_t number;
	if (text_to_int(text, &number))
		return !__builtin_mul_overflow(number, unit, usec);
	return text_to_duration(text, unit, usec);
}

static bool parse_number(const struct value_field *field, const char *text, int64_t *number)
{
	bool truth, ok;
	int policies;
	*number = 0;
	switch (field->type) {
	case VALUE_BOOL:
		ok = text_to_bool(text, &truth);
		*number = ok && truth;
		return ok;
	case VALUE_INT:
	case VALUE_MODE:
		ok = text_to_int(text, number);
		break;
	case VALUE_DURATION:
		ok = text_to_duration(text, USEC_PER_SECOND, number);
		break;
	case VALUE_MSEC:
		ok = parse_time(text, USEC_PER_MSEC, number);
		break;
	case VALUE_SECONDS:
		ok = parse_time(text, USEC_PER_SECOND, number) && *number % USEC_PER_SECOND == 0;
		*number /= USEC_PER_SECOND;
		break;
	case VALUE_SIZE:
		ok = text_to_size(text, number);
		break;
	case VALUE_FEATURES:
		ok = feature_policies_parse(text, &policies);
		*number = ok ? policies : 0;
		return ok;
	default:
		return find_word(types[field->type].words, text, number);
	}
	return ok && *number >= field->range.minimum && *number <= field->range.maximum;
}

bool value_parse(const struct value_field *field, void *base, const char *text)
{
	if (storage(field) == STORED_TEXT) {
		char *copy = memory_strdup(text);
		value_fini(field, base);
		*text_at(field, base) = copy;
		return true;
	}
	int64_t number;
	if (!parse_number(field, text, &number))
		return false;
	set_number(field, base, number);
	return true;
}

static void append_words(struct text_builder *builder, const char *const *words)
{
	for (; *words; words++)
		text_append(builder, "%s%s", *words, !words[1] ? "" : !words[2] ? " or " : ", ");
}

/* Bounds of durations are whole numbers of the unit. */
static void append_duration(struct text_builder *builder, const struct value_field *field)
{
	bool msec = field->type == VALUE_MSEC;
	usec_t unit = msec ? USEC_PER_MSEC : USEC_PER_SECOND;
	text_append(builder, "%" PRId64 " to %" PRId64 " %s, or with a unit (us, ms, s, min, h, d)",
		    field->range.minimum / unit, field->range.maximum / unit,
		    msec ? "milliseconds" : "seconds");
}

const char *value_allowed(const struct value_field *field, char allowed[VALUE_ALLOWED_SIZE])
{
	struct text_builder builder;
	text_builder_init(&builder, allowed, VALUE_ALLOWED_SIZE);
	switch (field->type) {
	case VALUE_BOOL:
		text_append(&builder, "0 or 1 (also off, on, no, yes, false, true)");
		break;
	case VALUE_INT:
		text_append(&builder, "%" PRId64 " to %" PRId64, field->range.minimum,
			    field->range.maximum);
		break;
	case VALUE_DURATION:
	case VALUE_MSEC:
		append_duration(&builder, field);
		break;
	case VALUE_SECONDS:
		text_append(&builder,
			    "%" PRId64 " to %" PRId64
			    " whole seconds, or with a unit (s, min, h, d)",
			    field->range.minimum, field->range.maximum);
		break;
	case VALUE_SIZE:
		text_append(&builder,
			    "%" PRId64 " to %" PRId64 " bytes, or with a unit (B, kB, MB, GB)",
			    field->range.minimum, field->range.maximum);
		break;
	case VALUE_MODE:
		text_append(&builder, "permission bits, 0 to 0%" PRIo64 " (octal, with its 0)",
			    (uint64_t)field->range.maximum);
		break;
	case VALUE_TEXT:
		text_append(&builder, "any text");
		break;
	case VALUE_LIST:
		text_append(&builder, "a list with commas");
		break;
	case VALUE_FEATURES:
		text_append(&builder, "%s", feature_policies_allowed());
		break;
	default:
		append_words(&builder, types[field->type].words);
	}
	return allowed;
}

const char *value_text(const struct value_field *field, const void *base,
		       char number[VALUE_NUMBER_SIZE])
{
	int64_t value;
	switch (storage(field)) {
	case STORED_TEXT:
		return text_of(field, base) ? text_of(field, base) : "";
	case STORED_KEYWORD:
		return types[field->type].words[number_of(field, base)];
	default:
		value = number_of(field, base);
	}
	switch (field->type) {
	case VALUE_FEATURES:
		return feature_policies_text((int)value);
	case VALUE_DURATION:
		text_from_duration(value, number);
		break;
	case VALUE_MSEC: /* a thousandth, so that milliseconds look like seconds */
		text_from_duration(value * (USEC_PER_SECOND / USEC_PER_MSEC), number);
		break;
	default:
		snprintf(number, VALUE_NUMBER_SIZE, "%" PRId64, value);
	}
	return number;
}

const char *value_type_name(enum value_type type)
{
	return types[type].name;
}

static int unset_word(const struct value_field *field)
{
	int count = 0;
	while (types[field->type].words[count])
		count++;
	return count;
}

static_assert(POOL_MODE_UNSET == 3 && BALANCE_UNSET == 2 && SSLMODE_UNSET == 6 &&
		      NEGOTIATION_UNSET == 2 && AUTH_UNSET == 9 && TIMEOUT_ACTION_UNSET == 2,
	      "_UNSET stands behind the keywords");

void value_unset(const struct value_field *field, void *base)
{
	enum value_storage stored = storage(field);
	if (stored == STORED_TEXT)
		*text_at(field, base) = NULL;
	else
		set_number(field, base, stored == STORED_KEYWORD ? unset_word(field) : -1);
}

bool value_is_set(const struct value_field *field, const void *base)
{
	enum value_storage stored = storage(field);
	if (stored == STORED_TEXT)
		return text_of(field, base) != NULL;
	return number_of(field, base) != (stored == STORED_KEYWORD ? unset_word(field) : -1);
}

bool value_is_equal(const struct value_field *field, const void *a, const void *b)
{
	if (storage(field) != STORED_TEXT)
		return number_of(field, a) == number_of(field, b);
	const char *one = text_of(field, a), *other = text_of(field, b);
	return one && other ? strcmp(one, other) == 0 : one == other;
}

void value_copy(const struct value_field *field, void *to, const void *from)
{
	if (storage(field) != STORED_TEXT) {
		set_number(field, to, number_of(field, from));
		return;
	}
	const char *text = text_of(field, from);
	char *copy = text ? memory_strdup(text) : NULL;
	value_fini(field, to);
	*text_at(field, to) = copy;
}

void value_fini(const struct value_field *field, void *base)
{
	if (storage(field) != STORED_TEXT)
		return;
	memory_free_secret(text_at(field, base));
}

const char *value_show(const char *text, char shown[VALUE_SHOWN_SIZE])
{
	enum { ROOM = VALUE_SHOWN_SIZE - 3 };
	text_printable(text, shown, ROOM);
	if (strlen(text) >= ROOM)
		memcpy(shown + strlen(shown), "...", 4);
	return shown;
}

/* ---- names ---- */

const struct value_field *value_find(const struct value_field *fields, size_t count,
				     const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	}
	return NULL;
}

static unsigned smaller(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to insert, drop or change to get from one name to the other (Levenshtein's distance). */
static unsigned distance(const char *from, const char *to)
{
	unsigned row[NAME_MAX_LENGTH + 1];
	size_t length = strlen(to);
	if (length > NAME_MAX_LENGTH || strlen(from) > NAME_MAX_LENGTH)
		return DISTANCE_MAX + 1;
	for (unsigned i = 0; i <= length; i++)
		row[i] = i;
	for (unsigned line = 1; *from; from++, line++) {
		unsigned diagonal = row[0];
		row[0] = line;
		for (size_t i = 1; i <= length; i++) {
			unsigned changed = diagonal + (*from != to[i - 1]);
			diagonal = row[i];
			row[i] = smaller(changed, smaller(row[i - 1], row[i]) + 1);
		}
	}
	return row[length];
}

const char *value_suggest(const struct value_field *fields, size_t count, const char *name,
			  char text[VALUE_SHOWN_SIZE])
{
	unsigned best = DISTANCE_MAX + 1;
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		unsigned found = distance(name, fields[i].name);
		if (found < best && found < strlen(name)) {
			best = found;
			snprintf(text, VALUE_SHOWN_SIZE, "; did you mean \"%s\"?", fields[i].name);
		}
	}
	return text;
}

/* ---- the table ---- */

static const struct value_field fields[SETTING_COUNT] = {
#define SETTING(type, name, default_text, range, scope, change, doc) \
	{#name, VALUE_##type, offsetof(struct settings, name), range},
#include "config/settings.def"
};

#define GLOBAL SCOPE_GLOBAL
#define DATABASE SCOPE_DATABASE
#define USER SCOPE_USER
#define RELOAD CHANGE_RELOAD
#define RESTART CHANGE_RESTART

static struct setting rows[SETTING_COUNT] = {
#define SETTING(type, name_, default_, range, scope_, change_, doc_) \
	{.name = #name_,                                             \
	 .default_text = (default_),                                 \
	 .doc = (doc_),                                              \
	 .scope = (scope_),                                          \
	 .change = (change_)},
#include "config/settings.def"
};

static const struct {
	const char *name;
	enum setting_index index;
} aliases[] = {{"service_name", SETTING_job_name}};

const struct setting *setting_row(enum setting_index index)
{
	static char allowed[SETTING_COUNT][VALUE_ALLOWED_SIZE];
	struct setting *row = &rows[index];
	if (!row->allowed) {
		row->type = value_type_name(fields[index].type);
		row->allowed = value_allowed(&fields[index], allowed[index]);
	}
	return row;
}

enum setting_index setting_find(const char *name)
{
	const struct value_field *field = value_find(fields, SETTING_COUNT, name);
	if (field)
		return (enum setting_index)(field - fields);
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		if (strcmp(aliases[i].name, name) == 0)
			return aliases[i].index;
	}
	return SETTING_COUNT;
}

const char *settings_suggest(const char *name, char text[VALUE_SHOWN_SIZE])
{
	return value_suggest(fields, SETTING_COUNT, name, text);
}

/* ---- all values ---- */

void settings_init(struct settings *settings)
{
	memset(settings, 0, sizeof(*settings));
	for (int i = 0; i < SETTING_COUNT; i++) {
		bool ok = value_parse(&fields[i], settings, rows[i].default_text);
		assert(ok);
		(void)ok;
	}
}

void settings_copy(struct settings *to, const struct settings *from)
{
	memset(to, 0, sizeof(*to));
	for (int i = 0; i < SETTING_COUNT; i++)
		value_copy(&fields[i], to, from);
}

void settings_fini(struct settings *settings)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		value_fini(&fields[i], settings);
}

bool settings_set_at(struct settings *settings, enum setting_index index, const char *text,
		     const struct ini_place *place, struct error *error)
{
	if (value_parse(&fields[index], settings, text))
		return true;
	char shown[VALUE_SHOWN_SIZE], allowed[VALUE_ALLOWED_SIZE], where[INI_PLACE_TEXT];
	value_show(text, shown);
	value_allowed(&fields[index], allowed);
	if (!place)
		return error_set(error, SQLSTATE_INVALID_PARAMETER_VALUE,
				 "invalid value \"%s\" for parameter %s: allowed is %s", shown,
				 fields[index].name, allowed);
	return error_set(
		error, SQLSTATE_CONFIG_FILE_ERROR,
		"invalid value \"%s\" for parameter %s in configuration (%s): allowed is %s", shown,
		fields[index].name, ini_place_print(place, where), allowed);
}

bool settings_set(struct settings *settings, enum setting_index index, const char *text,
		  struct error *error)
{
	return settings_set_at(settings, index, text, NULL, error);
}

void settings_copy_one(struct settings *to, const struct settings *from, enum setting_index index)
{
	value_copy(&fields[index], to, from);
}

const char *settings_text(const struct settings *settings, enum setting_index index)
{
	static char number[VALUE_NUMBER_SIZE];
	return value_text(&fields[index], settings, number);
}

/* The value of @name= inside @text, in quotes or not, becomes stars. */
static void mask(char *text, const char *name)
{
	char *at = text;
	while ((at = strstr(at, name))) {
		bool quoted = *(at += strlen(name)) == '"';
		for (at += quoted; *at && *at != '"' && (quoted || *at != ' '); at++)
			*at = '*';
	}
}

const char *settings_shown(const struct settings *settings, enum setting_index index)
{
	static char *shown;
	const char *text = settings_text(settings, index);
	if (index == SETTING_client_tls_key_passphrase_command ||
	    index == SETTING_server_tls_key_passphrase_command)
		return *text ? "****" : ""; /* it may be an echo */
	if (index != SETTING_auth_ldap_options)
		return text;
	memory_free(&shown);
	shown = memory_strdup(text);
	mask(shown, "ldapbindpasswd=");
	return shown;
}

bool settings_is_default(const struct settings *settings, enum setting_index index)
{
	struct settings scratch;
	memset(&scratch, 0, sizeof(scratch));
	value_parse(&fields[index], &scratch, rows[index].default_text);
	bool equal = value_is_equal(&fields[index], settings, &scratch);
	value_fini(&fields[index], &scratch);
	return equal;
}

bool settings_is_equal(const struct settings *a, const struct settings *b, enum setting_index index)
{
	return value_is_equal(&fields[index], a, b);
}

const char *pool_mode_name(enum pool_mode mode)
{
	return mode < POOL_MODE_UNSET ? pool_modes[mode] : "";
}

bool pool_mode_parse(const char *text, enum pool_mode *mode)
{
	int64_t number;
	if (!find_word(pool_modes, text, &number))
		return false;
	*mode = (enum pool_mode)number;
	return true;
}
