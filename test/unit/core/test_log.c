/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "suites.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], file[80];

static void set_up(void)
{
	strcpy(directory, "/tmp/test_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(file, sizeof(file), "%s/log", directory);
	setenv("TZ", "UTC", 1);
}

static void tear_down(void)
{
	log_close();
	unlink(file);
	rmdir(directory);
}

static const char *content(const char *path)
{
	static char text[20000];
	FILE *stream = fopen(path, "r");
	ck_assert_ptr_nonnull(stream);
	text[fread(text, 1, sizeof(text) - 1, stream)] = '\0';
	fclose(stream);
	return text;
}

static void open_log(const char *path, int verbose)
{
	struct error error;
	ck_assert(log_open(&(struct log_options){.file = path, .verbose = verbose}, &error));
}

/* What follows "YYYY-MM-DD HH:MM:SS.mmm UTC [pid] ", whose form is checked. */
static const char *after_head(const char *line)
{
	static const char form[] = "dddd-dd-dd dd:dd:dd.ddd UTC [";
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'd')
			ck_assert(line[i] >= '0' && line[i] <= '9');
		else
			ck_assert_int_eq(line[i], form[i]);
	}
	char *end;
	ck_assert_int_eq(strtol(line + sizeof(form) - 1, &end, 10), getpid());
	ck_assert_int_eq(strncmp(end, "] ", 2), 0);
	return end + 2;
}

START_TEST(a_line_has_time_pid_level_subject_and_message)
{
	open_log(file, 2);
	log_info("C-0x1: db/user@host:1 ", "closing because: %s (age=%us)", "bye", 3u);
	ck_assert_str_eq(after_head(content(file)),
			 "LOG C-0x1: db/user@host:1 closing because: bye (age=3s)\n");
	struct stat status;
	ck_assert_int_eq(stat(file, &status), 0);
	ck_assert_uint_eq(status.st_mode & 0137, 0);
}
END_TEST

START_TEST(each_level_has_its_word)
{
	static const char *const words[] = {"FATAL", "ERROR", "WARNING", "LOG", "DEBUG", "NOISE"};
	for (int level = LOG_LEVEL_FATAL; level <= LOG_LEVEL_NOISE; level++) {
		char want[32];
		open_log(file, 2);
		ck_assert_int_eq(truncate(file, 0), 0);
		log_at((enum log_level)level, "", "x");
		snprintf(want, sizeof(want), "%s x\n", words[level]);
		ck_assert_str_eq(after_head(content(file)), want);
	}
}
END_TEST

static int evaluated;
static int evaluate(void)
{
	return ++evaluated;
}

START_TEST(levels_beyond_the_threshold_are_not_even_evaluated)
{
	open_log(file, 0);
	log_debug("", "%d", evaluate());
	log_noise("", "%d", evaluate());
	ck_assert_int_eq(evaluated, 0);
	log_info("", "%d", evaluate());
	log_set_verbose(1);
	log_debug("", "%d", evaluate());
	log_noise("", "%d", evaluate());
	log_set_verbose(2);
	log_noise("", "%d", evaluate());
	log_set_verbose(9);
	log_noise("", "%d", evaluate());
	ck_assert_int_eq(evaluated, 4);
	log_set_verbose(-1);
	ck_assert_int_eq(log_threshold, LOG_LEVEL_INFO);
}
END_TEST

START_TEST(names_cannot_forge_lines)
{
	open_log(file, 0);
	log_warning("C-0x1: ev\nil/\x1B[31m@host ", "no such user: %s", "a\r\nb\x7F\t");
	ck_assert_str_eq(after_head(content(file)),
			 "WARNING C-0x1: ev?il/?[31m@host no such user: a??b??\n");
}
END_TEST

START_TEST(long_lines_are_cut_and_still_end)
{
	static char text[10000];
	memset(text, 'x', sizeof(text) - 1);
	open_log(file, 0);
	log_info("", "%s", text);
	log_info("", "next");
	const char *all = content(file), *end = strchr(all, '\n');
	ck_assert_ptr_nonnull(end);
	ck_assert_int_lt(end - all, 4096);
	ck_assert_int_gt(end - all, 4000);
	ck_assert_str_eq(after_head(end + 1), "LOG next\n");
}
END_TEST

