/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/snapshot.h"
#include "settings_priv.h"
#include "config/ini.h"
#include "auth/pam.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include <string.h>

enum section { SECTION_MAIN, SECTION_DATABASES, SECTION_USERS, SECTION_PEERS, SECTION_TLS };

static const struct {
	const char *name;
	enum section section;
} sections[] = {
	{"pgbouncer", SECTION_MAIN}, {"pgweir", SECTION_MAIN}, {"databases", SECTION_DATABASES},
	{"users", SECTION_USERS},    {"peers", SECTION_PEERS}, {"tls", SECTION_TLS},
};

/* A snapshot being loaded. */
struct loading {
	struct snapshot *snapshot;
	enum section section;
	const char *section_name; /* as the file has it: pgbouncer or pgweir */
	bool has_main;
};

enum { LDAP_TEXT_MAX = 16384 };

static struct snapshot *current;

static struct section_database *database_of(struct map_node *node)
{
	return container_of(node, struct section_database, node);
}

static struct section_user *user_of(struct map_node *node)
{
	return container_of(node, struct section_user, node);
}

static struct section_peer *peer_of(struct map_node *node)
{
	return container_of(node, struct section_peer, node);
}

static struct section_tls *tls_of(struct map_node *node)
{
	return container_of(node, struct section_tls, node);
}

/* ---- what the file says ---- */

static bool enter_section(void *context, const char *name, const struct ini_place *place,
			  struct error *error)
{
	struct loading *loading = context;
	char shown[VALUE_SHOWN_SIZE];
	(void)place;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		if (strcmp(sections[i].name, name) != 0)
			continue;
		loading->section = sections[i].section;
		loading->section_name = sections[i].name;
		loading->has_main |= loading->section == SECTION_MAIN;
		return true;
	}
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			 "unknown section [%s]: allowed are [pgbouncer] (or [pgweir]), "
			 "[databases], [users], [peers] and [tls]",
			 value_show(name, shown));
}

static bool set_setting(struct loading *loading, const char *key, const char *value,
			const struct ini_place *place, struct error *error)
{
	enum setting_index index = setting_find(key);
	char shown[VALUE_SHOWN_SIZE], suggestion[VALUE_SHOWN_SIZE];
	if (index == SETTING_COUNT)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "unknown parameter \"%s\" in section [%s]%s",
				 value_show(key, shown), loading->section_name,
				 settings_suggest(key, suggestion));
	if (!settings_set_at(&loading->snapshot->settings, index, value, place, error))
		return false;
	source_set_place(&loading->snapshot->sources[index], place);
	return true;
}

/* A row that comes again replaces the one before. */
static bool add_database(struct snapshot *snapshot, const char *name, const char *text,
			 const struct ini_place *place, struct error *error)
{
	struct section_database *row = section_parse_database(name, text, error);
	if (!row)
		return false;
	if (place)
		source_set_place(&row->place, place);
	if (strcmp(name, "*") == 0) {
		section_free_database(&snapshot->automatic);
		snapshot->automatic = row;
		return true;
	}
	struct map_node *old = map_find(&snapshot->databases, name, strlen(name));
	if (old) {
		struct section_database *replaced = database_of(old);
		map_remove(&snapshot->databases, old);
		section_free_database(&replaced);
	}
	map_add(&snapshot->databases, row->name, strlen(row->name), &row->node);
	return true;
}

static bool add_user(struct snapshot *snapshot, const char *name, const char *text,
		     struct error *error)
{
	struct section_user *row = section_parse_user(name, text, error);
	if (!row)
		return false;
	struct map_node *old = map_find(&snapshot->users, name, strlen(name));
	if (old) {
		struct section_user *replaced = user_of(old);
		map_remove(&snapshot->users, old);
		section_free_user(&replaced);
	}
	map_add(&snapshot->users, row->name, strlen(row->name), &row->node);
	return true;
}

static bool add_peer(struct snapshot *snapshot, const char *id, const char *text,
		     struct error *error)
{
	struct section_peer *row = section_parse_peer(id, text, error);
	if (!row)
		return false;
	struct map_node *old = map_find(&snapshot->peers, &row->id, sizeof(row->id));
	if (old) {
		struct section_peer *replaced = peer_of(old);
		map_remove(&snapshot->peers, old);
		section_free_peer(&replaced);
	}
	map_add(&snapshot->peers, &row->id, sizeof(row->id), &row->node);
	return true;
}

