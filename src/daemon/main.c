/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/console.h"
#include "admin/control.h"
#include "auth/digest.h"
#include "auth/ldap_options.h"
#include "auth/pam.h"
#include "auth/scram.h"
#include "config/snapshot.h"
#include "config/source.h"
#include "conn/gate.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/loop.h"
#include "core/memory.h"
#include "daemon/inspect.h"
#include "daemon/option.h"
#include "daemon/process.h"
#include "daemon/signal.h"
#include "daemon/systemd.h"
#include "net/listener.h"
#include "net/resolver.h"
#include "net/tls_session.h"
#include "pool/maintenance.h"
#include "pool/registry.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct options options;
static const char *config;	/* the file to start with; NULL: none */
static struct snapshot *loaded; /* until it is installed */
static bool stderr_is_log;	/* what is logged is seen there */

static const struct settings *settings(void)
{
	return loaded ? &loaded->settings : settings_current();
}

/* ---- what the layers are told of the settings ---- */

static struct socket_options socket_options(void)
{
	const struct settings *s = settings();
	return (struct socket_options){
		.keepalive = s->tcp_keepalive,
		.keepalive_idle = s->tcp_keepidle,
		.keepalive_interval = s->tcp_keepintvl,
		.keepalive_count = s->tcp_keepcnt,
		.user_timeout = (int)(s->tcp_user_timeout / USEC_PER_MSEC),
		.buffer_size = (int)s->tcp_socket_buffer,
	};
}

static struct listener_options listener_options(void)
{
	const struct settings *s = settings();
	return (struct listener_options){
		.addresses = s->listen_addr,
		.port = (uint16_t)s->listen_port,
		.backlog = s->listen_backlog,
		.reuseport = s->so_reuseport,
		.defer_accept = s->tcp_defer_accept,
		.unix_directory = s->unix_socket_dir,
		.unix_mode = s->unix_socket_mode,
		.unix_group = s->unix_socket_group,
		.socket = socket_options(),
	};
}

static struct resolver_options resolver_options(void)
{
	const struct settings *s = settings();
	return (struct resolver_options){
		.ttl_max = s->dns_max_ttl,
		.nxdomain_ttl = s->dns_nxdomain_ttl,
		.zone_check_period = s->dns_zone_check_period,
		.resolv_conf = s->resolv_conf,
	};
}

static bool reopen_log(bool to_stderr, struct error *error)
{
	const struct settings *s = settings();
	struct log_options log = {
		.to_stderr = to_stderr && !options.quiet,
		.file = s->logfile,
		.to_syslog = s->syslog,
		.syslog_ident = s->syslog_ident,
		.syslog_facility = s->syslog_facility,
		.verbose = s->verbose > options.verbose ? s->verbose : options.verbose,
	};
	if (!log_open(&log, error))
		return false;
	stderr_is_log = log.to_stderr;
	return true;
}

static void check_descriptors(bool at_start)
{
	struct process_descriptors descriptors;
	process_raise_descriptor_limit(&descriptors);
	process_count_descriptors(loaded ? loaded : snapshot_current(), &descriptors);
	if (at_start)
		log_info("",
			 "kernel file descriptor limit: %" PRIu64 " (hard: %" PRIu64
			 "); max_client_conn: %d, max expected fd use: %" PRIu64,
			 descriptors.soft, descriptors.hard, settings()->max_client_conn,
			 descriptors.expected);
	if (descriptors.soft < descriptors.wanted)
		log_warning("",
			    "file descriptor limit %" PRIu64
			    " is too low for max_client_conn = %d: allow %" PRIu64
			    " (LimitNOFILE of the service, or ulimit -n), or lower max_client_conn",
			    descriptors.soft, settings()->max_client_conn, descriptors.wanted);
}

/* A new configuration is in force. */
static void apply_settings(void)
{
	struct error error;
	if (!reopen_log(!options.daemon, &error))
		log_error("", "%s; logging as before", error.message);
	struct socket_options sockets = socket_options();
	listener_retune(&sockets);
	listener_defer(settings()->tcp_defer_accept);
	maintenance_reconfigured();
	struct resolver_options resolver = resolver_options();
	resolver_set_options(&resolver);
	check_descriptors(false);
}

/* ---- the stages of a start, bottom up ---- */

