/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ldap.h"
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/time.h>
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"

enum { NETWORK_TIMEOUT = 10 /* seconds */, WORD_MAX = 8192 };

struct ldap_options {
	atomic_uint references;
	char *server; /* names, blanks between them */
	int port;     /* 0: the scheme's */
	char *scheme; /* ldap or ldaps */
	bool starttls;
	char *prefix, *suffix;		      /* simple bind */
	char *base, *bind_dn, *bind_password; /* search, then bind */
	char *attribute, *filter;
	int scope; /* of the search, as LDAP_SCOPE_ */
	char *url;
};

/* ---- options ---- */

struct ldap_options *ldap_options_ref(struct ldap_options *options)
{
	if (options)
		atomic_fetch_add(&options->references, 1);
	return options;
}

void ldap_options_free(struct ldap_options **options)
{
	struct ldap_options *o = *options;
	*options = NULL;
	if (!o || atomic_fetch_sub(&o->references, 1) > 1)
		return;
	char **texts[] = {&o->server,  &o->scheme,	  &o->prefix,	 &o->suffix, &o->base,
			  &o->bind_dn, &o->bind_password, &o->attribute, &o->filter, &o->url};
	if (o->bind_password)
		memory_erase(o->bind_password, strlen(o->bind_password));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		memory_free(texts[i]);
	memory_free(&o);
}

static bool fail(struct error *error, const char *what)
{
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s", what);
}

/* The next word of @*at into @name and @value, without quotes. False at the end; @error: malformed,
 * and *@at is NULL. */
static bool next_word(const char **at, char *name, char *value, struct error *error)
{
	const char *from = *at + strspn(*at, " \t");
	size_t length = strcspn(from, "= \t"), size = 0;
	bool quoted = false;
	if (!*from)
		return false;
	*at = NULL;
	if (from[length] != '=' || length == 0 || length >= 64)
		return fail(error, "LDAP options are words name=value");
	memcpy(name, from, length);
	name[length] = '\0';
	for (from += length + 1; *from && (quoted || (*from != ' ' && *from != '\t')); from++) {
		if (*from == '"' && quoted && from[1] == '"')
			from++;
		else if (*from == '"') {
			quoted = !quoted;
			continue;
		}
		if (size + 1 >= WORD_MAX)
			return fail(error, "an LDAP option is too long");
		value[size++] = *from;
	}
	value[size] = '\0';
	if (quoted)
		return fail(error, "an LDAP option has no closing quote");
	*at = from;
	return true;
}

static const struct {
	const char *name;
	size_t offset;
} text_options[] = {
	{"ldapserver", offsetof(struct ldap_options, server)},
	{"ldapscheme", offsetof(struct ldap_options, scheme)},
	{"ldapprefix", offsetof(struct ldap_options, prefix)},
	{"ldapsuffix", offsetof(struct ldap_options, suffix)},
	{"ldapbasedn", offsetof(struct ldap_options, base)},
	{"ldapbinddn", offsetof(struct ldap_options, bind_dn)},
	{"ldapbindpasswd", offsetof(struct ldap_options, bind_password)},
	{"ldapsearchattribute", offsetof(struct ldap_options, attribute)},
	{"ldapsearchfilter", offsetof(struct ldap_options, filter)},
	{"ldapurl", offsetof(struct ldap_options, url)},
};

static bool set_option(struct ldap_options *options, const char *name, const char *value,
		       struct error *error)
{
	int64_t number;
	char shown[80];
	for (size_t i = 0; i < sizeof text_options / sizeof *text_options; i++) {
		if (strcmp(text_options[i].name, name) != 0)
			continue;
		char **field = (char **)(void *)((char *)options + text_options[i].offset);
		if (*field)
			return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					 "LDAP option %s is given twice", name);
		*field = memory_strdup(value);
		return true;
	}
	if (!strcmp(name, "ldapport")) {
		if (!text_to_int(value, &number) || number < 1 || number > 65535)
			return fail(error, "ldapport must be 1 to 65535");
		options->port = (int)number;
		return true;
	}
	if (!strcmp(name, "ldaptls")) {
		if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
			return fail(error, "ldaptls must be 0 or 1");
		options->starttls = *value == '1';
		return true;
	}
	return error_set(
		error, SQLSTATE_CONFIG_FILE_ERROR,
		"unknown LDAP option \"%s\"; allowed are ldapserver, ldapport, ldapscheme, "
		"ldaptls, ldapprefix, ldapsuffix, ldapbasedn, ldapbinddn, ldapbindpasswd, "
		"ldapsearchattribute, ldapsearchfilter and ldapurl",
		text_printable(name, shown, sizeof shown));
}

