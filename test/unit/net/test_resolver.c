/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolver.h"
#include "asker.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/loop.h"
#include "helpers.h"
#include "suites.h"
#include <stdio.h>
#include <string.h>

static struct asker a, b, c;

static void set_up(void)
{
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	memset(&c, 0, sizeof c);
	name_server_open();
}

START_TEST(numeric_addresses_are_answered_at_once)
{
	asker_look_up(&a, "10.1.2.3");
	ck_assert_int_eq(a.told, 1);
	ck_assert_str_eq(a.addresses, "10.1.2.3");
	asker_look_up(&a, "[2001:db8::1]");
	ck_assert_str_eq(a.addresses, "2001:db8::1");
	helpers_settle();
	ck_assert_uint_eq(dns.asked_v4 + dns.asked_v6, 0);
}
END_TEST

START_TEST(the_hosts_file_comes_first)
{
	asker_look_up(&a, "localhost");
	helpers_until(a.told == 1);
	ck_assert(asker_has(&a, "127.0.0.1") || asker_has(&a, "::1"));
	ck_assert_uint_eq(dns.asked_v4 + dns.asked_v6, 0);
}
END_TEST

START_TEST(all_addresses_of_both_families_are_kept)
{
	dns.v4[0] = "10.0.0.1";
	dns.v4[1] = "10.0.0.2";
	dns.v4[2] = "10.0.0.1"; /* said twice */
	dns.v6[0] = "2001:db8::5";
	asker_look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 0);
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 3);
	ck_assert(asker_has(&a, "10.0.0.1"));
	ck_assert(asker_has(&a, "10.0.0.2"));
	ck_assert(asker_has(&a, "2001:db8::5"));
	ck_assert_str_eq(dns.last, "db.test");
}
END_TEST

START_TEST(one_family_is_enough)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
}
END_TEST

START_TEST(lookups_of_a_name_share_one_query_and_its_answer)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	asker_look_up(&b, "db.test");
	asker_look_up(&c, "db.test");
	helpers_until(c.told == 1);
	ck_assert_int_eq(a.told, 1);
	ck_assert_int_eq(b.told, 1);
	ck_assert_str_eq(b.addresses, "10.0.0.1");
	ck_assert_uint_eq(dns.asked_v4, 1);
	ck_assert_uint_eq(dns.asked_v6, 1);
}
END_TEST

START_TEST(an_answer_lives_as_long_as_the_option_says)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.v4[0] = "10.0.0.9";
	name_server_wait(15 * USEC_PER_SECOND - 1);
	asker_look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2); /* out of the cache */
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	name_server_wait(1);
	asker_look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2);
	helpers_until(a.told == 3);
	ck_assert_str_eq(a.addresses, "10.0.0.9");
	ck_assert_uint_eq(dns.asked_v4, 2);
}
END_TEST

START_TEST(an_answer_lives_no_longer_than_its_records)
{
	dns.v4[0] = "10.0.0.1";
	dns.v6[0] = "2001:db8::5";
	dns.ttl = 7;
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.v4[0] = "10.0.0.9";
	name_server_wait(7 * USEC_PER_SECOND - 1);
	asker_look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2);
	ck_assert(asker_has(&a, "10.0.0.1"));
	name_server_wait(1);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 3);
	ck_assert(asker_has(&a, "10.0.0.9"));
	/* records that must not be kept */
	dns.ttl = 0;
	name_server_wait(7 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 4);
	dns.v4[0] = "10.0.0.10";
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 5);
	ck_assert(asker_has(&a, "10.0.0.10"));
	ck_assert_uint_eq(dns.asked_v4, 4);
}
END_TEST

START_TEST(an_answer_lives_no_longer_than_the_alias_on_the_way)
{
	dns.v4[0] = "10.0.0.1";
	dns.alias = "real.test";
	dns.alias_ttl = 3;
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	dns.v4[0] = "10.0.0.2";
	name_server_wait(3 * USEC_PER_SECOND - 1);
	asker_look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2);
	name_server_wait(1);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 3);
	ck_assert_str_eq(a.addresses, "10.0.0.2");
}
END_TEST

