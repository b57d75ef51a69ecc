/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/pipeline.h"
#include "suites.h"
#include <string.h>

/* A script is a line of moves in the order in which they happen: ">Q" the client sends a Query,
 * "<Z" the server sends ReadyForQuery. "<!X" is a message that the server may not send now. '!' as
 * a type is our own query. */
static struct pipeline pipeline;
static bool takes_short_ways;

static void setup(void)
{
	pipeline_init(&pipeline);
	takes_short_ways = false;
}

static void setup_short(void)
{
	pipeline_init(&pipeline);
	takes_short_ways = true;
}

static void teardown(void)
{
	pipeline_fini(&pipeline);
}

/* The short ways must lead to the same. */
static bool is_sent(uint8_t type)
{
	return (takes_short_ways && pipeline_sent_usual(&pipeline, type)) ||
	       pipeline_sent(&pipeline, type);
}

static bool is_received(uint8_t type)
{
	if (!takes_short_ways || type == 'E')
		return pipeline_received(&pipeline, type);
	return type == 'Z' ? pipeline_ready(&pipeline, type) : pipeline_complete(&pipeline, type);
}

static void move(char direction, bool allowed, uint8_t type, const char *script, const char *rest)
{
	bool done = direction == '>' ? is_sent(type) : is_received(type);
	if (done != allowed)
		ck_abort_msg("'%c' was %s in \"%s\" before \"%s\"", type,
			     done ? "allowed" : "refused", script, rest);
}

static void play(const char *script)
{
	for (const char *at = script; *at;) {
		if (*at == ' ') {
			at++;
			continue;
		}
		char direction = *at++;
		bool allowed = direction == '>' || *at != '!';
		for (at += !allowed; *at && *at != ' '; at++)
			move(direction, allowed, (uint8_t)*at, script, at + 1);
	}
}

static void idle_after(const char *script)
{
	play(script);
	ck_assert_msg(pipeline_is_idle(&pipeline), "not idle after \"%s\"", script);
	ck_assert(!pipeline_owes_ready(&pipeline));
	ck_assert_uint_eq(pipeline_front(&pipeline), 0);
}

static void busy_after(const char *script)
{
	play(script);
	ck_assert_msg(!pipeline_is_idle(&pipeline), "idle after \"%s\"", script);
}

/* From a fresh pipeline, busy before the last move and idle after it. */
static void frees(const char *script)
{
	size_t last = strlen(script);
	char before[256];
	while (script[last - 1] != ' ')
		last--;
	memcpy(before, script, last);
	before[last] = '\0';
	teardown();
	busy_after(before);
	idle_after(script + last);
}

/* All answered, but perhaps once too few: after a fresh pipeline. */
static void spent_after(const char *script)
{
	teardown();
	busy_after(script);
	ck_assert_msg(pipeline_is_spent(&pipeline), "not spent after \"%s\"", script);
	ck_assert(!pipeline_owes_ready(&pipeline));
}

START_TEST(a_new_pipeline_is_idle)
{
	idle_after("");
}
END_TEST

START_TEST(a_query_is_owed_until_ready_for_query)
{
	busy_after(">Q");
	ck_assert(pipeline_owes_ready(&pipeline));
	ck_assert_uint_eq(pipeline_front(&pipeline), 'Q');
	busy_after("<T <C");
	busy_after("<C <I");
	idle_after("<Z");
}
END_TEST

START_TEST(every_query_in_flight_is_counted)
{
	busy_after(">QQQ <C <Z");
	busy_after("<C <Z");
	ck_assert(pipeline_owes_ready(&pipeline));
	idle_after("<C <Z");
}
END_TEST

START_TEST(a_query_that_fails_is_owed_its_ready_for_query)
{
	busy_after(">QQ <E");
	busy_after("<Z");
	idle_after("<C <Z");
	idle_after(">Q <E <Z");
}
END_TEST

START_TEST(our_own_query_counts_like_a_query)
{
	busy_after(">!");
	ck_assert_uint_eq(pipeline_front(&pipeline), PIPELINE_INTERNAL);
	ck_assert(pipeline_owes_ready(&pipeline));
	busy_after(">Q <C <Z");
	ck_assert_uint_eq(pipeline_front(&pipeline), 'Q');
	idle_after("<C <Z");
}
END_TEST

