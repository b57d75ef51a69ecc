/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "asker.h"
#include "core/clock.h"
#include "core/list.h"
#include "helpers.h"
#include <check.h>
#include <stdio.h>
#include <string.h>

static void told(struct resolver_query *query, const struct address *addresses, unsigned count,
		 const struct error *error)
{
	struct asker *asker = container_of(query, struct asker, query);
	char text[ADDRESS_TEXT];
	asker->told++;
	asker->count = count;
	asker->addresses[0] = asker->message[0] = asker->first[0] = '\0';
	ck_assert_ptr_null(query->name);
	ck_assert_int_eq(error != NULL, count == 0);
	if (error) {
		ck_assert_str_eq(error->sqlstate, "08006");
		strcpy(asker->message, error->message);
	} else {
		ck_assert_uint_lt(query->turn, count);
		snprintf(asker->first, sizeof asker->first, "%s",
			 address_host(&addresses[query->turn], text));
	}
	for (unsigned i = 0; i < count; i++) {
		size_t length = strlen(asker->addresses);
		ck_assert_uint_eq(addresses[i].port, 0);
		snprintf(asker->addresses + length, sizeof asker->addresses - length, "%s%s",
			 i ? " " : "", address_host(&addresses[i], text));
	}
	if (asker->then)
		asker->then(asker);
}

void asker_look_up(struct asker *asker, const char *host)
{
	asker->query.callback = told;
	resolver_lookup(&asker->query, host);
}

void asker_look_up_once(struct asker *asker, const char *host)
{
	asker->query.callback = told;
	resolver_lookup_once(&asker->query, host);
}

bool asker_has(const struct asker *asker, const char *address)
{
	const char *found = strstr(asker->addresses, address);
	return found && strchr(" ", found[strlen(address)]);
}

struct resolver_options name_server_options;

void name_server_open(void)
{
	struct error error;
	helpers_open();
	name_server_start(&name_server_options);
	ck_assert_msg(resolver_open(&name_server_options, &error), "%s", error.message);
}

void name_server_close(void)
{
	resolver_close();
	name_server_stop();
	helpers_close();
}

void name_server_wait(usec_t time)
{
	clock_advance(time);
	helpers_settle();
}
