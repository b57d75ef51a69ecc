/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/hba_match.h"
#include "core/error.h"
#include "../suite.h"
#include "rule_dir.h"
#include <stdlib.h>
#include <string.h>

Suite *suite_hba(void);

static struct hba *hba;
static struct error error;
static struct hba_search search;
static struct address remote;

static bool load_bytes(const char *text, size_t size)
{
	rule_dir_write_bytes("hba", text, size);
	hba_free(&hba);
	error = (struct error){0};
	hba = hba_load("hba", &error);
	return hba;
}

static void load(const char *text)
{
	ck_assert_msg(load_bytes(text, strlen(text)), "%s", error.message);
}

static void setup(void)
{
	rule_dir_enter();
	hba_search_init(&search);
}

static void teardown(void)
{
	hba_search_fini(&search);
	hba_free(&hba);
	rule_dir_leave();
}

static struct hba_subject subject_of(const char *database, const char *user, const char *address)
{
	if (!address)
		remote = (struct address){.family = AF_UNIX};
	else
		ck_assert(address_parse(address, 1, &remote));
	return (struct hba_subject){.database = database, .user = user, .remote = &remote};
}

/* Number of the matching rule; 0: none. There must be no question. */
static unsigned match_subject(const struct hba_subject *subject)
{
	const struct hba_rule *rule;
	hba_search_fini(&search);
	enum hba_verdict verdict = hba_next(hba, &search, subject, &rule);
	ck_assert_msg(verdict == HBA_MATCH || verdict == HBA_NO_MATCH, "asks %s", search.text);
	for (unsigned i = 0; i < hba_rule_count(hba); i++) {
		if (hba_rule(hba, i) == rule)
			return i + 1;
	}
	return 0;
}

static unsigned match(const char *database, const char *user, const char *address)
{
	struct hba_subject subject = subject_of(database, user, address);
	return match_subject(&subject);
}

static unsigned match_tls(const char *database, const char *user, const char *address)
{
	struct hba_subject subject = subject_of(database, user, address);
	subject.is_tls = true;
	return match_subject(&subject);
}

START_TEST(connection_types_match_their_connections)
{
	load("hostgssenc all all all trust\nhostssl a all all trust\nhostnossl a all all md5\n"
	     "local all all peer\nhost b all all trust\nhostnogssenc c all all reject\n");
	ck_assert_uint_eq(match_tls("a", "u", "10.0.0.1"), 2);
	ck_assert_uint_eq(match("a", "u", "10.0.0.1"), 3);
	ck_assert_uint_eq(match("a", "u", NULL), 4);
	ck_assert_uint_eq(match("b", "u", "::1"), 5);
	ck_assert_uint_eq(match_tls("b", "u", "::1"), 5);
	ck_assert_uint_eq(match_tls("c", "u", "::1"), 6);
	ck_assert_uint_eq(match("d", "u", "::1"), 0);
}
END_TEST

START_TEST(rules_for_gss_are_read_and_never_match)
{
	load("hostgssenc all all all gss\n"
	     "hostgssenc all all 10.0.0.0/8 gss include_realm=0 krb_realm=WEIR map=m\n"
	     "local all all ident map=m\nhost all all all trust\n");
	ck_assert_uint_eq(match_tls("a", "u", "10.0.0.1"), 4);
	ck_assert_uint_eq(match("a", "u", "10.0.0.1"), 4);
	ck_assert_uint_eq(match("a", "u", NULL), 3);
}
END_TEST

START_TEST(first_match_wins)
{
	load("host a u 10.0.0.0/8 reject\nhost a,b u,v 10.0.0.0 255.0.0.0 md5\n"
	     "host all all 0.0.0.0/0 trust\n");
	ck_assert_uint_eq(match("a", "u", "10.1.1.1"), 1);
	ck_assert_uint_eq(match("b", "v", "10.1.1.1"), 2);
	ck_assert_uint_eq(match("b", "w", "10.1.1.1"), 3);
	ck_assert_uint_eq(match("b", "w", "::ffff:11.1.1.1"), 3);
	ck_assert_uint_eq(match("b", "w", "::1"), 0);
	ck_assert_int_eq(hba_rule(hba, 0)->method, AUTH_REJECT);
}
END_TEST

