/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls.h"
#include "certificates.h"
#include "core/clock.h"
#include "core/error.h"
#include "helpers.h"
#include "net/tls_file.h"
#include "net/tls_session.h"
#include "suites.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Two sessions without sockets: what one says goes into the inbox of the other. */
static struct side {
	struct tls_context *context;
	struct tls_session *session;
	struct error error;
	enum tls_result result;
	uint8_t inbox[1 << 17];
	size_t waiting;
} server, client;

static struct error error;

static void open_tls(void)
{
	helpers_open();
	certificates_make_usual();
	memset(&error, 0, sizeof error);
}

static void end_session(struct side *side)
{
	tls_session_free(&side->session);
	side->waiting = 0;
	side->result = TLS_MORE;
	memset(&side->error, 0, sizeof side->error);
}

static void end_side(struct side *side)
{
	end_session(side);
	tls_context_free(&side->context);
}

static void close_tls(void)
{
	end_side(&server);
	end_side(&client);
	tls_session_release();
	certificates_close();
	helpers_close();
}

static void make(struct side *side, const struct tls_options *options)
{
	struct tls_context *old = side->context;
	side->context = tls_context_new(options, &error);
	ck_assert_msg(side->context != NULL, "%s", error.message);
	tls_context_free(&old);
}

static void refuses(const struct tls_options *options, const char *text)
{
	struct tls_context *context = tls_context_new(options, &error);
	ck_assert_ptr_null(context);
	ck_assert_msg(strstr(error.message, text) != NULL, "\"%s\" has no \"%s\"", error.message,
		      text);
	ck_assert_str_eq(error.sqlstate, "F0000");
}

static void begin(struct side *side, const char *host)
{
	end_session(side);
	side->session = tls_session_new(side->context, host, &side->error);
	ck_assert_msg(side->session != NULL, "%s", side->error.message);
}

static void collect(struct side *to)
{
	size_t size;
	const uint8_t *bytes = tls_output(&size);
	ck_assert_uint_le(size, sizeof to->inbox - to->waiting);
	memcpy(to->inbox + to->waiting, bytes, size);
	to->waiting += size;
	tls_output_clear();
}

/* Take from the inbox what is there, at most @most bytes. */
static void receive(struct side *side, size_t most)
{
	size_t size;
	uint8_t *room = tls_session_room(side->session, 65536, &size);
	if (size > most)
		size = most;
	if (size > side->waiting)
		size = side->waiting;
	memcpy(room, side->inbox, size);
	memmove(side->inbox, side->inbox + size, side->waiting - size);
	side->waiting -= size;
	tls_session_received(side->session, size);
}

static void step(struct side *side, struct side *other, size_t most)
{
	if (side->result != TLS_MORE)
		return;
	receive(side, most);
	side->result = tls_session_handshake(side->session, &side->error);
	ck_assert(tls_session_keep(side->session));
	collect(other);
}

static size_t read_side(struct side *side, void *bytes, size_t size)
{
	size_t got;
	receive(side, sizeof side->inbox);
	side->result = tls_session_read(side->session, bytes, size, &got);
	ck_assert(tls_session_keep(side->session));
	return got;
}

static void shake(size_t most)
{
	for (int i = 0; i < 20000 && (client.result == TLS_MORE || server.result == TLS_MORE);
	     i++) {
		step(&client, &server, most);
		step(&server, &client, most);
	}
}

static void connect_to(const char *host)
{
	begin(&server, NULL);
	begin(&client, host);
	shake(sizeof client.inbox);
}

static void works(const char *host)
{
	connect_to(host);
	ck_assert_msg(client.result == TLS_DONE, "client: %s", client.error.message);
	ck_assert_msg(server.result == TLS_DONE, "server: %s", server.error.message);
}

static void client_refuses(const char *host, const char *text)
{
	connect_to(host);
	ck_assert_int_eq(client.result, TLS_BROKEN);
	ck_assert_str_eq(client.error.message, text);
	ck_assert_str_eq(client.error.sqlstate, "08006");
}

static void make_both(void)
{
	struct tls_options options = certificates_server();
	make(&server, &options);
	options = certificates_client();
	make(&client, &options);
}

/* The client shows the certificate "NAME", the server wants one of "ca". */
static void make_with_client(const char *name, const char *crl)
{
	char file[64];
	struct tls_options options = certificates_server();
	options.verify = TLS_VERIFY_CA;
	options.ca_file = certificates_path("ca.crt");
	options.crl_file = crl ? certificates_path(crl) : NULL;
	make(&server, &options);
	options = certificates_client();
	if (name) {
		snprintf(file, sizeof file, "%s.crt", name);
		options.cert_file = certificates_path(file);
		snprintf(file, sizeof file, "%s.key", name);
		options.key_file = certificates_path(file);
	}
	make(&client, &options);
}

/* --- contexts --- */

START_TEST(errors_name_the_file_and_what_is_wrong)
{
	struct tls_options options = certificates_server();
	FILE *file = fopen(helpers_path("garbage"), "w");
	fputs("no certificate\n", file);
	fclose(file);
	options.cert_file = certificates_path("absent");
	refuses(&options, "cannot read TLS certificate file \"");
	refuses(&options, "/absent\": No such file or directory");
	options.cert_file = helpers_directory;
	refuses(&options, "Is a directory");
	ck_assert_int_eq(mkfifo(helpers_path("pipe"), 0600), 0); /* nobody may ever write to it */
	options.cert_file = certificates_path("pipe");
	refuses(&options, "/pipe\": It is not a regular file");
	options = certificates_server();
	options.verify = TLS_VERIFY_CA;
	options.ca_file = certificates_path("pipe");
	refuses(&options, "cannot read TLS CA file \"");
	options = certificates_server();
	options.cert_file = certificates_path("garbage");
	refuses(&options, "/garbage\": no start line");
	options = certificates_server();
	options.key_file = certificates_path("absent");
	refuses(&options, "cannot read TLS key file");
	options.key_file = certificates_path("garbage");
	refuses(&options, "cannot load TLS key file");
	options.key_file = certificates_path("ca.key");
	refuses(&options, "/ca.key\": key values mismatch");
	options = certificates_server();
	options.key_file = "";
	refuses(&options, "has no key file with it");
	options.cert_file = NULL;
	refuses(&options, "TLS needs a certificate file and a key file");
	options.key_file = certificates_path("server.key");
	refuses(&options, "has no certificate file with it");
}
END_TEST

