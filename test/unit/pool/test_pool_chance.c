/* SPDX-License-Identifier: ISC */
/* Anything may happen in any order: counts do not drift, bounds hold, and nobody is forgotten. */
#include "config.h"
#include "pool/limit.h"
#include "pool/pool.h"
#include <stdint.h>
#include <stdio.h>
#include "config/snapshot.h"
#include "fake.h"
#include "suites.h"

enum { STEPS = 4000, WALKS = 12 };

static uint64_t state;
static bool with_claims; /* some clients want servers of their own */

static uint32_t below(uint32_t bound)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % bound;
}

static void reload(void)
{
	char text[1000];
	snprintf(text, sizeof(text),
		 "default_pool_size=%u\nreserve_pool_size=%u\nreserve_pool_timeout=%u\nmin_pool_"
		 "size=%u\n"
		 "max_server_logins=%u\nmax_user_connections=%u\nserver_lifetime=%u\n"
		 "server_idle_timeout=%u\nserver_check_delay=%u\nserver_login_retry=%u\n"
		 "server_round_robin=%u\n"
		 "[databases]\none=host=h%u max_db_connections=%u\ntwo=host=h user=app\n%s"
		 "[users]\nann=pool_size=%u\n",
		 below(4), below(3), below(3), below(3), 1 + below(4), below(5), below(200),
		 below(100), below(20), below(4), below(2), below(20) == 0, below(5),
		 below(10) ? "three=host=h max_db_connections=2\n" : "", 1 + below(4));
	fake_configure(text);
}

static struct pool *any_pool(void)
{
	static const char *const databases[] = {"one", "two", "three"};
	static const char *const users[] = {"joe", "ann", "bob"};
	const char *database = databases[below(3)];
	return fake_pool(registry_find_database(database) ? database : "one", users[below(3)]);
}

/* Some server that stands at @place; NULL: none was found. */
static struct fake_server *any_server(enum server_place place)
{
	int total = fake_server_total();
	for (int i = 0; i < 60 && total; i++) {
		int recent = total < 200 ? total : 200;
		struct fake_server *server = fake_server(total - (int)below((uint32_t)recent));
		if (!server->is_closed && server->member.place == place)
			return server;
	}
	return NULL;
}

static struct fake_client *any_client(void)
{
	int total = fake_client_total();
	for (int i = 0; i < 60 && total; i++) {
		int recent = total < 200 ? total : 200;
		struct fake_client *client = fake_client_at(total - (int)below((uint32_t)recent));
		if (!client->is_closed)
			return client;
	}
	return NULL;
}

static void check_rest(enum server_place place)
{
	struct fake_server *server = any_server(place);
	if (!server)
		return;
	usec_t due = pool_idle_due(&server->member);
	if (!due || due > clock_now())
		return;
	pool_idle_check(&server->member);
	/* It did something, or it would be asked again at once and for ever. */
	usec_t next = server->is_closed ? 0 : pool_idle_due(&server->member);
	ck_assert(server->is_closed || next == 0 || next > clock_now());
}

static void move_client(void)
{
	struct fake_client *client = any_client();
	if (!client)
		return;
	if (client->server && client->server->member.is_claimed)
		(void)(below(6) ? (void)0 : fake_leave(client));
	else if (client->server && below(4))
		fake_finish(client);
	else if (client->member.place == CLIENT_PLACE_ACTIVE && !client->server && below(8))
		fake_ask(client);
	else if (below(3) == 0)
		fake_leave(client);
}

static void move_server(void)
{
	struct fake_server *login = any_server(SERVER_PLACE_LOGIN);
	struct fake_server *tested = any_server(SERVER_PLACE_TESTED);
	if (tested && below(2))
		fake_test_ends(tested->id);
	else if (login && below(10))
		fake_log_in(login->id);
	else if (login && below(2))
		fake_cannot_connect(login->id);
	else if (login)
		fake_refuse(login->id, "no");
}

static void crash(void)
{
	struct fake_server *server =
		any_server((enum server_place)(1 + below(SERVER_PLACE_ACTIVE)));
	if (server)
		fake_crash(server->id);
}

static void arrive(void)
{
	struct pool *pool = any_pool();
	if (pool_client_count(pool) > 12)
		return;
	if (with_claims && below(3) == 0) {
		fake_claim(pool);
		return;
	}
	struct fake_client *client =
		pool->welcome_parameters ? fake_client(pool) : fake_arrive(pool);
	client->closes_when_assigned = below(20) == 0;
	client->breaks_server_when_assigned = below(20) == 0;
}

static void administer(void)
{
	struct pool *pool = any_pool();
	switch (below(7)) {
	case 0:
		pool_set_paused(!pool_all_paused());
		break;
	case 1:
		pool->database->is_paused = !pool->database->is_paused;
		list_foreach (node, &pool->database->pools) {
			struct pool *each = container_of(node, struct pool, of_database);
			pool->database->is_paused ? pool_close_idle(each, CLOSE_PAUSE)
						  : pool_work(each);
		}
		break;
	case 2:
		pool_retire(pool, CLOSE_OBSOLETE);
		break;
	case 3:
		if (below(4) == 0)
			pool_kill(pool, CLOSE_ADMIN_DISCONNECT);
		break;
	case 4:
		fake.launch = below(3) ? LAUNCH_JOINS : (enum fake_launch)below(4);
		fake.tests_fail = below(3) == 0;
		fake.dirties = below(3) == 0;
		break;
	default:
		reload();
	}
}