START_TEST(words_match_as_postgresql_has_it)
{
	rule_dir_write("names", "x1, x2\n\"all\"\n");
	load("local sameuser all trust\nlocal \"sameuser\" all trust\nlocal /^db\\d+$ /^u[0-9]$ "
	     "trust\n"
	     "local @names n trust\nlocal \"all\",B @names trust\nlocal e \"+g\" trust\n");
	ck_assert_uint_eq(match("q", "q", NULL), 1);
	ck_assert_uint_eq(match("sameuser", "q", NULL), 2);
	ck_assert_uint_eq(match("db12", "u1", NULL), 3);
	ck_assert_uint_eq(match("dbd", "u1", NULL), 0);
	ck_assert_uint_eq(match("x2", "n", NULL), 4);
	ck_assert_uint_eq(match("all", "n", NULL), 4);
	ck_assert_uint_eq(match("x3", "n", NULL), 0);
	ck_assert_uint_eq(match("B", "x1", NULL), 5);
	ck_assert_uint_eq(match("b", "x1", NULL), 0);
	ck_assert_uint_eq(match("e", "+g", NULL), 6);
	ck_assert_uint_eq(match("e", "g", NULL), 0);
}
END_TEST

START_TEST(physical_replication_matches_its_keyword_only)
{
	load("local all all trust\nlocal \"replication\" all trust\nlocal x,replication r md5\n");
	struct hba_subject subject = subject_of("replication", "r", NULL);
	subject.is_physical_replication = true;
	ck_assert_uint_eq(match_subject(&subject), 3);
	subject.user = "s";
	ck_assert_uint_eq(match_subject(&subject), 0);
	load("local replication all trust\n");
	ck_assert_uint_eq(match("replication", "r", NULL), 0);
}
END_TEST

START_TEST(own_addresses_match_samehost_and_samenet)
{
	struct network lan;
	struct interfaces interfaces = {&lan, 1};
	ck_assert(network_parse("192.0.2.7/24", &lan) == NETWORK_OK);
	load("host all all samehost trust\nhost all all samenet md5\n");
	struct hba_subject subject = subject_of("a", "u", "192.0.2.7");
	subject.interfaces = &interfaces;
	ck_assert_uint_eq(match_subject(&subject), 1);
	address_parse("192.0.2.8", 0, &remote);
	ck_assert_uint_eq(match_subject(&subject), 2);
	address_parse("192.0.3.8", 0, &remote);
	ck_assert_uint_eq(match_subject(&subject), 0);
}
END_TEST

static void assert_asks(const struct hba_subject *subject, enum hba_verdict question,
			const char *text)
{
	const struct hba_rule *rule;
	ck_assert_int_eq(hba_next(hba, &search, subject, &rule), question);
	ck_assert_str_eq(search.text, text);
	ck_assert_ptr_null(rule);
}

START_TEST(questions_are_asked_late_and_once)
{
	const struct hba_rule *rule;
	load("host other +g all trust\nhost a +g host.example trust\nhost a +g,+h .example md5\n"
	     "host samerole all all trust\nhost a u,+i all md5\n");
	struct hba_subject subject = subject_of("a", "u", "10.0.0.1");
	assert_asks(&subject, HBA_ASKS_NAME, "host.example");
	assert_asks(&subject, HBA_ASKS_NAME, "host.example");
	hba_answer(&search, HBA_REPLY_YES);
	assert_asks(&subject, HBA_ASKS_GROUP, "g");
	hba_answer(&search, HBA_REPLY_NO);
	assert_asks(&subject, HBA_ASKS_NAME, ".example");
	hba_answer(&search, HBA_REPLY_YES);
	assert_asks(&subject, HBA_ASKS_GROUP, "h");
	hba_answer(&search, HBA_REPLY_NO);
	assert_asks(&subject, HBA_ASKS_GROUP, "a");
	hba_answer(&search, HBA_REPLY_NO);
	ck_assert_int_eq(hba_next(hba, &search, &subject, &rule), HBA_MATCH);
	ck_assert_ptr_eq(rule, hba_rule(hba, 4));
	/* New rules: what is known stays known. */
	load("host a +g all trust\nhost a all host.example md5\n");
	ck_assert_int_eq(hba_next(hba, &search, &subject, &rule), HBA_MATCH);
	ck_assert_ptr_eq(rule, hba_rule(hba, 1));
	load("host all +u all trust\n");
	ck_assert_uint_eq(match("a", "u", "::1"), 1);
	ck_assert(hba_name_has("a.Example", ".example") && !hba_name_has("aexample", ".example"));
}
END_TEST