START_TEST(authorities_and_revocations_are_checked)
{
	struct tls_options options = certificates_client();
	options.ca_file = certificates_path("absent");
	refuses(&options, "cannot read TLS CA file");
	options.ca_file = certificates_path("server.key");
	refuses(&options, "cannot load TLS CA file");
	options.ca_file = certificates_path("ca.crt");
	options.crl_file = certificates_path("absent");
	refuses(&options, "cannot read TLS CRL file");
	options.crl_file = certificates_path("ca.crt");
	refuses(&options, "cannot load TLS CRL file");
	options = certificates_server();
	options.verify = TLS_VERIFY_CA;
	refuses(&options, "needs a TLS CA file");
	options = certificates_client();
	options.ca_file = NULL; /* the system's */
	make(&client, &options);
}
END_TEST

START_TEST(words_are_checked)
{
	struct tls_options options = certificates_server();
	options.protocols = "tlsv1.2,tlsv9";
	refuses(&options, "unknown TLS protocol \"tlsv9\" in \"tlsv1.2,tlsv9\"");
	options.protocols = "legacy";
	refuses(&options, "unknown TLS protocol \"legacy\"");
	options.protocols = "tlsv1.3,!tlsv1.3";
	refuses(&options, "leave none to use");
	options = certificates_server();
	options.ciphers = "nonsense";
	refuses(&options, "TLS ciphers \"nonsense\": no cipher match");
	options = certificates_server();
	options.tls13_ciphers = "nonsense";
	refuses(&options, "TLS 1.3 cipher suites \"nonsense\"");
	options = certificates_server();
	options.ecdhcurve = "P-1";
	refuses(&options, "unknown TLS curve \"P-1\"");
	options = certificates_server();
	options.dheparams = "1024";
	refuses(&options, "must be none, auto or legacy, not \"1024\"");
}
END_TEST

START_TEST(all_words_of_the_configuration_work)
{
	static const struct tls_options rows[] = {
		{.protocols = "secure"},      {.protocols = "default"},
		{.protocols = "all"},	      {.protocols = "TLSv1.2, tlsv1.3"},
		{.protocols = "!tlsv1.3"},    {.protocols = "all,!tlsv1.0,!tlsv1.1"},
		{.ciphers = "default"},	      {.ciphers = "secure"},
		{.ciphers = "normal"},	      {.ciphers = "fast"},
		{.ciphers = "ALL"},	      {.ciphers = "HIGH:!aNULL"},
		{.ecdhcurve = "none"},	      {.ecdhcurve = "auto"},
		{.ecdhcurve = "prime256v1"},  {.ecdhcurve = "X25519:P-256"},
		{.dheparams = "none"},	      {.dheparams = "auto"},
		{.dheparams = "legacy"},      {.tls13_ciphers = "TLS_AES_128_GCM_SHA256"},
		{.tls13_ciphers = "default"},
	};
	make_both();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct tls_options options = rows[i];
		options.accepts = true;
		options.cert_file = certificates_path("server.crt");
		options.key_file = certificates_path("server.key");
		make(&server, &options);
		works("localhost");
	}
}
END_TEST

START_TEST(protocols_and_ciphers_are_those_of_the_options)
{
	char text[100];
	struct tls_options options = certificates_server();
	make_both();
	works("localhost");
	tls_session_describe(client.session, text, sizeof text);
	ck_assert_str_eq(text, "TLSv1.3/TLS_AES_256_GCM_SHA384");
	options.tls13_ciphers = "TLS_AES_128_GCM_SHA256";
	make(&server, &options);
	works("localhost");
	tls_session_describe(server.session, text, sizeof text);
	ck_assert_str_eq(text, "TLSv1.3/TLS_AES_128_GCM_SHA256");
	options.protocols = "tlsv1.2";
	options.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
	make(&server, &options);
	works("localhost");
	tls_session_describe(server.session, text, sizeof text);
	ck_assert_str_eq(text, "TLSv1.2/ECDHE-ECDSA-AES128-GCM-SHA256");
	struct tls_options other = certificates_client();
	other.protocols = "tlsv1.3";
	make(&client, &other);
	connect_to("localhost");
	ck_assert_int_eq(client.result, TLS_BROKEN);
	ck_assert_str_eq(server.error.message, "unsupported protocol");
	ck_assert_str_eq(client.error.message, "tlsv1 alert protocol version");
}
END_TEST

static struct tls_options locked_server(void)
{
	struct tls_options options = certificates_server();
	certificate_make(&(struct certificate){.file = "locked",
					       .issuer = "ca",
					       .alternates = "DNS:localhost",
					       .passphrase = "a b"});
	options.cert_file = certificates_path("locked.crt");
	options.key_file = certificates_path("locked.key");
	return options;
}

START_TEST(a_passphrase_comes_from_the_command)
{
	struct tls_options options = locked_server();
	refuses(&options, "locked.key\" needs a passphrase");
	options.key_passphrase_command = "echo 'a b'";
	make(&server, &options);
	options.key_passphrase_command = "printf 'a b\\nmore\\n' # 100%% of %p";
	make(&server, &options);
	options.key_passphrase_command = "test %p = 'Enter PEM pass phrase:' && echo 'a b'";
	make(&server, &options);
	options.key_passphrase_command = "echo wrong-secret";
	refuses(&options, "gave a wrong passphrase");
	ck_assert_ptr_null(strstr(error.message, "wrong-secret"));
	options.key_passphrase_command = "exit 3";
	refuses(&options, "the key passphrase command failed with exit code 3");
	options.key_passphrase_command = "kill -9 $$";
	refuses(&options, "the key passphrase command was ended by signal 9");
	options.key_passphrase_command = "true";
	refuses(&options, "the key passphrase command printed nothing");
}
END_TEST

