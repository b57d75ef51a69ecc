/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/sample.h"
#include "config/snapshot.h"
#include "config/source.h"
#include "core/error.h"
#include "core/memory.h"
#include "files.h"
#include "suites.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct snapshot *loaded;
static struct error error;
static char collected[8192];

static void collect(const struct error *each)
{
	size_t length = strlen(collected);
	snprintf(collected + length, sizeof(collected) - length, "%s\n", each->message);
}

static void setup(void)
{
	files_setup();
	error = (struct error){0};
	collected[0] = '\0';
}

static void teardown(void)
{
	error_collect(NULL);
	snapshot_free(&loaded);
	snapshot_install(NULL);
	source_release();
	files_teardown();
}

#define ENVIRONMENT(...) source_read_environment((char *[]){__VA_ARGS__, NULL}, &error)

static void load(const char *text)
{
	files_write("a.ini", text);
	snapshot_free(&loaded);
	loaded = snapshot_load("a.ini", &error);
	ck_assert_msg(loaded, "%s", error.message);
}

static void assert_source(enum setting_index index, const char *wanted)
{
	char text[SOURCE_TEXT];
	ck_assert_str_eq(source_print(&loaded->sources[index], index, text), wanted);
}

START_TEST(the_command_line_wins_over_the_environment_and_that_over_the_file)
{
	ck_assert(source_read_option("listen_port=3", &error));
	ck_assert(ENVIRONMENT("HOME=/", "PGWEIR_LISTEN_PORT=2", "PGWEIR_DEFAULT_POOL_SIZE=2",
			      "PGWEIR=x"));
	load("[pgweir]\nlisten_port = 1\ndefault_pool_size = 1\nreserve_pool_size = 1\n");
	ck_assert_int_eq(loaded->settings.listen_port, 3);
	ck_assert_int_eq(loaded->settings.default_pool_size, 2);
	ck_assert_int_eq(loaded->settings.reserve_pool_size, 1);
	ck_assert_int_eq(loaded->settings.min_pool_size, 0);
	assert_source(SETTING_listen_port, "command line (--set listen_port)");
	assert_source(SETTING_default_pool_size, "environment variable PGWEIR_DEFAULT_POOL_SIZE");
	assert_source(SETTING_reserve_pool_size, "a.ini:4");
	assert_source(SETTING_min_pool_size, "default");
}
END_TEST

START_TEST(the_last_word_on_the_command_line_wins)
{
	ck_assert(source_read_option("listen_port=3", &error));
	ck_assert(source_read_option("listen_port=4", &error));
	ck_assert(source_read_option("server_reset_query=SELECT a=b", &error));
	load("[pgweir]\n");
	ck_assert_int_eq(loaded->settings.listen_port, 4);
	ck_assert_str_eq(loaded->settings.server_reset_query, "SELECT a=b");
}
END_TEST

START_TEST(they_win_where_there_is_no_file_too)
{
	ck_assert(ENVIRONMENT("PGWEIR_LISTEN_ADDR=127.0.0.2"));
	loaded = snapshot_load(NULL, &error);
	ck_assert_msg(loaded, "%s", error.message);
	ck_assert_str_eq(loaded->settings.listen_addr, "127.0.0.2");
	ck_assert_int_eq(loaded->settings.auth_type, AUTH_SCRAM_SHA_256);
}
END_TEST

START_TEST(set_wins_until_the_next_load)
{
	ck_assert(ENVIRONMENT("PGWEIR_DEFAULT_POOL_SIZE=2"));
	load("[pgweir]\ndefault_pool_size = 1\n");
	snapshot_install(loaded);
	loaded = NULL;
	ck_assert(snapshot_set(SETTING_default_pool_size, "9", &error));
	ck_assert_int_eq(settings_current()->default_pool_size, 9);
	ck_assert_int_eq(snapshot_current()->sources[SETTING_default_pool_size].kind,
			 SOURCE_CONSOLE);
	load("[pgweir]\ndefault_pool_size = 3\n");
	snapshot_install(loaded);
	loaded = NULL;
	ck_assert_int_eq(settings_current()->default_pool_size, 2);
}
END_TEST

START_TEST(a_removed_setting_returns_to_what_is_below_it)
{
	ck_assert(ENVIRONMENT("PGWEIR_DEFAULT_POOL_SIZE=2"));
	load("[pgweir]\ndefault_pool_size = 1\nmin_pool_size = 5\n");
	load("[pgweir]\n");
	ck_assert_int_eq(loaded->settings.default_pool_size, 2);
	ck_assert_int_eq(loaded->settings.min_pool_size, 0);
	assert_source(SETTING_min_pool_size, "default");
}
END_TEST

