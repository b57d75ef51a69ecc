/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/feature.h"
#include "suites.h"
#include <string.h>

START_TEST(policies_are_read_and_shown)
{
	static const struct {
		const char *text, *shown; /* NULL: refused */
	} rows[] = {
		{"allow", "allow"},
		{"warn", "warn"},
		{"ERROR", "error"},
		{"listen=error", "listen=error"},
		{"listen = error , set=Warn", "listen=error, set=warn"},
		{"warn, load=allow",
		 "listen=warn, set=warn, advisory_lock=warn, temp_table=warn, hold_cursor=warn"},
		{"listen=error, allow", "allow"},
		{"listen=error, listen=allow", "allow"},
		{"listen=warn,set=warn,advisory_lock=warn,temp_table=warn,hold_cursor=warn,load="
		 "warn",
		 "warn"},
		{"", NULL},
		{" ", NULL},
		{"none", NULL},
		{"listen", NULL},
		{"listen=", NULL},
		{"=warn", NULL},
		{"listen=warn=error", NULL},
		{"temp_tables=warn", NULL},
		{"warn set=error", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int policies = -1;
		bool good = feature_policies_parse(rows[i].text, &policies);
		ck_assert_msg(good == (rows[i].shown != NULL), "%s", rows[i].text);
		if (good)
			ck_assert_str_eq(feature_policies_text(policies), rows[i].shown);
		else
			ck_assert_int_eq(policies, -1);
	}
}
END_TEST

START_TEST(each_feature_has_its_own)
{
	int policies;
	ck_assert(feature_policies_parse("set=warn, load=error", &policies));
	ck_assert_int_eq(feature_policy_of(policies, FEATURE_set), FEATURE_WARN);
	ck_assert_int_eq(feature_policy_of(policies, FEATURE_load), FEATURE_ERROR);
	ck_assert_int_eq(feature_policy_of(policies, FEATURE_listen), FEATURE_ALLOW);
	ck_assert_ptr_nonnull(strstr(feature_policies_allowed(), "hold_cursor"));
}
END_TEST

Suite *suite_feature(void)
{
	Suite *suite = suite_create("feature");
	TCase *cases = tcase_create("feature");
	tcase_add_test(cases, policies_are_read_and_shown);
	tcase_add_test(cases, each_feature_has_its_own);
	suite_add_tcase(suite, cases);
	return suite;
}
