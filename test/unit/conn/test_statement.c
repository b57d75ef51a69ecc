/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/statement.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const words[] = {"deallocate", "discard"};

/* One place after the other. */
static bool may_drop_slowly(const char *text, size_t size)
{
	for (size_t at = 0; at < size; at++)
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (size - at >= strlen(words[i]) &&
			    !strncasecmp(text + at, words[i], strlen(words[i])))
				return true;
	return false;
}

/* In a piece of memory of its own, so that a byte too many is noticed. */
static bool may_drop(const char *text, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);
	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, size);
	bool may = statement_text_may_drop(copy, size);
	free(copy);
	return may;
}

START_TEST(a_word_that_may_drop_is_found_wherever_it_stands)
{
	char text[64];
	const char *word = words[_i % 2];
	size_t length = strlen(word);
	for (size_t before = 0; before < 24; before++)
		for (size_t behind = 0; behind < 24; behind++) {
			memset(text, 'c', sizeof text);
			memcpy(text + before, word, length);
			for (size_t i = 0; _i >= 2 && i < length; i += 2)
				text[before + i] ^= 0x20; /* "DeAlLoCaTe" */
			ck_assert(may_drop(text, before + length + behind));
			ck_assert(!may_drop(text, before + length - 1));
			ck_assert(!may_drop(text + before + 1, length - 1 + behind));
		}
}
END_TEST

START_TEST(what_only_looks_like_one_is_not_taken_for_it)
{
	static const char letters[] = "deallocatediscardDISCARDCA\x01@c ";
	char text[48];
	unsigned found = 0;
	srand(7);
	for (int round = 0; round < 200000; round++) {
		size_t size = (size_t)rand() % sizeof text;
		for (size_t i = 0; i < size; i++)
			text[i] = letters[(size_t)rand() % (sizeof letters - 1)];
		/* most of a word */
		const char *word = words[round % 2];
		size_t length = strlen(word);
		if (size > length) {
			size_t at = (size_t)rand() % (size - length);
			memcpy(text + at, word, length);
			if (round % 3)
				text[at + (size_t)rand() % length] ^= 1 << rand() % 7;
		}
		bool may = may_drop_slowly(text, size);
		ck_assert_int_eq(may_drop(text, size), may);
		found += may;
	}
	ck_assert_uint_gt(found, 1000);
}
END_TEST

Suite *suite_statement(void)
{
	Suite *suite = suite_create("conn/statement");
	TCase *tcase = tcase_create("statement");
	tcase_add_loop_test(tcase, a_word_that_may_drop_is_found_wherever_it_stands, 0, 4);
	tcase_add_test(tcase, what_only_looks_like_one_is_not_taken_for_it);
	suite_add_tcase(suite, tcase);
	return suite;
}
