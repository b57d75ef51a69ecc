/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/hba.h"
#include "hba_priv.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
	[HBA_LOCAL] = "local",		 [HBA_HOST] = "host",
	[HBA_HOSTSSL] = "hostssl",	 [HBA_HOSTNOSSL] = "hostnossl",
	[HBA_HOSTGSSENC] = "hostgssenc", [HBA_HOSTNOGSSENC] = "hostnogssenc",
};
enum { TYPE_COUNT = sizeof type_names / sizeof *type_names };

/* A line being made a rule. */
struct parsing {
	struct rule_file *file;
	const struct rule_line *line;
	size_t next; /* field */
	struct rule *rule;
	bool is_gss; /* method gss, of a rule that never matches */
	struct error *error;
};

#define FAIL(parsing, ...) rule_line_fail((parsing)->line, (parsing)->error, __VA_ARGS__)

/* As SHOW HBA has it. */

static bool needs_quotes(const char *text)
{
	return !*text || text_equals_nocase(text, "null") || strpbrk(text, "{},\"\\ \t\n\r\v\f");
}

/* One element of an array's text (PostgreSQL manual, section 8.15.6). */
static void print_element(FILE *stream, const char *text, bool is_first)
{
	if (!is_first)
		fputc(',', stream);
	if (!needs_quotes(text)) {
		fputs(text, stream);
		return;
	}
	fputc('"', stream);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', stream);
		fputc(*text, stream);
	}
	fputc('"', stream);
}

struct printing {
	FILE *stream;
	char *text;
	size_t size;
};

static void print_begin(struct printing *printing)
{
	printing->stream = open_memstream(&printing->text, &printing->size);
	if (!printing->stream)
		abort();
	fputc('{', printing->stream);
}

static const char *print_end(struct printing *printing, struct rule_file *file)
{
	fputc('}', printing->stream);
	if (fclose(printing->stream) != 0)
		abort(); /* as memory_alloc() does: only memory can have been lacking */
	char *kept = rule_file_strdup(file, printing->text);
	free(printing->text);
	return kept;
}

static const char *show_words(struct parsing *parsing, const struct rule_field *field)
{
	struct printing printing;
	print_begin(&printing);
	for (size_t i = 0; i < field->count; i++)
		print_element(printing.stream, field->words[i].text, i == 0);
	return print_end(&printing, parsing->file);
}

static const char *show_options(struct parsing *parsing)
{
	const struct hba_rule *face = &parsing->rule->face;
	struct printing printing;
	if (!face->option_count)
		return NULL;
	print_begin(&printing);
	for (size_t i = 0; i < face->option_count; i++) {
		const struct hba_option *option = &face->options[i];
		bool is_secret = strcmp(option->name, "ldapbindpasswd") == 0;
		char *text = memory_printf("%s=%s", option->name,
					   is_secret ? "********" : option->value);
		print_element(printing.stream, text, i == 0);
		memory_free(&text);
	}
	return print_end(&printing, parsing->file);
}

/* Fields. */

/* The next field, which must be one word; NULL: it is not. */
static const struct rule_word *take_single(struct parsing *parsing, const char *what)
{
	if (parsing->next == parsing->line->count) {
		FAIL(parsing, "the %s is missing", what);
		return NULL;
	}
	const struct rule_field *field = &parsing->line->fields[parsing->next++];
	if (field->count != 1) {
		FAIL(parsing, "the %s must be one word, not a list", what);
		return NULL;
	}
	return field->words;
}

static bool parse_type(struct parsing *parsing)
{
	char shown[RULE_WORD_SHOWN];
	const struct rule_word *word = take_single(parsing, "connection type");
	if (!word)
		return false;
	for (unsigned i = 0; i < TYPE_COUNT; i++) {
		if (rule_word_is(word, type_names[i])) {
			parsing->rule->face.type = (enum hba_type)i;
			parsing->rule->face.type_name = type_names[i];
			return true;
		}
	}
	return FAIL(parsing,
		    "unknown connection type \"%s\"; allowed are local, host, hostssl, hostnossl, "
		    "hostgssenc, hostnogssenc, include, include_if_exists and include_dir",
		    rule_word_shown(word->text, shown));
}

