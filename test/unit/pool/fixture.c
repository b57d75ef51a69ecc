/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/log.h"
#include "core/loop.h"
#include "core/memory.h"

char fixture_events[4096];
struct pool_client fixture_clients[FIXTURE_MAX];
struct pool_server fixture_servers[FIXTURE_MAX];
int fixture_launched;
bool fixture_launch_fails;

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
	size_t length = strlen(fixture_events);
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(fixture_events + length, sizeof fixture_events - length, format, arguments);
	va_end(arguments);
}

static int client_number(const struct pool_client *client)
{
	return (int)(client - fixture_clients);
}

static int server_number(const struct pool_server *server)
{
	return (int)(server - fixture_servers);
}

static void assign(struct pool_client *client, struct pool_server *server)
{
	note("assign c%d s%d,", client_number(client), server_number(server));
	pool_client_move(server->pool, client, CLIENT_PLACE_ACTIVE);
	pool_server_move(server, SERVER_PLACE_ACTIVE);
}

static void reject(struct pool_client *client, enum close_reason reason, const struct error *error)
{
	(void)reason;
	note("reject c%d %s,", client_number(client), error->sqlstate);
	pool_client_move(client->pool, client, CLIENT_PLACE_NONE);
}

static void welcome(struct pool_client *client)
{
	note("welcome c%d,", client_number(client));
	pool_client_move(client->pool, client, CLIENT_PLACE_ACTIVE);
}

static void launch(struct pool *pool)
{
	struct error error;
	note("launch s%d,", fixture_launched);
	pool_server_join(pool, &fixture_servers[fixture_launched++]);
	if (fixture_launch_fails) {
		error_set(&error, SQLSTATE_CONNECTION_FAILURE, "no way");
		pool_login_failed(pool, false, &error);
		pool_server_leave(&fixture_servers[fixture_launched - 1]);
	}
}

static void close_server(struct pool_server *server, enum close_reason reason)
{
	note("close s%d %s,", server_number(server), close_reason_text(reason));
	pool_server_leave(server);
}

static void test_server(struct pool_server *server)
{
	note("test s%d,", server_number(server));
	pool_server_move(server, SERVER_PLACE_TESTED);
}

static void close_client(struct pool_client *client, enum close_reason reason)
{
	note("close c%d %s,", client_number(client), close_reason_text(reason));
	pool_client_move(client->pool, client, CLIENT_PLACE_NONE);
}

static void drop_parameters(void *parameters)
{
	(void)parameters;
}

static void load(const char *databases, const char *users, const char *settings)
{
	char path[] = "/tmp/pgweir-pool-XXXXXX";
	struct error error;
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	FILE *file = fdopen(fd, "w");
	fprintf(file, "[databases]\n%s\n[users]\n%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\n%s\n",
		databases, users, settings);
	fclose(file);
	struct snapshot *snapshot = snapshot_load(path, &error);
	unlink(path);
	ck_assert_msg(snapshot != NULL, "%s", error.message);
	snapshot_install(snapshot);
}

static void no_log(enum log_level level, const char *line)
{
	(void)level;
	(void)line;
}

void fixture_open(const char *databases, const char *users, const char *settings)
{
	static const struct pool_ops ops = {
		.assign = assign,
		.reject = reject,
		.welcome = welcome,
		.launch = launch,
		.close_server = close_server,
		.test_server = test_server,
		.close_client = close_client,
		.drop_parameters = drop_parameters,
	};
	memset(fixture_clients, 0, sizeof fixture_clients);
	memset(fixture_servers, 0, sizeof fixture_servers);
	fixture_events[0] = '\0';
	fixture_launched = 0;
	fixture_launch_fails = false;
	log_hook(no_log);
	clock_drive();
	loop_open();
	pool_set_ops(&ops);
	load(databases, users, settings);
	registry_open();
	registry_apply();
}

void fixture_reload(const char *databases, const char *users, const char *settings)
{
	load(databases, users, settings);
	registry_apply();
}

void fixture_close(void)
{
	registry_close();
	loop_close();
	snapshot_install(NULL);
}

struct pool *fixture_pool(const char *database, const char *user)
{
	return registry_pool(registry_database(database), registry_user(user));
}

void fixture_login(int i)
{
	struct pool_server *server = &fixture_servers[i];
	struct buffer *greeting = NULL;
	buffer_append(&greeting, "x", 1, 10);
	pool_login_succeeded(server->pool, greeting,
			     fixture_events); /* parameters: anything but NULL */
	pool_release(server);
}

void fixture_expect(const char *events)
{
	ck_assert_str_eq(fixture_events, events);
	fixture_events[0] = '\0';
}