static bool add_tls(struct snapshot *snapshot, const char *name, const char *text,
		    const struct ini_place *place, struct error *error)
{
	struct section_tls *row = section_parse_tls(name, text, error);
	if (!row)
		return false;
	source_set_place(&row->place, place);
	struct map_node *old = map_find(&snapshot->tls, name, strlen(name));
	if (old) {
		struct section_tls *replaced = tls_of(old);
		map_remove(&snapshot->tls, old);
		section_free_tls(&replaced);
	}
	map_add(&snapshot->tls, row->name, strlen(row->name), &row->node);
	return true;
}

static bool take_value(void *context, const char *key, const char *value,
		       const struct ini_place *place, struct error *error)
{
	struct loading *loading = context;
	switch (loading->section) {
	case SECTION_MAIN:
		return set_setting(loading, key, value, place, error);
	case SECTION_DATABASES:
		return add_database(loading->snapshot, key, value, place, error);
	case SECTION_USERS:
		return add_user(loading->snapshot, key, value, error);
	case SECTION_TLS:
		return add_tls(loading->snapshot, key, value, place, error);
	default:
		return add_peer(loading->snapshot, key, value, error);
	}
}

/* ---- what must fit together ---- */

static bool check_tracked(const char *list, struct error *error)
{
	char name[SETTING_TRACKED_SIZE + 1], shown[VALUE_SHOWN_SIZE];
	for (int count = 0; text_next_item(&list, name, sizeof name); count++) {
		if (strlen(name) >= SETTING_TRACKED_SIZE || !text_is_qualified_name(name))
			return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					 "track_extra_parameters: \"%s\" is no parameter's name",
					 value_show(name, shown));
		if (count == SETTING_TRACKED_MAX)
			return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					 "track_extra_parameters names more than %d parameters",
					 SETTING_TRACKED_MAX);
	}
	return true;
}

/* Rules over the settings as a whole. *@culprit: the setting to change. */
static bool check_settings(const struct settings *settings, enum setting_index *culprit,
			   struct error *error)
{
	char shown[VALUE_SHOWN_SIZE];
	const char *auth_dbname = settings->auth_dbname;
	*culprit = SETTING_syslog_facility;
	if (!log_facility_is_known(settings->syslog_facility))
		return error_set(
			error, SQLSTATE_CONFIG_FILE_ERROR,
			"unknown syslog_facility \"%s\": allowed are names such as daemon, "
			"user, local0 to local7",
			value_show(settings->syslog_facility, shown));
	*culprit = SETTING_auth_dbname;
	if (strcmp(auth_dbname, "pgbouncer") == 0 || strcmp(auth_dbname, "pgweir") == 0)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "cannot use the reserved \"%s\" database as an auth_dbname",
				 auth_dbname);
	*culprit = SETTING_unix_socket_dir;
	if (!*settings->unix_socket_dir && (!*settings->listen_addr || settings->listen_port == 0))
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "nothing to listen on: set listen_addr (and a listen_port) or "
				 "unix_socket_dir");
	*culprit = SETTING_track_extra_parameters;
	return check_tracked(settings->track_extra_parameters, error);
}

/* "FILE:LINE: " of the setting, or of the file as a whole; of a variable or option that set it. */
static bool fail_setting(const struct loading *loading, enum setting_index index,
			 struct error *error)
{
	const struct snapshot *snapshot = loading->snapshot;
	const struct source *source = &snapshot->sources[index];
	char where[SOURCE_TEXT];
	if (source->kind == SOURCE_CONSOLE) /* who typed it knows */
		return false;
	if (source->kind != SOURCE_DEFAULT)
		return error_prefix(error, "%s", source_print(source, index, where));
	return *snapshot->path ? error_prefix(error, "%s", snapshot->path) : false;
}

/* Errors of a file's contents name their own line; others, such as a missing file, the setting. */
static bool fail_file(const struct loading *loading, enum setting_index index,
		      const struct error *reason, struct error *error)
{
	if (error)
		*error = *reason;
	if (strcmp(reason->sqlstate, sqlstate_code(SQLSTATE_CONFIG_FILE_ERROR)) != 0)
		fail_setting(loading, index, error);
	return false;
}

static bool load_userlist(const struct loading *loading, struct error *error)
{
	struct snapshot *snapshot = loading->snapshot;
	const char *path = snapshot->settings.auth_file;
	struct error reason = {0};
	snapshot->userlist =
		*path ? userlist_load(path, &reason) : userlist_parse("", 0, "", &reason);
	if (snapshot->userlist)
		return true;
	return fail_file(loading, SETTING_auth_file, &reason, error);
}

