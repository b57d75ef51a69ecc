/* SPDX-License-Identifier: ISC */
/* Prepared statements in transaction mode, against servers that do with them what PostgreSQL does:
 * where a Parse or Close of ours stands in what a server hears, where an answer of ours stands in
 * what a client hears, and that both sides' books stay true after errors, when bytes come in any
 * pieces and when somebody vanishes. A row tells which text it comes from, so that no statement can
 * be mistaken for another. */
#include "config.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conn/client.h"
#include "core/loop.h"
#include "pool/pool.h"
#include "suites.h"
#include "wire.h"

enum { BYTES = 1 << 16, SAID = 1 << 14, NAMES = 64, TEXT = 64, SERVERS = 64 };

/* ---- what a client says ---- */

static uint8_t out[BYTES];
static size_t out_size;

static void add(char type, const char *body, size_t size)
{
	ck_assert_uint_lt(out_size + size + 5, sizeof out);
	out_size += wire_put(out + out_size, type, body, size);
}

static void add_parse(const char *name, const char *text)
{
	char body[256];
	int n = snprintf(body, sizeof body, "%s%c%s%c%c%c", name, 0, text, 0, 0, 0);
	add('P', body, (size_t)n);
}

static void add_bind(const char *name)
{
	char body[128];
	int n = snprintf(body, sizeof body, "%c%s", 0, name);
	memset(body + n, 0, 7); /* NUL, no formats, no values, no result formats */
	add('B', body, (size_t)n + 7);
}

static void add_named(char type, const char *name)
{
	char body[128];
	int n = snprintf(body, sizeof body, "S%s", name);
	add(type, body, (size_t)n + 1);
}

/* Requests as words: "P:name=text" Parse, "B:name" Bind, "D:name" Describe and "C:name" Close of a
 * statement, "E" Execute, "S" Sync, "H" Flush, "Q=text" Query; "_" is a space in a text. */
static void add_words(const char *words)
{
	char word[128], *text;
	for (int n; sscanf(words, "%127s%n", word, &n) == 1; words += n) {
		text = strchr(word, '=');
		if (text)
			*text++ = '\0';
		for (char *at = text; at && *at; at++)
			if (*at == '_')
				*at = ' ';
		switch (word[0]) {
		case 'P':
			add_parse(word + 2, text);
			break;
		case 'B':
			add_bind(word + 2);
			break;
		case 'D':
		case 'C':
			add_named(word[0], word + 2);
			break;
		case 'E':
			add('E', "\0\0\0\0", 5);
			break;
		case 'Q':
			add('Q', text, strlen(text) + 1);
			break;
		default:
			add(word[0], NULL, 0);
		}
	}
}

static void ask(struct wire_peer *client, const char *words)
{
	out_size = 0;
	add_words(words);
	wire_send(client, out, out_size);
}

/* ---- a server ---- */

struct answerer {
	struct wire_peer *peer; /* NULL: gone */
	struct {
		char name[TEXT], text[TEXT];
		bool taken;
	} names[NAMES];	   /* the unnamed one, too */
	char portal[TEXT]; /* text of the unnamed portal */
	bool skips;
	char status;
	unsigned prepared, closed;
	char heard[SAID]; /* as words, with a statement's text in the place of its name */
	uint8_t out[BYTES];
	size_t out_size;
};

static struct answerer answerers[SERVERS];

static struct answerer *answerer(struct wire_peer *peer)
{
	for (struct answerer *by = answerers; by < answerers + SERVERS; by++)
		if (!by->peer) {
			memset(by, 0, sizeof *by);
			by->peer = peer;
			by->status = 'I';
			return by;
		}
	ck_abort_msg("too many servers");
}

