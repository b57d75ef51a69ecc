/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_passphrase.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* A command under way. */
struct asked {
	pid_t child;
	int output;  /* what it prints */
	usec_t ends; /* 0: whenever it likes */
	bool is_late;
};

static bool fail(struct error *error, const char *what)
{
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "the key passphrase command %s", what);
}

static bool cannot_run(struct error *error, int reason)
{
	return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
			 "cannot run the key passphrase command: %s", strerror(reason));
}

/* %p becomes the prompt, %% a percent sign. */
static char *expand(const char *format)
{
	char *command = memory_alloc(strlen(format) * 24 + 1), *out = command;
	for (const char *in = format; *in; in++) {
		if (in[0] == '%' && in[1] == 'p') {
			out += sprintf(out, "\"Enter PEM pass phrase:\"");
			in++;
		} else {
			in += in[0] == '%' && in[1] == '%';
			*out++ = *in;
		}
	}
	return command;
}

/* 0, or why not. With a limit it leads a group of its own, to be killed with its children. */
static int spawn(char *command, bool is_limited, int output, pid_t *child)
{
	char *arguments[] = {"sh", "-c", command, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t pipe;
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE); /* which we ignore */
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &pipe);
	posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGDEF |
						      (is_limited ? POSIX_SPAWN_SETPGROUP : 0)));
	int reason = posix_spawn(child, "/bin/sh", &files, &attributes, arguments, environ);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&files);
	return reason;
}

static int begin(const char *format, usec_t limit, struct asked *asked)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	char *command = expand(format);
	int reason = spawn(command, limit > 0, ends[1], &asked->child);
	memory_free(&command);
	close(ends[1]);
	if (reason)
		close(ends[0]);
	asked->output = ends[0];
	asked->ends = limit ? clock_read() + limit : 0;
	return reason;
}

/* Wait until there is something to read. False: the limit is over. */
static bool wait_for(struct asked *asked, int fd)
{
	struct pollfd watched = {.fd = fd, .events = POLLIN};
	int ready;
	do {
		usec_t left = asked->ends ? asked->ends - clock_read() : 0;
		if (asked->ends && left <= 0) {
			asked->is_late = true;
			return false;
		}
		ready = poll(&watched, 1, asked->ends ? (int)(left / USEC_PER_MSEC) + 1 : -1);
	} while (ready == 0 || (ready < 0 && errno == EINTR));
	return true;
}

/* Read all; keep what fits. */
static void read_output(struct asked *asked, char *line, size_t size)
{
	char rest[256];
	size_t length = 0;
	ssize_t got = 1;
	while (got > 0 && wait_for(asked, asked->output)) {
		bool fits = length < size - 1;
		got = read(asked->output, fits ? line + length : rest,
			   fits ? size - 1 - length : sizeof rest);
		if (got > 0 && fits)
			length += (size_t)got;
		else if (got < 0 && errno == EINTR)
			got = 1;
	}
	memory_erase(rest, sizeof rest);
	line[length] = '\0';
}

/* Wait for its end. A kernel without pidfds lets it take as long as it likes once it has closed its
 * output. */
static int end(struct asked *asked)
{
	int status = 0;
	int watched = asked->ends ? (int)syscall(SYS_pidfd_open, asked->child, 0) : -1;
	if (watched >= 0) {
		if (!asked->is_late)
			wait_for(asked, watched);
		close(watched);
	}
	if (asked->is_late)
		kill(-asked->child, SIGKILL);
	while (waitpid(asked->child, &status, 0) < 0 && errno == EINTR) {
	}
	close(asked->output);
	return status;
}

static bool judge(const struct asked *asked, usec_t limit, int status, struct error *error)
{
	char text[80], duration[32];
	if (asked->is_late) {
		text_from_duration(limit, duration);
		snprintf(text, sizeof text, "did not end within %s seconds", duration);
	} else if (WIFEXITED(status) && WEXITSTATUS(status)) {
		snprintf(text, sizeof text, "failed with exit code %d", WEXITSTATUS(status));
	} else if (WIFSIGNALED(status)) {
		snprintf(text, sizeof text, "was ended by signal %d", WTERMSIG(status));
	} else {
		return true;
	}
	return fail(error, text);
}

bool tls_passphrase_ask(const char *command, usec_t limit, char *line, size_t size,
			struct error *error)
{
	struct asked asked = {0};
	int reason = begin(command, limit, &asked);
	line[0] = '\0';
	if (reason)
		return cannot_run(error, reason);
	read_output(&asked, line, size);
	bool well = judge(&asked, limit, end(&asked), error);
	if (well && !*line)
		well = fail(error, "printed nothing");
	if (!well)
		memory_erase(line, size);
	line[strcspn(line, "\r\n")] = '\0';
	return well;
}