static bool uses_method(const struct snapshot *snapshot, enum auth_method method)
{
	if (snapshot->settings.auth_type == method ||
	    (snapshot->automatic && snapshot->automatic->auth_type == method))
		return true;
	map_foreach (node, &snapshot->databases)
		if (database_of(node)->auth_type == method)
			return true;
	map_foreach (node, &snapshot->users)
		if (user_of(node)->auth_type == method)
			return true;
	return false;
}

/* "value" as ldap_options_parse() reads it, and a blank. */
static bool append_quoted(struct buffer **text, const char *value)
{
	bool well = buffer_append(text, "\"", 1, LDAP_TEXT_MAX);
	for (; *value && well; value++)
		well = buffer_append(text, *value == '"' ? "\"\"" : value, *value == '"' ? 2 : 1,
				     LDAP_TEXT_MAX);
	return well && buffer_append(text, "\" ", 2, LDAP_TEXT_MAX);
}

struct ldap_options *snapshot_rule_ldap(const struct hba_rule *rule, struct error *error)
{
	struct buffer *text = NULL;
	bool well = true;
	for (size_t i = 0; i < rule->option_count; i++) {
		const struct hba_option *option = &rule->options[i];
		if (strncmp(option->name, "ldap", 4) != 0)
			continue;
		char *word = memory_printf("%s=", option->name);
		well = well && buffer_append(&text, word, strlen(word), LDAP_TEXT_MAX) &&
		       append_quoted(&text, option->value);
		memory_free(&word);
		buffer_make_secret(text); /* what it grows out of too */
	}
	well = well && buffer_append(&text, "", 1, LDAP_TEXT_MAX);
	struct ldap_options *options =
		well ? ldap_options_parse((const char *)buffer_bytes(text), error) : NULL;
	if (!well)
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "the LDAP options are too long");
	buffer_erase(&text);
	return options;
}

/* What a rule may ask for depends on more than its line. */
static bool check_rules(const struct hba *hba, struct error *error)
{
	for (size_t i = 0; i < hba_rule_count(hba); i++) {
		const struct hba_rule *rule = hba_rule(hba, i);
		if (rule->method != AUTH_LDAP)
			continue;
		struct ldap_options *options = snapshot_rule_ldap(rule, error);
		if (!options)
			return error_prefix(error, "%s:%u", rule->file_name, rule->line_number);
		ldap_options_release(&options);
	}
	return true;
}

/* Methods that this build does not have. */
static bool check_methods(const struct loading *loading, struct error *error)
{
	bool well = (!uses_method(loading->snapshot, AUTH_PAM) || pam_is_available(error)) &&
		    (!uses_method(loading->snapshot, AUTH_LDAP) || ldap_is_available(error));
	return well || fail_setting(loading, SETTING_auth_type, error);
}

static bool load_rules(const struct loading *loading, struct error *error)
{
	struct snapshot *snapshot = loading->snapshot;
	const struct settings *settings = &snapshot->settings;
	struct error reason = {0};
	if (*settings->auth_ident_file) {
		snapshot->ident = ident_load(settings->auth_ident_file, &reason);
		if (!snapshot->ident)
			return fail_file(loading, SETTING_auth_ident_file, &reason, error);
	}
	if (*settings->auth_ldap_options) {
		snapshot->ldap = ldap_options_parse(settings->auth_ldap_options, &reason);
		if (!snapshot->ldap) {
			error_prefix(&reason, "auth_ldap_options");
			if (error)
				*error = reason;
			return fail_setting(loading, SETTING_auth_ldap_options, error);
		}
	}
	if (!uses_method(snapshot, AUTH_HBA))
		return true;
	if (!*settings->auth_hba_file) {
		error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			  "auth_type \"hba\" needs auth_hba_file");
		return fail_setting(loading, SETTING_auth_type, error);
	}
	snapshot->hba = hba_load(settings->auth_hba_file, &reason);
	if (!snapshot->hba)
		return fail_file(loading, SETTING_auth_hba_file, &reason, error);
	return check_rules(snapshot->hba, error);
}

/* ---- TLS ---- */

static struct encryption *encrypt(const struct snapshot *snapshot, const struct settings *settings,
				  const struct source *sources, unsigned sides, struct error *error)
{
	return encryption_new(settings, sources, &snapshot->databases, snapshot->automatic,
			      &snapshot->tls, current ? current->encryption : NULL, sides, error);
}

