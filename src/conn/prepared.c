/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/prepared.h"
#include <string.h>
#include "prepared_book_priv.h"
#include "config/snapshot.h"
#include "conn/prepared_output.h"
#include "conn/prepared_sql.h"
#include "core/likely.h"
#include "core/memory.h"
#include "proto/field.h"
#include "proto/message.h"
#include "proto/sql.h"

static struct buffer *injected; /* content of an unnamed statement, which may end meanwhile */

void prepared_begin_batch(struct relay_batch *batch)
{
	prepared_output_begin(batch);
	prepared_sql_begin_batch();
	if (UNLIKELY(injected != NULL))
		buffer_free(&injected);
}

static enum relay_action barrier(struct prepared_link *link)
{
	link->barrier = true;
	return RELAY_STOP;
}

static enum relay_action refuse(struct prepared_link *link, const char *why)
{
	link->refusal = why;
	return RELAY_STOP;
}

static enum relay_action no_memory(struct prepared_link *link)
{
	return refuse(link, "out of memory");
}

/* What a changed text speaks of is to be at the server, or not to be. False: no memory. */
static bool make_ready(struct prepared_link *link, const struct prepared_sql_parse *changed,
		       struct relay_batch *batch)
{
	static const uint8_t nothing[] = "SELECT 1\0\0"; /* and no types */
	struct place *old = changed->must_close
				    ? prepared_find_place(*link->server, changed->must_close)
				    : NULL;
	if (old && !prepared_send_close(link, old, batch))
		return false;
	if (changed->needs && !prepared_bring(link, changed->needs, batch))
		return false;
	if (!changed->spare)
		return true;
	prepared_put_parse(batch, changed->spare, strlen(changed->spare) + 1, nothing,
			   sizeof nothing);
	return prepared_send_noted(link, MESSAGE_PARSE, HIDDEN);
}

/* What executing needs besides; NULL: nothing. */
static struct statement *needed_by(const struct sql_change *change)
{
	bool needs = change && (change->kind == CHANGE_USED || change->kind == CHANGE_DOUBLED);
	return needs ? change->statement : NULL;
}

/* Whether that is at the server, or what its name means, shows only when earlier requests are
 * answered. */
static bool is_change_doubtful(const struct prepared_link *link, const struct sql_change *change)
{
	if (LIKELY(!change))
		return false;
	const struct name *name = prepared_find_name(*link->client, change->clients);
	const struct statement *needed = needed_by(change);
	const struct place *place = needed ? prepared_find_place(*link->server, needed) : NULL;
	return (name && prepared_name_is_doubtful(name, *link->client)) ||
	       (place && prepared_place_is_doubtful(place, *link->client));
}

/* Does what use_change() does matter? */
static inline bool is_of_changes(const struct prepared_link *link, const struct sql_change *change)
{
	const struct prepared_server *server = *link->server;
	return UNLIKELY(change != NULL) || (server && UNLIKELY(server->bound_change != NULL));
}

/* A statement whose execution comes to @change (NULL: to nothing of that kind) is described or
 * bound. False: no memory. */
static __attribute__((noinline)) bool use_change(struct prepared_link *link, uint8_t type,
						 const struct prepared_naming *naming,
						 struct sql_change *change,
						 struct relay_batch *batch)
{
	if (type == MESSAGE_BIND) {
		struct prepared_server *server = prepared_server_of(link);
		sql_change_release(&server->bound_change);
		server->bound_change = naming->before_size <= sizeof server->bound_portal
					       ? sql_change_share(change)
					       : NULL;
		if (server->bound_change)
			memcpy(server->bound_portal, naming->before, naming->before_size);
		if (change)
			change->is_bound = true;
	}
	struct statement *needed = needed_by(change);
	return !needed || prepared_bring(link, needed, batch);
}

/* Is the client's unnamed statement at the server when what was sent is done? */
enum presence { PRESENT, ABSENT, NOT_KEPT, UNCERTAIN };

static enum presence unnamed_presence(const struct prepared_client *client,
				      const struct prepared_server *server)
{
	if (!client)
		return NOT_KEPT;
	if (client->closes || (client->parses && client->parsed_in != client->group))
		return UNCERTAIN;
	/* Whatever becomes of that Parse becomes of what comes behind it. */
	if (client->parses)
		return server->unnamed == client->version_sent ? PRESENT : UNCERTAIN;
	if (!client->unnamed.version)
		return NOT_KEPT;
	if (server && server->unnamed_parses && server->unnamed_in != client->group)
		return UNCERTAIN;
	if (server && server->unnamed == client->unnamed.version)
		return PRESENT;
	return client->unnamed.size ? ABSENT : NOT_KEPT;
}

