/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ldap.h"
#include "core/error.h"
#include "../suite.h"
#include <string.h>

Suite *suite_ldap(void);

#ifdef HAVE_LDAP

static void takes(const char *text)
{
	struct error error = {0};
	struct ldap_options *options = ldap_options_parse(text, &error);
	ck_assert_msg(options != NULL, "%s: %s", text, error.message);
	struct ldap_options *again = ldap_options_ref(options);
	ldap_options_free(&options);
	ck_assert_ptr_null(options);
	ldap_options_free(&again);
}

static void refuses(const char *text, const char *why)
{
	struct error error = {0};
	ck_assert_msg(!ldap_options_parse(text, &error), "%s", text);
	ck_assert_msg(strstr(error.message, why) != NULL, "%s: %s", text, error.message);
	ck_assert_str_eq(error.sqlstate, "F0000");
	ck_assert_ptr_null(strstr(error.message, "geheim"));
}

START_TEST(options_are_read)
{
	takes("ldapserver=a ldapprefix=cn= ldapsuffix=\",dc=example, dc=org\"");
	takes("  ldapserver=\"a b c\"\tldapport=1389 ldaptls=1 ldapbasedn=dc=x  ");
	takes("ldapserver=a ldapbasedn=x ldapbinddn=y ldapbindpasswd=\"a \"\"b\"\" c\" "
	      "ldapsearchattribute=cn");
	takes("ldapserver=a ldapbasedn=x ldapsearchfilter=\"(&(uid=$username)(ou=x))\"");
	takes("ldapurl=ldaps://host:636/dc=x??one?(uid=$username)");
	takes("ldapscheme=ldaps ldapserver=::1 ldapbasedn=x");
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
	refuses("", "needs ldapserver or ldapurl");
	refuses("ldapbasedn=x", "needs ldapserver or ldapurl");
	refuses("ldapserver=a", "needs ldapbasedn, or ldapprefix or ldapsuffix");
	refuses("ldapserver=a ldapserver=b ldapbasedn=x", "ldapserver is given twice");
	refuses("ldapserver", "words name=value");
	refuses("=x", "words name=value");
	refuses("ldapserver=\"a", "no closing quote");
	refuses("ldapserver=a ldapport=0 ldapbasedn=x", "1 to 65535");
	refuses("ldapserver=a ldapport=x ldapbasedn=x", "1 to 65535");
	refuses("ldapserver=a ldaptls=2 ldapbasedn=x", "ldaptls must be 0 or 1");
	refuses("ldapserver=a ldapscheme=http ldapbasedn=x", "ldap or ldaps");
	refuses("ldapserver=a ldapscheme=ldaps ldaptls=1 ldapbasedn=x", "encrypted already");
	refuses("ldapserver=a ldapprefix=x ldapbasedn=y", "cannot be used together");
	refuses("ldapserver=a ldapsuffix=x ldapbindpasswd=geheim", "cannot be used together");
	refuses("ldapserver=a ldapbasedn=x ldapsearchattribute=a "
		"ldapsearchfilter=(uid=$username)",
		"cannot be used together");
	refuses("ldapserver=a ldapbasedn=x ldapsearchfilter=(uid=alice)", "$username");
	refuses("ldapurl=http://x/y", "no LDAP URL");
	refuses("ldapurl=ldap://x/y ldapserver=z", "ldapurl already says");
	refuses("ldapbindpasswd=geheim nonsense=geheim", "unknown LDAP option \"nonsense\"");
}
END_TEST

START_TEST(every_truncation_is_taken_or_refused)
{
	const char text[] = "ldapserver=\"a b\" ldapport=389 ldaptls=1 ldapbasedn=\"dc=x, y\" "
			    "ldapbinddn=z ldapbindpasswd=geheim";
	char cut[sizeof text];
	for (size_t i = 0; i < sizeof text; i++) {
		struct error error = {0};
		memcpy(cut, text, i);
		cut[i] = '\0';
		struct ldap_options *options = ldap_options_parse(cut, &error);
		ck_assert(options || *error.message);
		ldap_options_free(&options);
	}
}
END_TEST

START_TEST(an_empty_password_is_never_a_bind)
{
	struct error error = {0};
	struct ldap_options *options =
		ldap_options_parse("ldapserver=127.0.0.1 ldapprefix=cn=", &error);
	ck_assert(!ldap_check(options, "alice", "", &error));
	ck_assert_str_eq(error.message, "empty password");
	ldap_options_free(&options);
}
END_TEST

Suite *suite_ldap(void)
{
	Suite *suite = suite_create("ldap");
	TCase *tcase = tcase_create("options");
	tcase_add_test(tcase, options_are_read);
	tcase_add_test(tcase, what_is_wrong_is_said);
	tcase_add_test(tcase, every_truncation_is_taken_or_refused);
	tcase_add_test(tcase, an_empty_password_is_never_a_bind);
	suite_add_tcase(suite, tcase);
	return suite;
}

#else

START_TEST(without_the_library_options_are_refused)
{
	struct error error = {0};
	ck_assert_ptr_null(ldap_options_parse("ldapserver=a ldapbasedn=x", &error));
	ck_assert_str_eq(error.message, "this pgweir was built without LDAP");
}
END_TEST

Suite *suite_ldap(void)
{
	Suite *suite = suite_create("ldap");
	TCase *tcase = tcase_create("options");
	tcase_add_test(tcase, without_the_library_options_are_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}

#endif