static bool load_encryption(const struct loading *loading, struct error *error)
{
	struct snapshot *snapshot = loading->snapshot;
	snapshot->encryption =
		encrypt(snapshot, &snapshot->settings, snapshot->sources, ENCRYPTION_BOTH, error);
	return snapshot->encryption != NULL;
}

/* ---- loading ---- */

/* The pgweir that has no file. */
static bool fill_in(struct snapshot *snapshot, struct error *error)
{
	return settings_set(&snapshot->settings, SETTING_listen_addr, "127.0.0.1", error) &&
	       settings_set(&snapshot->settings, SETTING_auth_type, "scram-sha-256", error) &&
	       add_database(snapshot, "*", "host=localhost port=5432", NULL, error);
}

static bool read_file(struct loading *loading, struct error *error)
{
	static const struct ini_events events = {.section = enter_section, .value = take_value};
	const char *path = loading->snapshot->path;
	if (!settings_set(&loading->snapshot->settings, SETTING_conffile, path, error) ||
	    !ini_read(path, &events, loading, error))
		return false;
	if (loading->has_main)
		return true;
	error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
		  "%s: main section missing from config file: it needs [pgbouncer] or [pgweir]",
		  path);
	return error_collected(error);
}

static bool check_main(const struct loading *loading, struct error *error)
{
	enum setting_index culprit;
	return check_settings(&loading->snapshot->settings, &culprit, error) ||
	       fail_setting(loading, culprit, error);
}

static bool load(struct loading *loading, const char *path, struct error *error)
{
	struct snapshot *snapshot = loading->snapshot;
	snapshot->path = memory_strdup(path ? path : "");
	settings_init(&snapshot->settings);
	if (!(path ? read_file(loading, error) : fill_in(snapshot, error)))
		return false;
	source_apply(&snapshot->settings, snapshot->sources);
	static bool (*const steps[])(const struct loading *loading, struct error *error) = {
		check_main, load_userlist, check_methods, load_rules, load_encryption};
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (!steps[i](loading, error) && !error_collected(error))
			return false;
	}
	return true;
}

struct snapshot *snapshot_load(const char *path, struct error *error)
{
	struct loading loading = {.snapshot = memory_alloc(sizeof(struct snapshot))};
	if (!load(&loading, path, error))
		snapshot_free(&loading.snapshot);
	return loading.snapshot;
}

void snapshot_free(struct snapshot **snapshot)
{
	struct snapshot *s = *snapshot;
	if (!s)
		return;
	map_foreach (node, &s->databases) {
		struct section_database *row = database_of(node);
		map_remove(&s->databases, node);
		section_free_database(&row);
	}
	map_foreach (node, &s->users) {
		struct section_user *row = user_of(node);
		map_remove(&s->users, node);
		section_free_user(&row);
	}
	map_foreach (node, &s->peers) {
		struct section_peer *row = peer_of(node);
		map_remove(&s->peers, node);
		section_free_peer(&row);
	}
	map_foreach (node, &s->tls) {
		struct section_tls *row = tls_of(node);
		map_remove(&s->tls, node);
		section_free_tls(&row);
	}
	section_free_database(&s->automatic);
	userlist_free(&s->userlist);
	hba_free(&s->hba);
	ident_free(&s->ident);
	ldap_options_release(&s->ldap);
	encryption_free(&s->encryption);
	settings_fini(&s->settings);
	for (int i = 0; i < SETTING_COUNT; i++)
		source_fini(&s->sources[i]);
	memory_free(&s->path);
	memory_free(snapshot);
}

/* ---- the one in force ---- */

const struct snapshot *snapshot_current(void)
{
	return current;
}

static void keep_restart_settings(struct snapshot *new, const struct snapshot *old)
{
	for (enum setting_index i = 0; i < SETTING_COUNT; i++) {
		if (setting_row(i)->change != CHANGE_RESTART ||
		    settings_is_equal(&new->settings, &old->settings, i))
			continue;
		log_warning("",
			    "setting \"%s\" cannot be changed without a restart; still using "
			    "\"%s\"",
			    setting_row(i)->name, settings_text(&old->settings, i));
		settings_copy_one(&new->settings, &old->settings, i);
		source_copy(&new->sources[i], &old->sources[i]);
	}
}

void snapshot_install(struct snapshot *taken)
{
	if (current && taken)
		keep_restart_settings(taken, current);
	snapshot_free(&current);
	current = taken;
}

