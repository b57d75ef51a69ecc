/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/cancel.h"
#include "suites.h"
#include <string.h>
#include "proto/message.h"
#include "proto/response.h"

/* What BackendKeyData of a key says: 12 or 40 bytes, process id and secret. */
struct told {
	uint8_t bytes[4 + CANCEL_SECRET_LONG];
	struct cancel_request request;
};

static void tell(const struct cancel_key *key, struct told *told)
{
	struct buffer *out = NULL;
	struct message message;
	ck_assert(cancel_key_put(key, &out, 1000));
	ck_assert_int_eq(message_parse(buffer_bytes(out), buffer_length(out), 1000, &message),
			 FRAME_OK);
	ck_assert_int_eq(message.type, MESSAGE_BACKEND_KEY_DATA);
	ck_assert_uint_eq(buffer_length(out), message.size + MESSAGE_HEADER);
	ck_assert_uint_le(message.size, sizeof told->bytes);
	memcpy(told->bytes, message.body, message.size);
	told->request = (struct cancel_request){.process_id = message_get32(told->bytes),
						.secret = told->bytes + 4,
						.size = message.size - 4};
	buffer_free(&out);
}

static struct cancel_key *find(const struct told *told)
{
	struct cancel_request request = told->request;
	request.process_id = message_get32(told->bytes);
	return cancel_key_find(&request);
}

static const size_t sizes[] = {CANCEL_SECRET, CANCEL_SECRET_LONG};

START_TEST(a_key_is_found_by_process_id_and_secret)
{
	struct cancel_key a = {0}, b = {0};
	struct told of_a, of_b;
	cancel_key_add(&a, sizes[_i], 0);
	cancel_key_add(&b, sizes[_i], 0);
	tell(&a, &of_a);
	tell(&b, &of_b);
	ck_assert_uint_eq(of_a.request.size, sizes[_i]);
	ck_assert_ptr_eq(find(&of_a), &a);
	ck_assert_ptr_eq(find(&of_b), &b);
	cancel_key_remove(&a);
	ck_assert_ptr_null(find(&of_a));
	ck_assert_ptr_eq(find(&of_b), &b);
	cancel_key_remove(&b);
}
END_TEST

START_TEST(a_key_with_any_bit_wrong_is_nobodys)
{
	struct cancel_key key = {0};
	struct told told;
	cancel_key_add(&key, sizes[_i], 0);
	tell(&key, &told);
	for (size_t bit = 0; bit < 8 * (4 + sizes[_i]); bit++) {
		bool is_hops = bit / 8 == 7 && bit % 8 < 2;
		told.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_ptr_eq(find(&told), is_hops ? &key : NULL);
		told.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_ptr_eq(find(&told), &key);
	cancel_key_remove(&key);
}
END_TEST

START_TEST(a_secret_of_another_length_is_nobodys)
{
	struct cancel_key key = {0};
	struct told told;
	uint8_t secret[256] = {0};
	cancel_key_add(&key, sizes[_i], 0);
	tell(&key, &told);
	memcpy(secret, told.request.secret, sizes[_i]);
	for (size_t size = 4; size <= sizeof secret; size++) {
		struct cancel_request request = {
			.process_id = told.request.process_id, .secret = secret, .size = size};
		ck_assert_ptr_eq(cancel_key_find(&request), size == sizes[_i] ? &key : NULL);
	}
	cancel_key_remove(&key);
}
END_TEST

START_TEST(process_ids_are_positive_and_keys_differ)
{
	enum { KEYS = 2000 };
	static struct cancel_key keys[KEYS];
	struct told told;
	for (int i = 0; i < KEYS; i++) {
		cancel_key_add(&keys[i], sizes[_i], (unsigned)i % 3);
		tell(&keys[i], &told);
		ck_assert_int_gt((int32_t)told.request.process_id, 0);
		if (i > 0)
			ck_assert_mem_ne(keys[i].head, keys[i - 1].head, CANCEL_HEAD);
		if (i > 0 && keys[i].tail)
			ck_assert_mem_ne(keys[i].tail, keys[i - 1].tail, 28);
	}
	for (int i = 0; i < KEYS; i++) {
		tell(&keys[i], &told);
		ck_assert_ptr_eq(find(&told), &keys[i]);
	}
	for (int i = 0; i < KEYS; i++)
		cancel_key_remove(&keys[i]);
}
END_TEST

START_TEST(what_no_peer_needs_is_random)
{
	/* every other bit is 0 in some keys and 1 in others */
	uint8_t ones[CANCEL_HEAD] = {0}, zeros[CANCEL_HEAD] = {0};
	for (int i = 0; i < 200; i++) {
		struct cancel_key key = {0};
		cancel_key_add(&key, CANCEL_SECRET, _i ? 0x1234 : 0);
		for (int b = 0; b < CANCEL_HEAD; b++) {
			ones[b] |= key.head[b];
			zeros[b] |= (uint8_t)~key.head[b];
		}
		cancel_key_remove(&key);
	}
	for (int b = 0; b < CANCEL_HEAD; b++) {
		uint8_t fixed = b == 0 ? 0x80 : b == 7 ? 3 : 0;
		if (_i && (b == 1 || b == 2))
			fixed = 0xff;
		ck_assert_uint_eq((uint8_t)(ones[b] & zeros[b]), (uint8_t)~fixed);
	}
}
END_TEST

START_TEST(a_key_says_who_made_it)
{
	static const unsigned ids[] = {1, 2, 255, 256, 0x1234, 16383};
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		struct cancel_key key = {0};
		struct told told;
		cancel_key_add(&key, sizes[_i], ids[i]);
		tell(&key, &told);
		ck_assert_uint_eq(told.bytes[1], ids[i] & 0xff); /* the low byte first */
		ck_assert_uint_eq(told.bytes[2], ids[i] >> 8);
		ck_assert_uint_eq(told.bytes[7] & 3, 3);
		ck_assert_uint_eq(cancel_peer_id(&told.request), ids[i]);
		ck_assert_uint_eq(cancel_hops_left(&told.request), CANCEL_PEERS_MAX);
		cancel_key_remove(&key);
	}
}
END_TEST

