/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/auth_query.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "auth/secret.h"
#include "config/snapshot.h"
#include "conn/endpoint.h"
#include "core/log.h"
#include "core/map.h"
#include "core/memory.h"
#include "net/stream.h"
#include "pool/registry.h"
#include "proto/field.h"
#include "proto/message.h"
#include "proto/response.h"

enum {
	ENTRIES_MAX = 10000, /* answers kept; names come from strangers */
	IN_MAX = 256 * 1024, /* the longest message we take: a secret has up to 65,530 bytes */
	OUT_MAX = 128 * 1024,
	RECEIVE = 16 * 1024,
	COLUMNS = 2,
	QUESTIONS_MAX = 100, /* under way; the others wait, for as long as their clients do */
};

/* What is known, or being asked. */
struct auth_query_entry {
	struct map_node node; /* by key */
	char *key;
	struct list_node of_age; /* answered ones, the oldest first */
	usec_t answered_at;	 /* 0: being asked */
	bool is_kept;		 /* in the map, and when answered in the list */
	bool is_telling;	 /* those who waited are being told */
	enum auth_query_result result;
	char *user, *secret;
	struct error error;
	struct list wishes;
	struct question *question;   /* while it is being asked */
	struct list_node of_waiting; /* ... or has to wait until another was */
	bool is_waiting;
};

/* One of them under way: our end of the socket pair. */
struct question {
	struct list_node node;
	struct auth_query_entry *entry; /* NULL: over */
	char *database;
	struct stream stream;
	struct buffer *in;
	size_t received;
	char *user, *secret; /* of the first row */
	unsigned ready_count, row_count;
	char *complaint; /* what is wrong with it; told when it has come to its end */
	struct loop_work ending;
	struct loop_timer timer;
};

static const usec_t patience_else = 60 * USEC_PER_SECOND; /* without client_login_timeout */
static const usec_t fresh_for = USEC_PER_SECOND; /* an answer, for who does not trust an old one */

static struct map entries;
static struct list answered, questions, waiting;
static const struct auth_query_ops *ops;

static struct auth_query_entry *entry_of(struct map_node *node)
{
	return container_of(node, struct auth_query_entry, node);
}

/* ---- what is known ---- */

static void stop_waiting(struct auth_query_entry *entry)
{
	if (entry->is_waiting)
		list_remove(&waiting, &entry->of_waiting);
	entry->is_waiting = false;
}

/* It is not found any more; freed by whoever holds it. */
static void entry_drop(struct auth_query_entry *entry)
{
	if (!entry->is_kept)
		return;
	entry->is_kept = false;
	map_remove(&entries, &entry->node);
	if (entry->answered_at)
		list_remove(&answered, &entry->of_age);
}

static void entry_free(struct auth_query_entry *entry)
{
	entry_drop(entry);
	stop_waiting(entry);
	memory_free_secret(&entry->user);
	memory_free_secret(&entry->secret);
	memory_free(&entry->key);
	memory_free(&entry);
}

/* The question as bytes: its texts, each with its NUL. */
static char *make_key(const struct auth_query *query, size_t *size)
{
	const char *const parts[] = {query->database, query->login, query->sql, query->user,
				     query->role ? query->role : ""};
	enum { PARTS = sizeof parts / sizeof *parts };
	*size = 0;
	for (int i = 0; i < PARTS; i++)
		*size += strlen(parts[i]) + 1;
	char *key = memory_alloc(*size), *at = key;
	for (int i = 0; i < PARTS; i++)
		at = stpcpy(at, parts[i]) + 1;
	return key;
}

/* And back. */
static struct auth_query query_of(const struct auth_query_entry *entry)
{
	struct auth_query query = {.database = entry->key};
	query.login = query.database + strlen(query.database) + 1;
	query.sql = query.login + strlen(query.login) + 1;
	query.user = query.sql + strlen(query.sql) + 1;
	query.role = query.user + strlen(query.user) + 1;
	if (!*query.role)
		query.role = NULL;
	return query;
}

static bool is_fresh_enough(const struct auth_query_entry *entry)
{
	return clock_now() - entry->answered_at < settings_current()->auth_query_ttl;
}

static bool serves(const struct auth_query_entry *entry, bool fresh)
{
	return entry->answered_at && is_fresh_enough(entry) &&
	       (!fresh || clock_now() - entry->answered_at < fresh_for);
}

/* The oldest answers go when they are too old, or too many. */
static void drop_old(void)
{
	struct list_node *node;
	while ((node = list_first(&answered))) {
		struct auth_query_entry *oldest =
			container_of(node, struct auth_query_entry, of_age);
		if (oldest->is_telling ||
		    (answered.length <= ENTRIES_MAX && is_fresh_enough(oldest)))
			break;
		entry_free(oldest);
	}
}

