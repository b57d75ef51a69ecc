/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolver.h"
#include "core/clock.h"
#include "core/list.h"
#include "core/loop.h"
#include "helpers.h"
#include "suites.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* A name server in the same loop, that answers as it was told. RFC 1035, section 4. */
enum { TYPE_A = 1, TYPE_AAAA = 28 };
enum { NO_ERROR = 0, SERVER_FAILURE = 2, NAME_ERROR = 3, SILENT = 100 };

static struct {
	struct loop_io watcher;
	int fd;
	int code;
	const char *v4[4], *v6[4]; /* NULL-terminated */
	unsigned asked_v4, asked_v6;
	char last[256];
} dns;

static size_t put_answer(uint8_t *at, int type, const char *address)
{
	static const uint8_t head[] = {0xc0, 12, 0, 0, 0, 1,
				       0,    0,	 0, 1, 0}; /* a pointer to the name; class; TTL 1 */
	size_t size = type == TYPE_A ? 4 : 16;
	memcpy(at, head, sizeof head);
	at[3] = (uint8_t)type;
	at[sizeof head] = (uint8_t)size;
	inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, at + sizeof head + 1);
	return sizeof head + 1 + size;
}

/* The question's name as text; returns where its type stands. */
static size_t get_name(const uint8_t *packet, size_t size, char *name)
{
	size_t at = 12;
	char *out = name;
	while (at < size && packet[at]) {
		size_t part = packet[at++];
		ck_assert_uint_lt(at + part, size);
		memcpy(out, packet + at, part);
		out += part;
		*out++ = '.';
		at += part;
	}
	out[out > name ? -1 : 0] = '\0';
	return at + 1;
}

static void answer(struct loop_io *watcher, int events)
{
	uint8_t packet[1024];
	struct sockaddr_storage from;
	socklen_t length = sizeof from;
	(void)watcher, (void)events;
	ssize_t size = recvfrom(dns.fd, packet, 512, 0, (struct sockaddr *)&from, &length);
	if (size < 16)
		return;
	size_t at = get_name(packet, (size_t)size, dns.last);
	int type = packet[at + 1];
	unsigned *asked = type == TYPE_A ? &dns.asked_v4 : &dns.asked_v6;
	const char **answers = type == TYPE_A ? dns.v4 : dns.v6;
	(*asked)++;
	if (dns.code == SILENT)
		return;
	at += 4;
	packet[2] |= 0x80;
	packet[3] = (uint8_t)(0x80 | dns.code);
	memset(packet + 6, 0, 6);
	for (; dns.code == NO_ERROR && *answers; answers++) {
		at += put_answer(packet + at, type, *answers);
		packet[7]++;
	}
	ck_assert_int_eq(sendto(dns.fd, packet, at, 0, (struct sockaddr *)&from, length),
			 (ssize_t)at);
}

/* --- who asks --- */

struct asker {
	struct resolver_query query;
	int told;
	unsigned count;
	char addresses[256], message[512];
	void (*then)(struct asker *asker);
};

static struct asker a, b, c;

static void told(struct resolver_query *query, const struct address *addresses, unsigned count,
		 const struct error *error)
{
	struct asker *asker = container_of(query, struct asker, query);
	char text[ADDRESS_TEXT];
	asker->told++;
	asker->count = count;
	asker->addresses[0] = asker->message[0] = '\0';
	ck_assert_ptr_null(query->name);
	ck_assert_int_eq(error != NULL, count == 0);
	if (error) {
		ck_assert_str_eq(error->sqlstate, "08006");
		strcpy(asker->message, error->message);
	}
	for (unsigned i = 0; i < count; i++) {
		size_t length = strlen(asker->addresses);
		ck_assert_uint_eq(addresses[i].port, 0);
		snprintf(asker->addresses + length, sizeof asker->addresses - length, "%s%s",
			 i ? " " : "", address_host(&addresses[i], text));
	}
	if (asker->then)
		asker->then(asker);
}

static void look_up(struct asker *asker, const char *host)
{
	asker->query.callback = told;
	resolver_lookup(&asker->query, host);
}

static bool has_address(const struct asker *asker, const char *address)
{
	const char *found = strstr(asker->addresses, address);
	return found && strchr(" ", found[strlen(address)]);
}

static struct resolver_options options = {.ttl_max = 15 * USEC_PER_SECOND,
					  .nxdomain_ttl = 5 * USEC_PER_SECOND};
static char servers[40], conf[128];

