/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/pam.h"
#include "core/error.h"
#include "scratch.h"
#include "../suite.h"
#include <string.h>

Suite *suite_pam(void);

#if !defined(HAVE_PAM) || defined(HAVE_PAM_START_CONFDIR)
static struct error error;
#endif

#if defined(HAVE_PAM) && defined(HAVE_PAM_START_CONFDIR)

static char directory[200];

/* Services that let in bob with his password and nobody else; by way of a script, since what checks
 * the system's own passwords needs to be root. */
static void setup(void)
{
	scratch_make(directory);
	scratch_write(directory, "check.sh", 0755,
		      "#!/bin/sh\n"
		      "password=$(tr -d '\\000')\n"
		      "echo \"$PAM_USER $PAM_RHOST $PAM_SERVICE $PAM_TYPE\" > '%s/seen'\n"
		      "[ \"$PAM_USER\" = bob ] && [ \"$password\" = 'pen cil\"' ]\n",
		      directory);
	scratch_write(directory, "script", 0644,
		      "auth [success=1 default=ignore] pam_exec.so quiet expose_authtok "
		      "%s/check.sh\n"
		      "auth requisite pam_deny.so\n"
		      "auth required pam_permit.so\n"
		      "account required pam_permit.so\n",
		      directory);
	scratch_write(directory, "unknown", 0644, "auth required pam_debug.so auth=user_unknown\n");
	scratch_write(directory, "broken", 0644,
		      "auth required pam_debug.so auth=authinfo_unavail\n");
	scratch_write(directory, "expired", 0644,
		      "auth required pam_debug.so\n"
		      "account required pam_debug.so acct=acct_expired\n");
	scratch_write(directory, "renew", 0644,
		      "auth required pam_debug.so\n"
		      "account required pam_debug.so acct=new_authtok_reqd\n");
	scratch_write(directory, "missing", 0644, "auth required pam_there_is_no_such_module.so\n");
	scratch_write(directory, "ask_once", 0644,
		      "auth required pam_ftp.so\naccount required pam_permit.so\n");
	scratch_write(directory, "ask_twice", 0644,
		      "auth required pam_ftp.so\nauth required pam_ftp.so\n"
		      "account required pam_permit.so\n");
	scratch_write(directory, "other", 0644,
		      "auth required pam_deny.so\naccount required pam_deny.so\n");
}

static void teardown(void)
{
	scratch_remove(directory);
}

static bool check(const char *service, const char *user, const char *password)
{
	const struct pam_options options = {.service = service, .directory = directory};
	memset(&error, 0, sizeof(error));
	return pam_check(&options, user, password, "192.0.2.7", &error);
}

static void assert_refused(const char *sqlstate, const char *detail)
{
	ck_assert_str_eq(error.message, "PAM authentication failed");
	ck_assert_str_eq(error.sqlstate, sqlstate);
	ck_assert_msg(strstr(error.detail, detail) != NULL, "detail: %s", error.detail);
}

START_TEST(the_right_password_is_right)
{
	ck_assert_msg(check("script", "bob", "pen cil\""), "%s", error.detail);
	ck_assert_str_eq(scratch_read(directory, "seen"), "bob 192.0.2.7 script auth\n");
}
END_TEST

START_TEST(another_password_or_user_is_refused)
{
	ck_assert(!check("script", "bob", "pen"));
	assert_refused("28P01", "pam_authenticate: ");
	ck_assert(!check("script", "alice", "pen cil\""));
	assert_refused("28P01", "pam_authenticate: ");
	ck_assert(!check("unknown", "bob", "pen cil\""));
	assert_refused("28P01", "pam_authenticate: ");
}
END_TEST

START_TEST(an_empty_password_is_not_asked_about)
{
	ck_assert(!check("ask_once", "anonymous", ""));
	assert_refused("28P01", "empty password");
	ck_assert(!check("script", "bob", ""));
	ck_assert_str_eq(scratch_read(directory, "seen"), "");
}
END_TEST

START_TEST(an_account_that_may_not_be_used_is_refused)
{
	ck_assert(!check("expired", "bob", "x"));
	assert_refused("28P01", "pam_acct_mgmt: ");
	ck_assert(!check("renew", "bob", "x"));
	assert_refused("28P01", "pam_acct_mgmt: ");
}
END_TEST

START_TEST(a_service_that_does_not_work_is_told_apart)
{
	ck_assert(!check("broken", "bob", "x"));
	assert_refused("58000", "pam_authenticate: ");
	ck_assert(!check("missing", "bob", "x"));
	assert_refused("58000", "pam_authenticate: ");
}
END_TEST

START_TEST(a_service_without_a_file_is_the_other_one)
{
	ck_assert(!check("nowhere", "bob", "pen cil\""));
	assert_refused("28P01", "pam_authenticate: ");
}
END_TEST

START_TEST(the_password_is_given_once)
{
	ck_assert_msg(check("ask_once", "anonymous", "me@example.net"), "%s", error.detail);
	ck_assert(!check("ask_twice", "anonymous", "me@example.net"));
	assert_refused("58000", "a module asked for more than the password");
}
END_TEST

START_TEST(pam_is_there)
{
	ck_assert(pam_is_available(&error));
}
END_TEST

#elif !defined(HAVE_PAM)

START_TEST(without_pam_every_check_says_so)
{
	const struct pam_options options = {.service = "pgweir"};
	ck_assert(!pam_is_available(&error));
	ck_assert_str_eq(error.message, "pgweir was built without PAM");
	ck_assert(!pam_check(&options, "bob", "pencil", NULL, &error));
	ck_assert_str_eq(error.message, "pgweir was built without PAM");
}
END_TEST

#endif

Suite *suite_pam(void)
{
	Suite *suite = suite_create("pam");
	TCase *tcase = tcase_create("pam");
	tcase_set_timeout(tcase, 60);
#if defined(HAVE_PAM) && defined(HAVE_PAM_START_CONFDIR)
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_right_password_is_right);
	tcase_add_test(tcase, another_password_or_user_is_refused);
	tcase_add_test(tcase, an_empty_password_is_not_asked_about);
	tcase_add_test(tcase, an_account_that_may_not_be_used_is_refused);
	tcase_add_test(tcase, a_service_that_does_not_work_is_told_apart);
	tcase_add_test(tcase, a_service_without_a_file_is_the_other_one);
	tcase_add_test(tcase, the_password_is_given_once);
	tcase_add_test(tcase, pam_is_there);
#elif !defined(HAVE_PAM)
	tcase_add_test(tcase, without_pam_every_check_says_so);
#endif
	suite_add_tcase(suite, tcase);
	return suite;
}
