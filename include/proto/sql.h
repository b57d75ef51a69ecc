/* SPDX-License-Identifier: ISC */
/* sql: SQL text, cut into words as PostgreSQL's lexer does, and what its statements are, as far as
 * their first words tell. Nothing is understood beyond that. Pure functions on bytes. Manual,
 * "Lexical Structure"; the reference pages of the commands. */
#ifndef PGWEIR_PROTO_SQL_H
#define PGWEIR_PROTO_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum sql_token_kind {
	SQL_END,
	SQL_BROKEN, /* a string, name or comment that does not end */
	SQL_WORD,   /* keyword or name without quotes */
	SQL_NAME,   /* "in quotes" */
	SQL_STRING, /* in any of the quotings */
	SQL_NUMBER,
	SQL_SYMBOL, /* one character of an operator, a parenthesis, comma ... */
};

struct sql_token {
	uint8_t kind; /* enum sql_token_kind */
	bool escaped; /* U&"...": what it means is not found out */
	const char *at;
	size_t size;
};

/* How the client writes. */
struct sql_dialect {
	bool backslashes; /* in plain strings: standard_conforming_strings is off */
	bool wide;	  /* the second byte of a character may look like ASCII */
};

struct sql_reader {
	const char *at, *end;
	struct sql_dialect dialect;
};

/* Which characters of its encodings end in bytes that look like ASCII. @encoding: client_encoding;
 * NULL: not known. */
bool sql_encoding_is_wide(const char *encoding);
/* Text ends at its first NUL, or at @size. */
void sql_reader_init(struct sql_reader *reader, const char *text, size_t size,
		     struct sql_dialect dialect);
/* The next token, comments and space passed over. Returns its kind; SQL_END and SQL_BROKEN come
 * again and again. */
enum sql_token_kind sql_next(struct sql_reader *reader, struct sql_token *token);
/* Is it this keyword (lower case)? */
bool sql_is_word(const struct sql_token *token, const char *word);

enum { SQL_NAME_MAX = 64 }; /* with its NUL: PostgreSQL tells names apart by 63 bytes */

/* The name that a WORD or NAME means: folded to lower case, or with its quotes undone; cut as
 * PostgreSQL does. False: it is neither, or is escaped. */
bool sql_name(const struct sql_token *token, char name[SQL_NAME_MAX]);

enum sql_kind {
	SQL_OTHER,
	SQL_PREPARE,	/* name */
	SQL_EXECUTE,	/* name; also behind EXPLAIN, and CREATE TABLE ... AS */
	SQL_DEALLOCATE, /* name */
	SQL_DEALLOCATE_ALL,
	SQL_DISCARD_ALL,
	SQL_RESET_ALL,
	SQL_RESET, /* name; also SET name TO DEFAULT */
	SQL_SET,   /* name */
};

/* What makes a statement leave something behind in the session: bits. */
enum sql_trace {
	SQL_LISTENS = 1,
	SQL_LOCKS = 2,	    /* session-level advisory lock */
	SQL_MAKES_TEMP = 4, /* a temporary relation that outlives its transaction */
	SQL_HOLDS = 8,	    /* cursor WITH HOLD */
	SQL_LOADS = 16,
};

struct sql_statement {
	uint8_t kind;	/* enum sql_kind */
	uint8_t traces; /* enum sql_trace */
	bool is_bad;	/* does not end as it should: no more statements */
	struct sql_token name;
	const char *rest;	      /* behind the name */
	const char *begin, *end;      /* without the semicolon */
	char parameter[SQL_NAME_MAX]; /* SQL_SET, SQL_RESET: canonical for SET TIME ZONE and the
					 like */
};

/* The next statement that is not empty. False: there are no more. */
bool sql_next_statement(struct sql_reader *reader, struct sql_statement *statement);

/* Can there be anything in this text that sql_next_statement() tells of, or several statements?
 * Quick: it may say so though there is not. */
bool sql_matters_indeed(const char *text, size_t size);
/* What speaks of that: a semicolon, "dv" (pg_advisory_lock), "emp" (INTO TEMP). */
bool sql_has_hint(const char *text, size_t size);

static inline bool sql_has_semicolon(const char *text)
{
	const uint64_t ones = UINT64_MAX / 0xff;
	uint64_t word;
	memcpy(&word, text, sizeof word);
	word ^= ones * ';'; /* is one of its bytes zero now? */
	return (word - ones) & ~word & ones << 7;
}

enum { SQL_LITTLE = 16 }; /* bytes that have no room for more than a semicolon */

static inline bool sql_matters(const char *text, size_t size)
{
	uint32_t here, select;
	if (size < sizeof(uint64_t))
		return sql_matters_indeed(text, size);
	memcpy(&here, text, sizeof here);
	memcpy(&select, "sele", sizeof select); /* what most texts begin with */
	bool is_plain =
		(here | 0x20202020) == select &&
		!(size <= SQL_LITTLE ? sql_has_semicolon(text) ||
					       sql_has_semicolon(text + size - sizeof(uint64_t))
				     : sql_has_hint(text, size));
	return !is_plain && sql_matters_indeed(text, size);
}

#endif
