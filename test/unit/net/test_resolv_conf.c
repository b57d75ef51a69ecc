/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolv_conf.h"
#include "core/error.h"
#include "core/memory.h"
#include "helpers.h"
#include "suites.h"
#include <stdio.h>

static char *servers;

static void close_all(void)
{
	memory_free(&servers);
	helpers_close();
}

static void read_text(const char *text)
{
	struct error error;
	char path[128];
	snprintf(path, sizeof path, "%s", helpers_path("resolv.conf"));
	FILE *file = fopen(path, "w");
	fputs(text, file);
	fclose(file);
	memory_free(&servers);
	ck_assert_msg(resolv_conf_read(path, &servers, &error), "%s", error.message);
}

START_TEST(a_file_without_ports_is_left_to_the_library)
{
	read_text("# x\nsearch a.test\nnameserver 127.0.0.1\n  nameserver\t::1 # local\n");
	ck_assert_ptr_null(servers);
	read_text("");
	ck_assert_ptr_null(servers);
}
END_TEST

START_TEST(one_port_and_all_name_servers_are_told_in_order)
{
	read_text("nameserver 10.0.0.1\n;nameserver 10.0.0.2:1\nnameserver 127.0.0.1:8600\n"
		  "nameserver [::1]:8601\nnameserver 2001:db8::1\noptions ndots:2\n");
	ck_assert_str_eq(servers, "10.0.0.1:53,127.0.0.1:8600,[::1]:8601,[2001:db8::1]:53");
}
END_TEST

START_TEST(what_is_no_address_is_named_and_skipped)
{
	read_text("nameserver 127.0.0.1:8600\nnameserver localhost:1\nnameserver 10.0.0.1:0\n"
		  "nameserver 10.0.0.1:65536\nnameserver\nnameserver 10.0.0.1:x\n");
	ck_assert_str_eq(servers, "127.0.0.1:8600");
	ck_assert_uint_eq(helpers_log_count("a nameserver that is no address"), 5);
	ck_assert_uint_eq(helpers_log_count("\"localhost:1\""), 1);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error)
{
	struct error error;
	ck_assert(!resolv_conf_read("/nonexistent/resolv.conf", &servers, &error));
	ck_assert_str_eq(error.message, "cannot read resolv_conf \"/nonexistent/resolv.conf\": "
					"No such file or directory");
}
END_TEST

Suite *suite_resolv_conf(void)
{
	Suite *suite = suite_create("resolv_conf");
	TCase *tcase = tcase_create("read");
	tcase_add_checked_fixture(tcase, helpers_open, close_all);
	tcase_add_test(tcase, a_file_without_ports_is_left_to_the_library);
	tcase_add_test(tcase, one_port_and_all_name_servers_are_told_in_order);
	tcase_add_test(tcase, what_is_no_address_is_named_and_skipped);
	tcase_add_test(tcase, a_file_that_is_not_there_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
