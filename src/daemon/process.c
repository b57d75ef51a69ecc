/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "daemon/process.h"
#include "config/snapshot.h"
#include "core/error.h"
#include "core/list.h"
#include "core/log.h"
#include "core/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Standard streams, event loop, log, pidfile, listening sockets and the like. */
enum { OWN_DESCRIPTORS = 16 };

static int start_pipe = -1; /* to the process that waits for our start */
static char *written_pidfile;

/* ---- user ---- */

bool process_is_root(void)
{
	return geteuid() == 0;
}

bool process_become_user(const char *name, struct error *error)
{
	errno = 0;
	const struct passwd *entry = getpwnam(name);
	if (!entry && errno != 0 && errno != ENOENT)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "could not look up user \"%s\": %s",
				 name, strerror(errno));
	if (!entry)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "unknown user \"%s\"", name);
	if (entry->pw_uid == geteuid())
		return true;
	if (!process_is_root())
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "cannot become user \"%s\": only root can", name);
	if (initgroups(name, entry->pw_gid) != 0 || setgid(entry->pw_gid) != 0 ||
	    setuid(entry->pw_uid) != 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR, "could not become user \"%s\": %s",
				 name, strerror(errno));
	if (setuid(0) == 0)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "could not give up root for user \"%s\"", name);
	return true;
}

/* ---- background ---- */

/* Does not return. No exit handlers: they are the daemon's. */
static void wait_for_start(int pipe_end)
{
	char byte;
	ssize_t length;
	do
		length = read(pipe_end, &byte, 1);
	while (length < 0 && errno == EINTR);
	_exit(length == 1 ? EXIT_SUCCESS : EXIT_FAILURE);
}

bool process_go_background(struct error *error)
{
	int ends[2] = {-1, -1};
	if (pipe2(ends, O_CLOEXEC) != 0)
		goto fail;
	pid_t child = fork();
	if (child < 0)
		goto fail;
	if (child > 0) {
		close(ends[1]);
		wait_for_start(ends[0]);
	}
	/* The leader of the new session ends at once: who is no leader never gets a terminal. */
	setsid();
	child = fork();
	if (child < 0)
		goto fail;
	if (child > 0)
		_exit(EXIT_SUCCESS);
	close(ends[0]);
	start_pipe = ends[1];
	return true;
fail:
	error_set(error, SQLSTATE_SYSTEM_ERROR, "could not go into the background: %s",
		  strerror(errno));
	if (ends[0] >= 0) {
		close(ends[0]);
		close(ends[1]);
	}
	return false;
}

void process_started(void)
{
	if (start_pipe < 0)
		return;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	/* Should the waiting one have been killed, there is no one to tell. */
	if (write(start_pipe, "", 1) < 0)
		log_debug("", "nobody waits for our start: %s", strerror(errno));
	close(start_pipe);
	start_pipe = -1;
}

/* ---- pidfile ---- */

enum pidfile { PIDFILE_NONE, PIDFILE_EMPTY, PIDFILE_PROCESS, PIDFILE_GARBAGE, PIDFILE_ERROR };

static enum pidfile parse_pid(char *text, pid_t *pid)
{
	text[strcspn(text, "\r\n \t")] = '\0';
	if (!*text)
		return PIDFILE_EMPTY;
	char *end;
	errno = 0;
	long number = strtol(text, &end, 10);
	if (*end || errno != 0 || number <= 0 || (pid_t)number != number)
		return PIDFILE_GARBAGE;
	*pid = (pid_t)number;
	return PIDFILE_PROCESS;
}

/* PIDFILE_ERROR: errno says why. */
static enum pidfile read_pidfile(const char *path, pid_t *pid)
{
	char text[64];
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file < 0)
		return errno == ENOENT ? PIDFILE_NONE : PIDFILE_ERROR;
	ssize_t length = read(file, text, sizeof(text) - 1);
	int reason = errno;
	close(file);
	errno = reason;
	if (length < 0)
		return PIDFILE_ERROR;
	text[length] = '\0';
	return (size_t)length != strlen(text) ? PIDFILE_GARBAGE : parse_pid(text, pid);
}

/* After a crash in a container our own number is often the one that was left behind. */
static bool is_alive(pid_t pid)
{
	return pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM);
}