static void step(void)
{
	switch (below(24)) {
	case 0:
		crash();
		break;
	case 1:
		if (below(4) == 0)
			administer();
		break;
	case 2:
	case 3:
		arrive();
		break;
	case 4:
		fake_wait((usec_t)below(3000) * USEC_PER_MSEC);
		break;
	case 5:
		check_rest(SERVER_PLACE_IDLE);
		check_rest(SERVER_PLACE_USED);
		break;
	case 6:
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		move_server();
		break;
	default:
		move_client();
	}
}

static bool may_evict(const struct pool *pool, enum limit_verdict verdict)
{
	list_foreach (node, pool_all()) {
		const struct pool *other = container_of(node, struct pool, node);
		bool shares = verdict == LIMIT_DATABASE ? other->database == pool->database
							: other->user == pool->user;
		if (other != pool && shares &&
		    other->servers[SERVER_PLACE_IDLE].length +
			    other->servers[SERVER_PLACE_USED].length)
			return true;
	}
	return false;
}

/* Whoever waits does so for a reason. */
static void check_waiters(const struct pool *pool)
{
	uint32_t waiting = pool->clients[CLIENT_PLACE_WAITING].length;
	uint32_t logins = pool->servers[SERVER_PLACE_LOGIN].length;
	uint32_t coming = logins - pool->clients[CLIENT_PLACE_CLAIMED].length;
	uint32_t tested = pool->servers[SERVER_PLACE_TESTED].length;
	bool greets = pool->clients[CLIENT_PLACE_WELCOME].length > 0 && coming == 0;
	bool claims = pool->clients[CLIENT_PLACE_CLAIM].length > 0;
	bool pauses = pool->retry_at > clock_now();
	if ((waiting <= coming + tested && !greets && !claims) || pool_is_paused(pool))
		return;
	ck_assert_uint_eq(pool->servers[SERVER_PLACE_IDLE].length,
			  waiting ? 0 : pool->servers[SERVER_PLACE_IDLE].length);
	if (waiting > tested)
		ck_assert_uint_eq(pool->servers[SERVER_PLACE_USED].length, 0);
	if (pool->server_count >= pool->most)
		return;
	if (pauses && !(claims && pool->login_failed)) {
		ck_assert(pool->timer.due && pool->timer.due <= pool->retry_at);
		return;
	}
	bool known = pool->welcome_parameters && !pool->connect_failed && !pool->login_failed;
	if (logins >= (known ? (uint32_t)settings_current()->max_server_logins : 1))
		return;
	if (pool->server_count >= pool->full) {
		ck_assert(!(waiting || claims) || !settings_current()->reserve_pool_timeout ||
			  pool->timer.due || pool->held_back != LIMIT_FREE);
		return;
	}
	ck_assert_int_ne(limit_admits_server(pool->database, pool->user), LIMIT_FREE);
	ck_assert_int_ne(pool->held_back, LIMIT_FREE);
	bool stuck = false;
	for (enum limit_verdict bound = LIMIT_DATABASE; bound <= LIMIT_USER; bound++)
		stuck |= limit_is_reached(bound, pool->database, pool->user) &&
			 !may_evict(pool, bound);
	ck_assert(stuck);
}

static void check(void)
{
	fake_check_counts();
	list_foreach (node, pool_all()) {
		const struct pool *pool = container_of(node, struct pool, node);
		if (!pool->database->is_console)
			check_waiters(pool);
	}
}

START_TEST(counts_bounds_and_waiters_are_right_after_every_step)
{
	state = (uint64_t)_i + 1;
	reload();
	for (int i = 0; i < STEPS && fake_server_total() < 15000; i++) {
		step();
		check();
	}
	ck_assert_int_gt(fake.assigns, 10);
}
END_TEST

START_TEST(bounds_that_do_not_change_are_never_passed)
{
	state = (uint64_t)_i + 100;
	fake_configure(
		"default_pool_size=3\nreserve_pool_size=1\nreserve_pool_timeout=1\n"
		"max_user_connections=4\nmin_pool_size=2\nserver_login_retry=1\n[databases]\n"
		"one=host=h max_db_connections=4\ntwo=host=h user=app\nthree=host=h\n");
	for (int i = 0; i < STEPS; i++) {
		uint32_t what = below(20);
		if (what == 0)
			crash();
		else if (what == 1)
			fake_wait((usec_t)below(2000) * USEC_PER_MSEC);
		else if (what < 5)
			arrive();
		else if (what < 11)
			move_server();
		else
			move_client();
		check();
		map_foreach (node, registry_users())
			ck_assert_uint_le(container_of(node, struct user, node)->server_count, 4);
		ck_assert_uint_le(registry_database("one")->server_count, 4);
		list_foreach (node, pool_all())
			ck_assert_uint_le(container_of(node, struct pool, node)->server_count, 4);
	}
	ck_assert_int_gt(fake.assigns, 10);
}
END_TEST

START_TEST(servers_of_their_own_are_no_exception)
{
	with_claims = true;
	state = (uint64_t)_i + 200;
	reload();
	for (int i = 0; i < STEPS && fake_server_total() < 15000; i++) {
		step();
		check();
	}
	ck_assert_int_gt(fake.assigns, 0);
	with_claims = false;
}
END_TEST

Suite *suite_pool_chance(void)
{
	Suite *suite = suite_create("pool_chance");
	TCase *walks = tcase_create("walks");
	tcase_set_timeout(walks, 60);
	tcase_add_checked_fixture(walks, fake_setup, fake_teardown);
	tcase_add_loop_test(walks, counts_bounds_and_waiters_are_right_after_every_step, 0, WALKS);
	tcase_add_loop_test(walks, bounds_that_do_not_change_are_never_passed, 0, WALKS);
	tcase_add_loop_test(walks, servers_of_their_own_are_no_exception, 0, WALKS);
	suite_add_tcase(suite, walks);
	return suite;
}
