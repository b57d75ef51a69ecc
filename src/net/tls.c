/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/text.h"
#include "net/tls_file.h"
#include "net/tls_kept.h"
#include "net/tls_key.h"
#include "net/tls_trust.h"
#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* Who learns these keys can read what was recorded with TLS 1.2 since they were made. */
#define TICKET_KEYS_LIFE (24 * 3600 * USEC_PER_SECOND)

/* So many handshakes without a ticket that came back say that the clients keep none. */
enum { TICKETS_TRIED = 32, TICKETS_SELDOM = 8 };

struct tls_name {
	struct tls_name *next;
	struct tls_context *context;
	char text[]; /* in lower case; "*.x" is kept as ".x" */
};

struct tls_context {
	SSL_CTX *ssl;
	struct tls_key *key;	 /* NULL: it shows no certificate */
	struct tls_trust *trust; /* NULL: nobody, or the system's */
	unsigned references;
	bool accepts;
	enum tls_verify verify;
	struct tls_name *names;
	usec_t ticket_keys_since;
	unsigned unreturned; /* handshakes since a ticket came back */
	bool has_end_point;  /* known since it was first asked for */
	size_t end_point_size;
	uint8_t end_point[TLS_END_POINT_MAX];
};

static const char *word(const char *text)
{
	return text ? text : "";
}

static bool is_one_of(const char *text, const char *words)
{
	char item[32];
	while (text_next_item(&words, item, sizeof item))
		if (text_equals_nocase(text, item))
			return true;
	return false;
}

/* --- protocols --- */

static const struct protocol {
	const char *name;
	int version;
	uint64_t off; /* the option that leaves it out */
} protocols[] = {
	{"tlsv1.0", TLS1_VERSION, SSL_OP_NO_TLSv1},
	{"tlsv1.1", TLS1_1_VERSION, SSL_OP_NO_TLSv1_1},
	{"tlsv1.2", TLS1_2_VERSION, SSL_OP_NO_TLSv1_2},
	{"tlsv1.3", TLS1_3_VERSION, SSL_OP_NO_TLSv1_3},
};
enum { PROTOCOLS = sizeof protocols / sizeof protocols[0], ALL = 0xf, SECURE = 0xc };

static unsigned protocol_bits(const char *name)
{
	if (is_one_of(name, "all"))
		return ALL;
	if (is_one_of(name, "secure,default"))
		return SECURE;
	for (unsigned i = 0; i < PROTOCOLS; i++)
		if (text_equals_nocase(name, protocols[i].name))
			return 1u << i;
	return 0;
}

/* 0: refused. */
static unsigned read_protocols(const char *list, struct error *error)
{
	unsigned wanted = 0;
	const char *rest = word(list);
	char item[32];
	if (!*rest)
		return SECURE;
	while (text_next_item(&rest, item, sizeof item)) {
		bool leaves_out = item[0] == '!';
		unsigned bits = protocol_bits(item + leaves_out);
		if (!bits) {
			error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				  "unknown TLS protocol \"%s\" in \"%s\"", item, list);
			error_hint(error,
				   "Known are tlsv1.0, tlsv1.1, tlsv1.2, tlsv1.3, all, "
				   "secure and default, each with ! before it to remove it.");
			return 0;
		}
		if (!leaves_out)
			wanted |= bits;
		else /* what is only taken away is taken from all */
			wanted = (wanted ? wanted : ALL) & ~bits;
	}
	if (!wanted)
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "the TLS protocols \"%s\" leave none to use", list);
	return wanted;
}

bool tls_protocols_are_known(const char *list, struct error *error)
{
	return read_protocols(list, error) != 0;
}

static bool set_protocols(SSL_CTX *ssl, const char *list, struct error *error)
{
	unsigned wanted = read_protocols(list, error);
	int lowest = 0, highest = 0;
	if (!wanted)
		return false;
	for (unsigned i = 0; i < PROTOCOLS; i++) {
		if (!(wanted & (1u << i))) {
			SSL_CTX_set_options(ssl, protocols[i].off);
			continue;
		}
		lowest = lowest ? lowest : protocols[i].version;
		highest = protocols[i].version;
	}
	if (!SSL_CTX_set_min_proto_version(ssl, lowest) ||
	    !SSL_CTX_set_max_proto_version(ssl, highest))
		return tls_file_error(error, "TLS protocols", list);
	return true;
}