/* ---- the client's messages ---- */

/* The end of a string that begins at @at, behind its NUL; NULL: it is not all here. */
static const uint8_t *string_end(const uint8_t *at, const uint8_t *end)
{
	if (LIKELY(at < end && !*at))
		return at + 1;
	const uint8_t *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
	return nul ? nul + 1 : NULL;
}

/* The same of a name, which mostly is short: found without a call. */
static inline const uint8_t *name_end(const uint8_t *at, const uint8_t *end)
{
	enum { SHORT = 8 };
	for (const uint8_t *to = end - at > SHORT ? at + SHORT : end; at < to; at++)
		if (!*at)
			return at + 1;
	return string_end(at, end);
}

/* Send it as it is: what is wrong with it the server says best. */
static enum relay_action pass(struct prepared_link *link, uint8_t type)
{
	if (LIKELY(pipeline_sent_usual(link->pipeline, type)))
		return RELAY_FORWARD;
	return pipeline_sent(link->pipeline, type) ? RELAY_FORWARD : no_memory(link);
}

static enum relay_action wait_for(struct prepared_link *link, uint32_t body)
{
	link->awaited = body + MESSAGE_HEADER;
	return RELAY_SHORT;
}

/* A Bind or Describe that goes to a name that no server has: the refusal is to speak of the
 * client's name. */
static enum relay_action use_unknown(struct prepared_link *link, uint8_t type,
				     const struct prepared_naming *naming,
				     struct relay_batch *batch)
{
	struct own_note *note = prepared_send_noted(link, type, UNKNOWN);
	if (!note)
		return no_memory(link);
	note->text = memory_strdup(naming->text);
	prepared_rename(batch, type, naming, PREPARED_NO_STATEMENT, sizeof PREPARED_NO_STATEMENT);
	return RELAY_REPLACE;
}

/* The unnamed statement that is about to be bound may be of that kind. */
static void mark_unnamed_dropper(struct prepared_link *link)
{
	const struct prepared_client *client = *link->client;
	if (!client->parses && client->unnamed.may_drop)
		prepared_server_of(link)->has_dropper = true;
}

/* The names in a statement's text mean something else by now: it is changed anew. */
static bool renew(struct prepared_link *link, struct sql_change **change,
		  struct prepared_sql_parse *changed, struct relay_batch *batch)
{
	const struct buffer *original = (*change)->original;
	if (!prepared_sql_parse(link, buffer_bytes(original), buffer_length(original), changed))
		return false;
	if (!changed->change) /* it is read in another way by now */
		return true;
	sql_change_release(change);
	*change = changed->change;
	return make_ready(link, changed, batch);
}

static bool renew_unnamed(struct prepared_link *link, struct relay_batch *batch)
{
	struct prepared_client *client = *link->client;
	struct prepared_sql_parse changed;
	return renew(link, &client->unnamed.change, &changed, batch) &&
	       (!changed.content ||
		prepared_replace_unnamed(client, changed.content, changed.size));
}

static bool renew_named(struct prepared_link *link, struct name *name, struct relay_batch *batch)
{
	struct prepared_sql_parse changed;
	if (!renew(link, &name->change, &changed, batch))
		return false;
	if (!changed.content)
		return true;
	struct statement *statement = statement_get(changed.content, changed.size);
	if (!statement)
		return false;
	statement_release(&name->statement);
	name->statement = statement;
	return true;
}

