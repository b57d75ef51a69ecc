/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/authentication.h"
#include "proto/message.h"
#include "../suite.h"
#include <stdlib.h>
#include <string.h>

Suite *suite_authentication(void);

static struct authentication seen;

/* Parse an exact copy, so that a read past the end is seen. */
static bool parse(const void *body, size_t size)
{
	static uint8_t *copy;
	free(copy);
	copy = malloc(size ? size : 1);
	memcpy(copy, body, size);
	return authentication_parse(copy, size, &seen);
}

START_TEST(codes_without_data_are_exact)
{
	static const uint8_t codes[] = {AUTHENTICATION_OK, AUTHENTICATION_CLEARTEXT_PASSWORD,
					AUTHENTICATION_GSS, AUTHENTICATION_SSPI};
	for (size_t i = 0; i < sizeof(codes); i++) {
		const uint8_t body[5] = {0, 0, 0, codes[i]};
		for (size_t size = 0; size < 4; size++)
			ck_assert(!parse(body, size));
		ck_assert(parse(body, 4));
		ck_assert_uint_eq(seen.code, codes[i]);
		ck_assert(!parse(body, 5));
	}
}
END_TEST

START_TEST(md5_has_four_bytes_of_salt)
{
	for (size_t size = 0; size < 8; size++)
		ck_assert(!parse("\0\0\0\5salt", size));
	ck_assert(parse("\0\0\0\5salt", 8));
	ck_assert_uint_eq(seen.code, AUTHENTICATION_MD5_PASSWORD);
	ck_assert_mem_eq(seen.salt, "salt", 4);
	ck_assert(!parse("\0\0\0\5salty", 9));
}
END_TEST

START_TEST(sasl_names_its_mechanisms)
{
	static const char both[] = "\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
	ck_assert(parse(both, sizeof(both)));
	ck_assert(seen.has_scram_sha_256);
	ck_assert(seen.has_scram_sha_256_plus);
	for (size_t size = 0; size < sizeof(both); size++)
		ck_assert(!parse(both, size));
	static const char one[] = "\0\0\0\x0aOTHER\0SCRAM-SHA-256\0";
	ck_assert(parse(one, sizeof(one)));
	ck_assert(seen.has_scram_sha_256);
	ck_assert(!seen.has_scram_sha_256_plus);
	ck_assert(!parse("\0\0\0\x0aSCRAM-SHA-256\0\0x", 20));
	ck_assert(parse("\0\0\0\x0aSCRAM-SHA-2567\0", 20));
	ck_assert(!seen.has_scram_sha_256);
}
END_TEST

START_TEST(sasl_data_is_the_rest)
{
	ck_assert(parse("\0\0\0\x0br=nonce", 11));
	ck_assert_uint_eq(seen.code, AUTHENTICATION_SASL_CONTINUE);
	ck_assert_uint_eq(seen.data_size, 7);
	ck_assert_mem_eq(seen.data, "r=nonce", 7);
	ck_assert(parse("\0\0\0\x0c", 4));
	ck_assert_uint_eq(seen.code, AUTHENTICATION_SASL_FINAL);
	ck_assert_uint_eq(seen.data_size, 0);
}
END_TEST

START_TEST(unknown_codes_are_left_to_the_caller)
{
	ck_assert(parse("\0\0\1\0anything", 12));
	ck_assert_uint_eq(seen.code, 256);
}
END_TEST

START_TEST(a_sasl_initial_response_is_taken_apart)
{
	static const uint8_t body[] = "SCRAM-SHA-256\0\0\0\0\6n,,n=,";
	const char *mechanism;
	const uint8_t *data;
	size_t size;
	ck_assert(authentication_parse_sasl_initial(body, sizeof(body) - 1, &mechanism, &data,
						    &size));
	ck_assert_str_eq(mechanism, "SCRAM-SHA-256");
	ck_assert_uint_eq(size, 6);
	ck_assert_mem_eq(data, "n,,n=,", 6);
	ck_assert(!authentication_parse_sasl_initial(body, sizeof(body), &mechanism, &data, &size));
	for (size_t part = 0; part < sizeof(body) - 1; part++) {
		uint8_t *copy = malloc(part ? part : 1);
		memcpy(copy, body, part);
		ck_assert(!authentication_parse_sasl_initial(copy, part, &mechanism, &data, &size));
		free(copy);
	}
}
END_TEST

