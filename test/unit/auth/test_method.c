/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/method.h"
#include "../suite.h"
#include <string.h>

Suite *suite_method(void);

START_TEST(every_row_is_found_by_its_keywords)
{
	enum auth_method found;
	for (unsigned i = 0; i < AUTH_METHOD_COUNT; i++) {
		const struct method *method = method_get((enum auth_method)i);
		ck_assert(method->auth_type || method->hba);
		ck_assert_ptr_nonnull(strrchr(method->doc, '.'));
		if (method->auth_type) {
			ck_assert(method_from_auth_type(method->auth_type, &found));
			ck_assert_uint_eq(found, i);
		}
		if (method->hba) {
			ck_assert(method_from_hba(method->hba, &found));
			ck_assert_uint_eq(found, i);
		}
	}
}
END_TEST

START_TEST(keywords_are_exact_and_only_valid_in_their_place)
{
	enum auth_method found;
	ck_assert(!method_from_hba("any", &found));
	ck_assert(!method_from_hba("hba", &found));
	ck_assert(!method_from_hba("plain", &found));
	ck_assert(!method_from_hba("MD5", &found));
	ck_assert(!method_from_hba("", &found));
	ck_assert(!method_from_auth_type("password", &found));
	ck_assert(!method_from_auth_type("peer", &found));
	ck_assert(!method_from_auth_type("reject", &found));
	ck_assert(method_from_hba("password", &found) && found == AUTH_PLAIN);
	ck_assert(method_from_auth_type("plain", &found) && found == AUTH_PLAIN);
}
END_TEST

START_TEST(flags_say_what_a_method_needs)
{
	ck_assert(method_has(AUTH_CERT, METHOD_NEEDS_TLS));
	ck_assert(method_has(AUTH_PEER, METHOD_ONLY_UNIX));
	ck_assert(method_has(AUTH_PAM, METHOD_NEEDS_OFFLOAD));
	ck_assert(method_has(AUTH_LDAP, METHOD_ASKS_PASSWORD));
	ck_assert(!method_has(AUTH_TRUST, METHOD_ASKS_PASSWORD));
}
END_TEST

START_TEST(hba_keywords_read_as_a_sentence)
{
	char text[200];
	ck_assert_str_eq(method_hba_keywords(text, sizeof text),
			 "trust, password, md5, cert, ldap, pam, scram-sha-256, reject or peer");
}
END_TEST

Suite *suite_method(void)
{
	Suite *suite = suite_create("method");
	TCase *tcase = tcase_create("method");
	tcase_add_test(tcase, every_row_is_found_by_its_keywords);
	tcase_add_test(tcase, keywords_are_exact_and_only_valid_in_their_place);
	tcase_add_test(tcase, flags_say_what_a_method_needs);
	tcase_add_test(tcase, hba_keywords_read_as_a_sentence);
	suite_add_tcase(suite, tcase);
	return suite;
}
