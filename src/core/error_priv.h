/* SPDX-License-Identifier: ISC */
/* error_priv: where a text that did not fit may be cut. Here, because error is the first room that
 * needs it. */
#ifndef PGWEIR_CORE_ERROR_PRIV_H
#define PGWEIR_CORE_ERROR_PRIV_H

#include <stddef.h>

/* @text lost what came after its @length bytes: the length that is left without a half UTF-8
 * character at the end. Bytes that are no UTF-8 stay. */
static inline size_t utf8_cut(const char *text, size_t length)
{
	for (size_t back = 1; back <= 3 && back <= length; back++) {
		unsigned char byte = (unsigned char)text[length - back];
		if (byte >= 0xC0) {
			size_t whole = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
			return whole > back ? length - back : length;
		}
		if (byte < 0x80)
			break;
	}
	return length;
}

#endif
