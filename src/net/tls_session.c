/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_session.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/memory.h"
#include "net/tls_file.h"
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	RECORD_HEAD = 5,
	RECORD_MAX = TLS_RECORD + 2048 + RECORD_HEAD, /* as it is received */
	INPUT_SIZE = 65536 + RECORD_MAX,
	INPUT_LEAST = TLS_RECORD + 512, /* a full record as it usually is */
	OUTPUT_SIZE = 98304,
	OUTPUT_MAX = 1 << 20,	    /* of one handshake step */
	HANDSHAKE_MAX = 512 * 1024, /* received; certificates are bounded at 100 kB by OpenSSL */
};

struct tls_session {
	SSL *ssl;
	struct tls_context *context;
	struct buffer *kept;   /* received, and not understood yet */
	struct buffer *ticket; /* sent with what is written first, see hold_ticket() */
	size_t handshake_size; /* received for it so far */
	bool broken, ended;
	bool closing; /* close_notify is said, or nobody would hear it */
};

static struct {
	BIO_METHOD *method;
	BIO *bio;		     /* of all sessions: it has no state between two calls */
	struct tls_session *session; /* the one that works now */
	/* Its received bytes. */
	uint8_t *input;
	size_t start, end;
	size_t ready; /* up to here there are whole records */
	/* What is to be sent. */
	uint8_t *output;
	size_t output_length, output_size;
} room;

/* Another room may have left something in the queue, which would be taken for ours. To empty an
 * empty queue would take as long as to read a record. */
static void clear_errors(void)
{
	if (ERR_peek_error() != 0)
		ERR_clear_error();
}

/* @session works now. */
static void enter(struct tls_session *session)
{
	clear_errors();
	room.session = session;
}

/* --- the output --- */

static bool output_append(const void *bytes, size_t size)
{
	if (size > room.output_size - room.output_length) {
		size_t wanted = room.output_size * 2 + size;
		if (wanted > OUTPUT_MAX)
			return false;
		room.output = memory_realloc(room.output, wanted);
		room.output_size = wanted;
	}
	memcpy(room.output + room.output_length, bytes, size);
	room.output_length += size;
	return true;
}

const uint8_t *tls_output(size_t *size)
{
	*size = room.output_length;
	return room.output;
}

void tls_output_clear(void)
{
	room.output_length = 0;
}

/* --- the BIO between OpenSSL and the two buffers --- */

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *written)
{
	struct buffer **ticket = &room.session->ticket;
	BIO_clear_retry_flags(bio);
	*written = 0;
	if (*ticket && !output_append(buffer_bytes(*ticket), buffer_length(*ticket)))
		return 0;
	buffer_free(ticket);
	*written = output_append(bytes, size) ? size : 0;
	return *written == size;
}

