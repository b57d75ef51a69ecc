/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/snapshot.h"
#include "core/error.h"
#include "core/list.h"
#include "files.h"
#include "suites.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct snapshot *loaded;
static struct error error;

static void teardown(void)
{
	snapshot_free(&loaded);
	snapshot_install(NULL);
	files_teardown();
}

static bool load(const char *path)
{
	error = (struct error){0};
	snapshot_free(&loaded);
	loaded = snapshot_load(path, &error);
	return loaded;
}

static bool load_text(const char *text)
{
	files_write("a.ini", text);
	return load("a.ini");
}

static void assert_loads(const char *text)
{
	ck_assert_msg(load_text(text), "%s", error.message);
}

static void assert_fails(const char *text, const char *message)
{
	ck_assert_msg(!load_text(text), "loaded: %s", text);
	files_assert_has(error.message, message);
	ck_assert_str_eq(files_logged(), "");
}

static void install(const char *text)
{
	assert_loads(text);
	snapshot_install(loaded);
	loaded = NULL;
}

START_TEST(a_file_becomes_a_snapshot)
{
	files_write("users.txt", "\"bob\" \"secret\"\n");
	assert_loads("[databases]\nb = host=127.0.0.1 port=5433\na = host=x\n* = host=y\n"
		     "[users]\nbob = pool_mode=session\n"
		     "[pgbouncer]\npool_mode = transaction\nauth_file = users.txt\n"
		     "auth_type=trust\n");
	ck_assert_str_eq(loaded->path, "a.ini");
	ck_assert_str_eq(loaded->settings.conffile, "a.ini");
	ck_assert_int_eq(loaded->settings.pool_mode, POOL_MODE_TRANSACTION);
	ck_assert_int_eq(map_length(&loaded->databases), 2);
	struct map_node *first = loaded->databases.first;
	ck_assert_str_eq(container_of(first, struct section_database, node)->name, "b");
	ck_assert_int_eq(snapshot_database(loaded, "b")->port, 5433);
	ck_assert_ptr_null(snapshot_database(loaded, "*"));
	ck_assert_ptr_null(snapshot_database(loaded, "c"));
	ck_assert_str_eq(loaded->automatic->host, "y");
	ck_assert_int_eq(snapshot_user(loaded, "bob")->pool_mode, POOL_MODE_SESSION);
	ck_assert_ptr_null(snapshot_user(loaded, "alice"));
	ck_assert_str_eq(userlist_find(loaded->userlist, "bob")->text, "secret");
	ck_assert_str_eq(files_logged(), "");
}
END_TEST

START_TEST(sections_may_repeat_and_the_last_value_wins)
{
	assert_loads("[pgbouncer]\n listen_port = 1\n[databases]\na = host=x\n  [pgweir]\n"
		     "listen_port = 2\n[databases]\na = port=1\n* = host=x\n* = host=z\n"
		     "[users]\nu =\nu = pool_size=3\n[peers]\n1 = host=a\n1 = host=b\n");
	ck_assert_int_eq(loaded->settings.listen_port, 2);
	ck_assert_int_eq(map_length(&loaded->databases), 1);
	ck_assert_ptr_null(snapshot_database(loaded, "a")->host);
	ck_assert_int_eq(snapshot_database(loaded, "a")->port, 1);
	ck_assert_str_eq(loaded->automatic->host, "z");
	ck_assert_int_eq(snapshot_user(loaded, "u")->pool_size, 3);
	ck_assert_int_eq(map_length(&loaded->peers), 1);
	ck_assert_str_eq(snapshot_peer(loaded, 1)->host, "b");
	ck_assert_ptr_null(snapshot_peer(loaded, 2));
}
END_TEST