START_TEST(a_function_call_is_owed_until_ready_for_query)
{
	busy_after(">F <V");
	ck_assert(pipeline_owes_ready(&pipeline));
	idle_after("<Z");
	idle_after(">F <E <Z");
	play(">F");
	play("<!C <!T <!1");
	idle_after("<V <Z");
}
END_TEST

START_TEST(an_extended_request_ends_at_its_sync)
{
	frees(">PBDES <1 <2 <T <C <Z");
	frees(">PDS <1 <t <n <Z");
	frees(">BES <2 <s <Z");
	frees(">ES <I <Z");
	frees(">CS <3 <Z");
	frees(">S <Z");
}
END_TEST

START_TEST(extended_messages_without_sync_keep_the_server)
{
	busy_after(">PBE <1 <2 <C");
	ck_assert_uint_eq(pipeline_front(&pipeline), 0);
	ck_assert(!pipeline_owes_ready(&pipeline));
	busy_after(">H");
	busy_after(">S");
	ck_assert(pipeline_owes_ready(&pipeline));
	idle_after("<Z");
}
END_TEST

START_TEST(flush_and_copy_data_are_owed_nothing)
{
	idle_after(">H");
	idle_after(">dd");
	idle_after(">c");
	idle_after(">f");
	idle_after(">X");
}
END_TEST

START_TEST(several_syncs_are_counted)
{
	busy_after(">PBESPBES <1 <2 <C <Z");
	busy_after("<1 <2 <C");
	idle_after("<Z");
	busy_after(">SSS <Z <Z");
	idle_after("<Z");
}
END_TEST

START_TEST(messages_behind_a_sync_keep_the_server)
{
	busy_after(">PBESP <1 <2 <C <Z");
	busy_after("<1");
	busy_after(">S");
	idle_after("<Z");
}
END_TEST

START_TEST(simple_and_extended_may_follow_each_other)
{
	frees(">PBEQ <1 <2 <C <C <Z");
	frees(">QPBESQ <C <Z <1 <2 <C <Z <C <Z");
	frees(">SQF <Z <C <Z <V <Z");
}
END_TEST

START_TEST(after_an_error_all_up_to_the_sync_is_skipped)
{
	frees(">PBDES <E <Z");
	frees(">PBDES <1 <E <Z");
	frees(">PBDES <1 <2 <E <Z");
	frees(">PBDES <1 <2 <T <E <Z");
	frees(">PBQFPBS <E <Z");
	/* the next request is not skipped */
	frees(">PBESPBES <1 <E <Z <1 <2 <C <Z");
	frees(">PBESQ <E <Z <C <Z");
}
END_TEST

START_TEST(what_comes_after_an_error_without_sync_is_skipped_too)
{
	busy_after(">PB <E");
	ck_assert(!pipeline_owes_ready(&pipeline));
	busy_after(">EDPBCQFHdcf");
	ck_assert_uint_eq(pipeline.length, 0);
	play("<!1 <!2 <!C <!Z");
	busy_after(">S");
	ck_assert(pipeline_owes_ready(&pipeline));
	idle_after("<Z");
}
END_TEST

START_TEST(an_error_at_sync_leaves_the_sync_owed)
{
	busy_after(">PBES <1 <2 <C <E");
	idle_after("<Z");
}
END_TEST

START_TEST(an_error_that_nobody_asked_for_changes_nothing)
{
	idle_after("<E");
	frees(">Q <C <Z");
}
END_TEST

START_TEST(copy_in_ends_with_copy_done_or_copy_fail)
{
	busy_after(">Q <G");
	ck_assert(pipeline.copy_in);
	busy_after(">ddd");
	busy_after(">c");
	ck_assert(!pipeline.copy_in);
	idle_after("<C <Z");
	busy_after(">Q <G >d >f");
	ck_assert(!pipeline.copy_in);
	idle_after("<E <Z");
}
END_TEST

START_TEST(sync_and_flush_during_copy_in_are_not_answered)
{
	frees(">Q <G >dSHdSc <C <Z");
	spent_after(">Q <G >SSSf <E <Z");
}
END_TEST

