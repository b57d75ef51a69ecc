/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/message.h"

const uint8_t message_frontend_care[256] = {
#define FRONTEND(type, name, care, doc) [(type)] = MESSAGE_##care,
#include "proto/messages.def"
};

const uint8_t message_backend_care[256] = {
#define BACKEND(type, name, care, doc) [(type)] = MESSAGE_##care,
#include "proto/messages.def"
};

const char *message_frontend_name(uint8_t type)
{
	static const char *const names[256] = {
#define FRONTEND(type, name, care, doc) [(type)] = (doc),
#include "proto/messages.def"
	};
	return names[type];
}

const char *message_backend_name(uint8_t type)
{
	static const char *const names[256] = {
#define BACKEND(type, name, care, doc) [(type)] = (doc),
#include "proto/messages.def"
	};
	return names[type];
}

enum frame message_parse(const uint8_t *bytes, size_t size, uint32_t max, struct message *message)
{
	if (size < MESSAGE_HEADER)
		return FRAME_SHORT;
	/* 64 bits: a length of 2^32-1 plus the type byte must not wrap. */
	uint64_t whole = (uint64_t)message_length(bytes) + 1;
	if (whole < MESSAGE_HEADER || whole > max)
		return FRAME_BAD;
	if (size < whole)
		return FRAME_SHORT;
	message->type = bytes[0];
	message->body = bytes + MESSAGE_HEADER;
	message->size = (uint32_t)(whole - MESSAGE_HEADER);
	return FRAME_OK;
}