START_TEST(a_sasl_initial_response_may_have_no_data)
{
	const char *mechanism;
	const uint8_t *data;
	size_t size;
	ck_assert(authentication_parse_sasl_initial((const uint8_t *)"X\0\xff\xff\xff\xff", 6,
						    &mechanism, &data, &size));
	ck_assert_ptr_null(data);
	ck_assert_uint_eq(size, 0);
	ck_assert(authentication_parse_sasl_initial((const uint8_t *)"X\0\0\0\0\0", 6, &mechanism,
						    &data, &size));
	ck_assert_ptr_nonnull(data);
	ck_assert_uint_eq(size, 0);
	ck_assert(!authentication_parse_sasl_initial((const uint8_t *)"X\0\xff\xff\xff\xfe", 6,
						     &mechanism, &data, &size));
	ck_assert(!authentication_parse_sasl_initial((const uint8_t *)"X\0\x7f\xff\xff\xff", 6,
						     &mechanism, &data, &size));
}
END_TEST

START_TEST(a_password_is_one_string)
{
	const char *password;
	ck_assert(authentication_parse_password((const uint8_t *)"secret", 7, &password));
	ck_assert_str_eq(password, "secret");
	ck_assert(authentication_parse_password((const uint8_t *)"", 1, &password));
	ck_assert_str_eq(password, "");
	for (size_t size = 0; size < 7; size++)
		ck_assert(
			!authentication_parse_password((const uint8_t *)"secret", size, &password));
	ck_assert(!authentication_parse_password((const uint8_t *)"secret\0x", 8, &password));
}
END_TEST

static void assert_put(bool fits, struct buffer **out, const char *expected, size_t size)
{
	ck_assert(fits);
	ck_assert_uint_eq(buffer_length(*out), size);
	ck_assert_mem_eq(buffer_bytes(*out), expected, size);
	buffer_free(out);
}

START_TEST(messages_to_clients_have_their_bytes)
{
	static const char *const mechanisms[] = {"SCRAM-SHA-256", NULL};
	struct buffer *out = NULL;
	assert_put(authentication_put_ok(&out, 99), &out, "R\0\0\0\x08\0\0\0\0", 9);
	assert_put(authentication_put_cleartext(&out, 99), &out, "R\0\0\0\x08\0\0\0\3", 9);
	assert_put(authentication_put_md5(&out, 99, (const uint8_t *)"salt"), &out,
		   "R\0\0\0\x0c\0\0\0\5salt", 13);
	assert_put(authentication_put_sasl(&out, 99, mechanisms), &out,
		   "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0", 24);
	assert_put(authentication_put_sasl_continue(&out, 99, "r=x", 3), &out,
		   "R\0\0\0\x0b\0\0\0\x0br=x", 12);
	assert_put(authentication_put_sasl_final(&out, 99, "v=x", 3), &out,
		   "R\0\0\0\x0b\0\0\0\x0cv=x", 12);
	ck_assert(!authentication_put_ok(&out, 8));
	ck_assert_ptr_null(out);
}
END_TEST

START_TEST(messages_to_servers_have_their_bytes)
{
	struct buffer *out = NULL;
	assert_put(authentication_put_password(&out, 99, "secret"), &out, "p\0\0\0\x0bsecret", 12);
	assert_put(authentication_put_sasl_initial(&out, 99, "M", "n,,", 3), &out,
		   "p\0\0\0\x0dM\0\0\0\0\3n,,", 14);
	assert_put(authentication_put_sasl_response(&out, 99, "c=biws", 6), &out,
		   "p\0\0\0\x0a"
		   "c=biws",
		   11);
	ck_assert(!authentication_put_password(&out, 11, "secret"));
	ck_assert_ptr_null(out);
}
END_TEST

Suite *suite_authentication(void)
{
	Suite *suite = suite_create("authentication");
	TCase *tcase = tcase_create("authentication");
	tcase_add_test(tcase, codes_without_data_are_exact);
	tcase_add_test(tcase, md5_has_four_bytes_of_salt);
	tcase_add_test(tcase, sasl_names_its_mechanisms);
	tcase_add_test(tcase, sasl_data_is_the_rest);
	tcase_add_test(tcase, unknown_codes_are_left_to_the_caller);
	tcase_add_test(tcase, a_sasl_initial_response_is_taken_apart);
	tcase_add_test(tcase, a_sasl_initial_response_may_have_no_data);
	tcase_add_test(tcase, a_password_is_one_string);
	tcase_add_test(tcase, messages_to_clients_have_their_bytes);
	tcase_add_test(tcase, messages_to_servers_have_their_bytes);
	suite_add_tcase(suite, tcase);
	return suite;
}
