/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/server_cancel.h"
#include "server_priv.h"
#include "config/snapshot.h"
#include "conn/server_connect.h"
#include "core/log.h"

/* While our own query runs there is nothing of the client's to cancel. */
static bool is_cancelable(const struct server *server)
{
	return server->state == SERVER_ACTIVE && server->key && !server->errand &&
	       !server->is_broken && !server->said_fatal;
}

bool server_cancel_query(struct server *server)
{
	if (!is_cancelable(server) || pipeline_copies_both(&server->pipeline))
		return false;
	server_launch_cancel(server, NULL);
	return server->cancels > 0; /* else the connection failed at once */
}

/* Is the end of what runs in sight, and nothing half-said? One request must be all that is owed: of
 * several the cancel would hit one, and the rest be done without it, a COMMIT without its BEGIN. A
 * Sync that the client did not send must not be added, since it would commit. While it copies in
 * the server waits for the client. */
static bool can_be_had_back(const struct server *server)
{
	const struct pipeline *pipeline = &server->pipeline;
	return !server->unfit && !server->refuses_block &&
	       !stream_is_blocked(&server->endpoint.stream) && !pipeline->copy_in &&
	       !pipeline_copies_both(pipeline) && !pipeline->doubtful && !pipeline->sync_in_copy &&
	       pipeline_owes_one_ready(pipeline);
}

bool server_cancel_abandoned(struct server *server)
{
	struct endpoint *endpoint = &server->endpoint;
	if (!settings_current()->cancel_on_disconnect || pool_is_draining() ||
	    !is_cancelable(server) || !can_be_had_back(server))
		return false;
	if (settings_current()->log_disconnections)
		log_info(server_subject(server),
			 "client disconnected with query in progress, canceling it");
	server->member.pool->database->abandoned_queries++;
	server->drained = 0;
	endpoint->body_dropped = endpoint->body_left > 0;
	if (!server_set_state(server, SERVER_DRAINING))
		return true;
	stream_resume(&endpoint->stream);
	if (!server->is_canceled) /* query_timeout may have done it */
		server_launch_cancel(server, NULL);
	return true;
}