START_TEST(each_answer_begins_with_the_next_address)
{
	char firsts[2][4][64];
	dns.v4[0] = "10.0.0.1";
	dns.v4[1] = "10.0.0.2";
	dns.v6[0] = "2001:db8::5";
	dns.ttl = 0; /* asked for each time: the order of the answer does not matter */
	for (int i = 0; i < 6; i++) {
		if (i == 3) {
			dns.v4[0] = "10.0.0.2";
			dns.v4[1] = "10.0.0.1";
		}
		asker_look_up(&a, "db.test");
		helpers_until(a.told == i + 1);
		strcpy(firsts[i / 3][i % 3], a.first);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_str_ne(firsts[0][i], firsts[0][(i + 1) % 3]);
		ck_assert_str_eq(firsts[0][i], firsts[1][i]);
	}
}
END_TEST

START_TEST(new_options_are_for_answers_from_then_on)
{
	struct resolver_options shorter = {.ttl_max = USEC_PER_SECOND,
					   .nxdomain_ttl = USEC_PER_SECOND};
	dns.v4[0] = "10.0.0.1";
	resolver_set_options(&shorter);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	name_server_wait(USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 2);
	ck_assert_uint_eq(dns.asked_v4, 2);
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_remembered_for_a_while)
{
	dns.code = NAME_ERROR;
	asker_look_up(&a, "nobody.test");
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_ptr_nonnull(
		strstr(a.message, "could not translate host name \"nobody.test\" to address: "));
	unsigned asked = dns.asked_v4;
	dns.code = NO_ERROR;
	dns.v4[0] = "10.0.0.1";
	name_server_wait(5 * USEC_PER_SECOND - 1);
	asker_look_up(&a, "nobody.test");
	ck_assert_int_eq(a.told, 2);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_uint_eq(dns.asked_v4, asked);
	name_server_wait(1);
	asker_look_up(&a, "nobody.test");
	helpers_until(a.told == 3);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_told_from_one_that_nobody_knows)
{
	dns.code = NAME_ERROR;
	asker_look_up(&a, "nobody.test");
	helpers_until(a.told == 1);
	ck_assert(a.query.is_absent);
	dns.code = SERVER_FAILURE;
	asker_look_up(&b, "other.test");
	helpers_until(b.told == 1);
	ck_assert_uint_eq(b.count, 0);
	ck_assert(!b.query.is_absent);
}
END_TEST

START_TEST(a_name_that_is_looked_up_once_is_not_kept)
{
	dns.v4[0] = "10.0.0.1";
	for (int i = 1; i <= 3; i++) {
		asker_look_up_once(&a, "stranger.test");
		helpers_until(a.told == i);
		ck_assert_str_eq(a.addresses, "10.0.0.1");
		ck_assert_uint_eq(dns.asked_v4, (unsigned)i);
	}
	/* One that is known is not forgotten for that, nor one that another waits for. */
	asker_look_up_once(&a, "db.test");
	asker_look_up(&b, "db.test");
	helpers_until(b.told == 1);
	asker_look_up_once(&a, "db.test");
	ck_assert_int_eq(a.told, 5);
	ck_assert_uint_eq(dns.asked_v4, 4);
}
END_TEST

START_TEST(a_name_without_addresses_fails)
{
	asker_look_up(&a, "empty.test");
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_str_ne(a.message, "");
}
END_TEST

START_TEST(bad_names_fail_and_do_no_harm)
{
	char longest[400];
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	const char *const names[] = {"", ".", "..", "a..b", "with blank", longest};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		memset(&a, 0, sizeof a);
		dns.code = NAME_ERROR;
		asker_look_up(&a, names[i]);
		helpers_until(a.told == 1);
		ck_assert_uint_eq(a.count, 0);
	}
}
END_TEST