/* OpenSSL sees whole records only, so it need not keep a part of one in a buffer of its own. */
static int bio_read(BIO *bio, char *bytes, size_t size, size_t *got)
{
	size_t there = room.ready - room.start;
	BIO_clear_retry_flags(bio);
	if (there == 0) {
		BIO_set_retry_read(bio);
		*got = 0;
		return 0;
	}
	*got = size < there ? size : there;
	memcpy(bytes, room.input + room.start, *got);
	room.start += *got;
	return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static bool prepare(void)
{
	if (room.bio)
		return true;
	if (!room.method)
		room.method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pgweir");
	if (!room.method)
		return false;
	BIO_meth_set_write_ex(room.method, bio_write);
	BIO_meth_set_read_ex(room.method, bio_read);
	BIO_meth_set_ctrl(room.method, bio_ctrl);
	room.bio = BIO_new(room.method);
	if (!room.bio)
		return false;
	BIO_set_init(room.bio, 1);
	room.input = memory_alloc(INPUT_SIZE);
	room.output = memory_alloc(OUTPUT_SIZE);
	room.output_size = OUTPUT_SIZE;
	return true;
}

void tls_session_release(void)
{
	BIO_free(room.bio);
	BIO_meth_free(room.method);
	memory_free(&room.input);
	memory_free(&room.output);
	memset(&room, 0, sizeof room);
}

/* --- life --- */

static bool is_ip(const char *host)
{
	uint8_t bytes[16];
	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool names_address(X509 *certificate)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	bool found = false;
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int type = sk_GENERAL_NAME_value(names, i)->type;
		found |= type == GEN_DNS || type == GEN_IPADD;
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* The first common name of a certificate. */
static bool print_common_name(X509 *certificate, char *text, size_t size)
{
	X509_NAME *subject = certificate ? X509_get_subject_name(certificate) : NULL;
	int place = subject ? X509_NAME_get_index_by_NID(subject, NID_commonName, -1) : -1;
	if (place < 0)
		return false;
	unsigned char *name;
	int length = ASN1_STRING_to_UTF8(
		&name, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
	if (length < 0) {
		ERR_clear_error();
		return false;
	}
	bool well = (size_t)length < size && !memchr(name, '\0', (size_t)length);
	if (well) {
		memcpy(text, name, (size_t)length);
		text[length] = '\0';
	}
	OPENSSL_free(name);
	return well;
}

static bool is_same_ip(const char *a, const char *b)
{
	uint8_t one[16], other[16];
	if (inet_pton(AF_INET, a, one) == 1)
		return inet_pton(AF_INET, b, other) == 1 && memcmp(one, other, 4) == 0;
	return inet_pton(AF_INET6, a, one) == 1 && inet_pton(AF_INET6, b, other) == 1 &&
	       memcmp(one, other, 16) == 0;
}

/* Like libpq, take an address in the common name of a certificate that has no alternative names. */
static int judge(int well, X509_STORE_CTX *store)
{
	if (well || X509_STORE_CTX_get_error(store) != X509_V_ERR_IP_ADDRESS_MISMATCH)
		return well;
	char name[INET6_ADDRSTRLEN];
	X509 *certificate = X509_STORE_CTX_get_current_cert(store);
	char *host = X509_VERIFY_PARAM_get1_ip_asc(X509_STORE_CTX_get0_param(store));
	if (host && certificate && !names_address(certificate) &&
	    print_common_name(certificate, name, sizeof name) && is_same_ip(host, name)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		well = 1;
	}
	OPENSSL_free(host);
	return well;
}

static bool demand_host(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!is_ip(host))
		return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
	SSL_set_verify(ssl, SSL_get_verify_mode(ssl), judge);
	return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
}

static bool set_up(struct tls_session *session, const char *host, struct error *error)
{
	BIO_up_ref(room.bio);
	SSL_set_bio(session->ssl, room.bio, room.bio);
	if (tls_context_accepts(session->context)) {
		SSL_set_accept_state(session->ssl);
		return tls_context_gives_ticket(session->context) ||
		       SSL_set_num_tickets(session->ssl, 0) == 1;
	}
	SSL_set_connect_state(session->ssl);
	bool has_host = host && *host && *host != '/' && *host != '@';
	if (has_host && !is_ip(host) && SSL_set_tlsext_host_name(session->ssl, host) != 1)
		return tls_error(error, "TLS server name");
	if (tls_context_verify(session->context) != TLS_VERIFY_FULL)
		return true;
	if (!has_host)
		return error_set(error, SQLSTATE_CONNECTION_FAILURE,
				 "there is no host name to verify the server's certificate with");
	return demand_host(session->ssl, host) || tls_error(error, "TLS host name");
}

struct tls_session *tls_session_new(struct tls_context *context, const char *host,
				    struct error *error)
{
	clear_errors();
	SSL *ssl = prepare() ? SSL_new(tls_context_ssl(context)) : NULL;
	if (!ssl) {
		tls_error(error, "TLS");
		return NULL;
	}
	struct tls_session *session = memory_alloc(sizeof *session);
	session->ssl = ssl;
	session->context = tls_context_ref(context);
	if (!set_up(session, host, error))
		tls_session_free(&session);
	return session;
}

void tls_session_free(struct tls_session **session)
{
	struct tls_session *freed = *session;
	*session = NULL;
	if (!freed)
		return;
	SSL_set_quiet_shutdown(freed->ssl, 1);
	SSL_free(freed->ssl);
	buffer_free(&freed->kept);
	buffer_free(&freed->ticket);
	tls_context_free(&freed->context);
	memory_free(&freed);
	clear_errors();
}

/* --- the input --- */

/* Bytes of the record that begins at @head; 0: not known yet. What is no record at all is the rest,
 * for OpenSSL to refuse. */
static size_t record_size(const uint8_t *head, size_t size)
{
	if (head[0] < SSL3_RT_CHANGE_CIPHER_SPEC || head[0] > SSL3_RT_APPLICATION_DATA)
		return size;
	if (size < RECORD_HEAD)
		return size > 1 && head[1] != SSL3_VERSION_MAJOR ? size : 0;
	size_t body = (size_t)head[3] << 8 | head[4];
	if (head[1] != SSL3_VERSION_MAJOR || body > RECORD_MAX - RECORD_HEAD)
		return size;
	return RECORD_HEAD + body;
}

static size_t whole_records(const uint8_t *bytes, size_t size)
{
	size_t whole = 0;
	while (whole < size) {
		size_t record = record_size(bytes + whole, size - whole);
		if (record == 0 || record > size - whole)
			break;
		whole += record;
	}
	return whole;
}

bool tls_session_feed(struct tls_session *session, const void *bytes, size_t size)
{
	return buffer_append(&session->kept, bytes, size, INPUT_SIZE - INPUT_LEAST);
}

uint8_t *tls_session_room(struct tls_session *session, size_t wanted, size_t *size)
{
	size_t kept = buffer_length(session->kept);
	assert(kept < INPUT_SIZE && room.start == room.end);
	if (kept) {
		memcpy(room.input, buffer_bytes(session->kept), kept);
		buffer_free(&session->kept);
	}
	room.start = room.ready = 0;
	room.end = kept;
	*size = wanted > INPUT_LEAST ? wanted : INPUT_LEAST;
	if (*size > INPUT_SIZE - kept)
		*size = INPUT_SIZE - kept;
	return room.input + kept;
}

void tls_session_received(struct tls_session *session, size_t size)
{
	(void)session;
	room.end += size;
	room.ready = whole_records(room.input, room.end);
}

bool tls_session_keep(struct tls_session *session)
{
	size_t left = room.end - room.start;
	const uint8_t *bytes = room.input + room.start;
	room.start = room.ready = room.end = 0;
	if (left == 0 || session->broken || session->ended)
		return true;
	if (buffer_append(&session->kept, bytes, left, INPUT_SIZE))
		return true;
	session->broken = true;
	return false;
}

bool tls_session_is_ready(const struct tls_session *session)
{
	return session->broken || session->ended || SSL_pending(session->ssl) > 0;
}

bool tls_session_is_pending(const struct tls_session *session)
{
	if (tls_session_is_ready(session))
		return true;
	return session->kept &&
	       whole_records(buffer_bytes(session->kept), buffer_length(session->kept)) > 0;
}

/* --- handshake --- */

/* "certificate verify failed: certificate has expired" */
static void describe_failure(const struct tls_session *session, struct error *error)
{
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(session->ssl);
	const char *reason = code ? ERR_reason_error_string(code) : NULL;
	bool verifies = SSL_get_verify_mode(session->ssl) != SSL_VERIFY_NONE;
	if (verifies && verified != X509_V_OK)
		error_set(error, SQLSTATE_CONNECTION_FAILURE, "certificate verify failed: %s",
			  X509_verify_cert_error_string(verified));
	else if (reason)
		error_set(error, SQLSTATE_CONNECTION_FAILURE, "%s", reason);
	else
		error_set(error, SQLSTATE_CONNECTION_FAILURE, "the TLS handshake failed");
}

/* The last step of TLS 1.3 makes nothing but a ticket, for which the client does not wait: it
 * leaves with our first answer, in the same system call. No memory: it leaves now. */
static void hold_ticket(struct tls_session *session)
{
	bool is_last = tls_context_accepts(session->context) &&
		       SSL_version(session->ssl) == TLS1_3_VERSION;
	if (is_last && buffer_append(&session->ticket, room.output, room.output_length, OUTPUT_MAX))
		tls_output_clear();
}

/* Tickets are meant for one use: whoever showed one is due another. */
static void replace_ticket(struct tls_session *session)
{
	if (!tls_context_accepts(session->context) || !SSL_session_reused(session->ssl))
		return;
	tls_context_ticket_returned(session->context);
	SSL_set_num_tickets(session->ssl, 1);
}

enum tls_result tls_session_handshake(struct tls_session *session, struct error *error)
{
	enter(session);
	size_t begun = room.start;
	int result = SSL_do_handshake(session->ssl);
	if (result == 1) {
		hold_ticket(session);
		return TLS_DONE;
	}
	session->handshake_size += room.start - begun;
	bool goes_on = SSL_get_error(session->ssl, result) == SSL_ERROR_WANT_READ;
	if (goes_on && session->handshake_size <= HANDSHAKE_MAX) {
		replace_ticket(session); /* before the client's Finished, after which it is made */
		return TLS_MORE;
	}
	if (goes_on) /* messages that OpenSSL passes over, like HelloRequest */
		error_set(error, SQLSTATE_CONNECTION_FAILURE,
			  "the TLS handshake does not come to an end");
	else
		describe_failure(session, error);
	ERR_clear_error();
	session->broken = true;
	return TLS_BROKEN;
}

/* --- data --- */

static enum tls_result read_ended(struct tls_session *session, int result)
{
	int reason = SSL_get_error(session->ssl, result);
	if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE)
		return TLS_MORE;
	ERR_clear_error();
	if (reason == SSL_ERROR_ZERO_RETURN) {
		session->ended = true;
		return TLS_ENDED;
	}
	session->broken = true;
	return TLS_BROKEN;
}

enum tls_result tls_session_read(struct tls_session *session, void *bytes, size_t size, size_t *got)
{
	enum tls_result end = TLS_MORE;
	*got = 0;
	if (session->ended || session->broken)
		return session->ended ? TLS_ENDED : TLS_BROKEN;
	enter(session);
	while (*got < size && (room.start < room.ready || SSL_pending(session->ssl) > 0)) {
		size_t some = 0;
		int result = SSL_read_ex(session->ssl, (uint8_t *)bytes + *got, size - *got, &some);
		*got += some;
		if (result != 1 && (end = read_ended(session, result)) != TLS_MORE)
			break;
	}
	/* What came before the end is delivered first. */
	return *got ? TLS_DONE : end;
}

bool tls_session_write(struct tls_session *session, const void *bytes, size_t size)
{
	const uint8_t *next = bytes;
	if (session->broken || session->closing)
		return false;
	enter(session);
	while (size > 0) {
		size_t written = 0;
		if (SSL_write_ex(session->ssl, next, size, &written) != 1) {
			ERR_clear_error();
			session->broken = true;
			return false;
		}
		next += written;
		size -= written;
	}
	return true;
}

void tls_session_hide(const struct tls_session *session, bool hides)
{
	if (hides)
		SSL_set_options(session->ssl, SSL_OP_CLEANSE_PLAINTEXT);
	else
		SSL_clear_options(session->ssl, SSL_OP_CLEANSE_PLAINTEXT);
}

void tls_session_end(struct tls_session *session)
{
	if (session->broken || session->closing || !SSL_is_init_finished(session->ssl))
		return;
	enter(session);
	session->closing = true;
	(void)SSL_shutdown(session->ssl);
	clear_errors();
}

void tls_session_forgo_end(struct tls_session *session)
{
	session->closing = true;
}

/* --- facts --- */

struct ssl_st *tls_session_ssl(const struct tls_session *session)
{
	return session->ssl;
}

void tls_session_describe(const struct tls_session *session, char *text, size_t size)
{
	snprintf(text, size, "%s/%s", SSL_get_version(session->ssl),
		 SSL_get_cipher_name(session->ssl));
}

bool tls_session_has_alpn(const struct tls_session *session)
{
	const unsigned char *name;
	unsigned size;
	SSL_get0_alpn_selected(session->ssl, &name, &size);
	return size == 10 && memcmp(name, "postgresql", 10) == 0;
}

bool tls_session_is_resumed(const struct tls_session *session)
{
	return SSL_session_reused(session->ssl) == 1;
}

const char *tls_session_asked_host(const struct tls_session *session)
{
	return SSL_get_servername(session->ssl, TLSEXT_NAMETYPE_host_name);
}

bool tls_session_peer_has_certificate(const struct tls_session *session)
{
	return SSL_get0_peer_certificate(session->ssl) != NULL;
}

struct tls_context *tls_session_context(const struct tls_session *session)
{
	return session->context;
}

bool tls_session_peer_is_verified(const struct tls_session *session)
{
	return tls_session_peer_has_certificate(session) &&
	       SSL_get_verify_mode(session->ssl) != SSL_VERIFY_NONE &&
	       SSL_get_verify_result(session->ssl) == X509_V_OK;
}

bool tls_session_peer_name(const struct tls_session *session, char *text, size_t size)
{
	return print_common_name(SSL_get0_peer_certificate(session->ssl), text, size);
}

bool tls_session_peer_subject(const struct tls_session *session, char *text, size_t size)
{
	X509 *certificate = SSL_get0_peer_certificate(session->ssl);
	BIO *memory = certificate ? BIO_new(BIO_s_mem()) : NULL;
	char *bytes = NULL;
	bool well = false;
	if (memory && X509_NAME_print_ex(memory, X509_get_subject_name(certificate), 0,
					 XN_FLAG_RFC2253) >= 0) {
		long length = BIO_get_mem_data(memory, &bytes);
		well = length >= 0 && (size_t)length < size &&
		       (length == 0 || !memchr(bytes, '\0', (size_t)length));
		if (well && length)
			memcpy(text, bytes, (size_t)length);
		if (well)
			text[length] = '\0';
	}
	BIO_free(memory);
	ERR_clear_error();
	return well;
}

size_t tls_session_end_point(const struct tls_session *session, uint8_t data[TLS_END_POINT_MAX])
{
	if (!tls_context_accepts(session->context))
		return tls_end_point(SSL_get0_peer_certificate(session->ssl), data);
	/* Not always session->context: the client may have asked for another name. */
	return tls_context_end_point(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session->ssl)), data);
}