START_TEST(without_a_file_there_are_usable_defaults)
{
	ck_assert_msg(load(NULL), "%s", error.message);
	ck_assert_str_eq(loaded->path, "");
	ck_assert_str_eq(loaded->settings.conffile, "");
	ck_assert_str_eq(loaded->settings.listen_addr, "127.0.0.1");
	ck_assert_int_eq(loaded->settings.listen_port, 6432);
	ck_assert_str_eq(loaded->settings.unix_socket_dir, "/tmp");
	ck_assert_int_eq(loaded->settings.auth_type, AUTH_SCRAM_SHA_256);
	ck_assert_int_eq(loaded->settings.pool_mode, POOL_MODE_SESSION);
	ck_assert_str_eq(loaded->automatic->host, "localhost");
	ck_assert_int_eq(loaded->automatic->port, 5432);
	ck_assert_int_eq(map_length(&loaded->databases), 0);
	ck_assert_ptr_nonnull(loaded->userlist);
	ck_assert_uint_eq(userlist_length(loaded->userlist), 0);
	ck_assert_str_eq(files_logged(), "");
}
END_TEST

START_TEST(the_main_section_is_needed)
{
	assert_fails("[databases]\na = host=x\n", "main section missing from config file");
	assert_fails("", "a.ini: main section missing from config file");
	assert_loads("[pgweir]\n");
	assert_loads("[pgbouncer]");
}
END_TEST

START_TEST(errors_name_file_and_line)
{
	assert_fails("[pgbouncer]\nlisten_port = x\n",
		     "invalid value \"x\" for parameter listen_port in configuration (a.ini:2): "
		     "allowed is 0 to 65535");
	ck_assert_int_eq(strncmp(error.message, "invalid value", 13), 0); /* the place once */
	assert_fails("[pgbouncer]\n\npool_mod = x\n",
		     "a.ini:3: unknown parameter \"pool_mod\" in section [pgbouncer]; did you mean "
		     "\"pool_mode\"?");
	assert_fails("[pgweir]\nxyzzy = x\n",
		     "a.ini:2: unknown parameter \"xyzzy\" in section [pgweir]");
	files_assert_lacks(error.message, "did you mean");
	assert_fails("[foo]\n", "a.ini:1: unknown section [foo]: allowed are [pgbouncer]");
	assert_fails("[databases]\na = port=x\n",
		     "a.ini:2: database \"a\": invalid value \"x\" for parameter port");
	assert_fails("[databases]\npgweir = host=a\n", "a.ini:2: database \"pgweir\": this name");
	assert_fails("[users]\nbob = foo=1\n", "a.ini:2: user \"bob\": unknown parameter");
	assert_fails("[peers]\nbob = host=a\n", "a.ini:2: peer \"bob\": the id of a peer");
	assert_fails("pool_mode = session\n", "a.ini:1: a value stands before the first");
	assert_fails("[pgbouncer]\nnonsense\n", "a.ini:2: expected");
	files_write("b.ini", "pool_mode = x\n");
	assert_fails("[pgbouncer]\n%include b.ini\n", "in configuration (b.ini:1)");
}
END_TEST

#define FORTY "abcdefghijabcdefghijabcdefghijabcdefghij"
#define NINE(x) x "1," x "2," x "3," x "4," x "5," x "6," x "7," x "8," x "9"
#define TWENTY_SEVEN NINE("a") "," NINE("b") "," NINE("c")

START_TEST(settings_are_held_against_each_other)
{
	assert_fails("[pgbouncer]\nunix_socket_dir =\n", "a.ini:2: nothing to listen on");
	assert_fails("[pgbouncer]\nunix_socket_dir =\nlisten_addr = *\nlisten_port = 0\n",
		     "a.ini:2: nothing to listen on");
	assert_loads("[pgbouncer]\nunix_socket_dir =\nlisten_addr = *\n");
	assert_fails("[pgbouncer]\n\nsyslog_facility = foo\n",
		     "a.ini:3: unknown syslog_facility \"foo\"");
	assert_loads("[pgbouncer]\nsyslog_facility = local0\n");
	assert_fails("[pgbouncer]\nauth_dbname = pgbouncer\n",
		     "a.ini:2: cannot use the reserved \"pgbouncer\" database as an auth_dbname");
	assert_fails("[pgbouncer]\ntrack_extra_parameters = search_path, a b\n",
		     "a.ini:2: track_extra_parameters: \"a b\" is no parameter's name");
	assert_fails("[pgbouncer]\ntrack_extra_parameters = " FORTY "." FORTY "\n",
		     "a.ini:2: track_extra_parameters: \"" FORTY);
	assert_fails("[pgbouncer]\n\ntrack_extra_parameters = " TWENTY_SEVEN ", one_more\n",
		     "a.ini:3: track_extra_parameters names more than 27 parameters");
	assert_loads("[pgbouncer]\ntrack_extra_parameters = " TWENTY_SEVEN "\n");
}
END_TEST

