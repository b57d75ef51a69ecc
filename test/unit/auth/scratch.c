/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "scratch.h"
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void scratch_make(char directory[200])
{
	const char *where = getenv("TMPDIR");
	snprintf(directory, 200, "%.150s/pgweir-auth-XXXXXX", where && *where ? where : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

void scratch_remove(const char *directory)
{
	scratch_run("rm -rf '%s'", directory);
}

void scratch_write(const char *directory, const char *name, int mode, const char *format, ...)
{
	char path[300];
	va_list arguments;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "we");
	ck_assert_msg(file != NULL, "cannot write %s", path);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	ck_assert_int_eq(fchmod(fileno(file), (mode_t)mode), 0);
	ck_assert_int_eq(fclose(file), 0);
}

const char *scratch_read(const char *directory, const char *name)
{
	static char text[1000];
	char path[300];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	FILE *file = fopen(path, "re");
	text[0] = '\0';
	if (!file)
		return text;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

#define PATH "PATH=$PATH:/usr/sbin:/sbin; "

void scratch_run(const char *format, ...)
{
	char command[2000] = PATH;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(command + strlen(PATH), sizeof(command) - strlen(PATH), format, arguments);
	va_end(arguments);
	int status = system(command);
	ck_assert_msg(status == 0, "status %d of: %s", status, command);
}

pid_t scratch_start(const char *const *arguments)
{
	pid_t parent = getpid(), pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	char path[2000];
	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", getenv("PATH"));
	setenv("PATH", path, 1);
	execvp(arguments[0], (char *const *)arguments);
	fprintf(stderr, "cannot run %s\n", arguments[0]);
	_exit(127);
}

void scratch_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct sockaddr_in local(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons((uint16_t)port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int scratch_free_port(void)
{
	struct sockaddr_in address = local(0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

void scratch_wait_port(int port)
{
	struct sockaddr_in address = local(port);
	for (int i = 0; i < 1500; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		bool is_up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
		close(fd);
		if (is_up)
			return;
		usleep(20000);
	}
	ck_abort_msg("nobody listens on port %d", port);
}
