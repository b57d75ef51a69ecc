/* SPDX-License-Identifier: ISC */
/* startup: the untyped packets that begin a connection. Sources: PostgreSQL manual, StartupMessage,
 * SSLRequest, GSSENCRequest, CancelRequest, NegotiateProtocolVersion. */
#ifndef PGWEIR_PROTO_STARTUP_H
#define PGWEIR_PROTO_STARTUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "core/buffer.h"
#include "proto/message.h"

struct error;

enum {
	STARTUP_MAX = 10000,	     /* PostgreSQL's MAX_STARTUP_PACKET_LENGTH */
	STARTUP_CANCEL_KEY_MAX = 256 /* protocol 3.2 */
};

#define STARTUP_VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))

enum startup_kind {
	STARTUP_MESSAGE,
	STARTUP_SSL_REQUEST,
	STARTUP_GSSENC_REQUEST,
	STARTUP_CANCEL_REQUEST
};

/* A view of one packet; pointers go into the packet's bytes. */
struct startup {
	enum startup_kind kind;
	uint32_t length;	   /* of the whole packet: what to consume */
	uint32_t version;	   /* of a STARTUP_MESSAGE */
	const char *parameters;	   /* name NUL value NUL ... NUL, checked */
	uint32_t protocol_options; /* how many of them are named "_pq_..." */
	uint32_t process_id;	   /* of a STARTUP_CANCEL_REQUEST */
	const uint8_t *key;
	uint32_t key_size; /* 4 in protocol 3.0, up to 256 in 3.2 */
};

/* Look at the packet at the beginning of @bytes. FRAME_SHORT: more is needed. FRAME_BAD: @error
 * says why, in the contract's words (section 18), with the SQLSTATE PostgreSQL would use: bad
 * length ("bad packet header: '<hex>'" with the first 8 bytes or what there are), old protocol 2,
 * unknown version, layout ("invalid startup packet layout: expected terminator as last byte"). A
 * bad length is told as soon as four bytes are there. */
enum frame startup_parse(const uint8_t *bytes, size_t size, struct startup *startup,
			 struct error *error);

/* Walk the parameters: *@cursor starts at startup->parameters. False at the end. */
bool startup_next_parameter(const char **cursor, const char **name, const char **value);

/* Does it need NegotiateProtocolVersion (minor above @minor_max, or options "_pq_.*")? */
bool startup_must_negotiate(const struct startup *startup, uint16_t minor_max);
/* Append NegotiateProtocolVersion: the newest minor we speak, and the unknown _pq_ options of
 * @startup. */
bool startup_put_negotiate(struct buffer **out, size_t cap, const struct startup *startup,
			   uint16_t minor_max);

/* Read the body of NegotiateProtocolVersion: the newest minor that the other side speaks, and how
 * many of our options it does not know. False: malformed, or another protocol. */
bool startup_parse_negotiate(const uint8_t *body, size_t size, uint16_t *minor, uint32_t *unknown);

/* Append packets to a server. @names_values: NULL-terminated array name, value, name, value, ... */
bool startup_put_message(struct buffer **out, size_t cap, uint32_t version,
			 const char *const *names_values);
bool startup_put_ssl_request(struct buffer **out, size_t cap);
bool startup_put_cancel(struct buffer **out, size_t cap, uint32_t process_id, const uint8_t *key,
			size_t key_size);

#endif
