/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/md5.h"
#include "../suite.h"
#include <stdio.h>

Suite *suite_md5(void);

static const uint8_t salt[4] = {1, 2, 3, 4};

START_TEST(plain_and_md5_secrets_give_the_same_answer)
{
	char answer[MD5_TEXT];
	struct secret secret = secret_from_text("pencil");
	ck_assert(md5_answer(&secret, "bob", salt, answer));
	ck_assert_str_eq(answer, "md5735bfd3e1298fa49b4b28c02c7f176e1");
	secret = secret_from_text("md5e4f70fb0b8f2745aa7a69557c80cbd0c");
	ck_assert(md5_answer(&secret, "bob", salt, answer));
	ck_assert_str_eq(answer, "md5735bfd3e1298fa49b4b28c02c7f176e1");
}
END_TEST

START_TEST(the_answer_depends_on_user_and_salt)
{
	char answer[MD5_TEXT];
	const uint8_t other[4] = {1, 2, 3, 5};
	struct secret secret = secret_from_text("pencil");
	ck_assert(md5_answer(&secret, "alice", salt, answer));
	ck_assert_str_ne(answer, "md5735bfd3e1298fa49b4b28c02c7f176e1");
	ck_assert(md5_answer(&secret, "bob", other, answer));
	ck_assert_str_ne(answer, "md5735bfd3e1298fa49b4b28c02c7f176e1");
}
END_TEST

START_TEST(other_secrets_have_no_answer)
{
	char answer[MD5_TEXT];
	struct secret secret = secret_from_text(NULL);
	ck_assert(!md5_answer(&secret, "bob", salt, answer));
	ck_assert_str_eq(answer, "");
	secret = secret_from_text("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
				  "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
				  "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
	ck_assert_int_eq(secret.kind, SECRET_SCRAM);
	ck_assert(!md5_answer(&secret, "bob", salt, answer));
}
END_TEST

START_TEST(only_the_right_answer_is_verified)
{
	const struct secret plain = secret_from_text("secret"), none = secret_from_text(""),
			    empty = {.kind = SECRET_PLAIN, .text = ""};
	char answer[MD5_TEXT], stored[MD5_TEXT], wrong[MD5_TEXT + 1];
	ck_assert(md5_answer(&plain, "bob", salt, answer));
	ck_assert(md5_verify(&plain, "bob", salt, answer));
	static const uint8_t other[4] = {1, 2, 3, 5};
	ck_assert(!md5_verify(&plain, "bob", other, answer));
	ck_assert(!md5_verify(&plain, "bib", salt, answer));
	ck_assert(!md5_verify(&none, "bob", salt, answer));
	ck_assert(!md5_verify(&empty, "bob", salt, answer));
	ck_assert(md5_answer(&empty, "bob", salt, answer));
	ck_assert(!md5_verify(&empty, "bob", salt, answer));
	ck_assert(md5_answer(&plain, "bob", salt, answer));
	for (size_t at = 0; at < MD5_TEXT - 1; at++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(wrong, answer, MD5_TEXT);
			wrong[at] = (char)(wrong[at] ^ 1 << bit);
			ck_assert(!md5_verify(&plain, "bob", salt, wrong));
		}
		memcpy(wrong, answer, MD5_TEXT);
		wrong[at] = '\0';
		ck_assert(!md5_verify(&plain, "bob", salt, wrong));
	}
	snprintf(wrong, sizeof(wrong), "%s0", answer);
	ck_assert(!md5_verify(&plain, "bob", salt, wrong));
	/* The stored hash itself is no answer. */
	strcpy(stored, "md5e4f70fb0b8f2745aa7a69557c80cbd0c");
	const struct secret md5 = secret_from_text(stored);
	ck_assert_int_eq(md5.kind, SECRET_MD5);
	ck_assert(!md5_verify(&md5, "bob", salt, stored));
	ck_assert(md5_answer(&md5, "bob", salt, answer));
	ck_assert(md5_verify(&md5, "bob", salt, answer));
}
END_TEST

Suite *suite_md5(void)
{
	Suite *suite = suite_create("md5");
	TCase *tcase = tcase_create("md5");
	tcase_add_test(tcase, plain_and_md5_secrets_give_the_same_answer);
	tcase_add_test(tcase, the_answer_depends_on_user_and_salt);
	tcase_add_test(tcase, other_secrets_have_no_answer);
	tcase_add_test(tcase, only_the_right_answer_is_verified);
	suite_add_tcase(suite, tcase);
	return suite;
}