/* ---- the answer ---- */

static void tell(struct auth_query_wish *wish, const struct auth_query_entry *entry, bool cached)
{
	struct auth_query_answer answer = {
		.result = entry->result,
		.user = entry->user,
		.secret = entry->secret,
		.was_cached = cached,
		.error = &entry->error,
	};
	wish->answered(wish, &answer);
}

static void begin(struct auth_query_entry *entry);

static void question_free(struct loop_work *work)
{
	struct question *question = container_of(work, struct question, ending);
	list_remove(&questions, &question->node);
	loop_timer_fini(&question->timer);
	stream_close(&question->stream);
	buffer_erase(&question->in);
	memory_free_secret(&question->user);
	memory_free_secret(&question->secret);
	memory_free(&question->complaint);
	memory_free(&question->database);
	memory_free(&question);
	if (!list_is_empty(&waiting))
		begin(container_of(list_first(&waiting), struct auth_query_entry, of_waiting));
}

/* Over: it is freed at the end of the turn, since we may be inside its stream's event. */
static void question_end(struct question *question)
{
	question->entry->question = NULL;
	question->entry = NULL;
	loop_timer_clear(&question->timer);
	stream_pause(&question->stream);
	question->ending.callback = question_free;
	loop_post(&question->ending);
}

/* All who wait are told, and the answer stays for those who come. A failure does not stay. */
static void finish(struct question *question, enum auth_query_result result)
{
	struct auth_query_entry *entry = question->entry;
	struct list_node *node;
	entry->result = result;
	/* The rows came through the buffer that all share. */
	endpoint_erase_received(question->received + MESSAGE_WHOLE_MAX / 16);
	entry->user = question->user;
	entry->secret = question->secret;
	question->user = question->secret = NULL;
	question_end(question);
	if (result == AUTH_QUERY_FAILED || !settings_current()->auth_query_ttl)
		entry_drop(entry);
	entry->answered_at = clock_now();
	if (entry->is_kept)
		list_push_last(&answered, &entry->of_age);
	entry->is_telling = true;
	while ((node = list_first(&entry->wishes))) {
		struct auth_query_wish *wish = container_of(node, struct auth_query_wish, node);
		list_remove(&entry->wishes, node);
		wish->entry = NULL;
		tell(wish, entry, false);
	}
	entry->is_telling = false;
	if (!entry->is_kept)
		entry_free(entry);
	drop_old();
}

/* The first complaint counts. The rest of the answer is read all the same, so that the server
 * stays clean. */
static void complain(struct question *question, const char *what)
{
	if (!question->complaint)
		question->complaint = memory_strdup(what);
}

static void fail(struct question *question, const char *what)
{
	if (question->complaint)
		what = question->complaint;
	error_set(&question->entry->error, SQLSTATE_CONNECTION_FAILURE,
		  "auth_query in database \"%s\" failed: %s", question->database, what);
	log_warning("", "%s", question->entry->error.message);
	finish(question, AUTH_QUERY_FAILED);
}

static void take_row(struct question *question, const struct message *message)
{
	struct field_reader reader;
	char *texts[COLUMNS] = {NULL, NULL};
	field_reader_init(&reader, message->body, message->size);
	if (field_get_int16(&reader) != COLUMNS)
		reader.bad = true;
	for (int i = 0; i < COLUMNS && !reader.bad; i++) {
		uint32_t size = field_get_int32(&reader);
		if (size == UINT32_MAX)
			continue;
		const uint8_t *bytes = field_get_bytes(&reader, size);
		if (size > SECRET_LENGTH_MAX)
			complain(question, "a value of its row is too long");
		if (bytes && !memchr(bytes, 0, size))
			texts[i] = memory_strndup((const char *)bytes, size);
	}
	if (reader.bad) {
		memory_free_secret(&texts[0]);
		memory_free_secret(&texts[1]);
		complain(question, "its row is malformed");
		return;
	}
	if (texts[0] && !*texts[0])
		complain(question, "its row names nobody: the name is empty");
	if (question->row_count++ == 0) {
		question->user = texts[0];
		question->secret = texts[1];
	} else {
		memory_free_secret(&texts[0]);
		memory_free_secret(&texts[1]);
	}
}

static void check_columns(struct question *question, const struct message *message)
{
	struct field_reader reader;
	field_reader_init(&reader, message->body, message->size);
	unsigned count = field_get_int16(&reader);
	char text[80];
	snprintf(text, sizeof text, "its answer has %u columns, it must have 2: name and secret",
		 count);
	if (count != COLUMNS)
		complain(question, text);
}