static long size_of(const char *name)
{
	struct stat status;
	return stat(helpers_path(name), &status) == 0 ? (long)status.st_size : -1;
}

START_TEST(a_passphrase_is_asked_for_once_while_the_key_is_in_use)
{
	struct tls_options options = locked_server();
	char command[512];
	snprintf(command, sizeof command, "printf x >> %s; echo 'a b'", helpers_path("asked"));
	options.key_passphrase_command = command;
	make(&server, &options);
	make(&server, &options);
	ck_assert_int_eq(size_of("asked"), 1);
	char other[512]; /* is tried, and once only */
	snprintf(other, sizeof other, "printf x >> %s; echo 'a c'", helpers_path("tried"));
	options.key_passphrase_command = other;
	refuses(&options, "gave a wrong passphrase");
	ck_assert_int_eq(size_of("tried"), 1);
	snprintf(other, sizeof other, "printf x >> %s; exit 7", helpers_path("tried"));
	refuses(&options, "failed with exit code 7");
	ck_assert_int_eq(size_of("tried"), 2);
	options.key_passphrase_command = command;
	tls_context_free(&server.context);
	make(&server, &options);
	ck_assert_int_eq(size_of("asked"), 2);
	make(&client, &(struct tls_options){.ca_file = certificates_path("ca.crt")});
	works("localhost");
}
END_TEST

/* The number that the shell wrote; 0: it did not come so far. */
static int read_group(void)
{
	FILE *file = fopen(helpers_path("group"), "r");
	int group = 0;
	if (file && fscanf(file, "%d", &group) != 1)
		group = 0;
	if (file)
		fclose(file);
	return group;
}

/* Ask a command that does not end; then none of its processes is left. */
static void is_stopped(struct tls_options *options, const char *hanging)
{
	char command[512];
	int group = 0;
	snprintf(command, sizeof command, "echo $$ > %s; %s", helpers_path("group"), hanging);
	options->key_passphrase_command = command;
	/* On a busy machine a shell may take longer than this to begin. */
	for (int msec = 50; !group; msec *= 2) {
		options->key_passphrase_until = clock_read() + msec * USEC_PER_MSEC;
		refuses(options, "the key passphrase command did not end in time");
		group = read_group();
	}
	unlink(helpers_path("group"));
	snprintf(command, sizeof command,
		 "timeout 10 sh -c 'while pgrep -g %d -r R,S,D; do :; done' >&2", group);
	ck_assert_int_eq(system(command), 0); /* dying takes its children a moment */
}

START_TEST(a_passphrase_command_has_a_limit_and_none_of_our_files)
{
	struct tls_options options = locked_server();
	is_stopped(&options, "sleep 1000");
	is_stopped(&options, "exec >&-; sleep 1000");
	is_stopped(&options, "sleep 1000 & wait");
	is_stopped(&options, "yes");
	/* Out of its group, but not out of reach. */
	is_stopped(&options, "exec perl -e 'setpgrp(0, getpgrp(getppid())); sleep 1000'");
	options.key_passphrase_until = clock_read() + 60 * USEC_PER_SECOND;
	options.key_passphrase_command =
		"ls -l /proc/self/fd | grep -q locked.key && exit 3; echo 'a b'";
	make(&server, &options);
	/* It may say more than is asked for, and leave somebody behind who holds its output. */
	char left_behind[512];
	snprintf(left_behind, sizeof left_behind,
		 "echo 'a b'; seq 100000; sleep 1000 & echo $! > %s", helpers_path("group"));
	options.key_passphrase_command = left_behind;
	make(&server, &options);
	ck_assert_int_eq(kill(read_group(), SIGKILL), 0);
	signal(SIGCHLD, SIG_IGN); /* its status is lost: it may have failed */
	options.key_passphrase_command = "echo 'a b' # another";
	refuses(&options, "the key passphrase command ended in an unknown way");
	signal(SIGCHLD, SIG_DFL);
}
END_TEST

/* --- whom the client believes --- */

START_TEST(authorities_are_kept_once_while_the_file_is_the_same)
{
	struct tls_options options = certificates_client();
	make(&client, &options);
	make(&server, &options);
#define STORE(side) SSL_CTX_get_cert_store(tls_context_ssl((side).context))
	ck_assert_ptr_eq(STORE(client), STORE(server));
	certificates_revoke("ca", "none", 0);
	options.crl_file = certificates_path("none.crl");
	make(&server, &options);
	ck_assert_ptr_ne(STORE(client), STORE(server));
	FILE *empty = fopen(helpers_path("empty"), "w");
	fclose(empty);
	options.crl_file = helpers_path("empty"); /* is not the same as none */
	refuses(&options, "there is no list of revoked certificates in it");
	options.crl_file = NULL;
	options.ca_file = certificates_path("huge.crt");
	FILE *huge = fopen(options.ca_file, "w");
	ck_assert_int_eq(fseek(huge, TLS_FILE_MAX, SEEK_SET), 0);
	fputc('\n', huge);
	fclose(huge);
	refuses(&options, "huge.crt\": File too large");
	options.ca_file = certificates_path("hidden.crt"); /* nobody is asked for its passphrase */
	FILE *hidden = fopen(options.ca_file, "w");
	fputs("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
	      "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n"
	      "-----END CERTIFICATE-----\n",
	      hidden);
	fclose(hidden);
	refuses(&options, "hidden.crt\": bad password read");
	options.ca_file = certificates_path("ca.crt");
	certificate_make(&(struct certificate){.file = "ca", .name = "another"});
	make(&server, &options);
	ck_assert_ptr_ne(STORE(client), STORE(server));
#undef STORE
	options = certificates_server();
	make(&server, &options);
	works("localhost"); /* the client has the authorities of before */
}
END_TEST

