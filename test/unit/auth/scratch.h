/* SPDX-License-Identifier: ISC */
/* scratch: a temporary directory, files and programs for tests that need real services. */
#ifndef PGWEIR_TEST_AUTH_SCRATCH_H
#define PGWEIR_TEST_AUTH_SCRATCH_H

#include <sys/types.h>

/* A new directory below TMPDIR or /tmp. */
void scratch_make(char directory[200]);
void scratch_remove(const char *directory);
/* Write directory/name, as printf would. */
void scratch_write(const char *directory, const char *name, int mode, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The content of directory/name; static. "": there is none. */
const char *scratch_read(const char *directory, const char *name);
/* Run a command of the shell, which finds what lies in sbin too; the test fails if it does. */
void scratch_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Start a program in the background; it ends when we do. */
pid_t scratch_start(const char *const *arguments);
void scratch_end(pid_t pid);
/* A port of 127.0.0.1 that nobody listens on, and wait until somebody does. */
int scratch_free_port(void);
void scratch_wait_port(int port);

#endif
