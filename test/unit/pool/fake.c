/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fake.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "config/snapshot.h"
#include "core/log.h"
#include "core/memory.h"
#include "pool/limit.h"

enum { MANY = 20000 };

struct fake_state fake;
static struct fake_server *servers[MANY];
static struct fake_client *clients[MANY];
static int server_total, client_total;

static struct fake_server *server_of(struct pool_server *member)
{
	return container_of(member, struct fake_server, member);
}

static struct fake_client *client_of(struct pool_client *member)
{
	return container_of(member, struct fake_client, member);
}

/* ---- pool_ops ---- */

static struct fake_server *unlink_server(struct fake_client *client)
{
	struct fake_server *server = client->server;
	client->server = NULL;
	if (server)
		server->client = NULL;
	return server;
}

static void close_server(struct pool_server *member, enum close_reason reason);

static void close_client(struct pool_client *member, enum close_reason reason)
{
	struct fake_client *client = client_of(member);
	if (client->is_closed)
		return;
	client->is_closed = true;
	client->reason = reason;
	pool_client_move(member->pool, member, CLIENT_PLACE_NONE);
	member->pool = NULL;
	limit_client_removed(client->database, client->user);
	struct fake_server *server = unlink_server(client);
	if (server && server->member.is_claimed)
		close_server(&server->member, CLOSE_CLAIMANT_GONE);
	else if (server && fake.dirties)
		close_server(&server->member, CLOSE_CLIENT_GONE_IN_QUERY);
	else if (server && !server->is_closed)
		pool_release(&server->member);
}

static void close_server(struct pool_server *member, enum close_reason reason)
{
	struct fake_server *server = server_of(member);
	if (server->is_closed)
		return;
	server->is_closed = true;
	server->reason = reason;
	struct fake_client *client = server->client;
	if (client) {
		unlink_server(client);
		if (client->member.place == CLIENT_PLACE_CLAIMED && reason != CLOSE_LOGIN_FAILED)
			pool_claim_again(client->member.pool, &client->member);
		else
			close_client(&client->member, reason);
	}
	pool_server_leave(member);
}

static void assign(struct pool_client *member, struct pool_server *server_member)
{
	struct fake_client *client = client_of(member);
	struct fake_server *server = server_of(server_member);
	ck_assert(!client->is_closed && !client->server);
	ck_assert(!server->is_closed && !server->client);
	ck_assert_ptr_eq(member->pool, server_member->pool);
	fake.assigns++;
	if (++fake.depth > fake.deepest)
		fake.deepest = fake.depth;
	client->server = server;
	server->client = client;
	pool_server_move(server_member, SERVER_PLACE_ACTIVE);
	if (member->place != CLIENT_PLACE_ACTIVE)
		pool_client_move(member->pool, member, CLIENT_PLACE_ACTIVE);
	if (client->breaks_server_when_assigned)
		close_server(server_member, CLOSE_SERVER_CRASHED);
	else if (client->closes_when_assigned)
		close_client(member, CLOSE_CLIENT_ERROR);
	fake.depth--;
}

static void reject(struct pool_client *member, enum close_reason reason, const struct error *error)
{
	struct fake_client *client = client_of(member);
	client->is_rejected = true;
	client->error = *error;
	close_client(member, reason);
}

static void welcome(struct pool_client *member)
{
	ck_assert_ptr_nonnull(member->pool->welcome_parameters);
	client_of(member)->is_welcome = true;
	pool_client_move(member->pool, member, CLIENT_PLACE_ACTIVE);
}

static struct fake_server *server_new(struct pool *pool)
{
	struct fake_server *server = memory_alloc(sizeof(*server));
	ck_assert_int_lt(server_total, MANY);
	servers[server_total++] = server;
	server->id = server_total;
	snprintf(server->host, sizeof server->host, "%s", host_next(&pool->database->hosts));
	pool_server_join(pool, &server->member);
	return server;
}