START_TEST(an_auth_file_that_is_missing_or_wrong_fails_the_load)
{
	assert_fails("[pgbouncer]\nauth_file = none.txt\n",
		     "a.ini:2: could not read auth_file \"none.txt\"");
	files_write("users.txt", "\"a\" \"b\"\n\nnonsense\n");
	assert_fails("[pgbouncer]\nauth_file = users.txt\n", "users.txt:3: ");
	files_assert_lacks(error.message, "a.ini");
	assert_loads("[pgbouncer]\nauth_file =\n");
}
END_TEST

START_TEST(a_missing_file_is_an_error)
{
	ck_assert(!load("none.ini"));
	files_assert_has(error.message, "could not read configuration file \"none.ini\"");
	ck_assert_ptr_null(snapshot_load("none.ini", NULL));
}
END_TEST

START_TEST(rules_and_maps_are_loaded_with_the_rest_or_nothing_is)
{
	files_write("hba", "local all all trust\n");
	files_write("maps", "m /^(.*)@x$ \\1\n");
	assert_fails("[pgbouncer]\nauth_type = hba\n",
		     "a.ini:2: auth_type \"hba\" needs auth_hba_file");
	assert_fails("[pgbouncer]\nauth_type = hba\nauth_hba_file = nowhere\n", "a.ini:3: ");
	assert_fails("[databases]\na = auth_type=hba\n[pgbouncer]\n", "needs auth_hba_file");
	assert_loads("[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\nauth_ident_file = maps\n");
	ck_assert_uint_eq(hba_rule_count(loaded->hba), 1);
	ck_assert(ident_permits(loaded->ident, "m", "ann@x", "ann"));
	assert_loads("[pgbouncer]\nauth_hba_file = nowhere\n"); /* not asked for */
	files_write("hba", "local all all trust\nhost all all 1.2.3.4 trust\n");
	assert_fails("[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\n", "hba:2: ");
	files_write("hba", "host all all 1.2.3.4/32 ldap ldapserver=x\n");
	assert_fails("[pgbouncer]\nauth_type = hba\nauth_hba_file = hba\n", "hba:1: ");
	assert_fails("[pgbouncer]\nauth_ldap_options = ldapserver=x ldapbindpasswd=geheim y=1\n",
		     "a.ini:2: auth_ldap_options: ");
	ck_assert_ptr_null(strstr(error.message, "geheim"));
}
END_TEST

START_TEST(the_method_is_of_the_user_or_the_database_or_the_setting)
{
	assert_loads("[databases]\na = auth_type=trust\nb =\n* = auth_type=plain\n"
		     "[users]\nu = auth_type=md5\nv =\n[pgbouncer]\nauth_type = scram-sha-256\n");
	ck_assert_int_eq(snapshot_auth_type(loaded, "a", "u"), AUTH_MD5);
	ck_assert_int_eq(snapshot_auth_type(loaded, "a", "v"), AUTH_TRUST);
	ck_assert_int_eq(snapshot_auth_type(loaded, "b", "v"), AUTH_SCRAM_SHA_256);
	ck_assert_int_eq(snapshot_auth_type(loaded, "c", "w"), AUTH_PLAIN);
}
END_TEST

