/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_scan.h"
#include "client_priv.h"
#include "config/snapshot.h"
#include "proto/response.h"
#include <string.h>

/* Pass over the rest of a message that is for nobody. */
static void skip_stray(struct client *client, const uint8_t **bytes, size_t *size)
{
	size_t here = *size < client->endpoint.body_left ? *size : client->endpoint.body_left;
	client->endpoint.body_left -= (uint32_t)here;
	*bytes += here;
	*size -= here;
}

enum client_scan client_scan(struct client *client, const uint8_t **bytes, size_t *size)
{
	const uint32_t maximum = (uint32_t)settings_current()->max_packet_size;
	skip_stray(client, bytes, size);
	const uint8_t *at = *bytes, *const end = at + *size;
	bool extended = false;
	while (end - at >= MESSAGE_HEADER) {
		uint32_t length = message_length(at);
		bool whole = (size_t)(end - at) > length;
		/* also below 4, by wrapping round */
		if (UNLIKELY(length - MESSAGE_LENGTH_MIN > maximum - MESSAGE_LENGTH_MIN))
			return message_frontend_care[*at] == MESSAGE_INVALID ? SCAN_BAD_TYPE
									     : SCAN_BAD_LENGTH;
		switch (*at) {
		case MESSAGE_PARSE:
		case MESSAGE_BIND:
		case MESSAGE_DESCRIBE:
		case MESSAGE_EXECUTE:
		case MESSAGE_CLOSE:
			extended = true;
			break;
		case MESSAGE_QUERY:
		case MESSAGE_SYNC:
		case MESSAGE_FUNCTION_CALL:
			if (whole || (size_t)(end - *bytes) >= CLIENT_REQUEST_MAX)
				return SCAN_WANTS_SERVER;
			return SCAN_NOTHING;
		case MESSAGE_TERMINATE:
			return SCAN_TERMINATE;
		case MESSAGE_COPY_DATA:
		case MESSAGE_COPY_DONE:
		case MESSAGE_COPY_FAIL:
		case MESSAGE_FLUSH:
			if (*at == MESSAGE_FLUSH && extended)
				return SCAN_WANTS_SERVER;
			if (extended)
				break;
			if (!whole) {
				client->endpoint.body_left = length + 1 - (uint32_t)(end - at);
				*bytes = end;
				*size = 0;
				return SCAN_NOTHING;
			}
			*bytes = at + length + 1;
			*size = (size_t)(end - *bytes);
			break;
		default:
			return SCAN_BAD_TYPE;
		}
		if (!whole)
			break;
		at += (size_t)length + 1;
	}
	return (size_t)(end - *bytes) >= CLIENT_REQUEST_MAX ? SCAN_WANTS_SERVER : SCAN_NOTHING;
}

bool client_scan_is_query(const struct client *client, const uint8_t *bytes, size_t size)
{
	return size >= MESSAGE_HEADER && bytes[0] == MESSAGE_QUERY &&
	       size == (size_t)message_length(bytes) + 1 && size <= CLIENT_REQUEST_MAX &&
	       size <= (size_t)settings_current()->max_packet_size &&
	       client->endpoint.body_left == 0;
}

bool client_scan_is_extended(const struct client *client, const uint8_t *bytes, size_t size)
{
	static const uint8_t sync[] = {MESSAGE_SYNC, 0, 0, 0, MESSAGE_LENGTH_MIN};
	return size > sizeof sync && size <= CLIENT_REQUEST_MAX &&
	       pipeline_usual[bytes[0]] == PIPELINE_EXTENDED && !client->endpoint.body_left &&
	       !memcmp(bytes + size - sizeof sync, sync, sizeof sync);
}

/* ---- a request that fails before it got a server ---- */

/* Is there a message whose header the protocol allows? Else client_scan() says what is wrong. */
static bool is_skippable(const uint8_t *bytes, size_t size)
{
	return size >= MESSAGE_HEADER && *bytes != MESSAGE_TERMINATE &&
	       message_frontend_care[*bytes] != MESSAGE_INVALID &&
	       message_length(bytes) >= MESSAGE_LENGTH_MIN &&
	       message_length(bytes) <= (uint32_t)settings_current()->max_packet_size;
}

/* Pass over the first message; what has not come yet of it is a stray. */
static void skip_message(struct client *client, const uint8_t **bytes, size_t *size)
{
	size_t whole = (size_t)message_length(*bytes) + 1;
	size_t here = whole < *size ? whole : *size;
	client->endpoint.body_left = (uint32_t)(whole - here);
	*bytes += here;
	*size -= here;
}

void client_scan_skip(struct client *client, const uint8_t **bytes, size_t *size,
		      struct buffer **out)
{
	skip_stray(client, bytes, size);
	while (client->skips_to_sync && is_skippable(*bytes, *size)) {
		if (**bytes == MESSAGE_SYNC) {
			client->skips_to_sync = false;
			response_put_ready_for_query(out, ENDPOINT_QUEUE_MAX, 'I');
		}
		skip_message(client, bytes, size);
	}
	if (*size >= MESSAGE_HEADER && !is_skippable(*bytes, *size))
		client->skips_to_sync = false; /* it ends here */
}

void client_scan_fail(struct client *client, const uint8_t **bytes, size_t *size,
		      const struct error *error, struct buffer **out)
{
	uint8_t type = **bytes;
	bool is_simple = type == MESSAGE_QUERY || type == MESSAGE_FUNCTION_CALL;
	if (type != MESSAGE_SYNC)
		response_put_error(out, ENDPOINT_QUEUE_MAX, "ERROR", error);
	if (is_simple) {
		response_put_ready_for_query(out, ENDPOINT_QUEUE_MAX, 'I');
		skip_message(client, bytes, size);
	} else {
		client->skips_to_sync = true;
		client_scan_skip(client, bytes, size, out);
	}
}