static void note(char *at, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(char *at, const char *format, ...)
{
	va_list arguments;
	size_t n = strlen(at);
	if (n) {
		at[n++] = ' ';
		at[n] = '\0';
	}
	va_start(arguments, format);
	ck_assert_int_lt(vsnprintf(at + n, SAID - n, format, arguments), (int)(SAID - n));
	va_end(arguments);
}

static void reply(struct answerer *by, char type, const char *body, size_t size)
{
	ck_assert_uint_lt(by->out_size + size + 5, sizeof by->out);
	by->out_size += wire_put(by->out + by->out_size, type, body, size);
}

static void reply_error(struct answerer *by, const char *sqlstate, const char *about)
{
	char body[256];
	int n = snprintf(body, sizeof body, "SERROR%cVERROR%cC%s%cMabout %s%c", 0, 0, sqlstate, 0,
			 about, 0);
	reply(by, 'E', body, (size_t)n + 1);
}

static void reply_row(struct answerer *by, const char *text)
{
	reply(by, 'D', text, strlen(text));
	reply(by, 'C', text, strlen(text) + 1);
}

static void refuse(struct answerer *by, const char *sqlstate, const char *about)
{
	reply_error(by, sqlstate, about);
	by->skips = true;
}

static char *text_of(struct answerer *by, const char *name)
{
	for (int i = 0; i < NAMES; i++)
		if (by->names[i].taken && !strcmp(by->names[i].name, name))
			return by->names[i].text;
	return NULL;
}

static bool forget(struct answerer *by, const char *name)
{
	for (int i = 0; i < NAMES; i++)
		if (by->names[i].taken && !strcmp(by->names[i].name, name)) {
			by->names[i].taken = false;
			return true;
		}
	return false;
}

static unsigned named(const struct answerer *by)
{
	unsigned count = 0;
	for (int i = 0; i < NAMES; i++)
		count += by->names[i].taken && by->names[i].name[0];
	return count;
}

static void take_parse(struct answerer *by, const char *name)
{
	const char *text = name + strlen(name) + 1;
	note(by->heard, "P=%s", text);
	if (by->skips)
		return;
	if (!name[0])
		forget(by, name);
	else if (text_of(by, name)) {
		refuse(by, "42P05", name);
		return;
	}
	if (!strncmp(text, "bad", 3)) {
		refuse(by, "42601", text);
		return;
	}
	for (int i = 0; i < NAMES; i++)
		if (!by->names[i].taken) {
			by->names[i].taken = true;
			strcpy(by->names[i].name, name);
			strcpy(by->names[i].text, text);
			by->prepared++;
			reply(by, '1', NULL, 0);
			return;
		}
	ck_abort_msg("a server has too many statements");
}

/* Bind, Describe or Close of a statement. */
static void take_name(struct answerer *by, char type, const char *name)
{
	const char *text = text_of(by, name);
	note(by->heard, "%c=%s", type, text ? text : by->skips ? "-" : "?");
	if (by->skips)
		return;
	if (type == 'C') {
		by->closed += forget(by, name);
		reply(by, '3', NULL, 0);
	} else if (!text) {
		refuse(by, "26000", name);
	} else if (type == 'B') {
		strcpy(by->portal, text);
		reply(by, '2', NULL, 0);
	} else {
		reply(by, 't', "\0\0", 2);
		reply(by, 'n', NULL, 0);
	}
}

static void take_execute(struct answerer *by)
{
	note(by->heard, "E");
	if (by->skips)
		return;
	if (!strncmp(by->portal, "fail", 4))
		refuse(by, "22012", by->portal);
	else
		reply_row(by, by->portal);
}

static void take_query(struct answerer *by, const char *text)
{
	note(by->heard, "Q=%s", text);
	if (by->skips)
		return;
	forget(by, "");
	if (!strcmp(text, "BEGIN") || !strcmp(text, "COMMIT"))
		by->status = text[0] == 'B' ? 'T' : 'I';
	if (!strcmp(text, "DEALLOCATE ALL"))
		for (int i = 0; i < NAMES; i++)
			by->names[i].taken = false;
	if (!strncmp(text, "fail", 4))
		reply_error(by, "22012", text);
	else
		reply_row(by, text);
	reply(by, 'Z', &by->status, 1);
}

/* Take the messages that have come; what is answered lies in .out. */
static void hear(struct answerer *by)
{
	while (wire_next(by->peer)) {
		const char *body = (const char *)by->peer->body;
		switch (by->peer->type) {
		case 'P':
			take_parse(by, body);
			break;
		case 'B':
			ck_assert_int_eq(body[0], 0);
			take_name(by, 'B', body + 1);
			break;
		case 'D':
		case 'C':
			ck_assert_int_eq(body[0], 'S');
			take_name(by, (char)by->peer->type, body + 1);
			break;
		case 'E':
			take_execute(by);
			break;
		case 'Q':
			take_query(by, body);
			break;
		case 'S':
			note(by->heard, "S");
			by->skips = false;
			reply(by, 'Z', &by->status, 1);
			break;
		case 'H':
			note(by->heard, "H");
			break;
		case 'X':
			break;
		default:
			ck_abort_msg("a server got '%c'", by->peer->type);
		}
	}
}

static void answer(struct answerer *by)
{
	size_t size = by->out_size;
	by->out_size = 0;
	if (size)
		wire_send(by->peer, by->out, size);
}

/* What waits for earlier answers is sent when they have come. */
static void serve_until_quiet(struct answerer *by)
{
	do {
		hear(by);
		answer(by);
		wire_read(by->peer);
	} while (by->peer->length);
	by->heard[0] = '\0';
}

/* Hear, which must be just these words, and answer. */
static void serve(struct answerer *by, const char *words)
{
	hear(by);
	ck_assert_str_eq(by->heard, words);
	by->heard[0] = '\0';
	answer(by);
}

/* ---- what a client hears ---- */

/* One message: its type, of a row "D=text", of an error "E=sqlstate". */
static void show_message(const struct wire_peer *client, char *at)
{
	const char *code = strstr(client->text, "|C");
	if (client->type == 'D')
		note(at, "D=%s", client->text);
	else if (client->type == 'E')
		note(at, "E=%.5s", code ? code + 2 : "none");
	else
		note(at, "%c", client->type);
}

/* Just these have come. */
static void gets(struct wire_peer *client, const char *words)
{
	static char got[SAID];
	got[0] = '\0';
	while (wire_next(client))
		show_message(client, got);
	ck_assert_str_eq(got, words);
}

/* ---- the stage: clients a, b and c on servers one and two ---- */

static struct wire_peer *a, *b, *c;
static struct answerer *one, *two;

static void begin(const char *settings)
{
	char text[256];
	memset(answerers, 0, sizeof answerers);
	snprintf(text, sizeof text, "server_check_query =\ndefault_pool_size = 2\n%s",
		 settings ? settings : "");
	char more[1024];
	snprintf(more, sizeof more, "max_prepared_statements = 200\ncancel_on_disconnect = 0\n%s",
		 text);
	wire_open(more, NULL);
	a = wire_client();
	one = answerer(wire_first_server());
	b = wire_client();
	c = wire_client();
	two = NULL;
}

/* Client c holds server one from now on, so that the others are on server two. */
static void hold_one(void)
{
	ask(c, "Q=BEGIN");
	serve(one, "Q=BEGIN");
	gets(c, "D=BEGIN C Z");
}

static void let_one_go(void)
{
	ask(c, "Q=COMMIT");
	serve(one, "Q=COMMIT");
	gets(c, "D=COMMIT C Z");
}

/* The connection that was opened is server two. */
static void open_two(void)
{
	two = answerer(wire_server());
}

/* Client says, server hears and answers, client hears. */
static void exchange(struct wire_peer *client, const char *said, struct answerer *by,
		     const char *heard, const char *answered)
{
	ask(client, said);
	serve(by, heard);
	gets(client, answered);
}

/* ---- where ours stands ---- */

START_TEST(a_parse_goes_in_front_of_bind_where_the_server_lacks_it)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	hold_one();
	ask(a, "B:s E S");
	open_two();
	serve(two, "P=text B=text E S");
	gets(a, "2 D=text C Z");
	exchange(a, "B:s E S", two, "B=text E S", "2 D=text C Z");
	let_one_go();
	wire_close();
}
END_TEST

START_TEST(a_parse_goes_in_front_of_describe_where_the_server_lacks_it)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	hold_one();
	ask(a, "D:s B:s E S");
	open_two();
	serve(two, "P=text D=text B=text E S");
	gets(a, "t n 2 D=text C Z");
	wire_close();
}
END_TEST

START_TEST(each_goes_in_front_of_its_own_and_once)
{
	begin(NULL);
	exchange(a, "P:s=first P:t=second S", one, "P=first P=second S", "1 1 Z");
	hold_one();
	ask(a, "P:=mine B: E B:s E D:t B:s E B:t E S");
	open_two();
	serve(two, "P=mine B=mine E P=first B=first E P=second D=second B=first E B=second E S");
	gets(a, "1 2 D=mine C 2 D=first C t n 2 D=first C 2 D=second C Z");
	wire_close();
}
END_TEST

START_TEST(what_the_server_has_is_answered_in_its_place)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(b, "P:=mine B: E P:t=text B:t E C:t B: E S");
	hear(one);
	ck_assert_str_eq(one->heard, "P=mine B=mine E B=text E B=mine E S");
	/* byte for byte: no answer of ours comes before its turn */
	static const char *const states[] = {"",
					     "1",
					     "1 2",
					     "1 2 D=mine",
					     "1 2 D=mine C",
					     "1 2 D=mine C 1",
					     "1 2 D=mine C 1 2",
					     "1 2 D=mine C 1 2 D=text",
					     "1 2 D=mine C 1 2 D=text C",
					     "1 2 D=mine C 1 2 D=text C 3",
					     "1 2 D=mine C 1 2 D=text C 3 2",
					     "1 2 D=mine C 1 2 D=text C 3 2 D=mine",
					     "1 2 D=mine C 1 2 D=text C 3 2 D=mine C",
					     "1 2 D=mine C 1 2 D=text C 3 2 D=mine C Z"};
	char got[SAID] = "";
	for (size_t i = 0; i < one->out_size; i++) {
		bool known = false;
		wire_send(one->peer, one->out + i, 1);
		while (wire_next(b))
			show_message(b, got);
		for (size_t k = 0; k < sizeof states / sizeof *states; k++)
			known |= !strcmp(got, states[k]);
		ck_assert_msg(known, "got \"%s\"", got);
	}
	ck_assert_str_eq(got, states[sizeof states / sizeof *states - 1]);
	wire_close();
}
END_TEST

