/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/digest.h"
#include "../suite.h"
#include <stdlib.h>
#include <string.h>

Suite *suite_digest(void);

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex)
{
	char text[2 * DIGEST_SHA256 + 1] = "";
	for (size_t i = 0; i < size; i++) {
		text[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		text[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
	ck_assert_str_eq(text, hex);
}

START_TEST(digests_match_their_standards)
{
	uint8_t digest[DIGEST_SHA256];
	digest_sha256("abc", 3, digest); /* FIPS 180-2 */
	assert_hex(digest, DIGEST_SHA256,
		   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_sha256("", 0, digest);
	assert_hex(digest, DIGEST_SHA256,
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	digest_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest); /* RFC 4231 */
	assert_hex(digest, DIGEST_SHA256,
		   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	ck_assert(digest_pbkdf2_sha256("passwd", 6, (const uint8_t *)"salt", 4, 1,
				       digest)); /* RFC 7914 */
	assert_hex(digest, DIGEST_SHA256,
		   "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
	ck_assert(digest_pbkdf2_sha256("Password", 8, (const uint8_t *)"NaCl", 4, 80000, digest));
	ck_assert(!digest_pbkdf2_sha256("Password", 8, (const uint8_t *)"NaCl", 4, 0, digest));
	assert_hex(digest, DIGEST_SHA256,
		   "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56");
	ck_assert(digest_md5("message digest", 14, digest)); /* RFC 1321 */
	assert_hex(digest, DIGEST_MD5, "f96b697d7cb7938d525a2f31aaf161d0");
}
END_TEST

START_TEST(parts_are_digested_as_if_joined)
{
	static const struct digest_part parts[] = {
		{"what do ya ", 11}, {NULL, 0}, {"want", 4}, {" for nothing?", 13}};
	uint8_t joined[DIGEST_SHA256], apart[DIGEST_SHA256], key[200];
	struct digest_hmac_key pads;
	digest_sha256("what do ya want for nothing?", 28, joined);
	digest_sha256_parts(parts, 4, apart);
	ck_assert_mem_eq(joined, apart, sizeof(joined));
	digest_hmac_key_init(&pads, "Jefe", 4);
	for (int i = 0; i < 2; i++) {
		digest_hmac_parts(&pads, parts, 4, apart);
		assert_hex(apart, DIGEST_SHA256,
			   "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	}
	/* RFC 4231, test case 6: a key that is longer than a block is hashed first. */
	memset(key, 0xaa, sizeof(key));
	digest_hmac_sha256(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
			   apart);
	assert_hex(apart, DIGEST_SHA256,
		   "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}
END_TEST

START_TEST(a_padded_message_is_signed_like_any_other)
{
	enum { LONGEST = 200 };
	uint8_t message[LONGEST + DIGEST_PADDING], expected[DIGEST_SHA256],
		signature[DIGEST_SHA256];
	struct digest_hmac_key key;
	digest_hmac_key_init(&key, "Jefe", 4);
	for (size_t size = 0; size <= LONGEST; size++) {
		memset(message, 0xff, sizeof(message));
		for (size_t i = 0; i < size; i++)
			message[i] = (uint8_t)(i * 7 + size);
		digest_hmac_sha256("Jefe", 4, message, size, expected);
		size_t padded = digest_pad(message, size);
		ck_assert_uint_le(padded, size + DIGEST_PADDING);
		for (int i = 0; i < 2; i++) {
			digest_hmac_padded(&key, message, padded, signature);
			ck_assert_mem_eq(signature, expected, sizeof(expected));
		}
	}
}
END_TEST

START_TEST(equal_is_equal_in_every_byte)
{
	ck_assert(digest_is_equal("abcd", "abcd", 4));
	ck_assert(!digest_is_equal("abcd", "abce", 4));
	ck_assert(!digest_is_equal("abcd", "bbcd", 4));
	ck_assert(digest_is_equal("a", "b", 0));
}
END_TEST

START_TEST(base64_matches_the_rfc_both_ways)
{
	static const char *const rows[][2] = {{"", ""},
					      {"f", "Zg=="},
					      {"fo", "Zm8="},
					      {"foo", "Zm9v"},
					      {"foob", "Zm9vYg=="},
					      {"fooba", "Zm9vYmE="},
					      {"foobar", "Zm9vYmFy"},
					      {"\xfb\xff\xbe", "+/++"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[16];
		uint8_t bytes[16];
		size_t size;
		digest_base64_encode(rows[i][0], strlen(rows[i][0]), text);
		ck_assert_str_eq(text, rows[i][1]);
		ck_assert(
			digest_base64_decode(text, strlen(text), bytes, strlen(rows[i][0]), &size));
		ck_assert_uint_eq(size, strlen(rows[i][0]));
		ck_assert_mem_eq(bytes, rows[i][0], size);
	}
}
END_TEST

START_TEST(base64_that_is_not_exact_is_refused)
{
	static const char *const rows[] = {
		"Z",	 "Zg",	 "Zg=",	 "Zg===", "====", "Z===",  "Zg==Zg==", "Zm9 ",
		"Zm9\n", "Zm-_", "Zh==", "Zm9=",  "=Zg=", "Zm8=A", "Z=g=",     " Zg=="};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t bytes[16];
		size_t size, length = strlen(rows[i]);
		char *copy = malloc(length); /* so that a read past the end is seen */
		memcpy(copy, rows[i], length);
		ck_assert_msg(!digest_base64_decode(copy, length, bytes, sizeof(bytes), &size),
			      "%s", rows[i]);
		free(copy);
	}
}
END_TEST

START_TEST(base64_of_more_than_there_is_room_for_is_refused)
{
	uint8_t bytes[3] = {0, 0, 7};
	size_t size;
	ck_assert(!digest_base64_decode("Zm9v", 4, bytes, 2, &size));
	ck_assert_uint_eq(bytes[2], 7);
	ck_assert(digest_base64_decode("Zm8=", 4, bytes, 2, &size));
	ck_assert_uint_eq(size, 2);
	ck_assert_uint_eq(bytes[2], 7);
}
END_TEST

Suite *suite_digest(void)
{
	Suite *suite = suite_create("digest");
	TCase *tcase = tcase_create("digest");
	tcase_add_test(tcase, digests_match_their_standards);
	tcase_add_test(tcase, parts_are_digested_as_if_joined);
	tcase_add_test(tcase, a_padded_message_is_signed_like_any_other);
	tcase_add_test(tcase, equal_is_equal_in_every_byte);
	tcase_add_test(tcase, base64_matches_the_rfc_both_ways);
	tcase_add_test(tcase, base64_that_is_not_exact_is_refused);
	tcase_add_test(tcase, base64_of_more_than_there_is_room_for_is_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
