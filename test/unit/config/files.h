/* SPDX-License-Identifier: ISC */
/* files: a temporary directory for each test, and lines that were logged. */
#ifndef PGWEIR_TEST_CONFIG_FILES_H
#define PGWEIR_TEST_CONFIG_FILES_H

#include <stddef.h>

/* Fixture: the test's directory is the working directory. */
void files_setup(void);
void files_teardown(void);

void files_write(const char *name, const char *text);
void files_write_bytes(const char *name, const void *bytes, size_t size);
/* Fail unless @text has @part. */
void files_assert_has(const char *text, const char *part);
/* Fail if it has. */
void files_assert_lacks(const char *text, const char *part);
/* All lines logged since the last call, each ended by a newline. */
const char *files_logged(void);

#endif