static enum hba_verdict reply(const struct hba_subject *subject, enum hba_reply reply)
{
	const struct hba_rule *rule;
	hba_answer(&search, reply);
	return hba_next(hba, &search, subject, &rule);
}

START_TEST(a_question_without_an_answer_lets_nobody_pass)
{
	struct hba_subject subject = subject_of("a", "u", "10.0.0.1");
	load("host a u host.example reject\nhost all all all trust\n");
	assert_asks(&subject, HBA_ASKS_NAME, "host.example");
	ck_assert_int_eq(reply(&subject, HBA_REPLY_FAILED), HBA_UNANSWERED);
	hba_search_fini(&search);
	load("host a +g all trust\nhost all all all trust\n");
	assert_asks(&subject, HBA_ASKS_GROUP, "g");
	ck_assert_int_eq(reply(&subject, HBA_REPLY_FAILED), HBA_UNANSWERED);
	/* Known by other rules from then on: it is not asked again, and not taken for a no. */
	load("host all x all trust\nhost b,+g u all trust\nhost a +g,+h all md5\nhost all all all "
	     "trust\n");
	assert_asks(&subject, HBA_ASKS_GROUP, "h");
	ck_assert_int_eq(reply(&subject, HBA_REPLY_NO), HBA_UNANSWERED);
	/* It does not matter where the rest of the rule says yes or no. */
	load("host a +g,u all md5\n");
	const struct hba_rule *rule;
	ck_assert_int_eq(hba_next(hba, &search, &subject, &rule), HBA_MATCH);
	load("host b +g all reject\nhost a +g 10.9.9.9/32 reject\nhost all u all md5\n");
	ck_assert_int_eq(hba_next(hba, &search, &subject, &rule), HBA_MATCH);
}
END_TEST

START_TEST(a_name_that_nobody_has_is_passed_but_by_a_reject)
{
	struct hba_subject subject = subject_of("a", "u", "10.0.0.1");
	const struct hba_rule *rule;
	load("host a u gone.example trust\nhost all all all md5\n");
	assert_asks(&subject, HBA_ASKS_NAME, "gone.example");
	ck_assert_int_eq(reply(&subject, HBA_REPLY_NO_SUCH_NAME), HBA_MATCH);
	load("host a u gone.example trust\nhost all all gone.example reject\nhost all all all "
	     "md5\n");
	ck_assert_int_eq(hba_next(hba, &search, &subject, &rule), HBA_MATCH);
	ck_assert_int_eq(rule->method, AUTH_REJECT);
}
END_TEST

START_TEST(no_error_shows_the_password_of_a_rule)
{
	static const char *const lines[] = {
		"host all all ldap ldapbindpasswd=sesame ldapserver=s\n", /* no address */
		"host all ldap ldapbindpasswd=sesame\n",
		"host all all all ldap ldapserver=s \n ldapbindpasswd=sesame\n",
		"host all all all ldapbindpasswd=sesame\n",
		"host all all ldapbindpasswd=sesame ldap\n",
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		ck_assert(!load_bytes(lines[i], strlen(lines[i])));
		ck_assert_msg(!strstr(error.message, "sesame"), "%s", error.message);
	}
}
END_TEST