/* The contexts of one side of the snapshot in force are made anew from @settings. */
static bool set_encryption(unsigned side, const struct settings *settings, struct error *error)
{
	struct encryption *made = encrypt(current, settings, NULL, side, error);
	if (!made)
		return error_prefix(error, "TLS settings could not be applied, still using old "
					   "configuration");
	encryption_free(&current->encryption);
	current->encryption = made;
	return true;
}

static bool names_a_file(enum setting_index index)
{
	return index == SETTING_auth_type || index == SETTING_auth_file ||
	       index == SETTING_auth_hba_file || index == SETTING_auth_ident_file ||
	       index == SETTING_auth_ldap_options;
}

/* What the settings of authentication name is read anew: all of it, or nothing changes. */
static bool set_files(enum setting_index index, const struct settings *settings,
		      struct error *error)
{
	struct snapshot fresh = *current;
	struct loading loading = {.snapshot = &fresh};
	fresh.settings = *settings;
	fresh.sources[index] = (struct source){.kind = SOURCE_CONSOLE};
	fresh.userlist = NULL;
	fresh.hba = NULL;
	fresh.ident = NULL;
	fresh.ldap = NULL;
	bool well = load_userlist(&loading, error) && check_methods(&loading, error) &&
		    load_rules(&loading, error);
	struct snapshot *keeps = well ? current : &fresh;
	userlist_free(&keeps->userlist);
	hba_free(&keeps->hba);
	ident_free(&keeps->ident);
	ldap_options_release(&keeps->ldap);
	if (well) {
		current->userlist = fresh.userlist;
		current->hba = fresh.hba;
		current->ident = fresh.ident;
		current->ldap = fresh.ldap;
	}
	return well;
}

bool snapshot_set(enum setting_index index, const char *text, struct error *error)
{
	const struct setting *row = setting_row(index);
	enum setting_index culprit;
	struct settings changed;
	if (row->change == CHANGE_RESTART)
		return error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				 "setting \"%s\" cannot be changed without a restart", row->name);
	settings_copy(&changed, &current->settings);
	if (!settings_set(&changed, index, text, error) ||
	    !check_settings(&changed, &culprit, error)) {
		settings_fini(&changed);
		return false;
	}
	unsigned side = encryption_side(index);
	if ((side && !set_encryption(side, &changed, error)) ||
	    (names_a_file(index) && !set_files(index, &changed, error))) {
		settings_fini(&changed);
		return false;
	}
	settings_fini(&current->settings);
	current->settings = changed;
	source_fini(&current->sources[index]);
	current->sources[index].kind = SOURCE_CONSOLE;
	return true;
}

const struct section_database *snapshot_database(const struct snapshot *snapshot, const char *name)
{
	struct map_node *node = map_find(&snapshot->databases, name, strlen(name));
	return node ? database_of(node) : NULL;
}

const struct section_database *snapshot_row(const struct snapshot *snapshot, const char *name)
{
	const struct section_database *row = snapshot_database(snapshot, name);
	if (!strcmp(name, "pgbouncer") || !strcmp(name, "pgweir"))
		return NULL; /* the console: rows of databases do not speak of it */
	return row ? row : snapshot->automatic;
}

const struct encryption_to_server *snapshot_server_tls(const struct snapshot *snapshot,
						       const char *name)
{
	return encryption_to(snapshot->encryption, snapshot_row(snapshot, name));
}

enum auth_method snapshot_auth_type(const struct snapshot *snapshot, const char *database,
				    const char *user)
{
	const struct section_user *of_user = snapshot_user(snapshot, user);
	const struct section_database *row = snapshot_row(snapshot, database);
	if (of_user && of_user->auth_type != AUTH_UNSET)
		return of_user->auth_type;
	return row && row->auth_type != AUTH_UNSET ? row->auth_type : snapshot->settings.auth_type;
}

usec_t snapshot_login_timeout(const struct snapshot *snapshot, const char *database,
			      const char *user)
{
	const struct section_user *of_user = snapshot_user(snapshot, user);
	const struct section_database *row = snapshot_row(snapshot, database);
	return section_prefer(of_user ? of_user->client_login_timeout : SECTION_UNSET,
			      row ? row->client_login_timeout : SECTION_UNSET,
			      snapshot->settings.client_login_timeout);
}

const struct section_user *snapshot_user(const struct snapshot *snapshot, const char *name)
{
	struct map_node *node = map_find(&snapshot->users, name, strlen(name));
	return node ? user_of(node) : NULL;
}

const struct section_peer *snapshot_peer(const struct snapshot *snapshot, int id)
{
	struct map_node *node = map_find(&snapshot->peers, &id, sizeof(id));
	return node ? peer_of(node) : NULL;
}