static void set_up(void)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof any;
	struct error error;
	helpers_open();
	memset(&dns, 0, sizeof dns);
	memset(&a, 0, sizeof a);
	memset(&b, 0, sizeof b);
	memset(&c, 0, sizeof c);
	dns.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(dns.fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(getsockname(dns.fd, (struct sockaddr *)&any, &length), 0);
	loop_io_init(&dns.watcher, answer);
	loop_io_set(&dns.watcher, dns.fd, LOOP_READ);
	snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(any.sin_port));
	snprintf(conf, sizeof conf, "%s", helpers_path("resolv.conf"));
	FILE *file = fopen(conf, "w");
	fputs("nameserver 127.0.0.1\nsearch example.test\n", file);
	fclose(file);
	options.servers = servers;
	options.resolv_conf = conf;
	ck_assert_msg(resolver_open(&options, &error), "%s", error.message);
}

static void tear_down(void)
{
	resolver_close();
	loop_io_stop(&dns.watcher);
	close(dns.fd);
	unlink(conf);
	helpers_close();
}

static void expire(usec_t after)
{
	clock_advance(after);
	helpers_settle();
}

START_TEST(numeric_addresses_are_answered_at_once)
{
	look_up(&a, "10.1.2.3");
	ck_assert_int_eq(a.told, 1);
	ck_assert_str_eq(a.addresses, "10.1.2.3");
	look_up(&a, "[2001:db8::1]");
	ck_assert_str_eq(a.addresses, "2001:db8::1");
	helpers_settle();
	ck_assert_uint_eq(dns.asked_v4 + dns.asked_v6, 0);
}
END_TEST

START_TEST(the_hosts_file_comes_first)
{
	look_up(&a, "localhost");
	helpers_until(a.told == 1);
	ck_assert(has_address(&a, "127.0.0.1") || has_address(&a, "::1"));
	ck_assert_uint_eq(dns.asked_v4 + dns.asked_v6, 0);
}
END_TEST

START_TEST(all_addresses_of_both_families_are_kept)
{
	dns.v4[0] = "10.0.0.1";
	dns.v4[1] = "10.0.0.2";
	dns.v4[2] = "10.0.0.1"; /* said twice */
	dns.v6[0] = "2001:db8::5";
	look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 0);
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 3);
	ck_assert(has_address(&a, "10.0.0.1"));
	ck_assert(has_address(&a, "10.0.0.2"));
	ck_assert(has_address(&a, "2001:db8::5"));
	ck_assert_str_eq(dns.last, "db.test");
}
END_TEST

START_TEST(one_family_is_enough)
{
	dns.v4[0] = "10.0.0.1";
	look_up(&a, "db.test");
	helpers_until(a.told == 1);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
}
END_TEST

START_TEST(lookups_of_a_name_share_one_query_and_its_answer)
{
	dns.v4[0] = "10.0.0.1";
	look_up(&a, "db.test");
	look_up(&b, "db.test");
	look_up(&c, "db.test");
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
	look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.v4[0] = "10.0.0.9";
	expire(15 * USEC_PER_SECOND - 1);
	look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2); /* out of the cache */
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	expire(1);
	look_up(&a, "db.test");
	ck_assert_int_eq(a.told, 2);
	helpers_until(a.told == 3);
	ck_assert_str_eq(a.addresses, "10.0.0.9");
	ck_assert_uint_eq(dns.asked_v4, 2);
}
END_TEST

START_TEST(new_options_are_for_answers_from_then_on)
{
	struct resolver_options shorter = {.ttl_max = USEC_PER_SECOND,
					   .nxdomain_ttl = USEC_PER_SECOND};
	dns.v4[0] = "10.0.0.1";
	resolver_set_options(&shorter);
	look_up(&a, "db.test");
	helpers_until(a.told == 1);
	expire(USEC_PER_SECOND);
	look_up(&a, "db.test");
	helpers_until(a.told == 2);
	ck_assert_uint_eq(dns.asked_v4, 2);
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_remembered_for_a_while)
{
	dns.code = NAME_ERROR;
	look_up(&a, "nobody.test");
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_ptr_nonnull(
		strstr(a.message, "could not translate host name \"nobody.test\" to address: "));
	unsigned asked = dns.asked_v4;
	dns.code = NO_ERROR;
	dns.v4[0] = "10.0.0.1";
	expire(5 * USEC_PER_SECOND - 1);
	look_up(&a, "nobody.test");
	ck_assert_int_eq(a.told, 2);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_uint_eq(dns.asked_v4, asked);
	expire(1);
	look_up(&a, "nobody.test");
	helpers_until(a.told == 3);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
}
END_TEST

