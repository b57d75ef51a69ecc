/* SPDX-License-Identifier: ISC */
/* Names that are in use: asked for again, and their zones looked after. */
#include "config.h"
#include "net/resolver.h"
#include "asker.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/loop.h"
#include "helpers.h"
#include "suites.h"
#include <string.h>

#define SECONDS(n) ((n)*USEC_PER_SECOND)

struct watcher {
	struct resolver_watch watch;
	int told;
	char addresses[256];
	struct watcher *ends; /* by its callback */
};

static struct asker a;
static struct watcher w[4];

static void set_up(void)
{
	memset(&a, 0, sizeof a);
	memset(w, 0, sizeof w);
	name_server_open();
}

static void changed(struct resolver_watch *watch, const struct address *addresses, unsigned count)
{
	struct watcher *one = container_of(watch, struct watcher, watch);
	char text[ADDRESS_TEXT];
	one->told++;
	*one->addresses = '\0';
	for (unsigned i = 0; i < count; i++) {
		strcat(one->addresses, i ? " " : "");
		strcat(one->addresses, address_host(&addresses[i], text));
	}
	if (one->ends)
		resolver_unwatch(&one->ends->watch);
}

/* A name is looked up and then used. */
static void use(struct watcher *one, const char *host)
{
	int before = a.told;
	asker_look_up(&a, host);
	helpers_until(a.told > before);
	one->watch.changed = changed;
	resolver_watch(&one->watch, host);
}

static void change_period(usec_t period)
{
	struct resolver_options options = name_server_options;
	options.zone_check_period = period;
	resolver_set_options(&options);
}

START_TEST(a_name_in_use_is_asked_for_again_and_its_users_told_what_changed)
{
	dns.v4[0] = "10.0.0.1";
	dns.ttl = 8;
	use(&w[0], "db.test");
	use(&w[1], "db.test");
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(8) - 1);
	ck_assert_uint_eq(dns.asked_v4, 1);
	name_server_wait(1);
	helpers_until(w[1].told == 1);
	ck_assert_int_eq(w[0].told, 1);
	ck_assert_str_eq(w[0].addresses, "10.0.0.2");
	ck_assert_str_eq(w[1].addresses, "10.0.0.2");
	ck_assert_uint_eq(helpers_log_count("the addresses of host \"db.test\" have changed"), 1);
	/* the same again is no news */
	name_server_wait(SECONDS(8));
	helpers_until(dns.asked_v4 == 3);
	helpers_settle();
	ck_assert_int_eq(w[0].told, 1);
	/* one less is */
	dns.v6[0] = "2001:db8::1";
	name_server_wait(SECONDS(8));
	helpers_until(w[0].told == 2);
	dns.v4[0] = NULL;
	name_server_wait(SECONDS(8));
	helpers_until(w[0].told == 3);
	ck_assert_str_eq(w[0].addresses, "2001:db8::1");
}
END_TEST

START_TEST(another_order_is_no_change)
{
	dns.v4[0] = "10.0.0.1";
	dns.v4[1] = "10.0.0.2";
	use(&w[0], "db.test");
	dns.v4[0] = "10.0.0.2";
	dns.v4[1] = "10.0.0.1";
	name_server_wait(SECONDS(15));
	helpers_until(dns.asked_v6 == 2);
	helpers_settle();
	ck_assert_int_eq(w[0].told, 0);
}
END_TEST

START_TEST(records_that_must_not_be_kept_are_asked_for_every_five_seconds)
{
	dns.v4[0] = "10.0.0.1";
	dns.ttl = 0;
	use(&w[0], "db.test");
	name_server_wait(SECONDS(5) - 1);
	ck_assert_uint_eq(dns.asked_v4, 1);
	name_server_wait(1);
	helpers_until(dns.asked_v4 == 2);
}
END_TEST

START_TEST(a_short_ttl_max_is_kept_also_when_it_comes_later)
{
	struct resolver_options options = name_server_options;
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.test");
	options.ttl_max = SECONDS(2);
	resolver_set_options(&options);
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(2) - 1);
	ck_assert_uint_eq(dns.asked_v4, 1);
	name_server_wait(1);
	helpers_until(w[0].told == 1);
}
END_TEST

START_TEST(nothing_runs_when_nobody_uses_a_name_any_more)
{
	dns.v4[0] = "10.0.0.1";
	change_period(SECONDS(3));
	use(&w[0], "db.test");
	use(&w[1], "db.test");
	helpers_until(dns.asked_soa == 1);
	resolver_unwatch(&w[0].watch);
	resolver_unwatch(&w[0].watch);
	resolver_unwatch(&w[1].watch);
	unsigned asked = dns.asked_v4 + dns.asked_soa;
	for (int i = 0; i < 10; i++)
		name_server_wait(SECONDS(10));
	ck_assert_uint_eq(dns.asked_v4 + dns.asked_soa, asked);
	ck_assert_int_eq(loop_next_timer(), 0);
	/* and again when somebody does */
	use(&w[0], "db.test");
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(15));
	helpers_until(w[0].told == 1);
}
END_TEST