START_TEST(copy_through_extended_with_sync_before_and_after_copy_done)
{
	/* libpq: a Sync goes with Execute, is read as part of the copy, and another follows
	 * CopyDone */
	busy_after(">PBDES <1 <2 <n <G");
	ck_assert_uint_eq(pipeline_front(&pipeline), 'E');
	busy_after(">ddcS <C");
	idle_after("<Z");
	/* Sync behind the copy only */
	frees(">PBE <1 <2 <G >ddcS <C <Z");
	/* Sync first, then CopyDone, and a Sync for both */
	frees(">PBE <1 <2 <G >SddcS <C <Z");
}
END_TEST

START_TEST(copy_through_extended_that_fails_skips_to_the_next_sync)
{
	busy_after(">PBDE <1 <2 <n <G >d <E");
	busy_after(">dddc");
	busy_after(">S");
	idle_after("<Z");
	/* the client said CopyDone and Sync before it knew */
	frees(">PBE <1 <2 <G >ddcS <E <Z");
	/* it says CopyFail */
	frees(">PBE <1 <2 <G >dfS <E <Z");
}
END_TEST

START_TEST(copy_data_after_a_failed_copy_is_stray)
{
	busy_after(">Q <G >d <E");
	busy_after(">d");
	idle_after("<Z");
	idle_after(">ddc");
	frees(">Q <C <Z");
}
END_TEST

START_TEST(blind_copy_done_ends_the_copy_that_comes)
{
	busy_after(">Qddc");
	busy_after("<G");
	ck_assert(!pipeline.copy_in);
	idle_after("<C <Z");
	/* a request behind it is a request */
	frees(">QdcQ <G <C <Z <C <Z");
	frees(">QdfQ <G <E <Z <C <Z");
	/* extended */
	frees(">PBEdcS <1 <2 <G <C <Z");
	frees(">PBESdcS <1 <2 <G <C <Z");
}
END_TEST

START_TEST(blind_copy_done_without_a_copy_is_stray)
{
	frees(">Qdc <E <Z");
	frees(">Qdc <C <Z");
	frees(">QdcQ <E <Z <C <Z");
	frees(">QccfQ <C <Z <C <Z");
	frees(">PBEdcS <1 <2 <C <Z");
	frees(">PBEdcS <1 <E <Z");
	frees(">PBEdcPBES <1 <2 <C <1 <2 <C <Z");
}
END_TEST

START_TEST(one_query_may_copy_twice)
{
	frees(">Q <G >dc <C <G >dc <C <Z");
	frees(">Qdcdc <G <C <G <C <Z");
	busy_after(">Qdc <G <C <G");
	ck_assert(pipeline.copy_in);
	busy_after(">d");
	idle_after(">c <C <Z");
}
END_TEST

START_TEST(a_request_during_copy_in_fails_it_and_gets_no_answer)
{
	frees(">Q <G >dQ <E <Z");
	frees(">QQ <G <E <Z");
	frees(">QP <G >S <E <Z <Z");
	frees(">Q <G >P >S <E <Z <Z");
	frees(">PBE <1 <2 <G >Q >S <E <Z");
}
END_TEST

START_TEST(a_copy_that_fails_may_or_may_not_have_read_the_sync_of_its_execute)
{
	/* COPY to a view: CopyInResponse, the error at once; the Sync of Execute is read behind it,
	 * and answered */
	frees(">PBDES <1 <2 <n <G <E <Z");
	/* bad data: the Sync was read as part of the copy; with the one behind CopyDone there is
	 * one answer, or two */
	spent_after(">PBDES <1 <2 <n <G >ddcS <E <Z");
	idle_after("<Z");
	spent_after(">PBDES <1 <2 <n <G >d <E >dcS <Z");
	idle_after("<Z");
	spent_after(">PBDES <1 <2 <n <G >ddcS <E <Z >Q <C <Z");
	busy_after(">PBES <1 <2 <E");
	ck_assert(!pipeline_is_spent(&pipeline));
	/* but a copy that went well has read it */
	frees(">PBDES <1 <2 <n <G >ddcS <C <Z");
	play("<!Z");
	/* and an error of a later request is not the copy's */
	frees(">PBES <1 <2 <G >dcS <C <Z >PBES <E <Z");
	frees(">Q <G >dSc <Z >Q <E <Z");
}
END_TEST

