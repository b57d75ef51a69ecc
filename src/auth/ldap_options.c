/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/ldap_options.h"
#include "core/error.h"
#include <stddef.h>

#ifdef HAVE_LDAP

#include "core/memory.h"
#include "core/text.h"
#include <ldap.h>
#include <stdio.h>
#include <string.h>

#define TIMEOUT (10 * USEC_PER_SECOND)

bool ldap_is_available(struct error *error)
{
	(void)error;
	return true;
}

/* What is known while the words are read. */
struct reader {
	struct ldap_options *options;
	char *servers; /* between blanks; NULL: none */
	bool is_ldaps;
	int port; /* 0: the scheme's */
	unsigned word;
	bool has_secret; /* there is a password somewhere */
};

typedef bool read_fn(struct reader *reader, const char *value, struct error *error);

static bool wrong(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static bool wrong(struct error *error, const char *format, ...)
{
	char text[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "%s", text);
}

static void set_string(char **place, const char *value)
{
	memory_free_secret(place);
	*place = memory_strdup(value);
}

/* A value is shown where it cannot be a piece of a password. */
static bool wrong_value(const struct reader *reader, const char *what, const char *value,
			struct error *error)
{
	return reader->has_secret ? wrong(error, "%s", what)
				  : wrong(error, "%s: \"%s\"", what, value);
}

static bool read_server(struct reader *reader, const char *value, struct error *error)
{
	if (value[strspn(value, " ")] == '\0')
		return wrong(error, "ldapserver is empty");
	if (value[strcspn(value, "/?#@,\"")] != '\0')
		return wrong_value(reader, "invalid ldapserver value", value, error);
	set_string(&reader->servers, value);
	return true;
}

static bool read_port(struct reader *reader, const char *value, struct error *error)
{
	int64_t port;
	if (!text_to_int(value, &port) || port < 1 || port > 65535)
		return wrong_value(reader, "invalid LDAP port number", value, error);
	reader->port = (int)port;
	return true;
}

static bool read_scheme(struct reader *reader, const char *value, struct error *error)
{
	if (strcmp(value, "ldap") != 0 && strcmp(value, "ldaps") != 0)
		return wrong_value(reader, "invalid ldapscheme value", value, error);
	reader->is_ldaps = strcmp(value, "ldaps") == 0;
	return true;
}

static bool read_tls(struct reader *reader, const char *value, struct error *error)
{
	if (strcmp(value, "0") != 0 && strcmp(value, "1") != 0)
		return wrong_value(reader, "invalid ldaptls value", value, error);
	reader->options->start_tls = *value == '1';
	return true;
}

/* The attribute goes into a filter as it is. */
static bool read_attribute(struct reader *reader, const char *value, struct error *error)
{
	if (!*value || value[strspn(value, "abcdefghijklmnopqrstuvwxyz"
					   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.;")])
		return wrong_value(reader, "invalid ldapsearchattribute value", value, error);
	set_string(&reader->options->search_attribute, value);
	return true;
}

/* Without the name in it anybody would be who the filter finds. */
static bool read_filter(struct reader *reader, const char *value, struct error *error)
{
	if (!strstr(value, LDAP_USERNAME))
		return wrong(error, "ldapsearchfilter does not contain " LDAP_USERNAME);
	set_string(&reader->options->search_filter, value);
	return true;
}

static const char *url_error(int status)
{
	switch (status) {
	case LDAP_URL_ERR_BADSCHEME:
		return "unsupported LDAP URL scheme";
	case LDAP_URL_ERR_BADHOST:
		return "bad host or port";
	case LDAP_URL_ERR_BADATTRS:
		return "bad attribute";
	case LDAP_URL_ERR_BADSCOPE:
		return "bad scope";
	case LDAP_URL_ERR_BADFILTER:
		return "bad filter";
	default:
		return "bad form";
	}
}

static bool take_url(struct reader *reader, const LDAPURLDesc *url, struct error *error)
{
	if (strcmp(url->lud_scheme, "ldap") != 0 && strcmp(url->lud_scheme, "ldaps") != 0)
		return wrong(error, "unsupported LDAP URL scheme%s%s",
			     reader->has_secret ? "" : ": ",
			     reader->has_secret ? "" : url->lud_scheme);
	if (url->lud_exts)
		return wrong(error, "LDAP URL extensions are not supported");
	if (url->lud_attrs && url->lud_attrs[0] && url->lud_attrs[1])
		return wrong(error, "the LDAP URL has more than one attribute");
	if (!read_scheme(reader, url->lud_scheme, error))
		return false;
	if (url->lud_host && *url->lud_host && !read_server(reader, url->lud_host, error))
		return false;
	/* A port that is not in the URL is told as the scheme's. */
	reader->port = url->lud_port;
	if (url->lud_dn && *url->lud_dn)
		set_string(&reader->options->base_dn, url->lud_dn);
	if (url->lud_attrs && url->lud_attrs[0] && *url->lud_attrs[0] &&
	    !read_attribute(reader, url->lud_attrs[0], error))
		return false;
	reader->options->scope =
		url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope;
	return !url->lud_filter || !*url->lud_filter || read_filter(reader, url->lud_filter, error);
}

static bool read_url(struct reader *reader, const char *value, struct error *error)
{
	LDAPURLDesc *url = NULL;
	int status = ldap_url_parse(value, &url);
	if (status != LDAP_URL_SUCCESS)
		return wrong(error, "could not parse LDAP URL: %s", url_error(status));
	bool is_ok = take_url(reader, url, error);
	ldap_free_urldesc(url);
	return is_ok;
}

#define STRING(field) offsetof(struct ldap_options, field), NULL

static const struct word {
	const char *name;
	size_t offset; /* of the string it sets, if it has no function */
	read_fn *read;
} words[] = {
	{"ldapserver", 0, read_server},
	{"ldapport", 0, read_port},
	{"ldapscheme", 0, read_scheme},
	{"ldaptls", 0, read_tls},
	{"ldapprefix", STRING(prefix)},
	{"ldapsuffix", STRING(suffix)},
	{"ldapbasedn", STRING(base_dn)},
	{"ldapbinddn", STRING(bind_dn)},
	{"ldapbindpasswd", STRING(bind_password)},
	{"ldapsearchattribute", 0, read_attribute},
	{"ldapsearchfilter", 0, read_filter},
	{"ldapurl", 0, read_url},
};

/* A word near the password may be a part of it for which the quotes were forgotten, or are in the
 * wrong place: no error shows it. */
static bool read_word(struct reader *reader, char *word, struct error *error)
{
	char *value = strchr(word, '=');
	reader->word++;
	if (!value)
		return wrong(error, "authentication option %u is not in name=value format",
			     reader->word);
	*value++ = '\0';
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i].name) != 0)
			continue;
		if (words[i].read)
			return words[i].read(reader, value, error);
		set_string((char **)((char *)reader->options + words[i].offset), value);
		return true;
	}
	if (reader->options->bind_password)
		return wrong(error,
			     "unrecognized authentication option name behind ldapbindpasswd");
	if (reader->has_secret)
		return wrong(error, "unrecognized authentication option name: option %u",
			     reader->word);
	return wrong(error, "unrecognized authentication option name: \"%s\"", word);
}