START_TEST(flush_brings_an_answer_of_ours)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(b, "Q=BEGIN");
	serve(one, "Q=BEGIN");
	gets(b, "D=BEGIN C Z");
	ask(b, "P:t=text H");
	hear(one);
	answer(one);
	gets(b, "1");
	ask(b, "C:t H");
	hear(one);
	answer(one);
	gets(b, "3");
	ask(b, "B:t H");
	hear(one);
	answer(one);
	gets(b, "E=26000");
	ask(b, "P:u=text B:u E H S");
	hear(one);
	answer(one);
	gets(b, "Z");
	wire_close();
}
END_TEST

START_TEST(many_in_one_write)
{
	size_t length;
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	out_size = 0;
	for (int i = 0; i < 300; i++)
		add_words("P:t=text B:t E C:t S");
	wire_send(b, out, out_size);
	do { /* an unread answer would stop it all */
		length = b->length;
		serve_until_quiet(one);
		wire_read(b);
	} while (b->length > length);
	for (int i = 0; i < 300; i++) {
		for (const char *type = "12DC3Z"; *type; type++) {
			ck_assert_msg(wire_next(b), "round %d, %s", i, type);
			ck_assert_int_eq(b->type, *type);
		}
	}
	wire_expect_nothing(b);
	ck_assert_uint_eq(one->prepared, 1);
	wire_expect_pool("active 3 / idle 1");
	wire_close();
}
END_TEST

/* ---- the limit ---- */

START_TEST(the_oldest_is_closed_in_front_of_what_is_new)
{
	begin("max_prepared_statements = 2");
	exchange(a, "P:s=first S", one, "P=first S", "1 Z");
	exchange(a, "P:t=second S", one, "P=second S", "1 Z");
	exchange(a, "B:s E S", one, "B=first E S", "2 D=first C Z");
	exchange(a, "P:u=third B:u E S", one, "C=second P=third B=third E S", "1 2 D=third C Z");
	exchange(a, "B:t E S", one, "C=first P=second B=second E S", "2 D=second C Z");
	exchange(b, "P:x=fourth B:x E S", one, "C=third P=fourth B=fourth E S", "1 2 D=fourth C Z");
	ck_assert_uint_eq(named(one), 2);
	wire_close();
}
END_TEST

START_TEST(more_than_the_limit_in_one_pipeline)
{
	begin("max_prepared_statements = 1");
	exchange(a, "P:s=first S", one, "P=first S", "1 Z");
	exchange(a, "P:t=second S", one, "C=first P=second S", "1 Z");
	ask(a, "B:s E B:t E B:s E S");
	serve_until_quiet(one);
	gets(a, "2 D=first C 2 D=second C 2 D=first C Z");
	ck_assert_uint_eq(one->prepared, 5);
	ck_assert_uint_eq(named(one), 1);
	wire_close();
}
END_TEST

/* ---- errors ---- */

START_TEST(after_an_error_nothing_of_ours_is_answered_or_remembered)
{
	begin(NULL);
	exchange(a, "P:s=text P:f=fail S", one, "P=text P=fail S", "1 1 Z");
	ask(b, "P:f=fail B:f E P:t=text C:f P:u=new B:t E S");
	hear(one);
	answer(one);
	gets(b, "1 2 E=22012 Z");
	one->heard[0] = '\0';
	ask(b, "B:t S");
	hear(one);
	answer(one);
	gets(b, "E=26000 Z");
	one->heard[0] = '\0';
	exchange(b, "P:u=new B:u E S", one, "P=new B=new E S", "1 2 D=new C Z");
	exchange(b, "B:f E S", one, "B=fail E S", "2 E=22012 Z");
	wire_close();
}
END_TEST

START_TEST(a_parse_of_ours_that_was_skipped_is_sent_again)
{
	begin(NULL);
	exchange(a, "P:s=text P:f=fail S", one, "P=text P=fail S", "1 1 Z");
	hold_one();
	ask(a, "B:f E B:s E S");
	open_two();
	hear(two);
	answer(two);
	gets(a, "2 E=22012 Z");
	two->heard[0] = '\0';
	exchange(a, "B:s E S", two, "P=text B=text E S", "2 D=text C Z");
	exchange(a, "B:s E S", two, "B=text E S", "2 D=text C Z");
	wire_close();
}
END_TEST

START_TEST(a_close_of_ours_that_was_skipped_is_not_forgotten)
{
	begin("max_prepared_statements = 2");
	exchange(a, "P:f=fail P:s=first S", one, "P=fail P=first S", "1 1 Z");
	ask(a, "B:f E P:t=second B:t E S");
	hear(one);
	answer(one);
	gets(a, "2 E=22012 Z");
	for (int i = 0; i < 3; i++) {
		one->heard[0] = '\0';
		ask(a, "B:s E S");
		hear(one);
		answer(one);
		gets(a, "2 D=first C Z");
		ask(a, i ? "B:t E S" : "P:t=second B:t E S");
		hear(one);
		answer(one);
		gets(a, i ? "2 D=second C Z" : "1 2 D=second C Z");
		ck_assert_uint_le(named(one), 2);
	}
	wire_close();
}
END_TEST

START_TEST(a_parse_of_ours_that_fails_is_the_error_of_the_request)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	hold_one();
	ask(a, "B:s E B:s E S");
	open_two();
	hear(two);
	ck_assert_str_eq(two->heard, "P=text B=text E B=text E S");
	two->heard[0] = '\0';
	/* as if its table were gone */
	two->out_size = 0;
	forget(two, two->names[0].name);
	reply_error(two, "42P01", "no table");
	reply(two, 'Z', "I", 1);
	answer(two);
	gets(a, "E=42P01 Z");
	exchange(a, "B:s E S", two, "P=text B=text E S", "2 D=text C Z");
	wire_close();
}
END_TEST

START_TEST(a_parse_that_fails_defines_nothing)
{
	begin(NULL);
	exchange(a, "P:s=bad B:s E S", one, "P=bad B=- E S", "E=42601 Z");
	ask(a, "B:s S");
	hear(one);
	answer(one);
	gets(a, "E=26000 Z");
	one->heard[0] = '\0';
	exchange(b, "P:s=bad S", one, "P=bad S", "E=42601 Z");
	exchange(a, "P:s=good B:s E S", one, "P=good B=good E S", "1 2 D=good C Z");
	ck_assert_uint_eq(named(one), 1);
	wire_close();
}
END_TEST

START_TEST(refusals_stand_in_their_place)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(a, "Q=before B:none E B:s E S Q=between P:s=text S D:none C:s H S B:s E S Q=after");
	/* what waits for earlier answers is sent when they have come */
	for (int i = 0; i < 20; i++) {
		hear(one);
		answer(one);
	}
	gets(a,
	     "D=before C Z E=26000 Z D=between C Z E=42P05 Z E=26000 Z 2 D=text C Z D=after C Z");
	wire_expect_pool("active 3 / idle 1");
	wire_close();
}
END_TEST

