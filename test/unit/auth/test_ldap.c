/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ldap.h"
#include "auth/ldap_options.h"
#include "core/error.h"
#include "core/loop.h"
#include "core/memory.h"
#include "core/offload.h"
#include "scratch.h"
#include "../suite.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

Suite *suite_ldap(void);

static struct error error;

#ifdef HAVE_LDAP

static struct ldap_options *options;

static bool parse(const char *text)
{
	ldap_options_release(&options);
	memset(&error, 0, sizeof(error));
	options = ldap_options_parse(text, &error);
	return options != NULL;
}

static void release(void)
{
	ldap_options_release(&options);
}

/* ---- options ---- */

START_TEST(a_simple_bind_is_parsed)
{
	ck_assert_msg(parse("ldapserver=ldap.example.net ldapprefix=\"cn=\" "
			    "ldapsuffix=\", dc=example, dc=net\""),
		      "%s", error.message);
	ck_assert_str_eq(options->uris, "ldap://ldap.example.net:389");
	ck_assert_str_eq(options->prefix, "cn=");
	ck_assert_str_eq(options->suffix, ", dc=example, dc=net");
	ck_assert_ptr_null(options->base_dn);
	ck_assert(!options->start_tls);
	ck_assert_int_eq(options->timeout, 10 * USEC_PER_SECOND);
}
END_TEST

START_TEST(search_and_bind_is_parsed)
{
	ck_assert_msg(parse(" ldapserver=\"one two  ::1\" ldapport=636\tldapscheme=ldaps "
			    "ldapbasedn=\"dc=example, dc=net\" ldapbinddn=cn=reader,dc=net "
			    "ldapbindpasswd=\"a \"\"b\"\" c\" ldapsearchattribute=mail \n"),
		      "%s", error.message);
	ck_assert_str_eq(options->uris, "ldaps://one:636 ldaps://two:636 ldaps://[::1]:636");
	ck_assert_str_eq(options->base_dn, "dc=example, dc=net");
	ck_assert_str_eq(options->bind_dn, "cn=reader,dc=net");
	ck_assert_str_eq(options->bind_password, "a \"b\" c");
	ck_assert_str_eq(options->search_attribute, "mail");
	ck_assert(
		parse("ldapserver=a ldaptls=1 ldapbasedn=\"\" \"ldapsearchfilter=(a=$username)\""));
	ck_assert(options->start_tls);
	ck_assert_str_eq(options->base_dn, "");
	ck_assert_str_eq(options->search_filter, "(a=$username)");
	ck_assert(parse("ldapserver=a ldapscheme=ldaps ldapprefix="));
	ck_assert_str_eq(options->uris, "ldaps://a:636");
}
END_TEST

START_TEST(a_url_is_parsed)
{
	ck_assert_msg(parse("ldapurl=\"ldap://ldap.example.net/dc=example,dc=net?uid?sub\""), "%s",
		      error.message);
	ck_assert_str_eq(options->uris, "ldap://ldap.example.net:389");
	ck_assert_str_eq(options->base_dn, "dc=example,dc=net");
	ck_assert_str_eq(options->search_attribute, "uid");
	ck_assert_int_eq(options->scope, 2);
	ck_assert(
		parse("ldapurl=ldaps://[::1]:1636/dc=a%20b??one?(|(uid=$username)(mail=$username)) "
		      "ldapbinddn=cn=x ldapbindpasswd=y"));
	ck_assert_str_eq(options->uris, "ldaps://[::1]:1636");
	ck_assert_str_eq(options->base_dn, "dc=a b");
	ck_assert_ptr_null(options->search_attribute);
	ck_assert_str_eq(options->search_filter, "(|(uid=$username)(mail=$username))");
	ck_assert_int_eq(options->scope, 1);
	ck_assert(parse("ldapurl=ldap://a/dc=b"));
	ck_assert_int_eq(options->scope, 0);
}
END_TEST

START_TEST(of_a_word_given_twice_the_last_counts)
{
	ck_assert(parse("ldapserver=a ldapserver=b ldapprefix=x ldapprefix=y"));
	ck_assert_str_eq(options->uris, "ldap://b:389");
	ck_assert_str_eq(options->prefix, "y");
}
END_TEST

