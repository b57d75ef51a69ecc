/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/cancel.h"
#include "suites.h"
#include <string.h>

START_TEST(a_key_is_found_by_process_id_and_secret)
{
	struct cancel_key a = {0}, b = {0};
	cancel_key_add(&a);
	cancel_key_add(&b);
	ck_assert_ptr_eq(
		cancel_key_find(cancel_key_process_id(&a), cancel_key_secret(&a), CANCEL_SECRET),
		&a);
	ck_assert_ptr_eq(
		cancel_key_find(cancel_key_process_id(&b), cancel_key_secret(&b), CANCEL_SECRET),
		&b);
	cancel_key_remove(&a);
	ck_assert_ptr_null(
		cancel_key_find(cancel_key_process_id(&a), cancel_key_secret(&a), CANCEL_SECRET));
	ck_assert_ptr_eq(
		cancel_key_find(cancel_key_process_id(&b), cancel_key_secret(&b), CANCEL_SECRET),
		&b);
	cancel_key_remove(&b);
}
END_TEST

START_TEST(a_key_with_any_bit_wrong_is_nobodys)
{
	struct cancel_key key = {0};
	cancel_key_add(&key);
	for (int bit = 0; bit < 32; bit++) {
		uint8_t secret[CANCEL_SECRET];
		memcpy(secret, cancel_key_secret(&key), sizeof secret);
		secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_ptr_null(
			cancel_key_find(cancel_key_process_id(&key), secret, sizeof secret));
		ck_assert_ptr_null(cancel_key_find(cancel_key_process_id(&key) ^ 1u << bit,
						   cancel_key_secret(&key), CANCEL_SECRET));
	}
	cancel_key_remove(&key);
}
END_TEST

START_TEST(a_secret_of_another_length_is_nobodys)
{
	struct cancel_key key = {0};
	uint8_t secret[256] = {0};
	cancel_key_add(&key);
	memcpy(secret, cancel_key_secret(&key), CANCEL_SECRET);
	for (size_t size = 0; size <= sizeof secret; size++)
		ck_assert_ptr_eq(cancel_key_find(cancel_key_process_id(&key), secret, size),
				 size == CANCEL_SECRET ? &key : NULL);
	cancel_key_remove(&key);
}
END_TEST

START_TEST(process_ids_are_positive_and_keys_differ)
{
	enum { KEYS = 2000 };
	static struct cancel_key keys[KEYS];
	for (int i = 0; i < KEYS; i++) {
		cancel_key_add(&keys[i]);
		ck_assert_int_gt((int32_t)cancel_key_process_id(&keys[i]), 0);
		if (i > 0)
			ck_assert_mem_ne(keys[i].bytes, keys[i - 1].bytes, CANCEL_KEY);
	}
	for (int i = 0; i < KEYS; i++)
		ck_assert_ptr_eq(cancel_key_find(cancel_key_process_id(&keys[i]),
						 cancel_key_secret(&keys[i]), CANCEL_SECRET),
				 &keys[i]);
	for (int i = 0; i < KEYS; i++)
		cancel_key_remove(&keys[i]);
}
END_TEST

START_TEST(removing_twice_or_unlisted_is_harmless)
{
	struct cancel_key key = {0};
	cancel_key_remove(&key);
	cancel_key_add(&key);
	ck_assert(key.is_listed);
	cancel_key_remove(&key);
	cancel_key_remove(&key);
	ck_assert(!key.is_listed);
	cancel_key_add(&key);
	cancel_key_remove(&key);
}
END_TEST

Suite *suite_cancel(void)
{
	Suite *suite = suite_create("conn/cancel");
	TCase *tcase = tcase_create("cancel");
	tcase_add_test(tcase, a_key_is_found_by_process_id_and_secret);
	tcase_add_test(tcase, a_key_with_any_bit_wrong_is_nobodys);
	tcase_add_test(tcase, a_secret_of_another_length_is_nobodys);
	tcase_add_test(tcase, process_ids_are_positive_and_keys_differ);
	tcase_add_test(tcase, removing_twice_or_unlisted_is_harmless);
	suite_add_tcase(suite, tcase);
	return suite;
}
