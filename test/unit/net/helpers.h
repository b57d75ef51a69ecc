/* SPDX-License-Identifier: ISC */
/* helpers: a directory of the test's own, the lines that were logged, a loop that turns until
 * something is so, and the far ends of connections. */
#ifndef PGWEIR_TEST_NET_HELPERS_H
#define PGWEIR_TEST_NET_HELPERS_H

#include <stdbool.h>
#include <stdint.h>
#include "net/address.h"

/* An open loop on a driven clock, an empty log, an empty directory; and the end of them, which
 * looks for leaks of descriptors. */
void helpers_open(void);
void helpers_close(void);
extern char helpers_directory[64];

/* A file in the directory. The text stays valid until the next call. */
const char *helpers_path(const char *name);

/* All lines since the test began, "LEVEL text" each. */
const char *helpers_log(void);
unsigned helpers_log_count(const char *text);

/* Take turns until @condition is so; fails the test after 5 seconds. */
#define helpers_until(condition)                                                          \
	do {                                                                              \
		int turns = 0;                                                            \
		while (!(condition)) {                                                    \
			ck_assert_msg(turns++ < 500, "never came to be: %s", #condition); \
			loop_turn(10);                                                    \
		}                                                                         \
	} while (0)
/* Take turns until nothing more happens. */
void helpers_settle(void);

/* A TCP port of loopback where nobody listens. */
uint16_t helpers_free_port(void);
/* A blocking connection, or -1 with errno. */
int helpers_connect(const char *host, uint16_t port);
int helpers_connect_unix(const char *path);
int helpers_open_files(void);

#endif