START_TEST(known_addresses_stay_in_use_while_the_name_server_fails)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.code = SERVER_FAILURE;
	name_server_wait(15 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 2);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	ck_assert_uint_eq(helpers_log_count("WARNING DNS lookup of \"db.test\" failed: "), 1);
	unsigned asked = dns.asked_v4;
	asker_look_up(&a, "db.test"); /* is not asked again for nxdomain_ttl */
	ck_assert_int_eq(a.told, 3);
	ck_assert_uint_eq(dns.asked_v4, asked);
	dns.code = NO_ERROR;
	dns.v4[0] = "10.0.0.2";
	name_server_wait(5 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 4);
	ck_assert_str_eq(a.addresses, "10.0.0.2");
}
END_TEST

START_TEST(who_waits_for_a_silent_name_server_gets_what_was_known_after_a_second)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.code = SILENT;
	name_server_wait(15 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	name_server_wait(USEC_PER_SECOND - 1);
	ck_assert_int_eq(a.told, 1);
	name_server_wait(1);
	ck_assert_int_eq(a.told, 2);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	asker_look_up(&b, "db.test"); /* and who comes later at once */
	ck_assert_int_eq(b.told, 1);
	ck_assert_str_eq(b.addresses, "10.0.0.1");
	ck_assert_uint_eq(dns.asked_v4, 2); /* it is still the same question */
}
END_TEST

START_TEST(known_addresses_are_dropped_when_the_name_is_gone)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.code = NAME_ERROR;
	name_server_wait(15 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 2);
	ck_assert_uint_eq(a.count, 0);
}
END_TEST

START_TEST(a_failing_name_server_is_an_error_when_nothing_is_known)
{
	dns.code = SERVER_FAILURE;
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_ptr_nonnull(strstr(a.message, "\"db.test\""));
}
END_TEST

START_TEST(a_cancelled_lookup_is_not_told_but_its_neighbours_are)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "db.test");
	asker_look_up(&b, "db.test");
	asker_look_up(&c, "db.test");
	resolver_cancel(&b.query);
	resolver_cancel(&b.query);
	helpers_until(c.told == 1);
	ck_assert_int_eq(a.told, 1);
	ck_assert_int_eq(b.told, 0);
	/* the first and the last one */
	name_server_wait(15 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	asker_look_up(&b, "db.test");
	asker_look_up(&c, "db.test");
	resolver_cancel(&a.query);
	resolver_cancel(&c.query);
	asker_look_up(&c, "db.test");
	helpers_until(c.told == 2);
	ck_assert_int_eq(b.told, 1);
	ck_assert_int_eq(a.told, 1);
	/* all of them: the answer is kept all the same */
	name_server_wait(15 * USEC_PER_SECOND);
	asker_look_up(&a, "db.test");
	resolver_cancel(&a.query);
	unsigned asked = dns.asked_v4;
	helpers_until(dns.asked_v4 > asked);
	helpers_settle();
	asker_look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2);
}
END_TEST

static void cancel_b(struct asker *asker)
{
	(void)asker;
	resolver_cancel(&b.query);
}

START_TEST(a_callback_may_cancel_another_waiting_lookup)
{
	dns.v4[0] = "10.0.0.1";
	a.then = cancel_b;
	asker_look_up(&a, "db.test");
	asker_look_up(&b, "db.test");
	asker_look_up(&c, "db.test");
	helpers_until(c.told == 1);
	ck_assert_int_eq(a.told, 1);
	ck_assert_int_eq(b.told, 0);
}
END_TEST

static void ask_twice_more(struct asker *asker)
{
	if (asker->told < 3)
		asker_look_up(asker, "db.test");
}

