/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_reset.h"
#include "client_priv.h"
#include "conn/prepared_sql.h"
#include "proto/sql.h"

/* One value comes back. */
static void note_one(struct client *client, struct server *server, const char *name)
{
	struct parameter_values values = {0};
	const char *value = parameter_get(client->startup, name);
	if (!value)
		return;
	if (!server->restore)
		server->restore = parameter_empty();
	if (!parameter_note(&values, name, value))
		parameter_note_extra(&values, name, value);
	if (!server->restores_all)
		parameter_put_values(&server->restore, &values);
}

static void note_all(struct client *client, struct server *server)
{
	if (server->restore)
		parameter_release(&server->restore);
	server->restore = parameter_share(client->startup);
	server->restores_all = true;
}

bool client_resets(const struct client *client, const char *text, size_t size)
{
	struct sql_reader reader;
	struct sql_statement statement;
	if (!client->startup)
		return false;
	sql_reader_init(&reader, text, size, prepared_sql_dialect(client->parameters));
	while (sql_next_statement(&reader, &statement))
		if (statement.kind == SQL_RESET_ALL || statement.kind == SQL_DISCARD_ALL ||
		    (statement.kind == SQL_RESET &&
		     parameter_get(client->startup, statement.parameter)))
			return true;
	return false;
}

void client_reset_note(struct client *client, const char *text, size_t size)
{
	struct server *server = client_server(client);
	struct sql_reader reader;
	struct sql_statement statement;
	sql_reader_init(&reader, text, size, prepared_sql_dialect(client->parameters));
	while (sql_next_statement(&reader, &statement)) {
		if (statement.kind == SQL_RESET_ALL || statement.kind == SQL_DISCARD_ALL)
			note_all(client, server);
		else if (statement.kind == SQL_RESET)
			note_one(client, server, statement.parameter);
	}
}