START_TEST(the_host_name_must_be_in_the_certificate)
{
	make_both();
	works("localhost");
	works("LocalHost");
	works("db.example.com");
	works("127.0.0.1");
	client_refuses("elsewhere", "certificate verify failed: hostname mismatch");
	client_refuses("a.b.example.com", "certificate verify failed: hostname mismatch");
	client_refuses("ignored.other.com", "certificate verify failed: hostname mismatch");
	client_refuses("127.0.0.2", "certificate verify failed: IP address mismatch");
	client_refuses("::1", "certificate verify failed: IP address mismatch");
	ck_assert_ptr_null(tls_session_new(client.context, "/tmp", &error));
	ck_assert_str_eq(error.message,
			 "there is no host name to verify the server's certificate with");
	struct tls_options options = certificates_client();
	options.verify = TLS_VERIFY_CA;
	make(&client, &options);
	works("elsewhere");
	works(NULL);
	ck_assert(tls_session_peer_is_verified(client.session));
}
END_TEST

START_TEST(without_alternative_names_the_common_name_counts)
{
	struct tls_options options = certificates_server();
	certificate_make(
		&(struct certificate){.file = "server", .issuer = "ca", .name = "db.example.com"});
	make_both();
	works("db.example.com");
	client_refuses("127.0.0.1", "certificate verify failed: IP address mismatch");
	certificate_make(
		&(struct certificate){.file = "server", .issuer = "ca", .name = "127.0.0.1"});
	make(&server, &options);
	works("127.0.0.1");
	client_refuses("localhost", "certificate verify failed: hostname mismatch");
	certificate_make(
		&(struct certificate){.file = "server", .issuer = "ca", .name = "2001:db8::1"});
	make(&server, &options);
	works("2001:db8::1");
	works("2001:DB8:0::1");
	client_refuses("2001:db8::2", "certificate verify failed: IP address mismatch");
	certificate_make(&(struct certificate){.file = "server",
					       .issuer = "ca",
					       .name = "127.0.0.1",
					       .alternates = "DNS:localhost"});
	make(&server, &options);
	client_refuses("127.0.0.1", "certificate verify failed: IP address mismatch");
	certificate_make(&(struct certificate){
		.file = "server", .issuer = "ca", .alternates = "DNS:db*.example.com"});
	make(&server, &options);
	client_refuses("db1.example.com", "certificate verify failed: hostname mismatch");
}
END_TEST

START_TEST(a_bad_certificate_is_refused_with_its_reason)
{
	struct tls_options options = certificates_server();
	make_both();
	certificate_make(&(struct certificate){.file = "server",
					       .issuer = "ca",
					       .alternates = "DNS:localhost",
					       .is_expired = true});
	make(&server, &options);
	client_refuses("localhost", "certificate verify failed: certificate has expired");
	ck_assert_int_eq(server.result, TLS_BROKEN);
	ck_assert_str_eq(server.error.message, "sslv3 alert certificate expired");
	certificate_make(&(struct certificate){.file = "other", .name = "Other CA"});
	certificate_make(&(struct certificate){
		.file = "server", .issuer = "other", .alternates = "DNS:localhost"});
	make(&server, &options);
	client_refuses("localhost",
		       "certificate verify failed: unable to get local issuer certificate");
	certificate_make(&(struct certificate){.file = "server", .alternates = "DNS:localhost"});
	make(&server, &options);
	client_refuses("localhost", "certificate verify failed: self-signed certificate");
	options = (struct tls_options){.verify = TLS_VERIFY_NONE};
	make(&client, &options);
	works("localhost");
	ck_assert(tls_session_peer_has_certificate(client.session));
	ck_assert(!tls_session_peer_is_verified(client.session));
}
END_TEST

START_TEST(a_revoked_server_is_refused)
{
	struct tls_options options = certificates_client();
	make_both();
	certificates_revoke("ca", "list", 2);
	options.crl_file = certificates_path("list.crl");
	make(&client, &options);
	client_refuses("localhost", "certificate verify failed: certificate revoked");
	certificates_revoke("ca", "list", 7);
	make(&client, &options);
	works("localhost");
}
END_TEST

/* --- client certificates --- */

START_TEST(a_client_must_show_its_certificate)
{
	char text[100];
	certificate_make(&(struct certificate){
		.file = "alice", .issuer = "ca", .name = "alice", .serial = 9});
	make_with_client("alice", NULL);
	works("localhost");
	ck_assert(tls_session_peer_is_verified(server.session));
	ck_assert(tls_session_peer_name(server.session, text, sizeof text));
	ck_assert_str_eq(text, "alice");
	ck_assert(!tls_session_peer_name(server.session, text, 5));
	ck_assert(tls_session_peer_subject(server.session, text, sizeof text));
	ck_assert_str_eq(text, "CN=alice,O=Weir\\, Inc.");
	ck_assert(!tls_session_peer_subject(server.session, text, 5));
	make_with_client(NULL, NULL);
	connect_to("localhost");
	ck_assert_int_eq(server.result, TLS_BROKEN);
	ck_assert_str_eq(server.error.message, "peer did not return a certificate");
	certificates_revoke("ca", "list", 9);
	make_with_client("alice", "list.crl");
	connect_to("localhost");
	ck_assert_str_eq(server.error.message, "certificate verify failed: certificate revoked");
	certificate_make(&(struct certificate){.file = "mallory", .name = "alice"});
	make_with_client("mallory", NULL);
	connect_to("localhost");
	ck_assert_str_eq(server.error.message,
			 "certificate verify failed: self-signed certificate");
}
END_TEST