static enum relay_action use_unnamed(struct prepared_link *link, uint8_t type,
				     const struct prepared_naming *naming,
				     struct relay_batch *batch)
{
	struct prepared_client *client = *link->client;
	struct own_note *note;
	enum presence presence = unnamed_presence(client, *link->server);
	struct sql_change *change = !client	     ? NULL
				    : client->parses ? client->sent_change
						     : client->unnamed.change;
	if (UNLIKELY(is_change_doubtful(link, change)))
		return barrier(link);
	bool is_outdated = client && UNLIKELY(client->unnamed.change) && presence != UNCERTAIN &&
			   !client->parses &&
			   prepared_sql_is_outdated(link, client->unnamed.change);
	if (injected && (presence == ABSENT || is_outdated)) /* one at a time */
		return barrier(link);
	if (is_outdated) {
		if (pipeline_owes_answer(link->pipeline))
			return barrier(link);
		if (!renew_unnamed(link, batch))
			return no_memory(link);
		presence = unnamed_presence(client, *link->server);
	}
	if (is_outdated)
		change = client->unnamed.change;
	if (is_of_changes(link, change) && presence != UNCERTAIN &&
	    !use_change(link, type, naming, change, batch))
		return no_memory(link);
	switch (presence) {
	case UNCERTAIN:
		return barrier(link);
	case PRESENT:
		mark_unnamed_dropper(link);
		if (!batch->replacements)
			return pass(link, type);
		batch->replaced = 0;
		return pipeline_sent(link->pipeline, type) ? RELAY_REPLACE : no_memory(link);
	case NOT_KEPT:
		return use_unknown(link, type, naming, batch);
	case ABSENT:
		break;
	}
	if (!buffer_append(&injected, buffer_bytes(client->contents), client->unnamed.size,
			   client->unnamed.size))
		return no_memory(link);
	note = prepared_send_noted(link, MESSAGE_PARSE, UNNAMED_INJECTED);
	if (!note || !pipeline_sent(link->pipeline, type))
		return no_memory(link);
	prepared_server_of(link)->unnamed = client->unnamed.version;
	prepared_server_of(link)->unnamed_in = client->group;
	prepared_server_of(link)->unnamed_parses++;
	mark_unnamed_dropper(link);
	prepared_put_parse(batch, "", 1, buffer_bytes(injected), buffer_length(injected));
	link->server_parses++;
	batch->replaced = 0;
	return RELAY_REPLACE;
}

/* A Bind or Describe. */
static inline __attribute__((always_inline)) enum relay_action
use(struct prepared_link *link, uint8_t type, const struct prepared_naming *naming,
    struct relay_batch *batch)
{
	if (!*naming->text)
		return use_unnamed(link, type, naming, batch);
	struct name *name = prepared_used_name(*link->client, naming->text, naming->size - 1);
	bool is_begun = false;
	if (name && UNLIKELY(name->change != NULL)) {
		if (is_change_doubtful(link, name->change))
			return barrier(link);
		bool is_outdated = prepared_sql_is_outdated(link, name->change);
		if (is_outdated && pipeline_owes_answer(link->pipeline))
			return barrier(link);
		prepared_keep(name->statement, NULL);
		if (is_outdated && !renew_named(link, name, batch))
			return no_memory(link);
		prepared_keep(name->statement, needed_by(name->change));
		/* What is in front of it already is of use only if it follows. */
		is_begun = batch->replacements;
	}
	struct statement *statement = name ? name->statement : NULL;
	struct place *place = statement ? prepared_find_place(*link->server, statement) : NULL;
	if (!is_begun && ((name && prepared_name_is_doubtful(name, *link->client)) ||
			  (place && prepared_place_is_doubtful(place, *link->client))))
		return barrier(link);
	if (UNLIKELY(is_begun) && place && place->is_closing)
		place = NULL;
	if (!statement || (!place && statement_is_forgotten(statement)))
		return use_unknown(link, type, naming, batch);
	statement_touch(statement);
	if ((!place || place->is_stale) && prepared_is_overfull(link) && !is_begun)
		return barrier(link);
	/* What it executes must be there when it is parsed, for its columns. */
	if (is_of_changes(link, name->change) &&
	    !use_change(link, type, naming, name->change, batch))
		return no_memory(link);
	if (place && place->is_stale && statement->content) {
		if (!prepared_send_close(link, place, batch))
			return no_memory(link);
		place = NULL;
	}
	if (place)
		prepared_touch_place(*link->server, place, link->limit);
	else if (!prepared_inject(link, statement, batch))
		return no_memory(link);
	if (!pipeline_sent_noted(link->pipeline, type, name))
		return no_memory(link);
	name->notes++;
	prepared_rename_to(batch, type, naming, statement);
	if (statement->may_drop)
		prepared_server_of(link)->has_dropper = true;
	return RELAY_REPLACE;
}

