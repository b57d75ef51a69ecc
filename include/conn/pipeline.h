/* SPDX-License-Identifier: ISC */
/* pipeline: requests sent to a server and responses it still owes, in order; says when a server is
 * free. One entry per request message; the server's messages take entries off. Knows the protocol's
 * corners: after an error in an extended request everything up to Sync is skipped; while the server
 * copies in, Sync and Flush are ignored. Source: PostgreSQL manual, "Message Flow". */
#ifndef PGWEIR_CONN_PIPELINE_H
#define PGWEIR_CONN_PIPELINE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PIPELINE_INLINE = 16,	/* entries without an allocation */
	PIPELINE_MAX = 1 << 16, /* then the client is not read until the server has answered some */
	PIPELINE_INTERNAL = '!', /* a Query of our own, whose answers the client does not see */
	PIPELINE_LOCAL = '.',	 /* was not sent: it is we who answer, when its turn has come */
};

/* What became of a request that had a note. */
enum pipeline_end {
	PIPELINE_ANSWERED,
	PIPELINE_FAILED,  /* by the ErrorResponse that it got */
	PIPELINE_SKIPPED, /* the server passed over it, or is gone */
};

struct pipeline {
	uint8_t *entries; /* ring of message types; at first entries_inline, hence never moved */
	void **notes;	  /* beside the entries, as many; NULL: none, and where there is no entry */
	uint32_t size, first, length;
	uint32_t locals;    /* how many of the entries are PIPELINE_LOCAL */
	bool copy_in;	    /* the server reads CopyData until CopyDone or CopyFail */
	bool sync_in_copy;  /* a Sync was sent that the server will read as part of the COPY, and
			       ignore */
	bool doubtful;	    /* that COPY failed: before it read the Sync, which then is answered, or
			       after? */
	bool skips_to_sync; /* the server discards messages until the next Sync */
	bool unsynced; /* extended messages were sent since the last ReadyForQuery: a transaction
			  may be open */
	uint8_t entries_inline[PIPELINE_INLINE];
	void *notes_inline[PIPELINE_INLINE]; /* last: most requests touch but the first */
};

void pipeline_init(struct pipeline *pipeline);
void pipeline_fini(struct pipeline *pipeline);

/* Will the server not look at a request that is sent now? It skips to Sync, or takes it for the end
 * of a COPY. */
static inline bool pipeline_discards(const struct pipeline *pipeline)
{
	return pipeline->copy_in | pipeline->skips_to_sync;
}
/* No more requests now. */
static inline bool pipeline_is_full(const struct pipeline *pipeline)
{
	return pipeline->length >= PIPELINE_MAX;
}

/* A message of this type goes to the server (frontend type, or PIPELINE_INTERNAL). False: no memory
 * to note it. */
bool pipeline_sent(struct pipeline *pipeline, uint8_t type) __attribute__((warn_unused_result));
/* The same for the usual request. False: it is not so usual, and nothing was done. */
extern const uint8_t pipeline_usual[256]; /* what a type is when nothing is skipped or copied */
enum { PIPELINE_SIMPLE = 2, PIPELINE_EXTENDED = 3 };
static inline bool pipeline_sent_usual(struct pipeline *pipeline, uint8_t type)
{
	uint8_t kind = pipeline_usual[type];
	if (!kind || pipeline_discards(pipeline) || pipeline->length == pipeline->size)
		return false;
	pipeline->entries[(pipeline->first + pipeline->length++) & (pipeline->size - 1)] = type;
	pipeline->unsynced |= kind & 1;
	return true;
}
/* The same for an extended request, a Query or PIPELINE_LOCAL, whose end somebody wants to know:
 * @note is handed to the function of pipeline_on_end() once. Not while pipeline_discards(). */
bool pipeline_grow(struct pipeline *pipeline); /* twice the room */
static inline __attribute__((warn_unused_result)) bool
pipeline_sent_noted(struct pipeline *pipeline, uint8_t type, void *note)
{
	assert(!pipeline_discards(pipeline));
	if (pipeline->length == pipeline->size && !pipeline_grow(pipeline))
		return false;
	uint32_t index = (pipeline->first + pipeline->length++) & (pipeline->size - 1);
	pipeline->entries[index] = type;
	pipeline->notes[index] = note;
	pipeline->locals += type == PIPELINE_LOCAL;
	pipeline->unsynced |= type != 'Q';
	return true;
}
void pipeline_on_end(void (*ended)(void *note, enum pipeline_end how));

