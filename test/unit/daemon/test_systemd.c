/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/systemd.h"
#include "../suite.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/loop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

Suite *suite_systemd(void);

static int manager; /* the service manager's end */

static void set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* An abstract name: "@..." in the environment, a NUL in the address. */
	int length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "pgweir-test-%d",
			      (int)getpid());
	char name[64];
	snprintf(name, sizeof(name), "@pgweir-test-%d", (int)getpid());
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ck_assert_int_ge(manager, 0);
	ck_assert_int_eq(
		bind(manager, (struct sockaddr *)&address,
		     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)),
		0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static void tear_down(void)
{
	unsetenv("NOTIFY_SOCKET");
	close(manager);
}

/* The next message, "" if there is none. */
static const char *told(void)
{
	static char text[512];
	ssize_t length = recv(manager, text, sizeof(text) - 1, 0);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

START_TEST(each_step_is_told)
{
	systemd_ready();
	ck_assert_str_eq(told(), "READY=1");
	systemd_status("stats: 1 xacts/s");
	ck_assert_str_eq(told(), "STATUS=stats: 1 xacts/s");
	systemd_stopping();
	ck_assert_str_eq(told(), "STOPPING=1");
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(a_reload_is_told_with_its_time)
{
	long long before, when = 0;
	clock_update();
	before = clock_now();
	systemd_reloading();
	ck_assert_int_eq(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%lld", &when), 1);
	clock_update();
	ck_assert_int_ge(when, before);
	ck_assert_int_le(when, clock_now());
}
END_TEST

START_TEST(watchdog_is_fed_twice_in_its_time)
{
	setenv("WATCHDOG_USEC", "10000000", 1);
	unsetenv("WATCHDOG_PID");
	clock_drive();
	loop_open();
	systemd_start_watchdog();
	ck_assert_str_eq(told(), "WATCHDOG=1");
	for (int i = 0; i < 3; i++) {
		clock_advance(4 * USEC_PER_SECOND);
		loop_turn(0);
		ck_assert_str_eq(told(), "");
		clock_advance(1 * USEC_PER_SECOND);
		loop_turn(0);
		ck_assert_str_eq(told(), "WATCHDOG=1");
	}
	systemd_stop_watchdog();
	clock_advance(60 * USEC_PER_SECOND);
	loop_turn(0);
	ck_assert_str_eq(told(), "");
	loop_close();
	unsetenv("WATCHDOG_USEC");
}
END_TEST

START_TEST(without_a_watchdog_nothing_is_fed)
{
	unsetenv("WATCHDOG_USEC");
	loop_open();
	systemd_start_watchdog();
	ck_assert_str_eq(told(), "");
	ck_assert_int_eq(loop_next_timer(), 0);
	systemd_stop_watchdog();
	loop_close();
}
END_TEST

START_TEST(without_a_service_manager_all_is_harmless)
{
	struct error error = {0};
	unsetenv("NOTIFY_SOCKET");
	unsetenv("LISTEN_FDS");
	ck_assert(systemd_open(&error));
	ck_assert(!systemd_has_sockets());
	systemd_ready();
	systemd_reloading();
	systemd_status("x");
	systemd_stopping();
	ck_assert_str_eq(told(), "");
}
END_TEST

START_TEST(sockets_meant_for_another_process_are_not_taken)
{
	struct error error = {0};
	setenv("LISTEN_PID", "1", 1);
	setenv("LISTEN_FDS", "2", 1);
	ck_assert(systemd_open(&error));
	ck_assert(!systemd_has_sockets());
}
END_TEST

START_TEST(a_senseless_number_of_sockets_is_an_error)
{
	struct error error = {0};
	char pid[16];
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "many", 1);
	ck_assert(!systemd_open(&error));
	ck_assert(!systemd_has_sockets());
	ck_assert_ptr_nonnull(
		strstr(error.message, "could not take the sockets of the service manager"));
}
END_TEST

Suite *suite_systemd(void)
{
	Suite *suite = suite_create("systemd");
	TCase *tcase = tcase_create("systemd");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, each_step_is_told);
	tcase_add_test(tcase, a_reload_is_told_with_its_time);
	tcase_add_test(tcase, watchdog_is_fed_twice_in_its_time);
	tcase_add_test(tcase, without_a_watchdog_nothing_is_fed);
	tcase_add_test(tcase, without_a_service_manager_all_is_harmless);
	tcase_add_test(tcase, sockets_meant_for_another_process_are_not_taken);
	tcase_add_test(tcase, a_senseless_number_of_sockets_is_an_error);
	suite_add_tcase(suite, tcase);
	return suite;
}