static enum relay_action request_bind(struct prepared_link *link, const uint8_t *body,
				      uint32_t size, uint32_t available, struct relay_batch *batch)
{
	const uint8_t *end = body + available;
	const uint8_t *name = string_end(body, end);
	const uint8_t *rest = name ? name_end(name, end) : NULL;
	if (!rest && available < size && available <= 2 * PREPARED_NAME_MAX)
		return wait_for(link, available + 1);
	if (!rest)
		return available < size ? refuse(link, "name of portal or statement is too long")
					: pass(link, MESSAGE_BIND);
	if (name - body > PREPARED_NAME_MAX || rest - name > PREPARED_NAME_MAX)
		return refuse(link, "name of portal or statement is too long");
	struct prepared_naming naming = {body, (size_t)(name - body), (const char *)name,
					 (size_t)(rest - name), size};
	enum relay_action action = use(link, MESSAGE_BIND, &naming, batch);
	link->binds += action != RELAY_STOP; /* else it comes back */
	return action;
}

static enum relay_action request_describe(struct prepared_link *link, const uint8_t *body,
					  uint32_t size, struct relay_batch *batch)
{
	if (size < 2 || body[0] != 'S' || string_end(body + 1, body + size) != body + size)
		return pass(link, MESSAGE_DESCRIBE);
	struct prepared_naming naming = {body, 1, (const char *)body + 1, size - 1, size};
	return use(link, MESSAGE_DESCRIBE, &naming, batch);
}

static enum relay_action close_local(struct prepared_link *link, const char *text)
{
	struct prepared_client *client = prepared_client_of(link);
	struct name *name = *text ? prepared_find_name(client, text) : NULL;
	if (name && name->is_closing)
		return barrier(link);
	struct own_note *note =
		prepared_send_noted(link, PIPELINE_LOCAL, *text ? CLOSE_LOCAL : CLOSE_UNNAMED);
	if (!note)
		return no_memory(link);
	if (name) {
		prepared_note_name(note, name);
		name->is_closing = true;
	} else if (!*text) {
		client->closes++;
	}
	return RELAY_DROP;
}

static enum relay_action request_close(struct prepared_link *link, const uint8_t *body,
				       uint32_t size)
{
	if (size < 2 || body[0] != 'S' || string_end(body + 1, body + size) != body + size)
		return pass(link, MESSAGE_CLOSE);
	return close_local(link, (const char *)body + 1);
}

/* @change: what executing it comes to; NULL: nothing that is of interest. */
static enum relay_action parse_unnamed(struct prepared_link *link, const uint8_t *content,
				       uint32_t size, bool is_whole, struct sql_change *change)
{
	bool may_drop = !is_whole || statement_text_may_drop(content, size);
	if (!prepared_send_unnamed(link, content, is_whole ? size : 0, may_drop, change))
		return no_memory(link);
	if (may_drop)
		prepared_server_of(link)->has_dropper = true;
	link->server_parses++;
	return RELAY_FORWARD;
}

/* The statement is at the server already, or will be. Is it certain that PostgreSQL would take a
 * Parse of it now? In a failed transaction it would not. */
static bool is_certain(const struct prepared_link *link)
{
	return link->status != 'E' && !pipeline_owes_ready(link->pipeline);
}

/* Parse of a name that the client has not got yet. */
static enum relay_action parse_new(struct prepared_link *link, const char *text,
				   struct statement **taken, uint32_t size,
				   struct sql_change *change, struct relay_batch *batch)
{
	struct statement *statement = *taken;
	struct prepared_client *client = prepared_client_of(link);
	struct place *place = prepared_find_place(*link->server, statement);
	struct own_note *note;
	/* What is in front of it already is of use only if it follows. */
	bool is_begun = batch->replacements;
	if (place && (place->is_closing || place->is_pending) && !is_begun)
		return barrier(link);
	if (place && place->is_closing)
		place = NULL;
	if ((!place || place->is_stale) && prepared_is_overfull(link) && !is_begun)
		return barrier(link);
	if (place && place->is_stale) {
		if (!prepared_send_close(link, place, batch))
			return no_memory(link);
		place = NULL;
	}
	if (place && is_certain(link)) {
		note = prepared_send_noted(link, PIPELINE_LOCAL, PARSE_LOCAL);
	} else if (place) {
		prepared_server_of(link)->unnamed = 0;
		note = prepared_send_noted(link, MESSAGE_PARSE, PARSE_PROBE);
	} else {
		if (!prepared_make_room(link, batch))
			return no_memory(link);
		note = prepared_send_noted(link, MESSAGE_PARSE, PARSE);
	}
	if (!note)
		return no_memory(link);
	if (place)
		prepared_touch_place(prepared_server_of(link), place, link->limit);
	else
		note->place = prepared_add_place(prepared_server_of(link), statement, client);
	prepared_note_name(note, prepared_add_name(client, text, statement));
	note->change = sql_change_share(change);
	note->name->change = sql_change_share(change);
	*taken = NULL;
	if (note->note.kind == PARSE_LOCAL)
		return RELAY_DROP;
	link->server_parses++;
	bool probes = note->note.kind == PARSE_PROBE;
	struct prepared_naming naming = {.text = text, .size = strlen(text) + 1, .body_size = size};
	if (probes)
		prepared_rename(batch, MESSAGE_PARSE, &naming, "", 1);
	else
		prepared_rename_to(batch, MESSAGE_PARSE, &naming, statement);
	return RELAY_REPLACE;
}