/* --- ciphers and groups --- */

static bool set_ciphers(SSL_CTX *ssl, const struct tls_options *options, struct error *error)
{
	const char *list = word(options->ciphers), *suites = word(options->tls13_ciphers);
	/* The system's policy is what the library begins with. */
	if (*list && !is_one_of(list, "default,secure,fast,normal") &&
	    SSL_CTX_set_cipher_list(ssl, list) != 1)
		return tls_file_error(error, "TLS ciphers", list);
	if (*suites && !is_one_of(suites, "default") && SSL_CTX_set_ciphersuites(ssl, suites) != 1)
		return tls_file_error(error, "TLS 1.3 cipher suites", suites);
	return true;
}

/* Without curves: only what is not based on them, in TLS 1.2. TLS 1.3 knows no other way here. */
static bool drop_curves(SSL_CTX *ssl, const struct tls_options *options, struct error *error)
{
	char list[1024];
	const char *ciphers = word(options->ciphers);
	if (!*ciphers || is_one_of(ciphers, "default,secure,fast,normal"))
		ciphers = "DEFAULT";
	snprintf(list, sizeof list, "%s:!kECDHE", ciphers);
	return SSL_CTX_set_cipher_list(ssl, list) == 1 ||
	       tls_file_error(error, "TLS ciphers", list);
}

static bool set_groups(SSL_CTX *ssl, const struct tls_options *options, struct error *error)
{
	const char *curve = word(options->ecdhcurve), *params = word(options->dheparams);
	if (is_one_of(curve, "none")) {
		if (!drop_curves(ssl, options, error))
			return false;
	} else if (*curve && !is_one_of(curve, "auto") &&
		   SSL_CTX_set1_groups_list(ssl, curve) != 1) {
		ERR_clear_error();
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "unknown TLS curve \"%s\"",
				 curve);
	}
	if (*params && !is_one_of(params, "none,auto,legacy"))
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "TLS dheparams must be none, auto or legacy, not \"%s\"", params);
	/* 1: as strong as the certificate; 2: 1024 bits. */
	SSL_CTX_set_dh_auto(ssl, is_one_of(params, "none")     ? 0
				 : is_one_of(params, "legacy") ? 2
							       : 1);
	return true;
}

/* --- certificate and key --- */

static bool load_key(struct tls_context *context, const struct tls_options *options,
		     struct error *error)
{
	context->key = tls_key_open(options->key_file, word(options->key_passphrase_command),
				    options->key_passphrase_until, error);
	return context->key &&
	       (SSL_CTX_use_PrivateKey(context->ssl, tls_key_pkey(context->key)) == 1 ||
		tls_file_error(error, "TLS key file", options->key_file));
}

static bool set_certificate(struct tls_context *context, const struct tls_options *options,
			    struct error *error)
{
	const char *certificate = word(options->cert_file), *key = word(options->key_file);
	if (!*certificate && !*key)
		return !options->accepts ||
		       error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "TLS needs a certificate file and a key file");
	if (!*certificate)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "TLS key file \"%s\" has no certificate file with it", key);
	if (!*key)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "TLS certificate file \"%s\" has no key file with it",
				 certificate);
	if (!tls_file_is_readable("TLS certificate file", certificate, error))
		return false;
	if (SSL_CTX_use_certificate_chain_file(context->ssl, certificate) != 1)
		return tls_file_error(error, "cannot load TLS certificate file", certificate);
	return load_key(context, options, error) && (SSL_CTX_check_private_key(context->ssl) == 1 ||
						     tls_file_error(error, "TLS key file", key));
}

/* --- whom we trust --- */

static bool hash_word(EVP_MD_CTX *hash, const char *text)
{
	return EVP_DigestUpdate(hash, word(text), strlen(word(text)) + 1) == 1;
}

/* Only sessions are resumed that began under the same rules, and with the certificate that channel
 * binding will speak of. */
