/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "rule_dir.h"
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/pgweir-rules-XXXXXX";
static int home = -1;

void rule_dir_enter(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(home, 0);
	memset(path + strlen(path) - 6, 'X', 6);
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(chdir(path), 0);
}

static int remove_entry(const char *name, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(name);
}

void rule_dir_leave(void)
{
	ck_assert_int_eq(fchdir(home), 0);
	close(home);
	nftw(path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void rule_dir_write_bytes(const char *name, const char *text, size_t size)
{
	FILE *file = fopen(name, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

void rule_dir_write(const char *name, const char *text)
{
	rule_dir_write_bytes(name, text, strlen(text));
}