START_TEST(a_server_goes_to_nobody_while_it_skips_to_sync)
{
	begin("default_pool_size = 1");
	exchange(a, "P:s=text P:f=fail S", one, "P=text P=fail S", "1 1 Z");
	ask(a, "B:f E H");
	hear(one);
	answer(one);
	gets(a, "2 E=22012");
	one->heard[0] = '\0';
	ask(b, "P:s=text B:s E S");
	hear(one);
	ck_assert_str_eq(one->heard, "");
	ask(a, "P:u=other C:s S");
	hear(one);
	answer(one);
	gets(a, "Z");
	hear(one);
	answer(one);
	gets(b, "1 2 D=text C Z");
	one->heard[0] = '\0';
	exchange(a, "B:s E S", one, "B=text E S", "2 D=text C Z");
	wire_close();
}
END_TEST

/* ---- the unnamed statement ---- */

START_TEST(the_unnamed_statement_is_put_back)
{
	begin("default_pool_size = 1");
	exchange(a, "P:=mine S", one, "P=mine S", "1 Z");
	exchange(b, "P:=yours S", one, "P=yours S", "1 Z");
	exchange(a, "B: E S", one, "P=mine B=mine E S", "2 D=mine C Z");
	exchange(a, "B: E S", one, "B=mine E S", "2 D=mine C Z");
	exchange(b, "D: S", one, "P=yours D=yours S", "t n Z");
	exchange(c, "Q=simple", one, "Q=simple", "D=simple C Z");
	exchange(b, "B: E S", one, "P=yours B=yours E S", "2 D=yours C Z");
	exchange(b, "Q=simple", one, "Q=simple", "D=simple C Z");
	ask(b, "B: E S");
	hear(one);
	answer(one);
	gets(b, "E=26000 Z");
	ask(c, "B: E S");
	hear(one);
	answer(one);
	gets(c, "E=26000 Z");
	wire_close();
}
END_TEST

START_TEST(an_unnamed_parse_of_ours_that_was_skipped_is_sent_again)
{
	begin("default_pool_size = 1");
	exchange(a, "P:f=fail P:=mine S", one, "P=fail P=mine S", "1 1 Z");
	exchange(b, "P:=yours S", one, "P=yours S", "1 Z");
	ask(a, "B:f E B: E S");
	serve_until_quiet(one);
	gets(a, "2 E=22012 Z");
	exchange(a, "B: E S", one, "P=mine B=mine E S", "2 D=mine C Z");
	exchange(b, "B: E S", one, "P=yours B=yours E S", "2 D=yours C Z");
	/* the client's own that was skipped is not there, the one before it is */
	ask(a, "B:f E P:=newer S");
	serve_until_quiet(one);
	gets(a, "2 E=22012 Z");
	exchange(a, "B: E S", one, "P=mine B=mine E S", "2 D=mine C Z");
	/* one that failed leaves none */
	exchange(a, "P:=bad S", one, "P=bad S", "E=42601 Z");
	ask(a, "B: E S");
	serve_until_quiet(one);
	gets(a, "E=26000 Z");
	exchange(b, "B: E S", one, "P=yours B=yours E S", "2 D=yours C Z");
	wire_close();
}
END_TEST

/* Someone else's takes its place at the server. */
static void replace_unnamed(struct wire_peer *client)
{
	exchange(client, "P:=yours S", one, "P=yours S", "1 Z");
}

START_TEST(of_several_unnamed_the_last_that_was_done_is_put_back)
{
	char words[SAID] = "", heard[SAID] = "", answers[SAID] = "";
	begin("default_pool_size = 1");
	exchange(a, "P:f=fail S", one, "P=fail S", "1 Z");
	exchange(a, "P:=first B: E P:=second_and_longer B: E B:f E P:=third B: E P:=fourth S", one,
		 "P=first B=first E P=second and longer B=second and longer E B=fail E P=third "
		 "B=second and longer E "
		 "P=fourth S",
		 "1 2 D=first C 1 2 D=second and longer C 2 E=22012 Z");
	replace_unnamed(b);
	exchange(a, "B: E S", one, "P=second and longer B=second and longer E S",
		 "2 D=second and longer C Z");
	/* one that fails leaves none, whatever was to come behind it */
	exchange(a, "P:=first B: E P:=bad P:=third S P:=fourth B: E S", one,
		 "P=first B=first E P=bad P=third S P=fourth B=fourth E S",
		 "1 2 D=first C E=42601 Z 1 2 D=fourth C Z");
	replace_unnamed(b);
	exchange(a, "B: E P:=bad S", one, "P=fourth B=fourth E P=bad S", "2 D=fourth C E=42601 Z");
	replace_unnamed(b);
	ask(a, "B: E S");
	serve_until_quiet(one);
	gets(a, "E=26000 Z");
	/* many under way */
	for (int i = 0; i < 300; i++) {
		note(words, "P:=number_%d", i);
		note(heard, "P=number %d", i);
		note(answers, "1");
	}
	note(words, "S");
	note(heard, "S");
	note(answers, "Z");
	exchange(a, words, one, heard, answers);
	replace_unnamed(b);
	exchange(a, "B: E S", one, "P=number 299 B=number 299 E S", "2 D=number 299 C Z");
	wire_close();
}
END_TEST

START_TEST(an_unnamed_one_is_put_back_before_the_next_in_the_same_write)
{
	begin("default_pool_size = 1");
	exchange(a, "P:=mine P:s=text S", one, "P=mine P=text S", "1 1 Z");
	replace_unnamed(b);
	exchange(a, "B: E P:=a_longer_one_than_mine B: E B:s E S", one,
		 "P=mine B=mine E P=a longer one than mine B=a longer one than mine E B=text E S",
		 "2 D=mine C 1 2 D=a longer one than mine C 2 D=text C Z");
	/* so many that the room for their texts has to move */
	char words[SAID] = "B: E",
	     heard[SAID] = "P=a longer one than mine B=a longer one than mine E";
	char answers[SAID] = "2 D=a longer one than mine C";
	replace_unnamed(b);
	for (int i = 0; i < 100; i++) {
		note(words, "P:=number_%d", i);
		note(heard, "P=number %d", i);
		note(answers, "1");
	}
	note(words, "S");
	note(heard, "S");
	note(answers, "Z");
	exchange(a, words, one, heard, answers);
	wire_close();
}
END_TEST

/* Where a body is cut at bytes that look like a Sync it is no end; the rest finds its server. */
START_TEST(a_body_that_is_cut_behind_a_sync_is_no_end)
{
	static const char body[] = "\0s\0\0\0\0\1\0\0\0\5S\0\0\0\4\0\0";
	enum { CUT = 5 + sizeof body - 3 };
	begin("default_pool_size = 1");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	out_size = 0;
	add('B', body, sizeof body - 1);
	add_words("E S");
	wire_send(a, out, CUT);
	hear(one);
	ck_assert_str_eq(one->heard, "");
	wire_expect_nothing(a);
	wire_send(a, out + CUT, out_size - CUT);
	serve(one, "B=text E S");
	gets(a, "2 D=text C Z");
	exchange(b, "P:t=text B:t E S", one, "B=text E S", "1 2 D=text C Z");
	wire_close();
}
END_TEST

/* ---- all gone ---- */