static bool set_session_id(struct tls_context *context, const struct tls_options *options,
			   struct error *error)
{
	static const uint8_t nobody[TLS_DIGEST];
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint8_t id[EVP_MAX_MD_SIZE], shown[EVP_MAX_MD_SIZE];
	uint8_t rules = options->verify != TLS_VERIFY_NONE;
	unsigned size = 0;
	X509 *certificate = SSL_CTX_get0_certificate(context->ssl);
	bool well =
		hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
		EVP_DigestUpdate(hash, "pgweir", 6) == 1 &&
		EVP_DigestUpdate(hash, &rules, 1) == 1 && hash_word(hash, options->protocols) &&
		hash_word(hash, options->ciphers) && hash_word(hash, options->tls13_ciphers) &&
		hash_word(hash, options->ecdhcurve) && hash_word(hash, options->dheparams) &&
		X509_digest(certificate, EVP_sha256(), shown, &size) == 1 &&
		EVP_DigestUpdate(hash, shown, size) == 1 &&
		EVP_DigestUpdate(hash, context->trust ? tls_trust_digest(context->trust) : nobody,
				 TLS_DIGEST) == 1 &&
		EVP_DigestFinal_ex(hash, id, &size) == 1 &&
		SSL_CTX_set_session_id_context(context->ssl, id, size) == 1;
	EVP_MD_CTX_free(hash);
	return well || tls_error(error, "TLS session id");
}

static int compare_names(const X509_NAME *const *a, const X509_NAME *const *b)
{
	return X509_NAME_cmp(*a, *b);
}

/* The authorities that a client's certificate may come from, in the question for it. */
static void name_authorities(SSL_CTX *ssl, X509_STORE *store)
{
	STACK_OF(X509_NAME) *names = sk_X509_NAME_new(compare_names);
	STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(store);
	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
		X509_NAME *name = authority ? X509_get_subject_name(authority) : NULL;
		if (name)
			sk_X509_NAME_push(names, X509_NAME_dup(name));
	}
	sk_X509_NAME_sort(names);
	for (int i = sk_X509_NAME_num(names) - 1; i > 0; i--)
		if (X509_NAME_cmp(sk_X509_NAME_value(names, i), sk_X509_NAME_value(names, i - 1)) ==
		    0)
			X509_NAME_free(sk_X509_NAME_delete(names, i));
	SSL_CTX_set_client_CA_list(ssl, names);
}

/* The system's directory of authorities is looked into as they are needed: each context has its
 * own, so that a reload sees what was removed. */
static bool use_system_authorities(SSL_CTX *ssl, const char *crl_file, struct error *error)
{
	if (SSL_CTX_set_default_verify_paths(ssl) != 1)
		return tls_error(error, "the system's CA certificates");
	return !*crl_file || tls_trust_revoke(SSL_CTX_get_cert_store(ssl), crl_file, error);
}

static bool set_authorities(struct tls_context *context, const struct tls_options *options,
			    struct error *error)
{
	const char *file = word(options->ca_file), *crl_file = word(options->crl_file);
	if (!*file)
		return context->accepts
			       ? error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					   "checking client certificates needs a TLS CA file")
			       : use_system_authorities(context->ssl, crl_file, error);
	context->trust = tls_trust_open(file, crl_file, error);
	if (!context->trust)
		return false;
	SSL_CTX_set1_cert_store(context->ssl, tls_trust_store(context->trust));
	if (context->accepts)
		name_authorities(context->ssl, tls_trust_store(context->trust));
	return true;
}

static bool set_trust(struct tls_context *context, const struct tls_options *options,
		      struct error *error)
{
	bool verifies = options->verify != TLS_VERIFY_NONE;
	int mode = SSL_VERIFY_NONE;
	if (options->accepts && (verifies || options->asks_certificate))
		mode = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE |
		       (verifies ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
	else if (verifies)
		mode = SSL_VERIFY_PEER;
	SSL_CTX_set_verify(context->ssl, mode, NULL);
	return mode == SSL_VERIFY_NONE || set_authorities(context, options, error);
}

/* --- extensions of the accepting side --- */

static const unsigned char alpn[] = "\x0apostgresql";
enum { ALPN_SIZE = sizeof alpn - 1 };

static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
		       const unsigned char *in, unsigned in_size, void *data)
{
	(void)ssl;
	(void)data;
	for (unsigned i = 0; i < in_size; i += 1u + in[i])
		if (in[i] == alpn[0] && in_size - i >= ALPN_SIZE &&
		    memcmp(in + i, alpn, ALPN_SIZE) == 0) {
			*out = in + i + 1;
			*out_size = ALPN_SIZE - 1;
			return SSL_TLSEXT_ERR_OK;
		}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* it means to speak something else */
}

