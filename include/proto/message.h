/* SPDX-License-Identifier: ISC */
/* message: framing of typed messages (type byte, 32-bit length that counts itself, body) and what
 * each type is to us. Everything is made from messages.def. Source: PostgreSQL manual, "Message
 * Formats". */
#ifndef PGWEIR_PROTO_MESSAGE_H
#define PGWEIR_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	MESSAGE_HEADER = 5,	  /* type and length */
	MESSAGE_LENGTH_MIN = 4,	  /* the length counts itself */
	MESSAGE_HEAD = 32,	  /* bytes of the body that MESSAGE_SEE_HEAD wants to see */
	MESSAGE_WHOLE_MAX = 16384 /* what must be seen whole is at most this long, with header */
};

/* Types as C names: MESSAGE_QUERY is 'Q'. A letter may name one message of each side. */
enum message_type {
#define FRONTEND(type, name, care, doc) MESSAGE_##name = (type),
#define BACKEND(type, name, care, doc) MESSAGE_##name = (type),
#include "proto/messages.def"
};

/* How much of a message the relay must see before it goes on. */
enum message_care {
	MESSAGE_INVALID,   /* this side never sends that type */
	MESSAGE_PASS,	   /* nothing: any size, streamed through */
	MESSAGE_SEE_TYPE,  /* the header */
	MESSAGE_SEE_HEAD,  /* the first MESSAGE_HEAD bytes of the body, or all if shorter */
	MESSAGE_SEE_WHOLE, /* all of it; more than MESSAGE_WHOLE_MAX is the sender's error */
};

/* Care by type, for what a client (frontend) and a server (backend) may send after the start-up
 * phase. */
extern const uint8_t message_frontend_care[256];
extern const uint8_t message_backend_care[256];

/* The manual's name of a type ("ReadyForQuery"), or NULL. */
const char *message_frontend_name(uint8_t type);
const char *message_backend_name(uint8_t type);

static inline uint32_t message_get32(const void *bytes)
{
	const uint8_t *b = bytes;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void message_put32(void *bytes, uint32_t value)
{
	uint8_t *b = bytes;
	b[0] = (uint8_t)(value >> 24);
	b[1] = (uint8_t)(value >> 16);
	b[2] = (uint8_t)(value >> 8);
	b[3] = (uint8_t)value;
}

/* The length field of the message at @header: body plus 4; the whole message has one byte more. */
static inline uint32_t message_length(const uint8_t *header)
{
	return message_get32(header + 1);
}

/* One message found in bytes. */
struct message {
	uint8_t type;
	const uint8_t *body;
	uint32_t size; /* of the body */
};

enum frame { FRAME_OK, FRAME_SHORT, FRAME_BAD };

/* The message at the beginning of @bytes. FRAME_SHORT: more bytes are needed. FRAME_BAD: its length
 * is below 4 or the whole message longer than @max. Off the hot path. */
enum frame message_parse(const uint8_t *bytes, size_t size, uint32_t max, struct message *message);

#endif