static void take(struct question *question, const struct message *message)
{
	char severity[16];
	struct error error;
	switch (message->type) {
	case MESSAGE_ERROR_RESPONSE:
		response_parse_error(message->body, message->size, severity, &error);
		complain(question, error.message);
		break;
	case MESSAGE_ROW_DESCRIPTION:
		check_columns(question, message);
		break;
	case MESSAGE_NO_DATA:
		complain(question,
			 "it answers no rows: it must answer two columns, name and secret");
		break;
	case MESSAGE_DATA_ROW:
		take_row(question, message);
		break;
	case MESSAGE_READY_FOR_QUERY: /* the first is the greeting's end */
		if (++question->ready_count < 2)
			break;
		if (question->row_count > 1)
			complain(question, "it answers more than one row");
		if (question->complaint)
			fail(question, question->complaint);
		else
			finish(question, question->user ? AUTH_QUERY_FOUND : AUTH_QUERY_NOT_FOUND);
		break;
	default:
		break;
	}
}

static void readable(struct stream *stream)
{
	struct question *question = container_of(stream, struct question, stream);
	uint8_t *room = buffer_reserve(&question->in, RECEIVE, IN_MAX);
	size_t got;
	if (!room) {
		fail(question, "its answer is too long");
		return;
	}
	switch (stream_read(stream, room, RECEIVE, &got)) {
	case IO_AGAIN:
		return;
	case IO_DONE:
		break;
	default:
		fail(question, "the connection was closed");
		return;
	}
	buffer_commit(question->in, got);
	buffer_make_secret(question->in);
	question->received += got;
	struct message message;
	while (question->in && question->entry) {
		enum frame frame = message_parse(buffer_bytes(question->in),
						 buffer_length(question->in), IN_MAX, &message);
		if (frame == FRAME_SHORT)
			return;
		if (frame == FRAME_BAD) {
			fail(question, "its answer is too long");
			return;
		}
		take(question, &message);
		if (question->entry)
			buffer_consume(&question->in, message.size + MESSAGE_HEADER);
	}
}

static void drained(struct stream *stream)
{
	(void)stream; /* what we send fits into the socket, or goes out by itself */
}

static const struct stream_events events = {.readable = readable, .drained = drained};

/* ---- the question ---- */

static void put_parameter(struct field_writer *writer, const char *text)
{
	field_put_int32(writer, (uint32_t)strlen(text));
	field_put_bytes(writer, text, strlen(text));
}

/* Extended protocol, all in one: Parse, Bind, Describe, Execute, Sync, Terminate. */
static bool put_question(struct buffer **out, const struct auth_query *query)
{
	struct field_writer writer;
	bool well = true;
	field_writer_init(&writer, out, OUT_MAX);
	field_begin(&writer, MESSAGE_PARSE);
	field_put_string(&writer, "");
	field_put_string(&writer, query->sql);
	field_put_int16(&writer, 0);
	well &= field_end(&writer);
	field_begin(&writer, MESSAGE_BIND);
	field_put_string(&writer, "");
	field_put_string(&writer, "");
	field_put_int16(&writer, 0);
	field_put_int16(&writer, query->role ? 2 : 1);
	put_parameter(&writer, query->user);
	if (query->role)
		put_parameter(&writer, query->role);
	field_put_int16(&writer, 0);
	well &= field_end(&writer);
	field_begin(&writer, MESSAGE_DESCRIBE);
	field_put_byte(&writer, 'P');
	field_put_string(&writer, "");
	well &= field_end(&writer);
	field_begin(&writer, MESSAGE_EXECUTE);
	field_put_string(&writer, "");
	field_put_int32(&writer, 2); /* one is right, a second one is a mistake */
	well &= field_end(&writer);
	field_begin(&writer, MESSAGE_SYNC);
	return field_end(&writer) && well;
}

static void due(struct loop_timer *timer)
{
	struct question *question = container_of(timer, struct question, timer);
	if (question->entry)
		fail(question, "it was not answered in time");
}

static void begin(struct auth_query_entry *entry)
{
	const struct auth_query query = query_of(entry);
	stop_waiting(entry);
	if (questions.length >= QUESTIONS_MAX) {
		entry->is_waiting = true;
		list_push_last(&waiting, &entry->of_waiting);
		return;
	}
	struct question *question = memory_alloc(sizeof *question);
	usec_t patience = settings_current()->client_login_timeout;
	struct buffer *out = NULL;
	int pair[2];
	loop_timer_init(&question->timer, due);
	question->entry = entry;
	question->database = memory_strdup(query.database);
	question->stream.fd = -1;
	entry->question = question;
	list_push_last(&questions, &question->node);
	loop_timer_set(&question->timer, clock_now() + (patience ? patience : patience_else));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) {
		fail(question, strerror(errno));
		return;
	}
	stream_open(&question->stream, pair[0], &events);
	ops->connect(pair[1], query.database, query.login);
	if (put_question(&out, &query))
		stream_write_bytes(&question->stream, buffer_bytes(out), buffer_length(out),
				   OUT_MAX);
	else
		fail(question, "the query is too long");
	buffer_free(&out);
}

