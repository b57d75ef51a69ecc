/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/encryption.h"
#include <string.h>
#include "core/error.h"
#include "core/list.h"
#include "core/memory.h"

struct row {
	struct map_node node; /* by the name of the database's row */
	char *name;
	const struct encryption_to_server *servers;
};

/* Everybody waits for a passphrase command, but at the start, where it may ask a human. */
#define PASSPHRASE_LIMIT (10 * USEC_PER_SECOND)

/* What contexts are made from. */
struct making {
	struct encryption *made;
	const struct settings *settings;
	const struct source *sources; /* NULL: nowhere */
	const struct encryption *old;
	unsigned sides; /* to be made anew */
	usec_t passphrase_limit;
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

/* Does the error name the value of the setting? */
static bool is_named(const struct making *making, enum setting_index index)
{
	char *quoted = memory_printf("\"%s\"", settings_text(making->settings, index));
	bool found = strlen(quoted) > 2 && strstr(making->error->message, quoted);
	memory_free(&quoted);
	return found;
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

/* ---- towards clients ---- */

static bool add_name(const struct tls_options *common, const struct section_tls *row,
		     struct tls_context *context, struct error *error)
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
	struct tls_context *own = tls_context_new(&options, error);
	bool well = own && tls_context_add_name(context, row->name, own, error);
	tls_context_free(&own);
	return well || error_prefix(error, "TLS host \"%s\"", row->name);
}

static bool add_names(const struct tls_options *common, const struct map *rows,
		      struct tls_context *context, struct error *error)
{
	map_foreach (node, rows) {
		const struct section_tls *row = container_of(node, struct section_tls, node);
		if (!add_name(common, row, context, error) &&
		    !fail_at(error, &row->place, SETTING_COUNT))
			return false;
	}
	return true;
}

static bool make_context(const struct making *making, struct tls_options *options,
			 struct tls_context **made, struct error *error)
{
	const struct settings *settings = making->settings;
	enum sslmode mode = settings->client_tls_sslmode;
	if (!*settings->client_tls_cert_file || !*settings->client_tls_key_file)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "client_tls_sslmode \"%s\" needs client_tls_key_file and "
				 "client_tls_cert_file",
				 settings_text(settings, SETTING_client_tls_sslmode));
	if (mode >= SSLMODE_VERIFY_CA && !*settings->client_tls_ca_file)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "client_tls_sslmode \"%s\" needs client_tls_ca_file",
				 settings_text(settings, SETTING_client_tls_sslmode));
	*options = (struct tls_options){
		.accepts = true,
		.verify = mode >= SSLMODE_VERIFY_CA ? TLS_VERIFY_CA : TLS_VERIFY_NONE,
		.asks_certificate = *settings->client_tls_ca_file != '\0',
		.cert_file = settings->client_tls_cert_file,
		.key_file = settings->client_tls_key_file,
		.ca_file = settings->client_tls_ca_file,
		.crl_file = settings->client_tls_crl_file,
		.key_passphrase_command = settings->client_tls_key_passphrase_command,
		.key_passphrase_limit = making->passphrase_limit,
		.protocols = settings->client_tls_protocols,
		.ciphers = settings->client_tls_ciphers,
		.tls13_ciphers = settings->client_tls13_ciphers,
		.ecdhcurve = settings->client_tls_ecdhcurve,
		.dheparams = settings->client_tls_dheparams,
	};
	*made = tls_context_new(options, error);
	return *made || error_prefix(error, "client_tls");
}

static bool make_for_clients(const struct making *making, const struct map *tls_rows)
{
	const struct encryption *old = making->old;
	struct tls_options options;
	struct tls_context *made = NULL;
	if (making->settings->client_tls_sslmode == SSLMODE_DISABLE)
		return true;
	if (!(making->sides & ENCRYPTION_CLIENTS) && old && old->clients) {
		making->made->clients = tls_context_ref(old->clients);
		return true;
	}
	if (!make_context(making, &options, &made, making->error))
		return fail_setting(making, "client_tls", SETTING_client_tls_sslmode);
	if (!add_names(&options, tls_rows, made, making->error)) {
		tls_context_free(&made);
		return false;
	}
	if (old && old->clients)
		tls_context_take_tickets(made, old->clients);
	making->made->clients = made;
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

/* The words of what is made from these. */
static char *print_words(enum sslmode mode, enum tls_negotiation negotiation,
			 const struct tls_options *options)
{
	return memory_printf("%d %d %s|%s|%s|%s|%s|%s|%s|%s", (int)mode, (int)negotiation,
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

/* The terms of these words, of another row, of the encryption before, or new; NULL with an error.
 */
static struct encryption_to_server *make_terms(const struct making *making, enum sslmode mode,
					       enum tls_negotiation negotiation,
					       const struct tls_options *options)
{
	char *words = print_words(mode, negotiation, options);
	struct encryption_to_server *terms = find_terms(making->made, words);
	const struct encryption_to_server *same = making->sides & ENCRYPTION_SERVERS || !making->old
							  ? NULL
							  : find_terms(making->old, words);
	struct tls_context *context = NULL;
	if (!terms && mode != SSLMODE_DISABLE)
		context = same ? tls_context_ref(same->context)
			       : tls_context_new(options, making->error);
	if (terms || (mode != SSLMODE_DISABLE && !context)) {
		memory_free(&words);
		return terms;
	}
	terms = memory_alloc(sizeof *terms);
	terms->mode = mode;
	terms->negotiation = negotiation;
	terms->context = context;
	terms->words = words;
	map_add(&making->made->terms, words, strlen(words), &terms->node);
	return terms;
}

static bool make_to_servers(const struct making *making, const struct section_database *row,
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
		.key_passphrase_limit = making->passphrase_limit,
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

static bool add_row(const struct making *making, const struct section_database *database)
{
	if (!database || !is_overridden(database))
		return true;
	struct row *row = memory_alloc(sizeof *row);
	row->name = memory_strdup(database->name);
	map_add(&making->made->rows, row->name, strlen(row->name), &row->node);
	if (make_to_servers(making, database, &row->servers))
		return true;
	error_prefix(making->error, "database \"%s\"", database->name);
	return fail_at(making->error, &database->place, SETTING_COUNT);
}

/* ---- all of it ---- */

static bool make_for_all(const struct making *making)
{
	return make_to_servers(making, NULL, &making->made->servers) ||
	       fail_setting(making, "server_tls", SETTING_server_tls_sslmode);
}

static bool make(const struct making *making, const struct map *databases,
		 const struct section_database *automatic, const struct map *tls_rows)
{
	if (!make_for_clients(making, tls_rows) || !make_for_all(making) ||
	    !add_row(making, automatic))
		return false;
	map_foreach (node, databases)
		if (!add_row(making, container_of(node, struct section_database, node)))
			return false;
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
				.sides = sides,
				.passphrase_limit = old ? PASSPHRASE_LIMIT : 0,
				.error = error ? error : &own};
	if (!make(&making, databases, automatic, tls_rows))
		encryption_free(&encryption);
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