START_TEST(deallocate_all_is_of_this_client_and_this_server)
{
	begin(NULL);
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	exchange(b, "P:t=text S", one, "S", "1 Z");
	exchange(a, "Q=DEALLOCATE_ALL", one, "Q=DEALLOCATE ALL", "D=DEALLOCATE ALL C Z");
	exchange(b, "B:t E S", one, "P=text B=text E S", "2 D=text C Z");
	ask(a, "B:s E S");
	hear(one);
	answer(one);
	gets(a, "E=26000 Z");
	one->heard[0] = '\0';
	exchange(a, "P:s=text B:s E S", one, "B=text E S", "1 2 D=text C Z");
	wire_close();
}
END_TEST

/* ---- pieces ---- */

#define SCENE                                                                                     \
	"P:s=first D:s B:s E S Q=simple P:s=again S B:s E C:s C:t P:t=second B:t E S B:none E S " \
	"P:=unnamed B: E P:f=fail B:f E P:u=lost S B: E H B:t E S C:t P:t=bad B:t S P:t=third S " \
	"Q=DEALLOCATE_ALL B:t S P:t=third B:t E S"
#define SCENE_ANSWERS                                                                              \
	"1 t n 2 D=first C Z D=simple C Z E=42P05 Z 2 D=first C 3 3 1 2 D=second C Z E=26000 Z 1 " \
	"2 "                                                                                       \
	"D=unnamed C 1 2 E=22012 Z 2 D=unnamed C 2 D=second C Z 3 E=42601 Z 1 Z D=DEALLOCATE ALL " \
	"C "                                                                                       \
	"Z E=26000 Z 1 2 D=third C Z"

/* Everything in pieces of this size in both directions; what is answered is read at once, or small
 * pieces would fill the kernel's buffers. */
static void answer_in_pieces(struct answerer *by, struct wire_peer *client, size_t size)
{
	for (size_t at = 0; at < by->out_size; at += size) {
		wire_send(by->peer, by->out + at,
			  by->out_size - at < size ? by->out_size - at : size);
		wire_read(client);
	}
	by->out_size = 0;
}

static void play_scene(size_t first, size_t pieces)
{
	char got[SAID] = "";
	out_size = 0;
	add_words(SCENE);
	for (size_t at = 0, size = first; at < out_size; at += size, size = pieces) {
		wire_send(a, out + at, out_size - at < size ? out_size - at : size);
		if (at / pieces % 3 == 0) {
			hear(one);
			answer_in_pieces(one, a, pieces);
		}
	}
	for (int i = 0; i < 40; i++) {
		hear(one);
		answer_in_pieces(one, a, pieces);
	}
	while (wire_next(a))
		show_message(a, got);
	ck_assert_str_eq(got, SCENE_ANSWERS);
	wire_expect_pool("active 3 / idle 1");
	/* The same again must be possible. */
	ask(a, "C: C:t Q=DEALLOCATE_ALL");
	serve_until_quiet(one);
	gets(a, "3 3 D=DEALLOCATE ALL C Z");
}

START_TEST(bytes_may_come_in_pieces_of_any_size)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 9, 14, 33};
	begin("max_prepared_statements = 2");
	play_scene(sizes[_i], sizes[_i]);
	play_scene(sizes[_i], sizes[_i]);
	wire_close();
}
END_TEST

START_TEST(the_scene_may_be_cut_anywhere)
{
	begin("max_prepared_statements = 2");
	out_size = 0;
	add_words(SCENE);
	size_t size = out_size;
	for (size_t cut = (size_t)_i + 1; cut < size; cut += 8) {
		play_scene(cut, BYTES);
	}
	wire_close();
}
END_TEST

/* ---- the end of one side ---- */

/* How far it came before it vanished. */
START_TEST(a_client_vanishes_with_requests_under_way)
{
	begin("default_pool_size = 1");
	exchange(a, "P:s=text P:f=fail S", one, "P=text P=fail S", "1 1 Z");
	out_size = 0;
	add_words("P:t=text P:new=new B:t E C:s B:f E B:new E S P:=unnamed B: E S");
	size_t size = out_size;
	for (size_t cut = 1; cut <= size; cut += 7) {
		out_size = 0;
		add_words("P:t=text P:new=new B:t E C:s B:f E B:new E S P:=unnamed B: E S");
		wire_send(a, out, cut);
		hear(one);
		if (cut % 2)
			answer(one);
		wire_hang_up(a);
		wire_advance(6 * USEC_PER_SECOND);
		if (wire_is_closed(one->peer)) {
			one->peer = NULL;
		} else {
			hear(one);
			answer(one);
		}
		ask(b, cut % 3 ? "P:x=text B:x E P:y=new B:y E C:x C:y S" : "P:=unnamed B: E S");
		if (!one->peer) {
			one->heard[0] = '\0';
			one = answerer(wire_server());
		}
		hear(one);
		answer(one);
		gets(b, cut % 3 ? "1 2 D=text C 1 2 D=new C 3 3 Z" : "1 2 D=unnamed C Z");
		a = wire_client();
		one->heard[0] = '\0';
	}
	wire_close();
}
END_TEST

START_TEST(a_client_vanishes_while_its_requests_wait_for_answers)
{
	begin("default_pool_size = 1\nmax_prepared_statements = 1");
	exchange(a, "P:s=first S", one, "P=first S", "1 Z");
	exchange(a, "P:t=second S", one, "C=first P=second S", "1 Z");
	ask(a, "B:s E B:t E B:s E S B:t E S");
	if (_i & 1) {
		hear(one);
		size_t half = one->out_size / 2;
		wire_send(one->peer, one->out, half);
		one->out_size -= half;
		memmove(one->out, one->out + half, one->out_size);
	}
	if (_i & 2) {
		wire_read(a);
		a->length = 0;
	}
	wire_hang_up(a);
	wire_advance(20 * USEC_PER_SECOND);
	for (int i = 0; i < 10 && !wire_is_closed(one->peer); i++) {
		hear(one);
		if (one->out_size)
			wire_try(one->peer, one->out, one->out_size);
		one->out_size = 0;
		wire_settle();
	}
	ck_assert_str_eq(wire_state(a), "gone");
	ask(b, "P:x=first B:x E S");
	hear(one);
	if (wire_is_closed(one->peer)) {
		one = answerer(wire_server());
		hear(one);
	}
	serve_until_quiet(one);
	gets(b, "1 2 D=first C Z");
	wire_close();
}
END_TEST

START_TEST(a_server_dies_with_requests_under_way)
{
	begin("default_pool_size = 1\nserver_login_retry = 0");
	exchange(b, "P:s=text S", one, "P=text S", "1 Z");
	exchange(b, "P:=unnamed S", one, "P=unnamed S", "1 Z");
	ask(a, "P:t=text B:t E P:new=new S");
	hear(one);
	size_t part = one->out_size * (size_t)_i / 4;
	wire_send(one->peer, one->out, part);
	wire_hang_up(one->peer);
	one->peer = NULL;
	wire_read(a);
	wire_expect_closed(a);
	ask(b, "B:s E S B: E S");
	one = answerer(wire_server());
	for (int i = 0; i < 4; i++) {
		hear(one);
		answer(one);
	}
	ck_assert_str_eq(one->heard, "P=text B=text E S P=unnamed B=unnamed E S");
	gets(b, "2 D=text C Z 2 D=unnamed C Z");
	wire_close();
}
END_TEST