#ifdef HAVE_LDAP
#define LDAP_DEPRECATED 0
#include <ldap.h>

static char *copy(const char *text)
{
	return text ? memory_strdup(text) : NULL;
}

/* ldap[s]://host[:port]/basedn[?[attribute][?[scope][?[filter]]]] */
static bool apply_url(struct ldap_options *options, struct error *error)
{
	LDAPURLDesc *url = NULL;
	if (!options->url)
		return true;
	if (options->server || options->scheme || options->port || options->base ||
	    options->attribute || options->filter)
		return fail(error, "ldapurl already says ldapserver, ldapport, ldapscheme, "
				   "ldapbasedn, ldapsearchattribute and ldapsearchfilter");
	if (ldap_url_parse(options->url, &url) != LDAP_URL_SUCCESS)
		return fail(error, "ldapurl is no LDAP URL, such as "
				   "ldap://host:389/dc=example,dc=org?uid?sub");
	options->server = copy(url->lud_host && *url->lud_host ? url->lud_host : NULL);
	options->scheme = copy(url->lud_scheme);
	options->port = url->lud_port;
	options->base = copy(url->lud_dn && *url->lud_dn ? url->lud_dn : NULL);
	options->attribute = copy(url->lud_attrs ? url->lud_attrs[0] : NULL);
	options->filter = copy(url->lud_filter);
	options->scope = url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_SUBTREE : url->lud_scope;
	ldap_free_urldesc(url);
	return true;
}

static bool check_options(struct ldap_options *options, struct error *error)
{
	if (!apply_url(options, error))
		return false;
	bool searches = options->base || options->bind_dn || options->bind_password ||
			options->attribute || options->filter;
	bool binds = options->prefix || options->suffix;
	if (!options->scheme)
		options->scheme = memory_strdup("ldap");
	if (strcmp(options->scheme, "ldap") != 0 && strcmp(options->scheme, "ldaps") != 0)
		return fail(error, "ldapscheme must be ldap or ldaps");
	if (options->starttls && !strcmp(options->scheme, "ldaps"))
		return fail(error, "ldaptls=1 is for the scheme ldap: ldaps is encrypted already");
	if (!options->server)
		return fail(error, "LDAP needs ldapserver or ldapurl");
	if (binds && searches)
		return fail(error, "ldapprefix and ldapsuffix cannot be used together with "
				   "ldapbasedn, ldapbinddn, ldapbindpasswd, ldapsearchattribute, "
				   "ldapsearchfilter or ldapurl's base");
	if (!binds && !options->base)
		return fail(error, "LDAP needs ldapbasedn, or ldapprefix or ldapsuffix");
	if (options->attribute && options->filter)
		return fail(error,
			    "ldapsearchattribute and ldapsearchfilter cannot be used together");
	if (options->filter && !strstr(options->filter, "$username"))
		return fail(error, "ldapsearchfilter must have $username in it");
	return true;
}

bool ldap_is_built_in(void)
{
	return true;
}

/* ---- checking ---- */

static bool ldap_failed(struct error *error, const char *what, int code)
{
	return error_set(error,
			 code == LDAP_INVALID_CREDENTIALS ? SQLSTATE_INVALID_PASSWORD
							  : SQLSTATE_CONNECTION_FAILURE,
			 "LDAP %s: %s", what, ldap_err2string(code));
}