START_TEST(a_certificate_that_is_only_asked_for_may_be_missing)
{
	char text[100];
	struct tls_options options = certificates_server();
	options.asks_certificate = true;
	options.ca_file = certificates_path("ca.crt");
	make_both();
	make(&server, &options);
	works("localhost");
	ck_assert(!tls_session_peer_has_certificate(server.session));
	ck_assert(!tls_session_peer_is_verified(server.session));
	ck_assert(!tls_session_peer_name(server.session, text, sizeof text));
	ck_assert(!tls_session_peer_subject(server.session, text, sizeof text));
	certificate_make(&(struct certificate){.file = "alice", .issuer = "ca"});
	options = certificates_client();
	options.cert_file = certificates_path("alice.crt");
	options.key_file = certificates_path("alice.key");
	make(&client, &options);
	works("localhost");
	ck_assert(tls_session_peer_is_verified(server.session));
	ck_assert(!tls_session_peer_name(server.session, text, sizeof text)); /* it has none */
}
END_TEST

START_TEST(authorities_are_named_only_when_certificates_are_wanted)
{
	make_both();
	works("localhost");
	ck_assert_int_eq(
		sk_X509_NAME_num(SSL_CTX_get_client_CA_list(tls_context_ssl(server.context))), 0);
	make_with_client(NULL, NULL);
	ck_assert_int_eq(
		sk_X509_NAME_num(SSL_CTX_get_client_CA_list(tls_context_ssl(server.context))), 1);
}
END_TEST

/* --- names, protocols, tickets --- */

START_TEST(the_name_that_is_asked_for_chooses_the_certificate)
{
	uint8_t end_point[TLS_END_POINT_MAX], theirs[TLS_END_POINT_MAX];
	struct side other = {0};
	struct tls_options options = certificates_server();
	make_both();
	certificate_make(&(struct certificate){
		.file = "b", .issuer = "ca", .alternates = "DNS:b.test,DNS:x.c.test"});
	options.cert_file = certificates_path("b.crt");
	options.key_file = certificates_path("b.key");
	make(&other, &options);
	ck_assert(tls_context_add_name(server.context, "B.test", other.context, &error));
	ck_assert(tls_context_add_name(server.context, "*.c.test", other.context, &error));
	ck_assert(tls_context_add_name(server.context, "localhost", server.context, &error));
	ck_assert(!tls_context_add_name(server.context, "*.", other.context, &error));
	ck_assert(!tls_context_add_name(server.context, "a.*.test", other.context, &error));
	ck_assert(!tls_context_add_name(server.context, "", other.context, &error));
	end_side(&other);
	works("b.test");
	ck_assert_str_eq(tls_session_asked_host(server.session), "b.test");
	ck_assert_uint_eq(tls_session_end_point(server.session, end_point), 32);
	ck_assert_uint_eq(tls_session_end_point(client.session, theirs), 32);
	ck_assert_mem_eq(end_point, theirs, 32);
	works("x.C.test");
	works("localhost");
	ck_assert_uint_eq(tls_session_end_point(server.session, end_point), 32);
	ck_assert_mem_ne(end_point, theirs, 32);
	ck_assert_uint_eq(tls_session_end_point(client.session, theirs), 32);
	ck_assert_mem_eq(end_point, theirs, 32);
	works("127.0.0.1");
	ck_assert_ptr_null(tls_session_asked_host(server.session));
	client_refuses("c.test", "certificate verify failed: hostname mismatch");
	client_refuses("x.x.c.test", "certificate verify failed: hostname mismatch");
}
END_TEST

START_TEST(the_chosen_context_decides_about_client_certificates)
{
	struct side other = {0};
	struct tls_options options = certificates_server();
	make_both();
	options.verify = TLS_VERIFY_CA;
	options.ca_file = certificates_path("ca.crt");
	make(&other, &options);
	ck_assert(tls_context_add_name(server.context, "localhost", other.context, &error));
	end_side(&other);
	works("127.0.0.1");
	connect_to("localhost");
	ck_assert_str_eq(server.error.message, "peer did not return a certificate");
	certificate_make(&(struct certificate){.file = "alice", .issuer = "ca", .name = "alice"});
	options = certificates_client();
	options.cert_file = certificates_path("alice.crt");
	options.key_file = certificates_path("alice.key");
	make(&client, &options);
	works("localhost");
	ck_assert(tls_session_peer_is_verified(server.session));
}
END_TEST

START_TEST(both_sides_agree_on_postgresql)
{
	static const unsigned char none[] = "\x08http/1.1", second[] = "\x02h2\x0apostgresql";
	make_both();
	works("localhost");
	ck_assert(tls_session_has_alpn(client.session));
	ck_assert(tls_session_has_alpn(server.session));
	SSL_CTX_set_alpn_protos(tls_context_ssl(client.context), second, sizeof second - 1);
	works("localhost");
	ck_assert(tls_session_has_alpn(server.session));
	SSL_CTX_set_alpn_protos(tls_context_ssl(client.context), none, sizeof none - 1);
	connect_to("localhost");
	ck_assert_int_eq(server.result, TLS_BROKEN);
	ck_assert_str_eq(server.error.message, "no application protocol");
	SSL_CTX_set_alpn_protos(tls_context_ssl(client.context), NULL, 0);
	works("localhost");
	ck_assert(!tls_session_has_alpn(server.session));
}
END_TEST

static SSL_SESSION *ticket;

static int keep_ticket(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(ticket);
	ticket = SSL_SESSION_dup(session); /* a connection that ends spoils its own */
	return 0;
}

static void show_ticket(void)
{
	SSL_SESSION *copy = SSL_SESSION_dup(ticket);
	ck_assert_int_eq(SSL_set_session(tls_session_ssl(client.session), copy), 1);
	SSL_SESSION_free(copy);
}