START_TEST(a_name_that_does_not_exist_is_told_from_one_that_nobody_knows)
{
	dns.code = NAME_ERROR;
	look_up(&a, "nobody.test");
	helpers_until(a.told == 1);
	ck_assert(a.query.is_absent);
	dns.code = SERVER_FAILURE;
	look_up(&b, "other.test");
	helpers_until(b.told == 1);
	ck_assert_uint_eq(b.count, 0);
	ck_assert(!b.query.is_absent);
}
END_TEST

START_TEST(a_name_that_is_looked_up_once_is_not_kept)
{
	dns.v4[0] = "10.0.0.1";
	for (int i = 1; i <= 3; i++) {
		a.query.callback = told;
		resolver_lookup_once(&a.query, "stranger.test");
		helpers_until(a.told == i);
		ck_assert_str_eq(a.addresses, "10.0.0.1");
		ck_assert_uint_eq(dns.asked_v4, (unsigned)i);
	}
	/* One that is known is not forgotten for that, nor one that another waits for. */
	resolver_lookup_once(&a.query, "db.test");
	look_up(&b, "db.test");
	helpers_until(b.told == 1);
	resolver_lookup_once(&a.query, "db.test");
	ck_assert_int_eq(a.told, 5);
	ck_assert_uint_eq(dns.asked_v4, 4);
}
END_TEST

START_TEST(a_name_without_addresses_fails)
{
	look_up(&a, "empty.test");
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
		look_up(&a, names[i]);
		helpers_until(a.told == 1);
		ck_assert_uint_eq(a.count, 0);
	}
}
END_TEST

START_TEST(known_addresses_stay_in_use_while_the_name_server_fails)
{
	dns.v4[0] = "10.0.0.1";
	look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.code = SERVER_FAILURE;
	expire(15 * USEC_PER_SECOND);
	look_up(&a, "db.test");
	helpers_until(a.told == 2);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	ck_assert_uint_eq(helpers_log_count("WARNING DNS lookup of \"db.test\" failed: "), 1);
	unsigned asked = dns.asked_v4;
	look_up(&a, "db.test"); /* is not asked again for nxdomain_ttl */
	ck_assert_int_eq(a.told, 3);
	ck_assert_uint_eq(dns.asked_v4, asked);
	dns.code = NO_ERROR;
	dns.v4[0] = "10.0.0.2";
	expire(5 * USEC_PER_SECOND);
	look_up(&a, "db.test");
	helpers_until(a.told == 4);
	ck_assert_str_eq(a.addresses, "10.0.0.2");
}
END_TEST

START_TEST(known_addresses_are_dropped_when_the_name_is_gone)
{
	dns.v4[0] = "10.0.0.1";
	look_up(&a, "db.test");
	helpers_until(a.told == 1);
	dns.code = NAME_ERROR;
	expire(15 * USEC_PER_SECOND);
	look_up(&a, "db.test");
	helpers_until(a.told == 2);
	ck_assert_uint_eq(a.count, 0);
}
END_TEST

START_TEST(a_failing_name_server_is_an_error_when_nothing_is_known)
{
	dns.code = SERVER_FAILURE;
	look_up(&a, "db.test");
	helpers_until(a.told == 1);
	ck_assert_uint_eq(a.count, 0);
	ck_assert_ptr_nonnull(strstr(a.message, "\"db.test\""));
}
END_TEST

START_TEST(a_cancelled_lookup_is_not_told_but_its_neighbours_are)
{
	dns.v4[0] = "10.0.0.1";
	look_up(&a, "db.test");
	look_up(&b, "db.test");
	look_up(&c, "db.test");
	resolver_cancel(&b.query);
	resolver_cancel(&b.query);
	helpers_until(c.told == 1);
	ck_assert_int_eq(a.told, 1);
	ck_assert_int_eq(b.told, 0);
	/* the first and the last one */
	expire(15 * USEC_PER_SECOND);
	look_up(&a, "db.test");
	look_up(&b, "db.test");
	look_up(&c, "db.test");
	resolver_cancel(&a.query);
	resolver_cancel(&c.query);
	look_up(&c, "db.test");
	helpers_until(c.told == 2);
	ck_assert_int_eq(b.told, 1);
	ck_assert_int_eq(a.told, 1);
	/* all of them: the answer is kept all the same */
	expire(15 * USEC_PER_SECOND);
	look_up(&a, "db.test");
	resolver_cancel(&a.query);
	unsigned asked = dns.asked_v4;
	helpers_until(dns.asked_v4 > asked);
	helpers_settle();
	look_up(&a, "db.test");
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
	look_up(&a, "db.test");
	look_up(&b, "db.test");
	look_up(&c, "db.test");
	helpers_until(c.told == 1);
	ck_assert_int_eq(a.told, 1);
	ck_assert_int_eq(b.told, 0);
}
END_TEST