START_TEST(a_wrong_variable_is_named)
{
	ck_assert(!ENVIRONMENT("PGWEIR_LISTEN_PORTS=1"));
	ck_assert_str_eq(error.message,
			 "environment variable PGWEIR_LISTEN_PORTS: unknown parameter "
			 "\"listen_ports\"; did you mean \"listen_port\"?");
	ck_assert(!ENVIRONMENT("PGWEIR_listen_port=1"));
	ck_assert(!ENVIRONMENT("PGWEIR_=1"));
	ck_assert(!ENVIRONMENT("PGWEIR_LISTEN_PORT=many"));
	ck_assert_str_eq(error.message,
			 "environment variable PGWEIR_LISTEN_PORT: invalid value \"many\" for "
			 "parameter listen_port: allowed is 0 to 65535");
	ck_assert(!ENVIRONMENT("PGWEIR_LISTEN_PORT="));
}
END_TEST

START_TEST(variables_of_container_platforms_are_passed_over)
{
	ck_assert(ENVIRONMENT("PGWEIR_SERVICE_HOST=10.0.0.1", "PGWEIR_SERVICE_PORT=6432",
			      "PGWEIR_SERVICE_PORT_PG=6432", "PGWEIR_PORT=tcp://10.0.0.1:6432",
			      "PGWEIR_PORT_6432_TCP=tcp://10.0.0.1:6432",
			      "PGWEIR_PORT_6432_TCP_ADDR=10.0.0.1"));
	ck_assert(ENVIRONMENT("PGWEIR_SERVICE_NAME=weir"));
	load("[pgweir]\n");
	ck_assert_str_eq(loaded->settings.job_name, "weir");
	ck_assert(!ENVIRONMENT("PGWEIR_PORT_X=1"));
}
END_TEST

START_TEST(a_wrong_option_is_named)
{
	ck_assert(!source_read_option("listen_port", &error));
	ck_assert_str_eq(error.message, "--set takes name=value, not \"listen_port\"");
	ck_assert(!source_read_option("listen_prt=1", &error));
	files_assert_has(error.message, "--set listen_prt: unknown parameter");
	ck_assert(!source_read_option("listen_port=65536", &error));
	ck_assert_str_eq(error.message, "--set listen_port: invalid value \"65536\" for parameter "
					"listen_port: allowed is 0 to 65535");
	ck_assert(!source_read_option("=1", &error));
}
END_TEST

START_TEST(what_does_not_fit_together_names_the_source)
{
	ck_assert(source_read_option("syslog_facility=attic", &error));
	files_write("a.ini", "[pgweir]\nsyslog_facility = daemon\n");
	ck_assert_ptr_null(snapshot_load("a.ini", &error));
	files_assert_has(error.message,
			 "command line (--set syslog_facility): unknown syslog_facility");
	source_release();
	ck_assert(ENVIRONMENT("PGWEIR_CLIENT_TLS_SSLMODE=require"));
	ck_assert_ptr_null(snapshot_load("a.ini", &error));
	files_assert_has(error.message,
			 "environment variable PGWEIR_CLIENT_TLS_SSLMODE: TLS setup failed: ");
}
END_TEST

START_TEST(the_file_to_begin_with_may_be_named_and_is_not_forced_on_later_loads)
{
	ck_assert_ptr_null(source_conffile());
	ck_assert(ENVIRONMENT("PGWEIR_CONFFILE=b.ini"));
	ck_assert_str_eq(source_conffile(), "b.ini");
	load("[pgweir]\n");
	ck_assert_str_eq(loaded->settings.conffile, "a.ini");
}
END_TEST