/* Connect as a client that keeps tickets, with the last one if there is. */
static void connect_with_ticket(void)
{
	char byte;
	SSL_CTX *ssl = tls_context_ssl(client.context);
	SSL_CTX_set_session_cache_mode(ssl,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ssl, keep_ticket);
	begin(&server, NULL);
	begin(&client, "localhost");
	if (ticket)
		show_ticket();
	shake(sizeof client.inbox);
	ck_assert_int_eq(client.result, TLS_DONE);
	ck_assert_int_eq(server.result, TLS_DONE);
	/* In TLS 1.3 it comes with the first answer, and not alone. */
	ck_assert(SSL_version(tls_session_ssl(client.session)) != TLS1_3_VERSION ||
		  client.waiting == 0);
	ck_assert(tls_session_write(server.session, "!", 1));
	collect(&client);
	ck_assert_uint_eq(read_side(&client, &byte, 1), 1);
	ck_assert_int_eq(byte, '!');
}

static void resumption(const char *protocol)
{
	struct tls_options options = certificates_server();
	struct side old = {0};
	make_both();
	options.protocols = protocol;
	make(&server, &options);
	connect_with_ticket();
	ck_assert(!tls_session_is_resumed(server.session));
	ck_assert_ptr_nonnull(ticket);
	connect_with_ticket();
	ck_assert(tls_session_is_resumed(server.session));
	old.context = tls_context_ref(server.context);
	make(&server, &options);
	tls_context_take_tickets(server.context, old.context);
	connect_with_ticket();
	ck_assert(tls_session_is_resumed(server.session));
	clock_advance(25 * 3600 * USEC_PER_SECOND);
	make(&server, &options);
	tls_context_take_tickets(server.context, old.context);
	connect_with_ticket();
	ck_assert(!tls_session_is_resumed(server.session));
	connect_with_ticket();
	ck_assert(tls_session_is_resumed(server.session));
	clock_advance(25 * 3600 * USEC_PER_SECOND); /* the keys change without a reload, too */
	connect_with_ticket();
	ck_assert(!tls_session_is_resumed(server.session));
	connect_with_ticket();
	ck_assert(tls_session_is_resumed(server.session));
	end_side(&old);
	/* what the session was made with is not allowed any more */
	options.ciphers = "ECDHE+CHACHA20";
	options.tls13_ciphers = "TLS_CHACHA20_POLY1305_SHA256";
	old.context = tls_context_ref(server.context);
	make(&server, &options);
	tls_context_take_tickets(server.context, old.context);
	connect_with_ticket();
	ck_assert(!tls_session_is_resumed(server.session));
	end_side(&old);
	SSL_SESSION_free(ticket);
	ticket = NULL;
}

START_TEST(sessions_are_resumed_also_after_a_reload)
{
	resumption("tlsv1.3");
	resumption("tlsv1.2");
}
END_TEST

/* The last one is this one. */
static bool is_ticket(const SSL_SESSION *session)
{
	const unsigned char *bytes, *other;
	size_t size, other_size;
	SSL_SESSION_get0_ticket(ticket, &bytes, &size);
	SSL_SESSION_get0_ticket(session, &other, &other_size);
	return size == other_size && memcmp(bytes, other, size) == 0;
}

/* How many of @count clients that never show a ticket get one. */
static int tickets_among(int count)
{
	int given = 0;
	while (count-- > 0) {
		SSL_SESSION_free(ticket);
		ticket = NULL;
		connect_with_ticket();
		given += ticket != NULL;
	}
	return given;
}

START_TEST(tickets_that_never_come_back_become_rare)
{
	make_both();
	ck_assert_int_eq(tickets_among(32), 32);
	ck_assert_int_eq(tickets_among(17), 3);
	ck_assert_ptr_nonnull(ticket);
	SSL_SESSION *shown = SSL_SESSION_dup(ticket);
	connect_with_ticket(); /* no ticket would be due, but for the one that is shown */
	ck_assert(tls_session_is_resumed(server.session));
	ck_assert(!is_ticket(shown));
	SSL_SESSION_free(shown);
	ck_assert_int_eq(tickets_among(32), 32);
	SSL_SESSION_free(ticket);
	ticket = NULL;
}
END_TEST