static enum word_kind database_kind(const struct rule_word *word)
{
	if (word->text[0] == '/')
		return WORD_PATTERN;
	if (rule_word_is(word, "all"))
		return WORD_ALL;
	if (rule_word_is(word, "sameuser"))
		return WORD_SAME_USER;
	if (rule_word_is(word, "samerole") || rule_word_is(word, "samegroup"))
		return WORD_SAME_ROLE;
	if (rule_word_is(word, "replication"))
		return WORD_REPLICATION;
	return WORD_NAME;
}

static enum word_kind user_kind(const struct rule_word *word)
{
	if (word->text[0] == '/')
		return WORD_PATTERN;
	if (rule_word_is(word, "all"))
		return WORD_ALL;
	if (!word->is_quoted && word->text[0] == '+')
		return WORD_GROUP;
	return WORD_NAME;
}

static bool parse_word(struct parsing *parsing, const struct rule_word *from, enum word_kind kind,
		       struct word *word)
{
	char shown[RULE_WORD_SHOWN];
	struct error why;
	word->kind = kind;
	word->text = from->text + (kind == WORD_GROUP || kind == WORD_PATTERN);
	if (kind == WORD_GROUP && !word->text[0])
		return FAIL(parsing, "a role name must follow \"+\"");
	if (kind != WORD_PATTERN)
		return true;
	word->pattern = pattern_new(word->text, &why);
	return word->pattern || FAIL(parsing, "invalid regular expression \"%s\": %s",
				     rule_word_shown(word->text, shown), why.message);
}

static bool parse_words(struct parsing *parsing, const char *what,
			enum word_kind (*kind)(const struct rule_word *), struct words *words,
			const char **shown)
{
	if (parsing->next == parsing->line->count)
		return FAIL(parsing, "the %s is missing", what);
	const struct rule_field *field = &parsing->line->fields[parsing->next++];
	words->all = rule_file_alloc(parsing->file, field->count * sizeof *words->all);
	for (size_t i = 0; i < field->count; i++) {
		words->count++;
		if (!parse_word(parsing, &field->words[i], kind(&field->words[i]), &words->all[i]))
			return false;
	}
	*shown = show_words(parsing, field);
	return true;
}

/* Could this be a host name, or ".suffix"? A mistyped address could not, so that it is not looked
 * up in vain for ever. */
static bool is_host_name(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
	enum { NAME_MAX_LENGTH = 254 };
	size_t length = strlen(text);
	return length <= NAME_MAX_LENGTH && strspn(text, allowed) == length &&
	       strpbrk(text, letters) && !strstr(text, "..");
}

static void show_network(struct parsing *parsing)
{
	char text[ADDRESS_TEXT];
	struct hba_rule *face = &parsing->rule->face;
	const struct network *network = &parsing->rule->network;
	face->address = rule_file_strdup(parsing->file, network_print_base(network, text));
	face->netmask = rule_file_strdup(parsing->file, network_print_mask(network, text));
}

/* An address without a slash is at hand: its mask is the next column. */
static bool parse_mask(struct parsing *parsing, const char *address)
{
	char shown[RULE_WORD_SHOWN];
	const struct rule_word *mask = take_single(parsing, "address mask");
	if (!mask)
		return false;
	if (network_parse_mask(address, mask->text, &parsing->rule->network) != NETWORK_OK)
		return FAIL(parsing,
			    "invalid address mask \"%s\"; a mask of the address's family, such as "
			    "255.255.255.0, or address/bits, is allowed",
			    rule_word_shown(mask->text, shown));
	show_network(parsing);
	return true;
}

static bool parse_address(struct parsing *parsing)
{
	struct rule *rule = parsing->rule;
	char shown[RULE_WORD_SHOWN];
	const struct rule_word *word = take_single(parsing, "address");
	if (!word)
		return false;
	const char *text = rule->face.address = word->text;
	if (rule_word_is(word, "all")) {
		rule->address_kind = ADDRESS_ALL;
		return true;
	}
	if (rule_word_is(word, "samehost") || rule_word_is(word, "samenet")) {
		rule->address_kind = text[4] == 'h' ? ADDRESS_SAME_HOST : ADDRESS_SAME_NET;
		return true;
	}
	rule->address_kind = ADDRESS_NETWORK;
	switch (network_parse(text, &rule->network)) {
	case NETWORK_OK:
		if (!strchr(text, '/'))
			return parse_mask(parsing, text);
		show_network(parsing);
		return true;
	case NETWORK_BAD_MASK:
		return FAIL(parsing, "invalid number of bits in \"%s\"; 0 to %d are allowed",
			    rule_word_shown(text, shown), strchr(text, ':') ? 128 : 32);
	case NETWORK_NOT_ADDRESS:
		break;
	}
	if (!is_host_name(text))
		return FAIL(parsing,
			    "invalid address \"%s\"; allowed are all, samehost, samenet, an "
			    "address/bits, an address and a mask, a host name or .suffix",
			    rule_word_shown(text, shown));
	rule->address_kind = ADDRESS_NAME;
	rule->name = text;
	return true;
}

