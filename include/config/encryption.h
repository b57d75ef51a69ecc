/* SPDX-License-Identifier: ISC */
/* encryption: TLS contexts made from the settings and the rows of [databases] and [tls]. Reading
 * certificates blocks: at start and reload only. Contract sections 2, 9b. */
#ifndef PGWEIR_CONFIG_ENCRYPTION_H
#define PGWEIR_CONFIG_ENCRYPTION_H

#include <stdbool.h>
#include "config/section.h"
#include "core/map.h"
#include "net/tls.h"

struct error;

/* Towards the servers of a database. */
struct encryption_to_server {
	struct map_node node; /* by the words */
	enum sslmode mode;
	enum tls_negotiation negotiation;
	struct tls_context *context; /* NULL: mode is SSLMODE_DISABLE */
	char *words; /* all that it was made from, as text, to see whether it is another one */
};

struct encryption {
	struct tls_context *clients; /* NULL: they cannot have TLS */
	const struct encryption_to_server *servers;
	struct map rows;  /* for databases that override something of it, by the row's name */
	struct map terms; /* struct encryption_to_server: rows with the same words share one */
};

/* What is made from which files. */
enum encryption_side {
	ENCRYPTION_CLIENTS = 1,
	ENCRYPTION_SERVERS = 2,
	ENCRYPTION_BOTH = ENCRYPTION_CLIENTS | ENCRYPTION_SERVERS
};

/* All contexts, or NULL with @error, which names the setting or the row, and its place. @sources:
 * of the settings; NULL: nowhere (console SET). @old (or NULL): sessions of its clients can be
 * resumed, and a side that is not one of @sides is its, as far as the settings are the same. */
struct encryption *encryption_new(const struct settings *settings, const struct source *sources,
				  const struct map *databases,
				  const struct section_database *automatic,
				  const struct map *tls_rows, const struct encryption *old,
				  unsigned sides, struct error *error);
void encryption_free(struct encryption **encryption);
/* For the servers of the database whose row this is; NULL: it has none. */
const struct encryption_to_server *encryption_to(const struct encryption *encryption,
						 const struct section_database *row);

/* The side whose contexts are made from this setting, or 0. */
unsigned encryption_side(enum setting_index index);

#endif