/* Parse of a name that the client has: PostgreSQL refuses it, unless there is more wrong with it.
 */
static enum relay_action parse_doubled(struct prepared_link *link, struct name *name, uint32_t size,
				       struct relay_batch *batch, const char *text)
{
	struct statement *old = name->statement;
	struct place *place = prepared_find_place(*link->server, old);
	bool is_begun = batch->replacements;
	if (!is_begun && (prepared_name_is_doubtful(name, *link->client) ||
			  (place && (place->is_closing || place->is_pending))))
		return barrier(link);
	if (place && place->is_closing)
		place = NULL;
	if (!place && statement_is_forgotten(old)) { /* then it may be made anew */
		prepared_remove_name(*link->client, name);
		return RELAY_SHORT;
	}
	if (!place && prepared_is_overfull(link) && !is_begun)
		return barrier(link);
	if (!place && !prepared_inject(link, old, batch))
		return no_memory(link);
	struct own_note *note = prepared_send_noted(link, MESSAGE_PARSE, PARSE_DOUBLED);
	if (!note)
		return no_memory(link);
	note->text = memory_strdup(text);
	prepared_note_name(note, name);
	struct prepared_naming naming = {.text = text, .size = strlen(text) + 1, .body_size = size};
	prepared_rename_to(batch, MESSAGE_PARSE, &naming, old);
	return RELAY_REPLACE;
}

/* Is what stands behind the name as it should be? */
static bool content_is_good(const uint8_t *content, const uint8_t *end)
{
	const uint8_t *types = string_end(content, end);
	if (!types || end - types < 2)
		return false;
	size_t count = (size_t)(types[0] << 8 | types[1]);
	return (size_t)(end - types) == 2 + 4 * count;
}

static enum relay_action parse_named(struct prepared_link *link, const char *text,
				     const uint8_t *content, const uint8_t *end, uint32_t size,
				     struct sql_change *change, struct relay_batch *batch)
{
	struct name *name = prepared_find_name(*link->client, text);
	if (name) {
		enum relay_action action = parse_doubled(link, name, size, batch, text);
		if (action != RELAY_SHORT)
			return action;
	}
	struct statement *statement = statement_get(content, (size_t)(end - content));
	if (!statement)
		return no_memory(link);
	enum relay_action action = parse_new(link, text, &statement, size, change, batch);
	statement_release(&statement);
	return action;
}

/* A Parse of a text that was changed: all of it is sent anew. */
static enum relay_action parse_changed(struct prepared_link *link, const char *text,
				       struct prepared_sql_parse *changed, uint32_t size,
				       struct relay_batch *batch)
{
	uint32_t name_size = (uint32_t)strlen(text) + 1;
	enum relay_action action;
	prepared_keep(changed->needs, NULL);
	if (!make_ready(link, changed, batch))
		return no_memory(link);
	if (*text) {
		action = parse_named(link, text, changed->content, changed->content + changed->size,
				     name_size + (uint32_t)changed->size, changed->change, batch);
		if (action == RELAY_REPLACE) /* up to its name */
			prepared_replace_with(batch, changed->content, changed->size);
	} else {
		action = parse_unnamed(link, changed->content, (uint32_t)changed->size,
				       changed->size <= PREPARED_UNNAMED_MAX, changed->change);
		if (action == RELAY_FORWARD) {
			prepared_put_parse(batch, "", 1, changed->content, changed->size);
			action = RELAY_REPLACE;
		}
	}
	if (action == RELAY_DROP && batch->replacements > 0) /* it is answered by us */
		action = RELAY_REPLACE;
	batch->replaced = MESSAGE_HEADER + size;
	return action;
}

