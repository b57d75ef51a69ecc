/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/encryption.h"
#include <string.h>
#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "core/memory.h"
#include "net/tls_file.h"

struct row {
	struct map_node node; /* by the name of the database's row */
	char *name;
	const struct encryption_to_server *servers;
};

/* Everybody waits for passphrase commands, for so long in all, but at the start, where they may ask
 * a human. */
#define PASSPHRASE_LIMIT (10 * USEC_PER_SECOND)

/* What contexts are made from. */
struct making {
	struct encryption *made;
	const struct settings *settings;
	const struct source *sources; /* NULL: nowhere */
	const struct encryption *old;
	const struct map *tls_rows;
	unsigned sides; /* to be made anew */
	usec_t passphrase_until;
	char *told;	    /* what is wrong with what rows have in common; NULL: nothing */
	const char *warned; /* of the key in this file; NULL: of none yet */
	struct error *error;
};

/* ---- whose fault it is ---- */

static bool fail_at(struct error *error, const struct source *source, enum setting_index index)
{
	char where[SOURCE_TEXT];
	error_prefix(error, "TLS setup failed");
	if (source && source->kind != SOURCE_DEFAULT)
		error_prefix(error, "%s", source_print(source, index, where));
	return error_collected(error);
}

/* What errors call the files of settings that end like this: one file may be named by several. */
static const struct {
	const char *ending, *called;
} file_kinds[] = {
	{"_cert_file", "certificate file "},
	{"_key_file", "key file "},
	{"_ca_file", "CA file "},
	{"_crl_file", "CRL file "},
};

static const char *called(enum setting_index index)
{
	const char *name = setting_row(index)->name;
	for (size_t i = 0; i < sizeof file_kinds / sizeof *file_kinds; i++) {
		size_t length = strlen(name), wanted = strlen(file_kinds[i].ending);
		if (length > wanted && !strcmp(name + length - wanted, file_kinds[i].ending))
			return file_kinds[i].called;
	}
	return "";
}

static bool has_quoted(const struct error *error, const char *what, const char *value)
{
	char *quoted = memory_printf("%s\"%s\"", what, value);
	bool found = *value && strstr(error->message, quoted);
	memory_free(&quoted);
	return found;
}

/* Does the error name the value of the setting? */
static bool is_named(const struct making *making, enum setting_index index)
{
	return has_quoted(making->error, called(index), settings_text(making->settings, index));
}

/* While errors are collected: what is wrong with a setting is not told again of each row that has
 * no value of its own for it. */
static void note_told(struct making *making)
{
	memory_free(&making->told);
	making->told = memory_strdup(making->error->message);
}

/* @values: the row's own; NULL: it has none. */
static bool is_told(const struct making *making, const char *const *values, size_t count)
{
	if (!making->told || strcmp(making->told, making->error->message) != 0)
		return false;
	for (size_t i = 0; i < count; i++)
		if (values[i] && has_quoted(making->error, "", values[i]))
			return false;
	return true;
}

/* The setting with this beginning that the error is about. @fallback: it does not say. Returns
 * whether the error was collected. */
static bool fail_setting(const struct making *making, const char *prefix,
			 enum setting_index fallback)
{
	if (!making->sources)
		return fail_at(making->error, NULL, fallback);
	enum setting_index culprit = fallback;
	bool is_sure = false;
	for (enum setting_index i = 0; i < SETTING_COUNT && !is_sure; i++) {
		if (strncmp(setting_row(i)->name, prefix, strlen(prefix)) != 0 ||
		    making->sources[i].kind == SOURCE_DEFAULT)
			continue;
		is_sure = is_named(making, i);
		if (is_sure || making->sources[culprit].kind == SOURCE_DEFAULT)
			culprit = i;
	}
	return fail_at(making->error, &making->sources[culprit], culprit);
}

/* ---- contexts ---- */

/* NULL with an error. */
static struct tls_context *new_context(struct making *making, const struct tls_options *options)
{
	struct tls_context *context = tls_context_new(options, making->error);
	const char *key = options->key_file;
	if (!context || !*key || (making->warned && !strcmp(making->warned, key)) ||
	    !tls_file_is_public(key))
		return context;
	making->warned = key; /* most rows that have the same come one after the other */
	log_warning("",
		    "TLS key file \"%s\" can be read by everybody: its mode should be 0600 or 0640",
		    key);
	return context;
}

/* ---- towards clients ---- */