START_TEST(every_mistake_is_collected_with_its_place)
{
	files_write("users.txt", "\"a\" \"b\"\n\"broken\nnonsense\n");
	files_write("hba.conf", "host all all all trust\nhsot all all all trust\nhost all all\n");
	files_write("ident.conf", "one\nmap a b\nmap a\n");
	files_write("more.ini", "[databases]\nx = hots=1\n");
	files_write("a.ini",
		    "[pgweir]\nlisten_port = many\nauth_type = hba\nauth_hba_file = hba.conf\n"
		    "auth_ident_file = ident.conf\nauth_file = users.txt\nno_such = 1\n"
		    "[nonsense]\n[databases]\na = port=0\nb = host=h\n%include more.ini\n"
		    "%include none.ini\nc = server_tls_ciphers=none-own\n[pgweir]\n"
		    "syslog_facility = attic\nclient_tls_sslmode = require\n"
		    "server_tls13_ciphers = none-such\nwhat is this\n"
		    "[databases]\nd = server_tls_protocols=all\n[tls]\n"
		    "e.example = cert_file=none.crt key_file=none.key\n");
	error_collect(collect);
	loaded = snapshot_load("a.ini", &error);
	static const char *const wanted[] = {
		"a.ini:2): allowed is 0 to 65535\n",
		"a.ini:7: unknown parameter \"no_such\"",
		"a.ini:8: unknown section [nonsense]",
		"a.ini:10: database \"a\": invalid value \"0\" for parameter port",
		"more.ini:2: database \"x\": unknown parameter \"hots\"",
		"a.ini:13: could not read configuration file \"none.ini\"",
		"a.ini:14: TLS setup failed: database \"c\": ",
		"a.ini:16: unknown syslog_facility",
		"a.ini:17: TLS setup failed: client_tls_sslmode",
		"a.ini:18: TLS setup failed: server_tls",
		"a.ini:23: TLS setup failed: TLS host \"e.example\": cannot read TLS certificate",
		"a.ini:19: expected",
		"users.txt:2: ",
		"users.txt:3: ",
		"hba.conf:2: ",
		"hba.conf:3: ",
		"ident.conf:1: ",
		"ident.conf:3: ",
	};
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		files_assert_has(collected, wanted[i]);
	unsigned lines = 0;
	for (const char *at = collected; (at = strchr(at, '\n')); at++)
		lines++;
	ck_assert_msg(lines == sizeof(wanted) / sizeof(wanted[0]), "%u lines:\n%s", lines,
		      collected);
}
END_TEST

/* All settings of the sample, with or without their ";". */
static void print_sample(bool uncommented)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);
	sample_print(stream);
	ck_assert_int_eq(fclose(stream), 0);
	for (char *at = strchr(text, '\n'); uncommented && at; at = strchr(at + 1, '\n')) {
		size_t length = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789_");
		if (at[1] == ';' && length && !strncmp(at + 2 + length, " =", 2))
			at[1] = ' ';
		if (!strncmp(at + 1, "[databases]", 11))
			at[1] = '\0'; /* rows are examples */
	}
	files_write("a.ini", text);
	free(text);
}

START_TEST(the_sample_loads_as_it_is_and_with_every_setting_at_its_default)
{
	for (int uncommented = 0; uncommented < 2; uncommented++) {
		print_sample(uncommented);
		snapshot_free(&loaded);
		loaded = snapshot_load("a.ini", &error);
		ck_assert_msg(loaded, "%s", error.message);
		for (enum setting_index i = 0; i < SETTING_COUNT; i++) {
			ck_assert_int_eq(loaded->sources[i].kind,
					 uncommented ? SOURCE_FILE : SOURCE_DEFAULT);
			ck_assert_msg(i == SETTING_conffile ||
					      settings_is_default(&loaded->settings, i),
				      "%s", setting_row(i)->name);
		}
	}
	ck_assert_str_eq(files_logged(), "");
}
END_TEST

Suite *suite_source(void)
{
	Suite *suite = suite_create("source");
	TCase *tests = tcase_create("source");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, the_command_line_wins_over_the_environment_and_that_over_the_file);
	tcase_add_test(tests, the_last_word_on_the_command_line_wins);
	tcase_add_test(tests, they_win_where_there_is_no_file_too);
	tcase_add_test(tests, set_wins_until_the_next_load);
	tcase_add_test(tests, a_removed_setting_returns_to_what_is_below_it);
	tcase_add_test(tests, a_wrong_variable_is_named);
	tcase_add_test(tests, variables_of_container_platforms_are_passed_over);
	tcase_add_test(tests, a_wrong_option_is_named);
	tcase_add_test(tests, what_does_not_fit_together_names_the_source);
	tcase_add_test(tests, the_file_to_begin_with_may_be_named_and_is_not_forced_on_later_loads);
	tcase_add_test(tests, every_mistake_is_collected_with_its_place);
	tcase_add_test(tests, the_sample_loads_as_it_is_and_with_every_setting_at_its_default);
	suite_add_tcase(suite, tests);
	return suite;
}
