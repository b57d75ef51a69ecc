/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "files.h"
#include "core/log.h"
#include <check.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64], before[PATH_MAX];
static char gathered[16384], given[sizeof(gathered)];

static void gather(enum log_level level, const char *line)
{
	(void)level;
	size_t length = strlen(gathered);
	snprintf(gathered + length, sizeof(gathered) - length, "%s\n", line);
}

void files_setup(void)
{
	strcpy(directory, "/tmp/pgweir-config-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
	ck_assert_int_eq(chdir(directory), 0);
	gathered[0] = '\0';
	log_hook(gather);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void files_teardown(void)
{
	log_hook(NULL);
	ck_assert_int_eq(chdir(before), 0);
	nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void files_write_bytes(const char *name, const void *bytes, size_t size)
{
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

void files_write(const char *name, const char *text)
{
	files_write_bytes(name, text, strlen(text));
}

void files_assert_has(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "\"%s\" is not in \"%s\"", part, text);
}

void files_assert_lacks(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) == NULL, "\"%s\" is in \"%s\"", part, text);
}

const char *files_logged(void)
{
	strcpy(given, gathered);
	gathered[0] = '\0';
	return given;
}