static void login_failed(struct fake_server *server, bool refused, const struct error *error)
{
	if (!refused)
		pool_host_failed(&server->member, server->host, error);
	else if (!server->member.is_claimed)
		pool_login_failed(server->member.pool, true, error);
}

static void go_on(struct fake_server *server)
{
	struct error error;
	fake.launches++;
	error_set(&error, SQLSTATE_CONNECTION_FAILURE, "launch failed at once");
	if (fake.launch == LAUNCH_JOINS)
		return;
	if (fake.launch != LAUNCH_VANISHES)
		login_failed(server, fake.launch == LAUNCH_IS_REFUSED, &error);
	close_server(&server->member,
		     fake.launch == LAUNCH_IS_REFUSED ? CLOSE_LOGIN_FAILED : CLOSE_CONNECT_FAILED);
}

static void launch(struct pool *pool)
{
	go_on(server_new(pool));
}

static void launch_claimed(struct pool *pool, struct pool_client *member)
{
	struct fake_client *client = client_of(member);
	ck_assert_int_eq(member->place, CLIENT_PLACE_CLAIM);
	pool_client_move(pool, member, CLIENT_PLACE_CLAIMED);
	struct fake_server *server = server_new(pool);
	pool_server_claim(&server->member);
	client->server = server;
	server->client = client;
	go_on(server);
}

static void test_server(struct pool_server *member)
{
	fake.tests++;
	pool_server_move(member, SERVER_PLACE_TESTED);
	if (fake.tests_fail)
		close_server(member, CLOSE_CHECK_FAILED);
}

static void drop_parameters(void *parameters)
{
	ck_assert_ptr_eq(parameters, &fake);
	fake.parameters_held--;
}

static void rearm(struct pool_server *member)
{
	ck_assert(member->place == SERVER_PLACE_IDLE || member->place == SERVER_PLACE_USED);
	fake.rearms++;
}

/* ---- the process ---- */

void fake_configure(const char *text)
{
	char path[] = "/tmp/pgweir-pool-XXXXXX";
	struct error error = {0};
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	FILE *file = fdopen(fd, "w");
	ck_assert_ptr_nonnull(file);
	fprintf(file, "[pgbouncer]\n%s", text);
	fclose(file);
	struct snapshot *snapshot = snapshot_load(path, &error);
	unlink(path);
	ck_assert_msg(snapshot != NULL, "%s", error.message);
	snapshot_install(snapshot);
	registry_apply();
}

static void ignore(enum log_level level, const char *line)
{
	(void)level, (void)line;
}

void fake_setup(void)
{
	static const struct pool_ops ops = {
		.assign = assign,
		.reject = reject,
		.welcome = welcome,
		.launch = launch,
		.launch_claimed = launch_claimed,
		.close_server = close_server,
		.test_server = test_server,
		.close_client = close_client,
		.drop_parameters = drop_parameters,
		.rearm = rearm,
	};
	struct error error = {0};
	log_hook(ignore);
	clock_drive();
	loop_open();
	fake = (struct fake_state){.launch = LAUNCH_JOINS};
	pool_set_ops(&ops);
	struct snapshot *snapshot = snapshot_load(NULL, &error);
	ck_assert_ptr_nonnull(snapshot);
	snapshot_install(snapshot);
	registry_open();
}

void fake_teardown(void)
{
	registry_close();
	ck_assert_int_eq(fake.parameters_held, 0);
	ck_assert_uint_eq(pool_all()->length, 0);
	for (int i = 0; i < server_total; i++) {
		ck_assert(servers[i]->is_closed);
		memory_free(&servers[i]);
	}
	for (int i = 0; i < client_total; i++) {
		ck_assert(clients[i]->is_closed);
		memory_free(&clients[i]);
	}
	server_total = client_total = 0;
	pool_on_quiet(NULL);
	loop_close();
	snapshot_install(NULL);
	log_hook(NULL);
}

/* ---- members ---- */