START_TEST(a_callback_may_look_the_same_name_up_again)
{
	struct resolver_options none = {.ttl_max = 0, .nxdomain_ttl = 0};
	dns.v4[0] = "10.0.0.1";
	resolver_set_options(&none); /* the cache would not answer */
	a.then = ask_twice_more;
	asker_look_up(&a, "db.test");
	asker_look_up(&b, "db.test");
	helpers_until(a.told == 3);
	ck_assert_int_eq(b.told, 1);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	a.then = NULL;
	unsigned asked = dns.asked_v4;
	asker_look_up(&a, "db.test");
	helpers_until(a.told == 4);
	ck_assert_uint_eq(dns.asked_v4, asked + 1);
}
END_TEST

START_TEST(a_silent_name_server_is_asked_again_by_a_timer)
{
	dns.code = SILENT;
	asker_look_up(&a, "db.test");
	helpers_until(dns.asked_v4 == 1);
	usec_t due = loop_next_timer();
	ck_assert_int_gt(due, clock_now());
	ck_assert_int_le(due, clock_now() + 3 * USEC_PER_SECOND);
	clock_advance(due - clock_now()); /* c-ares has its own clock, which says: not yet */
	helpers_settle();
	ck_assert_int_gt(loop_next_timer(), clock_now());
	ck_assert_int_eq(a.told, 0);
	dns.code = NO_ERROR;
}
END_TEST

START_TEST(closing_forgets_whoever_waits)
{
	dns.code = SILENT;
	asker_look_up(&a, "one.test");
	asker_look_up(&b, "two.test");
	asker_look_up(&c, "two.test");
	helpers_settle();
	resolver_close();
	ck_assert_int_eq(a.told + b.told + c.told, 0);
	ck_assert_ptr_null(a.query.name);
	ck_assert_ptr_null(c.query.name);
	resolver_cancel(&a.query);
	resolver_close();
}
END_TEST

START_TEST(a_resolv_conf_that_cannot_be_read_is_an_error)
{
	struct resolver_options wrong = name_server_options;
	struct error error;
	resolver_close();
	wrong.resolv_conf = "/nonexistent/resolv.conf";
	ck_assert(!resolver_open(&wrong, &error));
	ck_assert_str_eq(
		error.message,
		"cannot read resolv_conf \"/nonexistent/resolv.conf\": No such file or directory");
	wrong.resolv_conf = name_server_options.resolv_conf;
	wrong.servers = "no server";
	ck_assert(!resolver_open(&wrong, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "cannot start the DNS resolver: "));
}
END_TEST

START_TEST(resolv_conf_is_obeyed)
{
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "short"); /* a name without a dot: the search list comes first */
	helpers_until(a.told == 1);
	ck_assert_str_eq(dns.last, "short.example.test");
}
END_TEST

START_TEST(a_name_server_may_have_a_port)
{
	struct resolver_options own = name_server_options;
	struct error error;
	char path[128], line[200];
	resolver_close();
	snprintf(path, sizeof path, "%s", helpers_path("ported"));
	snprintf(line, sizeof line, "# comment\nnameserver %s\noptions ndots:1\nsearch my.test\n",
		 own.servers);
	FILE *file = fopen(path, "w");
	fputs(line, file);
	fclose(file);
	own.servers = NULL;
	own.resolv_conf = path;
	ck_assert_msg(resolver_open(&own, &error), "%s", error.message);
	dns.v4[0] = "10.0.0.1";
	asker_look_up(&a, "short");
	helpers_until(a.told == 1);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	ck_assert_str_eq(dns.last, "short.my.test");
}
END_TEST

START_TEST(strangers_names_are_forgotten_when_their_answers_are_over)
{
	struct resolver_counts counts;
	char host[32];
	dns.v4[0] = "10.0.0.1";
	for (int i = 0; i < 40; i++) {
		snprintf(host, sizeof host, "h%d.z%d.test", i, i);
		asker_look_up(&a, host);
		helpers_until(a.told == i + 1);
		name_server_wait(4 * USEC_PER_SECOND);
	}
	resolver_count(&counts);
	ck_assert_uint_lt(counts.names, 10);
	ck_assert_uint_eq(counts.zones, counts.names);
	ck_assert_int_eq(loop_next_timer(), 0);
}
END_TEST

