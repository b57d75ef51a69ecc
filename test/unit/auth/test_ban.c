/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ban.h"
#include "../suite.h"
#include <stdio.h>

Suite *suite_ban(void);

#define SECONDS(n) ((n)*USEC_PER_SECOND)

static struct address at(const char *text)
{
	struct address address;
	ck_assert(address_parse(text, 0, &address));
	return address;
}

static void fails_at(const char *text, usec_t now)
{
	struct address address = at(text);
	ban_note_failure(&address, now, SECONDS(60));
}

static bool holds(const char *text, usec_t now, int limit)
{
	struct address address = at(text);
	return ban_holds(&address, now, limit, SECONDS(60));
}

START_TEST(failures_within_the_window_add_up)
{
	fails_at("10.0.0.1", SECONDS(100));
	fails_at("10.0.0.1", SECONDS(130));
	ck_assert(!holds("10.0.0.1", SECONDS(130), 3));
	fails_at("10.0.0.1", SECONDS(159));
	ck_assert(holds("10.0.0.1", SECONDS(159), 3));
	ck_assert(!holds("10.0.0.2", SECONDS(159), 3));
	ck_assert(!holds("10.0.0.1", SECONDS(159), 4));
	ck_assert(!holds("10.0.0.1", SECONDS(159), 0)); /* off */
	ck_assert(holds("10.0.0.1", SECONDS(219) - 1, 3));
	ck_assert(!holds("10.0.0.1", SECONDS(219), 3));
}
END_TEST

START_TEST(what_is_long_ago_does_not_count)
{
	fails_at("10.0.0.1", SECONDS(100));
	fails_at("10.0.0.1", SECONDS(101));
	fails_at("10.0.0.1", SECONDS(160));
	ck_assert(!holds("10.0.0.1", SECONDS(160), 2));
	fails_at("10.0.0.1", SECONDS(161));
	ck_assert(holds("10.0.0.1", SECONDS(161), 2));
}
END_TEST

START_TEST(a_network_of_version_6_is_one)
{
	fails_at("2001:db8:0:1::1", 1);
	ck_assert(holds("2001:db8:0:1:ffff::2", 1, 1));
	ck_assert(!holds("2001:db8:0:2::1", 1, 1));
}
END_TEST

START_TEST(unix_sockets_are_not_counted)
{
	struct address local = {.family = AF_UNIX};
	ban_note_failure(&local, 1, SECONDS(60));
	ck_assert(!ban_holds(&local, 1, 1, SECONDS(60)));
}
END_TEST

START_TEST(who_failed_longest_ago_is_forgotten_when_there_are_too_many)
{
	char text[32];
	for (int i = 0; i <= BAN_ADDRESSES_MAX; i++) {
		snprintf(text, sizeof text, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
		fails_at(text, 1 + i);
		if (i == BAN_ADDRESSES_MAX / 2) /* again: it is not the oldest any more */
			fails_at("10.0.0.0", 1 + i);
	}
	ck_assert(holds("10.0.0.0", BAN_ADDRESSES_MAX, 2));
	ck_assert(!holds("10.0.0.1", BAN_ADDRESSES_MAX, 1));
	ck_assert(holds("10.0.0.2", BAN_ADDRESSES_MAX, 1));
}
END_TEST

Suite *suite_ban(void)
{
	Suite *suite = suite_create("ban");
	TCase *tcase = tcase_create("ban");
	tcase_add_checked_fixture(tcase, NULL, ban_release);
	tcase_add_test(tcase, failures_within_the_window_add_up);
	tcase_add_test(tcase, what_is_long_ago_does_not_count);
	tcase_add_test(tcase, a_network_of_version_6_is_one);
	tcase_add_test(tcase, unix_sockets_are_not_counted);
	tcase_add_test(tcase, who_failed_longest_ago_is_forgotten_when_there_are_too_many);
	suite_add_tcase(suite, tcase);
	return suite;
}