static void ask_twice_more(struct asker *asker)
{
	if (asker->told < 3)
		look_up(asker, "db.test");
}

START_TEST(a_callback_may_look_the_same_name_up_again)
{
	struct resolver_options none = {.ttl_max = 0, .nxdomain_ttl = 0};
	dns.v4[0] = "10.0.0.1";
	resolver_set_options(&none); /* the cache would not answer */
	a.then = ask_twice_more;
	look_up(&a, "db.test");
	look_up(&b, "db.test");
	helpers_until(a.told == 3);
	ck_assert_int_eq(b.told, 1);
	ck_assert_str_eq(a.addresses, "10.0.0.1");
	a.then = NULL;
	unsigned asked = dns.asked_v4;
	look_up(&a, "db.test");
	helpers_until(a.told == 4);
	ck_assert_uint_eq(dns.asked_v4, asked + 1);
}
END_TEST

START_TEST(a_silent_name_server_is_asked_again_by_a_timer)
{
	dns.code = SILENT;
	look_up(&a, "db.test");
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
	look_up(&a, "one.test");
	look_up(&b, "two.test");
	look_up(&c, "two.test");
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
	struct resolver_options wrong = options;
	struct error error;
	resolver_close();
	wrong.resolv_conf = "/nonexistent/resolv.conf";
	ck_assert(!resolver_open(&wrong, &error));
	ck_assert_str_eq(
		error.message,
		"cannot read resolv_conf \"/nonexistent/resolv.conf\": No such file or directory");
	wrong.resolv_conf = conf;
	wrong.servers = "no server";
	ck_assert(!resolver_open(&wrong, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "cannot start the DNS resolver: "));
}
END_TEST

START_TEST(resolv_conf_is_obeyed)
{
	dns.v4[0] = "10.0.0.1";
	look_up(&a, "short"); /* a name without a dot: the search list comes first */
	helpers_until(a.told == 1);
	ck_assert_str_eq(dns.last, "short.example.test");
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
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_set_timeout(tcase, 20);
	tcase_add_test(tcase, numeric_addresses_are_answered_at_once);
	tcase_add_test(tcase, the_hosts_file_comes_first);
	tcase_add_test(tcase, all_addresses_of_both_families_are_kept);
	tcase_add_test(tcase, one_family_is_enough);
	tcase_add_test(tcase, lookups_of_a_name_share_one_query_and_its_answer);
	tcase_add_test(tcase, an_answer_lives_as_long_as_the_option_says);
	tcase_add_test(tcase, new_options_are_for_answers_from_then_on);
	tcase_add_test(tcase, a_name_that_does_not_exist_is_remembered_for_a_while);
	tcase_add_test(tcase, a_name_that_does_not_exist_is_told_from_one_that_nobody_knows);
	tcase_add_test(tcase, a_name_that_is_looked_up_once_is_not_kept);
	tcase_add_test(tcase, a_name_without_addresses_fails);
	tcase_add_test(tcase, bad_names_fail_and_do_no_harm);
	tcase_add_test(tcase, known_addresses_stay_in_use_while_the_name_server_fails);
	tcase_add_test(tcase, known_addresses_are_dropped_when_the_name_is_gone);
	tcase_add_test(tcase, a_failing_name_server_is_an_error_when_nothing_is_known);
	tcase_add_test(tcase, a_cancelled_lookup_is_not_told_but_its_neighbours_are);
	tcase_add_test(tcase, a_callback_may_cancel_another_waiting_lookup);
	tcase_add_test(tcase, a_callback_may_look_the_same_name_up_again);
	tcase_add_test(tcase, a_silent_name_server_is_asked_again_by_a_timer);
	tcase_add_test(tcase, closing_forgets_whoever_waits);
	tcase_add_test(tcase, a_resolv_conf_that_cannot_be_read_is_an_error);
	tcase_add_test(tcase, resolv_conf_is_obeyed);
	tcase_add_test(tcase, the_library_is_named_with_its_version);
	suite_add_tcase(suite, tcase);
	return suite;
}
