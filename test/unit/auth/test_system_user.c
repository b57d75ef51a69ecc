/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/system_user.h"
#include "core/clock.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/offload.h"
#include "../suite.h"
#include <pwd.h>
#include <string.h>
#include <unistd.h>

Suite *suite_system_user(void);

static char *found;
static int told;

static void setup(void)
{
	loop_open();
	offload_open();
	told = 0;
}

static void teardown(void)
{
	offload_close();
	loop_close();
	memory_free(&found);
}

static void note(void *context, const char *name)
{
	ck_assert_ptr_eq(context, &told);
	told++;
	memory_free(&found);
	found = name ? memory_strdup(name) : NULL;
}

static void settle(void)
{
	for (int i = 0; offload_pending() && i < 10000; i++)
		loop_turn(10);
	ck_assert_uint_eq(offload_pending(), 0);
}

START_TEST(the_name_comes_from_a_thread)
{
	ck_assert_ptr_nonnull(system_user_find(0, note, &told));
	ck_assert_int_eq(told, 0);
	settle();
	ck_assert_int_eq(told, 1);
	ck_assert_str_eq(found, "root");
}
END_TEST

START_TEST(nobody_has_no_name)
{
	ck_assert_ptr_null(getpwuid(987654321));
	ck_assert_ptr_nonnull(system_user_find(987654321, note, &told));
	settle();
	ck_assert_int_eq(told, 1);
	ck_assert_ptr_null(found);
}
END_TEST

START_TEST(who_does_not_wait_any_more_is_not_told)
{
	struct system_user *find = system_user_find(0, note, &told);
	system_user_abandon(&find);
	ck_assert_ptr_null(find);
	system_user_abandon(&find);
	settle();
	ck_assert_int_eq(told, 0);
}
END_TEST

Suite *suite_system_user(void)
{
	Suite *suite = suite_create("system_user");
	TCase *tcase = tcase_create("system_user");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_name_comes_from_a_thread);
	tcase_add_test(tcase, nobody_has_no_name);
	tcase_add_test(tcase, who_does_not_wait_any_more_is_not_told);
	suite_add_tcase(suite, tcase);
	return suite;
}
