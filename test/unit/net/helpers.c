/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "helpers.h"
#include "core/buffer.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/loop.h"
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char helpers_directory[64];
static char lines[16384];
static int files_before;

static void keep_line(enum log_level level, const char *line)
{
	size_t length = strlen(lines);
	const char *text = strstr(line, "] "); /* behind time and process: LEVEL text */
	(void)level;
	snprintf(lines + length, sizeof lines - length, "%s\n", text ? text + 2 : line);
}

void helpers_open(void)
{
	lines[0] = '\0';
	log_hook(keep_line);
	snprintf(helpers_directory, sizeof helpers_directory, "/tmp/pgweir-net-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(helpers_directory));
	files_before = helpers_open_files();
	clock_drive();
	loop_open();
}

void helpers_close(void)
{
	loop_close();
	buffer_release();
	ck_assert_int_eq(helpers_open_files(), files_before);
	DIR *directory = opendir(helpers_directory);
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		if (entry->d_name[0] != '.' || entry->d_name[1] == 's')
			unlink(helpers_path(entry->d_name));
	if (directory)
		closedir(directory);
	rmdir(helpers_directory);
}

const char *helpers_path(const char *name)
{
	static char path[400];
	snprintf(path, sizeof path, "%s/%s", helpers_directory, name);
	return path;
}

const char *helpers_log(void)
{
	return lines;
}

unsigned helpers_log_count(const char *text)
{
	unsigned count = 0;
	for (const char *found = lines; (found = strstr(found, text)); found++)
		count++;
	return count;
}

void helpers_settle(void)
{
	for (int turns = 0; loop_turn(20); turns++)
		ck_assert_msg(turns < 5000, "the loop never comes to rest");
}

static int bound(uint16_t *port)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof any;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&any, &length), 0);
	*port = ntohs(any.sin_port);
	return fd;
}

uint16_t helpers_free_port(void)
{
	uint16_t port;
	close(bound(&port));
	return port;
}

static int connected(const struct sockaddr *sockaddr, socklen_t length)
{
	int fd = socket(sockaddr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	if (connect(fd, sockaddr, length) == 0)
		return fd;
	int reason = errno;
	close(fd);
	errno = reason;
	return -1;
}

int helpers_connect(const char *host, uint16_t port)
{
	struct address address;
	struct sockaddr_storage sockaddr;
	socklen_t length;
	ck_assert(address_parse(host, port, &address));
	ck_assert(address_to_sockaddr(&address, &sockaddr, &length));
	return connected((struct sockaddr *)&sockaddr, length);
}

int helpers_connect_unix(const char *path)
{
	struct sockaddr_un sockaddr;
	socklen_t length;
	ck_assert(address_unix_sockaddr(path, &sockaddr, &length));
	return connected((struct sockaddr *)&sockaddr, length);
}

int helpers_open_files(void)
{
	int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}