static const struct {
	const char *text, *message;
} bad[] = {
	{"", "authentication method \"ldap\" requires argument \"ldapserver\" to be set"},
	{"ldapprefix=a",
	 "authentication method \"ldap\" requires argument \"ldapserver\" to be set"},
	{"ldapserver=a", "authentication method \"ldap\" requires argument \"ldapbasedn\", "
			 "\"ldapprefix\", or \"ldapsuffix\" to be set"},
	{"ldapserver=\"\" ldapprefix=a", "ldapserver is empty"},
	{"ldapserver=ldap://a ldapprefix=a", "invalid ldapserver value: \"ldap://a\""},
	{"ldapserver=a ldapprefix=a ldapbasedn=b",
	 "cannot mix options for simple bind and search+bind modes"},
	{"ldapserver=a ldapsuffix=a ldapsearchattribute=b",
	 "cannot mix options for simple bind and search+bind modes"},
	{"ldapurl=ldap://a/dc=b ldapprefix=a",
	 "cannot mix options for simple bind and search+bind modes"},
	{"ldapserver=a ldapbasedn=a ldapsearchattribute=b ldapsearchfilter=(c=$username)",
	 "cannot use ldapsearchattribute together with ldapsearchfilter"},
	{"ldapserver=a ldapbasedn=a ldapsearchfilter=(c=d)",
	 "ldapsearchfilter does not contain $username"},
	{"ldapserver=a ldapbasedn=a ldapsearchattribute=b)(c",
	 "invalid ldapsearchattribute value: \"b)(c\""},
	{"ldapserver=a ldapport=0 ldapprefix=a", "invalid LDAP port number: \"0\""},
	{"ldapserver=a ldapport=65536 ldapprefix=a", "invalid LDAP port number: \"65536\""},
	{"ldapserver=a ldapport=x ldapprefix=a", "invalid LDAP port number: \"x\""},
	{"ldapserver=a ldapscheme=http ldapprefix=a", "invalid ldapscheme value: \"http\""},
	{"ldapserver=a ldaptls=yes ldapprefix=a", "invalid ldaptls value: \"yes\""},
	{"ldapserver=a ldaptls=1 ldapscheme=ldaps ldapprefix=a",
	 "cannot use ldaptls together with ldapscheme \"ldaps\""},
	{"ldapurl=http://a/dc=b", "could not parse LDAP URL: unsupported LDAP URL scheme"},
	{"ldapurl=ldapi://a/dc=b", "unsupported LDAP URL scheme: ldapi"},
	{"ldapurl=ldap://a/dc=b?c,d", "the LDAP URL has more than one attribute"},
	{"ldapurl=ldap://a/dc=b??everywhere", "could not parse LDAP URL: bad scope"},
	{"ldapurl=ldap://a/dc=b??"
	 "?(uid=bob)",
	 "ldapsearchfilter does not contain $username"},
	{"ldapurl=ldap:///dc=b", "authentication method \"ldap\" requires argument \"ldapserver\" "
				 "to be set"},
	{"ldapserver=a ldaphost=b", "unrecognized authentication option name: \"ldaphost\""},
	{"ldapserver=a LDAPPORT=1", "unrecognized authentication option name: \"LDAPPORT\""},
	{"ldapserver=a banana", "authentication option 2 is not in name=value format"},
	{"ldapserver=a ldapprefix=\"b c=d", "a double quote does not end in authentication option "
					    "2"},
};

START_TEST(each_error_is_told)
{
	ck_assert(!parse(bad[_i].text));
	ck_assert_str_eq(error.message, bad[_i].message);
	ck_assert_str_eq(error.sqlstate, "F0000");
}
END_TEST