static bool load_settings(struct error *error)
{
	/* Where to log is not known before it is read: see read_as_user(). */
	static const struct log_options silent = {.to_stderr = false};
	if (!systemd_open(error) || !log_open(&silent, error))
		return false;
	loaded = snapshot_load(config, error);
	return loaded != NULL || error_prefix(error, "cannot load config file");
}

static void free_settings(void)
{
	snapshot_free(&loaded);
	snapshot_install(NULL);
}

/* Before anything is made, so that the user we become owns it and can make it anew. */
static bool become_user(struct error *error)
{
	const char *user = loaded->settings.user;
	char where[SOURCE_TEXT];
	if (*user && !process_become_user(user, error))
		return error_prefix(
			error, "%s",
			source_print(&loaded->sources[SETTING_user], SETTING_user, where));
	if (process_is_root())
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "pgweir should not run as root; set \"user\" or give -u");
	return true;
}

static bool open_log(struct error *error)
{
	return reopen_log(true, error);
}

/* Read the files once more, as RELOAD will: now warnings are logged, and what only root may read is
 * found out. */
static bool read_as_user(struct error *error)
{
	struct snapshot *again = snapshot_load(config, error);
	if (again) {
		snapshot_free(&loaded);
		loaded = again;
	} else {
		log_warning("", "RELOAD will not work: %s", error->message);
	}
	log_debug("", "configuration: %s, %u databases, %u users, %zu in auth_file",
		  *loaded->path ? loaded->path : "built in", map_length(&loaded->databases),
		  map_length(&loaded->users), userlist_length(loaded->userlist));
	if (!config)
		log_warning("",
			    "no configuration file given, running with defaults: listening on %s "
			    "and the Unix socket "
			    "in %s, port %d; every database name leads to localhost:5432, "
			    "pool_mode is session; nobody "
			    "but the same system user on the console is let in",
			    settings()->listen_addr, settings()->unix_socket_dir,
			    settings()->listen_port);
	return true;
}

static bool go_background(struct error *error)
{
	if (!options.daemon)
		return true;
	if (!*loaded->settings.pidfile)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "daemon needs pidfile configured");
	return process_go_background(error);
}

static bool check_pidfile(struct error *error)
{
	return !*loaded->settings.pidfile || process_check_pidfile(loaded->settings.pidfile, error);
}

static bool open_loop(struct error *error)
{
	(void)error;
	check_descriptors(true);
	loop_open();
	signal_open();
	return true;
}

static bool open_resolver(struct error *error)
{
	struct resolver_options resolver = resolver_options();
	return resolver_open(&resolver, error);
}

static bool open_pools(struct error *error)
{
	static const struct control_ops ops = {.applied = apply_settings};
	(void)error;
	gate_open(); /* the pools call upward from their first moment */
	gate_on_end(loop_stop);
	console_open();
	control_set_ops(&ops);
	struct snapshot *taken = loaded;
	loaded = NULL;
	snapshot_install(taken);
	registry_open();
	registry_apply();
	gate_reconfigured();
	maintenance_on_stats(systemd_status);
	maintenance_open();
	return true;
}

static void close_pools(void)
{
	maintenance_close();
	gate_close();
	loop_turn(0); /* what was closed is freed, while its pool is still there */
	console_close();
	registry_close();
}

static bool open_listener(struct error *error)
{
	struct listener_options listener = listener_options();
	if (!systemd_has_sockets())
		return listener_open(&listener, gate_accept, error);
	if (*listener.addresses)
		log_warning("", "sockets passed from service manager, listen_addr ignored");
	if (*listener.unix_directory)
		log_warning("", "sockets passed from service manager, unix_socket_dir ignored");
	return systemd_listen(&listener.socket, gate_accept, error);
}

static bool write_pidfile(struct error *error)
{
	return !*settings()->pidfile || process_write_pidfile(settings()->pidfile, error);
}

static bool announce(struct error *error)
{
	(void)error;
	log_info("", "process up: %s, %s, adns: %s, tls: %s", PACKAGE_STRING, loop_describe(),
		 resolver_describe(), digest_describe());
	if (options.daemon) {
		log_drop_stderr();
		stderr_is_log = false;
	}
	process_started();
	systemd_start_watchdog();
	systemd_ready();
	return true;
}

static void leave(void)
{
	systemd_stopping();
	systemd_stop_watchdog();
}

