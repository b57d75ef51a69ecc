/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/pipeline.h"
#include <assert.h>
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

static void (*on_end)(void *note, enum pipeline_end how);

void pipeline_on_end(void (*ended)(void *note, enum pipeline_end how))
{
	on_end = ended;
}

void pipeline_init(struct pipeline *pipeline)
{
	memset(pipeline, 0, sizeof *pipeline);
	pipeline->size = PIPELINE_INLINE;
	pipeline->entries = pipeline->entries_inline;
	pipeline->notes = pipeline->notes_inline;
}

static void tell(struct pipeline *pipeline, uint32_t index, enum pipeline_end how)
{
	void *note = pipeline->notes[index];
	pipeline->notes[index] = NULL;
	if (note)
		on_end(note, how);
}

void pipeline_answered(void *note)
{
	on_end(note, PIPELINE_ANSWERED);
}

static void free_entries(struct pipeline *pipeline)
{
	if (pipeline->entries == pipeline->entries_inline)
		return;
	memory_free(&pipeline->entries);
	memory_free(&pipeline->notes);
}

void pipeline_fini(struct pipeline *pipeline)
{
	for (uint32_t i = 0; i < pipeline->size; i++)
		tell(pipeline, i, PIPELINE_SKIPPED);
	free_entries(pipeline);
	pipeline_init(pipeline);
}

static uint8_t *entry(struct pipeline *pipeline, uint32_t i)
{
	return &pipeline->entries[(pipeline->first + i) & (pipeline->size - 1)];
}

static uint32_t place(const struct pipeline *pipeline, uint32_t i)
{
	return (pipeline->first + i) & (pipeline->size - 1);
}

static void pop_as(struct pipeline *pipeline, enum pipeline_end how)
{
	uint32_t index = pipeline->first;
	pipeline->locals -= pipeline->entries[index] == PIPELINE_LOCAL;
	pipeline->first = place(pipeline, 1);
	pipeline->length--;
	tell(pipeline, index, how);
}

static void pop(struct pipeline *pipeline)
{
	pop_as(pipeline, PIPELINE_ANSWERED);
}

bool pipeline_grow(struct pipeline *pipeline)
{
	uint32_t size = pipeline->size * 2;
	uint8_t *larger = memory_try_alloc(size);
	void **notes = memory_try_alloc(size * sizeof *notes);
	if (!larger || !notes) {
		memory_free(&larger);
		memory_free(&notes);
		return false;
	}
	memset(notes, 0, size * sizeof *notes);
	for (uint32_t i = 0; i < pipeline->length; i++) {
		larger[i] = *entry(pipeline, i);
		notes[i] = pipeline->notes[place(pipeline, i)];
	}
	free_entries(pipeline);
	pipeline->entries = larger;
	pipeline->notes = notes;
	pipeline->size = size;
	pipeline->first = 0;
	return true;
}

static bool push(struct pipeline *pipeline, uint8_t type)
{
	if (pipeline->length == pipeline->size && !pipeline_grow(pipeline))
		return false;
	*entry(pipeline, pipeline->length++) = type;
	return true;
}

void pipeline_answer_local(struct pipeline *pipeline)
{
	assert(pipeline_front(pipeline) == PIPELINE_LOCAL);
	pop(pipeline);
}

/* Is a request that is sent now never answered? While it copies in, a server takes it for a
 * mistake, which fails the COPY; while it skips to Sync it does not look at it. */
static bool is_discarded(struct pipeline *pipeline)
{
	bool discarded = pipeline_discards(pipeline);
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

const uint8_t pipeline_usual[256] = {
	[MESSAGE_QUERY] = PIPELINE_SIMPLE,     [MESSAGE_FUNCTION_CALL] = PIPELINE_SIMPLE,
	[MESSAGE_SYNC] = PIPELINE_SIMPLE,      [MESSAGE_PARSE] = PIPELINE_EXTENDED,
	[MESSAGE_BIND] = PIPELINE_EXTENDED,    [MESSAGE_DESCRIBE] = PIPELINE_EXTENDED,
	[MESSAGE_EXECUTE] = PIPELINE_EXTENDED, [MESSAGE_CLOSE] = PIPELINE_EXTENDED,
};

static bool is_extended(uint8_t type)
{
	return type == MESSAGE_PARSE || type == MESSAGE_BIND || type == MESSAGE_DESCRIBE ||
	       type == MESSAGE_EXECUTE || type == MESSAGE_CLOSE || type == PIPELINE_LOCAL;
}

static void drop_stray_copy_ends(struct pipeline *pipeline)
{
	while (pipeline_front(pipeline) == COPY_END)
		pop(pipeline);
}

static void move(struct pipeline *pipeline, uint32_t from, uint32_t to)
{
	*entry(pipeline, to) = *entry(pipeline, from);
	if (from != to) {
		pipeline->notes[place(pipeline, to)] = pipeline->notes[place(pipeline, from)];
		pipeline->notes[place(pipeline, from)] = NULL;
	}
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
			pipeline->copy_in = type == PIPELINE_LOCAL; /* the server never saw it */
			pipeline->locals -= type == PIPELINE_LOCAL;
			tell(pipeline, place(pipeline, i), PIPELINE_SKIPPED);
			continue;
		}
		move(pipeline, i, kept++);
	}
	pipeline->length = kept;
}

/* An extended request failed: the server discards everything up to the next Sync. */
static void skip_to_sync(struct pipeline *pipeline)
{
	pop_as(pipeline, PIPELINE_FAILED);
	while (pipeline->length && pipeline_front(pipeline) != MESSAGE_SYNC)
		pop_as(pipeline, PIPELINE_SKIPPED);
	pipeline->skips_to_sync = pipeline->length == 0;
}

const uint8_t pipeline_completes[256] = {
	[MESSAGE_PARSE_COMPLETE] = MESSAGE_PARSE,
	[MESSAGE_BIND_COMPLETE] = MESSAGE_BIND,
	[MESSAGE_CLOSE_COMPLETE] = MESSAGE_CLOSE,
	[MESSAGE_NO_DATA] = MESSAGE_DESCRIBE,
	[MESSAGE_ROW_DESCRIPTION] = MESSAGE_DESCRIBE,
	[MESSAGE_COMMAND_COMPLETE] = MESSAGE_EXECUTE,
	[MESSAGE_EMPTY_QUERY_RESPONSE] = MESSAGE_EXECUTE,
	[MESSAGE_PORTAL_SUSPENDED] = MESSAGE_EXECUTE,
};

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

static uint8_t type_at(const struct pipeline *pipeline, uint32_t i)
{
	return pipeline->entries[place(pipeline, i)];
}

bool pipeline_owes_answer(const struct pipeline *pipeline)
{
	for (uint32_t i = 0; i < pipeline->length; i++)
		if (type_at(pipeline, i) != COPY_END && type_at(pipeline, i) != PIPELINE_INTERNAL)
			return true;
	return false;
}

bool pipeline_owes_ready(const struct pipeline *pipeline)
{
	for (uint32_t i = 0; i < pipeline->length; i++) {
		uint8_t type = type_at(pipeline, i);
		if (!is_extended(type) && type != COPY_END)
			return true;
	}
	return false;
}

bool pipeline_owes_one_ready(const struct pipeline *pipeline)
{
	uint32_t last = pipeline->length - 1;
	for (uint32_t i = 0; i < pipeline->length; i++) {
		uint8_t type = type_at(pipeline, i);
		bool is_end = !is_extended(type) && type != COPY_END;
		if (is_end != (i == last))
			return false;
	}
	return pipeline->length > 0 && !pipeline->skips_to_sync;
}
