/* SPDX-License-Identifier: ISC */
/* client_scan: what a client sent that has no server: does it deserve one? And how much of it is
 * passed over when its request fails before it gets one. */
#ifndef PGWEIR_CONN_CLIENT_SCAN_H
#define PGWEIR_CONN_CLIENT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"
#include "core/error.h"

struct client;

enum client_scan {
	SCAN_NOTHING,
	SCAN_WANTS_SERVER,
	SCAN_TERMINATE,
	SCAN_BAD_TYPE,
	SCAN_BAD_LENGTH
};

/* Has an idle client sent what deserves a server? A request that is not whole does not, nor do
 * messages that the server would not answer: extended ones until Sync or Flush (PostgreSQL says
 * nothing before), strays of a COPY that failed meanwhile, a Flush of nothing. Strays are skipped:
 * *@bytes, *@size are what is left. */
enum client_scan client_scan(struct client *client, const uint8_t **bytes, size_t *size);
/* The usual requests, which need no scan: one Query, whole and alone; what begins with a message of
 * the extended protocol and ends with Sync, and so, from these two, is all here. Only a body that
 * is cut at such bytes is no end; then the rest has a server already when it comes. */
bool client_scan_is_query(const struct client *client, const uint8_t *bytes, size_t size);
bool client_scan_is_extended(const struct client *client, const uint8_t *bytes, size_t size);

/* Answer the first request with @error, as far as it has come: into @out. A Sync alone asks for
 * nothing that could fail. An extended request is passed over up to its Sync, which is answered, as
 * PostgreSQL does after an error: client->skips_to_sync if that has not come yet. */
void client_scan_fail(struct client *client, const uint8_t **bytes, size_t *size,
		      const struct error *error, struct buffer **out);
/* The rest of such a request comes. */
void client_scan_skip(struct client *client, const uint8_t **bytes, size_t *size,
		      struct buffer **out);

#endif