START_TEST(rules_show_as_postgresql_shows_them)
{
	load("# c\nhostssl \"a b\",all +g 10.0.0.0/8 cert map=m clientname=DN\n"
	     "local all all pam pamservice=x pam_use_hostname=1\n"
	     "host all all h.example ldap ldapserver=s \"ldapbasedn=dc=a, dc=b\" "
	     "ldapbinddn=d ldapbindpasswd=\"hush hush\"\n");
	const struct hba_rule *rule = hba_rule(hba, 0);
	ck_assert_str_eq(rule->file_name, "hba");
	ck_assert_uint_eq(rule->line_number, 2);
	ck_assert_str_eq(rule->type_name, "hostssl");
	ck_assert_str_eq(rule->databases, "{\"a b\",all}");
	ck_assert_str_eq(rule->users, "{+g}");
	ck_assert_str_eq(rule->address, "10.0.0.0");
	ck_assert_str_eq(rule->netmask, "255.0.0.0");
	ck_assert_str_eq(rule->auth_method, "cert");
	ck_assert_str_eq(rule->options_shown, "{map=m,clientname=DN}");
	ck_assert_str_eq(rule->map, "m");
	ck_assert(rule->uses_distinguished_name);
	ck_assert_int_eq(rule->client_certificate, HBA_CERTIFICATE_VERIFY_FULL);
	rule = hba_rule(hba, 1);
	ck_assert_ptr_null(rule->address);
	ck_assert_str_eq(rule->pam_service, "x");
	ck_assert(rule->pam_use_hostname);
	rule = hba_rule(hba, 2);
	ck_assert_str_eq(rule->address, "h.example");
	ck_assert_ptr_null(rule->netmask);
	ck_assert_str_eq(rule->options_shown,
			 "{ldapserver=s,\"ldapbasedn=dc=a, dc=b\",ldapbinddn=d,"
			 "ldapbindpasswd=********}");
	ck_assert_str_eq(hba_rule_option(rule, "ldapbindpasswd"), "hush hush");
}
END_TEST

static const struct {
	const char *text, *message;
} refused[] = {
	{"remote all all all trust", "unknown connection type \"remote\"; allowed are local, host, "
				     "hostssl, hostnossl, hostgssenc, hostnogssenc, include, "
				     "include_if_exists and include_dir"},
	{"host,local all all trust", "the connection type must be one word, not a list"},
	{"host", "the database is missing"},
	{"host all", "the user is missing"},
	{"host all all", "the address is missing"},
	{"host all all all", "the authentication method is missing"},
	{"local all all", "the authentication method is missing"},
	{"host all + all trust", "a role name must follow \"+\""},
	{"host all all 10.0.0.1 trust",
	 "invalid address mask \"trust\"; a mask of the address's "
	 "family, such as 255.255.255.0, or address/bits, is allowed"},
	{"host all all 10.0.0.1", "the address mask is missing"},
	{"host all all 10.0.0.0/33 trust",
	 "invalid number of bits in \"10.0.0.0/33\"; 0 to 32 are allowed"},
	{"host all all 10.0.0.256/8 trust",
	 "invalid address \"10.0.0.256/8\"; allowed are all, samehost, samenet, an address/bits, "
	 "an address and a mask, a host name or .suffix"},
	{"local all all any", "unknown authentication method \"any\"; allowed are trust, password, "
			      "md5, cert, ldap, pam, scram-sha-256, reject or peer"},
	{"hostnossl all all all cert", "method cert is allowed in hostssl and host rules only"},
	{"local all all cert", "method cert is allowed in hostssl and host rules only"},
	{"host all all all peer", "method peer is allowed in local rules only"},
	{"local all all md5 map=x", "option map is allowed for methods cert and peer only"},
	{"local all all peer clientcert=verify-ca",
	 "option clientcert is allowed for hostssl rules only"},
	{"hostssl all all all md5 clientcert=1",
	 "invalid clientcert; allowed are verify-ca, verify-full and no-verify"},
	{"hostssl all all all cert clientcert=verify-ca",
	 "clientcert must be verify-full with method cert"},
	{"hostssl all all all md5 clientname=x", "invalid clientname; CN and DN are allowed"},
	{"local all all peer map", "an option behind the method is not of the form name=value"},
	{"local all all peer map=", "map must not be empty"},
	{"local all all peer map=a map=b", "option map is given twice"},
	{"local all all md5 x=y",
	 "unknown option \"x\"; allowed are map, clientcert, clientname, pamservice, "
	 "pam_use_hostname and the options of ldap"},
	{"local all all pam pam_use_hostname=2", "invalid pam_use_hostname; 0 and 1 are allowed"},
	{"local all all ldap ldapbasedn=x", "method ldap needs the option ldapserver or ldapurl"},
	{"local all all ldap ldapserver=x",
	 "method ldap needs the option ldapbasedn, ldapprefix or ldapsuffix"},
	{"local all all ldap ldapserver=x ldapprefix=a ldapbasedn=b",
	 "option ldapbasedn cannot be used together with ldapprefix or ldapsuffix"},
	{"local all all ldap ldapport=0", "invalid ldapport; 1 to 65535 is allowed"},
	{"local all \"all trust", "the closing quote is missing"},
};

