/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/error.h"
#include "error_priv.h"
#include <stdio.h>
#include <string.h>

static const char sqlstates[SQLSTATE_COUNT][6] = {
#define SQLSTATE(name, code, doc) [SQLSTATE_##name] = code,
#include "core/sqlstates.def"
};

const char *sqlstate_code(enum sqlstate state)
{
	return sqlstates[state];
}

/* Put the formatted text at text[length...]; its arguments may point into @text. */
__attribute__((format(printf, 4, 0))) static void format_at(char *text, size_t length, size_t size,
							    const char *format, va_list arguments)
{
	char added[sizeof((struct error *)NULL)->message];
	int wanted = vsnprintf(added, sizeof(added), format, arguments);
	if (wanted < 0)
		added[0] = '\0';
	size_t got = strlen(added), room = size - 1 - length;
	bool cut = (size_t)(wanted < 0 ? 0 : wanted) > got || got > room;
	if (got > room)
		got = room;
	memcpy(text + length, added, got);
	length += got;
	if (cut)
		length = utf8_cut(text, length);
	text[length] = '\0';
}

bool error_set(struct error *error, enum sqlstate state, const char *format, ...)
{
	if (!error)
		return false;
	va_list arguments;
	va_start(arguments, format);
	format_at(error->message, 0, sizeof(error->message), format, arguments);
	va_end(arguments);
	memcpy(error->sqlstate, sqlstates[state], sizeof(error->sqlstate));
	error->detail[0] = error->hint[0] = '\0';
	return false;
}

/* Append to @text, a blank after what is there. */
__attribute__((format(printf, 3, 0))) static void append(char *text, size_t size,
							 const char *format, va_list arguments)
{
	size_t length = strlen(text);
	if (length && length + 1 < size)
		text[length++] = ' ';
	format_at(text, length, size, format, arguments);
}

bool error_detail(struct error *error, const char *format, ...)
{
	if (!error)
		return false;
	va_list arguments;
	va_start(arguments, format);
	append(error->detail, sizeof(error->detail), format, arguments);
	va_end(arguments);
	return false;
}

bool error_hint(struct error *error, const char *format, ...)
{
	if (!error)
		return false;
	va_list arguments;
	va_start(arguments, format);
	append(error->hint, sizeof(error->hint), format, arguments);
	va_end(arguments);
	return false;
}

bool error_prefix(struct error *error, const char *format, ...)
{
	if (!error)
		return false;
	char message[sizeof(error->message)];
	memcpy(message, error->message, sizeof(message));
	va_list arguments;
	va_start(arguments, format);
	format_at(error->message, 0, sizeof(error->message), format, arguments);
	va_end(arguments);

	size_t length = strlen(error->message), room = sizeof(error->message) - 1 - length;
	size_t wanted = 2 + strlen(message);
	memcpy(error->message + length, ": ", room < 2 ? room : 2);
	if (room > 2)
		memcpy(error->message + length + 2, message, wanted < room ? wanted - 2 : room - 2);
	length += wanted < room ? wanted : room;
	error->message[wanted > room ? utf8_cut(error->message, length) : length] = '\0';
	return false;
}

static error_collect_fn *collector;

void error_collect(error_collect_fn *collect)
{
	collector = collect;
}

bool error_collected(const struct error *error)
{
	if (!collector || !error)
		return false;
	collector(error);
	return true;
}