/* @context: NULL: it could not be made, and this is for the row's own mistakes. */
static bool add_name(struct making *making, const struct tls_options *common,
		     const struct section_tls *row, struct tls_context *context)
{
	struct tls_options options = *common;
	options.cert_file = row->cert_file;
	options.key_file = row->key_file;
	if (row->key_passphrase_command)
		options.key_passphrase_command = row->key_passphrase_command;
	if (row->ca_file)
		options.ca_file = row->ca_file;
	if (row->crl_file)
		options.crl_file = row->crl_file;
	options.asks_certificate = *options.ca_file != '\0';
	const char *const values[] = {row->cert_file, row->key_file, row->ca_file, row->crl_file};
	struct tls_context *own = new_context(making, &options);
	bool well = own ? !context || tls_context_add_name(context, row->name, own, making->error)
			: is_told(making, values, sizeof values / sizeof *values);
	tls_context_free(&own);
	return well || error_prefix(making->error, "TLS host \"%s\"", row->name);
}

static bool add_names(struct making *making, const struct tls_options *common,
		      struct tls_context *context)
{
	map_foreach (node, making->tls_rows) {
		const struct section_tls *row = container_of(node, struct section_tls, node);
		if (!add_name(making, common, row, context) &&
		    !fail_at(making->error, &row->place, SETTING_COUNT))
			return false;
	}
	return true;
}

static struct tls_options client_options(const struct making *making)
{
	const struct settings *settings = making->settings;
	return (struct tls_options){
		.accepts = true,
		.verify = settings->client_tls_sslmode >= SSLMODE_VERIFY_CA ? TLS_VERIFY_CA
									    : TLS_VERIFY_NONE,
		.asks_certificate = *settings->client_tls_ca_file != '\0',
		.cert_file = settings->client_tls_cert_file,
		.key_file = settings->client_tls_key_file,
		.ca_file = settings->client_tls_ca_file,
		.crl_file = settings->client_tls_crl_file,
		.key_passphrase_command = settings->client_tls_key_passphrase_command,
		.key_passphrase_until = making->passphrase_until,
		.protocols = settings->client_tls_protocols,
		.ciphers = settings->client_tls_ciphers,
		.tls13_ciphers = settings->client_tls13_ciphers,
		.ecdhcurve = settings->client_tls_ecdhcurve,
		.dheparams = settings->client_tls_dheparams,
	};
}

/* NULL with an error. */
static struct tls_context *make_context(struct making *making, const struct tls_options *options)
{
	const struct settings *settings = making->settings;
	struct tls_context *context = NULL;
	const char *mode = settings_text(settings, SETTING_client_tls_sslmode);
	if (!*settings->client_tls_cert_file || !*settings->client_tls_key_file) {
		error_set(making->error, SQLSTATE_CONFIG_FILE_ERROR,
			  "client_tls_sslmode \"%s\" needs client_tls_key_file and "
			  "client_tls_cert_file",
			  mode);
	} else if (options->verify != TLS_VERIFY_NONE && !options->asks_certificate) {
		error_set(making->error, SQLSTATE_CONFIG_FILE_ERROR,
			  "client_tls_sslmode \"%s\" needs client_tls_ca_file", mode);
	} else {
		context = new_context(making, options);
		if (!context) {
			note_told(making);
			error_prefix(making->error, "client_tls");
		}
	}
	return context;
}

static bool make_for_clients(struct making *making)
{
	const struct encryption *old = making->old;
	struct tls_options options = client_options(making);
	if (making->settings->client_tls_sslmode == SSLMODE_DISABLE)
		return true;
	if (!(making->sides & ENCRYPTION_CLIENTS) && old && old->clients) {
		making->made->clients = tls_context_ref(old->clients);
		return true;
	}
	making->made->clients = make_context(making, &options);
	if (!making->made->clients &&
	    !fail_setting(making, "client_tls", SETTING_client_tls_sslmode))
		return false;
	if (!options.asks_certificate) /* if that is what is missing, it is told already */
		options.verify = TLS_VERIFY_NONE;
	if (!add_names(making, &options, making->made->clients))
		return false;
	if (old && old->clients && making->made->clients)
		tls_context_take_tickets(making->made->clients, old->clients);
	return true;
}

/* ---- towards servers ---- */

/* What holds for a row: its own word, or the setting. */
#define OWN(field) (row && row->field ? row->field : settings->field)

static bool is_overridden(const struct section_database *row)
{
	return row->server_tls_sslmode != SSLMODE_UNSET ||
	       row->server_tls_negotiation != NEGOTIATION_UNSET || row->server_tls_ca_file ||
	       row->server_tls_cert_file || row->server_tls_key_file || row->server_tls_crl_file ||
	       row->server_tls_key_passphrase_command || row->server_tls_protocols ||
	       row->server_tls_ciphers || row->server_tls13_ciphers;
}