START_TEST(a_bad_line_fails_the_load)
{
	char text[300] = "# first\n", expected[512] = "hba:2: ";
	strcat(text, refused[_i].text);
	strcat(text, "\nlocal all all trust\n");
	strcat(expected, refused[_i].message);
	ck_assert(!load_bytes(text, strlen(text)));
	ck_assert_str_eq(error.message, expected);
}
END_TEST

START_TEST(every_truncation_is_all_or_nothing)
{
	static const char good[] = "local all,\"x\" /^a\\d$ peer map=m\r\n"
				   "hostssl r +g,@n 10.0.0.0 255.0.0.0 cert \\\n clientname=DN\n"
				   "host \xff all .x.y ldap ldapurl=ldap://h/dc=x\n";
	rule_dir_write("n", "one\n");
	for (size_t size = 0; size < sizeof good; size++) {
		if (!load_bytes(good, size))
			ck_assert_msg(strncmp(error.message, "hba:", 4) == 0, "%s", error.message);
	}
}
END_TEST

START_TEST(a_long_list_is_taken)
{
	enum { LENGTH = 1 << 20 };
	char *text = malloc(LENGTH + 40);
	strcpy(text, "local all ");
	memset(text + 10, 'u', LENGTH);
	for (size_t i = 13; i < LENGTH; i += 4)
		text[i] = ',';
	strcpy(text + 10 + LENGTH, ",bob trust\n");
	load(text);
	ck_assert_uint_eq(match("a", "bob", NULL), 1);
	free(text);
}
END_TEST

Suite *suite_hba(void)
{
	Suite *suite = suite_create("hba");
	TCase *tcase = tcase_create("hba");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, connection_types_match_their_connections);
	tcase_add_test(tcase, rules_for_gss_are_read_and_never_match);
	tcase_add_test(tcase, first_match_wins);
	tcase_add_test(tcase, words_match_as_postgresql_has_it);
	tcase_add_test(tcase, physical_replication_matches_its_keyword_only);
	tcase_add_test(tcase, own_addresses_match_samehost_and_samenet);
	tcase_add_test(tcase, questions_are_asked_late_and_once);
	tcase_add_test(tcase, a_question_without_an_answer_lets_nobody_pass);
	tcase_add_test(tcase, a_name_that_nobody_has_is_passed_but_by_a_reject);
	tcase_add_test(tcase, no_error_shows_the_password_of_a_rule);
	tcase_add_test(tcase, rules_show_as_postgresql_shows_them);
	tcase_add_loop_test(tcase, a_bad_line_fails_the_load, 0,
			    (int)(sizeof refused / sizeof *refused));
	tcase_add_test(tcase, every_truncation_is_all_or_nothing);
	tcase_add_test(tcase, a_long_list_is_taken);
	suite_add_tcase(suite, tcase);
	return suite;
}
