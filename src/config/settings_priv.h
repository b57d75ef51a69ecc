/* SPDX-License-Identifier: ISC */
/* How one value is read into its field of a struct, and back: shared by the settings and the rows
 * of the sections, which are both made from tables. Texts are owned by the struct and erased when
 * they go. */
#ifndef PGWEIR_CONFIG_SETTINGS_PRIV_H
#define PGWEIR_CONFIG_SETTINGS_PRIV_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "config/ini.h"
#include "config/settings.h"

/* The types of settings.h. */
enum value_type {
	VALUE_BOOL,
	VALUE_INT,
	VALUE_DURATION,
	VALUE_MSEC,
	VALUE_SECONDS,
	VALUE_SIZE,
	VALUE_MODE,
	VALUE_TEXT,
	VALUE_LIST,
	VALUE_FEATURES,
	VALUE_POOL_MODE,
	VALUE_AUTH_TYPE,
	VALUE_SSLMODE,
	VALUE_NEGOTIATION,
	VALUE_BALANCE,
	VALUE_TIMEOUT_ACTION,
	VALUE_STARTUP_PARAMETERS,
	VALUE_TYPE_COUNT
};

/* The range column of the tables. */
#define DURATION_MAX (INT_MAX * USEC_PER_SECOND)
#define RANGE(a, b)      \
	{                \
		(a), (b) \
	}
#define ANY          \
	{            \
		0, 0 \
	}

struct value_field {
	const char *name;
	enum value_type type;
	size_t offset;
	struct {
		int64_t minimum, maximum;
	} range;
};

enum { VALUE_ALLOWED_SIZE = 160, VALUE_SHOWN_SIZE = 84, VALUE_NUMBER_SIZE = 32 };

/* Read @text into its field of @base. False: it is not allowed, nothing is changed. */
bool value_parse(const struct value_field *field, void *base, const char *text);
/* The sentence that says what is: "0 to 65535". Returns @allowed. */
const char *value_allowed(const struct value_field *field, char allowed[VALUE_ALLOWED_SIZE]);
/* The value as SHOW CONFIG has it, in @number unless it is a text or keyword. NULL texts are "". */
const char *value_text(const struct value_field *field, const void *base,
		       char number[VALUE_NUMBER_SIZE]);
/* The manual's word for the type. */
const char *value_type_name(enum value_type type);

/* SECTION_UNSET for numbers, NULL for texts, the noun's _UNSET for keywords. */
void value_unset(const struct value_field *field, void *base);
bool value_is_set(const struct value_field *field, const void *base);
bool value_is_equal(const struct value_field *field, const void *a, const void *b);
void value_copy(const struct value_field *field, void *to, const void *from);
/* Erase and free what the field owns. */
void value_fini(const struct value_field *field, void *base);

/* The field of this name, or NULL. */
const struct value_field *value_find(const struct value_field *fields, size_t count,
				     const char *name);
/* `; did you mean "NAME"?` for the name that is at most two letters away from @name; else "". */
const char *value_suggest(const struct value_field *fields, size_t count, const char *name,
			  char text[VALUE_SHOWN_SIZE]);
/* @text for a message: printable, shortened. Returns @shown. */
const char *value_show(const char *text, char shown[VALUE_SHOWN_SIZE]);

/* settings_set() that names the place in a file, if @place is not NULL. */
bool settings_set_at(struct settings *settings, enum setting_index index, const char *text,
		     const struct ini_place *place, struct error *error);
void settings_copy_one(struct settings *to, const struct settings *from, enum setting_index index);
/* `; did you mean "NAME"?`, or "". */
const char *settings_suggest(const char *name, char text[VALUE_SHOWN_SIZE]);

#endif
