/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/buffer.h"
#include "core/memory.h"
#include "suites.h"
#include <stdlib.h>
#include <string.h>

enum { CAP = 10000 };

START_TEST(no_buffer_has_no_bytes)
{
	struct buffer *buffer = NULL;
	ck_assert_uint_eq(buffer_length(buffer), 0);
	ck_assert(buffer_append(&buffer, "", 0, CAP));
	ck_assert_ptr_null(buffer);
	buffer_consume(&buffer, 0);
	buffer_free(&buffer);
	buffer_erase(&buffer);
	ck_assert_ptr_null(buffer);
}
END_TEST

START_TEST(bytes_come_out_in_order_and_the_emptied_buffer_is_gone)
{
	struct buffer *buffer = NULL;
	ck_assert(buffer_append(&buffer, "hello ", 6, CAP));
	ck_assert(buffer_append(&buffer, "world", 5, CAP));
	ck_assert_uint_eq(buffer_length(buffer), 11);
	ck_assert_mem_eq(buffer_bytes(buffer), "hello world", 11);
	buffer_consume(&buffer, 6);
	ck_assert_mem_eq(buffer_bytes(buffer), "world", 5);
	buffer_consume(&buffer, 0);
	ck_assert_uint_eq(buffer_length(buffer), 5);
	buffer_consume(&buffer, 5);
	ck_assert_ptr_null(buffer);
}
END_TEST

START_TEST(the_cap_is_exact_and_refusal_changes_nothing)
{
	static const size_t caps[] = {1, 10, 2031, 2032, 2033, 4079, 4080, 4081, 10000, 65536};
	static char bytes[65537];
	memset(bytes, 'x', sizeof(bytes));
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct buffer *buffer = NULL;
		ck_assert(!buffer_append(&buffer, bytes, caps[i] + 1, caps[i]));
		ck_assert_ptr_null(buffer);
		ck_assert(buffer_append(&buffer, bytes, caps[i], caps[i]));
		ck_assert(!buffer_append(&buffer, "y", 1, caps[i]));
		ck_assert_uint_eq(buffer_length(buffer), caps[i]);
		ck_assert_mem_eq(buffer_bytes(buffer), bytes, caps[i]);
		if (caps[i] > 2036)
			ck_assert_uint_le(buffer->size, caps[i]);
		/* what was read makes room for as much */
		buffer_consume(&buffer, 1);
		if (caps[i] == 1)
			continue;
		ck_assert(!buffer_append(&buffer, "yz", 2, caps[i]));
		ck_assert(buffer_append(&buffer, "y", 1, caps[i]));
		ck_assert_uint_eq(buffer_length(buffer), caps[i]);
		ck_assert_int_eq(buffer_bytes(buffer)[caps[i] - 1], 'y');
		ck_assert_mem_eq(buffer_bytes(buffer), bytes, caps[i] - 1);
		buffer_free(&buffer);
	}
}
END_TEST

START_TEST(room_that_was_read_is_used_again_before_it_grows)
{
	struct buffer *buffer = NULL;
	char bytes[1000];
	memset(bytes, 'x', sizeof(bytes));
	ck_assert(buffer_append(&buffer, bytes, 1000, CAP));
	for (int i = 0; i < 100; i++) {
		ck_assert(buffer_append(&buffer, bytes, 1000, CAP));
		buffer_consume(&buffer, 1000);
		ck_assert_uint_lt(buffer->size, 2048);
	}
	buffer_free(&buffer);
}
END_TEST

START_TEST(nonsense_sizes_are_refused)
{
	struct buffer *buffer = NULL;
	ck_assert_ptr_null(buffer_reserve(&buffer, SIZE_MAX, SIZE_MAX));
	ck_assert_ptr_null(buffer_reserve(&buffer, (size_t)UINT32_MAX + 1, SIZE_MAX));
	ck_assert_ptr_null(buffer_reserve(&buffer, SIZE_MAX, 100));
	ck_assert_ptr_null(buffer);
	ck_assert(buffer_append(&buffer, "abc", 3, CAP));
	ck_assert_ptr_null(buffer_reserve(&buffer, SIZE_MAX, SIZE_MAX));
	ck_assert(!buffer_append(&buffer, "", 1, 2)); /* holds more than this cap already */
	ck_assert_mem_eq(buffer_bytes(buffer), "abc", 3);
	buffer_free(&buffer);
}
END_TEST

START_TEST(reserved_room_counts_only_as_far_as_it_was_written)
{
	struct buffer *buffer = NULL;
	uint8_t *room = buffer_reserve(&buffer, 100, CAP);
	ck_assert_ptr_nonnull(room);
	ck_assert_uint_eq(buffer_length(buffer), 0);
	memcpy(room, "abc", 3);
	buffer_commit(buffer, 3);
	ck_assert_uint_eq(buffer_length(buffer), 3);
	room = buffer_reserve(&buffer, 5000, CAP);
	memcpy(room, "de", 2);
	buffer_commit(buffer, 2);
	ck_assert_mem_eq(buffer_bytes(buffer), "abcde", 5);
	buffer_consume(&buffer, 5);
	ck_assert_ptr_null(buffer);
	ck_assert_ptr_nonnull(buffer_reserve(&buffer, 1, CAP));
	buffer_consume(&buffer, 0); /* nothing was read into it */
	ck_assert_ptr_null(buffer);
}
END_TEST

