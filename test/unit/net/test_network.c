/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/network.h"
#include "suites.h"
#include <string.h>

static const struct {
	const char *network, *mask, *address;
	bool has;
} cases[] = {
	{"10.0.0.0/8", NULL, "10.255.1.2", true},
	{"10.0.0.0/8", NULL, "11.0.0.1", false},
	{"10.9.9.9/8", NULL, "10.0.0.1", true}, /* bits beyond the mask do not count */
	{"0.0.0.0/0", NULL, "192.0.2.1", true},
	{"0.0.0.0/0", NULL, "::1", false},
	{"::/0", NULL, "2001:db8::1", true},
	{"::/0", NULL, "192.0.2.1", false},
	{"192.0.2.128/25", NULL, "192.0.2.127", false},
	{"192.0.2.128/25", NULL, "192.0.2.128", true},
	{"192.0.2.1/32", NULL, "192.0.2.1", true},
	{"192.0.2.1", NULL, "192.0.2.2", false},
	{"::1/128", NULL, "::1", true},
	{"::1/128", NULL, "::2", false},
	{"2001:db8::/33", NULL, "2001:db8:7fff::1", true},
	{"2001:db8::/33", NULL, "2001:db8:8000::1", false},
	{"10.0.0.0/8", NULL, "::ffff:10.1.2.3", true},
	{"::ffff:10.0.0.0/104", NULL, "10.1.2.3", true},
	{"::ffff:10.0.0.0/104", NULL, "::ffff:11.1.2.3", false},
	{"10.0.0.0", "255.0.0.0", "10.1.2.3", true},
	{"10.0.0.5", "255.0.0.255", "10.1.2.5", true},
	{"10.0.0.5", "255.0.0.255", "10.1.2.6", false},
	{"fe80::", "ffc0::", "fe80::1", true},
	{"fe80::", "ffc0::", "fec0::1", false},
};

START_TEST(addresses_are_in_their_networks)
{
	struct network network;
	struct address address;
	if (cases[_i].mask)
		ck_assert(network_parse_mask(cases[_i].network, cases[_i].mask, &network) ==
			  NETWORK_OK);
	else
		ck_assert(network_parse(cases[_i].network, &network) == NETWORK_OK);
	ck_assert(address_parse(cases[_i].address, 0, &address));
	ck_assert(network_has(&network, &address) == cases[_i].has);
}
END_TEST

START_TEST(texts_that_are_no_networks_are_told_apart)
{
	static const char *const bad_masks[] = {"10.0.0.0/33", "10.0.0.0/",   "10.0.0.0/-1",
						"10.0.0.0/8x", "::/129",      "10.0.0.0/ 8",
						"::/0000",     "10.0.0.0/8/8"};
	static const char *const no_addresses[] = {"",	   "/8",      "10.0.0/8",  "10.0.0.256/8",
						   "host", "[::1]/8", "1.2.3.4.5", "all"};
	struct network network;
	for (unsigned i = 0; i < sizeof bad_masks / sizeof *bad_masks; i++)
		ck_assert_msg(network_parse(bad_masks[i], &network) == NETWORK_BAD_MASK, "%s",
			      bad_masks[i]);
	for (unsigned i = 0; i < sizeof no_addresses / sizeof *no_addresses; i++)
		ck_assert_msg(network_parse(no_addresses[i], &network) == NETWORK_NOT_ADDRESS, "%s",
			      no_addresses[i]);
	ck_assert(network_parse_mask("10.0.0.0", "ff::", &network) == NETWORK_BAD_MASK);
	ck_assert(network_parse_mask("10.0.0.0", "md5", &network) == NETWORK_BAD_MASK);
	ck_assert(network_parse_mask("x", "255.0.0.0", &network) == NETWORK_NOT_ADDRESS);
}
END_TEST

START_TEST(networks_print_as_address_and_mask)
{
	char text[ADDRESS_TEXT];
	struct network network;
	ck_assert(network_parse("10.1.0.0/15", &network) == NETWORK_OK);
	ck_assert_str_eq(network_print_base(&network, text), "10.1.0.0");
	ck_assert_str_eq(network_print_mask(&network, text), "255.254.0.0");
	ck_assert(network_parse("2001:db8::/32", &network) == NETWORK_OK);
	ck_assert_str_eq(network_print_base(&network, text), "2001:db8::");
	ck_assert_str_eq(network_print_mask(&network, text), "ffff:ffff::");
}
END_TEST

START_TEST(a_unix_address_is_in_no_network)
{
	struct network network;
	struct address address = {.family = AF_UNIX};
	ck_assert(network_parse("0.0.0.0/0", &network) == NETWORK_OK);
	ck_assert(!network_has(&network, &address));
}
END_TEST

START_TEST(own_hosts_and_networks_are_known)
{
	struct network lan[2];
	struct interfaces interfaces = {lan, 2};
	struct address address;
	ck_assert(network_parse("192.0.2.7/24", &lan[0]) == NETWORK_OK);
	ck_assert(network_parse("2001:db8::7/64", &lan[1]) == NETWORK_OK);
	address_parse("192.0.2.7", 0, &address);
	ck_assert(interfaces_have_host(&interfaces, &address));
	ck_assert(interfaces_have_network(&interfaces, &address));
	address_parse("192.0.2.8", 0, &address);
	ck_assert(!interfaces_have_host(&interfaces, &address));
	ck_assert(interfaces_have_network(&interfaces, &address));
	address_parse("2001:db8::8", 0, &address);
	ck_assert(!interfaces_have_host(&interfaces, &address));
	ck_assert(interfaces_have_network(&interfaces, &address));
	address_parse("198.51.100.1", 0, &address);
	ck_assert(!interfaces_have_network(&interfaces, &address));
	interfaces_read(&interfaces);
	interfaces_fini(&interfaces);
	interfaces_fini(&interfaces);
}
END_TEST

Suite *suite_network(void)
{
	Suite *suite = suite_create("network");
	TCase *tcase = tcase_create("network");
	tcase_add_loop_test(tcase, addresses_are_in_their_networks, 0,
			    (int)(sizeof cases / sizeof *cases));
	tcase_add_test(tcase, texts_that_are_no_networks_are_told_apart);
	tcase_add_test(tcase, networks_print_as_address_and_mask);
	tcase_add_test(tcase, a_unix_address_is_in_no_network);
	tcase_add_test(tcase, own_hosts_and_networks_are_known);
	suite_add_tcase(suite, tcase);
	return suite;
}