START_TEST(copy_out_is_nothing_special)
{
	frees(">Q <H <d <c <C <Z");
	frees(">PBES <1 <2 <H <d <c <C <Z");
}
END_TEST

START_TEST(copy_both_lasts_to_the_end_of_its_query)
{
	busy_after(">Q <W");
	ck_assert(pipeline_copies_both(&pipeline));
	ck_assert(pipeline_owes_ready(&pipeline));
	busy_after("<dd >d <d >c <c <C");
	ck_assert(pipeline_copies_both(&pipeline));
	idle_after("<Z");
	ck_assert(!pipeline_copies_both(&pipeline));
	/* the end of a timeline has rows behind it; and a Query may follow CopyDone at once */
	busy_after(">Q <W >cQ <cTDCCZ");
	ck_assert(!pipeline_copies_both(&pipeline));
	idle_after("<CZ");
	frees(">Q <WE <Z");
	frees(">Q <E <Z");
	play("<!W >PBES <!W");
}
END_TEST

START_TEST(what_was_not_asked_for_is_refused)
{
	static const struct {
		const char *sent, *refused;
	} rows[] = {
		{"", "<!Z12 <!3nTCIsG"}, {">P", "<!23nTCIsGZ"}, {">B", "<!13nTCIsGZ"},
		{">C", "<!12nTCIsGZ"},	 {">D", "<!123CIsGZ"},	{">E", "<!123nTZ"},
		{">S", "<!123nTCIsG"},	 {">F", "<!123nTCIsG"}, {">Q", "<!123ns"},
		{">!", "<!123ns"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		teardown();
		play(rows[i].sent);
		play(rows[i].refused);
	}
}
END_TEST

START_TEST(answers_come_in_the_order_of_the_requests)
{
	play(">PPBDE <1");
	play("<!2 <!T <!C");
	play("<1 <2 <n <I");
	busy_after(">S");
}
END_TEST

START_TEST(any_depth_keeps_its_order)
{
	/* growth with the first entry anywhere in the ring */
	for (uint32_t offset = 0; offset < 2 * PIPELINE_INLINE; offset++) {
		setup();
		for (uint32_t i = 0; i < offset; i++)
			idle_after(">S <Z");
		for (int i = 0; i < 500; i++)
			play(">PBES");
		for (int i = 0; i < 500; i++) {
			if (pipeline_is_idle(&pipeline))
				ck_abort_msg("idle after %d requests", i);
			play("<1 <2 <C <!C <Z");
		}
		idle_after("");
		teardown();
	}
}
END_TEST

START_TEST(a_full_pipeline_says_so)
{
	for (uint32_t i = 0; i < PIPELINE_MAX; i++) {
		if (pipeline_is_full(&pipeline))
			ck_abort_msg("full with %u", i);
		play(">Q");
	}
	ck_assert(pipeline_is_full(&pipeline));
	play("<Z");
	ck_assert(!pipeline_is_full(&pipeline));
	for (uint32_t i = 1; i < PIPELINE_MAX; i++)
		play("<Z");
	idle_after("");
}
END_TEST

START_TEST(an_error_deep_in_a_long_pipeline_skips_its_request_only)
{
	for (int i = 0; i < 100; i++)
		play(">PBES");
	for (int i = 0; i < 100; i++) {
		busy_after("");
		play(i % 3 == 0 ? "<1 <E <!2 <Z" : "<1 <2 <C <Z");
	}
	idle_after("");
}
END_TEST

START_TEST(ending_it_twice_is_harmless)
{
	for (int i = 0; i < 100; i++)
		play(">Q");
	pipeline_fini(&pipeline);
	pipeline_fini(&pipeline);
	idle_after("");
}
END_TEST

START_TEST(one_ready_for_query_is_owed_when_nothing_comes_after_it)
{
	static const struct {
		const char *script;
		bool owes_one;
	} rows[] = {
		{"", false},
		{">Q", true},
		{">Q <T", true},
		{">F", true},
		{">PBDES", true},
		{">PBES <12", true},
		{">PBEPBES <12C1", true},
		{">PBES <E", true}, /* skipped up to the Sync */
		{">QQ", false},
		{">QQ <CZ", true},
		{">QPBES", false},
		{">PBESPBES", false},
		{">PBESQ", false},
		{">PBEH", false}, /* a Sync would have to be added */
		{">PBESP", false},
		{">PBEH <E", false}, /* skips, and no Sync is there */
		{">Q <CZ", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		pipeline_fini(&pipeline);
		play(rows[i].script);
		ck_assert_msg(pipeline_owes_one_ready(&pipeline) == rows[i].owes_one, "\"%s\"",
			      rows[i].script);
	}
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_test(tcase, a_new_pipeline_is_idle);
	tcase_add_test(tcase, a_query_is_owed_until_ready_for_query);
	tcase_add_test(tcase, every_query_in_flight_is_counted);
	tcase_add_test(tcase, a_query_that_fails_is_owed_its_ready_for_query);
	tcase_add_test(tcase, our_own_query_counts_like_a_query);
	tcase_add_test(tcase, a_function_call_is_owed_until_ready_for_query);
	tcase_add_test(tcase, an_extended_request_ends_at_its_sync);
	tcase_add_test(tcase, extended_messages_without_sync_keep_the_server);
	tcase_add_test(tcase, flush_and_copy_data_are_owed_nothing);
	tcase_add_test(tcase, several_syncs_are_counted);
	tcase_add_test(tcase, messages_behind_a_sync_keep_the_server);
	tcase_add_test(tcase, simple_and_extended_may_follow_each_other);
	tcase_add_test(tcase, after_an_error_all_up_to_the_sync_is_skipped);
	tcase_add_test(tcase, what_comes_after_an_error_without_sync_is_skipped_too);
	tcase_add_test(tcase, an_error_at_sync_leaves_the_sync_owed);
	tcase_add_test(tcase, an_error_that_nobody_asked_for_changes_nothing);
	tcase_add_test(tcase, copy_in_ends_with_copy_done_or_copy_fail);
	tcase_add_test(tcase, sync_and_flush_during_copy_in_are_not_answered);
	tcase_add_test(tcase, copy_through_extended_with_sync_before_and_after_copy_done);
	tcase_add_test(tcase, copy_through_extended_that_fails_skips_to_the_next_sync);
	tcase_add_test(tcase, copy_data_after_a_failed_copy_is_stray);
	tcase_add_test(tcase, blind_copy_done_ends_the_copy_that_comes);
	tcase_add_test(tcase, blind_copy_done_without_a_copy_is_stray);
	tcase_add_test(tcase, one_query_may_copy_twice);
	tcase_add_test(tcase, a_request_during_copy_in_fails_it_and_gets_no_answer);
	tcase_add_test(tcase, a_copy_that_fails_may_or_may_not_have_read_the_sync_of_its_execute);
	tcase_add_test(tcase, copy_out_is_nothing_special);
	tcase_add_test(tcase, copy_both_lasts_to_the_end_of_its_query);
	tcase_add_test(tcase, what_was_not_asked_for_is_refused);
	tcase_add_test(tcase, answers_come_in_the_order_of_the_requests);
	tcase_add_test(tcase, any_depth_keeps_its_order);
	tcase_add_test(tcase, a_full_pipeline_says_so);
	tcase_add_test(tcase, an_error_deep_in_a_long_pipeline_skips_its_request_only);
	tcase_add_test(tcase, ending_it_twice_is_harmless);
	tcase_add_test(tcase, one_ready_for_query_is_owed_when_nothing_comes_after_it);
}

Suite *suite_pipeline(void)
{
	Suite *suite = suite_create("conn/pipeline");
	TCase *tcase = tcase_create("pipeline");
	tcase_add_checked_fixture(tcase, setup, teardown);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	tcase = tcase_create("short ways");
	tcase_add_checked_fixture(tcase, setup_short, teardown);
	add_tests(tcase);
	suite_add_tcase(suite, tcase);
	return suite;
}
