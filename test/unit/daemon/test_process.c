/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/process.h"
#include "../suite.h"
#include "config/snapshot.h"
#include "core/error.h"
#include "core/log.h"
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Suite *suite_process(void);

static char directory[64], path[96], last_line[512];
static struct error error;

static void keep_line(enum log_level level, const char *line)
{
	(void)level;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void set_up(void)
{
	snprintf(directory, sizeof(directory), "/tmp/pgweir-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/pid", directory);
	memset(&error, 0, sizeof(error));
	last_line[0] = '\0';
	log_hook(keep_line);
}

static void tear_down(void)
{
	process_remove_pidfile();
	unlink(path);
	ck_assert_msg(rmdir(directory) == 0, "something is left in %s", directory);
	log_hook(NULL);
}

static void write_file(const char *text, size_t length)
{
	FILE *file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, length, file), length);
	fclose(file);
}

static void write_number(long number)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", number);
	write_file(text, (size_t)length);
}

/* The number of a process that has ended. */
static pid_t dead_process(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	ck_assert_int_gt(child, 0);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	return child;
}

static bool exists(void)
{
	return access(path, F_OK) == 0;
}

/* ---- pidfile ---- */

START_TEST(no_pidfile_is_fine)
{
	ck_assert(process_check_pidfile(path, &error));
	ck_assert_str_eq(last_line, "");
}
END_TEST

START_TEST(pidfile_of_a_dead_process_is_removed)
{
	write_number(dead_process());
	ck_assert(process_check_pidfile(path, &error));
	ck_assert(!exists());
	ck_assert_ptr_nonnull(strstr(last_line, "LOG stale pidfile, removing"));
}
END_TEST

START_TEST(pidfile_of_a_living_process_is_refused)
{
	char expected[256];
	write_number(getppid());
	ck_assert(!process_check_pidfile(path, &error));
	snprintf(expected, sizeof(expected),
		 "pidfile '%s' exists, another instance running? (process %d)", path,
		 (int)getppid());
	ck_assert_str_eq(error.message, expected);
	ck_assert(exists());
}
END_TEST

START_TEST(pidfile_with_our_own_number_is_stale)
{
	write_number(getpid());
	ck_assert(process_check_pidfile(path, &error));
	ck_assert(!exists());
}
END_TEST

START_TEST(empty_pidfile_is_stale)
{
	write_file("", 0);
	ck_assert(process_check_pidfile(path, &error));
	ck_assert(!exists());
}
END_TEST

START_TEST(pidfile_that_is_none_is_left_alone)
{
	static const struct {
		const char *text;
		size_t length;
	} rows[] = {
		{"root:x:0:0", 10},
		{"12x", 3},
		{"-1\n", 3},
		{"0\n", 2},
		{"99999999999999999999\n", 21},
		{"4294967297\n", 11},
		{"1\0002", 3},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_file(rows[i].text, rows[i].length);
		ck_assert_msg(!process_check_pidfile(path, &error), "row %zu", i);
		ck_assert_ptr_nonnull(
			strstr(error.message, "holds something else than a process id"));
		ck_assert(exists());
	}
}
END_TEST

START_TEST(pidfile_that_cannot_be_read_is_an_error)
{
	ck_assert(!process_check_pidfile(directory, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "could not read pidfile"));
}
END_TEST

START_TEST(written_pidfile_holds_our_number_and_goes_with_us)
{
	char text[32] = "", expected[32];
	ck_assert(process_write_pidfile(path, &error));
	FILE *file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	ck_assert_int_eq(fgetc(file), EOF);
	fclose(file);
	snprintf(expected, sizeof(expected), "%d\n", (int)getpid());
	ck_assert_str_eq(text, expected);
	process_remove_pidfile();
	ck_assert(!exists());
	process_remove_pidfile(); /* harmless */
}
END_TEST

START_TEST(pidfile_of_a_successor_is_not_removed)
{
	ck_assert(process_write_pidfile(path, &error));
	write_number(getppid());
	process_remove_pidfile();
	ck_assert(exists());
}
END_TEST

START_TEST(pidfile_written_since_the_check_is_refused)
{
	write_number(1);
	ck_assert(!process_write_pidfile(path, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "exists, another instance running?"));
	process_remove_pidfile();
	ck_assert(exists());
}
END_TEST

START_TEST(pidfile_without_a_directory_is_an_error)
{
	char nowhere[128];
	snprintf(nowhere, sizeof(nowhere), "%s/none/pid", directory);
	ck_assert(!process_write_pidfile(nowhere, &error));
	ck_assert_ptr_nonnull(strstr(error.message, "could not write pidfile"));
	ck_assert_ptr_nonnull(strstr(error.message, strerror(ENOENT)));
}
END_TEST

/* ---- user ---- */

START_TEST(unknown_user_is_named)
{
	ck_assert(!process_become_user("no-such-user-here", &error));
	ck_assert_str_eq(error.message, "unknown user \"no-such-user-here\"");
}
END_TEST

START_TEST(who_is_that_user_already_becomes_nobody_else)
{
	const struct passwd *entry = getpwuid(geteuid());
	ck_assert_ptr_nonnull(entry);
	char name[64];
	snprintf(name, sizeof(name), "%s", entry->pw_name);
	ck_assert(process_become_user(name, &error));
	ck_assert_int_eq(process_is_root(), geteuid() == 0);
}
END_TEST

