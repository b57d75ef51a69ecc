/* SPDX-License-Identifier: ISC */
/* pattern: the regular expressions of HBA rules and user name maps. PostgreSQL has its own kind
 * there ("advanced regular expressions", manual section 9.7.3); ours are the C library's POSIX
 * extended ones, and the two agree on all that we let through:
 * - \d \s \w, also inside brackets, and \D \S \W outside are rewritten to what PostgreSQL means;
 * - an escaped mark stands for itself;
 * - what only PostgreSQL understands is refused when the file is loaded, never taken for something
 *   else: (?...), non-greedy *? +? ?? {m}?, "***" in front, back references, other escaped letters,
 *   other backslashes in brackets;
 * - ^ and $ stand where they can match: at the beginning and the end of an alternative;
 * - bytes are compared, not characters: "." is one byte, and classes know ASCII only. */
#ifndef PGWEIR_AUTH_PATTERN_H
#define PGWEIR_AUTH_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct pattern;

enum pattern_result {
	PATTERN_NO,
	PATTERN_YES,
	PATTERN_FAILED /* out of memory: it is not known */
};

/* NULL with @error: why it is refused. */
struct pattern *pattern_new(const char *text, struct error *error);
void pattern_free(struct pattern **pattern);
/* Number of parenthesised groups. */
size_t pattern_groups(const struct pattern *pattern);
enum pattern_result pattern_match(const struct pattern *pattern, const char *text);
/* Also where the first group's match lies in @text; *@start SIZE_MAX when it took no
 * part. */
enum pattern_result pattern_match_group(const struct pattern *pattern, const char *text,
					size_t *start, size_t *length);

#endif
