/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "proto/sql.h"
#include "../suite.h"
#include <stdio.h>
#include <string.h>

Suite *suite_sql(void);

static const char *const kinds[] = {"end", "broken", "word", "name", "string", "number", "symbol"};

static const char *tokens(const char *text, struct sql_dialect dialect)
{
	static char seen[1024];
	struct sql_reader reader;
	struct sql_token token;
	size_t size = 0;
	enum sql_token_kind kind;
	*seen = '\0';
	sql_reader_init(&reader, text, strlen(text), dialect);
	do {
		kind = sql_next(&reader, &token);
		size += (size_t)snprintf(seen + size, sizeof seen - size, "%s%s:%.*s",
					 size ? " " : "", kinds[kind], (int)token.size, token.at);
	} while (kind != SQL_END && kind != SQL_BROKEN);
	return seen;
}

START_TEST(text_is_cut_into_words)
{
	static const struct {
		const char *text, *seen;
		struct sql_dialect dialect;
	} rows[] = {
		{"", "end:", {0}},
		{"  \t\r\n", "end:", {0}},
		{"select a1,$1", "word:select word:a1 symbol:, number:$1 end:", {0}},
		{"a$b _c \xc3\xa4x", "word:a$b word:_c word:\xc3\xa4x end:", {0}},
		{"1.5e3 7", "number:1.5e3 number:7 end:", {0}},
		{"'it''s' x", "string:'it''s' word:x end:", {0}},
		{"'a\\' x", "string:'a\\' word:x end:", {0}},
		{"'a\\' x'", "string:'a\\' x' end:", {.backslashes = true}},
		{"e'a\\'b' x", "string:e'a\\'b' word:x end:", {0}},
		{"E'a'  \n '\\'' x", "string:E'a'  \n '\\'' word:x end:", {0}},
		{"'a' 'b'", "string:'a' string:'b' end:", {0}},
		{"'a' -- c\n 'b' x", "string:'a' -- c\n 'b' word:x end:", {0}},
		{"b'01' x'ff' N'n' u&'d\\0061'",
		 "string:b'01' string:x'ff' string:N'n' string:u&'d\\0061' end:",
		 {0}},
		{"\"a \"\"b;\" u&\"x\"", "name:\"a \"\"b;\" name:u&\"x\" end:", {0}},
		{"$$a;'$$ $x1$ $$ ; $x1$y",
		 "string:$$a;'$$ string:$x1$ $$ ; $x1$ word:y end:",
		 {0}},
		{"a -- b\nc", "word:a word:c end:", {0}},
		{"a /* b /* c */ ' */ d", "word:a word:d end:", {0}},
		{"a*/*b*/c", "word:a symbol:* word:c end:", {0}},
		{"a;b", "word:a symbol:; word:b end:", {0}},
		{"'a", "broken:", {0}},
		{"x \"a", "word:x broken:", {0}},
		{"/* /* */", "broken:", {0}},
		{"$a$ $b$", "broken:", {0}},
		{"e'\\", "broken:", {0}},
		/* 0x95 0x5c is one character of SJIS */
		{"e'\x95\x5c' x", "string:e'\x95\x5c' word:x end:", {.wide = true}},
		{"e'\x95\x5c' x", "broken:", {0}},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_str_eq(tokens(rows[i].text, rows[i].dialect), rows[i].seen);
}
END_TEST

START_TEST(names_mean_what_postgresql_takes_them_for)
{
	static const struct {
		const char *text, *name;
	} rows[] = {
		{"Abc", "abc"},
		{"\"Abc\"", "Abc"},
		{"\"a\"\"b\"", "a\"b"},
		{"A\xc3\x84", "a\xc3\x84"},
		{"a123456789b123456789c123456789d123456789e123456789f123456789g123456789",
		 "a123456789b123456789c123456789d123456789e123456789f123456789g12"},
		{"a123456789b123456789c123456789d123456789e123456789f123456789g1\xc3\xa4x",
		 "a123456789b123456789c123456789d123456789e123456789f123456789g1"},
		{"u&\"a\"", NULL},
		{"'a'", NULL},
		{"1", NULL},
		{"\"\"", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sql_reader reader;
		struct sql_token token;
		char name[SQL_NAME_MAX];
		sql_reader_init(&reader, rows[i].text, strlen(rows[i].text),
				(struct sql_dialect){0});
		sql_next(&reader, &token);
		ck_assert_int_eq(sql_name(&token, name), rows[i].name != NULL);
		if (rows[i].name)
			ck_assert_str_eq(name, rows[i].name);
	}
}
END_TEST

/* One word for each statement: kind, name, rest, traces. */
static const char *statements(const char *text)
{
	static const char *const words[] = {"other",	  "prepare",	    "execute",
					    "deallocate", "deallocate all", "discard all",
					    "reset all",  "reset",	    "set"};
	static const char *const traces[] = {"listens", "locks", "temp", "holds", "loads"};
	static char seen[1024];
	struct sql_reader reader;
	struct sql_statement s;
	size_t size = 0;
	*seen = '\0';
	sql_reader_init(&reader, text, strlen(text), (struct sql_dialect){0});
	while (sql_next_statement(&reader, &s)) {
		char name[SQL_NAME_MAX] = "";
		if (s.name.at)
			ck_assert(sql_name(&s.name, name));
		size += (size_t)snprintf(seen + size, sizeof seen - size, "%s%s%s%s%s%s",
					 size ? "; " : "", words[s.kind], *name ? " " : "", name,
					 *s.parameter ? " " : "", s.parameter);
		for (int i = 0; i < 5; i++)
			if (s.traces >> i & 1)
				size += (size_t)snprintf(seen + size, sizeof seen - size, "+%s",
							 traces[i]);
		if (s.is_bad)
			size += (size_t)snprintf(seen + size, sizeof seen - size, "!");
	}
	return seen;
}

START_TEST(statements_are_told_by_their_first_words)
{
	static const struct {
		const char *text, *seen;
	} rows[] = {
		{"", ""},
		{";; ;", ""},
		{"SELECT 1", "other"},
		{"select 1; select 2;", "other; other"},
		{"PREPARE p AS SELECT 1", "prepare p"},
		{"prepare \"P q\"(int, text) as select $1", "prepare P q"},
		{"PREPARE TRANSACTION 'x'", "other"},
		{"PREPARE transaction AS SELECT 1", "prepare transaction"},
		{"/* c */ execute p(1)", "execute p"},
		{"EXPLAIN EXECUTE p", "execute p"},
		{"EXPLAIN ANALYZE VERBOSE EXECUTE p(1)", "execute p"},
		{"EXPLAIN (ANALYZE, COSTS off) EXECUTE p", "execute p"},
		{"EXPLAIN SELECT 1", "other"},
		{"CREATE TABLE t AS EXECUTE p(1)", "execute p"},
		{"CREATE TABLE t AS SELECT 1 AS execute", "other"},
		{"EXPLAIN CREATE TABLE t AS EXECUTE p", "execute p"},
		{"DEALLOCATE p", "deallocate p"},
		{"DEALLOCATE PREPARE p", "deallocate p"},
		{"DEALLOCATE prepare", "deallocate prepare"},
		{"DEALLOCATE ALL", "deallocate all"},
		{"DEALLOCATE PREPARE ALL", "deallocate all"},
		{"DEALLOCATE \"all\"", "deallocate all"},
		{"DISCARD ALL", "discard all"},
		{"DISCARD PLANS", "other"},
		{"RESET ALL", "reset all"},
		{"reset TimeZone", "reset timezone"},
		{"RESET TIME ZONE", "reset timezone"},
		{"RESET a.\"B\"", "reset a.B"},
		{"RESET SESSION AUTHORIZATION", "reset session_authorization"},
		{"RESET TRANSACTION ISOLATION LEVEL", "other"},
		{"SET x = 1", "set x"},
		{"SET SESSION x TO 1", "set x"},
		{"SET LOCAL x = 1", "other"},
		{"SET x TO DEFAULT", "reset x"},
		{"SET x = default", "reset x"},
		{"SET TRANSACTION READ ONLY", "other"},
		{"SET CONSTRAINTS ALL DEFERRED", "other"},
		{"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
		 "set session characteristics"},
		{"SET SESSION AUTHORIZATION bob", "set session_authorization"},
		{"SET SESSION AUTHORIZATION DEFAULT", "reset session_authorization"},
		{"SET TIME ZONE 'UTC'", "set timezone"},
		{"SET TIME ZONE DEFAULT", "reset timezone"},
		{"SET NAMES 'utf8'", "set client_encoding"},
		{"SET SCHEMA 'x'", "set search_path"},
		{"SET ROLE bob", "set role"},
		{"LISTEN x", "other+listens"},
		{"UNLISTEN *", "other"},
		{"LOAD 'x'", "other+loads"},
		{"CREATE TEMP TABLE t(a int)", "other+temp"},
		{"CREATE LOCAL TEMPORARY TABLE t(a int) ON COMMIT DELETE ROWS", "other+temp"},
		{"CREATE TEMP TABLE t(a int) ON COMMIT DROP", "other"},
		{"CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1", "other"},
		{"CREATE TABLE pg_temp.t(a int)", "other+temp"},
		{"CREATE OR REPLACE TEMP VIEW v AS SELECT 1", "other+temp"},
		{"CREATE TEMP SEQUENCE s", "other+temp"},
		{"CREATE TABLE temp(a int)", "other"},
		{"SELECT 1 INTO TEMP t", "other+temp"},
		{"SELECT * INTO t FROM temp", "other"},
		{"INSERT INTO temp VALUES (1)", "other"},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", "other+holds"},
		{"DECLARE c NO SCROLL CURSOR FOR SELECT 1", "other"},
		{"DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1", "other"},
		{"SELECT pg_advisory_lock(1)", "other+locks"},
		{"select * from pg_catalog.PG_TRY_ADVISORY_LOCK_SHARED (1)", "other+locks"},
		{"SELECT pg_advisory_xact_lock(1), 'pg_advisory_lock('", "other"},
		{"SELECT pg_advisory_unlock(1)", "other"},
		{"PREPARE l AS SELECT pg_advisory_lock($1)", "prepare l+locks"},
		{"BEGIN; PREPARE p AS SELECT 1; EXECUTE p; COMMIT",
		 "other; prepare p; execute p; other"},
		{"SELECT ';'; EXECUTE p", "other; execute p"},
		{"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2); EXECUTE p",
		 "other; execute p"},
		{"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; "
		 "SELECT 2; END; EXECUTE p",
		 "other; execute p"},
		{"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; EXECUTE p",
		 "other; execute p"},
		{"EXECUTE p; SELECT 'x", "execute p; other!"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(!strcmp(statements(rows[i].text), rows[i].seen), "%s: %s, not %s",
			      rows[i].text, statements(rows[i].text), rows[i].seen);
}
END_TEST

/* What statements() tells of must never be passed over. */
START_TEST(what_matters_is_looked_at)
{
	static const struct {
		const char *text;
		bool matters;
	} rows[] = {
		{"", false},
		{"SELECT 1", false},
		{"select 1;", false},
		{"SELECT 1; \n", false},
		{"SELECT abalance FROM pgbench_accounts WHERE aid = 12345;", false},
		{"BEGIN", false},
		{"COMMIT;", false},
		{"ROLLBACK", false},
		{"DELETE FROM t", false},
		{"INSERT INTO t(value) VALUES ('vvvv')", false},
		{" PREPARE p AS SELECT 1", true},
		{"execute p", true},
		{"EXPLAIN EXECUTE p", true},
		{"deallocate p", true},
		{"DISCARD ALL", true},
		{"RESET ALL", true},
		{"Set x = 1", true},
		{"CREATE TEMP TABLE t()", true},
		{"DECLARE c CURSOR WITH HOLD FOR SELECT 1", true},
		{"LISTEN x", true},
		{"LOAD 'x'", true},
		{"/**/ LISTEN x", true},
		{"-- x\nLISTEN x", true},
		{"SELECT 1;LISTEN x", true},
		{"SELECT pg_ADVISORY_lock(1)", true},
		{"SELECT 1 INTO TEMP t", true},
		{"(SELECT pg_advisory_lock(1))", true},
		{"SELECT a_rather_long_column, another_one FROM a_table WHERE x = 1 AND "
		 "pg_advisory_lock(1)",
		 true},
		{"SELECT a_rather_long_column, another_one INTO TEMPORARY t FROM t2 WHERE it IS "
		 "NULL",
		 true},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		ck_assert_msg(sql_matters(rows[i].text, strlen(rows[i].text) + 1) ==
				      rows[i].matters,
			      "%s", rows[i].text);
	/* wherever it stands */
	for (size_t at = 0; at < 100; at++) {
		char text[256];
		for (int what = 0; what < 2; what++) {
			int size = snprintf(text, sizeof text, "SELECT %*s%s", (int)at, "",
					    what ? "1;LISTEN x" : "pg_advisory_lock(1)");
			ck_assert(sql_matters(text, (size_t)size + 1));
		}
	}
}
END_TEST

START_TEST(encodings_with_trails_like_ascii_are_known)
{
	ck_assert(sql_encoding_is_wide("sjis"));
	ck_assert(sql_encoding_is_wide("BIG5"));
	ck_assert(!sql_encoding_is_wide("UTF8"));
	ck_assert(!sql_encoding_is_wide(NULL));
}
END_TEST

Suite *suite_sql(void)
{
	Suite *suite = suite_create("sql");
	TCase *cases = tcase_create("sql");
	tcase_add_test(cases, text_is_cut_into_words);
	tcase_add_test(cases, names_mean_what_postgresql_takes_them_for);
	tcase_add_test(cases, statements_are_told_by_their_first_words);
	tcase_add_test(cases, what_matters_is_looked_at);
	tcase_add_test(cases, encodings_with_trails_like_ascii_are_known);
	suite_add_tcase(suite, cases);
	return suite;
}
