/* SPDX-License-Identifier: ISC */
/* prepared_book_priv: the books of prepared statements, which prepared_book keeps and prepared
 * looks into. */
#ifndef PGWEIR_SRC_CONN_PREPARED_BOOK_PRIV_H
#define PGWEIR_SRC_CONN_PREPARED_BOOK_PRIV_H

#include <string.h>
#include "conn/prepared_book.h"
#include "conn/statement.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/likely.h"
#include "core/list.h"
#include "core/map.h"

/* A name that no server has a statement for. */
#define PREPARED_NO_STATEMENT STATEMENT_PREFIX "none"

/* What is sent instead of a text that is refused: its quote does not end, so PostgreSQL refuses it
 * even in a failed transaction. Its log shows this. */
#define PREPARED_REFUSED "refused by the pooler (session_features) \""

enum {
	KEPT_NAME = 64,	 /* PostgreSQL tells names apart by their first 63 bytes */
	NAMES_USED = 32, /* names of a client that are found without a search; a power of two */
};

enum note_kind {
	PARSE,		/* of a name, sent */
	PARSE_LOCAL,	/* ... the server has it */
	PARSE_PROBE,	/* ... it has, but would it take the Parse? Sent without a name to see */
	PARSE_DOUBLED,	/* of a name that there is: sent to be refused */
	PARSE_INJECTED, /* before a Bind or Describe */
	PARSE_UNNAMED,	/* the client's */
	UNNAMED_INJECTED,
	CLOSE_LOCAL,
	CLOSE_UNNAMED, /* local, too */
	CLOSE_INJECTED,
	USE,		  /* Bind or Describe of a name */
	UNKNOWN,	  /* ... of what there is not: sent to be refused */
	REFUSED,	  /* Parse of a name, of a text that is refused */
	HIDDEN,		  /* part of preparing what SQL prepares, in front of an extended request */
	PREPARE_INJECTED, /* ... that which does it */
	/* with a struct sql_note */
	TEXT_QUERY,   /* a simple Query whose text was changed */
	TEXT_EXECUTE, /* Execute of a statement whose text was */
};

/* Every note begins with this. */
struct note {
	uint8_t kind;
};

/* What PREPARE, EXECUTE and DEALLOCATE as SQL come to. */
enum sql_change_kind {
	CHANGE_MADE,	/* the client's PREPARE: it has a name more, the server a statement */
	CHANGE_DOUBLED, /* ... of a name that there is: sent to be refused */
	CHANGE_USED,	/* EXECUTE */
	CHANGE_UNKNOWN, /* EXECUTE or DEALLOCATE of what there is not: sent to be refused */
	CHANGE_DROPPED, /* the client's DEALLOCATE: what the server drops is a spare one */
	CHANGE_ALL_DROPPED,
	/* ours, in front of the client's text */
	CHANGE_PREPARED,
	CHANGE_CLOSED,
	CHANGE_SPARED, /* a statement that is there to be dropped */
	CHANGE_TAKEN,  /* ... or so that its name is taken */
};

enum { SERVER_NAME = 40 };

struct sql_change {
	uint32_t references;
	uint8_t kind;
	bool is_bound;		 /* of a Parse: it was */
	uint64_t spared_at;	 /* CHANGE_DROPPED of a Parse: the server that has the spare one */
	struct buffer *original; /* ... its text and types as the client sent them */
	uint32_t at;		 /* which statement of the text that was sent */
	struct statement *statement;
	/* The server's name in the text that was sent: where, how long, and how much longer than
	 * the client's; in characters, behind what stands in front of the client's text. */
	uint32_t offset, length;
	int32_t longer;
	char servers[SERVER_NAME], clients[KEPT_NAME];
};

struct sql_note {
	struct note note;
	struct prepared_client *client;
	struct prepared_server *server;
	uint32_t front;	 /* characters in front of the client's text */
	uint32_t hidden; /* statements there */
	uint32_t completed;
	struct error *refusal; /* what its error becomes; NULL: it is not refused */
	uint32_t count;
	struct sql_change *changes[];
};