bool process_check_pidfile(const char *path, struct error *error)
{
	pid_t pid = 0;
	switch (read_pidfile(path, &pid)) {
	case PIDFILE_NONE:
		return true;
	case PIDFILE_ERROR:
		return error_set(error, SQLSTATE_IO_ERROR, "could not read pidfile '%s': %s", path,
				 strerror(errno));
	case PIDFILE_GARBAGE:
		return error_set(
			error, SQLSTATE_CONFIG_FILE_ERROR,
			"pidfile '%s' holds something else than a process id, it is left alone",
			path);
	case PIDFILE_PROCESS:
		if (is_alive(pid))
			return error_set(
				error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
				"pidfile '%s' exists, another instance running? (process %d)", path,
				(int)pid);
		break;
	case PIDFILE_EMPTY:
		break;
	}
	log_info("", "stale pidfile, removing");
	if (unlink(path) != 0 && errno != ENOENT)
		return error_set(error, SQLSTATE_IO_ERROR,
				 "could not remove stale pidfile '%s': %s", path, strerror(errno));
	return true;
}

static bool write_pid(const char *path)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	unlink(path);
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file < 0)
		return false;
	ssize_t written = write(file, text, (size_t)length);
	int reason = written < 0 ? errno : ENOSPC;
	if (close(file) != 0) {
		reason = errno;
		written = -1;
	}
	errno = reason;
	return written == length;
}

bool process_write_pidfile(const char *path, struct error *error)
{
	/* link() puts the finished file in place, and refuses where one stands already. */
	char *temporary = memory_printf("%s.%d", path, (int)getpid());
	bool done = write_pid(temporary) && link(temporary, path) == 0;
	if (done)
		written_pidfile = memory_strdup(path);
	else if (errno == EEXIST)
		error_set(error, SQLSTATE_OBJECT_NOT_IN_PREREQUISITE_STATE,
			  "pidfile '%s' exists, another instance running?", path);
	else
		error_set(error, SQLSTATE_IO_ERROR, "could not write pidfile '%s': %s", path,
			  strerror(errno));
	unlink(temporary);
	memory_free(&temporary);
	return done;
}

void process_remove_pidfile(void)
{
	pid_t pid = 0;
	if (!written_pidfile)
		return;
	if (read_pidfile(written_pidfile, &pid) == PIDFILE_PROCESS && pid == getpid() &&
	    unlink(written_pidfile) != 0)
		log_warning("", "could not remove pidfile '%s': %s", written_pidfile,
			    strerror(errno));
	memory_free(&written_pidfile);
}

/* ---- descriptors ---- */

void process_raise_descriptor_limit(struct process_descriptors *descriptors)
{
	struct rlimit limit = {0};
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	descriptors->soft = limit.rlim_cur;
	descriptors->hard = limit.rlim_max;
}

static uint64_t count_users(const struct snapshot *snapshot)
{
	uint64_t count = userlist_length(snapshot->userlist);
	map_foreach (node, &snapshot->users) {
		if (!userlist_find(snapshot->userlist,
				   container_of(node, struct section_user, node)->name))
			count++;
	}
	return count ? count : 1;
}

static uint64_t value_of(int row, int setting)
{
	return (uint64_t)(row == SECTION_UNSET ? setting : row);
}

/* Pools without a bound count as none: there is no telling. */
static uint64_t count_servers(const struct section_database *row, const struct settings *settings,
			      uint64_t users)
{
	uint64_t pool = value_of(row->pool_size, settings->default_pool_size) +
			value_of(row->reserve_pool_size, settings->reserve_pool_size);
	uint64_t most = value_of(row->max_db_connections, settings->max_db_connections);
	uint64_t count = row->user ? pool : pool * users;
	return most && most < count ? most : count;
}

void process_count_descriptors(const struct snapshot *snapshot,
			       struct process_descriptors *descriptors)
{
	const struct settings *settings = &snapshot->settings;
	uint64_t clients = (uint64_t)settings->max_client_conn, servers = 0;
	uint64_t users = count_users(snapshot);
	if (snapshot->automatic)
		servers += count_servers(snapshot->automatic, settings, users);
	map_foreach (node, &snapshot->databases)
		servers += count_servers(container_of(node, struct section_database, node),
					 settings, users);
	descriptors->expected = clients + servers + OWN_DESCRIPTORS;
	descriptors->wanted = clients + (servers < clients ? servers : clients) + OWN_DESCRIPTORS;
}
