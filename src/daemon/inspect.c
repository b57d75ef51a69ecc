/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/inspect.h"
#include "config/sample.h"
#include "config/snapshot.h"
#include "config/source.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include "daemon/process.h"
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned mistakes;

static void print_mistake(const struct error *error)
{
	const char *gap = *error->hint ? "; hint: " : "";
	fprintf(stderr, "%s%s%s\n", error->message, gap, error->hint);
	mistakes++;
}

void inspect_begin(void)
{
	mistakes = 0;
	error_collect(print_mistake);
}

/* What is wrong is printed, and no reason to stop. NULL: nothing can be read at all. */
static struct snapshot *load(const char *path)
{
	struct error error = {0};
	struct snapshot *snapshot = snapshot_load(path, &error);
	if (!snapshot)
		print_mistake(&error);
	return snapshot;
}

/* Root becomes somebody else at the start, and he has to be able to read the files at a reload. */
static void check_as_user(const char *path, const char *user)
{
	struct error error = {0};
	if (!*user || !process_is_root() || mistakes > 0)
		return;
	if (!process_become_user(user, &error)) {
		print_mistake(&error);
		return;
	}
	struct snapshot *again = load(path);
	snapshot_free(&again);
	if (mistakes > 0)
		fprintf(stderr, "this is what user \"%s\" would find at a reload\n", user);
}

/* ---- what the start needs, and the files do not say ---- */

static void mistake_of(const struct snapshot *snapshot, enum setting_index index, const char *what)
{
	struct error error;
	char where[SOURCE_TEXT];
	error_set(&error, SQLSTATE_CONFIG_FILE_ERROR, "%s: %s \"%s\": %s",
		  source_print(&snapshot->sources[index], index, where), setting_row(index)->name,
		  settings_shown(&snapshot->settings, index), what);
	print_mistake(&error);
}

/* The directory that a file is to be made in. */
static void check_directory_of(const struct snapshot *snapshot, enum setting_index index,
			       const char *file)
{
	if (!*file)
		return;
	char *copy = memory_strdup(file);
	if (access(dirname(copy), F_OK) != 0)
		mistake_of(snapshot, index, "there is no such directory");
	memory_free(&copy);
}

static void check_listen_addr(const struct snapshot *snapshot)
{
	const char *list = snapshot->settings.listen_addr;
	char name[256];
	while (text_next_item(&list, name, sizeof name)) {
		struct addrinfo *found = NULL;
		if (!*name || !strcmp(name, "*"))
			continue;
		if (getaddrinfo(name, NULL, NULL, &found) != 0)
			mistake_of(snapshot, SETTING_listen_addr, "no such address");
		else
			freeaddrinfo(found);
	}
}

static void check_user(const struct snapshot *snapshot)
{
	const struct passwd *entry = getpwnam(snapshot->settings.user);
	if (!entry)
		mistake_of(snapshot, SETTING_user, "there is no such user");
	else if (entry->pw_uid != geteuid())
		fprintf(stderr, "only root can become user \"%s\"\n", snapshot->settings.user);
}

static void check_start(const struct snapshot *snapshot)
{
	const struct settings *settings = &snapshot->settings;
	struct stat status;
	const char *directory = settings->unix_socket_dir;
	check_directory_of(snapshot, SETTING_logfile, settings->logfile);
	check_directory_of(snapshot, SETTING_pidfile, settings->pidfile);
	if (*settings->resolv_conf && access(settings->resolv_conf, R_OK) != 0)
		mistake_of(snapshot, SETTING_resolv_conf, strerror(errno));
	if (*directory && *directory != '@' &&
	    (stat(directory, &status) != 0 || !S_ISDIR(status.st_mode)))
		mistake_of(snapshot, SETTING_unix_socket_dir, "there is no such directory");
	if (*settings->user && !process_is_root()) /* else it is tried */
		check_user(snapshot);
	if (*settings->unix_socket_group && !getgrnam(settings->unix_socket_group))
		mistake_of(snapshot, SETTING_unix_socket_group, "there is no such group");
	check_listen_addr(snapshot);
}

bool inspect_check(const char *path)
{
	/* Warnings of what is read belong to the answer. */
	static const struct log_options to_stderr = {.to_stderr = true};
	struct error error = {0};
	if (!log_open(&to_stderr, &error))
		print_mistake(&error);
	struct snapshot *snapshot = load(path);
	if (snapshot) {
		check_start(snapshot);
		check_as_user(path, snapshot->settings.user);
	}
	snapshot_free(&snapshot);
	error_collect(NULL);
	const char *name = path ? path : "the built-in configuration";
	if (mistakes == 0)
		printf("%s: no mistakes\n", name);
	else
		fprintf(stderr, "%s: %u %s\n", name, mistakes,
			mistakes == 1 ? "mistake" : "mistakes");
	return mistakes == 0 && fflush(stdout) == 0;
}

bool inspect_show(const char *path, struct error *error)
{
	enum { NAME = 33, VALUE = 20, DEFAULT = 12 };
	struct snapshot *snapshot = snapshot_load(path, error);
	if (!snapshot)
		return false;
	char where[SOURCE_TEXT];
	printf("%-*s | %-*s | %-*s | %s\n", NAME, "setting", VALUE, "value", DEFAULT, "default",
	       "from");
	for (enum setting_index i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = setting_row(i);
		printf("%-*s | %-*s | %-*s | %s\n", NAME, row->name, VALUE,
		       settings_shown(&snapshot->settings, i), DEFAULT, row->default_text,
		       source_print(&snapshot->sources[i], i, where));
	}
	snapshot_free(&snapshot);
	return fflush(stdout) == 0 ||
	       error_set(error, SQLSTATE_IO_ERROR, "could not write the settings");
}

bool inspect_print_sample(void)
{
	sample_print(stdout);
	return fflush(stdout) == 0 && !ferror(stdout);
}