static enum relay_action request_parse(struct prepared_link *link, const uint8_t *body,
				       uint32_t size, uint32_t available, struct relay_batch *batch)
{
	const uint8_t *end = body + available;
	const uint8_t *content = string_end(body, end);
	bool is_unnamed = content == body + 1, is_whole = available == size;
	if (!content && !is_whole && available <= PREPARED_NAME_MAX)
		return wait_for(link, available + 1);
	if (content ? content - body > PREPARED_NAME_MAX : !is_whole)
		return refuse(link, "name of portal or statement is too long");
	if (!is_whole && size <= (is_unnamed ? PREPARED_UNNAMED_MAX : PREPARED_PARSE_MAX))
		return wait_for(link, size);
	if (!is_whole && !is_unnamed)
		return refuse(link, "prepared statement is too long");
	if (is_whole && (!content || !content_is_good(content, end)))
		return pass(link, MESSAGE_PARSE);
	enum relay_action action;
	struct prepared_sql_parse changed = {.change = NULL};
	if (UNLIKELY(is_whole && link->text_matters) &&
	    settings_current()->sql_prepared_statements &&
	    !prepared_sql_parse(link, content, (size_t)(end - content), &changed))
		return no_memory(link);
	if (changed.change && pipeline_owes_answer(link->pipeline))
		action = barrier(link); /* what the names mean will show then */
	else if (changed.change)
		action = parse_changed(link, (const char *)body, &changed, size, batch);
	else if (is_unnamed)
		action = parse_unnamed(link, content, size - 1,
				       is_whole && size <= PREPARED_UNNAMED_MAX, NULL);
	else
		action = parse_named(link, (const char *)body, content, end, size, NULL, batch);
	sql_change_release(&changed.change);
	link->client_parses += action != RELAY_STOP; /* else it comes back */
	return action;
}

/* Something under way may drop all statements. */
static bool must_wait(const struct prepared_link *link)
{
	struct prepared_server *server = *link->server;
	if (!server || !server->barrier_next)
		return false;
	if (pipeline_owes_answer(link->pipeline))
		return true;
	server->barrier_next = false;
	return false;
}

enum relay_action prepared_request(struct prepared_link *link, uint8_t type, const uint8_t *body,
				   uint32_t size, uint32_t available, struct relay_batch *batch)
{
	batch->replacements = 0;
	if (pipeline_discards(link->pipeline))
		return pass(link, type);
	if (must_wait(link))
		return barrier(link);
	switch (type) {
	case MESSAGE_PARSE:
		return request_parse(link, body, size, available, batch);
	case MESSAGE_BIND:
		return request_bind(link, body, size, available, batch);
	default:
		break;
	}
	if (available < size && size > PREPARED_NAME_MAX)
		return refuse(link, "name of portal or statement is too long");
	if (available < size)
		return wait_for(link, size);
	return type == MESSAGE_DESCRIBE ? request_describe(link, body, size, batch)
					: request_close(link, body, size);
}

/* A Query whose text is not only the server's business. */
static enum relay_action see_text(struct prepared_link *link, const uint8_t *text, uint32_t size,
				  uint32_t available, struct relay_batch *batch)
{
	if (!link->text_matters || !settings_current()->sql_prepared_statements)
		return RELAY_FORWARD;
	if (available == size && strnlen((const char *)text, size) + 1 == size)
		return prepared_sql_query(link, (const char *)text, size - 1, batch);
	if (available < size && size <= PREPARED_PARSE_MAX &&
	    prepared_sql_begins(link, (const char *)text, available))
		return wait_for(link, size);
	return RELAY_FORWARD;
}

enum relay_action prepared_query(struct prepared_link *link, const uint8_t *text, uint32_t size,
				 uint32_t available, struct relay_batch *batch)
{
	struct prepared_client *client = *link->client;
	struct prepared_server *server = *link->server;
	batch->replacements = 0;
	if (pipeline_discards(link->pipeline))
		return RELAY_FORWARD;
	/* Whether the server looks at it is not certain before that. */
	bool depends = client && link->pipeline->unsynced && pipeline_owes_answer(link->pipeline);
	if (depends || must_wait(link) || (client && (client->parses || client->closes)))
		return barrier(link);
	if (client)
		prepared_forget_unnamed(client);
	if (server) {
		server->unnamed = 0;
		if (UNLIKELY(server->bound_change != NULL))
			sql_change_release(&server->bound_change);
	}
	if ((client || server) && statement_text_may_drop(text, available))
		prepared_server_of(link)->barrier_next = true;
	return see_text(link, text, size, available, batch);
}