START_TEST(an_erased_buffer_leaves_no_secret_in_the_free_list)
{
	struct buffer *buffer = NULL;
	ck_assert(buffer_append(&buffer, "password", 8, CAP));
	buffer_consume(&buffer, 2);
	struct buffer *old = buffer;
	buffer_erase(&buffer);
	ck_assert_ptr_null(buffer);
	if (!MEMORY_IS_REUSED)
		return;
	ck_assert_ptr_nonnull(buffer_reserve(&buffer, 8, CAP));
	ck_assert_ptr_eq(buffer, old);
	ck_assert_mem_eq(buffer_bytes(buffer), "\0\0\0\0\0\0\0\0", 8);
	buffer_free(&buffer);
}
END_TEST

/* Against a plain array, with a fixed seed. */
START_TEST(random_traffic_is_carried_unchanged)
{
	static uint8_t model[CAP];
	size_t length = 0;
	struct buffer *buffer = NULL;
	uint8_t next = 0, chunk[3000];
	srand(7);
	for (int i = 0; i < 20000; i++) {
		if (rand() % 2) {
			size_t size = (size_t)rand() % sizeof(chunk);
			for (size_t j = 0; j < size; j++)
				chunk[j] = next++;
			bool fits = length + size <= CAP;
			ck_assert_int_eq(buffer_append(&buffer, chunk, size, CAP), fits);
			if (fits) {
				memcpy(model + length, chunk, size);
				length += size;
			}
		} else if (length) {
			size_t size = 1 + (size_t)rand() % length;
			buffer_consume(&buffer, size);
			length -= size;
			memmove(model, model + size, length);
		}
		ck_assert_uint_eq(buffer_length(buffer), length);
		if (length)
			ck_assert_mem_eq(buffer_bytes(buffer), model, length);
		else
			ck_assert_ptr_null(buffer);
	}
	buffer_free(&buffer);
	buffer_release();
}
END_TEST

START_TEST(the_free_list_can_be_overfilled_and_released)
{
	static struct buffer *buffers[600];
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 600; i++)
			ck_assert(buffer_append(&buffers[i], &i, sizeof(i), CAP));
		for (int i = 0; i < 600; i++)
			ck_assert_mem_eq(buffer_bytes(buffers[i]), &i, sizeof(i));
		for (int i = 0; i < 600; i++)
			buffer_free(&buffers[i]);
		buffer_release();
	}
}
END_TEST

/* Is the text in the memory that the next small buffer gets? */
static bool is_left_behind(const char *text)
{
	struct buffer *next = NULL;
	ck_assert(buffer_append(&next, "x", 1, CAP));
	bool found = memmem(next->data, next->size, text, strlen(text));
	buffer_free(&next);
	return found;
}

START_TEST(a_secret_is_erased_however_its_buffer_goes)
{
	static char more[4000];
	struct buffer *buffer = NULL;
	if (!MEMORY_IS_REUSED)
		return;
	ck_assert(buffer_append(&buffer, "hush-hush", 9, CAP));
	buffer_free(&buffer);
	ck_assert(is_left_behind("h-hush")); /* its first bytes link the free ones */
	ck_assert(buffer_append(&buffer, "hush-hush", 9, CAP));
	buffer_make_secret(buffer);
	buffer_free(&buffer);
	ck_assert(!is_left_behind("h-hush"));
	ck_assert(buffer_append(&buffer, "hush-hush", 9, CAP));
	buffer_make_secret(buffer);
	buffer_consume(&buffer, 9);
	ck_assert(!is_left_behind("h-hush"));
	/* And what it grew out of. */
	ck_assert(buffer_append(&buffer, "hush-hush", 9, CAP));
	buffer_make_secret(buffer);
	ck_assert(buffer_append(&buffer, more, sizeof more, CAP));
	ck_assert(!is_left_behind("h-hush"));
	ck_assert(buffer->is_secret);
	buffer_free(&buffer);
	ck_assert(buffer_append(&buffer, "hush-hush", 9, CAP));
	ck_assert(!buffer->is_secret);
	buffer_erase(&buffer);
	ck_assert(!is_left_behind("h-hush"));
	buffer_make_secret(NULL);
}
END_TEST

Suite *suite_buffer(void)
{
	Suite *suite = suite_create("buffer");
	TCase *tcase = tcase_create("buffer");
	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, no_buffer_has_no_bytes);
	tcase_add_test(tcase, a_secret_is_erased_however_its_buffer_goes);
	tcase_add_test(tcase, bytes_come_out_in_order_and_the_emptied_buffer_is_gone);
	tcase_add_test(tcase, the_cap_is_exact_and_refusal_changes_nothing);
	tcase_add_test(tcase, room_that_was_read_is_used_again_before_it_grows);
	tcase_add_test(tcase, nonsense_sizes_are_refused);
	tcase_add_test(tcase, reserved_room_counts_only_as_far_as_it_was_written);
	tcase_add_test(tcase, an_erased_buffer_leaves_no_secret_in_the_free_list);
	tcase_add_test(tcase, random_traffic_is_carried_unchanged);
	tcase_add_test(tcase, the_free_list_can_be_overfilled_and_released);
	return suite;
}