static void release_memory(void)
{
	key_cache_release();
	scram_release();
	tls_session_release();
	source_release();
	options_fini(&options);
	buffer_release();
	memory_cache_release();
}

static const struct stage {
	bool (*start)(struct error *error);
	void (*stop)(void); /* undoes it; also after a start that failed half-way */
} stages[] = {
	{load_settings, free_settings},
	{become_user, NULL},
	{open_log, NULL},
	{read_as_user, NULL},
	{go_background, NULL},
	{check_pidfile, NULL},
	{open_loop, loop_close},
	{open_resolver, resolver_close},
	{open_pools, close_pools},
	{open_listener, listener_close},
	{write_pidfile, process_remove_pidfile},
	{announce, leave},
};

enum { STAGES = sizeof(stages) / sizeof(stages[0]) };

/* One line, where somebody will see it. */
static void report(const struct error *error)
{
	char text[sizeof *error + 16];
	size_t size = strlen(error->detail);
	int end = size && error->detail[size - 1] == '.' ? (int)size - 1 : (int)size;
	snprintf(text, sizeof text, "%s%s%.*s%s%s", error->message, size ? ": " : "", end,
		 error->detail, *error->hint ? "; hint: " : "", error->hint);
	log_fatal("", "%s", text);
	if (!stderr_is_log)
		fprintf(stderr, "pgweir: %s\n", text);
}

static int finish(bool well)
{
	release_memory();
	log_close();
	return well ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(void)
{
	struct error error = {0};
	int reached = 0;
	clock_update(); /* the log looks at it before the loop turns */
	bool started = true;
	memory_reserve();
	while (reached < STAGES && started)
		started = stages[reached++].start(&error);
	if (started)
		loop_run();
	else
		report(&error);
	while (reached-- > 0) {
		if (stages[reached].stop)
			stages[reached].stop();
	}
	return finish(started);
}

/* ---- the command line ---- */

static void print_version(void)
{
	printf("%s\n%s\nadns: %s\ntls: %s\nsystemd: yes\npam: %s\nldap: %s\n", PACKAGE_STRING,
	       loop_describe(), resolver_describe(), digest_describe(),
	       pam_is_available(NULL) ? "yes" : "no", ldap_is_available(NULL) ? "yes" : "no");
}

static void print_help(void)
{
	char *text = options_help();
	fputs(text, stdout);
	memory_free(&text);
}

/* What environment and command line say of settings, and the file to start with. */
static bool read_sources(struct error *error)
{
	if (!source_read_environment(environ, error))
		return false;
	for (size_t i = 0; i < options.set.count; i++) {
		if (!source_read_option(options.set.all[i], error) && !error_collected(error))
			return false;
	}
	if (options.user && !source_set_option(SETTING_user, options.user, error))
		return false;
	config = options.config ? options.config : source_conffile();
	return true;
}

/* The answer to who asked something instead of starting. */
static int inspect(struct error *error)
{
	if (options.check_config)
		return finish(inspect_check(config));
	bool well = inspect_show(config, error);
	if (!well)
		fprintf(stderr, "pgweir: cannot load config file: %s\n", error->message);
	return finish(well);
}

int main(int argc, char **argv)
{
	struct error error = {0};
	signal(SIGCHLD, SIG_DFL); /* if it was ignored, the ends of our children would be lost */
	if (!options_parse(&options, argc, argv, &error)) {
		fprintf(stderr, "pgweir: %s; %s\n", error.message, error.hint);
		return finish(false);
	}
	if (options.help || options.version) {
		options.help ? print_help() : print_version();
		return finish(fflush(stdout) == 0);
	}
	if (options.print_config)
		return finish(inspect_print_sample());
	if (options.reboot) {
		fputs("pgweir: -R is not supported: to restart without interruption, start the new "
		      "process beside "
		      "the old one with so_reuseport = 1 or on sockets of systemd, then send "
		      "SHUTDOWN "
		      "WAIT_FOR_CLIENTS to the old one\n",
		      stderr);
		return finish(false);
	}
	if (options.check_config)
		inspect_begin();
	if (!read_sources(&error)) {
		fprintf(stderr, "pgweir: %s\n", error.message);
		return finish(false);
	}
	return options.check_config || options.show_config ? inspect(&error) : run();
}
