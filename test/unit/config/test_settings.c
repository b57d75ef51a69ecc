/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/settings.h"
#include "config/section.h"
#include "core/error.h"
#include "files.h"
#include "suites.h"
#include <ctype.h>
#include <string.h>

static struct settings settings;
static struct error error;

static void setup(void)
{
	settings_init(&settings);
	error = (struct error){0};
}

static void teardown(void)
{
	settings_fini(&settings);
}

static bool set(enum setting_index index, const char *text)
{
	error = (struct error){0};
	return settings_set(&settings, index, text, &error);
}

/* @text is taken, and SHOW CONFIG has @shown. */
static void assert_shown(enum setting_index index, const char *text, const char *shown)
{
	ck_assert_msg(set(index, text), "%s", error.message);
	ck_assert_str_eq(settings_text(&settings, index), shown);
}

static void assert_refused(enum setting_index index, const char *text)
{
	char before[512];
	strcpy(before, settings_text(&settings, index));
	ck_assert_msg(!set(index, text), "%s = %s", setting_row(index)->name, text);
	ck_assert_str_eq(settings_text(&settings, index), before);
	files_assert_has(error.message, "invalid value \"");
	files_assert_has(error.message, setting_row(index)->name);
	files_assert_has(error.message, setting_row(index)->allowed);
	ck_assert_str_eq(error.sqlstate, "22023");
}

START_TEST(every_row_is_complete_and_its_default_is_allowed)
{
	ck_assert_int_eq(SETTING_COUNT, 120);
	for (enum setting_index i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = setting_row(i);
		ck_assert_msg(set(i, row->default_text), "%s", error.message);
		ck_assert_msg(settings_is_default(&settings, i), "%s", row->name);
		ck_assert_int_eq(setting_find(row->name), i);
		size_t length = strlen(row->doc);
		ck_assert_msg(length > 15 && row->doc[length - 1] == '.' &&
				      !islower((unsigned char)row->doc[0]),
			      "doc of %s: %s", row->name, row->doc);
		ck_assert_str_ne(row->type, "");
		ck_assert_str_ne(row->allowed, "");
		ck_assert(row->scope & SCOPE_GLOBAL);
		ck_assert(row->change == CHANGE_RELOAD || row->change == CHANGE_RESTART);
	}
}
END_TEST

/* Only what is spelled differently: octal is shown in decimal. */
START_TEST(defaults_are_shown_as_they_are_written)
{
	for (enum setting_index i = 0; i < SETTING_COUNT; i++) {
		if (i == SETTING_unix_socket_mode)
			ck_assert_str_eq(settings_text(&settings, i), "511");
		else
			ck_assert_str_eq(settings_text(&settings, i), setting_row(i)->default_text);
	}
}
END_TEST

START_TEST(rows_are_in_the_order_of_show_config)
{
	for (enum setting_index i = 1; i < SETTING_max_server_logins; i++) {
		if (i == SETTING_pool_mode + 1) /* the one that stands out of order */
			continue;
		ck_assert_msg(strcmp(setting_row(i - 1)->name, setting_row(i)->name) < 0, "%s",
			      setting_row(i)->name);
	}
	ck_assert_int_eq(SETTING_pool_idle_timeout, SETTING_pool_mode + 1);
	ck_assert_int_eq(SETTING_max_server_logins, SETTING_verbose + 1);
}
END_TEST