/* The words of what is made from these; no value has an end of line in it. */
static char *print_words(enum sslmode mode, enum tls_negotiation negotiation,
			 const struct tls_options *options)
{
	return memory_printf("%d %d %s\n%s\n%s\n%s\n%s\n%s\n%s\n%s", (int)mode, (int)negotiation,
			     options->cert_file, options->key_file, options->ca_file,
			     options->crl_file, options->protocols, options->ciphers,
			     options->tls13_ciphers, options->key_passphrase_command);
}

static struct encryption_to_server *find_terms(const struct encryption *encryption,
					       const char *words)
{
	struct map_node *node = map_find(&encryption->terms, words, strlen(words));
	return node ? container_of(node, struct encryption_to_server, node) : NULL;
}

/* What has the words in the encryption before, if it was made from the same. */
static const struct encryption_to_server *find_old(const struct making *making, const char *words)
{
	return making->old && !(making->sides & ENCRYPTION_SERVERS) ? find_terms(making->old, words)
								    : NULL;
}

/* Terms of these words, which they own from now on; NULL with an error. */
static struct encryption_to_server *add_terms(struct making *making, enum sslmode mode,
					      enum tls_negotiation negotiation,
					      const struct tls_options *options, char *words)
{
	const struct encryption_to_server *old = find_old(making, words);
	struct tls_context *context = NULL;
	if (mode != SSLMODE_DISABLE) {
		context = old ? tls_context_ref(old->context) : new_context(making, options);
		if (!context) {
			memory_free(&words);
			return NULL;
		}
	}
	struct encryption_to_server *terms = memory_alloc(sizeof *terms);
	terms->mode = mode;
	terms->negotiation = negotiation;
	terms->context = context;
	terms->words = words;
	map_add(&making->made->terms, words, strlen(words), &terms->node);
	return terms;
}

/* The terms of these words, of another row or new; NULL with an error. */
static struct encryption_to_server *make_terms(struct making *making, enum sslmode mode,
					       enum tls_negotiation negotiation,
					       const struct tls_options *options)
{
	char *words = print_words(mode, negotiation, options);
	struct encryption_to_server *terms = find_terms(making->made, words);
	if (!terms)
		return add_terms(making, mode, negotiation, options, words);
	memory_free(&words);
	return terms;
}

static bool make_to_servers(struct making *making, const struct section_database *row,
			    const struct encryption_to_server **result)
{
	const struct settings *settings = making->settings;
	enum sslmode mode = row && row->server_tls_sslmode != SSLMODE_UNSET
				    ? row->server_tls_sslmode
				    : settings->server_tls_sslmode;
	enum tls_negotiation negotiation = row && row->server_tls_negotiation != NEGOTIATION_UNSET
						   ? row->server_tls_negotiation
						   : settings->server_tls_negotiation;
	struct tls_options options = {
		.verify = mode == SSLMODE_VERIFY_FULL ? TLS_VERIFY_FULL
			  : mode == SSLMODE_VERIFY_CA ? TLS_VERIFY_CA
						      : TLS_VERIFY_NONE,
		.cert_file = OWN(server_tls_cert_file),
		.key_file = OWN(server_tls_key_file),
		.ca_file = OWN(server_tls_ca_file),
		.crl_file = OWN(server_tls_crl_file),
		.key_passphrase_command = OWN(server_tls_key_passphrase_command),
		.key_passphrase_until = making->passphrase_until,
		.protocols = OWN(server_tls_protocols),
		.ciphers = OWN(server_tls_ciphers),
		.tls13_ciphers = OWN(server_tls13_ciphers),
	};
	if (negotiation == NEGOTIATION_DIRECT && mode < SSLMODE_REQUIRE && mode != SSLMODE_DISABLE)
		return error_set(making->error, SQLSTATE_CONFIG_FILE_ERROR,
				 "server_tls_negotiation \"direct\" needs server_tls_sslmode "
				 "\"require\" or stricter");
	*result = make_terms(making, mode, negotiation, &options);
	return *result || error_prefix(making->error, "server_tls");
}