START_TEST(whatever_comes_first_comes_behind_the_ticket)
{
	char byte;
	make_both();
	works("localhost");
	ck_assert_uint_eq(client.waiting, 0);
	ck_assert_int_eq(SSL_key_update(tls_session_ssl(client.session), SSL_KEY_UPDATE_REQUESTED),
			 1);
	ck_assert(tls_session_write(client.session, "x", 1));
	collect(&server);
	ck_assert_uint_eq(read_side(&server, &byte, 1), 1);
	collect(&client);
	ck_assert(tls_session_write(server.session, "y", 1));
	collect(&client);
	ck_assert_uint_eq(read_side(&client, &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
	works("localhost");
	tls_session_end(server.session);
	collect(&client);
	ck_assert_uint_eq(read_side(&client, &byte, 1), 0);
	ck_assert_int_eq(client.result, TLS_ENDED);
}
END_TEST

/* Resumption would not look at the certificate again, which may expire or be revoked. */
START_TEST(who_shows_a_certificate_is_not_resumed)
{
	static const char *const protocols[] = {"tlsv1.3", "tlsv1.2"};
	certificate_make(&(struct certificate){
		.file = "alice", .issuer = "ca", .name = "alice", .serial = 9});
	certificates_revoke("ca", "list", 0);
	for (int i = 0; i < 4; i++) {
		struct tls_options options = certificates_server();
		bool must_show = i < 2;
		make_with_client("alice", "list.crl");
		options.verify = must_show ? TLS_VERIFY_CA : TLS_VERIFY_NONE;
		options.asks_certificate = !must_show;
		options.ca_file = certificates_path("ca.crt");
		options.protocols = protocols[i % 2];
		make(&server, &options);
		for (int round = 0; round < 2; round++) {
			connect_with_ticket();
			ck_assert(tls_session_peer_is_verified(server.session));
			ck_assert(!tls_session_is_resumed(server.session));
			ck_assert_ptr_nonnull(ticket);
		}
		SSL_SESSION_free(ticket);
		ticket = NULL;
		if (must_show)
			continue;
		options = certificates_client(); /* who is asked, and shows none */
		make(&client, &options);
		connect_with_ticket();
		connect_with_ticket();
		ck_assert(tls_session_is_resumed(server.session));
		SSL_SESSION_free(ticket);
		ticket = NULL;
	}
}
END_TEST

START_TEST(a_session_of_one_name_is_not_resumed_under_another)
{
	struct side other = {0};
	struct tls_options options = certificates_server();
	make_both();
	options.verify = TLS_VERIFY_CA;
	options.ca_file = certificates_path("ca.crt");
	make(&other, &options);
	ck_assert(tls_context_add_name(server.context, "db.example.com", other.context, &error));
	end_side(&other);
	connect_with_ticket();
	connect_with_ticket();
	ck_assert(tls_session_is_resumed(server.session));
	begin(&server, NULL);
	begin(&client, "db.example.com");
	show_ticket();
	shake(sizeof client.inbox);
	ck_assert_int_eq(server.result, TLS_BROKEN);
	ck_assert_str_eq(server.error.message, "peer did not return a certificate");
	SSL_SESSION_free(ticket);
	ticket = NULL;
}
END_TEST

/* --- channel binding --- */

static size_t hash_file(const char *name, const char *digest, uint8_t *data)
{
	unsigned size;
	FILE *file = fopen(helpers_path(name), "r");
	X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	ck_assert_int_eq(X509_digest(certificate, EVP_get_digestbyname(digest), data, &size), 1);
	X509_free(certificate);
	return size;
}

START_TEST(both_sides_bind_to_the_servers_certificate)
{
	static const struct {
		const char *key, *digest, *hash;
	} rows[] = {
		{"EC", "SHA256", "SHA256"},  {"EC", "SHA384", "SHA384"},
		{"RSA", "SHA256", "SHA256"}, {"RSA", "SHA512", "SHA512"},
		{"RSA", "SHA1", "SHA256"},   {"ED25519", "none", NULL},
	};
	struct tls_options insecure = {.ciphers = "ALL:@SECLEVEL=0"};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		uint8_t mine[TLS_END_POINT_MAX], theirs[TLS_END_POINT_MAX], hash[64];
		struct tls_options options = certificates_server();
		certificate_make(&(struct certificate){
			.file = "server", .key = rows[i].key, .digest = rows[i].digest});
		options.ciphers = insecure.ciphers;
		make(&server, &options);
		make(&client, &insecure);
		works("localhost");
		size_t size = rows[i].hash ? hash_file("server.crt", rows[i].hash, hash) : 0;
		ck_assert_uint_eq(tls_session_end_point(server.session, mine), size);
		ck_assert_uint_eq(tls_session_end_point(client.session, theirs), size);
		ck_assert(memcmp(mine, hash, size) == 0 && memcmp(theirs, hash, size) == 0);
	}
}
END_TEST

/* --- bytes --- */

START_TEST(one_byte_at_a_time_is_enough)
{
	char text[10];
	size_t got = 0;
	make_both();
	begin(&server, NULL);
	begin(&client, "localhost");
	shake(1);
	ck_assert_int_eq(client.result, TLS_DONE);
	ck_assert_int_eq(server.result, TLS_DONE);
	ck_assert(tls_session_write(client.session, "hello", 5));
	collect(&server);
	while (server.waiting > 0) {
		size_t some;
		receive(&server, 1);
		tls_session_read(server.session, text + got, sizeof text - got, &some);
		ck_assert(tls_session_keep(server.session));
		got += some;
	}
	ck_assert_uint_eq(got, 5);
	ck_assert_mem_eq(text, "hello", 5);
}
END_TEST

START_TEST(what_is_no_tls_breaks_the_session)
{
	static const char *const texts[] = {
		"GET / HTTP/1.0\r\n\r\n", "\x16\x03\x01\xff\xff\x01\x00\x00\x00\x00\x00",
		"\x16\x03\x01\x00\x05\x63\x00\x00\x01\x01", "S", "E\x03"};
	static const size_t sizes[] = {18, 11, 10, 1, 2};
	make_both();
	for (int i = 0; i < 3; i++) {
		begin(&server, NULL);
		memcpy(server.inbox, texts[i], sizes[i]);
		server.waiting = sizes[i];
		step(&server, &client, sizeof server.inbox);
		ck_assert_int_eq(server.result, TLS_BROKEN);
		ck_assert_str_ne(server.error.message, "");
		ck_assert_int_eq(tls_session_is_pending(server.session), true);
	}
}
END_TEST

START_TEST(no_alteration_of_a_hello_does_harm)
{
	static uint8_t hello[4096];
	make_both();
	begin(&client, "localhost");
	step(&client, &server, 0);
	size_t size = server.waiting;
	ck_assert_uint_le(size, sizeof hello);
	memcpy(hello, server.inbox, size);
	for (size_t i = 0; i < size * 2; i++) {
		begin(&server, NULL);
		memcpy(server.inbox, hello, size);
		server.waiting = i < size ? size : i - size;
		if (i < size)
			server.inbox[i] ^= (uint8_t)(1 + i % 255);
		client.waiting = 0;
		step(&server, &client, sizeof server.inbox);
		ck_assert_int_ne(server.result, TLS_DONE);
		ck_assert(i < size || server.result == TLS_MORE);
	}
}
END_TEST

/* HelloRequests, which TLS 1.2 lets a client pass over while it shakes hands, without an end. */
START_TEST(a_handshake_that_does_not_come_to_an_end_is_broken_off)
{
	static const uint8_t hello_request[] = {22, 3, 3, 0, 4, 0, 0, 0, 0};
	size_t sent = 0;
	make_both();
	begin(&client, "localhost");
	step(&client, &server, sizeof client.inbox);
	while (client.result == TLS_MORE && sent < 10 << 20) {
		while (client.waiting < 60000) {
			memcpy(client.inbox + client.waiting, hello_request, sizeof hello_request);
			client.waiting += sizeof hello_request;
			sent += sizeof hello_request;
		}
		step(&client, &server, sizeof client.inbox);
		server.waiting = 0;
	}
	ck_assert_int_eq(client.result, TLS_BROKEN);
	ck_assert_str_eq(client.error.message, "the TLS handshake does not come to an end");
	ck_assert_uint_le(sent, 1 << 20);
}
END_TEST

START_TEST(a_server_does_not_negotiate_again)
{
	char text[10];
	struct tls_options options = certificates_server();
	options.protocols = "tlsv1.2";
	make_both();
	make(&server, &options);
	works("localhost");
	SSL_CTX_clear_options(tls_context_ssl(client.context), SSL_OP_NO_RENEGOTIATION);
	SSL_clear_options(tls_session_ssl(client.session), SSL_OP_NO_RENEGOTIATION);
	ck_assert_int_eq(SSL_renegotiate(tls_session_ssl(client.session)), 1);
	client.result = TLS_MORE;
	step(&client, &server, 0);
	ck_assert_uint_gt(server.waiting, 0);
	ck_assert_uint_eq(read_side(&server, text, sizeof text), 0);
	collect(&client);
	ck_assert_uint_le(client.waiting, 64); /* an alert, no handshake */
	ck_assert_int_ne(server.result, TLS_DONE);
}
END_TEST

START_TEST(altered_bytes_break_the_session)
{
	char text[10];
	make_both();
	works("localhost");
	ck_assert(tls_session_write(client.session, "hello", 5));
	collect(&server);
	server.inbox[server.waiting - 3] ^= 1;
	ck_assert_uint_eq(read_side(&server, text, sizeof text), 0);
	ck_assert_int_eq(server.result, TLS_BROKEN);
	ck_assert(!tls_session_write(server.session, "x", 1));
	tls_output_clear();
}
END_TEST

START_TEST(the_end_is_said_and_heard_after_the_data)
{
	char text[10];
	make_both();
	works("localhost");
	ck_assert(tls_session_write(client.session, "bye", 3));
	tls_session_end(client.session);
	tls_session_end(client.session);
	ck_assert(!tls_session_write(client.session, "x", 1));
	collect(&server);
	ck_assert_uint_eq(read_side(&server, text, sizeof text), 3);
	ck_assert_int_eq(server.result, TLS_DONE);
	ck_assert(tls_session_is_pending(server.session));
	ck_assert_uint_eq(read_side(&server, text, sizeof text), 0);
	ck_assert_int_eq(server.result, TLS_ENDED);
	ck_assert(tls_session_write(server.session, "you too", 7)); /* that side is open */
	collect(&client);
	ck_assert_uint_eq(read_side(&client, text, sizeof text), 7);
}
END_TEST

Suite *suite_tls(void)
{
	Suite *suite = suite_create("tls");
	TCase *tests = tcase_create("tls");
	tcase_add_checked_fixture(tests, open_tls, close_tls);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, errors_name_the_file_and_what_is_wrong);
	tcase_add_test(tests, authorities_and_revocations_are_checked);
	tcase_add_test(tests, words_are_checked);
	tcase_add_test(tests, all_words_of_the_configuration_work);
	tcase_add_test(tests, protocols_and_ciphers_are_those_of_the_options);
	tcase_add_test(tests, a_passphrase_comes_from_the_command);
	tcase_add_test(tests, a_passphrase_is_asked_for_once_while_the_key_is_in_use);
	tcase_add_test(tests, a_passphrase_command_has_a_limit_and_none_of_our_files);
	tcase_add_test(tests, authorities_are_kept_once_while_the_file_is_the_same);
	tcase_add_test(tests, the_host_name_must_be_in_the_certificate);
	tcase_add_test(tests, without_alternative_names_the_common_name_counts);
	tcase_add_test(tests, a_bad_certificate_is_refused_with_its_reason);
	tcase_add_test(tests, a_revoked_server_is_refused);
	tcase_add_test(tests, a_client_must_show_its_certificate);
	tcase_add_test(tests, a_certificate_that_is_only_asked_for_may_be_missing);
	tcase_add_test(tests, authorities_are_named_only_when_certificates_are_wanted);
	tcase_add_test(tests, the_name_that_is_asked_for_chooses_the_certificate);
	tcase_add_test(tests, the_chosen_context_decides_about_client_certificates);
	tcase_add_test(tests, both_sides_agree_on_postgresql);
	tcase_add_test(tests, sessions_are_resumed_also_after_a_reload);
	tcase_add_test(tests, tickets_that_never_come_back_become_rare);
	tcase_add_test(tests, whatever_comes_first_comes_behind_the_ticket);
	tcase_add_test(tests, who_shows_a_certificate_is_not_resumed);
	tcase_add_test(tests, a_session_of_one_name_is_not_resumed_under_another);
	tcase_add_test(tests, both_sides_bind_to_the_servers_certificate);
	tcase_add_test(tests, one_byte_at_a_time_is_enough);
	tcase_add_test(tests, what_is_no_tls_breaks_the_session);
	tcase_add_test(tests, no_alteration_of_a_hello_does_harm);
	tcase_add_test(tests, a_handshake_that_does_not_come_to_an_end_is_broken_off);
	tcase_add_test(tests, a_server_does_not_negotiate_again);
	tcase_add_test(tests, altered_bytes_break_the_session);
	tcase_add_test(tests, the_end_is_said_and_heard_after_the_data);
	suite_add_tcase(suite, tests);
	return suite;
}
