/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/address.h"
#include "suites.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

START_TEST(numeric_addresses_are_parsed_and_printed_back)
{
	static const struct {
		const char *text, *host, *printed;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1", "127.0.0.1:5432"},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0:5432"},
		{"255.255.255.255", "255.255.255.255", "255.255.255.255:5432"},
		{"::1", "::1", "[::1]:5432"},
		{"[::1]", "::1", "[::1]:5432"},
		{"::", "::", "[::]:5432"},
		{"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "[2001:db8::1:0:0:1]:5432"},
		{"2001:DB8:ffff:ffff:ffff:ffff:255.255.255.255",
		 "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		 "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:5432"},
		{"fe80::1%77777", "fe80::1%77777", "[fe80::1%77777]:5432"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;
		char text[ADDRESS_TEXT];
		ck_assert_msg(address_parse(cases[i].text, 5432, &address), "%s", cases[i].text);
		ck_assert_uint_eq(address.port, 5432);
		ck_assert_str_eq(address_host(&address, text), cases[i].host);
		ck_assert_str_eq(address_print(&address, text), cases[i].printed);
	}
}
END_TEST

START_TEST(what_is_no_numeric_address_is_refused)
{
	static const char *const cases[] = {
		"",
		"localhost",
		"127.0.0.1 ",
		" 127.0.0.1",
		"127.0.0",
		"127.0.0.256",
		"127.1",
		"0x7f.0.0.1",
		"[127.0.0.1]",
		"[::1",
		"::1]",
		"[",
		"[]",
		"::1::",
		":::",
		"1:2:3",
		"fe80::1%",
		"fe80::1%nosuch",
		"fe80::1%0",
		"::1%-1",
		"*",
		"@name",
		"/tmp",
		"127.0.0.1:80",
		"[::1]:80",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:1",
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct address address;
		ck_assert_msg(!address_parse(cases[i], 1, &address), "%s", cases[i]);
	}
}
END_TEST

START_TEST(every_truncation_of_an_address_is_parsed_without_harm)
{
	static const char *const good[] = {"[2001:db8::192.168.100.200%4294967295]",
					   "255.255.255.255"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		size_t size = strlen(good[i]);
		struct address address;
		ck_assert(address_parse(good[i], 1, &address));
		for (size_t cut = 0; cut < size; cut++) {
			char *text = strndup(good[i], cut); /* so that a read behind it is seen */
			bool well = address_parse(text, 1, &address);
			if (i == 0)
				ck_assert_msg(!well, "%s", text);
			else
				ck_assert_int_eq(well, cut >= strlen("255.255.255.2"));
			free(text);
		}
	}
}
END_TEST

START_TEST(an_interface_names_a_scope)
{
	struct address address;
	char text[ADDRESS_TEXT];
	unsigned index = if_nametoindex("lo");
	if (index == 0)
		return;
	ck_assert(address_parse("fe80::1%lo", 1, &address));
	ck_assert_uint_eq(address.scope, index);
	ck_assert_str_eq(address_print(&address, text), "[fe80::1%lo]:1");
}
END_TEST

START_TEST(unix_ends_are_printed_with_their_process)
{
	struct address address = {
		.family = AF_UNIX, .port = 6432, .unix_peer = {.pid = 1234, .uid = 7}};
	char text[ADDRESS_TEXT];
	ck_assert_str_eq(address_print(&address, text), "unix(1234):6432");
	ck_assert_str_eq(address_host(&address, text), "unix");
	ck_assert(address_is_unix(&address));
	address.unix_peer.pid = 0;
	ck_assert_str_eq(address_print(&address, text), "unix:6432");
}
END_TEST

START_TEST(an_unknown_end_is_printed_as_pgbouncer_does)
{
	struct address address = {.family = AF_UNSPEC};
	char text[ADDRESS_TEXT];
	ck_assert_str_eq(address_print(&address, text), "(bad-af):0");
}
END_TEST

START_TEST(sockaddrs_and_addresses_turn_into_each_other)
{
	static const char *const texts[] = {"10.1.2.3", "2001:db8::7", "fe80::1%5"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct address address, back;
		struct sockaddr_storage sockaddr;
		socklen_t length;
		ck_assert(address_parse(texts[i], 54321, &address));
		ck_assert(address_to_sockaddr(&address, &sockaddr, &length));
		address_from_sockaddr(&back, (struct sockaddr *)&sockaddr, length);
		ck_assert(address_is_equal(&address, &back));
		ck_assert_uint_eq(back.port, 54321);
		ck_assert_uint_eq(back.scope, address.scope);
		for (socklen_t cut = 0; cut < length; cut++) {
			address_from_sockaddr(&back, (struct sockaddr *)&sockaddr, cut);
			ck_assert_uint_eq(back.family, AF_UNSPEC);
		}
	}
	struct address unix_end = {.family = AF_UNIX};
	struct sockaddr_storage unused;
	socklen_t length;
	ck_assert(!address_to_sockaddr(&unix_end, &unused, &length));
}
END_TEST

START_TEST(a_mapped_ipv4_address_is_an_ipv4_address)
{
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(99)};
	struct address address;
	char text[ADDRESS_TEXT];
	ck_assert_int_eq(inet_pton(AF_INET6, "::ffff:10.1.2.3", &mapped.sin6_addr), 1);
	address_from_sockaddr(&address, (struct sockaddr *)&mapped, sizeof mapped);
	ck_assert_str_eq(address_print(&address, text), "10.1.2.3:99");
}
END_TEST

START_TEST(addresses_are_compared_without_the_port)
{
	struct address a, b;
	address_parse("10.0.0.1", 1, &a);
	address_parse("10.0.0.1", 2, &b);
	ck_assert(address_is_equal(&a, &b));
	address_parse("10.0.0.2", 1, &b);
	ck_assert(!address_is_equal(&a, &b));
	address_parse("::1", 1, &b);
	ck_assert(!address_is_equal(&a, &b));
	address_parse("::1", 9, &a);
	ck_assert(address_is_equal(&a, &b));
	address_parse("fe80::1%1", 1, &a);
	address_parse("fe80::1%2", 1, &b);
	ck_assert(!address_is_equal(&a, &b));
	a = (struct address){.family = AF_UNIX, .unix_peer = {.pid = 5, .uid = 6}};
	b = a;
	ck_assert(address_is_equal(&a, &b));
	b.unix_peer.uid = 7;
	ck_assert(!address_is_equal(&a, &b));
}
END_TEST

START_TEST(a_unix_path_may_fill_its_room_and_no_more)
{
	struct sockaddr_un sockaddr;
	socklen_t length;
	char path[sizeof sockaddr.sun_path + 2];
	memset(path, 'x', sizeof path);
	path[0] = '/';
	path[sizeof sockaddr.sun_path - 1] = '\0';
	ck_assert(address_unix_sockaddr(path, &sockaddr, &length));
	ck_assert_str_eq(sockaddr.sun_path, path);
	ck_assert_uint_eq(length, sizeof sockaddr);
	path[sizeof sockaddr.sun_path - 1] = 'x';
	path[sizeof sockaddr.sun_path] = '\0';
	ck_assert(!address_unix_sockaddr(path, &sockaddr, &length));
	path[0] = '@'; /* abstract names need no NUL */
	ck_assert(address_unix_sockaddr(path, &sockaddr, &length));
	ck_assert_uint_eq(length, sizeof sockaddr);
	path[sizeof sockaddr.sun_path] = 'x';
	path[sizeof sockaddr.sun_path + 1] = '\0';
	ck_assert(!address_unix_sockaddr(path, &sockaddr, &length));
}
END_TEST

START_TEST(an_abstract_name_is_counted)
{
	struct sockaddr_un sockaddr;
	socklen_t length;
	ck_assert(address_unix_sockaddr("@pool/.s.PGSQL.6432", &sockaddr, &length));
	ck_assert_uint_eq(length,
			  offsetof(struct sockaddr_un, sun_path) + strlen("@pool/.s.PGSQL.6432"));
	ck_assert_mem_eq(sockaddr.sun_path, "\0pool/.s.PGSQL.6432", strlen("@pool/.s.PGSQL.6432"));
}
END_TEST

Suite *suite_address(void)
{
	Suite *suite = suite_create("address");
	TCase *tcase = tcase_create("address");
	tcase_add_test(tcase, numeric_addresses_are_parsed_and_printed_back);
	tcase_add_test(tcase, what_is_no_numeric_address_is_refused);
	tcase_add_test(tcase, every_truncation_of_an_address_is_parsed_without_harm);
	tcase_add_test(tcase, an_interface_names_a_scope);
	tcase_add_test(tcase, unix_ends_are_printed_with_their_process);
	tcase_add_test(tcase, an_unknown_end_is_printed_as_pgbouncer_does);
	tcase_add_test(tcase, sockaddrs_and_addresses_turn_into_each_other);
	tcase_add_test(tcase, a_mapped_ipv4_address_is_an_ipv4_address);
	tcase_add_test(tcase, addresses_are_compared_without_the_port);
	tcase_add_test(tcase, a_unix_path_may_fill_its_room_and_no_more);
	tcase_add_test(tcase, an_abstract_name_is_counted);
	suite_add_tcase(suite, tcase);
	return suite;
}