START_TEST(only_root_becomes_somebody_else)
{
	if (geteuid() == 0)
		ck_assert_int_eq(setuid(65534), 0);
	ck_assert(!process_become_user("root", &error));
	ck_assert_str_eq(error.message, "cannot become user \"root\": only root can");
}
END_TEST

/* ---- background ---- */

/* What the process that was started ends with. */
static int background_result(bool starts)
{
	pid_t child = fork();
	if (child == 0) {
		if (!process_go_background(&error))
			_exit(99);
		if (getsid(0) == getpid())
			_exit(98); /* a leader could get a terminal */
		if (starts)
			process_started();
		_exit(starts ? 7 : 0);
	}
	int status = 0;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

START_TEST(the_waiting_process_ends_with_what_became_of_the_start)
{
	ck_assert_int_eq(background_result(true), 0);
	ck_assert_int_eq(background_result(false), 1);
}
END_TEST

/* ---- descriptors ---- */

enum { OWN = 16 }; /* the descriptors that are no client and no server */

static struct process_descriptors count(const char *text)
{
	struct process_descriptors descriptors = {0};
	char copy[1024];
	snprintf(copy, sizeof(copy), "%s", text);
	write_file(copy, strlen(copy));
	struct snapshot *snapshot = snapshot_load(path, &error);
	ck_assert_msg(snapshot != NULL, "%s", error.message);
	process_count_descriptors(snapshot, &descriptors);
	snapshot_free(&snapshot);
	return descriptors;
}

START_TEST(a_pool_for_each_user_is_counted)
{
	struct process_descriptors found =
		count("[pgbouncer]\nmax_client_conn=100\ndefault_pool_size=20\n"
		      "[databases]\na=\nb=pool_size=5\n[users]\nx=\ny=\n");
	ck_assert_uint_eq(found.expected, 100 + 2 * 20 + 2 * 5 + OWN);
	ck_assert_uint_eq(found.wanted, 100 + 50 + OWN);
}
END_TEST

START_TEST(a_forced_user_has_one_pool)
{
	struct process_descriptors found = count(
		"[pgbouncer]\nmax_client_conn=100\ndefault_pool_size=20\nreserve_pool_size=3\n"
		"[databases]\na=user=me\n[users]\nx=\ny=\n");
	ck_assert_uint_eq(found.expected, 100 + 23 + OWN);
}
END_TEST

START_TEST(max_db_connections_bounds_a_database)
{
	struct process_descriptors found =
		count("[pgbouncer]\nmax_client_conn=100\nmax_db_connections=7\n"
		      "[databases]\na=\n*=max_db_connections=0\n[users]\nx=\ny=\n");
	ck_assert_uint_eq(found.expected, 100 + 7 + 40 + OWN);
}
END_TEST

START_TEST(never_are_more_servers_wanted_than_clients)
{
	struct process_descriptors found =
		count("[pgbouncer]\nmax_client_conn=10\ndefault_pool_size=1000\n[databases]\na=\n");
	ck_assert_uint_eq(found.expected, 10 + 1000 + OWN);
	ck_assert_uint_eq(found.wanted, 10 + 10 + OWN);
}
END_TEST

START_TEST(the_limit_is_raised_to_the_hard_one)
{
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = 64;
	limit.rlim_max = 128;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	struct process_descriptors found = {0};
	process_raise_descriptor_limit(&found);
	ck_assert_uint_eq(found.soft, 128);
	ck_assert_uint_eq(found.hard, 128);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_eq(limit.rlim_cur, 128);
}
END_TEST

Suite *suite_process(void)
{
	Suite *suite = suite_create("process");
	TCase *tcase = tcase_create("process");
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, no_pidfile_is_fine);
	tcase_add_test(tcase, pidfile_of_a_dead_process_is_removed);
	tcase_add_test(tcase, pidfile_of_a_living_process_is_refused);
	tcase_add_test(tcase, pidfile_with_our_own_number_is_stale);
	tcase_add_test(tcase, empty_pidfile_is_stale);
	tcase_add_test(tcase, pidfile_that_is_none_is_left_alone);
	tcase_add_test(tcase, pidfile_that_cannot_be_read_is_an_error);
	tcase_add_test(tcase, written_pidfile_holds_our_number_and_goes_with_us);
	tcase_add_test(tcase, pidfile_of_a_successor_is_not_removed);
	tcase_add_test(tcase, pidfile_written_since_the_check_is_refused);
	tcase_add_test(tcase, pidfile_without_a_directory_is_an_error);
	tcase_add_test(tcase, unknown_user_is_named);
	tcase_add_test(tcase, who_is_that_user_already_becomes_nobody_else);
	tcase_add_test(tcase, the_waiting_process_ends_with_what_became_of_the_start);
	tcase_add_test(tcase, a_pool_for_each_user_is_counted);
	tcase_add_test(tcase, a_forced_user_has_one_pool);
	tcase_add_test(tcase, max_db_connections_bounds_a_database);
	tcase_add_test(tcase, never_are_more_servers_wanted_than_clients);
	tcase_add_test(tcase, the_limit_is_raised_to_the_hard_one);
	suite_add_tcase(suite, tcase);
	/* Without the fixture: who gave up root cannot clear a directory of root. */
	TCase *unprivileged = tcase_create("unprivileged");
	tcase_add_test(unprivileged, only_root_becomes_somebody_else);
	suite_add_tcase(suite, unprivileged);
	return suite;
}
