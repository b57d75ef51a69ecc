/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "fuzz.h"
#include "proto/sql.h"

/* Every token lies behind the last one, within the text; statements end where they should. */
static void fuzz_tokens(const char *text, size_t size, struct sql_dialect dialect)
{
	struct sql_reader reader;
	struct sql_token token;
	const char *from = text;
	sql_reader_init(&reader, text, size, dialect);
	while (sql_next(&reader, &token) != SQL_END && token.kind != SQL_BROKEN) {
		char name[SQL_NAME_MAX];
		FUZZ_HOLDS(token.at >= from && token.size > 0 &&
			   token.at + token.size <= text + size);
		if (sql_name(&token, name))
			FUZZ_HOLDS(*name && strlen(name) < SQL_NAME_MAX);
		from = token.at + token.size;
	}
}

static void fuzz_statements(const char *text, size_t size, struct sql_dialect dialect)
{
	struct sql_reader reader;
	struct sql_statement statement;
	const char *from = text;
	bool any = false;
	sql_reader_init(&reader, text, size, dialect);
	while (sql_next_statement(&reader, &statement)) {
		FUZZ_HOLDS(statement.begin >= from && statement.end >= statement.begin &&
			   statement.end <= text + size);
		FUZZ_HOLDS(!statement.name.at ||
			   (statement.name.at >= statement.begin &&
			    statement.name.at + statement.name.size <= statement.end));
		FUZZ_HOLDS(strlen(statement.parameter) < SQL_NAME_MAX);
		any |= statement.kind != SQL_OTHER || statement.traces;
		from = statement.end;
	}
	/* "SELECT INTO TEMP t" is the shortest that does not begin with a word that matters. */
	FUZZ_HOLDS(!any || size < sizeof "SELECT INTO TEMP t" || sql_matters(text, size));
}

static void fuzz_sql(const uint8_t *bytes, size_t size)
{
	char *text = fuzz_text(bytes, size);
	size_t length = strlen(text);
	for (int i = 0; i < 4; i++) {
		struct sql_dialect dialect = {.backslashes = i & 1, .wide = i & 2};
		fuzz_tokens(text, length, dialect);
		fuzz_statements(text, length, dialect);
	}
	free(text);
}

static const struct fuzz_seed seeds[] = {
	SEED("PREPARE \"a\"\"b\"(int) AS SELECT $1, $$;$$, E'\\'', 'x'\n'y'; EXECUTE a(1)"),
	SEED("/* /* */ */ CREATE TEMP TABLE t AS EXECUTE p -- x\n; DEALLOCATE PREPARE ALL"),
	SEED("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END"),
	SEED("EXPLAIN (ANALYZE, COSTS off) EXECUTE p; RESET a.b; SET TIME ZONE DEFAULT"),
	SEED("SELECT pg_advisory_lock(1) INTO TEMP x; DECLARE c CURSOR WITH HOLD FOR SELECT 1"),
	SEED("select $a$ $b$ $a$ \x95\x5c u&\"x\" ;;"),
};
FUZZ_TARGET(sql);
