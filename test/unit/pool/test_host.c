/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/host.h"
#include "core/clock.h"
#include <stddef.h>
#include "suites.h"

static struct host_list list;

static void close_list(void)
{
	host_list_fini(&list);
}

START_TEST(round_robin_takes_the_next_host_each_time)
{
	host_list_init(&list, "a, b ,c", 5432, BALANCE_ROUND_ROBIN, "/tmp");
	ck_assert_int_eq(list.count, 3);
	for (int i = 0; i < 2; i++) {
		ck_assert_str_eq(host_next(&list), "a");
		ck_assert_str_eq(host_next(&list), "b");
		ck_assert_str_eq(host_next(&list), "c");
	}
}
END_TEST

START_TEST(round_robin_is_what_an_unset_balance_means)
{
	host_list_init(&list, "a,b", 5432, BALANCE_UNSET, "/tmp");
	ck_assert_str_eq(host_next(&list), "a");
	ck_assert_str_eq(host_next(&list), "b");
	ck_assert_str_eq(host_next(&list), "a");
}
END_TEST

START_TEST(a_failure_does_not_disturb_the_round)
{
	host_list_init(&list, "a,b,c", 5432, BALANCE_ROUND_ROBIN, "/tmp");
	ck_assert_str_eq(host_next(&list), "a");
	host_failed(&list, "a");
	ck_assert_str_eq(host_next(&list), "b");
}
END_TEST

START_TEST(without_balance_a_host_is_kept_until_it_fails)
{
	host_list_init(&list, "a,b", 5432, BALANCE_DISABLE, "/tmp");
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(host_next(&list), "a");
	host_failed(&list, "a");
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(host_next(&list), "b");
	host_failed(&list, "b");
	ck_assert_str_eq(host_next(&list), "a");
}
END_TEST

START_TEST(the_failure_of_a_host_that_was_left_already_moves_nothing)
{
	host_list_init(&list, "a,b,c", 5432, BALANCE_DISABLE, "/tmp");
	host_failed(&list, "a");
	host_failed(&list, "a"); /* the second of two connections that were on their way */
	ck_assert_str_eq(host_next(&list), "b");
}
END_TEST

START_TEST(a_host_that_rests_is_passed_over)
{
	clock_drive();
	usec_t now = clock_now(), later = now + 100;
	host_list_init(&list, "a,b,c", 5432, BALANCE_ROUND_ROBIN, "/tmp");
	ck_assert_str_eq(host_next(&list), "a");
	ck_assert(host_rest(&list, "a", now, later));
	ck_assert_str_eq(host_next(&list), "b");
	ck_assert_str_eq(host_next(&list), "c");
	ck_assert_str_eq(host_next(&list), "b");
	ck_assert(host_rest(&list, "c", now, later));
	ck_assert_str_eq(host_next(&list), "b");
	ck_assert(!host_rest(&list, "b", now, later)); /* there is no other */
	/* all rest: each in its turn */
	ck_assert_str_eq(host_next(&list), "c");
	ck_assert_str_eq(host_next(&list), "a");
	host_worked(&list, "c");
	ck_assert_str_eq(host_next(&list), "c");
	ck_assert_str_eq(host_next(&list), "c");
	clock_advance(100);
	ck_assert_str_eq(host_next(&list), "a");
	ck_assert_str_eq(host_next(&list), "b");
}
END_TEST

START_TEST(a_host_that_failed_just_before_is_no_other_one_to_try)
{
	clock_drive();
	usec_t began = clock_now();
	host_list_init(&list, "a,b", 5432, BALANCE_ROUND_ROBIN, "/tmp");
	ck_assert(host_rest(&list, "a", began, began + 10));
	clock_advance(10); /* b kept us waiting until a's rest was over */
	ck_assert(!host_rest(&list, "b", began, began + 20));
	clock_advance(10);
	ck_assert(host_rest(&list, "a", began + 20, began + 30));
	host_list_forget(&list);
	ck_assert(host_rest(&list, "b", began + 20, began + 30));
}
END_TEST

START_TEST(a_host_of_another_list_leaves_nothing_to_try)
{
	clock_drive();
	host_list_init(&list, "a,b", 5432, BALANCE_ROUND_ROBIN, "/tmp");
	ck_assert(!host_rest(&list, "gone", clock_now(), clock_now() + 10));
	ck_assert_str_eq(host_next(&list), "a");
}
END_TEST

START_TEST(one_host_is_used_whether_it_rests_or_not)
{
	clock_drive();
	host_list_init(&list, "a", 5432, BALANCE_UNSET, "/tmp");
	ck_assert(!host_rest(&list, "a", clock_now(), clock_now() + 10));
	ck_assert_str_eq(host_next(&list), "a");
}
END_TEST

START_TEST(without_balance_a_host_that_rests_is_left_for_good)
{
	clock_drive();
	host_list_init(&list, "a,b,c", 5432, BALANCE_DISABLE, "/tmp");
	host_failed(&list, "a");
	ck_assert(host_rest(&list, "a", clock_now(), clock_now() + 10));
	ck_assert(
		host_rest(&list, "b", clock_now(), clock_now() + 10)); /* another pool found out */
	ck_assert_str_eq(host_next(&list), "c");
	clock_advance(10);
	ck_assert_str_eq(host_next(&list), "c");
}
END_TEST

START_TEST(no_host_means_the_unix_socket_directory)
{
	host_list_init(&list, "", 5432, BALANCE_ROUND_ROBIN, "/run/pg");
	ck_assert_int_eq(list.count, 1);
	ck_assert_str_eq(host_next(&list), "/run/pg");
	host_list_fini(&list);
	host_list_init(&list, NULL, 5432, BALANCE_ROUND_ROBIN, "");
	ck_assert_str_eq(host_next(&list), "/tmp");
}
END_TEST

START_TEST(directories_and_abstract_names_are_unix_hosts)
{
	ck_assert(host_is_unix("/tmp"));
	ck_assert(host_is_unix("@name"));
	ck_assert(!host_is_unix("localhost"));
	ck_assert(!host_is_unix("::1"));
}
END_TEST

Suite *suite_host(void)
{
	Suite *suite = suite_create("host");
	TCase *next = tcase_create("next");
	tcase_add_checked_fixture(next, NULL, close_list);
	tcase_add_test(next, round_robin_takes_the_next_host_each_time);
	tcase_add_test(next, round_robin_is_what_an_unset_balance_means);
	tcase_add_test(next, a_failure_does_not_disturb_the_round);
	tcase_add_test(next, without_balance_a_host_is_kept_until_it_fails);
	tcase_add_test(next, the_failure_of_a_host_that_was_left_already_moves_nothing);
	tcase_add_test(next, a_host_that_rests_is_passed_over);
	tcase_add_test(next, a_host_that_failed_just_before_is_no_other_one_to_try);
	tcase_add_test(next, a_host_of_another_list_leaves_nothing_to_try);
	tcase_add_test(next, one_host_is_used_whether_it_rests_or_not);
	tcase_add_test(next, without_balance_a_host_that_rests_is_left_for_good);
	tcase_add_test(next, no_host_means_the_unix_socket_directory);
	suite_add_tcase(suite, next);
	TCase *kind = tcase_create("kind");
	tcase_add_test(kind, directories_and_abstract_names_are_unix_hosts);
	suite_add_tcase(suite, kind);
	return suite;
}