START_TEST(a_numeric_address_is_not_watched)
{
	use(&w[0], "10.0.0.1");
	ck_assert_ptr_null(w[0].watch.name);
	resolver_unwatch(&w[0].watch);
	ck_assert_int_eq(loop_next_timer(), 0);
}
END_TEST

START_TEST(the_hosts_file_is_not_read_again_and_again)
{
	use(&w[0], "localhost");
	ck_assert_ptr_nonnull(w[0].watch.name);
	ck_assert_int_eq(loop_next_timer(), 0);
}
END_TEST

START_TEST(a_user_may_end_any_watch_when_it_is_told)
{
	dns.v4[0] = "10.0.0.1";
	for (int i = 0; i < 4; i++)
		use(&w[i], "db.test");
	w[0].ends = &w[1];
	w[2].ends = &w[2];
	w[3].ends = &w[0];
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(15));
	helpers_until(w[3].told);
	ck_assert_int_ge(w[0].told, 1);
	ck_assert_int_eq(w[1].told, 0);
	ck_assert_int_eq(w[2].told, 1);
	ck_assert_ptr_null(w[0].watch.name);
	ck_assert_ptr_nonnull(w[3].watch.name);
}
END_TEST

START_TEST(a_name_that_is_gone_tells_nobody_until_it_is_back)
{
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.test");
	dns.code = NAME_ERROR;
	name_server_wait(SECONDS(15));
	helpers_until(dns.asked_v6 >= 2);
	helpers_settle();
	asker_look_up(&a, "db.test");
	ck_assert_uint_eq(a.count, 0);
	ck_assert_int_eq(w[0].told, 0);
	dns.code = NO_ERROR;
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(5)); /* nxdomain_ttl */
	helpers_until(w[0].told == 1);
	ck_assert_str_eq(w[0].addresses, "10.0.0.2");
}
END_TEST

START_TEST(a_name_server_that_is_down_tells_nobody_and_is_asked_again)
{
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.test");
	dns.code = SERVER_FAILURE;
	name_server_wait(SECONDS(15));
	helpers_until(helpers_log_count("its known addresses stay in use") == 1);
	for (int i = 0; i < 5; i++) {
		unsigned asked = dns.asked_v4;
		name_server_wait(SECONDS(5));
		helpers_until(dns.asked_v4 > asked);
		helpers_settle();
	}
	ck_assert_uint_eq(helpers_log_count("its known addresses stay in use"), 1);
	ck_assert_int_eq(w[0].told, 0);
	asker_look_up(&a, "db.test");
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	dns.code = NO_ERROR;
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(5));
	helpers_until(w[0].told == 1);
}
END_TEST

START_TEST(addresses_of_names_that_were_used_outlast_the_name_server)
{
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.test");
	resolver_unwatch(&w[0].watch);
	name_server_wait(SECONDS(3600));
	for (int i = 0; i < 5; i++) {
		char host[32] = "stranger0.test";
		host[8] = (char)('0' + i);
		asker_look_up(&a, host);
		helpers_settle();
	}
	dns.code = SERVER_FAILURE;
	int before = a.told;
	asker_look_up(&a, "db.test");
	helpers_until(a.told > before);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
}
END_TEST

/* --- zones --- */

static void note_zone(const struct resolver_zone_info *info, void *context)
{
	struct resolver_zone_info *out = context;
	if (!strcmp(info->zone, "my.test"))
		*out = *info;
}

static struct resolver_zone_info zone(void)
{
	struct resolver_zone_info info = {0};
	resolver_each_zone(note_zone, &info);
	return info;
}

static void a_changed_serial(bool is_below)
{
	struct resolver_options options = name_server_options;
	options.ttl_max = SECONDS(100000);
	options.zone_check_period = SECONDS(10);
	resolver_set_options(&options);
	dns.ttl = 86400;
	dns.serial = 7;
	dns.is_below = is_below;
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.my.test");
	use(&w[1], "more.my.test");
	use(&w[2], "db.other.test");
	helpers_until(zone().serial == 7);
	helpers_settle();
	ck_assert_uint_eq(zone().count, 2);
	unsigned asked = dns.asked_soa;
	ck_assert_uint_eq(asked, 2); /* each zone once */
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(10));
	helpers_until(dns.asked_soa == asked + 2);
	helpers_settle();
	ck_assert_uint_eq(dns.asked_v4, 3);
	ck_assert_int_eq(w[0].told, 0);
	dns.serial = 8;
	name_server_wait(SECONDS(10) - 1);
	ck_assert_uint_eq(dns.asked_soa, asked + 2);
	name_server_wait(1);
	helpers_until(w[0].told && w[1].told && w[2].told);
	ck_assert_str_eq(w[0].addresses, "10.0.0.2");
	ck_assert_uint_eq(zone().serial, 8);
	ck_assert_uint_eq(dns.asked_v4, 6);
	ck_assert_uint_eq(helpers_log_count("DNS zone \"my.test\" changed, serial=8"), 1);
}