bool auth_query_find(const char *name, const char *user, struct auth_query *query,
		     struct error *error)
{
	const struct settings *settings = settings_current();
	const struct section_database *row = snapshot_row(snapshot_current(), name);
	const char *own = row && row->auth_dbname ? row->auth_dbname : settings->auth_dbname;
	query->login = row && row->auth_user ? row->auth_user : settings->auth_user;
	query->sql = row && row->auth_query ? row->auth_query : settings->auth_query;
	query->database = *own ? own : name;
	query->user = user;
	query->role = NULL;
	error->message[0] = '\0';
	if (!*query->login || registry_is_console_name(query->database))
		return false;
	/* The client's own database may be a name that it made up. */
	struct database *database = *own ? registry_database(query->database)
					 : registry_database_unproven(query->database);
	if (!database) {
		/* A client that names no database at all is told so in the end, as if it were
		 * there. */
		if (*own)
			error_set(error, SQLSTATE_INVALID_CATALOG_NAME,
				  "authentication database \"%s\" is not configured",
				  query->database);
		else if (snapshot_current()->automatic)
			error_set(error, SQLSTATE_TOO_MANY_CONNECTIONS,
				  "too many logins are waiting");
		return false;
	}
	if (database->is_disabled)
		return error_set(error, SQLSTATE_CANNOT_CONNECT_NOW,
				 "authentication database \"%s\" is disabled", query->database);
	return true;
}

void auth_query_ask(struct auth_query_wish *wish, const struct auth_query *query, bool fresh)
{
	size_t size;
	char *key = make_key(query, &size);
	struct map_node *node = map_find(&entries, key, size);
	struct auth_query_entry *entry = node ? entry_of(node) : NULL;
	wish->entry = NULL;
	if (entry && (entry->is_telling || serves(entry, fresh))) {
		memory_free(&key);
		tell(wish, entry, !entry->is_telling);
		return;
	}
	if (entry && entry->answered_at) {
		entry_free(entry);
		entry = NULL;
	}
	if (!entry) {
		entry = memory_alloc(sizeof *entry);
		entry->key = key;
		entry->is_kept = true;
		list_init(&entry->wishes);
		map_add(&entries, entry->key, size, &entry->node);
	} else {
		memory_free(&key);
	}
	wish->entry = entry;
	list_push_last(&entry->wishes, &wish->node);
	if (!entry->question && !entry->is_waiting)
		begin(entry);
}

void auth_query_cancel(struct auth_query_wish *wish)
{
	struct auth_query_entry *entry = wish->entry;
	wish->entry = NULL;
	if (!entry)
		return;
	list_remove(&entry->wishes, &wish->node);
	/* What was asked goes on, for whoever comes next: strangers who hang up must not cost a
	 * server each, which a cancel in the middle of an answer may. */
	if (list_is_empty(&entry->wishes) && !entry->is_telling && !entry->question)
		entry_free(entry);
}

const char *auth_query_waits_for(const struct auth_query_wish *wish)
{
	static char text[256];
	if (!wish->entry)
		return NULL;
	snprintf(text, sizeof text, "auth_query in database \"%s\" has not been answered",
		 query_of(wish->entry).database);
	return text;
}

void auth_query_forget(void)
{
	/* Who waits is still told, but nobody who comes now. */
	list_foreach (node, &questions) {
		struct question *question = container_of(node, struct question, node);
		if (question->entry)
			entry_drop(question->entry);
	}
	list_foreach_safe (node, &answered) {
		struct auth_query_entry *entry =
			container_of(node, struct auth_query_entry, of_age);
		if (!entry->is_telling)
			entry_free(entry);
	}
}

void auth_query_open(const struct auth_query_ops *new_ops)
{
	ops = new_ops;
	map_init(&entries);
	list_init(&answered);
	list_init(&questions);
	list_init(&waiting);
}

void auth_query_close(void)
{
	list_foreach_safe (node, &waiting)
		stop_waiting(container_of(node, struct auth_query_entry, of_waiting));
	list_foreach_safe (node, &questions) {
		struct question *question = container_of(node, struct question, node);
		if (question->entry)
			question_end(question);
	}
	map_foreach (node, &entries)
		entry_free(entry_of(node));
}