bool prepared_execute_matters(const struct prepared_server *server)
{
	return server->has_dropper | (server->bound_change != NULL);
}

enum relay_action prepared_execute(struct prepared_link *link, const uint8_t *portal,
				   uint32_t available)
{
	struct prepared_server *server = *link->server;
	server->barrier_next |= server->has_dropper;
	if (!server->bound_change || pipeline_discards(link->pipeline) ||
	    !memchr(portal, 0, available) ||
	    strcmp((const char *)portal, server->bound_portal) != 0)
		return RELAY_FORWARD;
	struct sql_change *change = server->bound_change;
	server->bound_change = NULL; /* it is not executed twice */
	if (!prepared_send_changes(link, MESSAGE_EXECUTE, TEXT_EXECUTE, &change, 1)) {
		sql_change_release(&change);
		return no_memory(link);
	}
	server->barrier_next |= change->kind == CHANGE_MADE || change->kind == CHANGE_DROPPED;
	return RELAY_REPLACE;
}

/* The client's message is refused without the server's opinion. */
static enum relay_action refuse_parse(struct prepared_link *link, const uint8_t *body,
				      uint32_t size, const struct error *error,
				      struct relay_batch *batch)
{
	static const uint8_t content[] = PREPARED_REFUSED "\0\0"; /* and no types */
	struct own_note *note;
	if (*body) {
		note = prepared_send_noted(link, MESSAGE_PARSE, REFUSED);
		if (!note)
			return no_memory(link);
		note->refusal = memory_dup(error, sizeof *error);
	} else if (parse_unnamed(link, content, sizeof content, false, NULL) == RELAY_FORWARD) {
		prepared_refuse_unnamed(*link->client, error);
	} else {
		return no_memory(link);
	}
	prepared_put_parse(batch, *body ? PREPARED_NO_STATEMENT : "",
			   *body ? sizeof PREPARED_NO_STATEMENT : 1, content, sizeof content);
	batch->replaced = MESSAGE_HEADER + size;
	return RELAY_REPLACE;
}

enum relay_action prepared_refuse(struct prepared_link *link, uint8_t type, const uint8_t *body,
				  uint32_t size, const struct error *error,
				  struct relay_batch *batch)
{
	struct prepared_client *client = *link->client;
	batch->replacements = 0;
	if (pipeline_discards(link->pipeline))
		return RELAY_FORWARD;
	if (pipeline_owes_answer(link->pipeline))
		return barrier(link);
	if (type == MESSAGE_PARSE)
		return refuse_parse(link, body, size, error, batch);
	if (client)
		prepared_forget_unnamed(client);
	return prepared_sql_refuse(link, size, error, batch);
}

void prepared_wait_next(struct prepared_link *link)
{
	prepared_server_of(link)->barrier_next = true;
}

/* ---- the server's answers ---- */

uint8_t prepared_answer(const void *note)
{
	return ((const struct note *)note)->kind == PARSE_LOCAL ? MESSAGE_PARSE_COMPLETE
								: MESSAGE_CLOSE_COMPLETE;
}

bool prepared_is_hidden(const void *note)
{
	switch ((enum note_kind)((const struct note *)note)->kind) {
	case PARSE_INJECTED:
	case UNNAMED_INJECTED:
	case CLOSE_INJECTED:
	case HIDDEN:
	case PREPARE_INJECTED:
		return true;
	default:
		return false;
	}
}

bool prepared_see_completed(void *note)
{
	return ((const struct note *)note)->kind == TEXT_QUERY && prepared_completed(note);
}

bool prepared_is_plain(const void *note)
{
	enum note_kind kind = ((const struct note *)note)->kind;
	return kind == USE || kind == PARSE || kind == PARSE_PROBE || kind == PARSE_UNNAMED;
}

bool prepared_tag_drops_all(const uint8_t *body, uint32_t available)
{
	static const char deallocate[] = "DEALLOCATE ALL", discard[] = "DISCARD ALL";
	return (available == sizeof deallocate && !memcmp(body, deallocate, sizeof deallocate)) ||
	       (available == sizeof discard && !memcmp(body, discard, sizeof discard));
}