/* A message of this type came from the server; false: the server may not send that now. Types that
 * mean nothing here (rows, notices) need not be told. */
bool pipeline_received(struct pipeline *pipeline, uint8_t type);
/* The same, quick for the usual answer. */
extern const uint8_t pipeline_completes[256]; /* which request a type of answer completes */
void pipeline_answered(void *note);
static inline bool pipeline_complete(struct pipeline *pipeline, uint8_t type)
{
	uint32_t first = pipeline->first;
	if (pipeline->length == 0 || pipeline->sync_in_copy ||
	    pipeline->entries[first] != pipeline_completes[type])
		return pipeline_received(pipeline, type);
	void *note = pipeline->notes[first];
	pipeline->first = (first + 1) & (pipeline->size - 1);
	pipeline->length--;
	if (note) {
		pipeline->notes[first] = NULL;
		pipeline_answered(note);
	}
	return true;
}
/* ReadyForQuery came: the same, quick for the usual end of the usual request. */
static inline bool pipeline_ready(struct pipeline *pipeline, uint8_t type)
{
	uint8_t front = pipeline->entries[pipeline->first];
	if (pipeline->length != 1 || (front != 'Q' && front != 'S') ||
	    pipeline->notes[pipeline->first])
		return pipeline_received(pipeline, type);
	pipeline->length = 0;
	pipeline->first = 0;
	pipeline->copy_in = pipeline->sync_in_copy = pipeline->unsynced = false;
	return true;
}
/* What the server is answering: the oldest entry, 0: nothing. */
static inline uint8_t pipeline_front(const struct pipeline *pipeline)
{
	return pipeline->length ? pipeline->entries[pipeline->first] : 0;
}
/* The latest entry, 0: there is none. */
static inline uint8_t pipeline_last(const struct pipeline *pipeline)
{
	uint32_t last = pipeline->first + pipeline->length - 1;
	return pipeline->length ? pipeline->entries[last & (pipeline->size - 1)] : 0;
}
/* The note of the oldest entry; NULL: it has none. */
static inline void *pipeline_front_note(const struct pipeline *pipeline)
{
	return pipeline->notes[pipeline->first];
}
/* Is the oldest entry PIPELINE_LOCAL? */
static inline bool pipeline_is_local(const struct pipeline *pipeline)
{
	return pipeline->locals && pipeline_front(pipeline) == PIPELINE_LOCAL;
}
/* Is the one behind the oldest entry? */
static inline bool pipeline_is_local_behind(const struct pipeline *pipeline)
{
	return pipeline->locals && pipeline->length > 1 &&
	       pipeline->entries[(pipeline->first + 1) & (pipeline->size - 1)] == PIPELINE_LOCAL;
}
/* Take off the PIPELINE_LOCAL at the front. */
void pipeline_answer_local(struct pipeline *pipeline);
/* Nothing owed, nothing half-done. */
static inline bool pipeline_is_idle(const struct pipeline *pipeline)
{
	return pipeline->length == 0 && !(pipeline->copy_in | pipeline->skips_to_sync |
					  pipeline->unsynced | pipeline->doubtful);
}
/* All was answered, but it is not known whether one more ReadyForQuery comes: the server cannot be
 * used again. */
static inline bool pipeline_is_spent(const struct pipeline *pipeline)
{
	return pipeline->doubtful && pipeline->length == 0 &&
	       !(pipeline->copy_in | pipeline->skips_to_sync | pipeline->unsynced);
}
/* The server is copying both ways (replication): it may go on for ever. */
bool pipeline_copies_both(const struct pipeline *pipeline);
/* Just one ReadyForQuery is still to come, and nothing after it. */
bool pipeline_owes_one_ready(const struct pipeline *pipeline);
/* Answers are still to come, of whatever kind, to requests that are not ours. */
bool pipeline_owes_answer(const struct pipeline *pipeline);
/* ReadyForQuery are still to come: what is sent now is answered whatever becomes of what was sent
 * before. */
bool pipeline_owes_ready(const struct pipeline *pipeline);

#endif