START_TEST(no_error_shows_the_password)
{
	static const char *const texts[] = {
		"ldapserver=a ldapbindpasswd=sesame",
		"ldapbindpasswd=open sesame",
		"ldapbindpasswd=open sesame=b",
		"ldapbindpasswd sesame",
		"ldapbindpasswd:sesame",
		"ldapbindpasswd=\"sesame",
		"ldapserver=a ldapprefix=b ldapbindpasswd=sesame",
		"sesame=b ldapbindpasswd=open",
		"ldapport=\"ldapbindpasswd=sesame\"",
		"ldapport=sesame ldapbindpasswd=x",
		"ldaptls=sesame ldapbindpasswd=x",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ck_assert(!parse(texts[i]));
		ck_assert_msg(!strstr(error.message, "sesame") && !strstr(error.detail, "sesame"),
			      "%s", error.message);
	}
}
END_TEST

START_TEST(every_truncation_is_all_or_nothing)
{
	const char *good = "ldapserver=\"a b\" ldapport=99 ldaptls=1 ldapbasedn=\"c\"\"\" "
			   "ldapbinddn=d ldapbindpasswd=e ldapsearchfilter=(f=$username) "
			   "ldapurl=ldap://g/h?";
	char text[300];
	for (size_t length = 0; length <= strlen(good); length++) {
		snprintf(text, sizeof(text), "%.*s", (int)length, good);
		if (!parse(text))
			ck_assert_str_ne(error.message, "");
	}
	ck_assert_msg(options != NULL, "%s", error.message);
}
END_TEST

START_TEST(the_last_holder_frees)
{
	ck_assert(parse("ldapserver=a ldapprefix=b"));
	struct ldap_options *other = ldap_options_hold(options);
	release();
	ck_assert_str_eq(other->prefix, "b");
	ldap_options_release(&other);
	ck_assert_ptr_null(other);
	ldap_options_release(&other);
}
END_TEST

/* ---- a directory ---- */

#define PEOPLE "ou=people,dc=example,dc=net"

static char directory[200];
static int port, tls_port;
static pid_t slapd;

static const char entries[] =
	"dn: dc=example,dc=net\nobjectClass: dcObject\nobjectClass: organization\n"
	"dc: example\no: example\n\n"
	"dn: cn=reader,dc=example,dc=net\nobjectClass: person\ncn: reader\nsn: r\n"
	"userPassword: read secret\n\n"
	"dn: " PEOPLE "\nobjectClass: organizationalUnit\nou: people\n\n"
	"dn: cn=bob," PEOPLE "\nobjectClass: inetOrgPerson\ncn: bob\nsn: b\nuid: bob\n"
	"mail: team@example.net\nuserPassword: pencil\n\n"
	"dn: cn=alice," PEOPLE "\nobjectClass: inetOrgPerson\ncn: alice\nsn: a\nuid: alice\n"
	"mail: team@example.net\nuserPassword: brush\n\n"
	"dn: cn=Smith\\, \\\"J\\\" \\+ Co\\2C," PEOPLE "\nobjectClass: inetOrgPerson\n"
	"cn: Smith, \"J\" + Co,\nsn: s\nuid: smith (a*b\\c)/d\nuserPassword: forge\n";

/* An empty password is an anonymous bind that succeeds here, as in many a directory. */
static void start_slapd(void)
{
	char urls[100], conf[250];
	scratch_make(directory);
	port = scratch_free_port();
	do
		tls_port = scratch_free_port();
	while (tls_port == port);
	scratch_run("mkdir '%s/db'", directory);
	scratch_run("openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=test "
		    "-addext subjectAltName=IP:127.0.0.1 -keyout '%s/key.pem' -out '%s/cert.pem' "
		    "2>/dev/null",
		    directory, directory);
	scratch_write(directory, "slapd.conf", 0600,
		      "include /etc/ldap/schema/core.schema\n"
		      "include /etc/ldap/schema/cosine.schema\n"
		      "include /etc/ldap/schema/inetorgperson.schema\n"
		      "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
		      "allow bind_anon_cred\n"
		      "TLSCertificateFile %s/cert.pem\nTLSCertificateKeyFile %s/key.pem\n"
		      "pidfile %s/pid\n"
		      "database mdb\nmaxsize 10000000\nsuffix \"dc=example,dc=net\"\n"
		      "directory %s/db\n"
		      "access to attrs=userPassword by anonymous auth by * none\n"
		      "access to dn.subtree=\"dc=example,dc=net\" "
		      "by dn.exact=\"cn=reader,dc=example,dc=net\" read by anonymous auth\n",
		      directory, directory, directory, directory);
	scratch_write(directory, "entries", 0600, "%s", entries);
	scratch_run("slapadd -q -f '%s/slapd.conf' -l '%s/entries'", directory, directory);
	snprintf(urls, sizeof(urls), "ldap://127.0.0.1:%d/ ldaps://127.0.0.1:%d/", port, tls_port);
	snprintf(conf, sizeof(conf), "%s/slapd.conf", directory);
	const char *const arguments[] = {"slapd", "-d", "0", "-f", conf, "-h", urls, NULL};
	slapd = scratch_start(arguments);
	scratch_wait_port(port);
	scratch_wait_port(tls_port);
	snprintf(conf, sizeof(conf), "%s/cert.pem", directory);
	setenv("LDAPTLS_CACERT", conf, 1);
	setenv("LDAPTLS_REQCERT", "demand", 1);
}

