/* SPDX-License-Identifier: ISC */
/* resolv_conf: what the file that the setting resolv_conf names says beyond resolv.conf(5): a port
 * behind a name server, "127.0.0.1:8600" or "[::1]:8600", as a local resolver has one. */
#ifndef PGWEIR_NET_RESOLV_CONF_H
#define PGWEIR_NET_RESOLV_CONF_H

#include <stdbool.h>

struct error;

/* Read the file. *@servers: all name servers as "address:port,...", if one of them has a port;
 * NULL: none has, and c-ares reads the file as well as we. The caller frees it. False: it cannot be
 * read.
 */
bool resolv_conf_read(const char *path, char **servers, struct error *error);

#endif
