/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/sql.h"
#include <string.h>
#include <strings.h>
#include "core/likely.h"

/* ---- words ---- */

bool sql_encoding_is_wide(const char *encoding)
{
	/* of those that only clients may have: all encodings of servers are safe */
	static const char *const wide[] = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030",
					   "UHC",  "JOHAB"};
	for (size_t i = 0; encoding && i < sizeof wide / sizeof *wide; i++)
		if (!strcasecmp(encoding, wide[i]))
			return true;
	return false;
}

void sql_reader_init(struct sql_reader *reader, const char *text, size_t size,
		     struct sql_dialect dialect)
{
	reader->at = text;
	reader->end = text + (size ? strnlen(text, size) : 0);
	reader->dialect = dialect;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool begins_word(char c)
{
	return (fold(c) >= 'a' && fold(c) <= 'z') || c == '_' || is_high(c);
}

static bool is_in_word(char c)
{
	return begins_word(c) || is_digit(c) || c == '$';
}

/* The character @ahead of where the reader is; NUL: the text has ended. */
static char ahead(const struct sql_reader *reader, size_t by)
{
	return (size_t)(reader->end - reader->at) > by ? reader->at[by] : '\0';
}

/* One character further, within quotes. */
static void step(struct sql_reader *reader)
{
	reader->at += reader->dialect.wide && is_high(*reader->at) && reader->end - reader->at > 1
			      ? 2
			      : 1;
}

static void skip_line(struct sql_reader *reader)
{
	while (reader->at < reader->end && *reader->at != '\n' && *reader->at != '\r')
		reader->at++;
}

/* Comments of that kind may contain others. False: it does not end. */
static bool skip_comment(struct sql_reader *reader)
{
	unsigned depth = 0;
	do {
		if (reader->at >= reader->end)
			return false;
		if (ahead(reader, 0) == '/' && ahead(reader, 1) == '*') {
			depth++;
			reader->at++;
		} else if (ahead(reader, 0) == '*' && ahead(reader, 1) == '/') {
			depth--;
			reader->at++;
		}
		reader->at++;
	} while (depth);
	return true;
}

/* Space and comments. *@lines: there is an end of a line among them. */
static bool skip_space(struct sql_reader *reader, bool *lines)
{
	for (;;) {
		char c = ahead(reader, 0);
		if (is_space(c)) {
			*lines |= c == '\n' || c == '\r';
			reader->at++;
		} else if (c == '-' && ahead(reader, 1) == '-') {
			skip_line(reader);
		} else if (c == '/' && ahead(reader, 1) == '*') {
			if (!skip_comment(reader))
				return false;
		} else {
			return true;
		}
	}
}

/* From an opening quote behind the closing one, which doubled is none. */
static bool skip_quoted(struct sql_reader *reader, char quote, bool backslashes)
{
	reader->at++;
	while (reader->at < reader->end) {
		if (*reader->at == '\\' && backslashes && reader->end - reader->at > 1) {
			reader->at++;
		} else if (*reader->at == quote) {
			reader->at++;
			if (ahead(reader, 0) != quote)
				return true;
		}
		step(reader);
	}
	return false;
}

/* A string goes on behind the end of a line. */
static bool skip_string(struct sql_reader *reader, bool backslashes)
{
	struct sql_reader next;
	do {
		bool lines = false;
		if (!skip_quoted(reader, '\'', backslashes))
			return false;
		next = *reader;
		if (!skip_space(&next, &lines) || !lines || ahead(&next, 0) != '\'')
			return true;
		reader->at = next.at;
	} while (true);
}

/* $tag$ ... $tag$; *@is_one: it begins one. False: it does not end. */
static bool skip_dollars(struct sql_reader *reader, bool *is_one)
{
	const char *tag = reader->at, *at = tag + 1;
	while (at < reader->end && is_in_word(*at) && *at != '$' &&
	       !(at == tag + 1 && is_digit(*at)))
		at++;
	*is_one = at < reader->end && *at == '$';
	if (!*is_one)
		return true;
	size_t size = (size_t)(at + 1 - tag);
	for (at++; (size_t)(reader->end - at) >= size; at++) {
		const char *next = memchr(at, '$', (size_t)(reader->end - at));
		if (!next || (size_t)(reader->end - next) < size)
			break;
		at = next;
		if (!memcmp(at, tag, size)) {
			reader->at = at + size;
			return true;
		}
	}
	return false;
}

/* Letters that stand before a quote and belong to it. */
static bool is_prefix(const char *at, size_t size, char quote)
{
	char c = fold(*at);
	if (size == 1)
		return quote == '\'' && (c == 'e' || c == 'b' || c == 'x' || c == 'n');
	return size == 2 && c == 'u' && at[1] == '&';
}

static bool skip_token(struct sql_reader *reader, struct sql_token *token)
{
	char c = *reader->at;
	bool is_dollars = false;
	token->kind = SQL_STRING;
	if (c == '\'')
		return skip_string(reader, reader->dialect.backslashes);
	for (size_t size = 1; size <= 2; size++) {
		char quote = ahead(reader, size);
		if ((quote != '\'' && quote != '"') || !is_prefix(reader->at, size, quote))
			continue;
		reader->at += size;
		token->escaped = true;
		if (quote == '\'')
			return skip_string(reader, fold(c) == 'e' || (fold(c) == 'n' &&
								      reader->dialect.backslashes));
		token->kind = SQL_NAME;
		return skip_quoted(reader, '"', false);
	}
	if (c == '$' && !skip_dollars(reader, &is_dollars))
		return false;
	if (is_dollars)
		return true;
	if (c == '"') {
		token->kind = SQL_NAME;
		return skip_quoted(reader, '"', false);
	}
	if (begins_word(c)) {
		token->kind = SQL_WORD;
		while (reader->at < reader->end && is_in_word(*reader->at))
			step(reader);
		return true;
	}
	if (is_digit(c) || (c == '$' && is_digit(ahead(reader, 1)))) {
		token->kind = SQL_NUMBER;
		do
			reader->at++;
		while (reader->at < reader->end &&
		       (is_in_word(*reader->at) || *reader->at == '.') && *reader->at != '$');
		return true;
	}
	token->kind = SQL_SYMBOL;
	reader->at++;
	return true;
}

enum sql_token_kind sql_next(struct sql_reader *reader, struct sql_token *token)
{
	bool lines = false;
	const char *begin = reader->at;
	token->escaped = false;
	if (!skip_space(reader, &lines)) {
		token->kind = SQL_BROKEN;
		reader->at = begin; /* again and again */
	} else if (reader->at >= reader->end) {
		token->kind = SQL_END;
		begin = reader->at;
	} else {
		begin = reader->at;
		if (!skip_token(reader, token)) {
			token->kind = SQL_BROKEN;
			reader->at = begin;
		}
	}
	token->at = begin;
	token->size = (size_t)(reader->at - begin);
	return token->kind;
}

bool sql_is_word(const struct sql_token *token, const char *word)
{
	return token->kind == SQL_WORD && token->size == strlen(word) &&
	       !strncasecmp(token->at, word, token->size);
}

static bool is_symbol(const struct sql_token *token, char symbol)
{
	return token->kind == SQL_SYMBOL && *token->at == symbol;
}

/* How much of a UTF-8 text of @size bytes fits without half a character. */
static size_t clip(const char *text, size_t size)
{
	if (size < SQL_NAME_MAX)
		return size;
	size = SQL_NAME_MAX - 1;
	while (size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80)
		size--;
	return size;
}

bool sql_name(const struct sql_token *token, char name[SQL_NAME_MAX])
{
	char whole[2 * SQL_NAME_MAX];
	size_t size = 0;
	if (token->escaped || (token->kind != SQL_WORD && token->kind != SQL_NAME))
		return false;
	bool quoted = token->kind == SQL_NAME;
	const char *at = token->at + quoted, *end = token->at + token->size - quoted;
	for (; at < end && size < sizeof whole; at++) {
		whole[size++] = quoted ? *at : fold(*at);
		at += quoted && *at == '"'; /* it is doubled */
	}
	size = clip(whole, size);
	memcpy(name, whole, size);
	name[size] = '\0';
	return size > 0;
}

/* ---- statements ---- */

/* A statement on its way. */
struct cursor {
	struct sql_reader *reader;
	struct sql_statement *statement;
	struct sql_token token; /* the one at hand */
	unsigned depth;		/* in parentheses */
	unsigned bodies;	/* in BEGIN ATOMIC ... END */
	bool has_body;		/* CREATE FUNCTION or PROCEDURE */
	bool writes;		/* INSERT INTO, MERGE INTO: no SELECT INTO */
};

static bool is_over(const struct cursor *cursor)
{
	return cursor->token.kind == SQL_END || cursor->token.kind == SQL_BROKEN ||
	       (cursor->depth == 0 && cursor->bodies == 0 && is_symbol(&cursor->token, ';'));
}

/* The body of a function may have statements of its own: they end with their own semicolons. */
static void follow_body(struct cursor *cursor)
{
	const struct sql_token *token = &cursor->token;
	if (sql_is_word(token, "begin") || (cursor->bodies && sql_is_word(token, "case")))
		cursor->bodies++;
	else if (cursor->bodies && sql_is_word(token, "end"))
		cursor->bodies--;
}

static void advance(struct cursor *cursor)
{
	if (is_over(cursor))
		return;
	cursor->statement->end = cursor->reader->at;
	sql_next(cursor->reader, &cursor->token);
	if (is_symbol(&cursor->token, '('))
		cursor->depth++;
	else if (is_symbol(&cursor->token, ')') && cursor->depth)
		cursor->depth--;
	if (cursor->has_body && cursor->depth == 0)
		follow_body(cursor);
}

/* Is it this word? Then it is passed over. */
static bool accept(struct cursor *cursor, const char *word)
{
	if (!sql_is_word(&cursor->token, word))
		return false;
	advance(cursor);
	return true;
}

static bool is_name(const struct cursor *cursor)
{
	return cursor->token.kind == SQL_WORD || cursor->token.kind == SQL_NAME;
}

static void take_name(struct cursor *cursor, enum sql_kind kind)
{
	if (!is_name(cursor))
		return;
	cursor->statement->kind = (uint8_t)kind;
	cursor->statement->name = cursor->token;
	cursor->statement->rest = cursor->reader->at;
	advance(cursor);
}

static void read_prepare(struct cursor *cursor)
{
	struct sql_token name = cursor->token;
	const char *rest = cursor->reader->at;
	if (!is_name(cursor))
		return;
	advance(cursor);
	if (cursor->token.kind == SQL_STRING) /* PREPARE TRANSACTION */
		return;
	cursor->statement->kind = SQL_PREPARE;
	cursor->statement->name = name;
	cursor->statement->rest = rest;
}

static void read_deallocate(struct cursor *cursor)
{
	struct sql_token first = cursor->token;
	if (accept(cursor, "prepare") && is_over(cursor)) {
		cursor->statement->kind = SQL_DEALLOCATE; /* one of that name */
		cursor->statement->name = first;
		return;
	}
	if (accept(cursor, "all"))
		cursor->statement->kind = SQL_DEALLOCATE_ALL;
	else
		take_name(cursor, SQL_DEALLOCATE);
}

/* A parameter's name, which may consist of several. */
static bool read_parameter(struct cursor *cursor)
{
	char *to = cursor->statement->parameter, part[SQL_NAME_MAX];
	size_t size = 0;
	for (;;) {
		if (!sql_name(&cursor->token, part))
			return false;
		size_t more = strlen(part);
		if (size + more + 2 > SQL_NAME_MAX)
			return false;
		memcpy(to + size, part, more + 1);
		size += more;
		advance(cursor);
		if (!is_symbol(&cursor->token, '.'))
			return true;
		advance(cursor);
		to[size++] = '.';
		to[size] = '\0';
	}
}

/* The words for some parameters that are not their names. */
static bool read_special(struct cursor *cursor, const char *first, const char *second,
			 const char *name)
{
	struct cursor before = *cursor;
	struct sql_reader at = *cursor->reader;
	if (!accept(cursor, first))
		return false;
	if (*second && !accept(cursor, second)) {
		*cursor->reader = at;
		*cursor = before;
		return false;
	}
	memcpy(cursor->statement->parameter, name, strlen(name) + 1);
	return true;
}

static bool read_any_parameter(struct cursor *cursor, bool *takes_value)
{
	*takes_value = false;
	if (read_special(cursor, "time", "zone", "timezone") ||
	    read_special(cursor, "session", "authorization", "session_authorization"))
		return true;
	*takes_value = true;
	return read_parameter(cursor);
}

static void read_reset(struct cursor *cursor)
{
	bool takes_value;
	if (accept(cursor, "all"))
		cursor->statement->kind = SQL_RESET_ALL;
	else if (!sql_is_word(&cursor->token, "transaction") &&
		 read_any_parameter(cursor, &takes_value))
		cursor->statement->kind = SQL_RESET;
}

static void read_set(struct cursor *cursor)
{
	bool takes_value = false;
	if (accept(cursor, "local") || sql_is_word(&cursor->token, "transaction") ||
	    sql_is_word(&cursor->token, "constraints"))
		return;
	if (!read_special(cursor, "session", "characteristics", "session characteristics") &&
	    !read_special(cursor, "session", "authorization", "session_authorization")) {
		accept(cursor, "session");
		if (!read_special(cursor, "names", "", "client_encoding") &&
		    !read_special(cursor, "schema", "", "search_path") &&
		    !read_special(cursor, "role", "", "role") &&
		    !read_special(cursor, "xml", "option", "xmloption") &&
		    !read_any_parameter(cursor, &takes_value))
			return;
	}
	cursor->statement->kind = SQL_SET;
	if (takes_value && !accept(cursor, "to") && is_symbol(&cursor->token, '='))
		advance(cursor);
	if (accept(cursor, "default"))
		cursor->statement->kind = SQL_RESET;
}

/* CREATE ... TEMP ... [ON COMMIT DROP], CREATE TABLE ... AS EXECUTE name, and functions. */
static void read_create(struct cursor *cursor)
{
	struct sql_statement *statement = cursor->statement;
	if (accept(cursor, "or"))
		accept(cursor, "replace");
	if (!accept(cursor, "global"))
		accept(cursor, "local");
	if (accept(cursor, "temp") || accept(cursor, "temporary"))
		statement->traces |= SQL_MAKES_TEMP;
	cursor->has_body =
		sql_is_word(&cursor->token, "function") || sql_is_word(&cursor->token, "procedure");
	bool is_table = sql_is_word(&cursor->token, "table");
	while (!is_over(cursor) && !cursor->has_body) {
		if (accept(cursor, "on")) {
			if (accept(cursor, "commit") && accept(cursor, "drop"))
				statement->traces &= (uint8_t)~SQL_MAKES_TEMP;
		} else if (accept(cursor, "pg_temp")) {
			if (is_table && is_symbol(&cursor->token, '.'))
				statement->traces |= SQL_MAKES_TEMP;
		} else if (cursor->depth == 0 && accept(cursor, "as")) {
			if (accept(cursor, "execute"))
				take_name(cursor, SQL_EXECUTE);
			if (is_table && !sql_is_word(&cursor->token, "on"))
				return; /* its query says the rest */
		} else {
			advance(cursor);
		}
	}
}

static void read_explain(struct cursor *cursor)
{
	if (is_symbol(&cursor->token, '(')) {
		while (!is_over(cursor) && cursor->depth)
			advance(cursor);
		advance(cursor);
	}
	while (accept(cursor, "analyze") || accept(cursor, "analyse") || accept(cursor, "verbose"))
		;
	if (accept(cursor, "execute"))
		take_name(cursor, SQL_EXECUTE);
	else if (accept(cursor, "create"))
		read_create(cursor);
}

static void read_declare(struct cursor *cursor)
{
	while (!is_over(cursor) && !sql_is_word(&cursor->token, "for"))
		if (!accept(cursor, "with"))
			advance(cursor);
		else if (accept(cursor, "hold"))
			cursor->statement->traces |= SQL_HOLDS;
}

static void read_trace(struct cursor *cursor, enum sql_trace trace)
{
	if (!is_over(cursor))
		cursor->statement->traces |= (uint8_t)trace;
}

static void read_first_words(struct cursor *cursor)
{
	if (accept(cursor, "prepare"))
		read_prepare(cursor);
	else if (accept(cursor, "execute"))
		take_name(cursor, SQL_EXECUTE);
	else if (accept(cursor, "explain"))
		read_explain(cursor);
	else if (accept(cursor, "deallocate"))
		read_deallocate(cursor);
	else if (accept(cursor, "discard")) {
		if (accept(cursor, "all"))
			cursor->statement->kind = SQL_DISCARD_ALL;
	} else if (accept(cursor, "reset"))
		read_reset(cursor);
	else if (accept(cursor, "set"))
		read_set(cursor);
	else if (accept(cursor, "create"))
		read_create(cursor);
	else if (accept(cursor, "declare"))
		read_declare(cursor);
	else if (accept(cursor, "listen"))
		read_trace(cursor, SQL_LISTENS);
	else if (accept(cursor, "load"))
		read_trace(cursor, SQL_LOADS);
	else
		cursor->writes = sql_is_word(&cursor->token, "insert") ||
				 sql_is_word(&cursor->token, "merge");
}

/* To the end of the statement, for what may stand anywhere in it. */
static void read_rest(struct cursor *cursor)
{
	static const char *const locks[] = {"pg_advisory_lock", "pg_advisory_lock_shared",
					    "pg_try_advisory_lock", "pg_try_advisory_lock_shared"};
	char name[SQL_NAME_MAX];
	while (!is_over(cursor)) {
		struct sql_token token = cursor->token;
		advance(cursor);
		if (is_symbol(&cursor->token, '(') && sql_name(&token, name)) {
			for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
				if (!strcmp(name, locks[i]))
					cursor->statement->traces |= SQL_LOCKS;
		} else if (!cursor->writes && sql_is_word(&token, "into")) {
			if (!accept(cursor, "global"))
				accept(cursor, "local");
			if (sql_is_word(&cursor->token, "temp") ||
			    sql_is_word(&cursor->token, "temporary"))
				cursor->statement->traces |= SQL_MAKES_TEMP;
		}
	}
}

bool sql_next_statement(struct sql_reader *reader, struct sql_statement *statement)
{
	struct cursor cursor = {.reader = reader, .statement = statement};
	memset(statement, 0, sizeof *statement);
	do
		sql_next(reader, &cursor.token);
	while (is_symbol(&cursor.token, ';'));
	statement->begin = statement->end = cursor.token.at;
	if (cursor.token.kind == SQL_END)
		return false;
	cursor.depth = is_symbol(&cursor.token, '(');
	read_first_words(&cursor);
	read_rest(&cursor);
	statement->is_bad = cursor.token.kind == SQL_BROKEN;
	return !statement->is_bad || statement->end > statement->begin;
}

/* ---- whether to look at all ---- */

typedef uint8_t block __attribute__((vector_size(16)));

static inline block load(const char *at)
{
	block bytes;
	memcpy(&bytes, at, sizeof bytes);
	return bytes | 0x20; /* capitals become small letters */
}

static inline bool is_any(block hits)
{
	uint64_t halves[2];
	memcpy(halves, &hits, sizeof halves);
	return halves[0] | halves[1];
}

bool sql_has_hint(const char *text, size_t size)
{
	const size_t window = sizeof(block) + 2, word = sizeof(uint64_t);
	if (size < window) { /* in little text only the first has room */
		if (size < word)
			return false;
		return sql_has_semicolon(text) || sql_has_semicolon(text + size - word) ||
		       (size > 2 * word && text[word] == ';');
	}
	const char *last = text + size - window;
	for (;;) {
		block here = load(text), next = load(text + 1), third = load(text + 2);
		block hits = (block)(here == ';') | ((block)(here == 'd') & (block)(next == 'v')) |
			     ((block)(here == 'e') & (block)(next == 'm') & (block)(third == 'p'));
		if (is_any(hits))
			return true;
		if (text == last)
			return false;
		text = last - text < (ptrdiff_t)sizeof(block) ? last : text + sizeof(block);
	}
}

#define THREE(a, b, c) ((uint32_t)(a) << 16 | (uint32_t)(b) << 8 | (uint32_t)(c))

/* Do these letters begin a command that matters? */
static __attribute__((noinline)) bool begins_command(const char *text)
{
	switch (THREE(text[0] | 0x20, text[1] | 0x20, text[2] | 0x20)) {
	case THREE('p', 'r', 'e'): /* PREPARE */
	case THREE('e', 'x', 'e'): /* EXECUTE */
	case THREE('e', 'x', 'p'): /* EXPLAIN EXECUTE */
	case THREE('d', 'e', 'a'): /* DEALLOCATE */
	case THREE('d', 'i', 's'): /* DISCARD */
	case THREE('r', 'e', 's'): /* RESET */
	case THREE('s', 'e', 't'): /* SET */
	case THREE('c', 'r', 'e'): /* CREATE TEMP, CREATE TABLE ... AS EXECUTE */
	case THREE('d', 'e', 'c'): /* DECLARE ... WITH HOLD */
	case THREE('l', 'i', 's'): /* LISTEN */
	case THREE('l', 'o', 'a'): /* LOAD */
		return true;
	default: /* or a comment stands before it */
		return *text == '/' || *text == '-';
	}
}

bool sql_matters_indeed(const char *text, size_t size)
{
	while (UNLIKELY(size && is_space(*text))) {
		text++;
		size--;
	}
	while (size &&
	       (text[size - 1] == '\0' || text[size - 1] == ';' || is_space(text[size - 1])))
		size--;
	if (size < sizeof(uint32_t))
		return false;
	return begins_command(text) || sql_has_hint(text, size);
}