static void stop_slapd(void)
{
	scratch_end(slapd);
	scratch_remove(directory);
}

static void use(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void use(const char *format, ...)
{
	char text[1000];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	ck_assert_msg(parse(text), "%s", error.message);
}

#define READER "ldapbinddn=cn=reader,dc=example,dc=net ldapbindpasswd=\"read secret\""

static void use_simple(void)
{
	use("ldapserver=127.0.0.1 ldapport=%d ldapprefix=cn= ldapsuffix=," PEOPLE, port);
}

static void use_search(const char *more)
{
	use("ldapserver=127.0.0.1 ldapport=%d ldapbasedn=dc=example,dc=net " READER " %s", port,
	    more);
}

static bool check(const char *user, const char *password)
{
	memset(&error, 0, sizeof(error));
	return ldap_check(options, user, password, &error);
}

static void assert_ok(const char *user, const char *password)
{
	ck_assert_msg(check(user, password), "%s: %s", user, error.detail);
}

static void assert_not(const char *user, const char *password, const char *sqlstate,
		       const char *detail)
{
	ck_assert_msg(!check(user, password), "%s is let in", user);
	ck_assert_str_eq(error.message, "LDAP authentication failed");
	ck_assert_msg(strstr(error.detail, detail) != NULL, "detail: %s", error.detail);
	ck_assert_msg(strcmp(error.sqlstate, sqlstate) == 0, "%s: %s", error.sqlstate,
		      error.detail);
	ck_assert_ptr_null(strstr(error.detail, "read secret"));
}

START_TEST(a_simple_bind_tells_who_knows_the_password)
{
	use_simple();
	assert_ok("bob", "pencil");
	assert_ok("alice", "brush");
	assert_not("bob", "brush", "28P01", "Invalid credentials");
	assert_not("carol", "pencil", "28P01", "Invalid credentials");
}
END_TEST

START_TEST(an_empty_password_never_gets_in)
{
	use_simple();
	assert_not("bob", "", "28P01", "empty password");
	use_search("");
	assert_not("bob", "", "28P01", "empty password");
}
END_TEST

START_TEST(names_are_escaped_in_a_dn)
{
	use_simple();
	assert_ok("Smith, \"J\" + Co,", "forge");
	assert_not("bob," PEOPLE, "pencil", "28P01", "");
	use("ldapserver=127.0.0.1 ldapport=%d ldapprefix=cn= ldapsuffix=,dc=example,dc=net", port);
	assert_not("bob,ou=people", "pencil", "28P01", "");
	assert_ok("reader", "read secret");
	assert_not("", "pencil", "28P01", "");
	assert_not(" #;<>= ", "pencil", "28P01", "Invalid credentials");
	/* Without a DN around it the name is what the client says. */
	use("ldapserver=127.0.0.1 ldapport=%d ldapprefix=", port);
	assert_ok("cn=bob," PEOPLE, "pencil");
}
END_TEST

START_TEST(search_and_bind_finds_the_one_entry)
{
	use_search("");
	assert_ok("bob", "pencil");
	assert_not("bob", "brush", "28P01", "Invalid credentials");
	assert_not("carol", "pencil", "28P01", "found no entry");
	use_search("ldapsearchattribute=cn");
	assert_ok("alice", "brush");
	use_search("ldapsearchattribute=mail");
	assert_not("team@example.net", "pencil", "28P01", "more than one entry");
	use_search("ldapsearchattribute=objectClass");
	assert_not("inetOrgPerson", "pencil", "28P01", "more than one entry");
	use_search("ldapsearchfilter=(|(uid=$username)(sn=$username))");
	assert_ok("a", "brush");
	assert_ok("alice", "brush");
}
END_TEST

START_TEST(names_are_escaped_in_a_filter)
{
	use_search("");
	assert_ok("smith (a*b\\c)/d", "forge");
	assert_not("*", "pencil", "28P01", "found no entry");
	assert_not("bo*", "pencil", "28P01", "found no entry");
	assert_not("x)(uid=bob", "pencil", "28P01", "found no entry");
	assert_not("bob)(|(uid=*", "pencil", "28P01", "found no entry");
	assert_not("\xff\xfe", "pencil", "28P01", "found no entry");
	char name[5001];
	memset(name, '(', 5000);
	name[5000] = '\0';
	assert_not(name, "pencil", "28P01", "found no entry");
}
END_TEST

START_TEST(a_url_finds_the_entry)
{
	use("ldapurl=ldap://127.0.0.1:%d/dc=example,dc=net?uid?sub " READER, port);
	assert_ok("bob", "pencil");
	use("ldapurl=ldap://127.0.0.1:%d/dc=example,dc=net?uid?one " READER, port);
	assert_not("bob", "pencil", "28P01", "found no entry");
	use("ldapurl=ldap://127.0.0.1:%d/" PEOPLE "??one?(sn=$username) " READER, port);
	assert_ok("b", "pencil");
}
END_TEST

START_TEST(a_search_that_does_not_work_is_told_apart)
{
	use("ldapserver=127.0.0.1 ldapport=%d ldapbasedn=dc=example,dc=net "
	    "ldapbinddn=cn=reader,dc=example,dc=net ldapbindpasswd=wrong",
	    port);
	assert_not("bob", "pencil", "58000", "could not bind for the search");
	use_search("ldapsearchfilter=((($username");
	assert_not("bob", "pencil", "58000", "could not search the directory");
	/* Anonymous may not see anybody. */
	use("ldapserver=127.0.0.1 ldapport=%d ldapbasedn=dc=example,dc=net", port);
	assert_not("bob", "pencil", "58000", "could not search the directory: Insufficient");
}
END_TEST

START_TEST(tls_is_spoken_both_ways)
{
	use("ldapserver=127.0.0.1 ldapport=%d ldaptls=1 ldapprefix=cn= ldapsuffix=," PEOPLE, port);
	assert_ok("bob", "pencil");
	assert_not("bob", "brush", "28P01", "Invalid credentials");
	use("ldapserver=127.0.0.1 ldapport=%d ldapscheme=ldaps ldapbasedn=" PEOPLE " " READER,
	    tls_port);
	assert_ok("bob", "pencil");
	assert_not("bob", "brush", "28P01", "Invalid credentials");
}
END_TEST

START_TEST(a_certificate_that_is_not_trusted_is_refused)
{
	setenv("LDAPTLS_CACERT", "/dev/null", 1);
	use("ldapserver=127.0.0.1 ldapport=%d ldaptls=1 ldapprefix=cn= ldapsuffix=," PEOPLE, port);
	assert_not("bob", "pencil", "58000", "could not start LDAP TLS session");
	use("ldapserver=127.0.0.1 ldapport=%d ldapscheme=ldaps ldapprefix=cn= ldapsuffix=," PEOPLE,
	    tls_port);
	assert_not("bob", "pencil", "58000", "could not bind as the user");
}
END_TEST

START_TEST(the_second_server_is_asked_when_the_first_is_down)
{
	use("ldapserver=\"127.0.0.2 127.0.0.1\" ldapport=%d ldapprefix=cn= ldapsuffix=," PEOPLE,
	    port);
	assert_ok("bob", "pencil");
	assert_not("bob", "brush", "28P01", "Invalid credentials");
}
END_TEST

/* ---- directories that are none ---- */

START_TEST(a_server_that_is_down_is_told_apart)
{
	use("ldapserver=127.0.0.1 ldapport=%d ldapprefix=cn= ldapsuffix=,dc=x",
	    scratch_free_port());
	assert_not("bob", "pencil", "58000", "Can't contact LDAP server");
	use("ldapserver=127.0.0.1 ldapport=%d ldapbasedn=dc=x", scratch_free_port());
	assert_not("bob", "pencil", "58000", "Can't contact LDAP server");
}
END_TEST

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int listen_silently(int *silent_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(listen(fd, 20), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	*silent_port = ntohs(address.sin_port);
	return fd;
}

START_TEST(a_server_that_never_answers_is_given_up)
{
	static const char *const modes[] = {
		"ldapprefix=cn= ldapsuffix=,dc=x", "ldaptls=1 ldapprefix=cn= ldapsuffix=,dc=x",
		"ldapscheme=ldaps ldapprefix=cn= ldapsuffix=,dc=x", "ldapbasedn=dc=x"};
	int silent, fd = listen_silently(&silent);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		use("ldapserver=127.0.0.1 ldapport=%d %s", silent, modes[i]);
		options->timeout = USEC_PER_SECOND / 2;
		double before = seconds();
		assert_not("bob", "pencil", "58000", "");
		double took = seconds() - before;
		ck_assert_msg(took > 0.3 && took < 8, "%s: %f s", modes[i], took);
	}
	close(fd);
}
END_TEST

/* Accepts connections, answers the first message with @answer, and is silent from then on. */
static pid_t start_liar(int fd, const char *answer, size_t size)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	fcntl(fd, F_SETFL, 0);
	for (;;) {
		char bytes[1000];
		int peer = accept(fd, NULL, NULL);
		if (peer < 0 || read(peer, bytes, sizeof(bytes)) < 0 ||
		    write(peer, answer, size) < 0)
			_exit(1);
	}
}