static const struct tls_name *find_name(const struct tls_context *context, const char *host)
{
	const char *dot = strchr(host, '.');
	const struct tls_name *found = NULL;
	for (const struct tls_name *name = context->names; name; name = name->next) {
		if (text_equals_nocase(host, name->text))
			return name;
		if (!found && name->text[0] == '.' && dot && dot > host &&
		    text_equals_nocase(dot, name->text))
			found = name;
	}
	return found;
}

/* The name in a server_name extension (RFC 6066, section 3): size of the list, then type, size and
 * bytes of its only member. False: none that can be one. */
static bool asked_name(SSL *ssl, char name[256])
{
	const unsigned char *data;
	size_t size;
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) != 1 || size < 5)
		return false;
	size_t length = (size_t)data[3] << 8 | data[4];
	if (data[2] != TLSEXT_NAMETYPE_host_name || length > size - 5 || length > 255 ||
	    memchr(data + 5, '\0', length))
		return false;
	memcpy(name, data + 5, length);
	name[length] = '\0';
	return true;
}

/* This comes before a ticket is looked at, unlike the callback for names: so a session that began
 * under one context is not resumed under another, which may want a certificate. */
static int select_context(SSL *ssl, int *alert, void *data)
{
	char host[256];
	const struct tls_name *name = asked_name(ssl, host) ? find_name(data, host) : NULL;
	(void)alert;
	if (!name)
		return SSL_CLIENT_HELLO_SUCCESS; /* the usual certificate: the client judges */
	SSL_CTX *other = name->context->ssl;
	SSL_set_SSL_CTX(ssl, other);
	/* That changes the certificate and the session id; these are the rest of the rules. */
	SSL_set_verify(ssl, SSL_CTX_get_verify_mode(other), NULL);
	SSL_clear_options(ssl, SSL_get_options(ssl) & ~SSL_CTX_get_options(other));
	SSL_set_options(ssl, SSL_CTX_get_options(other));
	return SSL_CLIENT_HELLO_SUCCESS;
}

bool tls_context_add_name(struct tls_context *context, const char *name, struct tls_context *other,
			  struct error *error)
{
	const char *text = name[0] == '*' && name[1] == '.' ? name + 1 : name;
	bool is_wild = text != name;
	assert(context->accepts && other->accepts);
	if (!text[is_wild] || strpbrk(text, "*:/ ") || strlen(name) > 255)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "\"%s\" is no host name that a TLS client can ask for", name);
	struct tls_name *added = memory_alloc(sizeof *added + strlen(text) + 1);
	memcpy(added->text, text, strlen(text) + 1);
	added->context = other == context ? other : tls_context_ref(other);
	added->next = context->names;
	context->names = added;
	SSL_CTX_set_client_hello_cb(context->ssl, select_context, context);
	return true;
}

/* --- life --- */

/* Resumption would not look at the client's certificate again, which may have expired or been
 * revoked. */
static SSL_TICKET_RETURN judge_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
				      size_t name_length, SSL_TICKET_STATUS status, void *data)
{
	(void)ssl, (void)name, (void)name_length, (void)data;
	bool is_good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
	if (!is_good || SSL_SESSION_get0_peer(session))
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static bool set_up(struct tls_context *context, const struct tls_options *options,
		   struct error *error)
{
	SSL_CTX *ssl = context->ssl;
	SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_SINGLE_DH_USE);
	SSL_CTX_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* Resumption works by tickets, which cost no memory here. */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ssl, 1);
	SSL_CTX_set_session_ticket_cb(ssl, NULL, judge_ticket, NULL);
	if (options->accepts)
		SSL_CTX_set_alpn_select_cb(ssl, select_alpn, NULL);
	else if (SSL_CTX_set_alpn_protos(ssl, alpn, ALPN_SIZE) != 0)
		return tls_error(error, "TLS protocol name");
	return set_protocols(ssl, options->protocols, error) && set_ciphers(ssl, options, error) &&
	       set_groups(ssl, options, error) && set_certificate(context, options, error) &&
	       set_trust(context, options, error) &&
	       (!options->accepts || set_session_id(context, options, error));
}

