/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/pipeline.h"
#include <string.h>
#include "core/memory.h"
#include "proto/message.h"

/* Entries are the types of the frontend messages themselves. Not all become one: CopyData and Flush
 * are answered by nothing. A CopyDone or CopyFail that is sent before the server said
 * CopyInResponse ("blind") does: it marks where the copy ends for a COPY among the requests before
 * it, and is dropped when it turns out that there was none. */
enum { COPY_END = MESSAGE_COPY_DONE };
/* A Query that made the server copy both ways (replication); answers to the copying end with the
 * Query's own. */
enum { COPY_BOTH = MESSAGE_COPY_BOTH_RESPONSE };

void pipeline_init(struct pipeline *pipeline)
{
	memset(pipeline, 0, sizeof *pipeline);
	pipeline->size = PIPELINE_INLINE;
}

void pipeline_fini(struct pipeline *pipeline)
{
	memory_free(&pipeline->entries);
	pipeline_init(pipeline);
}

static uint8_t *entries(struct pipeline *pipeline)
{
	return pipeline->entries ? pipeline->entries : pipeline->entries_inline;
}

static uint8_t *entry(struct pipeline *pipeline, uint32_t i)
{
	return &entries(pipeline)[(pipeline->first + i) & (pipeline->size - 1)];
}

static void pop(struct pipeline *pipeline)
{
	pipeline->first = (pipeline->first + 1) & (pipeline->size - 1);
	pipeline->length--;
}

static bool push(struct pipeline *pipeline, uint8_t type)
{
	if (pipeline->length == pipeline->size) {
		uint8_t *larger = memory_try_alloc((size_t)pipeline->size * 2);
		if (!larger)
			return false;
		for (uint32_t i = 0; i < pipeline->length; i++)
			larger[i] = *entry(pipeline, i);
		memory_free(&pipeline->entries);
		pipeline->entries = larger;
		pipeline->size *= 2;
		pipeline->first = 0;
	}
	*entry(pipeline, pipeline->length++) = type;
	return true;
}

/* Is a request that is sent now never answered? While it copies in, a server takes it for a
 * mistake, which fails the COPY; while it skips to Sync it does not look at it. */
static bool is_discarded(struct pipeline *pipeline)
{
	bool discarded = pipeline->copy_in || pipeline->skips_to_sync;
	pipeline->copy_in = false;
	return discarded;
}

bool pipeline_sent(struct pipeline *pipeline, uint8_t type)
{
	switch (type) {
	case MESSAGE_QUERY:
	case MESSAGE_FUNCTION_CALL:
	case PIPELINE_INTERNAL:
		if (is_discarded(pipeline))
			return true;
		return push(pipeline, type);
	case MESSAGE_SYNC:
		if (pipeline->copy_in) {
			pipeline->sync_in_copy = true;
			return true; /* ignored by the server */
		}
		pipeline->skips_to_sync = false;
		return push(pipeline, type);
	case MESSAGE_PARSE:
	case MESSAGE_BIND:
	case MESSAGE_DESCRIBE:
	case MESSAGE_EXECUTE:
	case MESSAGE_CLOSE:
		if (is_discarded(pipeline))
			return true;
		pipeline->unsynced = true;
		return push(pipeline, type);
	case MESSAGE_COPY_DONE:
	case MESSAGE_COPY_FAIL:
		if (pipeline->copy_in) {
			pipeline->copy_in = false;
			return true;
		}
		if (pipeline->length == 0 || pipeline->skips_to_sync)
			return true;
		return push(pipeline, COPY_END);
	default:
		return true;
	}
}

static bool is_extended(uint8_t type)
{
	return type == MESSAGE_PARSE || type == MESSAGE_BIND || type == MESSAGE_DESCRIBE ||
	       type == MESSAGE_EXECUTE || type == MESSAGE_CLOSE;
}

static void drop_stray_copy_ends(struct pipeline *pipeline)
{
	while (pipeline_front(pipeline) == COPY_END)
		pop(pipeline);
}

/* The request at the front made the server copy in. What was sent behind it already is read as part
 * of the copy: Syncs are ignored, up to the CopyDone; another request is a mistake that fails the
 * COPY, and gets no answer of its own. */
static void enter_copy_in(struct pipeline *pipeline)
{
	uint32_t kept = 1;
	pipeline->copy_in = true;
	pipeline->sync_in_copy = false;
	for (uint32_t i = 1; i < pipeline->length; i++) {
		uint8_t type = *entry(pipeline, i);
		if (pipeline->copy_in && type == MESSAGE_SYNC) {
			pipeline->sync_in_copy = true;
			continue;
		}
		if (pipeline->copy_in) {
			pipeline->copy_in = false;
			continue;
		}
		*entry(pipeline, kept++) = type;
	}
	pipeline->length = kept;
}