START_TEST(a_changed_serial_makes_the_names_of_the_zone_asked_for)
{
	a_changed_serial(false);
}
END_TEST

START_TEST(the_serial_may_be_that_of_a_zone_further_up)
{
	a_changed_serial(true);
}
END_TEST

START_TEST(what_is_in_the_cache_of_a_changed_zone_is_not_used_any_more)
{
	change_period(SECONDS(5));
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.my.test");
	int before = a.told;
	asker_look_up(&a, "idle.my.test"); /* nobody watches this one */
	helpers_until(a.told > before);
	helpers_until(zone().serial == 1);
	dns.serial = 2;
	dns.v4[0] = "10.0.0.2";
	name_server_wait(SECONDS(5));
	helpers_until(w[0].told == 1);
	before = a.told;
	asker_look_up(&a, "idle.my.test");
	ck_assert_int_eq(a.told, before);
	helpers_until(a.told > before);
	ck_assert_str_eq(a.addresses, "10.0.0.2");
}
END_TEST

START_TEST(a_zone_without_a_serial_is_asked_again_and_changes_nothing)
{
	change_period(SECONDS(5));
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.my.test");
	helpers_until(dns.asked_soa == 1);
	dns.code = NAME_ERROR;
	name_server_wait(SECONDS(5));
	helpers_until(dns.asked_soa == 2);
	helpers_settle();
	ck_assert_uint_eq(zone().serial, 1);
	ck_assert_uint_eq(dns.asked_v4, 1);
}
END_TEST

START_TEST(without_a_period_no_zone_is_asked_for)
{
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "db.my.test");
	name_server_wait(SECONDS(14));
	ck_assert_uint_eq(dns.asked_soa, 0);
	ck_assert_uint_eq(zone().count, 1);
	/* from the reload that sets it */
	change_period(SECONDS(100));
	helpers_until(dns.asked_soa == 1);
	change_period(0);
	name_server_wait(SECONDS(1000));
	ck_assert_uint_eq(dns.asked_soa, 1);
}
END_TEST

START_TEST(names_without_a_dot_are_in_no_zone)
{
	struct resolver_counts counts;
	change_period(SECONDS(5));
	dns.v4[0] = "10.0.0.1";
	use(&w[0], "short");
	use(&w[1], "dot.");
	helpers_settle();
	resolver_count(&counts);
	ck_assert_uint_eq(counts.names, 2);
	ck_assert_uint_eq(counts.zones, 0);
	ck_assert_uint_eq(dns.asked_soa, 0);
}
END_TEST

Suite *suite_resolver_watch(void)
{
	Suite *suite = suite_create("resolver_watch");
	TCase *tcase = tcase_create("watch");
	tcase_add_checked_fixture(tcase, set_up, name_server_close);
	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, a_name_in_use_is_asked_for_again_and_its_users_told_what_changed);
	tcase_add_test(tcase, another_order_is_no_change);
	tcase_add_test(tcase, records_that_must_not_be_kept_are_asked_for_every_five_seconds);
	tcase_add_test(tcase, a_short_ttl_max_is_kept_also_when_it_comes_later);
	tcase_add_test(tcase, nothing_runs_when_nobody_uses_a_name_any_more);
	tcase_add_test(tcase, a_numeric_address_is_not_watched);
	tcase_add_test(tcase, the_hosts_file_is_not_read_again_and_again);
	tcase_add_test(tcase, a_user_may_end_any_watch_when_it_is_told);
	tcase_add_test(tcase, a_name_that_is_gone_tells_nobody_until_it_is_back);
	tcase_add_test(tcase, a_name_server_that_is_down_tells_nobody_and_is_asked_again);
	tcase_add_test(tcase, addresses_of_names_that_were_used_outlast_the_name_server);
	suite_add_tcase(suite, tcase);
	TCase *zones = tcase_create("zones");
	tcase_add_checked_fixture(zones, set_up, name_server_close);
	tcase_set_timeout(zones, 20);
	tcase_add_test(zones, a_changed_serial_makes_the_names_of_the_zone_asked_for);
	tcase_add_test(zones, the_serial_may_be_that_of_a_zone_further_up);
	tcase_add_test(zones, what_is_in_the_cache_of_a_changed_zone_is_not_used_any_more);
	tcase_add_test(zones, a_zone_without_a_serial_is_asked_again_and_changes_nothing);
	tcase_add_test(zones, without_a_period_no_zone_is_asked_for);
	tcase_add_test(zones, names_without_a_dot_are_in_no_zone);
	suite_add_tcase(suite, zones);
	return suite;
}