START_TEST(a_server_dies_that_nobody_uses)
{
	begin("default_pool_size = 1\nserver_login_retry = 0");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	wire_hang_up(one->peer);
	one->peer = NULL;
	ask(a, "D:s S");
	one = answerer(wire_server());
	serve(one, "P=text D=text S");
	gets(a, "t n Z");
	wire_close();
}
END_TEST

/* ---- at random ---- */

enum { CLIENTS = 5, STEPS = 1500, EXPECTED = 1 << 15 };

struct asker {
	struct wire_peer *peer;
	char names[6][TEXT]; /* text of each name; "": not there; the first is the unnamed */
	bool skips, in_transaction;
	char expected[EXPECTED], got[EXPECTED];
};

static struct asker askers[CLIENTS];

static void expect(struct asker *asker, const char *words)
{
	char *at = asker->expected;
	if (*at)
		strcat(at, " ");
	ck_assert_uint_lt(strlen(at) + strlen(words) + 1, EXPECTED);
	strcat(at, words);
}

static void fails(struct asker *asker, const char *words)
{
	expect(asker, words);
	asker->skips = true;
}

static void say_parse(struct asker *asker, unsigned n, const char *name)
{
	static const char *const texts[] = {"first", "second", "third", "fourth", "fail1", "bad1"};
	const char *text = texts[wire_roll(6)];
	add_parse(name, text);
	if (asker->skips)
		return;
	if (n && asker->names[n][0]) {
		fails(asker, "E=42P05");
		return;
	}
	asker->names[n][0] = '\0';
	if (text[0] == 'b') {
		fails(asker, "E=42601");
		return;
	}
	strcpy(asker->names[n], text);
	expect(asker, "1");
}

static void say_bind(struct asker *asker, unsigned n, const char *name)
{
	char words[TEXT + 8];
	add_bind(name);
	add_words("E");
	if (asker->skips)
		return;
	if (!asker->names[n][0]) {
		fails(asker, "E=26000");
		return;
	}
	expect(asker, "2");
	if (!strncmp(asker->names[n], "fail", 4)) {
		fails(asker, "E=22012");
		return;
	}
	snprintf(words, sizeof words, "D=%s C", asker->names[n]);
	expect(asker, words);
}

static void say_sync(struct asker *asker)
{
	add_words("S");
	asker->skips = false;
	expect(asker, "Z");
}

static void say_query(struct asker *asker)
{
	char text[16] = "BEGIN", words[64];
	if (asker->skips)
		return;
	switch (wire_roll(4)) {
	case 0:
		strcpy(text, asker->in_transaction ? "COMMIT" : "BEGIN");
		asker->in_transaction = !asker->in_transaction;
		break;
	case 1:
		strcpy(text, "DEALLOCATE ALL");
		memset(asker->names, 0, sizeof asker->names);
		break;
	default:
		strcpy(text, "simple");
	}
	asker->names[0][0] = '\0';
	add('Q', text, strlen(text) + 1);
	snprintf(words, sizeof words, "D=%s C Z", text);
	expect(asker, words);
}

static void say_something(struct asker *asker)
{
	static const char *const names[] = {"", "a", "b", "c", "d", "e"};
	unsigned n = wire_roll(6);
	switch (wire_roll(12)) {
	case 0:
	case 1:
	case 2:
		say_parse(asker, n, names[n]);
		break;
	case 3:
		add_named('C', names[n]);
		if (asker->skips)
			break;
		asker->names[n][0] = '\0';
		expect(asker, "3");
		break;
	case 4:
		add_named('D', names[n]);
		if (asker->skips)
			break;
		if (asker->names[n][0])
			expect(asker, "t n");
		else
			fails(asker, "E=26000");
		break;
	case 5:
		say_sync(asker);
		break;
	case 6:
		say_sync(asker);
		say_query(asker);
		break;
	case 7:
		add_words("H");
		break;
	default:
		say_bind(asker, n, names[n]);
	}
}

static void hear_answers(struct asker *asker)
{
	while (wire_next(asker->peer))
		show_message(asker->peer, asker->got);
	if (strncmp(asker->got, asker->expected, strlen(asker->got)))
		ck_abort_msg("client %d got\n%s\nwanted\n%s", (int)(asker - askers), asker->got,
			     asker->expected);
}

static bool has_all(const struct asker *asker)
{
	return !strcmp(asker->got, asker->expected);
}

/* Some of it, then the rest. Who left a request behind may have closed the server by now. */
static void answer_if_it_is_there(struct answerer *by)
{
	size_t first = by->out_size ? wire_roll((unsigned)by->out_size) : 0;
	size_t sent = wire_try(by->peer, by->out, first);
	wire_settle();
	if (sent == first)
		wire_try(by->peer, by->out + first, by->out_size - first);
	wire_settle();
	by->out_size = 0;
}

static void serve_all(void)
{
	struct wire_peer *peer = wire_accept();
	if (peer) {
		wire_read(peer);
		peer->length = 0;
		wire_welcome(peer);
		answerer(peer);
	}
	for (struct answerer *by = answerers; by < answerers + SERVERS; by++) {
		if (!by->peer)
			continue;
		hear(by);
		by->heard[0] = '\0';
		answer_if_it_is_there(by);
		if (wire_is_closed(by->peer)) {
			wire_hang_up(by->peer);
			by->peer = NULL;
		}
	}
}

static void arrive(struct asker *asker)
{
	memset(asker, 0, sizeof *asker);
	for (int i = 0; i < 100 && !asker->peer; i++)
		asker->peer = wire_connect();
	wire_say_startup(asker->peer, "u1", NULL, 0);
	for (int i = 0; i < 100; i++) {
		bool ready = false;
		while (wire_next(asker->peer))
			ready = asker->peer->type == 'Z';
		if (ready)
			return;
		serve_all();
	}
	ck_abort_msg("no login");
}

/* In a transaction it keeps a server; there must be one left for the others. */
static unsigned in_transaction(void)
{
	unsigned count = 0;
	for (int i = 0; i < CLIENTS; i++)
		count += askers[i].in_transaction;
	return count;
}

static void take_turn(struct asker *asker, bool vanishes)
{
	out_size = 0;
	asker->expected[0] = asker->got[0] = '\0';
	for (unsigned n = wire_roll(12) + 1; n > 0; n--)
		say_something(asker);
	say_sync(asker);
	if (asker->in_transaction && in_transaction() > 1) {
		asker->in_transaction = false;
		add_words("Q=COMMIT");
		asker->names[0][0] = '\0';
		expect(asker, "D=COMMIT C Z");
	}
	if (vanishes && !wire_roll(15)) {
		wire_send(asker->peer, out, wire_roll((unsigned)out_size));
		if (wire_roll(2))
			serve_all();
		wire_hang_up(asker->peer);
		wire_advance(6 * USEC_PER_SECOND);
		arrive(asker);
		return;
	}
	wire_pieces(wire_roll(3) ? 0 : wire_roll(100) + 20);
	wire_send(asker->peer, out, out_size);
	for (int i = 0; i < 200 && !has_all(asker); i++) {
		serve_all();
		hear_answers(asker);
	}
	if (!has_all(asker))
		ck_abort_msg("client %d got\n%s\nwanted\n%s", (int)(asker - askers), asker->got,
			     asker->expected);
}