struct pool *fake_pool(const char *database, const char *user)
{
	struct database *found = registry_database(database);
	ck_assert_msg(found != NULL, "no database %s", database);
	return registry_pool(found, registry_user(user));
}

static struct fake_client *client_new(struct pool *pool)
{
	struct fake_client *client = memory_alloc(sizeof(*client));
	ck_assert_int_lt(client_total, MANY);
	clients[client_total++] = client;
	client->id = client_total;
	client->member.pool = pool;
	client->database = pool->database;
	client->user = pool->user;
	limit_client_added(client->database, client->user);
	return client;
}

struct fake_client *fake_client(struct pool *pool)
{
	struct fake_client *client = client_new(pool);
	pool_client_move(pool, &client->member, CLIENT_PLACE_ACTIVE);
	return client;
}

struct fake_client *fake_request(struct pool *pool)
{
	struct fake_client *client = fake_client(pool);
	fake_ask(client);
	return client;
}

struct fake_client *fake_arrive(struct pool *pool)
{
	struct fake_client *client = client_new(pool);
	pool_request_welcome(pool, &client->member);
	return client;
}

struct fake_client *fake_claim(struct pool *pool)
{
	struct fake_client *client = client_new(pool);
	pool_claim(pool, &client->member);
	return client;
}

void fake_ask(struct fake_client *client)
{
	bool at_once = pool_request(client->member.pool, &client->member);
	if (at_once && !client->is_closed)
		ck_assert_ptr_nonnull(client->server);
}

void fake_finish(struct fake_client *client)
{
	struct fake_server *server = unlink_server(client);
	ck_assert_ptr_nonnull(server);
	ck_assert(!server->member.is_claimed);
	pool_release(&server->member);
}

void fake_leave(struct fake_client *client)
{
	close_client(&client->member, CLOSE_CLIENT_REQUEST);
}

struct fake_server *fake_server(int id)
{
	ck_assert_msg(id >= 1 && id <= server_total, "server %d was not launched, %d were", id,
		      server_total);
	return servers[id - 1];
}

static void print_id(char *text, int id)
{
	size_t length = strlen(text);
	snprintf(text + length, 500 - length, "%s%d", length ? " " : "", id);
}

const char *fake_servers(const struct pool *pool, enum server_place place)
{
	static char texts[4][500];
	static int turn;
	char *text = texts[turn++ % 4];
	*text = '\0';
	list_foreach (node, &pool->servers[place])
		print_id(text, server_of(container_of(node, struct pool_server, node))->id);
	return text;
}

const char *fake_clients(const struct pool *pool, enum client_place place)
{
	static char texts[4][500];
	static int turn;
	char *text = texts[turn++ % 4];
	*text = '\0';
	list_foreach (node, &pool->clients[place])
		print_id(text, client_of(container_of(node, struct pool_client, node))->id);
	return text;
}

void fake_log_in(int id)
{
	struct pool_server *member = &fake_server(id)->member;
	struct buffer *parameters = NULL;
	ck_assert_int_eq(member->place, SERVER_PLACE_LOGIN);
	if (member->is_claimed) {
		pool_server_move(member, SERVER_PLACE_ACTIVE);
		pool_client_move(member->pool, &fake_server(id)->client->member,
				 CLIENT_PLACE_ACTIVE);
		pool_claim_served(member->pool);
		return;
	}
	ck_assert(buffer_append(&parameters, "S", 1, 100));
	fake.parameters_held++;
	pool_login_succeeded(member->pool, parameters, &fake);
	pool_release(member);
}

void fake_cannot_connect(int id)
{
	struct pool_server *member = &fake_server(id)->member;
	struct error error;
	error_set(&error, SQLSTATE_CONNECTION_FAILURE, "connection refused");
	login_failed(fake_server(id), false, &error);
	close_server(member, CLOSE_CONNECT_FAILED);
}

void fake_refuse(int id, const char *message)
{
	struct pool_server *member = &fake_server(id)->member;
	struct error error;
	error_set(&error, SQLSTATE_INVALID_PASSWORD, "%s", message);
	error_detail(&error, "a detail");
	error_hint(&error, "a hint");
	login_failed(fake_server(id), true, &error);
	close_server(member, CLOSE_LOGIN_FAILED);
}