static bool parse_method(struct parsing *parsing)
{
	struct hba_rule *face = &parsing->rule->face;
	char shown[RULE_WORD_SHOWN], keywords[200];
	const struct rule_word *word = take_single(parsing, "authentication method");
	if (!word)
		return false;
	parsing->is_gss = face->type == HBA_HOSTGSSENC && rule_word_is(word, "gss");
	if (parsing->is_gss)
		face->method = AUTH_REJECT; /* the rule never matches */
	else if (face->type == HBA_LOCAL && rule_word_is(word, "ident"))
		face->method = AUTH_PEER; /* as PostgreSQL reads it */
	else if (word->is_quoted || !method_from_hba(word->text, &face->method))
		return FAIL(parsing, "unknown authentication method \"%s\"; allowed are %s",
			    rule_word_shown(word->text, shown),
			    method_hba_keywords(keywords, sizeof keywords));
	face->auth_method = parsing->is_gss ? word->text : method_get(face->method)->hba;
	/* In a host rule it refuses who comes without TLS, as in PgBouncer. */
	if (method_has(face->method, METHOD_NEEDS_TLS) && face->type != HBA_HOSTSSL &&
	    face->type != HBA_HOST)
		return FAIL(parsing, "method %s is allowed in hostssl and host rules only",
			    word->text);
	if (method_has(face->method, METHOD_ONLY_UNIX) && face->type != HBA_LOCAL)
		return FAIL(parsing, "method %s is allowed in local rules only", word->text);
	return true;
}

/* Options. */

enum option_value {
	VALUE_TEXT,
	VALUE_PORT,
	VALUE_ZERO_ONE,
	VALUE_CLIENTCERT,
	VALUE_CLIENTNAME,
	VALUE_SCHEME
};
enum { ANY_METHOD = ~0U, METHODS_GSS = 1U << 31 };
#define METHODS(method) (1U << AUTH_##method)

