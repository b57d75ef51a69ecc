/* SPDX-License-Identifier: ISC */
/* text: numbers, durations, sizes, quoted words and comma lists read from text; bounded string
 * building. */
#ifndef PGWEIR_CORE_TEXT_H
#define PGWEIR_CORE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/clock.h"

/* Whole text is one integer: decimal, 0x hexadecimal or 0-led octal, sign allowed. False: it is
 * not, or overflows. */
bool text_to_int(const char *text, int64_t *value);
/* A duration: a number (fraction allowed, >= 0) with an optional unit us, ms, s, min, h, d; a bare
 * number counts
 * @bare_unit microseconds. Result in microseconds, rounded. False: it is no such text, or
 * overflows. */
bool text_to_duration(const char *text, usec_t bare_unit, usec_t *value);
/* A size in bytes with an optional unit B, kB, MB, GB; bare numbers are bytes (any base as
 * text_to_int). */
bool text_to_size(const char *text, int64_t *value);
/* PostgreSQL's booleans: 1/0, on/off, true/false, yes/no, any case. */
bool text_to_bool(const char *text, bool *value);
/* A duration as people write it in a configuration: whole seconds bare, otherwise a fraction
 * ("0.5"). */
void text_from_duration(usec_t value, char text[32]);

/* Take the next element off a comma list: skips blanks around it, leaves *@list behind its comma
 * (or at the end). Empty elements are passed over. Returns false at the end of the list. Element in
 * @item, at most @size bytes with NUL (longer: cut). */
bool text_next_item(const char **list, char *item, size_t size);
/* Is @item (compared exactly) an element of the comma list? "*" in the list matches nothing
 * special. */
bool text_list_has(const char *list, const char *item);

/* A string built piece by piece into memory of the caller, always NUL-terminated, cut when full. */
struct text_builder {
	char *text;
	size_t size, length;
	bool cut;
};
void text_builder_init(struct text_builder *builder, char *text, size_t size);
void text_append(struct text_builder *builder, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Copy @text for a log line or message: control characters become '?', cut to @size. Returns @out,
 * which may be
 * @text itself. */
char *text_printable(const char *text, char *out, size_t size);

/* Is it a name as PostgreSQL's parameters have it: words of letters, digits, _ and $, at most 63 of
 * them and no digit or $ first, joined by dots? */
bool text_is_qualified_name(const char *text);

/* Lower-case ASCII compare, independent of the locale. */
bool text_equals_nocase(const char *a, const char *b);
/* The same for an order: below, at or above 0. */
int text_compare_nocase(const char *a, const char *b);

#endif