/* A client's name. */
struct name {
	struct note use; /* of all its USEs: they have nothing to tell apart */
	bool is_made;	 /* the Parse is done, and is not taken back any more */
	bool is_closing, is_gone;
	uint32_t notes;	  /* under way about it */
	uint32_t made_in; /* the client's group of requests, up to a Sync */
	struct map_node node;
	struct statement *statement;
	struct sql_change *change; /* what executing it comes to; NULL: nothing of that kind */
	char text[KEPT_NAME];
};

/* What is known of an unnamed statement. */
struct unnamed {
	uint64_t version;	   /* unique among all clients' */
	uint32_t size;		   /* of the content; 0: it was not kept */
	bool may_drop;		   /* statement_text_may_drop() */
	struct sql_change *change; /* what executing it comes to; NULL: nothing of that kind */
	struct error *refusal;	   /* while it is under way: what its error becomes */
};

struct prepared_client {
	uint32_t references; /* the client's own, and notes' */
	bool is_gone;
	struct map names;
	struct name *used[NAMES_USED]; /* lately, by used_slot() */
	uint32_t group;		       /* of requests, up to a Sync */
	/* The unnamed statement: its content, and behind that what is under way, in order: for each
	 * Parse a struct unnamed and the content. */
	struct buffer *contents;
	struct unnamed unnamed;		   /* version 0: there is none */
	uint64_t version_sent;		   /* of the last Parse that is under way */
	struct sql_change *sent_change;	   /* ... what executing it comes to */
	uint32_t parses, closes;	   /* of it under way */
	uint32_t parsed_in;		   /* the group of the last of these parses */
	struct note parse;		   /* of all of them */
	struct prepared_server *parsed_at; /* ... by this server */
};

/* A statement at a server. */
struct place {
	struct place *next;	 /* in its bucket */
	struct list_node of_use; /* unless closing */
	struct statement *statement;
	bool is_stale;	  /* what it refers to has changed: it must be prepared anew */
	bool is_pending;  /* its Parse is under way */
	bool is_closing;  /* its Close is */
	uint32_t sent_in; /* the client's group of requests with that Parse */
};

struct prepared_server {
	/* Places by statement: ids are given one after the other, so they spread by themselves. */
	struct place **buckets;
	uint32_t bucket_count, count; /* the former a power of two */
	struct list by_use;
	uint32_t unnamed_parses, unnamed_in; /* Parses of it that we injected; their group */
	uint64_t unnamed; /* whose unnamed statement it has: its version; 0: nobody's, or not known
			   */
	const struct prepared_client *last_client; /* only to be compared */
	char bound_portal[KEPT_NAME];		   /* ... and to which portal */
	struct sql_change *bound_change;	   /* what executing comes to that was bound last */
	uint64_t id;				   /* unique among all that ever were */
	bool has_taken;				   /* the statement of CHANGE_TAKEN */
	bool has_dropper;  /* something bound here may drop statements when it is executed */
	bool barrier_next; /* a request under way may drop them */
};

/* All but USE and PARSE_UNNAMED. */
struct own_note {
	struct note note;
	struct name *name;
	struct place *place;
	struct prepared_client *client;
	struct prepared_server *server;
	struct sql_change *change; /* PARSE: in its text */
	struct error *refusal;	   /* REFUSED: what its error becomes */
	char *text;		   /* PARSE_DOUBLED, UNKNOWN: the client's name */
};

/* The struct behind the link's pointer, made if need be. */
struct prepared_client *prepared_client_of(struct prepared_link *link);
struct prepared_server *prepared_server_of(struct prepared_link *link);

