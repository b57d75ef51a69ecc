/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/text.h"
#include "error_priv.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Numbers are read by hand: strtol and strtod skip blanks, and strtod follows the locale. */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit duration_units[] = {
	{"us", 1},
	{"ms", USEC_PER_MSEC},
	{"s", USEC_PER_SECOND},
	{"min", 60 * USEC_PER_SECOND},
	{"h", 3600 * USEC_PER_SECOND},
	{"d", 86400 * USEC_PER_SECOND},
	{NULL, 0},
};

static const struct unit size_units[] = {
	{"B", 1}, {"kB", 1024}, {"MB", 1024 * 1024}, {"GB", 1024 * 1024 * 1024}, {NULL, 0},
};

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The value of a digit; 99: it is none. */
static unsigned digit_value(char c)
{
	c = lower(c);
	if (is_digit(c))
		return (unsigned)(c - '0');
	return c >= 'a' && c <= 'z' ? (unsigned)(c - 'a') + 10 : 99;
}

/* The factor of the unit that @text is, blanks before it allowed; 0: there is no such unit. */
static int64_t unit_factor(const struct unit *unit, const char *text)
{
	while (is_blank(*text))
		text++;
	for (; unit->name; unit++) {
		if (strcmp(unit->name, text) == 0)
			return unit->factor;
	}
	return 0;
}

/* An integer at the beginning of *@text, which is moved behind it. */
static bool read_int(const char **text, int64_t *value)
{
	const char *at = *text;
	bool negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;
	unsigned base = 10;
	if (at[0] == '0' && lower(at[1]) == 'x') {
		base = 16;
		at += 2;
	} else if (at[0] == '0') {
		base = 8;
	}
	if (digit_value(*at) >= base)
		return false;
	int64_t result = 0;
	for (; digit_value(*at) < base; at++) {
		int64_t digit = (int64_t)digit_value(*at);
		if (__builtin_mul_overflow(result, (int64_t)base, &result) ||
		    __builtin_add_overflow(result, negative ? -digit : digit, &result))
			return false;
	}
	*text = at;
	*value = result;
	return true;
}

bool text_to_int(const char *text, int64_t *value)
{
	int64_t result;
	if (!read_int(&text, &result) || *text)
		return false;
	*value = result;
	return true;
}

bool text_to_size(const char *text, int64_t *value)
{
	/* First as a bare number: the B in 0x10B is a digit. */
	if (text_to_int(text, value))
		return true;
	int64_t number;
	if (!read_int(&text, &number))
		return false;
	int64_t factor = unit_factor(size_units, text);
	return factor && !__builtin_mul_overflow(number, factor, value);
}

__extension__ typedef __int128 wide_t;

struct decimal {
	wide_t digits;
	int exponent; /* of ten */
};

enum { EXPONENT_LIMIT = 9999 }; /* what lies beyond is 0 or too large anyway */

/* Read digits with an optional fraction and an optional exponent; false: there are none. */
static bool read_decimal(const char **text, struct decimal *decimal)
{
	const char *at = *text;
	bool some = false, fraction = false;
	decimal->digits = 0;
	decimal->exponent = 0;
	if (*at == '+')
		at++;
	for (; is_digit(*at) || (*at == '.' && !fraction); at++) {
		if (*at == '.') {
			fraction = true;
			continue;
		}
		some = true;
		/* 26 digits leave room for the unit; what follows them is far below a microsecond.
		 */
		bool fits = decimal->digits < (wide_t)INT64_C(10000000000000000) * 1000000000;
		if (fits)
			decimal->digits = decimal->digits * 10 + (*at - '0');
		if (fits == fraction && decimal->exponent > -EXPONENT_LIMIT &&
		    decimal->exponent < EXPONENT_LIMIT)
			decimal->exponent += fits ? -1 : 1;
	}
	if (!some)
		return false;
	if (lower(*at) == 'e') {
		bool negative = at[1] == '-';
		at += at[1] == '-' || at[1] == '+' ? 2 : 1;
		if (!is_digit(*at))
			return false;
		int exponent = 0;
		for (; is_digit(*at); at++) {
			if (exponent < EXPONENT_LIMIT)
				exponent = exponent * 10 + (*at - '0');
		}
		decimal->exponent += negative ? -exponent : exponent;
	}
	*text = at;
	return true;
}