START_TEST(counts_tell_what_is_under_way)
{
	struct resolver_counts counts;
	dns.code = SILENT;
	asker_look_up(&a, "one.test");
	asker_look_up(&b, "two.other.test");
	asker_look_up(&c, "two.other.test");
	helpers_settle();
	resolver_count(&counts);
	ck_assert_uint_eq(counts.names, 2);
	ck_assert_uint_eq(counts.zones, 2);
	ck_assert_uint_eq(counts.queries, 2);
	ck_assert_uint_eq(counts.pending, 3);
	resolver_cancel(&a.query);
	resolver_count(&counts);
	ck_assert_uint_eq(counts.pending, 2);
}
END_TEST

START_TEST(the_library_is_named_with_its_version)
{
	ck_assert_int_eq(strncmp(resolver_describe(), "c-ares 1.", 9), 0);
}
END_TEST

Suite *suite_resolver(void)
{
	Suite *suite = suite_create("resolver");
	TCase *tcase = tcase_create("resolver");
	tcase_add_checked_fixture(tcase, set_up, name_server_close);
	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, numeric_addresses_are_answered_at_once);
	tcase_add_test(tcase, the_hosts_file_comes_first);
	tcase_add_test(tcase, all_addresses_of_both_families_are_kept);
	tcase_add_test(tcase, one_family_is_enough);
	tcase_add_test(tcase, lookups_of_a_name_share_one_query_and_its_answer);
	tcase_add_test(tcase, an_answer_lives_as_long_as_the_option_says);
	tcase_add_test(tcase, an_answer_lives_no_longer_than_its_records);
	tcase_add_test(tcase, an_answer_lives_no_longer_than_the_alias_on_the_way);
	tcase_add_test(tcase, each_answer_begins_with_the_next_address);
	tcase_add_test(tcase, new_options_are_for_answers_from_then_on);
	tcase_add_test(tcase, a_name_that_does_not_exist_is_remembered_for_a_while);
	tcase_add_test(tcase, a_name_that_does_not_exist_is_told_from_one_that_nobody_knows);
	tcase_add_test(tcase, a_name_that_is_looked_up_once_is_not_kept);
	tcase_add_test(tcase, a_name_without_addresses_fails);
	tcase_add_test(tcase, bad_names_fail_and_do_no_harm);
	tcase_add_test(tcase, known_addresses_stay_in_use_while_the_name_server_fails);
	tcase_add_test(tcase,
		       who_waits_for_a_silent_name_server_gets_what_was_known_after_a_second);
	tcase_add_test(tcase, known_addresses_are_dropped_when_the_name_is_gone);
	tcase_add_test(tcase, a_failing_name_server_is_an_error_when_nothing_is_known);
	tcase_add_test(tcase, a_cancelled_lookup_is_not_told_but_its_neighbours_are);
	tcase_add_test(tcase, a_callback_may_cancel_another_waiting_lookup);
	tcase_add_test(tcase, a_callback_may_look_the_same_name_up_again);
	tcase_add_test(tcase, a_silent_name_server_is_asked_again_by_a_timer);
	tcase_add_test(tcase, closing_forgets_whoever_waits);
	tcase_add_test(tcase, a_resolv_conf_that_cannot_be_read_is_an_error);
	tcase_add_test(tcase, resolv_conf_is_obeyed);
	tcase_add_test(tcase, a_name_server_may_have_a_port);
	tcase_add_test(tcase, strangers_names_are_forgotten_when_their_answers_are_over);
	tcase_add_test(tcase, counts_tell_what_is_under_way);
	tcase_add_test(tcase, the_library_is_named_with_its_version);
	suite_add_tcase(suite, tcase);
	return suite;
}
