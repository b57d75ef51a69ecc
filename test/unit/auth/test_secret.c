/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/secret.h"
#include "../suite.h"
#include <stdio.h>
#include <string.h>

Suite *suite_secret(void);

#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define SCRAM "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER
#define MD5 "md5e4f70fb0b8f2745aa7a69557c80cbd0c"

START_TEST(texts_have_their_kind)
{
	static const struct {
		const char *text;
		enum secret_kind kind;
	} rows[] = {
		{NULL, SECRET_NONE},
		{"", SECRET_NONE},
		{"pencil", SECRET_PLAIN},
		{MD5, SECRET_MD5},
		{MD5 "0", SECRET_PLAIN},
		{"md5", SECRET_PLAIN},
		{"md5E4F70FB0B8F2745AA7A69557C80CBD0C", SECRET_PLAIN}, /* as PostgreSQL */
		{"md5g4f70fb0b8f2745aa7a69557c80cbd0c", SECRET_PLAIN},
		{SCRAM, SECRET_SCRAM},
		{SCRAM " ", SECRET_NONE},
		{"SCRAM-SHA-256$0:" SALT "$" STORED ":" SERVER, SECRET_NONE},
		{"SCRAM-SHA-256$:" SALT "$" STORED ":" SERVER, SECRET_NONE},
		{"SCRAM-SHA-256$-1:" SALT "$" STORED ":" SERVER, SECRET_NONE},
		{"SCRAM-SHA-256$99999999999:" SALT "$" STORED ":" SERVER, SECRET_NONE},
		{"SCRAM-SHA-256$4096:$" STORED ":" SERVER, SECRET_NONE},
		{"SCRAM-SHA-256$4096:" SALT "$" SALT ":" SERVER, SECRET_NONE},
		{"SCRAM-SHA-256$4096:" SALT "$" STORED ":" SALT, SECRET_NONE},
		{"SCRAM-SHA-1$4096:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
		{"scram-sha-256$4096:" SALT "$" STORED ":" SERVER, SECRET_PLAIN},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct secret secret = secret_from_text(rows[i].text);
		ck_assert_msg(secret.kind == rows[i].kind, "%s", rows[i].text);
		ck_assert_ptr_eq(secret.text, rows[i].text);
	}
}
END_TEST

START_TEST(a_scram_secret_is_taken_apart)
{
	struct scram_secret scram;
	char text[128];
	ck_assert(secret_parse_scram(SCRAM, &scram));
	ck_assert_uint_eq(scram.iterations, 4096);
	ck_assert_uint_eq(scram.salt_size, 16);
	digest_base64_encode(scram.salt, scram.salt_size, text);
	ck_assert_str_eq(text, SALT);
	digest_base64_encode(scram.stored_key, DIGEST_SHA256, text);
	ck_assert_str_eq(text, STORED);
	digest_base64_encode(scram.server_key, DIGEST_SHA256, text);
	ck_assert_str_eq(text, SERVER);
}
END_TEST

START_TEST(no_truncation_of_a_scram_secret_is_one)
{
	struct scram_secret scram;
	for (size_t length = 0; length < sizeof(SCRAM) - 1; length++) {
		char part[sizeof(SCRAM)];
		snprintf(part, sizeof(part), "%.*s", (int)length, SCRAM);
		ck_assert_msg(!secret_parse_scram(part, &scram), "%s", part);
	}
}
END_TEST

START_TEST(a_salt_that_is_too_long_is_refused)
{
	struct scram_secret scram;
	uint8_t salt[SECRET_SALT_MAX + 1] = {0};
	char encoded[120], text[400];
	for (size_t size = SECRET_SALT_MAX; size <= SECRET_SALT_MAX + 1; size++) {
		digest_base64_encode(salt, size, encoded);
		snprintf(text, sizeof(text), "SCRAM-SHA-256$4096:%s$" STORED ":" SERVER, encoded);
		ck_assert_int_eq(secret_parse_scram(text, &scram), size == SECRET_SALT_MAX);
	}
}
END_TEST

START_TEST(a_built_secret_is_the_one_postgresql_stores)
{
	struct scram_secret built, parsed;
	ck_assert(secret_parse_scram(SCRAM, &parsed));
	secret_build_scram("pencil", parsed.salt, parsed.salt_size, 4096, &built);
	ck_assert_mem_eq(&built, &parsed, sizeof(built));
	secret_build_scram("pencik", parsed.salt, parsed.salt_size, 4096, &built);
	ck_assert_mem_ne(built.stored_key, parsed.stored_key, DIGEST_SHA256);
	ck_assert_mem_ne(built.server_key, parsed.server_key, DIGEST_SHA256);
}
END_TEST

Suite *suite_secret(void)
{
	Suite *suite = suite_create("secret");
	TCase *tcase = tcase_create("secret");
	tcase_add_test(tcase, texts_have_their_kind);
	tcase_add_test(tcase, a_scram_secret_is_taken_apart);
	tcase_add_test(tcase, no_truncation_of_a_scram_secret_is_one);
	tcase_add_test(tcase, a_salt_that_is_too_long_is_refused);
	tcase_add_test(tcase, a_built_secret_is_the_one_postgresql_stores);
	suite_add_tcase(suite, tcase);
	return suite;
}
