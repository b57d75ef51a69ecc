/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_console.h"
#include "client_priv.h"

void client_console_input(struct client *client, const uint8_t *bytes, size_t size)
{
	/* Who does not read the answers is not asked for more questions. */
	while (client->console && !client->stalled &&
	       !stream_is_blocked(&client->endpoint.stream)) {
		struct message message;
		enum frame frame = message_parse(bytes, size, MESSAGE_WHOLE_MAX, &message);
		if (frame == FRAME_SHORT)
			break;
		if (frame == FRAME_BAD || message_frontend_care[message.type] == MESSAGE_INVALID) {
			client_fail_header(client,
					   frame == FRAME_BAD ? RELAY_BAD_LENGTH : RELAY_BAD_TYPE,
					   bytes, size);
			return;
		}
		bytes += message.size + MESSAGE_HEADER;
		size -= message.size + MESSAGE_HEADER;
		if (message.type == MESSAGE_TERMINATE) {
			client_close(client, CLOSE_CLIENT_REQUEST, NULL);
			return;
		}
		client->endpoint.request_at = clock_now();
		client_console()->message(client, &message);
	}
	if (client->console)
		client_hold_for_later(client, bytes, size);
}

static void resume_later(struct loop_work *work)
{
	struct client *client = container_of(work, struct client, endpoint.ending);
	struct buffer *held = client->endpoint.held;
	if (client->state == CLIENT_CLOSING || client->stalled)
		return;
	client->endpoint.held = NULL;
	stream_resume(&client->endpoint.stream);
	if (held)
		client_console_input(client, buffer_bytes(held), buffer_length(held));
	buffer_free(&held);
}

void client_console_resume(struct client *client)
{
	client->stalled = false;
	client->endpoint.ending.callback = resume_later;
	loop_post(&client->endpoint.ending);
}
