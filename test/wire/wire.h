/* SPDX-License-Identifier: ISC */
/* wire: the real conn layer between a scripted client and a scripted server, in one thread, under a
 * driven clock. A client is one end of a socket pair; servers come to a listening Unix socket in a
 * temporary directory, as from PostgreSQL's point of view. Nothing happens but in wire_settle(),
 * which turns the loop until all is quiet. */
#ifndef PGWEIR_TEST_WIRE_H
#define PGWEIR_TEST_WIRE_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/clock.h"

struct client;

struct wire_peer {
	int fd;
	uint64_t id;	/* of a client: its endpoint's */
	uint8_t key[8]; /* BackendKeyData, of a client that is logged in, or a server that was
			   welcomed */
	uint8_t in[1 << 20];
	size_t length;
	char text[4096];     /* of the last message's body: printable, NULs as '|' */
	uint8_t type;	     /* of the last message */
	size_t size;	     /* of its body */
	const uint8_t *body; /* valid until the next */
};

/* Start the layers with "[pgbouncer]" lines @settings and keys @row added to the one database,
 * "db"; "$dir" in @settings is the directory of the servers' socket. Its users are "u1" and "u2",
 * auth_type is trust, pool_mode transaction, default_pool_size 1,
 * query_wait_notify 0, max_prepared_statements 0. */
void wire_open(const char *settings, const char *row);
/* Stop; every connection, parameter set and buffer must be gone. */
void wire_close(void);
/* Turn the loop until nothing happens any more. */
void wire_settle(void);
/* Let time pass, then settle. */
void wire_advance(usec_t by);

/* A client that has connected and said nothing; one that is logged in as "u1" (its pool's first
 * server is played). */
struct wire_peer *wire_connect(void);
struct wire_peer *wire_client(void);
struct wire_peer *wire_client_as(const char *user, const char *more_parameters, size_t size);
/* Say a StartupMessage for database "db". */
void wire_say_startup(struct wire_peer *client, const char *user, const char *more_parameters,
		      size_t size);
/* The next server connection, not logged in; NULL: there is none. */
struct wire_peer *wire_accept(void);
/* The same at a listening socket of the test's own. */
struct wire_peer *wire_accept_at(int listening_fd);
/* From now on connections are refused, and taken again. */
void wire_server_down(void);
void wire_server_up(void);
/* Play PostgreSQL's side of a login with trust. */
void wire_welcome(struct wire_peer *server);
/* The next server connection, which must ask for a login of "u1" with protocol 3.@minor. */
struct wire_peer *wire_asked(uint8_t minor);
/* accept, read the start-up packet, welcome. */
struct wire_peer *wire_server(void);
/* The server that the first wire_client() made. */
struct wire_peer *wire_first_server(void);

/* Raw bytes, then settle. wire_push does not settle. */
void wire_send(struct wire_peer *peer, const void *bytes, size_t size);
void wire_push(struct wire_peer *peer, const void *bytes, size_t size);
/* From now on wire_send(), and all that is said through it, goes out @size bytes at a time, with
 * all quiet between (0: at once); until wire_open(). */
void wire_pieces(size_t size);
/* What the kernel takes, and has, just now; neither settles. Returns how many bytes. */
size_t wire_try(struct wire_peer *peer, const void *bytes, size_t size);
size_t wire_take(struct wire_peer *peer, void *bytes, size_t size);
/* A message; @body as given. */
void wire_say(struct wire_peer *peer, char type, const void *body, size_t size);
void wire_query(struct wire_peer *client, const char *sql);
/* "CommandComplete TAG, ReadyForQuery STATUS". */
void wire_answer(struct wire_peer *server, const char *tag, char status);
void wire_ready(struct wire_peer *server, char status);
/* Messages of these types with plausible bodies, in one write: of a client ("PBDES"), of a server
 * ("12TDCZ"; Z says I, E is an ERROR 42601 "syntax"). */
void wire_client_says(struct wire_peer *client, const char *types);
void wire_server_says(struct wire_peer *server, const char *types);
/* The same as bytes, appended at @at; returns their length. */
size_t wire_put(uint8_t *at, char type, const void *body, size_t size);
size_t wire_put_types(uint8_t *at, const char *types, bool of_server);
/* ErrorResponse. */
void wire_error(struct wire_peer *server, const char *severity, const char *sqlstate,
		const char *message);
/* Close our end, then settle; the peer may not be used any more. */
void wire_hang_up(struct wire_peer *peer);
void wire_half_close(struct wire_peer *peer);

/* Take the next message off what the peer received; false: none whole is there. */
bool wire_next(struct wire_peer *peer);
/* The next messages must have just these types, and nothing may follow. */
void wire_expect(struct wire_peer *peer, const char *types);
/* The next message must be of @type, its printable body contain @part. */
void wire_expect_message(struct wire_peer *peer, char type, const char *part);
/* A FATAL ErrorResponse with this SQLSTATE and message, then the end; hangs up. */
void wire_expect_fatal(struct wire_peer *peer, const char *sqlstate, const char *message);
/* The next ErrorResponse or NoticeResponse, whose fields must be just these. */
void wire_expect_error(struct wire_peer *peer, const char *severity, const char *sqlstate,
		       const char *message);
/* Nothing has come. */
void wire_expect_nothing(struct wire_peer *peer);
/* The other side closed. */
bool wire_is_closed(struct wire_peer *peer);
void wire_expect_closed(struct wire_peer *peer);
/* It did not. */
void wire_expect_open(struct wire_peer *peer);
/* Everything there is to read, raw; returns its length. */
size_t wire_read(struct wire_peer *peer);

/* The connection's state, as in the table; "gone" after its end (CLOSING too). Client peers only.
 */
const char *wire_state(const struct wire_peer *client);
/* The client itself; NULL: gone. */
struct client *wire_inside(const struct wire_peer *client);
/* Where the members of the pool of "db" and "u1" are: "active 2, waiting 1 / active 1", clients
 * before servers, zeros and empty sides ("-") left out. */
void wire_expect_pool(const char *text);
/* Place counts of the pool of "db" and "u1". */
unsigned wire_servers(int place);
unsigned wire_clients(int place);
unsigned wire_servers_of(const char *user, int place);
/* Was this in the log? (And forget the log.) */
bool wire_logged(const char *part);

/* Chance that can be repeated: where it begins (not 0); a number from 0 to @sides - 1. */
void wire_seed(uint64_t seed);
unsigned wire_roll(unsigned sides);

#endif