struct tls_context *tls_context_new(const struct tls_options *options, struct error *error)
{
	ERR_clear_error();
	struct tls_context *context = memory_alloc(sizeof *context);
	*context = (struct tls_context){
		.ssl = SSL_CTX_new(options->accepts ? TLS_server_method() : TLS_client_method()),
		.references = 1,
		.accepts = options->accepts,
		.verify = options->verify,
		.ticket_keys_since = clock_now()};
	if (!context->ssl)
		tls_error(error, "TLS");
	if (!context->ssl || !set_up(context, options, error))
		tls_context_free(&context);
	else
		SSL_CTX_set_app_data(context->ssl, context);
	ERR_clear_error();
	return context;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	context->references++;
	return context;
}

void tls_context_free(struct tls_context **context)
{
	struct tls_context *dropped = *context;
	*context = NULL;
	if (!dropped || --dropped->references > 0)
		return;
	for (struct tls_name *name; (name = dropped->names);) {
		dropped->names = name->next;
		if (name->context == dropped)
			name->context = NULL;
		tls_context_free(&name->context);
		memory_free(&name);
	}
	SSL_CTX_free(dropped->ssl);
	tls_key_close(&dropped->key);
	tls_trust_close(&dropped->trust);
	memory_free(&dropped);
}

/* @old: whose keys they are; NULL: new ones. */
static void set_ticket_keys(struct tls_context *context, const struct tls_context *old)
{
	uint8_t keys[256];
	long size = SSL_CTX_get_tlsext_ticket_keys(context->ssl, NULL, 0);
	assert(size > 0 && size <= (long)sizeof keys);
	if (!old)
		random_bytes(keys, (size_t)size);
	if (!old || SSL_CTX_get_tlsext_ticket_keys(old->ssl, keys, size) == 1)
		SSL_CTX_set_tlsext_ticket_keys(context->ssl, keys, size);
	context->ticket_keys_since = old ? old->ticket_keys_since : clock_now();
	memory_erase(keys, sizeof keys);
	ERR_clear_error();
}

/* Whoever gets hold of the keys must not read what was said under tickets of months. */
static bool has_old_keys(const struct tls_context *context)
{
	return clock_now() - context->ticket_keys_since > TICKET_KEYS_LIFE;
}

void tls_context_take_tickets(struct tls_context *context, const struct tls_context *old)
{
	if (!has_old_keys(old))
		set_ticket_keys(context, old);
}

bool tls_context_gives_ticket(struct tls_context *context)
{
	if (has_old_keys(context))
		set_ticket_keys(context, NULL);
	unsigned number = context->unreturned++;
	return number < TICKETS_TRIED || number % TICKETS_SELDOM == 0;
}

void tls_context_ticket_returned(struct tls_context *context)
{
	context->unreturned = 0;
}

size_t tls_end_point(struct x509_st *certificate, uint8_t data[TLS_END_POINT_MAX])
{
	int digest = NID_undef;
	unsigned size = 0;
	static_assert(TLS_END_POINT_MAX >= EVP_MAX_MD_SIZE, "any digest fits");
	if (certificate && X509_get_signature_info(certificate, &digest, NULL, NULL, NULL) == 1) {
		if (digest == NID_md5 || digest == NID_sha1)
			digest = NID_sha256;
		const EVP_MD *method = EVP_get_digestbynid(digest);
		if (!method || X509_digest(certificate, method, data, &size) != 1)
			size = 0;
	}
	ERR_clear_error();
	return size;
}

size_t tls_context_end_point(struct tls_context *context, uint8_t data[TLS_END_POINT_MAX])
{
	if (!context->has_end_point)
		context->end_point_size =
			tls_end_point(SSL_CTX_get0_certificate(context->ssl), context->end_point);
	context->has_end_point = true;
	memcpy(data, context->end_point, context->end_point_size);
	return context->end_point_size;
}

bool tls_context_accepts(const struct tls_context *context)
{
	return context->accepts;
}

enum tls_verify tls_context_verify(const struct tls_context *context)
{
	return context->verify;
}

struct ssl_ctx_st *tls_context_ssl(const struct tls_context *context)
{
	return context->ssl;
}
