/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/show_net.h"
#include "core/memory.h"
#include "core/text.h"
#include "net/resolver.h"

/* ---- DNS_HOSTS ---- */

struct host_info {
	const char *name, *addrs;
	int64_t ttl;
};

static const struct result_column host_columns[] = {
	SHOW_COLUMN(TEXT, host_info, name, "hostname", "Name of the host."),
	SHOW_COLUMN(INT8, host_info, ttl, "ttl",
		    "Seconds until what is known of it is out of date."),
	SHOW_COLUMN(TEXT, host_info, addrs, "addrs", "Its addresses, separated by commas."),
};

static void add_host(const struct resolver_host_info *host, void *context)
{
	size_t room = (size_t)host->count * (ADDRESS_TEXT + 1) + 1;
	char *addresses = memory_alloc(room), text[ADDRESS_TEXT];
	struct text_builder builder;
	text_builder_init(&builder, addresses, room);
	for (unsigned i = 0; i < host->count; i++)
		text_append(&builder, "%s%s", i ? "," : "",
			    address_host(&host->addresses[i], text));
	struct host_info info = {
		.name = host->host,
		.ttl = (host->ttl + USEC_PER_SECOND - 1) / USEC_PER_SECOND,
		.addrs = addresses,
	};
	result_row(context, &info);
	memory_free(&addresses);
}

static void host_rows(struct result *result)
{
	resolver_each_host(add_host, result);
}

/* ---- DNS_ZONES ---- */

struct zone_info {
	const char *name;
	int64_t serial, count;
};

static const struct result_column zone_columns[] = {
	SHOW_COLUMN(TEXT, zone_info, name, "zonename",
		    "What stands behind the first dot of host names."),
	SHOW_COLUMN(INT8, zone_info, serial, "serial",
		    "The last serial number seen; 0: none yet, see dns_zone_check_period."),
	SHOW_COLUMN(INT4, zone_info, count, "count", "Host names in it."),
};

static void add_zone(const struct resolver_zone_info *zone, void *context)
{
	struct zone_info info = {.name = zone->zone, .serial = zone->serial, .count = zone->count};
	result_row(context, &info);
}

static void zone_rows(struct result *result)
{
	resolver_each_zone(add_zone, result);
}

static const struct show shows[] = {
	SHOW_ROW("DNS_HOSTS", host_columns, host_rows,
		 "Host names that were looked up, and what is known of them."),
	SHOW_ROW("DNS_ZONES", zone_columns, zone_rows, "The DNS zones of these names."),
};

const struct show *show_net_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
