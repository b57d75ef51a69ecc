/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/saslprep.h"
#include "core/memory.h"
#include "../suite.h"

Suite *suite_saslprep(void);

static void assert_becomes(const char *password, const char *expected)
{
	char *result = saslprep(password);
	ck_assert_str_eq(result, expected);
	memory_free(&result);
}

START_TEST(passwords_are_normalised_as_in_the_rfc)
{
	assert_becomes("I\xc2\xadX", "IX");	 /* soft hyphen, mapped to nothing */
	assert_becomes("\xc2\xaa", "a");	 /* feminine ordinal, NFKC */
	assert_becomes("\xe2\x85\xa8", "IX");	 /* Roman numeral nine */
	assert_becomes("a\xc2\xa0z", "a z");	 /* no-break space */
	assert_becomes("e\xcc\x81", "\xc3\xa9"); /* e and acute become one */
	assert_becomes("\xc3\xa9", "\xc3\xa9");
}
END_TEST

START_TEST(ascii_stays_as_it_is)
{
	assert_becomes("user", "user");
	assert_becomes("USER", "USER");
	assert_becomes("", "");
	assert_becomes("a\x07\x7f", "a\x07\x7f");
}
END_TEST

START_TEST(what_the_profile_refuses_stays_as_it_is)
{
	assert_becomes("\xd8\xa7\x31", "\xd8\xa7\x31");		  /* mixed directions */
	assert_becomes("\xc2\xad", "\xc2\xad");			  /* would be empty */
	assert_becomes("x\xc8\xa1\xc2\xad", "x\xc8\xa1\xc2\xad"); /* unassigned in Unicode 3.2 */
	assert_becomes("\xff\xfe", "\xff\xfe");			  /* no UTF-8 */
	assert_becomes("\xc2", "\xc2");
	assert_becomes("\xc0\x80\xc2\xad", "\xc0\x80\xc2\xad");
	assert_becomes("\xee\x80\x80", "\xee\x80\x80"); /* private use */
}
END_TEST

Suite *suite_saslprep(void)
{
	Suite *suite = suite_create("saslprep");
	TCase *tcase = tcase_create("saslprep");
	tcase_add_test(tcase, passwords_are_normalised_as_in_the_rfc);
	tcase_add_test(tcase, ascii_stays_as_it_is);
	tcase_add_test(tcase, what_the_profile_refuses_stays_as_it_is);
	suite_add_tcase(suite, tcase);
	return suite;
}