START_TEST(opening_again_reopens_the_file)
{
	char moved[100];
	snprintf(moved, sizeof(moved), "%s.1", file);
	open_log(file, 0);
	log_info("", "one");
	ck_assert_int_eq(rename(file, moved), 0);
	log_info("", "two");
	open_log(file, 0);
	log_info("", "three");
	ck_assert_ptr_nonnull(strstr(content(moved), "LOG one\n"));
	ck_assert_ptr_nonnull(strstr(content(moved), "LOG two\n"));
	ck_assert_str_eq(after_head(content(file)), "LOG three\n");
	open_log(file, 0);
	log_info("", "four");
	ck_assert_ptr_nonnull(strstr(content(file), "LOG three\n"));
	ck_assert_ptr_nonnull(strstr(content(file), "LOG four\n"));
	unlink(moved);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_leaves_the_old_one_in_force)
{
	struct error error;
	char missing[100], want[200];
	snprintf(missing, sizeof(missing), "%s/no/log", directory);
	open_log(file, 0);
	ck_assert(!log_open(&(struct log_options){.file = missing, .verbose = 2}, &error));
	snprintf(want, sizeof(want), "could not open log file \"%s\": No such file or directory",
		 missing);
	ck_assert_str_eq(error.message, want);
	ck_assert_str_eq(error.sqlstate, "F0000");
	ck_assert_int_eq(log_threshold, LOG_LEVEL_INFO);
	log_info("", "still here");
	ck_assert_str_eq(after_head(content(file)), "LOG still here\n");

	ck_assert(!log_open(&(struct log_options){.to_syslog = true, .syslog_facility = "moon"},
			    &error));
	ck_assert_str_eq(error.message, "unknown syslog facility: \"moon\"");
	log_info("", "and here");
	ck_assert_ptr_nonnull(strstr(content(file), "LOG and here\n"));
}
END_TEST

/* Let stderr be a file. */
static void catch_stderr(const char *path)
{
	fflush(stderr);
	int caught = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
	ck_assert_int_ge(caught, 0);
	ck_assert_int_eq(dup2(caught, STDERR_FILENO), STDERR_FILENO);
	close(caught);
}

START_TEST(stderr_is_one_destination_and_can_be_dropped)
{
	char caught[100];
	snprintf(caught, sizeof(caught), "%s/stderr", directory);
	catch_stderr(caught);
	log_info("", "before opening");
	ck_assert_str_eq(after_head(content(caught)), "LOG before opening\n");
	ck_assert(log_open(&(struct log_options){.to_stderr = true, .file = file}, NULL));
	log_info("", "both");
	ck_assert_ptr_nonnull(strstr(content(caught), "LOG both\n"));
	ck_assert_ptr_nonnull(strstr(content(file), "LOG both\n"));
	log_drop_stderr();
	log_info("", "one");
	ck_assert_ptr_null(strstr(content(caught), "LOG one\n"));
	ck_assert_ptr_nonnull(strstr(content(file), "LOG one\n"));
	unlink(caught);
}
END_TEST

static int count_of(const char *text, const char *word)
{
	int count = 0;
	for (; (text = strstr(text, word)); text += strlen(word))
		count++;
	return count;
}

START_TEST(a_full_disk_is_said_once_a_minute)
{
	static const char sentence[] = "could not write the log file: No space left on device";
	if (access("/dev/full", W_OK) < 0)
		return;
	char caught[100];
	snprintf(caught, sizeof(caught), "%s/stderr", directory);
	catch_stderr(caught);
	clock_drive();
	open_log("/dev/full", 0);
	errno = EBADF;
	for (int i = 0; i < 10; i++)
		log_info("", "lost");
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(count_of(content(caught), sentence), 1);
	clock_advance(59 * USEC_PER_SECOND);
	log_info("", "lost");
	ck_assert_int_eq(count_of(content(caught), sentence), 1);
	clock_advance(USEC_PER_SECOND);
	log_info("", "lost");
	log_info("", "lost");
	ck_assert_int_eq(count_of(content(caught), sentence), 2);
	unlink(caught);
}
END_TEST

static char hooked[200];
static enum log_level hooked_level;
static void hook(enum log_level level, const char *line)
{
	hooked_level = level;
	snprintf(hooked, sizeof(hooked), "%s", line);
}

START_TEST(a_hook_gets_the_lines_instead)
{
	open_log(file, 0);
	log_hook(hook);
	log_error("pool: ", "broken\n");
	ck_assert_int_eq(hooked_level, LOG_LEVEL_ERROR);
	ck_assert_str_eq(after_head(hooked), "ERROR pool: broken?");
	ck_assert_str_eq(content(file), "");
	log_hook(NULL);
	log_error("", "back");
	ck_assert_str_eq(after_head(content(file)), "ERROR back\n");
}
END_TEST

START_TEST(facilities_are_those_of_syslog)
{
	ck_assert(log_facility_is_known("daemon"));
	ck_assert(log_facility_is_known("LOCAL0"));
	ck_assert(log_facility_is_known("local7"));
	ck_assert(!log_facility_is_known("local8"));
	ck_assert(!log_facility_is_known(""));
}
END_TEST

Suite *suite_log(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("log");
	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_line_has_time_pid_level_subject_and_message);
	tcase_add_test(tcase, each_level_has_its_word);
	tcase_add_test(tcase, levels_beyond_the_threshold_are_not_even_evaluated);
	tcase_add_test(tcase, names_cannot_forge_lines);
	tcase_add_test(tcase, long_lines_are_cut_and_still_end);
	tcase_add_test(tcase, opening_again_reopens_the_file);
	tcase_add_test(tcase, a_file_that_cannot_be_opened_leaves_the_old_one_in_force);
	tcase_add_test(tcase, stderr_is_one_destination_and_can_be_dropped);
	tcase_add_test(tcase, a_full_disk_is_said_once_a_minute);
	tcase_add_test(tcase, a_hook_gets_the_lines_instead);
	tcase_add_test(tcase, facilities_are_those_of_syslog);
	return suite;
}