START_TEST(a_key_that_peers_sent_on_is_the_same)
{
	struct cancel_key key = {0};
	struct told told;
	cancel_key_add(&key, sizes[_i], 77);
	tell(&key, &told);
	uint8_t before = told.bytes[7];
	for (unsigned hops = CANCEL_PEERS_MAX + 1; hops-- > 0;) {
		cancel_set_hops_left(told.bytes + 4, hops);
		ck_assert_uint_eq(cancel_hops_left(&told.request), hops);
		ck_assert_uint_eq(told.bytes[7] >> 2, before >> 2);
		ck_assert_uint_eq(cancel_peer_id(&told.request), 77);
		ck_assert_ptr_eq(find(&told), &key);
	}
	cancel_key_remove(&key);
}
END_TEST

START_TEST(a_key_that_does_not_fit_is_not_put)
{
	struct cancel_key key = {0};
	struct buffer *out = NULL;
	cancel_key_add(&key, sizes[_i], 0);
	ck_assert(!cancel_key_put(&key, &out, sizes[_i] + 8));
	ck_assert_ptr_null(out);
	ck_assert(cancel_key_put(&key, &out, sizes[_i] + 9));
	buffer_free(&out);
	cancel_key_remove(&key);
}
END_TEST

START_TEST(removing_twice_or_unlisted_is_harmless)
{
	struct cancel_key key = {0};
	cancel_key_remove(&key);
	cancel_key_add(&key, CANCEL_SECRET_LONG, 0);
	ck_assert(key.is_listed);
	cancel_key_remove(&key);
	cancel_key_remove(&key);
	ck_assert(!key.is_listed);
	ck_assert_ptr_null(key.tail);
	cancel_key_add(&key, CANCEL_SECRET, 0);
	cancel_key_remove(&key);
}
END_TEST

Suite *suite_cancel(void)
{
	Suite *suite = suite_create("conn/cancel");
	TCase *tcase = tcase_create("cancel");
	tcase_add_loop_test(tcase, a_key_is_found_by_process_id_and_secret, 0, 2);
	tcase_add_loop_test(tcase, a_key_with_any_bit_wrong_is_nobodys, 0, 2);
	tcase_add_loop_test(tcase, a_secret_of_another_length_is_nobodys, 0, 2);
	tcase_add_loop_test(tcase, process_ids_are_positive_and_keys_differ, 0, 2);
	tcase_add_loop_test(tcase, what_no_peer_needs_is_random, 0, 2);
	tcase_add_loop_test(tcase, a_key_says_who_made_it, 0, 2);
	tcase_add_loop_test(tcase, a_key_that_peers_sent_on_is_the_same, 0, 2);
	tcase_add_loop_test(tcase, a_key_that_does_not_fit_is_not_put, 0, 2);
	tcase_add_test(tcase, removing_twice_or_unlisted_is_harmless);
	suite_add_tcase(suite, tcase);
	return suite;
}