bool text_to_duration(const char *text, usec_t bare_unit, usec_t *value)
{
	struct decimal decimal;
	if (!read_decimal(&text, &decimal))
		return false;
	int64_t factor = *text ? unit_factor(duration_units, text) : bare_unit;
	if (!factor)
		return false;
	wide_t result = decimal.digits * factor;
	for (; decimal.exponent > 0 && result > 0 && result <= INT64_MAX; decimal.exponent--)
		result *= 10;
	bool round_up = false;
	for (; decimal.exponent < 0 && result > 0; decimal.exponent++) {
		round_up = result % 10 >= 5;
		result /= 10;
	}
	/* The digits ran out before the exponent did: less than a tenth is left. */
	result += round_up && decimal.exponent == 0;
	if (result > INT64_MAX)
		return false;
	*value = (usec_t)result;
	return true;
}

bool text_to_bool(const char *text, bool *value)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"1", true},  {"on", true},   {"true", true},   {"yes", true},
		     {"0", false}, {"off", false}, {"false", false}, {"no", false}};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (text_equals_nocase(text, words[i].word)) {
			*value = words[i].value;
			return true;
		}
	}
	return false;
}

void text_from_duration(usec_t value, char text[32])
{
	uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
	uint64_t seconds = size / USEC_PER_SECOND, fraction = size % USEC_PER_SECOND;
	int length = snprintf(text, 32, "%s%" PRIu64, value < 0 ? "-" : "", seconds);
	if (fraction == 0)
		return;
	length += snprintf(text + length, 32 - (size_t)length, ".%06" PRIu64, fraction);
	while (text[length - 1] == '0')
		text[--length] = '\0';
}

/* The next element that is not empty, without the blanks around it. */
static bool next_span(const char **list, const char **start, size_t *length)
{
	const char *at = *list;
	while (is_blank(*at) || *at == ',')
		at++;
	*start = at;
	at += strcspn(at, ",");
	const char *end = at;
	while (end > *start && is_blank(end[-1]))
		end--;
	*length = (size_t)(end - *start);
	*list = *at ? at + 1 : at;
	return *length > 0;
}

bool text_next_item(const char **list, char *item, size_t size)
{
	const char *start;
	size_t length;
	if (!next_span(list, &start, &length))
		return false;
	if (length >= size)
		length = utf8_cut(start, size - 1);
	memcpy(item, start, length);
	item[length] = '\0';
	return true;
}

bool text_list_has(const char *list, const char *item)
{
	const char *start;
	size_t length, wanted = strlen(item);
	while (next_span(&list, &start, &length)) {
		if (length == wanted && memcmp(start, item, length) == 0)
			return true;
	}
	return false;
}

void text_builder_init(struct text_builder *builder, char *text, size_t size)
{
	*builder = (struct text_builder){.text = text, .size = size};
	text[0] = '\0';
}

void text_append(struct text_builder *builder, const char *format, ...)
{
	if (builder->cut)
		return;
	size_t room = builder->size - builder->length;
	va_list arguments;
	va_start(arguments, format);
	int wanted = vsnprintf(builder->text + builder->length, room, format, arguments);
	va_end(arguments);
	if (wanted >= 0 && (size_t)wanted < room) {
		builder->length += (size_t)wanted;
		return;
	}
	builder->cut = true;
	builder->length += wanted < 0 ? 0 : utf8_cut(builder->text + builder->length, room - 1);
	builder->text[builder->length] = '\0';
}

char *text_printable(const char *text, char *out, size_t size)
{
	size_t length = 0;
	for (; text[length] && length + 1 < size; length++) {
		unsigned char byte = (unsigned char)text[length];
		out[length] = byte < 0x20 || byte == 0x7F ? '?' : (char)byte;
		/* U+0080 to U+009F are control characters too. */
		if (byte >= 0x80 && byte < 0xA0 && length > 0 &&
		    (unsigned char)out[length - 1] == 0xC2)
			out[length - 1] = out[length] = '?';
	}
	out[text[length] ? utf8_cut(out, length) : length] = '\0';
	return out;
}

bool text_equals_nocase(const char *a, const char *b)
{
	for (; *a == *b || lower(*a) == lower(*b); a++, b++) {
		if (!*a)
			return true;
	}
	return false;
}

int text_compare_nocase(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return (unsigned char)lower(*a) - (unsigned char)lower(*b);
}

bool text_is_qualified_name(const char *text)
{
	enum { WORD_MAX = 63 };
	for (;; text++) {
		size_t length = 0;
		for (; *text && *text != '.'; text++, length++) {
			bool first = (*text >= 'a' && *text <= 'z') ||
				     (*text >= 'A' && *text <= 'Z') || *text == '_';
			bool later = (*text >= '0' && *text <= '9') || *text == '$';
			if (!first && (!later || length == 0))
				return false;
		}
		if (length == 0 || length > WORD_MAX)
			return false;
		if (!*text)
			return true;
	}
}
