/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "pool/peer.h"
#include <string.h>
#include "fake.h"
#include "suites.h"

static struct pool *pool_of(int id)
{
	struct peer *peer = registry_peer(id);
	ck_assert_ptr_nonnull(peer);
	return peer->pool;
}

/* Someone who waits to have a CancelRequest sent on. */
static struct fake_client *asker(struct pool *pool)
{
	struct fake_client *client = fake_client(pool);
	pool_client_move(pool, &client->member, CLIENT_PLACE_CANCEL_WAITING);
	return client;
}

static void check(int id, const char *host, int port, int size)
{
	struct peer *peer = registry_peer(id);
	ck_assert_ptr_nonnull(peer);
	ck_assert_int_eq(peer->id, id);
	ck_assert_str_eq(peer->database->host_text, host);
	ck_assert_str_eq(host_next(&peer->database->hosts), host);
	ck_assert_int_eq(peer->database->port, port);
	ck_assert_int_eq(peer->pool->size, size);
}

START_TEST(rows_make_peers)
{
	fake_configure("default_pool_size=7\n[peers]\n2=host=h port=7000 pool_size=3\n"
		       "16383 = host=/run/other\n");
	ck_assert_uint_eq(map_length(registry_peers()), 2);
	ck_assert_uint_eq(pool_of_peers()->length, 2);
	check(2, "h", 7000, 3);
	check(16383, "/run/other", 6432, 7);
	ck_assert_ptr_null(registry_peer(3));
}
END_TEST

START_TEST(a_peer_is_no_database)
{
	fake_configure("[databases]\nshop=host=h\n[peers]\n2=host=h\n");
	uint32_t pools = pool_all()->length;
	ck_assert_ptr_null(registry_find_database("peer-2"));
	ck_assert_ptr_null(registry_database("peer-2"));
	ck_assert_uint_eq(map_length(registry_databases()), 2); /* and the console */
	list_foreach (node, pool_all())
		ck_assert_int_eq(container_of(node, struct pool, node)->database->peer_id, 0);
	ck_assert_uint_eq(pool_all()->length, pools);
}
END_TEST

START_TEST(nothing_logs_in_at_a_peer)
{
	fake_configure("min_pool_size=3\nreserve_pool_size=2\n[peers]\n2=host=h\n");
	struct pool *pool = pool_of(2);
	struct fake_client *client = asker(pool);
	pool_work(pool);
	fake_wait(100 * USEC_PER_SECOND);
	ck_assert_int_eq(fake.launches, 0);
	fake_leave(client);
}
END_TEST

START_TEST(a_reload_adds_changes_and_removes_peers)
{
	fake_configure("[peers]\n2=host=h port=7000 pool_size=3\n3=host=h3\n");
	struct pool *kept = pool_of(2);
	struct fake_client *stays = asker(kept), *goes = asker(pool_of(3));
	fake_configure("[peers]\n4=host=h4\n2=host=other pool_size=1\n");
	ck_assert_uint_eq(map_length(registry_peers()), 2);
	ck_assert_uint_eq(pool_of_peers()->length, 2);
	ck_assert_ptr_eq(pool_of(2), kept);
	check(2, "other", 6432, 1);
	check(4, "h4", 6432, 20);
	ck_assert_ptr_null(registry_peer(3));
	ck_assert(goes->is_closed);
	ck_assert_int_eq(goes->reason, CLOSE_CANCEL_NO_PEER);
	ck_assert(!stays->is_closed);
	fake_leave(stays);
	fake_configure("");
	ck_assert_uint_eq(map_length(registry_peers()), 0);
	ck_assert_uint_eq(pool_of_peers()->length, 0);
}
END_TEST

START_TEST(an_unchanged_peer_keeps_its_place_in_the_host_list)
{
	static const char text[] = "[peers]\n2=host=a,b\n";
	fake_configure(text);
	ck_assert_str_eq(host_next(&registry_peer(2)->database->hosts), "a");
	fake_configure(text);
	ck_assert_str_eq(host_next(&registry_peer(2)->database->hosts), "b");
	ck_assert_str_eq(host_next(&registry_peer(2)->database->hosts), "a");
}
END_TEST

START_TEST(as_many_carriers_as_the_pool_has_servers)
{
	static const struct {
		int size, carriers;
		bool admits;
	} rows[] = {{2, 0, true}, {2, 1, true}, {2, 2, false}, {1, 1, false}, {0, 100, true}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pool pool = {.size = rows[i].size};
		pool.servers[SERVER_PLACE_CANCELING].length = (uint32_t)rows[i].carriers;
		ck_assert(pool_admits_carrier(&pool) == rows[i].admits);
	}
}
END_TEST

Suite *suite_peer(void)
{
	Suite *suite = suite_create("pool/peer");
	TCase *tcase = tcase_create("peer");
	tcase_add_checked_fixture(tcase, fake_setup, fake_teardown);
	tcase_add_test(tcase, rows_make_peers);
	tcase_add_test(tcase, a_peer_is_no_database);
	tcase_add_test(tcase, nothing_logs_in_at_a_peer);
	tcase_add_test(tcase, a_reload_adds_changes_and_removes_peers);
	tcase_add_test(tcase, an_unchanged_peer_keeps_its_place_in_the_host_list);
	tcase_add_test(tcase, as_many_carriers_as_the_pool_has_servers);
	suite_add_tcase(suite, tcase);
	return suite;
}