START_TEST(scope_agrees_with_the_keys_of_rows)
{
	unsigned scopes[SETTING_COUNT] = {0};
	enum setting_index index;
#define DATABASE_KEY(type, name, range, doc) \
	index = setting_find(#name);         \
	if (index != SETTING_COUNT)          \
		scopes[index] |= SCOPE_DATABASE;
#include "config/database_keys.def"
#define USER_KEY(type, name, range, doc) \
	index = setting_find(#name);     \
	if (index != SETTING_COUNT)      \
		scopes[index] |= SCOPE_USER;
#include "config/user_keys.def"
	scopes[SETTING_default_pool_size] = SCOPE_DATABASE | SCOPE_USER; /* pool_size there */
	scopes[SETTING_user] = 0; /* of a database: whom to log in as */
	for (enum setting_index i = 0; i < SETTING_COUNT; i++)
		ck_assert_msg(setting_row(i)->scope == (scopes[i] | SCOPE_GLOBAL), "%s",
			      setting_row(i)->name);
}
END_TEST

START_TEST(defaults_are_those_of_pgbouncer)
{
	ck_assert_int_eq(settings.auth_type, AUTH_MD5);
	ck_assert_int_eq(settings.pool_mode, POOL_MODE_SESSION);
	ck_assert_int_eq(settings.client_tls_sslmode, SSLMODE_DISABLE);
	ck_assert_int_eq(settings.server_tls_sslmode, SSLMODE_PREFER);
	ck_assert_int_eq(settings.default_pool_size, 20);
	ck_assert_int_eq(settings.max_client_conn, 100);
	ck_assert_int_eq(settings.listen_port, 6432);
	ck_assert_int_eq(settings.unix_socket_mode, 0777);
	ck_assert_int_eq(settings.query_wait_timeout, 120 * USEC_PER_SECOND);
	ck_assert_int_eq(settings.max_packet_size, 2147483647);
	ck_assert_str_eq(settings.server_check_query, "<empty>");
	ck_assert_str_eq(settings.server_reset_query, "DISCARD ALL");
	ck_assert_str_eq(settings.listen_addr, "");
	ck_assert_str_eq(settings.unix_socket_dir, "/tmp");
	ck_assert(settings.tcp_keepalive);
	ck_assert(!settings.syslog);
	ck_assert_int_eq(settings.max_server_logins, 4);
}
END_TEST

START_TEST(names_are_found_with_their_aliases)
{
	ck_assert_int_eq(setting_find("pool_mode"), SETTING_pool_mode);
	ck_assert_int_eq(setting_find("service_name"), SETTING_job_name);
	ck_assert_int_eq(setting_find("Pool_mode"), SETTING_COUNT);
	ck_assert_int_eq(setting_find(""), SETTING_COUNT);
}
END_TEST

START_TEST(integers_take_every_base_within_their_range)
{
	assert_shown(SETTING_listen_port, "0", "0");
	assert_shown(SETTING_listen_port, "65535", "65535");
	assert_shown(SETTING_listen_port, "0x1000", "4096");
	assert_refused(SETTING_listen_port, "65536");
	assert_refused(SETTING_listen_port, "-1");
	assert_refused(SETTING_listen_port, "");
	assert_refused(SETTING_listen_port, "12x");
	assert_refused(SETTING_listen_port, "99999999999999999999");
	ck_assert_str_eq(setting_row(SETTING_listen_port)->allowed, "0 to 65535");
	assert_shown(SETTING_default_pool_size, "2147483647", "2147483647");
	assert_refused(SETTING_default_pool_size, "2147483648");
	assert_refused(SETTING_default_pool_size, "-5");
	assert_refused(SETTING_max_client_conn, "0");
	assert_shown(SETTING_peer_id, "16383", "16383");
	assert_refused(SETTING_peer_id, "16384");
}
END_TEST

START_TEST(permissions_are_octal_and_shown_in_decimal)
{
	assert_shown(SETTING_unix_socket_mode, "0700", "448");
	ck_assert_int_eq(settings.unix_socket_mode, 0700);
	assert_shown(SETTING_unix_socket_mode, "511", "511");
	assert_refused(SETTING_unix_socket_mode, "777"); /* somebody forgot the 0 */
	assert_refused(SETTING_unix_socket_mode, "01777");
}
END_TEST

START_TEST(booleans_are_shown_as_0_and_1)
{
	assert_shown(SETTING_log_stats, "0", "0");
	assert_shown(SETTING_log_stats, "on", "1");
	assert_shown(SETTING_log_stats, "No", "0");
	assert_shown(SETTING_log_stats, "TRUE", "1");
	assert_refused(SETTING_log_stats, "2");
	assert_refused(SETTING_log_stats, "");
	assert_refused(SETTING_log_stats, "maybe");
}
END_TEST

START_TEST(whole_seconds_are_integers_or_have_a_unit)
{
	assert_shown(SETTING_tcp_keepidle, "30", "30");
	assert_shown(SETTING_tcp_keepidle, "0x10", "16");
	assert_shown(SETTING_tcp_keepidle, "010", "8");
	assert_shown(SETTING_tcp_keepidle, "5min", "300");
	assert_shown(SETTING_tcp_keepidle, "2000ms", "2");
	assert_refused(SETTING_tcp_keepidle, "1.5");
	assert_refused(SETTING_tcp_keepidle, "500ms");
	assert_refused(SETTING_tcp_keepidle, "-1");
	assert_refused(SETTING_tcp_keepidle, "32768");
	assert_refused(SETTING_tcp_keepidle, "9223372036854775807");
	assert_refused(SETTING_tcp_keepidle, "");
	ck_assert_str_eq(setting_row(SETTING_tcp_keepidle)->allowed,
			 "0 to 32767 whole seconds, or with a unit (s, min, h, d)");
	assert_shown(SETTING_tcp_user_timeout, "0x10", "16");
	assert_shown(SETTING_tcp_user_timeout, "1.5s", "1500");
}
END_TEST

START_TEST(secrets_inside_of_settings_are_masked)
{
	ck_assert(settings_set(&settings, SETTING_auth_ldap_options,
			       "ldapserver=h ldapbindpasswd=\"my word\" ldapport=1", &error));
	ck_assert_str_eq(settings_shown(&settings, SETTING_auth_ldap_options),
			 "ldapserver=h ldapbindpasswd=\"*******\" ldapport=1");
	ck_assert_str_eq(settings_shown(&settings, SETTING_client_tls_key_passphrase_command), "");
	ck_assert(settings_set(&settings, SETTING_client_tls_key_passphrase_command, "echo word",
			       &error));
	ck_assert_str_eq(settings_shown(&settings, SETTING_client_tls_key_passphrase_command),
			 "****");
}
END_TEST

START_TEST(durations_are_seconds_or_have_a_unit)
{
	assert_shown(SETTING_query_wait_timeout, "30", "30");
	ck_assert_int_eq(settings.query_wait_timeout, 30 * USEC_PER_SECOND);
	assert_shown(SETTING_query_wait_timeout, "0.5", "0.5");
	assert_shown(SETTING_query_wait_timeout, "1500ms", "1.5");
	assert_shown(SETTING_query_wait_timeout, "5min", "300");
	assert_shown(SETTING_query_wait_timeout, "0", "0");
	assert_shown(SETTING_query_wait_timeout, "2147483647", "2147483647");
	assert_refused(SETTING_query_wait_timeout, "2147483648");
	assert_refused(SETTING_query_wait_timeout, "-1");
	assert_refused(SETTING_query_wait_timeout, "1 year");
	assert_refused(SETTING_query_wait_timeout, "");
	assert_shown(SETTING_stats_period, "1", "1");
	assert_refused(SETTING_stats_period, "0");
}
END_TEST

START_TEST(tcp_user_timeout_is_in_milliseconds)
{
	assert_shown(SETTING_tcp_user_timeout, "1500", "1500");
	ck_assert_int_eq(settings.tcp_user_timeout, 1500 * USEC_PER_MSEC);
	assert_shown(SETTING_tcp_user_timeout, "30s", "30000");
	assert_refused(SETTING_tcp_user_timeout, "2147483648");
}
END_TEST

START_TEST(sizes_are_bytes_or_have_a_unit)
{
	assert_shown(SETTING_max_packet_size, "1MB", "1048576");
	assert_shown(SETTING_max_packet_size, "1024", "1024");
	assert_refused(SETTING_max_packet_size, "1023");
	assert_refused(SETTING_max_packet_size, "2GB");
	assert_refused(SETTING_max_packet_size, "-1");
}
END_TEST

START_TEST(keywords_are_known_in_any_case)
{
	assert_shown(SETTING_pool_mode, "Transaction", "transaction");
	ck_assert_int_eq(settings.pool_mode, POOL_MODE_TRANSACTION);
	assert_refused(SETTING_pool_mode, "transactional");
	assert_refused(SETTING_pool_mode, "");
	ck_assert_str_eq(setting_row(SETTING_pool_mode)->allowed,
			 "session, transaction or statement");
	static const struct {
		const char *word;
		enum auth_method type;
	} auth_types[] = {
		{"any", AUTH_ANY},   {"trust", AUTH_TRUST}, {"plain", AUTH_PLAIN},
		{"md5", AUTH_MD5},   {"cert", AUTH_CERT},   {"hba", AUTH_HBA},
		{"ldap", AUTH_LDAP}, {"pam", AUTH_PAM},	    {"scram-sha-256", AUTH_SCRAM_SHA_256},
	};
	for (size_t i = 0; i < sizeof(auth_types) / sizeof(auth_types[0]); i++) {
		assert_shown(SETTING_auth_type, auth_types[i].word, auth_types[i].word);
		ck_assert_int_eq(settings.auth_type, auth_types[i].type);
	}
	static const char *const modes[] = {"disable", "allow",	    "prefer",
					    "require", "verify-ca", "verify-full"};
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_shown(SETTING_server_tls_sslmode, modes[i], modes[i]);
		ck_assert_int_eq(settings.server_tls_sslmode, i);
	}
}
END_TEST

START_TEST(texts_are_taken_as_they_are)
{
	assert_shown(SETTING_server_reset_query, "", "");
	assert_shown(SETTING_server_reset_query, " 'x'; \"y\" ", " 'x'; \"y\" ");
	assert_shown(SETTING_admin_users, "a, b,c", "a, b,c");
	/* Its own text may be given again. */
	ck_assert(set(SETTING_admin_users, settings.admin_users));
	ck_assert_str_eq(settings.admin_users, "a, b,c");
}
END_TEST

START_TEST(an_error_says_what_is_allowed_and_shows_no_control_characters)
{
	ck_assert(!set(SETTING_listen_port, "12\n\x1b[31m"));
	ck_assert_str_eq(
		error.message,
		"invalid value \"12??[31m\" for parameter listen_port: allowed is 0 to 65535");
	char text[5000];
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert(!set(SETTING_listen_port, text));
	files_assert_has(error.message,
			 "xxx...\" for parameter listen_port: allowed is 0 to 65535");
	ck_assert(!settings_set(&settings, SETTING_listen_port, "x", NULL));
}
END_TEST

START_TEST(copies_are_equal_and_independent)
{
	struct settings copy;
	ck_assert(set(SETTING_admin_users, "alice"));
	ck_assert(set(SETTING_pool_mode, "statement"));
	settings_copy(&copy, &settings);
	for (enum setting_index i = 0; i < SETTING_COUNT; i++)
		ck_assert(settings_is_equal(&settings, &copy, i));
	ck_assert(set(SETTING_admin_users, "bob"));
	ck_assert(!settings_is_equal(&settings, &copy, SETTING_admin_users));
	ck_assert(!settings_is_default(&settings, SETTING_admin_users));
	ck_assert_str_eq(copy.admin_users, "alice");
	ck_assert(set(SETTING_listen_port, "1"));
	ck_assert(!settings_is_equal(&settings, &copy, SETTING_listen_port));
	settings_fini(&copy);
}
END_TEST

START_TEST(pool_modes_have_names)
{
	enum pool_mode mode = POOL_MODE_UNSET;
	for (enum pool_mode i = 0; i < POOL_MODE_UNSET; i++) {
		ck_assert(pool_mode_parse(pool_mode_name(i), &mode));
		ck_assert_int_eq(mode, i);
	}
	ck_assert(!pool_mode_parse("unset", &mode));
	ck_assert_str_eq(pool_mode_name(POOL_MODE_UNSET), "");
}
END_TEST

Suite *suite_settings(void)
{
	Suite *suite = suite_create("settings");
	TCase *tests = tcase_create("settings");
	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_add_test(tests, every_row_is_complete_and_its_default_is_allowed);
	tcase_add_test(tests, defaults_are_shown_as_they_are_written);
	tcase_add_test(tests, rows_are_in_the_order_of_show_config);
	tcase_add_test(tests, scope_agrees_with_the_keys_of_rows);
	tcase_add_test(tests, defaults_are_those_of_pgbouncer);
	tcase_add_test(tests, names_are_found_with_their_aliases);
	tcase_add_test(tests, integers_take_every_base_within_their_range);
	tcase_add_test(tests, permissions_are_octal_and_shown_in_decimal);
	tcase_add_test(tests, booleans_are_shown_as_0_and_1);
	tcase_add_test(tests, whole_seconds_are_integers_or_have_a_unit);
	tcase_add_test(tests, secrets_inside_of_settings_are_masked);
	tcase_add_test(tests, durations_are_seconds_or_have_a_unit);
	tcase_add_test(tests, tcp_user_timeout_is_in_milliseconds);
	tcase_add_test(tests, sizes_are_bytes_or_have_a_unit);
	tcase_add_test(tests, keywords_are_known_in_any_case);
	tcase_add_test(tests, texts_are_taken_as_they_are);
	tcase_add_test(tests, an_error_says_what_is_allowed_and_shows_no_control_characters);
	tcase_add_test(tests, copies_are_equal_and_independent);
	tcase_add_test(tests, pool_modes_have_names);
	suite_add_tcase(suite, tests);
	return suite;
}