/* "ldap://a:389 ldap://b:389" for the servers. */
static char *make_uris(const struct ldap_options *options)
{
	char *uris = memory_strdup("");
	const char *at = options->server;
	int port = options->port		      ? options->port
		   : strcmp(options->scheme, "ldaps") ? LDAP_PORT
						      : LDAPS_PORT;
	while (*(at += strspn(at, " "))) {
		size_t length = strcspn(at, " ");
		bool is_v6 = memchr(at, ':', length) && *at != '[';
		char *more = memory_printf("%s%s%s://%s%.*s%s:%d", uris, *uris ? " " : "",
					   options->scheme, is_v6 ? "[" : "", (int)length, at,
					   is_v6 ? "]" : "", port);
		memory_free(&uris);
		uris = more;
		at += length;
	}
	return uris;
}

static LDAP *connect_to(const struct ldap_options *options, struct error *error)
{
	LDAP *ldap = NULL;
	char *uris = make_uris(options);
	const int version = LDAP_VERSION3;
	const struct timeval limit = {.tv_sec = NETWORK_TIMEOUT};
	int code = ldap_initialize(&ldap, uris);
	memory_free(&uris);
	if (code == LDAP_SUCCESS) {
		ldap_set_option(ldap, LDAP_OPT_PROTOCOL_VERSION, &version);
		ldap_set_option(ldap, LDAP_OPT_NETWORK_TIMEOUT, &limit);
		ldap_set_option(ldap, LDAP_OPT_TIMEOUT, &limit);
		ldap_set_option(ldap, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
		ldap_set_option(ldap, LDAP_OPT_RESTART, LDAP_OPT_ON);
		if (options->starttls)
			code = ldap_start_tls_s(ldap, NULL, NULL);
	}
	if (code == LDAP_SUCCESS)
		return ldap;
	ldap_failed(error, options->starttls && ldap ? "StartTLS" : "connection", code);
	if (ldap)
		ldap_unbind_ext_s(ldap, NULL, NULL);
	return NULL;
}

static int bind_as(LDAP *ldap, const char *dn, const char *password)
{
	struct berval credentials = {.bv_len = strlen(password),
				     .bv_val = (char *)(uintptr_t)password};
	return ldap_sasl_bind_s(ldap, dn, LDAP_SASL_SIMPLE, &credentials, NULL, NULL, NULL);
}

/* A value inside a search filter: RFC 4515. */
static char *escape_filter(const char *value)
{
	char *text = memory_alloc(3 * strlen(value) + 1), *at = text;
	for (; *value; value++) {
		if (strchr("*()\\", *value))
			at += sprintf(at, "\\%02x", (unsigned char)*value);
		else
			*at++ = *value;
	}
	return text;
}

/* A value inside a distinguished name: RFC 4514. */
static char *escape_dn(const char *value)
{
	char *text = memory_alloc(3 * strlen(value) + 1), *at = text;
	for (const char *from = value; *from; from++) {
		bool is_edge = (from == value && (*from == ' ' || *from == '#')) ||
			       (!from[1] && *from == ' ');
		if (is_edge || strchr(",+\"\\<>;=", *from) || (unsigned char)*from < 0x20)
			at += sprintf(at, "\\%02x", (unsigned char)*from);
		else
			*at++ = *from;
	}
	return text;
}

/* "(attribute=user)", or the filter with each $username replaced. */
static char *make_filter(const struct ldap_options *options, const char *user)
{
	char *escaped = escape_filter(user), *filter;
	if (!options->filter) {
		filter = memory_printf("(%s=%s)", options->attribute ? options->attribute : "uid",
				       escaped);
	} else {
		static const char mark[] = "$username";
		filter = memory_strdup("");
		for (const char *at = options->filter; *at;) {
			const char *found = strstr(at, mark);
			size_t before = found ? (size_t)(found - at) : strlen(at);
			char *more = memory_printf("%s%.*s%s", filter, (int)before, at,
						   found ? escaped : "");
			memory_free(&filter);
			filter = more;
			at += before + (found ? sizeof mark - 1 : 0);
		}
	}
	memory_free(&escaped);
	return filter;
}

/* The distinguished name of the one entry that is the user; NULL with @error. */
static char *find_user(const struct ldap_options *options, const char *user, struct error *error)
{
	char *attributes[] = {(char *)(uintptr_t)LDAP_NO_ATTRS, NULL};
	struct timeval limit = {.tv_sec = NETWORK_TIMEOUT};
	LDAPMessage *found = NULL;
	char *result = NULL;
	LDAP *ldap = connect_to(options, error);
	if (!ldap)
		return NULL;
	int code = bind_as(ldap, options->bind_dn ? options->bind_dn : "",
			   options->bind_password ? options->bind_password : "");
	if (code != LDAP_SUCCESS) {
		ldap_failed(error, "bind for the search", code);
		if (error) /* not the user's password */
			memcpy(error->sqlstate, sqlstate_code(SQLSTATE_CONNECTION_FAILURE),
			       sizeof error->sqlstate);
		goto out;
	}
	char *filter = make_filter(options, user);
	code = ldap_search_ext_s(ldap, options->base,
				 options->url ? options->scope : LDAP_SCOPE_SUBTREE, filter,
				 attributes, 0, NULL, NULL, &limit, 2, &found);
	memory_free(&filter);
	int count = ldap_count_entries(ldap, found);
	if (code != LDAP_SUCCESS && code != LDAP_SIZELIMIT_EXCEEDED) {
		ldap_failed(error, "search", code);
	} else if (count != 1) {
		error_set(error, SQLSTATE_INVALID_PASSWORD, "LDAP search: the user is %s",
			  count > 0 ? "not unique" : "not there");
	} else {
		char *dn = ldap_get_dn(ldap, ldap_first_entry(ldap, found));
		result = copy(dn);
		ldap_memfree(dn);
	}
out:
	ldap_msgfree(found);
	ldap_unbind_ext_s(ldap, NULL, NULL);
	return result;
}

static char *make_dn(const struct ldap_options *options, const char *user)
{
	char *escaped = escape_dn(user);
	char *dn = memory_printf("%s%s%s", options->prefix ? options->prefix : "",
				 /* "DOMAIN\user" or "user@domain" are no names of that form */
				 options->prefix && strchr(options->prefix, '=') ? escaped : user,
				 options->suffix ? options->suffix : "");
	memory_free(&escaped);
	return dn;
}

bool ldap_check(const struct ldap_options *options, const char *user, const char *password,
		struct error *error)
{
	if (!*password)
		return error_set(error, SQLSTATE_INVALID_PASSWORD, "empty password");
	char *dn = options->base ? find_user(options, user, error) : make_dn(options, user);
	if (!dn)
		return false;
	LDAP *ldap = connect_to(options, error); /* a fresh one, as nobody */
	int code = LDAP_SUCCESS;
	if (ldap) {
		code = bind_as(ldap, dn, password);
		ldap_unbind_ext_s(ldap, NULL, NULL);
	}
	memory_free(&dn);
	return ldap && (code == LDAP_SUCCESS || ldap_failed(error, "bind", code));
}

#else

static bool check_options(struct ldap_options *options, struct error *error)
{
	(void)options;
	return fail(error, "this pgweir was built without LDAP");
}

bool ldap_is_built_in(void)
{
	return false;
}

bool ldap_check(const struct ldap_options *options, const char *user, const char *password,
		struct error *error)
{
	(void)options;
	(void)user;
	(void)password;
	return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "built without LDAP");
}

#endif

struct ldap_options *ldap_options_parse(const char *text, struct error *error)
{
	struct ldap_options *options = memory_alloc(sizeof *options);
	char name[64], *value = memory_alloc(WORD_MAX);
	bool well = true;
	atomic_init(&options->references, 1);
	while (well && next_word(&text, name, value, error))
		well = set_option(options, name, value, error);
	memory_erase(value, WORD_MAX);
	memory_free(&value);
	if (!well || !text || !check_options(options, error))
		ldap_options_free(&options);
	return options;
}