START_TEST(tls_needs_its_files)
{
	assert_fails("[pgbouncer]\nclient_tls_sslmode = require\n",
		     "a.ini:2: TLS setup failed: client_tls_sslmode \"require\" needs "
		     "client_tls_key_file and client_tls_cert_file");
	assert_fails("[pgbouncer]\nclient_tls_sslmode = prefer\nclient_tls_key_file = nokey\n"
		     "client_tls_cert_file = nocert\n",
		     "nocert");
	assert_fails("[databases]\na = server_tls_sslmode=verify-ca "
		     "server_tls_ca_file=noca\n[pgbouncer]\n",
		     "a.ini:2: TLS setup failed: database \"a\": ");
	assert_fails("[pgbouncer]\nserver_tls_negotiation = direct\n",
		     "server_tls_negotiation \"direct\" needs server_tls_sslmode");
	assert_fails("[tls]\nx.example = key_file=a\n[pgbouncer]\n",
		     "a.ini:2: TLS host \"x.example\": it needs cert_file and key_file");
	assert_loads("[databases]\na = server_tls_sslmode=disable\n[pgbouncer]\n");
	ck_assert_int_eq(snapshot_server_tls(loaded, "a")->mode, SSLMODE_DISABLE);
	ck_assert_ptr_null(snapshot_server_tls(loaded, "a")->context);
	ck_assert_int_eq(snapshot_server_tls(loaded, "b")->mode, SSLMODE_PREFER);
	ck_assert_ptr_nonnull(snapshot_server_tls(loaded, "b")->context);
	ck_assert_str_ne(snapshot_server_tls(loaded, "a")->words,
			 snapshot_server_tls(loaded, "b")->words);
}
END_TEST

static const struct tls_context *context_of(const char *database)
{
	return snapshot_server_tls(snapshot_current(), database)->context;
}

START_TEST(rows_with_the_same_terms_share_them_and_set_makes_one_side_anew)
{
	install("[databases]\na = server_tls_sslmode=require\nb = server_tls_sslmode=require\n"
		"c = server_tls_sslmode=require server_tls_protocols=tlsv1.3\nd =\n"
		"e = server_tls_sslmode=prefer\n[pgbouncer]\n");
	const struct tls_context *a = context_of("a"), *c = context_of("c");
	ck_assert_ptr_eq(a, context_of("b"));
	ck_assert_ptr_ne(a, c);
	ck_assert_ptr_ne(a, context_of("d"));
	ck_assert_ptr_eq(context_of("e"), context_of("d"));
	ck_assert(snapshot_set(SETTING_client_tls_ciphers, "HIGH", &error));
	ck_assert_ptr_eq(a, context_of("a"));
	ck_assert_ptr_eq(a, context_of("b"));
	ck_assert_ptr_eq(c, context_of("c"));
	ck_assert(snapshot_set(SETTING_server_tls_protocols, "tlsv1.3", &error));
	ck_assert_ptr_eq(context_of("a"), context_of("b"));
	ck_assert_ptr_eq(context_of("a"), context_of("c"));
	ck_assert_str_eq(snapshot_server_tls(snapshot_current(), "a")->words,
			 snapshot_server_tls(snapshot_current(), "c")->words);
}
END_TEST

START_TEST(a_removed_setting_returns_to_its_default)
{
	install("[pgbouncer]\ndefault_pool_size = 5\n");
	ck_assert_int_eq(settings_current()->default_pool_size, 5);
	install("[pgbouncer]\n");
	ck_assert_int_eq(settings_current()->default_pool_size, 20);
	ck_assert_str_eq(files_logged(), "");
}
END_TEST

START_TEST(a_setting_that_needs_a_restart_keeps_its_value)
{
	install("[pgbouncer]\nlisten_port = 7000\njob_name = one\npool_mode = session\n");
	ck_assert_str_eq(files_logged(), "");
	install("[pgbouncer]\nlisten_port = 7001\njob_name = one\npool_mode = statement\n"
		"listen_addr = *\n");
	const char *logged = files_logged();
	files_assert_has(logged, "WARNING setting \"listen_port\" cannot be changed without a "
				 "restart; still using \"7000\"\n");
	files_assert_has(logged, "setting \"listen_addr\" cannot be changed without a restart; "
				 "still using \"\"\n");
	files_assert_lacks(logged, "job_name");
	files_assert_lacks(logged, "pool_mode");
	ck_assert_int_eq(settings_current()->listen_port, 7000);
	ck_assert_str_eq(settings_current()->listen_addr, "");
	ck_assert_str_eq(settings_current()->job_name, "one");
	ck_assert_int_eq(settings_current()->pool_mode, POOL_MODE_STATEMENT);
}
END_TEST