void fake_test_ends(int id)
{
	ck_assert_int_eq(fake_server(id)->member.place, SERVER_PLACE_TESTED);
	pool_release(&fake_server(id)->member);
}

void fake_crash(int id)
{
	close_server(&fake_server(id)->member, CLOSE_SERVER_CRASHED);
}

struct pool *fake_pool_with(const char *database, const char *user, int count)
{
	struct pool *pool = fake_pool(database, user);
	struct fake_client *client[100];
	ck_assert_int_le(count, 100);
	for (int i = 0; i < count; i++)
		client[i] = fake_request(pool);
	for (int i = 0; i < server_total; i++)
		if (servers[i]->member.pool == pool && !servers[i]->is_closed)
			fake_log_in(servers[i]->id);
	for (int i = 0; i < count; i++) {
		fake_finish(client[i]);
		fake_leave(client[i]);
	}
	ck_assert_uint_eq(pool->servers[SERVER_PLACE_IDLE].length, (unsigned)count);
	return pool;
}

void fake_wait(usec_t time)
{
	loop_turn(0);
	clock_advance(time);
	loop_turn(0);
}

/* ---- counts ---- */

static void check_pool(const struct pool *pool)
{
	uint32_t length = 0, claimed = 0, logging_in = 0;
	for (int place = SERVER_PLACE_LOGIN; place < SERVER_PLACE_CANCELING; place++) {
		length += pool->servers[place].length;
		list_foreach (node, &pool->servers[place]) {
			const struct pool_server *server =
				container_of(node, struct pool_server, node);
			claimed += server->is_claimed;
			logging_in += server->is_claimed && place == SERVER_PLACE_LOGIN;
			ck_assert(!server->is_claimed || place == SERVER_PLACE_LOGIN ||
				  place == SERVER_PLACE_ACTIVE);
		}
	}
	ck_assert_uint_eq(pool->claimed_count, claimed);
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_CLAIMED].length, logging_in);
	ck_assert(pool->takes_care || !pool->clients[CLIENT_PLACE_CLAIM].length);
	ck_assert_uint_eq(pool->server_count, length);
	ck_assert_uint_eq(pool->clients[CLIENT_PLACE_NONE].length, 0);
	ck_assert_uint_eq(pool->servers[SERVER_PLACE_NONE].length, 0);
	ck_assert(!pool->is_working && !pool->work_again);
}

void fake_check_counts(void)
{
	list_foreach (node, pool_all())
		check_pool(container_of(node, struct pool, node));
	map_foreach (node, registry_databases()) {
		const struct database *database = container_of(node, struct database, node);
		uint32_t count = 0, held_back = 0, clients_here = 0;
		list_foreach (member, &database->pools) {
			const struct pool *pool = container_of(member, struct pool, of_database);
			count += pool->server_count;
			clients_here += pool_client_count(pool);
			held_back += pool->held_back == LIMIT_DATABASE;
		}
		ck_assert_uint_eq(database->server_count, count);
		ck_assert_uint_eq(database->client_count, clients_here);
		ck_assert_uint_eq(database->held_back.length, held_back);
	}
	map_foreach (node, registry_users()) {
		const struct user *user = container_of(node, struct user, node);
		uint32_t count = 0, held_back = 0;
		list_foreach (member, &user->pools) {
			const struct pool *pool = container_of(member, struct pool, of_user);
			count += pool->server_count;
			held_back += pool->held_back == LIMIT_USER;
		}
		ck_assert_uint_eq(user->server_count, count);
		ck_assert_uint_eq(user->held_back.length, held_back);
	}
}

int fake_server_total(void)
{
	return server_total;
}

int fake_client_total(void)
{
	return client_total;
}

struct fake_client *fake_client_at(int id)
{
	return clients[id - 1];
}