static bool add_row(struct making *making, const struct section_database *database)
{
	if (!database || !is_overridden(database))
		return true;
	struct row *row = memory_alloc(sizeof *row);
	row->name = memory_strdup(database->name);
	map_add(&making->made->rows, row->name, strlen(row->name), &row->node);
	const char *const values[] = {
		database->server_tls_cert_file, database->server_tls_key_file,
		database->server_tls_ca_file,	database->server_tls_crl_file,
		database->server_tls_protocols, database->server_tls_ciphers,
		database->server_tls13_ciphers,
	};
	if (make_to_servers(making, database, &row->servers) ||
	    is_told(making, values, sizeof values / sizeof *values))
		return true;
	error_prefix(making->error, "database \"%s\"", database->name);
	return fail_at(making->error, &database->place, SETTING_COUNT);
}

/* Is there a host name, or are there all, whose clients can show a certificate? */
static bool has_authorities(const struct making *making)
{
	if (*making->settings->client_tls_ca_file)
		return true;
	map_foreach (node, making->tls_rows)
		if (container_of(node, struct section_tls, node)->ca_file)
			return true;
	return false;
}

/* A row may ask clients for more than the setting does, if they can have it. */
static bool check_clients(const struct making *making, const struct section_database *row)
{
	const struct settings *settings = making->settings;
	const char *missing = NULL;
	if (!row || row->client_tls_sslmode == SSLMODE_UNSET ||
	    row->client_tls_sslmode < SSLMODE_REQUIRE)
		return true;
	if (settings->client_tls_sslmode == SSLMODE_DISABLE)
		missing = "client_tls_sslmode to be more than \"disable\" for all";
	else if (row->client_tls_sslmode >= SSLMODE_VERIFY_CA && !has_authorities(making))
		missing = "client_tls_ca_file";
	if (!missing)
		return true;
	error_set(making->error, SQLSTATE_CONFIG_FILE_ERROR,
		  "database \"%s\": its client_tls_sslmode needs %s", row->name, missing);
	return fail_at(making->error, &row->place, SETTING_COUNT);
}

/* ---- all of it ---- */

static bool make_for_all(struct making *making)
{
	if (make_to_servers(making, NULL, &making->made->servers))
		return true;
	note_told(making);
	return fail_setting(making, "server_tls", SETTING_server_tls_sslmode);
}

static bool make(struct making *making, const struct map *databases,
		 const struct section_database *automatic)
{
	if (!make_for_clients(making) || !make_for_all(making) ||
	    !check_clients(making, automatic) || !add_row(making, automatic))
		return false;
	map_foreach (node, databases) {
		const struct section_database *row =
			container_of(node, struct section_database, node);
		if (!check_clients(making, row) || !add_row(making, row))
			return false;
	}
	return true;
}

struct encryption *encryption_new(const struct settings *settings, const struct source *sources,
				  const struct map *databases,
				  const struct section_database *automatic,
				  const struct map *tls_rows, const struct encryption *old,
				  unsigned sides, struct error *error)
{
	struct error own = {0};
	struct encryption *encryption = memory_alloc(sizeof *encryption);
	struct making making = {.made = encryption,
				.settings = settings,
				.sources = sources,
				.old = old,
				.tls_rows = tls_rows,
				.sides = sides,
				.passphrase_until = old ? clock_read() + PASSPHRASE_LIMIT : 0,
				.error = error ? error : &own};
	if (!make(&making, databases, automatic))
		encryption_free(&encryption);
	memory_free(&making.told);
	return encryption;
}

void encryption_free(struct encryption **encryption)
{
	struct encryption *e = *encryption;
	if (!e)
		return;
	map_foreach (node, &e->rows) {
		struct row *row = container_of(node, struct row, node);
		map_remove(&e->rows, node);
		memory_free(&row->name);
		memory_free(&row);
	}
	map_foreach (node, &e->terms) {
		struct encryption_to_server *terms =
			container_of(node, struct encryption_to_server, node);
		map_remove(&e->terms, node);
		tls_context_free(&terms->context);
		memory_free(&terms->words);
		memory_free(&terms);
	}
	tls_context_free(&e->clients);
	memory_free(encryption);
}

const struct encryption_to_server *encryption_to(const struct encryption *encryption,
						 const struct section_database *row)
{
	struct map_node *node =
		row ? map_find(&encryption->rows, row->name, strlen(row->name)) : NULL;
	return node ? container_of(node, struct row, node)->servers : encryption->servers;
}

/* ---- which settings these are ---- */

unsigned encryption_side(enum setting_index index)
{
	const char *name = setting_row(index)->name;
	if (!strncmp(name, "client_tls", 10))
		return ENCRYPTION_CLIENTS;
	return strncmp(name, "server_tls", 10) == 0 ? ENCRYPTION_SERVERS : 0;
}