START_TEST(a_broken_file_leaves_the_snapshot_in_force_alone)
{
	install("[databases]\na = host=x\n[pgbouncer]\ndefault_pool_size = 5\n");
	const struct snapshot *before = snapshot_current();
	assert_fails("[databases]\nb = host=x\n[pgbouncer]\ndefault_pool_size = 6\nfoo = 1\n",
		     "a.ini:5");
	ck_assert_ptr_eq(snapshot_current(), before);
	ck_assert_int_eq(settings_current()->default_pool_size, 5);
	ck_assert_ptr_nonnull(snapshot_database(snapshot_current(), "a"));
}
END_TEST

START_TEST(the_console_sets_reloadable_settings)
{
	install("[pgbouncer]\nadmin_users = bob\n");
	ck_assert(snapshot_set(SETTING_default_pool_size, "7", &error));
	ck_assert_int_eq(settings_current()->default_pool_size, 7);
	ck_assert_str_eq(settings_current()->admin_users, "bob");
	ck_assert(!snapshot_set(SETTING_default_pool_size, "-7", &error));
	ck_assert_str_eq(error.message, "invalid value \"-7\" for parameter default_pool_size: "
					"allowed is 0 to 2147483647");
	ck_assert_int_eq(settings_current()->default_pool_size, 7);
	ck_assert(!snapshot_set(SETTING_listen_port, "1", &error));
	ck_assert_str_eq(error.message,
			 "setting \"listen_port\" cannot be changed without a restart");
	ck_assert_int_eq(settings_current()->listen_port, 6432);
	ck_assert(!snapshot_set(SETTING_syslog_facility, "foo", &error));
	ck_assert_str_eq(settings_current()->syslog_facility, "daemon");
	ck_assert_str_eq(files_logged(), "");
	ck_assert(!snapshot_set(SETTING_auth_type, "hba", &error));
	files_assert_has(error.message, "needs auth_hba_file");
	ck_assert_int_eq(settings_current()->auth_type, AUTH_MD5);
	files_write("users2.txt", "\"eve\" \"x\"\n");
	ck_assert(snapshot_set(SETTING_auth_file, "users2.txt", &error));
	ck_assert_ptr_nonnull(userlist_find(snapshot_current()->userlist, "eve"));
	ck_assert(!snapshot_set(SETTING_auth_file, "nowhere.txt", &error));
	ck_assert_ptr_nonnull(userlist_find(snapshot_current()->userlist, "eve"));
	ck_assert(!snapshot_set(SETTING_client_tls_sslmode, "require", &error));
	files_assert_has(error.message,
			 "TLS settings could not be applied, still using old configuration: ");
	ck_assert_int_eq(settings_current()->client_tls_sslmode, SSLMODE_DISABLE);
}
END_TEST

START_TEST(every_truncation_of_a_file_loads_or_fails)
{
	static const char text[] =
		"; sample\n[databases]\na = host=127.0.0.1 port=5432 password='it''s'\n"
		"'b c' = pool_size=3\n* =\n[users]\nu = pool_mode=session\n[peers]\n3 = host=p\n"
		"%include b.ini\n[pgbouncer]\nlisten_addr = *\nunix_socket_mode = 0770\n"
		"auth_type = scram-sha-256\nauth_file = users.txt\nquery_wait_timeout = 5min\n"
		"max_packet_size = 1MB\nlog_stats = off\n";
	files_write("users.txt", "\"a\" \"b\"\n");
	files_write("b.ini", "[users]\nv =\n");
	size_t good = 0;
	for (size_t i = 0; i < sizeof(text); i++) {
		files_write_bytes("a.ini", text, i < sizeof(text) - 1 ? i : sizeof(text) - 1);
		if (load("a.ini"))
			good++;
		else
			files_assert_has(error.message, "a.ini");
		files_logged();
	}
	ck_assert_uint_gt(good, 20);
	ck_assert_ptr_nonnull(loaded);
}
END_TEST