static const struct option_row {
	const char *name;
	unsigned methods;     /* that know it */
	const char *for_whom; /* the same for people */
	enum option_value value;
} option_rows[] = {
	{"include_realm", METHODS_GSS, "method gss", VALUE_ZERO_ONE},
	{"krb_realm", METHODS_GSS, "method gss", VALUE_TEXT},
	{"map", METHODS(CERT) | METHODS(PEER) | METHODS_GSS, "methods cert and peer", VALUE_TEXT},
	{"clientcert", ANY_METHOD, "hostssl rules", VALUE_CLIENTCERT},
	{"clientname", ANY_METHOD, "hostssl rules", VALUE_CLIENTNAME},
	{"pamservice", METHODS(PAM), "method pam", VALUE_TEXT},
	{"pam_use_hostname", METHODS(PAM), "method pam", VALUE_ZERO_ONE},
	{"ldapserver", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapport", METHODS(LDAP), "method ldap", VALUE_PORT},
	{"ldapscheme", METHODS(LDAP), "method ldap", VALUE_SCHEME},
	{"ldaptls", METHODS(LDAP), "method ldap", VALUE_ZERO_ONE},
	{"ldapbinddn", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapbindpasswd", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapsearchattribute", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapsearchfilter", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapbasedn", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapprefix", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapsuffix", METHODS(LDAP), "method ldap", VALUE_TEXT},
	{"ldapurl", METHODS(LDAP), "method ldap", VALUE_TEXT},
};
enum { OPTION_ROWS = sizeof option_rows / sizeof *option_rows };

static bool parse_clientcert(struct parsing *parsing, const char *value)
{
	struct hba_rule *face = &parsing->rule->face;
	if (strcmp(value, "verify-full") == 0)
		face->client_certificate = HBA_CERTIFICATE_VERIFY_FULL;
	else if (face->method == AUTH_CERT)
		return FAIL(parsing, "clientcert must be verify-full with method cert");
	else if (strcmp(value, "verify-ca") == 0)
		face->client_certificate = HBA_CERTIFICATE_VERIFY_CA;
	else if (strcmp(value, "no-verify") != 0)
		return FAIL(parsing, "invalid clientcert; allowed are verify-ca, verify-full and "
				     "no-verify");
	return true;
}

/* The value is not named in errors: it may be a password that lost its option's name. */
static bool parse_value(struct parsing *parsing, const struct option_row *row, const char *value)
{
	struct hba_rule *face = &parsing->rule->face;
	int64_t number;
	switch (row->value) {
	case VALUE_TEXT:
		return *value || FAIL(parsing, "%s must not be empty", row->name);
	case VALUE_PORT:
		return (text_to_int(value, &number) && number >= 1 && number <= UINT16_MAX) ||
		       FAIL(parsing, "invalid %s; 1 to 65535 is allowed", row->name);
	case VALUE_ZERO_ONE:
		return strcmp(value, "0") == 0 || strcmp(value, "1") == 0 ||
		       FAIL(parsing, "invalid %s; 0 and 1 are allowed", row->name);
	case VALUE_SCHEME:
		return strcmp(value, "ldap") == 0 || strcmp(value, "ldaps") == 0 ||
		       FAIL(parsing, "invalid %s; ldap and ldaps are allowed", row->name);
	case VALUE_CLIENTCERT:
		return parse_clientcert(parsing, value);
	case VALUE_CLIENTNAME:
		face->uses_distinguished_name = strcmp(value, "DN") == 0;
		return face->uses_distinguished_name || strcmp(value, "CN") == 0 ||
		       FAIL(parsing, "invalid %s; CN and DN are allowed", row->name);
	}
	return false;
}

static const struct option_row *find_row(const char *name)
{
	for (unsigned i = 0; i < OPTION_ROWS; i++) {
		if (strcmp(option_rows[i].name, name) == 0)
			return &option_rows[i];
	}
	return NULL;
}

static bool parse_option(struct parsing *parsing, const char *text, struct hba_option *option)
{
	struct hba_rule *face = &parsing->rule->face;
	char shown[RULE_WORD_SHOWN];
	const char *equals = strchr(text, '=');
	if (!equals)
		return FAIL(parsing, "an option behind the method is not of the form name=value");
	char *name = rule_file_strdup(parsing->file, text);
	name[equals - text] = '\0';
	const struct option_row *row = find_row(name);
	/* With ldap it may be the rest of a password that wants quotes. */
	if (!row)
		return FAIL(parsing,
			    "unknown option%s%s%s; allowed are map, clientcert, clientname, "
			    "pamservice, pam_use_hostname and the options of ldap",
			    face->method == AUTH_LDAP ? "" : " \"",
			    face->method == AUTH_LDAP ? "" : rule_word_shown(name, shown),
			    face->method == AUTH_LDAP ? "" : "\"");
	bool is_for_tls = row->value == VALUE_CLIENTCERT || row->value == VALUE_CLIENTNAME;
	unsigned method = parsing->is_gss ? METHODS_GSS : 1U << face->method;
	bool may_be_tls = face->type == HBA_HOSTSSL ||
			  (face->type == HBA_HOST && method_has(face->method, METHOD_NEEDS_TLS));
	if (!(row->methods & method) || (is_for_tls && !may_be_tls))
		return FAIL(parsing, "option %s is allowed for %s only", name, row->for_whom);
	if (hba_rule_option(face, name))
		return FAIL(parsing, "option %s is given twice", name);
	option->name = row->name;
	option->value = equals + 1;
	face->option_count++;
	return parse_value(parsing, row, option->value);
}

/* What LDAP needs, and what excludes each other, as PostgreSQL has it; what a URL brings is for the
 * LDAP room to see. */
static bool check_ldap(struct parsing *parsing)
{
	static const char *const of_search[] = {"ldapbasedn",	    "ldapbinddn",
						"ldapbindpasswd",   "ldapsearchattribute",
						"ldapsearchfilter", NULL};
	const struct hba_rule *face = &parsing->rule->face;
	bool has_url = hba_rule_option(face, "ldapurl");
	bool is_simple = hba_rule_option(face, "ldapprefix") || hba_rule_option(face, "ldapsuffix");
	if (!has_url && !hba_rule_option(face, "ldapserver"))
		return FAIL(parsing, "method ldap needs the option ldapserver or ldapurl");
	for (unsigned i = 0; is_simple && of_search[i]; i++) {
		if (hba_rule_option(face, of_search[i]))
			return FAIL(parsing,
				    "option %s cannot be used together with ldapprefix or "
				    "ldapsuffix",
				    of_search[i]);
	}
	if (!is_simple && !has_url && !hba_rule_option(face, "ldapbasedn"))
		return FAIL(parsing,
			    "method ldap needs the option ldapbasedn, ldapprefix or ldapsuffix");
	if (hba_rule_option(face, "ldapsearchattribute") &&
	    hba_rule_option(face, "ldapsearchfilter"))
		return FAIL(parsing, "option ldapsearchattribute cannot be used together with "
				     "ldapsearchfilter");
	return true;
}

static bool parse_options(struct parsing *parsing)
{
	struct hba_rule *face = &parsing->rule->face;
	const struct rule_line *line = parsing->line;
	size_t count = 0;
	for (size_t i = parsing->next; i < line->count; i++)
		count += line->fields[i].count;
	struct hba_option *options = rule_file_alloc(parsing->file, count * sizeof *options);
	face->options = options;
	if (face->method == AUTH_CERT)
		face->client_certificate = HBA_CERTIFICATE_VERIFY_FULL;
	for (; parsing->next < line->count; parsing->next++) {
		const struct rule_field *field = &line->fields[parsing->next];
		for (size_t i = 0; i < field->count; i++) {
			if (!parse_option(parsing, field->words[i].text,
					  &options[face->option_count]))
				return false;
		}
	}
	const char *use_hostname = hba_rule_option(face, "pam_use_hostname");
	face->map = hba_rule_option(face, "map");
	face->pam_service = hba_rule_option(face, "pamservice");
	face->pam_use_hostname = use_hostname && use_hostname[0] == '1';
	face->options_shown = show_options(parsing);
	return face->method != AUTH_LDAP || check_ldap(parsing);
}

static bool parse_rule(struct parsing *parsing)
{
	struct rule *rule = parsing->rule;
	rule->face.file_name = parsing->line->file;
	rule->face.line_number = parsing->line->number;
	return parse_type(parsing) &&
	       parse_words(parsing, "database", database_kind, &rule->databases,
			   &rule->face.databases) &&
	       parse_words(parsing, "user", user_kind, &rule->users, &rule->face.users) &&
	       (rule->face.type == HBA_LOCAL || parse_address(parsing)) && parse_method(parsing) &&
	       parse_options(parsing);
}

struct hba *hba_load(const char *path, struct error *error)
{
	static uint64_t serial;
	struct rule_file *file = rule_file_load(path, "auth_hba_file", error);
	if (!file)
		return NULL;
	struct hba *hba = memory_alloc(sizeof *hba);
	hba->file = file;
	hba->serial = ++serial;
	hba->rules = memory_alloc((file->count + 1) * sizeof *hba->rules);
	for (size_t i = 0; i < file->count; i++) {
		struct parsing parsing = {.file = file,
					  .line = &file->lines[i],
					  .rule = &hba->rules[i],
					  .error = error};
		hba->count++;
		if (!parse_rule(&parsing) && !error_collected(error)) {
			hba_free(&hba);
			return NULL;
		}
	}
	return hba;
}

static void words_fini(struct words *words)
{
	for (size_t i = 0; i < words->count; i++)
		pattern_free(&words->all[i].pattern);
}

void hba_free(struct hba **hba)
{
	if (!*hba)
		return;
	for (size_t i = 0; i < (*hba)->count; i++) {
		words_fini(&(*hba)->rules[i].databases);
		words_fini(&(*hba)->rules[i].users);
	}
	memory_free(&(*hba)->rules);
	rule_file_free(&(*hba)->file);
	memory_free(hba);
}

size_t hba_rule_count(const struct hba *hba)
{
	return hba->count;
}

const struct hba_rule *hba_rule(const struct hba *hba, size_t index)
{
	assert(index < hba->count);
	return &hba->rules[index].face;
}

const char *hba_rule_option(const struct hba_rule *rule, const char *name)
{
	for (size_t i = 0; i < rule->option_count; i++) {
		if (strcmp(rule->options[i].name, name) == 0)
			return rule->options[i].value;
	}
	return NULL;
}