START_TEST(a_server_that_falls_silent_is_given_up)
{
	static const struct {
		const char *mode, *answer;
		size_t size;
	} liars[] = {
		/* yes to StartTLS; the beginning of a message, of a TLS record */
		{"ldaptls=1", "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00", 14},
		{"ldaptls=1", "\x30\x0c\x02", 3},
		{"ldaptls=0", "\x30\x0c\x02", 3},
		{"ldapscheme=ldaps", "\x16\x03\x03\x00\x50\x02", 6},
		{"ldapscheme=ldaps", "\x16\x03", 2},
	};
	int liar_port, fd = listen_silently(&liar_port);
	pid_t liar = start_liar(fd, liars[_i].answer, liars[_i].size);
	use("ldapserver=127.0.0.1 ldapport=%d ldapprefix=cn= %s", liar_port, liars[_i].mode);
	options->timeout = USEC_PER_SECOND / 2;
	double before = seconds();
	assert_not("bob", "pencil", "58000", "");
	double took = seconds() - before;
	scratch_end(liar);
	ck_assert_msg(took > 0.3 && took < 8, "%s: %f s", liars[_i].mode, took);
	close(fd);
}
END_TEST

START_TEST(an_empty_password_is_not_sent_anywhere)
{
	int silent, fd = listen_silently(&silent);
	use("ldapserver=127.0.0.1 ldapport=%d ldapprefix=cn= ldapsuffix=,dc=x", silent);
	assert_not("bob", "", "28P01", "empty password");
	use("ldapserver=127.0.0.1 ldapport=%d ldapbasedn=dc=x", silent);
	assert_not("bob", "", "28P01", "empty password");
	ck_assert_int_lt(accept(fd, NULL, NULL), 0);
	close(fd);
}
END_TEST

