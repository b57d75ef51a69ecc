/* SPDX-License-Identifier: ISC */
/* rule_dir: a temporary directory to work in, for rooms that read files of rules. */
#ifndef PGWEIR_TEST_RULE_DIR_H
#define PGWEIR_TEST_RULE_DIR_H

#include <stddef.h>

/* Checked fixtures: go there, come back and remove it. */
void rule_dir_enter(void);
void rule_dir_leave(void);
void rule_dir_write(const char *name, const char *text);
void rule_dir_write_bytes(const char *name, const char *text, size_t size);

#endif
