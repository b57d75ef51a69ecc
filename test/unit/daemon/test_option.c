/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/option.h"
#include "../suite.h"
#include "core/error.h"
#include "core/memory.h"
#include <stdio.h>
#include <string.h>

Suite *suite_option(void);

static struct options options;
static struct error error;

/* Parse "pgweir" and the words that follow, up to NULL. */
#define PARSE(...) parse((char *[]){"pgweir", __VA_ARGS__, NULL})
static bool parse(char **argv)
{
	int argc = 0;
	while (argv[argc])
		argc++;
	memset(&error, 0, sizeof(error));
	options_fini(&options);
	memset(&options, 0xff, sizeof(options));
	return options_parse(&options, argc, argv, &error);
}

START_TEST(no_words_mean_no_options)
{
	ck_assert(PARSE(NULL));
	ck_assert(!options.daemon && !options.quiet && !options.reboot && !options.version &&
		  !options.help);
	ck_assert_int_eq(options.verbose, 0);
	ck_assert_ptr_null(options.user);
	ck_assert_ptr_null(options.config);
}
END_TEST

static void teardown(void)
{
	options_fini(&options);
}

START_TEST(letters_may_stand_together_and_behind_the_file)
{
	ck_assert(PARSE("-dqv", "some.ini", "-vu", "alice"));
	ck_assert(options.daemon && options.quiet && !options.reboot);
	ck_assert_int_eq(options.verbose, 2);
	ck_assert_str_eq(options.user, "alice");
	ck_assert_str_eq(options.config, "some.ini");
}
END_TEST

START_TEST(words_behind_two_dashes_are_files)
{
	ck_assert(PARSE("--", "-d"));
	ck_assert(!options.daemon);
	ck_assert_str_eq(options.config, "-d");
}
END_TEST

START_TEST(every_row_is_known_by_letter_and_by_name_and_documented)
{
	char *help = options_help();
	for (enum option_index i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = option_row(i);
		char letter[] = {'-', row->letter, '\0'}, name[64];
		snprintf(name, sizeof(name), "--%s", row->name);
		ck_assert(PARSE(name, row->argument ? "word" : "x.ini"));
		ck_assert_int_eq(options.daemon + options.quiet + options.verbose + options.reboot +
					 options.version + options.help + (options.user != NULL) +
					 (options.set.count == 1) + options.check_config +
					 options.show_config + options.print_config,
				 1);
		ck_assert_int_eq(options.user || options.set.count, row->argument != NULL);
		if (row->letter) {
			struct options by_name = options;
			ck_assert(PARSE(letter, row->argument ? "word" : "x.ini"));
			ck_assert_int_eq(options.daemon, by_name.daemon);
			ck_assert_int_eq(options.quiet, by_name.quiet);
			ck_assert_int_eq(options.verbose, by_name.verbose);
			ck_assert_int_eq(options.reboot, by_name.reboot);
			ck_assert_int_eq(options.version, by_name.version);
			ck_assert_int_eq(options.help, by_name.help);
			ck_assert_int_eq(options.user != NULL, by_name.user != NULL);
		}
		ck_assert_ptr_nonnull(strstr(help, name));
		ck_assert_ptr_nonnull(strstr(help, row->doc));
		ck_assert_int_gt(strlen(row->doc), 10);
		for (enum option_index j = 0; j < i && row->letter; j++)
			ck_assert_int_ne(option_row(j)->letter, row->letter);
	}
	memory_free(&help);
}
END_TEST

START_TEST(words_that_repeat_keep_their_order)
{
	ck_assert(PARSE("--set", "a=1", "x.ini", "--set=b=2", "--set", "a=3"));
	ck_assert_uint_eq(options.set.count, 3);
	ck_assert_str_eq(options.set.all[0], "a=1");
	ck_assert_str_eq(options.set.all[1], "b=2");
	ck_assert_str_eq(options.set.all[2], "a=3");
	ck_assert_str_eq(options.config, "x.ini");
	ck_assert(!PARSE("--set"));
	ck_assert_str_eq(error.message, "option \"--set\" needs a value");
	ck_assert(!PARSE("--check-config=x"));
	ck_assert_str_eq(error.message, "option \"--check-config=x\" takes no value");
}
END_TEST

START_TEST(what_is_unknown_is_named_with_a_hint)
{
	ck_assert(!PARSE("-x"));
	ck_assert_str_eq(error.message, "unknown option \"-x\"");
	ck_assert_str_eq(error.hint, "try \"pgweir --help\"");
	ck_assert(!PARSE("-dxq"));
	ck_assert_str_eq(error.message, "unknown option \"-x\"");
	ck_assert(!PARSE("--bogus"));
	ck_assert_str_eq(error.message, "unknown option \"--bogus\"");
	ck_assert(!PARSE("--bo\x1bgus"));
	ck_assert_str_eq(error.message, "unknown option \"--bo?gus\"");
}
END_TEST

START_TEST(values_that_miss_or_are_too_many_are_refused)
{
	ck_assert(!PARSE("-u"));
	ck_assert_str_eq(error.message, "option \"-u\" needs a value");
	ck_assert(!PARSE("--user"));
	ck_assert_str_eq(error.message, "option \"--user\" needs a value");
	ck_assert(!PARSE("--daemon=yes"));
	ck_assert_str_eq(error.message, "option \"--daemon=yes\" takes no value");
	ck_assert(!PARSE("a.ini", "b.ini"));
	ck_assert_str_eq(error.message, "one configuration file at most, what is \"b.ini\"?");
	ck_assert(PARSE("--user=alice"));
	ck_assert_str_eq(options.user, "alice");
}
END_TEST

Suite *suite_option(void)
{
	Suite *suite = suite_create("option");
	TCase *tcase = tcase_create("option");
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, no_words_mean_no_options);
	tcase_add_test(tcase, letters_may_stand_together_and_behind_the_file);
	tcase_add_test(tcase, words_behind_two_dashes_are_files);
	tcase_add_test(tcase, every_row_is_known_by_letter_and_by_name_and_documented);
	tcase_add_test(tcase, words_that_repeat_keep_their_order);
	tcase_add_test(tcase, what_is_unknown_is_named_with_a_hint);
	tcase_add_test(tcase, values_that_miss_or_are_too_many_are_refused);
	suite_add_tcase(suite, tcase);
	return suite;
}