/* ---- in threads ---- */

struct job {
	struct offload_job job;
	struct ldap_options *options;
	const char *user, *password;
	bool is_ok;
	struct error error;
};

static unsigned let_in, discarded;

static void work(struct offload_job *base)
{
	struct job *job = container_of(base, struct job, job);
	job->is_ok = ldap_check(job->options, job->user, job->password, &job->error);
}

static void done(struct offload_job *base)
{
	let_in += container_of(base, struct job, job)->is_ok;
}

static void discard(struct offload_job *base)
{
	struct job *job = container_of(base, struct job, job);
	ldap_options_release(&job->options);
	memory_free(&job);
	discarded++;
}

START_TEST(many_threads_may_ask_at_once)
{
	loop_open();
	use("ldapserver=127.0.0.1 ldapport=%d ldaptls=1 ldapbasedn=" PEOPLE " " READER, port);
	static struct offload_queue queue = OFFLOAD_QUEUE(6, 100);
	offload_open();
	for (int i = 0; i < 60; i++) {
		struct job *job = memory_alloc(sizeof(*job));
		job->job = (struct offload_job){.work = work, .done = done, .discard = discard};
		job->options = ldap_options_hold(options);
		job->user = i % 2 ? "bob" : "alice";
		job->password = i % 3 ? (i % 2 ? "pencil" : "brush") : "wrong";
		ck_assert(offload_submit(&queue, &job->job));
	}
	release(); /* a reload */
	while (discarded < 60)
		loop_turn(1000);
	ck_assert_uint_eq(let_in, 40);
	offload_close();
	loop_close();
}
END_TEST

