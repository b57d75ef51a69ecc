/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/pool_values.h"
#include <stdio.h>
#include "fake.h"
#include "pool/time_limit.h"
#include "suites.h"

enum { NAMES = 5, ZEROS = -1 };
static const char *const names[NAMES] = {"server_lifetime", "server_idle_timeout",
					 "server_check_delay", "server_connect_timeout",
					 "query_wait_notify"};

static char text[4096];
static size_t length;

static void put(const char *more)
{
	length += (size_t)snprintf(text + length, sizeof text - length, "%s", more);
	ck_assert_uint_lt(length, sizeof text);
}

/* All names, with values that tell one name and one row from the others: @tens and 1, 2 ... */
static void put_all(const char *head, char separator, int tens)
{
	char one[100];
	put(head);
	for (int i = 0; i < NAMES; i++) {
		snprintf(one, sizeof one, "%s=%d%c", names[i],
			 tens == ZEROS ? 0 : tens * 10 + i + 1, separator);
		put(one);
	}
}

static void assert_all(const char *database, const char *user, int tens)
{
	const struct pool *pool = fake_pool(database, user);
	usec_t notify = time_limits_of(pool->database, pool->user).query_wait_notify;
	const usec_t found[NAMES] = {pool->server_lifetime, pool->idle_timeout, pool->check_after,
				     pool->connect_timeout, notify};
	for (int i = 0; i < NAMES; i++) {
		usec_t wanted = tens == ZEROS ? 0 : (tens * 10 + i + 1) * USEC_PER_SECOND;
		ck_assert_msg(found[i] == wanted, "%s of %s and %s is %lld, not %lld", names[i],
			      database, user, (long long)found[i], (long long)wanted);
	}
}

static void setup(void)
{
	fake_setup();
	length = 0;
	put_all("", '\n', 1);
	put("[databases]\nplain=host=h\n");
	put_all("set=host=h ", ' ', 2);
	put_all("\nzero=host=h ", ' ', ZEROS);
	put_all("\n[users]\nspecial=", ' ', 3);
	put_all("\nnone=", ' ', ZEROS);
	put("\none=server_check_delay=99\n");
	fake_configure(text);
}

START_TEST(a_users_value_goes_before_the_databases_before_the_global_one)
{
	assert_all("plain", "joe", 1);
	assert_all("set", "joe", 2);
	assert_all("plain", "special", 3);
	assert_all("set", "special", 3);
	assert_all("zero", "special", 3);
}
END_TEST

START_TEST(a_zero_in_a_row_is_a_value)
{
	assert_all("zero", "joe", ZEROS);
	assert_all("plain", "none", ZEROS);
	assert_all("set", "none", ZEROS);
	ck_assert(fake_pool("set", "none")->tests_always);
	ck_assert(!fake_pool("set", "joe")->tests_always);
}
END_TEST

START_TEST(each_name_is_looked_up_by_itself)
{
	const struct pool *pool = fake_pool("set", "one");
	ck_assert_int_eq(pool->check_after, 99 * USEC_PER_SECOND);
	ck_assert_int_eq(pool->server_lifetime, 21 * USEC_PER_SECOND);
	ck_assert_int_eq(pool->idle_timeout, 22 * USEC_PER_SECOND);
}
END_TEST

START_TEST(a_pool_that_is_there_takes_new_values)
{
	assert_all("set", "special", 3);
	length = 0;
	put_all("", '\n', 1);
	put_all("[databases]\nset=host=h ", ' ', 4);
	fake_configure(text); /* the user's row is gone */
	assert_all("set", "special", 4);
	length = 0;
	put_all("", '\n', 5);
	put("[databases]\nset=host=h\n");
	fake_configure(text);
	assert_all("set", "special", 5);
}
END_TEST

Suite *suite_pool_values(void)
{
	Suite *suite = suite_create("pool_values");
	TCase *precedence = tcase_create("precedence");
	tcase_add_checked_fixture(precedence, setup, fake_teardown);
	tcase_add_test(precedence, a_users_value_goes_before_the_databases_before_the_global_one);
	tcase_add_test(precedence, a_zero_in_a_row_is_a_value);
	tcase_add_test(precedence, each_name_is_looked_up_by_itself);
	tcase_add_test(precedence, a_pool_that_is_there_takes_new_values);
	suite_add_tcase(suite, precedence);
	return suite;
}