START_TEST(at_random_each_client_gets_its_own)
{
	char settings[256];
	wire_seed(((uint64_t)_i + 1) * 0x9e3779b97f4a7c15);
	snprintf(settings, sizeof settings,
		 "server_check_query =\ndefault_pool_size = 2\ncancel_on_disconnect = 0\n"
		 "server_round_robin = %u\n"
		 "max_prepared_statements = %u",
		 wire_roll(2), wire_roll(3) ? wire_roll(4) + 1 : 200);
	memset(answerers, 0, sizeof answerers);
	wire_open(settings, NULL);
	for (int i = 0; i < CLIENTS; i++)
		arrive(&askers[i]);
	for (int step = 0; step < STEPS; step++)
		take_turn(&askers[wire_roll(CLIENTS)], _i % 2);
	wire_close();
}
END_TEST

/* ---- what happens seldom ---- */

static uint8_t much[1 << 21];

/* Clients a and b on server one, without a cancel or a query of ours unless @settings say so. */
static void begin_bare(const char *settings)
{
	char text[512];
	memset(answerers, 0, sizeof answerers);
	snprintf(text, sizeof text, "server_check_query =\nmax_prepared_statements = %s", settings);
	wire_open(text, NULL);
	a = wire_client();
	one = answerer(wire_first_server());
	b = wire_client();
}

/* Server one hears just these words and says that a plan is stale, but not yet that it is ready. */
static void serve_stale(const char *words)
{
	hear(one);
	ck_assert_str_eq(one->heard, words);
	one->heard[0] = '\0';
	one->out_size = 0;
	wire_error(one->peer, "ERROR", "0A000", "cached plan must not change result type");
}

static size_t put_large_parse(uint8_t *at, const char *name, size_t size)
{
	size_t n = strlen(name) + 1;
	uint8_t *body = malloc(n + size + 3);
	ck_assert_ptr_nonnull(body);
	memcpy(body, name, n);
	memset(body + n, 'x', size);
	memset(body + n + size, 0, 3);
	n = wire_put(at, 'P', body, n + size + 3);
	free(body);
	return n;
}

/* Everything that a peer can get, however often the sockets are full. */
static size_t take_all(struct wire_peer *peer)
{
	static uint8_t taken[1 << 16];
	size_t total = 0, n;
	wire_settle();
	while ((n = wire_take(peer, taken, sizeof taken))) {
		total += n;
		wire_settle();
	}
	return total;
}

START_TEST(what_was_to_be_said_again_ends_with_the_server_s_last_word)
{
	static const char fatal[] = "SFATAL\0VFATAL\0C57P01\0Mbye\0";
	uint8_t bytes[256];
	begin_bare("10");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(a, "B:s E S");
	serve_stale("B=text E S");
	size_t size = wire_put(bytes, 'Z', "I", 1);
	size += wire_put(bytes + size, 'E', fatal, sizeof fatal);
	wire_push(one->peer, bytes, size);
	wire_hang_up(one->peer);
	one->peer = NULL;
	wire_expect_error(a, "FATAL", "57P01", "bye");
	wire_expect_closed(a);
	wire_close();
}
END_TEST

START_TEST(what_was_to_be_said_again_ends_with_its_client)
{
	begin_bare("10\ncancel_on_disconnect = 1");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(a, "B:s E S");
	wire_server_says(one->peer, "N");
	serve_stale("B=text E S");
	wire_hang_up(a);
	struct wire_peer *carrier = wire_accept();
	ck_assert_ptr_nonnull(carrier);
	wire_read(carrier);
	wire_server_says(one->peer, "Z");
	wire_hang_up(carrier);
	wire_expect_pool("active 1 / idle 1");
	exchange(b, "P:x=other S", one, "P=other S", "1 Z");
	exchange(b, "B:x E S", one, "B=other E S", "2 D=other C Z");
	wire_close();
}
END_TEST

/* A cancel of the request is under way, so that the server may not hear it again yet. */
START_TEST(what_comes_meanwhile_is_said_behind_what_is_said_again)
{
	begin_bare("10");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(a, "B:s E S");
	struct wire_peer *asker = wire_connect();
	uint8_t packet[16] = {0, 0, 0, 16, 4, 210, 22, 46};
	memcpy(packet + 8, a->key, 8);
	wire_send(asker, packet, sizeof packet);
	struct wire_peer *carrier = wire_accept();
	ck_assert_ptr_nonnull(carrier);
	wire_read(carrier);
	serve_stale("B=text E S");
	ask(a, "Q=next");
	wire_hang_up(carrier);
	wire_expect_nothing(one->peer);
	wire_server_says(one->peer, "Z");
	serve_until_quiet(one);
	gets(a, "2 D=text C Z D=next C Z");
	wire_close();
}
END_TEST

START_TEST(a_large_parse_waits_for_its_rest)
{
	enum { LARGE = 400000, FIRST = 300000 };
	begin_bare("10");
	out_size = 0;
	add_words("P:a=text S");
	memcpy(much, out, out_size);
	size_t size = out_size + put_large_parse(much + out_size, "b", LARGE);
	size += wire_put(much + size, 'S', NULL, 0);
	wire_send(a, much, FIRST);
	serve(one, "P=text S");
	gets(a, "1 Z");
	ck_assert_str_ne(wire_state(a), "gone");
	for (size_t at = FIRST; at < size; at += wire_try(a, much + at, size - at))
		wire_settle();
	ck_assert_uint_ge(take_all(one->peer), LARGE);
	wire_server_says(one->peer, "1Z");
	gets(a, "1 Z");
	wire_close();
}
END_TEST

/* Beyond what is kept for a client an unnamed statement is good for its own request only. */
START_TEST(of_very_many_unnamed_not_all_are_kept)
{
	enum { LARGE = 60000, COUNT = 20 };
	char answers[SAID] = "";
	begin_bare("10");
	size_t size = put_large_parse(much, "", LARGE);
	for (int i = 0; i < COUNT; i++) {
		for (size_t at = 0; at < size; at += wire_try(a, much + at, size - at))
			wire_settle();
		take_all(one->peer);
		note(answers, "1");
	}
	note(answers, "Z");
	ask(a, "S");
	take_all(one->peer);
	wire_server_says(one->peer, "11111111111111111111Z");
	gets(a, answers);
	exchange(b, "P:=yours S", one, "P=yours S", "1 Z");
	ask(a, "B: E S");
	serve_until_quiet(one);
	gets(a, "E=26000 Z");
	exchange(a, "P:=mine B: E S", one, "P=mine B=mine E S", "1 2 D=mine C Z");
	exchange(b, "B: E S", one, "P=yours B=yours E S", "2 D=yours C Z");
	exchange(a, "B: E S", one, "P=mine B=mine E S", "2 D=mine C Z");
	wire_close();
}
END_TEST