/* Take the next word off @text, unquoted in place. False: none is left, or (@error set) its quote
 * does not end. */
static bool next_word(char **text, char **word, bool *is_open)
{
	char *at = *text + strspn(*text, " \t\r\n"), *to = at;
	bool in_quotes = false, any = *at != '\0';
	*word = at;
	for (; *at && (in_quotes || !strchr(" \t\r\n", *at)); at++) {
		if (*at == '"' && in_quotes && at[1] == '"')
			*to++ = *at++;
		else if (*at == '"')
			in_quotes = !in_quotes;
		else
			*to++ = *at;
	}
	*text = *at ? at + 1 : at;
	*to = '\0';
	*is_open = in_quotes;
	return any;
}

static bool read_words(struct reader *reader, char *text, struct error *error)
{
	char *word;
	bool is_open;
	while (next_word(&text, &word, &is_open)) {
		if (is_open)
			return wrong(error,
				     "a double quote does not end in authentication option %u",
				     reader->word + 1);
		if (!read_word(reader, word, error))
			return false;
	}
	return true;
}

/* The words of PostgreSQL's own complaints. */
static bool check_mode(const struct reader *reader, struct error *error)
{
	const struct ldap_options *o = reader->options;
	if (!reader->servers)
		return wrong(error, "authentication method \"ldap\" requires argument "
				    "\"ldapserver\" to be set");
	if (o->start_tls && reader->is_ldaps)
		return wrong(error, "cannot use ldaptls together with ldapscheme \"ldaps\"");
	if (o->search_attribute && o->search_filter)
		return wrong(error,
			     "cannot use ldapsearchattribute together with ldapsearchfilter");
	if (o->prefix || o->suffix) {
		if (o->base_dn || o->bind_dn || o->bind_password || o->search_attribute ||
		    o->search_filter)
			return wrong(error, "cannot mix options for simple bind and search+bind "
					    "modes");
		return true;
	}
	if (!o->base_dn)
		return wrong(error,
			     "authentication method \"ldap\" requires argument \"ldapbasedn\", "
			     "\"ldapprefix\", or \"ldapsuffix\" to be set");
	return true;
}