/* An extended request failed: the server discards everything up to the next Sync. */
static void skip_to_sync(struct pipeline *pipeline)
{
	while (pipeline->length && pipeline_front(pipeline) != MESSAGE_SYNC)
		pop(pipeline);
	pipeline->skips_to_sync = pipeline->length == 0;
}

static bool completes(struct pipeline *pipeline, uint8_t type)
{
	if (pipeline_front(pipeline) != type)
		return false;
	pop(pipeline);
	return true;
}

bool pipeline_received(struct pipeline *pipeline, uint8_t type)
{
	uint8_t front = pipeline_front(pipeline);
	if (front == COPY_END) {
		drop_stray_copy_ends(pipeline);
		front = pipeline_front(pipeline);
	}
	bool simple = front == MESSAGE_QUERY || front == PIPELINE_INTERNAL || front == COPY_BOTH;
	switch (type) {
	case MESSAGE_READY_FOR_QUERY:
		if (front == 0 && pipeline->doubtful) { /* it was read after the COPY */
			pipeline->doubtful = pipeline->skips_to_sync = pipeline->unsynced = false;
			return true;
		}
		if (!simple && front != MESSAGE_SYNC && front != MESSAGE_FUNCTION_CALL)
			return false;
		pop(pipeline);
		drop_stray_copy_ends(pipeline);
		pipeline->copy_in = pipeline->sync_in_copy = false;
		pipeline->unsynced = pipeline->length > 0;
		return true;
	case MESSAGE_PARSE_COMPLETE:
		return completes(pipeline, MESSAGE_PARSE);
	case MESSAGE_BIND_COMPLETE:
		return completes(pipeline, MESSAGE_BIND);
	case MESSAGE_CLOSE_COMPLETE:
		return completes(pipeline, MESSAGE_CLOSE);
	case MESSAGE_NO_DATA:
		return completes(pipeline, MESSAGE_DESCRIBE);
	case MESSAGE_ROW_DESCRIPTION:
		return simple || completes(pipeline, MESSAGE_DESCRIBE);
	case MESSAGE_COMMAND_COMPLETE:
	case MESSAGE_EMPTY_QUERY_RESPONSE:
		pipeline->sync_in_copy = false;
		return simple || completes(pipeline, MESSAGE_EXECUTE);
	case MESSAGE_PORTAL_SUSPENDED:
		return completes(pipeline, MESSAGE_EXECUTE);
	case MESSAGE_COPY_IN_RESPONSE:
		if (!simple && front != MESSAGE_EXECUTE)
			return false;
		enter_copy_in(pipeline);
		return true;
	case MESSAGE_COPY_BOTH_RESPONSE:
		if (front != MESSAGE_QUERY)
			return false;
		*entry(pipeline, 0) = COPY_BOTH;
		return true;
	case MESSAGE_ERROR_RESPONSE:
		pipeline->doubtful |= pipeline->sync_in_copy;
		pipeline->copy_in = pipeline->sync_in_copy = false;
		if (is_extended(front))
			skip_to_sync(pipeline);
		return true;
	default:
		return true;
	}
}

bool pipeline_copies_both(const struct pipeline *pipeline)
{
	return pipeline_front(pipeline) == COPY_BOTH;
}

bool pipeline_owes_ready(const struct pipeline *pipeline)
{
	const uint8_t *all = pipeline->entries ? pipeline->entries : pipeline->entries_inline;
	for (uint32_t i = 0; i < pipeline->length; i++) {
		uint8_t type = all[(pipeline->first + i) & (pipeline->size - 1)];
		if (!is_extended(type) && type != COPY_END)
			return true;
	}
	return false;
}

bool pipeline_owes_one_ready(const struct pipeline *pipeline)
{
	const uint8_t *all = pipeline->entries ? pipeline->entries : pipeline->entries_inline;
	uint32_t last = pipeline->length - 1;
	for (uint32_t i = 0; i < pipeline->length; i++) {
		uint8_t type = all[(pipeline->first + i) & (pipeline->size - 1)];
		bool is_end = !is_extended(type) && type != COPY_END;
		if (is_end != (i == last))
			return false;
	}
	return pipeline->length > 0 && !pipeline->skips_to_sync;
}
