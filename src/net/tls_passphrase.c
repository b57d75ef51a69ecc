/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/tls_passphrase.h"
#include "core/error.h"
#include "core/memory.h"
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
	int output;  /* what it prints, not blocking */
	int pidfd;   /* readable when it has ended; -1: the kernel has none */
	usec_t ends; /* 0: whenever it likes */
	bool is_late;
	char *line; /* what it printed, as far as it fits */
	size_t size, length;
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

static int begin(const char *format, struct asked *asked)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return errno;
	char *command = expand(format);
	int reason = spawn(command, asked->ends > 0, ends[1], &asked->child);
	memory_free(&command);
	close(ends[1]);
	if (reason) {
		close(ends[0]);
		return reason;
	}
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	asked->output = ends[0];
	asked->pidfd = (int)syscall(SYS_pidfd_open, asked->child, 0);
	return 0;
}

/* As read(); what fits is kept. */
static ssize_t read_output(struct asked *asked)
{
	char rest[4096];
	size_t space = asked->size - 1 - asked->length;
	ssize_t got = read(asked->output, space ? asked->line + asked->length : rest,
			   space ? space : sizeof rest);
	if (got > 0 && space)
		asked->length += (size_t)got;
	if (!space)
		memory_erase(rest, sizeof rest);
	return got;
}

/* Until it ends, not until nobody holds its output: it may leave somebody behind. Where that cannot
 * be waited for it must close its output in time. */
static void await_end(struct asked *asked)
{
	struct pollfd watched[] = {{.fd = asked->output, .events = POLLIN},
				   {.fd = asked->pidfd, .events = POLLIN}};
	bool has_ended = false;
	while (!has_ended) {
		usec_t left = asked->ends ? asked->ends - clock_read() : 0;
		asked->is_late = asked->ends && left <= 0;
		if (asked->is_late)
			break;
		int ready = poll(watched, 2, asked->ends ? (int)(left / USEC_PER_MSEC) + 1 : -1);
		if (ready <= 0)
			continue;
		has_ended = watched[1].revents != 0;
		if (watched[0].revents && read_output(asked) == 0) {
			watched[0].fd = -1; /* is not looked at any more */
			has_ended |= asked->pidfd < 0;
		}
	}
	while (asked->length < asked->size - 1 && read_output(asked) > 0) {
	}
	asked->line[asked->length] = '\0';
}

/* Its status; -1: somebody else took it. */
static int end(struct asked *asked)
{
	int status = 0;
	if (asked->is_late) {
		kill(-asked->child, SIGKILL);
		kill(asked->child, SIGKILL); /* it may have left its group */
	}
	pid_t ended;
	do
		ended = waitpid(asked->child, &status, 0);
	while (ended < 0 && errno == EINTR);
	if (asked->pidfd >= 0)
		close(asked->pidfd);
	close(asked->output);
	return ended == asked->child ? status : -1;
}

static bool judge(const struct asked *asked, int status, struct error *error)
{
	char text[80];
	if (asked->is_late) {
		snprintf(text, sizeof text, "did not end in time");
	} else if (status < 0) {
		snprintf(text, sizeof text, "ended in an unknown way");
	} else if (WIFEXITED(status) && WEXITSTATUS(status)) {
		snprintf(text, sizeof text, "failed with exit code %d", WEXITSTATUS(status));
	} else if (WIFSIGNALED(status)) {
		snprintf(text, sizeof text, "was ended by signal %d", WTERMSIG(status));
	} else {
		return true;
	}
	return fail(error, text);
}

bool tls_passphrase_ask(const char *command, usec_t until, char *line, size_t size,
			struct error *error)
{
	struct asked asked = {.ends = until, .line = line, .size = size};
	int reason = begin(command, &asked);
	line[0] = '\0';
	if (reason)
		return cannot_run(error, reason);
	await_end(&asked);
	bool well = judge(&asked, end(&asked), error);
	if (well && !*line)
		well = fail(error, "printed nothing");
	if (!well)
		memory_erase(line, size);
	line[strcspn(line, "\r\n")] = '\0';
	return well;
}