START_TEST(what_a_full_server_has_no_room_for_waits)
{
	enum { LARGE = 900000, TIMES = 40 };
	begin_bare("1");
	size_t size = put_large_parse(much, "s", LARGE), taken = 0;
	size += wire_put(much + size, 'S', NULL, 0);
	for (size_t at = 0; at < size; at += wire_try(a, much + at, size - at))
		taken += take_all(one->peer);
	taken += take_all(one->peer);
	ck_assert_uint_ge(taken, LARGE);
	wire_server_says(one->peer, "1Z");
	gets(a, "1 Z");
	ask(a, "P:t=small S");
	take_all(one->peer);
	wire_server_says(one->peer, "31Z");
	gets(a, "1 Z");
	out_size = 0;
	for (int i = 0; i < TIMES; i++)
		add_words("B:s E");
	add_words("S");
	wire_send(a, out, out_size);
	ck_assert_uint_ge(take_all(one->peer), LARGE);
	/* A Close and a Parse of ours, and all the rest: none is unexpected. */
	wire_server_says(one->peer, "31");
	for (int i = 0; i < TIMES; i++)
		wire_server_says(one->peer, "2C");
	wire_server_says(one->peer, "Z");
	for (int i = 0; i < TIMES; i++) {
		wire_expect_message(a, '2', "");
		wire_expect_message(a, 'C', "");
	}
	gets(a, "Z");
	ck_assert_str_eq(wire_state(a), "IDLE");
	wire_close();
}
END_TEST

START_TEST(an_error_of_any_length_is_passed_on)
{
	enum { LARGE = 400000 };
	begin_bare("10");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	ask(a, "B:s E C:s S");
	wire_read(one->peer);
	wire_server_says(one->peer, "2");
	memset(much, 'x', LARGE);
	memcpy(much, "SERROR\0VERROR\0CP0001\0M", 22);
	much[LARGE - 2] = much[LARGE - 1] = '\0';
	wire_say(one->peer, 'E', much, LARGE);
	wire_server_says(one->peer, "Z");
	ck_assert_uint_eq(take_all(a), 5 + 5 + LARGE + 6);
	wire_expect_open(a);
	wire_close();
}
END_TEST

START_TEST(a_query_of_ours_destroys_the_unnamed_statement)
{
	begin_bare("10\nserver_reset_query_always = 1\nserver_reset_query = SELECT 1");
	ask(a, "P:=text S");
	serve(one, "P=text S");
	gets(a, "1 Z");
	wire_read(one->peer);
	serve(one, "Q=SELECT 1");
	ask(a, "B: E S");
	serve(one, "P=text B=text E S");
	gets(a, "2 D=text C Z");
	wire_close();
}
END_TEST

/* A statement was dropped in a way that we do not see, as by EXECUTE of a text in a function. */
START_TEST(a_server_that_lacks_a_statement_is_not_used_again)
{
	begin_bare("10");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	char message[128];
	snprintf(message, sizeof message, "prepared statement \"%s\" does not exist",
		 one->names[0].name);
	ask(a, "B:s E S");
	wire_read(one->peer);
	wire_error(one->peer, "ERROR", "26000", message);
	wire_server_says(one->peer, "Z");
	gets(a, "E=26000 Z");
	wire_read(one->peer);
	wire_expect_closed(one->peer);
	one->peer = NULL;
	ask(a, "B:s E S");
	one = answerer(wire_server());
	wire_read(one->peer);
	serve(one, "P=text B=text E S");
	gets(a, "2 D=text C Z");
	wire_close();
}
END_TEST

START_TEST(a_name_taken_twice_is_not_believed)
{
	begin_bare("10");
	exchange(a, "P:s=text S", one, "P=text S", "1 Z");
	for (int i = 0; i < NAMES; i++)
		one->names[i].taken = false;
	ask(a, "P:s=another S");
	serve(one, "P=another S");
	wire_expect_fatal(a, "08006", "server broke the protocol");
	wire_close();
}
END_TEST

Suite *suite_prepared(void)
{
	Suite *suite = suite_create("wire/prepared");
	TCase *tcase = tcase_create("prepared");
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, a_parse_goes_in_front_of_bind_where_the_server_lacks_it);
	tcase_add_test(tcase, a_parse_goes_in_front_of_describe_where_the_server_lacks_it);
	tcase_add_test(tcase, each_goes_in_front_of_its_own_and_once);
	tcase_add_test(tcase, what_the_server_has_is_answered_in_its_place);
	tcase_add_test(tcase, flush_brings_an_answer_of_ours);
	tcase_add_test(tcase, many_in_one_write);
	tcase_add_test(tcase, the_oldest_is_closed_in_front_of_what_is_new);
	tcase_add_test(tcase, more_than_the_limit_in_one_pipeline);
	tcase_add_test(tcase, after_an_error_nothing_of_ours_is_answered_or_remembered);
	tcase_add_test(tcase, a_parse_of_ours_that_was_skipped_is_sent_again);
	tcase_add_test(tcase, a_close_of_ours_that_was_skipped_is_not_forgotten);
	tcase_add_test(tcase, a_parse_of_ours_that_fails_is_the_error_of_the_request);
	tcase_add_test(tcase, a_parse_that_fails_defines_nothing);
	tcase_add_test(tcase, refusals_stand_in_their_place);
	tcase_add_test(tcase, a_server_goes_to_nobody_while_it_skips_to_sync);
	tcase_add_test(tcase, the_unnamed_statement_is_put_back);
	tcase_add_test(tcase, an_unnamed_parse_of_ours_that_was_skipped_is_sent_again);
	tcase_add_test(tcase, of_several_unnamed_the_last_that_was_done_is_put_back);
	tcase_add_test(tcase, an_unnamed_one_is_put_back_before_the_next_in_the_same_write);
	tcase_add_test(tcase, a_body_that_is_cut_behind_a_sync_is_no_end);
	tcase_add_test(tcase, deallocate_all_is_of_this_client_and_this_server);
	tcase_add_loop_test(tcase, bytes_may_come_in_pieces_of_any_size, 0, 10);
	tcase_add_loop_test(tcase, the_scene_may_be_cut_anywhere, 0, 8);
	tcase_add_test(tcase, a_client_vanishes_with_requests_under_way);
	tcase_add_loop_test(tcase, a_client_vanishes_while_its_requests_wait_for_answers, 0, 4);
	tcase_add_loop_test(tcase, a_server_dies_with_requests_under_way, 0, 4);
	tcase_add_test(tcase, a_server_dies_that_nobody_uses);
	tcase_add_test(tcase, what_was_to_be_said_again_ends_with_the_server_s_last_word);
	tcase_add_test(tcase, what_was_to_be_said_again_ends_with_its_client);
	tcase_add_test(tcase, what_comes_meanwhile_is_said_behind_what_is_said_again);
	tcase_add_test(tcase, a_large_parse_waits_for_its_rest);
	tcase_add_test(tcase, of_very_many_unnamed_not_all_are_kept);
	tcase_add_test(tcase, what_a_full_server_has_no_room_for_waits);
	tcase_add_test(tcase, an_error_of_any_length_is_passed_on);
	tcase_add_test(tcase, a_query_of_ours_destroys_the_unnamed_statement);
	tcase_add_test(tcase, a_server_that_lacks_a_statement_is_not_used_again);
	tcase_add_test(tcase, a_name_taken_twice_is_not_believed);
	tcase_add_loop_test(tcase, at_random_each_client_gets_its_own, 0, 8);
	suite_add_tcase(suite, tcase);
	return suite;
}