/* Any byte of a good file may be any other. */
START_TEST(every_changed_byte_loads_or_fails)
{
	static const char text[] = "[databases]\na = host=x password='it''s'\n[pgbouncer]\n"
				   "%include b.ini\npool_mode = session\nlisten_port = 1\n";
	static const char bytes[] = "\0\n\t '\"=[]%;#*0x\x80\xff";
	files_write("b.ini", "log_stats = 0");
	char changed[sizeof(text)];
	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		for (size_t j = 0; j < sizeof(bytes); j++) {
			memcpy(changed, text, sizeof(text));
			changed[i] = bytes[j];
			files_write_bytes("a.ini", changed, sizeof(text) - 1);
			if (!load("a.ini"))
				files_assert_has(error.message, ".ini");
		}
	}
}
END_TEST

static char *read_whole(const char *directory, const char *name)
{
	static char text[16384];
	char path[PATH_MAX + 64];
	snprintf(path, sizeof(path), "%s/etc/%s", directory, name);
	FILE *file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s", path);
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	return text;
}

static char source[PATH_MAX];

static void find_source(void)
{
	const char *given = getenv("srcdir");
	ck_assert_ptr_nonnull(realpath(given ? given : ".", source));
	files_setup();
}

/* Also with each of its suggestions taken. */
START_TEST(the_sample_files_load)
{
	files_write("userlist.txt", read_whole(source, "userlist.txt"));
	char *sample = read_whole(source, "pgweir.ini");
	char *path = strstr(sample, "/etc/pgweir/userlist.txt");
	ck_assert_ptr_nonnull(path);
	memset(path, ' ', strlen("/etc/pgweir/"));
	assert_loads(sample);
	ck_assert_int_eq(loaded->settings.pool_mode, POOL_MODE_TRANSACTION);
	ck_assert_str_eq(files_logged(), "");
	for (char *at = sample; (at = strstr(at, "\n;")); at++) {
		if (at[2] != ' ' && at[2] != ';')
			at[1] = ' ';
	}
	files_write("pgweir.local.ini", "");
	assert_loads(sample);
	ck_assert_int_eq(loaded->settings.server_lifetime, 3600 * USEC_PER_SECOND);
	ck_assert_str_eq(snapshot_database(loaded, "reports")->password, "it's secret");
	ck_assert_str_eq(files_logged(), "");
}
END_TEST

Suite *suite_snapshot(void)
{
	Suite *suite = suite_create("snapshot");
	TCase *tests = tcase_create("snapshot");
	tcase_add_checked_fixture(tests, files_setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_file_becomes_a_snapshot);
	tcase_add_test(tests, sections_may_repeat_and_the_last_value_wins);
	tcase_add_test(tests, without_a_file_there_are_usable_defaults);
	tcase_add_test(tests, the_main_section_is_needed);
	tcase_add_test(tests, errors_name_file_and_line);
	tcase_add_test(tests, settings_are_held_against_each_other);
	tcase_add_test(tests, an_auth_file_that_is_missing_or_wrong_fails_the_load);
	tcase_add_test(tests, a_missing_file_is_an_error);
	tcase_add_test(tests, rules_and_maps_are_loaded_with_the_rest_or_nothing_is);
	tcase_add_test(tests, the_method_is_of_the_user_or_the_database_or_the_setting);
	tcase_add_test(tests, tls_needs_its_files);
	tcase_add_test(tests, rows_with_the_same_terms_share_them_and_set_makes_one_side_anew);
	tcase_add_test(tests, a_removed_setting_returns_to_its_default);
	tcase_add_test(tests, a_setting_that_needs_a_restart_keeps_its_value);
	tcase_add_test(tests, a_broken_file_leaves_the_snapshot_in_force_alone);
	tcase_add_test(tests, the_console_sets_reloadable_settings);
	tcase_add_test(tests, every_truncation_of_a_file_loads_or_fails);
	tcase_add_test(tests, every_changed_byte_loads_or_fails);
	suite_add_tcase(suite, tests);
	TCase *samples = tcase_create("samples");
	tcase_add_checked_fixture(samples, find_source, teardown);
	tcase_add_test(samples, the_sample_files_load);
	suite_add_tcase(suite, samples);
	return suite;
}