/* "ldap://one:389 ldap://two:389", as ldap_initialize() wants them. */
static char *make_uris(const struct reader *reader)
{
	int port = reader->port ? reader->port : reader->is_ldaps ? LDAPS_PORT : LDAP_PORT;
	char *uris = memory_strdup("");
	for (const char *at = reader->servers; *(at += strspn(at, " "));) {
		size_t length = strcspn(at, " ");
		bool is_bare_ipv6 = *at != '[' && memchr(at, ':', length);
		char *longer =
			memory_printf("%s%s%s://%s%.*s%s:%d", uris, *uris ? " " : "",
				      reader->is_ldaps ? "ldaps" : "ldap", is_bare_ipv6 ? "[" : "",
				      (int)length, at, is_bare_ipv6 ? "]" : "", port);
		memory_free(&uris);
		uris = longer;
		at += length;
	}
	return uris;
}

/* The library reads its own configuration when first used: here, not in several threads at once. */
static void start_library(void)
{
	int level;
	ldap_get_option(NULL, LDAP_OPT_DEBUG_LEVEL, &level);
}

struct ldap_options *ldap_options_parse(const char *text, struct error *error)
{
	start_library();
	struct ldap_options *options = memory_alloc(sizeof(*options));
	struct reader reader = {.options = options, .has_secret = strstr(text, "passwd")};
	char *copy = memory_strdup(text);
	size_t size = strlen(copy);
	atomic_init(&options->holders, 1);
	options->scope = LDAP_SCOPE_SUBTREE;
	options->timeout = TIMEOUT;
	if (read_words(&reader, copy, error) && check_mode(&reader, error))
		options->uris = make_uris(&reader);
	else
		ldap_options_release(&options);
	memory_erase(copy, size);
	memory_free(&copy);
	memory_free(&reader.servers);
	return options;
}

struct ldap_options *ldap_options_hold(struct ldap_options *options)
{
	atomic_fetch_add(&options->holders, 1);
	return options;
}

void ldap_options_release(struct ldap_options **holder)
{
	struct ldap_options *options = *holder;
	*holder = NULL;
	if (!options || atomic_fetch_sub(&options->holders, 1) > 1)
		return;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!words[i].read)
			memory_free_secret((char **)((char *)options + words[i].offset));
	}
	memory_free_secret(&options->search_attribute);
	memory_free_secret(&options->search_filter);
	memory_free(&options->uris);
	memory_free(&options);
}

#else

bool ldap_is_available(struct error *error)
{
	return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "pgweir was built without LDAP");
}

struct ldap_options *ldap_options_parse(const char *text, struct error *error)
{
	(void)text;
	ldap_is_available(error);
	return NULL;
}

struct ldap_options *ldap_options_hold(struct ldap_options *options)
{
	return options;
}

void ldap_options_release(struct ldap_options **options)
{
	*options = NULL;
}

#endif