#else

START_TEST(without_ldap_everything_says_so)
{
	ck_assert(!ldap_is_available(&error));
	ck_assert_str_eq(error.message, "pgweir was built without LDAP");
	memset(&error, 0, sizeof(error));
	ck_assert_ptr_null(ldap_options_parse("ldapserver=a ldapprefix=b", &error));
	ck_assert_str_eq(error.message, "pgweir was built without LDAP");
	ck_assert(!ldap_check(NULL, "bob", "pencil", &error));
}
END_TEST

#endif

Suite *suite_ldap(void)
{
	Suite *suite = suite_create("ldap");
	TCase *tcase = tcase_create("ldap_options");
#ifdef HAVE_LDAP
	tcase_add_checked_fixture(tcase, NULL, release);
	tcase_add_test(tcase, a_simple_bind_is_parsed);
	tcase_add_test(tcase, search_and_bind_is_parsed);
	tcase_add_test(tcase, a_url_is_parsed);
	tcase_add_test(tcase, of_a_word_given_twice_the_last_counts);
	tcase_add_loop_test(tcase, each_error_is_told, 0, (int)(sizeof(bad) / sizeof(bad[0])));
	tcase_add_test(tcase, no_error_shows_the_password);
	tcase_add_test(tcase, every_truncation_is_all_or_nothing);
	tcase_add_test(tcase, the_last_holder_frees);
	tcase_add_test(tcase, a_server_that_is_down_is_told_apart);
	tcase_add_test(tcase, a_server_that_never_answers_is_given_up);
	tcase_add_loop_test(tcase, a_server_that_falls_silent_is_given_up, 0, 5);
	tcase_add_test(tcase, an_empty_password_is_not_sent_anywhere);
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);

	tcase = tcase_create("ldap_slapd");
	tcase_add_unchecked_fixture(tcase, start_slapd, stop_slapd);
	tcase_add_checked_fixture(tcase, NULL, release);
	tcase_add_test(tcase, a_simple_bind_tells_who_knows_the_password);
	tcase_add_test(tcase, an_empty_password_never_gets_in);
	tcase_add_test(tcase, names_are_escaped_in_a_dn);
	tcase_add_test(tcase, search_and_bind_finds_the_one_entry);
	tcase_add_test(tcase, names_are_escaped_in_a_filter);
	tcase_add_test(tcase, a_url_finds_the_entry);
	tcase_add_test(tcase, a_search_that_does_not_work_is_told_apart);
	tcase_add_test(tcase, tls_is_spoken_both_ways);
	tcase_add_test(tcase, a_certificate_that_is_not_trusted_is_refused);
	tcase_add_test(tcase, the_second_server_is_asked_when_the_first_is_down);
	tcase_add_test(tcase, many_threads_may_ask_at_once);
#else
	tcase_add_test(tcase, without_ldap_everything_says_so);
#endif
	tcase_set_timeout(tcase, 60);
	suite_add_tcase(suite, tcase);
	return suite;
}