/* Names of a client. One that is removed lives until no note is about it any more. */
void prepared_remove_name(struct prepared_client *client, struct name *name);
struct name *prepared_find_name(const struct prepared_client *client, const char *text);
/* Names are mostly numbered: the last two digits tell them apart. */
static inline struct name **prepared_used_slot(struct prepared_client *client, const char *text,
					       size_t length)
{
	unsigned last = (unsigned char)text[length - 1];
	unsigned before = length > 1 ? (unsigned char)text[length - 2] : 0;
	return &client->used[(last + 10 * before) % NAMES_USED];
}
/* The same, quick for a name that was used lately. @length is of the text, and not 0. */
static inline struct name *prepared_used_name(struct prepared_client *client, const char *text,
					      size_t length)
{
	if (!client || length >= KEPT_NAME)
		return prepared_find_name(client, text);
	struct name **slot = prepared_used_slot(client, text, length);
	if (LIKELY(*slot != NULL)) {
		size_t same = 0; /* a call would take longer */
		while (same <= length && (*slot)->text[same] == text[same])
			same++;
		if (LIKELY(same > length))
			return *slot;
	}
	struct name *name = prepared_find_name(client, text);
	if (name)
		*slot = name;
	return name;
}
struct name *prepared_add_name(struct prepared_client *client, const char *text,
			       struct statement *taken);
/* Whether the client has this name shows only when earlier requests are answered: it is being
 * closed, or its Parse stands before a Sync, and what comes behind that does not share its fate. */
bool prepared_name_is_doubtful(const struct name *name, const struct prepared_client *client);
/* It has no unnamed statement any more, but for what is under way. */
void prepared_forget_unnamed(struct prepared_client *client);
/* A Parse of it goes to the server: noted in the pipeline and in the books, with @size bytes of
 * content (0: not to be kept). False: no memory. */
bool prepared_send_unnamed(struct prepared_link *link, const uint8_t *content, uint32_t size,
			   bool may_drop, struct sql_change *change);
/* That Parse, the last that was sent, without a content to keep, is to be refused with @error. */
void prepared_refuse_unnamed(struct prepared_client *client, const struct error *error);
/* None is under way, and it has another content from now on. False: no memory. */
bool prepared_replace_unnamed(struct prepared_client *client, const uint8_t *content, size_t size);
/* The one under way that this note, the oldest, is about. False: its client is gone. */
bool prepared_unnamed_under_way(const struct note *note, struct unnamed *unnamed);

static inline struct place **prepared_bucket_of(const struct prepared_server *server,
						const struct statement *statement)
{
	return &server->buckets[statement->id & (server->bucket_count - 1)];
}

/* Statements at a server. NULL: it has it not. */
static inline struct place *prepared_find_place(const struct prepared_server *server,
						const struct statement *statement)
{
	if (!server || !server->count)
		return NULL;
	struct place *place = *prepared_bucket_of(server, statement);
	while (place && place->statement != statement)
		place = place->next;
	return place;
}
/* The Parse of one that is added is under way, in @client's group of requests. */
struct place *prepared_add_place(struct prepared_server *server, struct statement *statement,
				 const struct prepared_client *client);
/* It is used now; @limit: max_prepared_statements. */
void prepared_touch_place(struct prepared_server *server, struct place *place, uint32_t limit);
/* The same of a statement at a server. */
bool prepared_place_is_doubtful(const struct place *place, const struct prepared_client *client);
/* Which statement is to make room for another one, of those behind @behind (NULL: of all); NULL:
 * all are on their way. */
struct place *prepared_oldest(const struct prepared_server *server, const struct place *behind);

/* Enter a request of this type into the link's pipeline with a note, which the pipeline's end of it
 * frees. NULL: there is no memory to note it. */
struct own_note *prepared_send_noted(struct prepared_link *link, uint8_t type, enum note_kind kind);
/* A change of this kind; one reference. */
struct sql_change *prepared_new_change(enum sql_change_kind kind);
/* The same with a note of @count changes, which it takes over. */
struct sql_note *prepared_send_changes(struct prepared_link *link, uint8_t type,
				       enum note_kind kind, struct sql_change *const *changes,
				       uint32_t count);
static inline struct sql_change *sql_change_share(struct sql_change *change)
{
	if (change)
		change->references++;
	return change;
}
/* Give a reference back and leave NULL; NULL is fine. */
void sql_change_release(struct sql_change **change);
/* One statement of the text of this note is done. True: it is ours. */
bool prepared_completed(struct sql_note *note);
/* The note is about this name. */
void prepared_note_name(struct own_note *note, struct name *name);

#endif
