/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/show_stats.h"
#include <stdio.h>
#include <string.h>
#include "pool/registry.h"

enum {
#define COUNTER(name, doc) COUNTER_##name,
#include "pool/counters.def"
	COUNTERS
};

struct stats_info {
	const char *database;
	int64_t total[COUNTERS], average[COUNTERS];
};

#define T(name, field, doc) SHOW_COLUMN(NUMERIC, stats_info, total[COUNTER_##field], name, doc)
#define A(name, field, doc) SHOW_COLUMN(NUMERIC, stats_info, average[COUNTER_##field], name, doc)
#define DATABASE SHOW_COLUMN(TEXT, stats_info, database, "database", "Name of the database.")

static const struct result_column stats_columns[] = {
	DATABASE,
#define COUNTER(name, doc) T("total_" #name, name, doc),
#include "pool/counters.def"
	A("avg_server_assignment_count", server_assignment_count, "per second"),
	A("avg_xact_count", xact_count, "per second"),
	A("avg_query_count", query_count, "per second"),
	A("avg_recv", received, "bytes per second"),
	A("avg_sent", sent, "bytes per second"),
	A("avg_xact_time", xact_time, "microseconds per transaction"),
	A("avg_query_time", query_time, "microseconds per query"),
	A("avg_wait_time", wait_time, "microseconds per assignment"),
	A("avg_client_parse_count", client_parse_count, "per second"),
	A("avg_server_parse_count", server_parse_count, "per second"),
	A("avg_bind_count", bind_count, "per second"),
	A("avg_client_login_count", client_login_count, "per second"),
};

#define FIRST_EIGHT(M)                                                        \
	M("server_assignment_count", server_assignment_count, "assignments"), \
		M("xact_count", xact_count, "transactions"),                  \
		M("query_count", query_count, "queries"),                     \
		M("bytes_received", received, "bytes from clients"),          \
		M("bytes_sent", sent, "bytes to clients"),                    \
		M("xact_time", xact_time, "microseconds in transactions"),    \
		M("query_time", query_time, "microseconds in queries"),       \
		M("wait_time", wait_time, "microseconds that clients waited")

static const struct result_column totals_columns[] = {
	DATABASE,
	FIRST_EIGHT(T),
	T("client_parse_count", client_parse_count, "statements prepared by clients"),
	T("server_parse_count", server_parse_count, "statements prepared at servers"),
	T("bind_count", bind_count, "binds"),
	T("client_login_count", client_login_count, "logins"),
};

static const struct result_column averages_columns[] = {
	DATABASE,
	FIRST_EIGHT(A),
	A("avg_client_parse_count", client_parse_count, "per second"),
	A("avg_server_parse_count", server_parse_count, "per second"),
	A("avg_bind_count", bind_count, "per second"),
	A("avg_client_login_count", client_login_count, "per second"),
};

static void fill(struct stats_info *info, const struct stats *stats)
{
	struct stats_counters average;
	stats_average(stats, &average);
#define COUNTER(name, doc)                                      \
	info->total[COUNTER_##name] = (int64_t)stats->now.name; \
	info->average[COUNTER_##name] = (int64_t)average.name;
#include "pool/counters.def"
}

static void stats_rows(struct result *result)
{
	map_foreach (node, registry_databases()) {
		const struct database *database = container_of(node, struct database, node);
		static const struct stats_counters nothing;
		struct stats_info info = {.database = database->name};
		if (!database->pools.length &&
		    !memcmp(&database->stats.now, &nothing, sizeof nothing))
			continue; /* nobody ever asked for it */
		fill(&info, &database->stats);
		result_row(result, &info);
	}
}

/* ---- TOTALS ---- */

struct total_info {
	const char *name;
	int64_t value;
};

static const struct result_column total_columns[] = {
	SHOW_COLUMN(TEXT, total_info, name, "name", "Name of the counter."),
	SHOW_COLUMN(NUMERIC, total_info, value, "value", "Its value over all databases."),
};

static void total_rows(struct result *result)
{
	static const char *const names[COUNTERS] = {
		"server_assignment_count",
		"xact_count",
		"query_count",
		"client_bytes",
		"server_bytes",
		"xact_time",
		"query_time",
		"wait_time",
		"ps_client_parse_count",
		"ps_server_parse_count",
		"ps_bind_count",
		"client_login_count",
	};
	struct stats totals;
	struct stats_info sums;
	char name[64];
	registry_totals(&totals);
	fill(&sums, &totals);
	for (int average = 0; average < 2; average++)
		for (int i = 0; i < COUNTERS; i++) {
			snprintf(name, sizeof name, "%s_%s", average ? "avg" : "total", names[i]);
			struct total_info info = {name, average ? sums.average[i] : sums.total[i]};
			result_row(result, &info);
		}
}

/* ---- LOGINS ---- */

struct logins_info {
	const char *database;
	int64_t logins, failures;
};

static const struct result_column logins_columns[] = {
	SHOW_COLUMN(TEXT, logins_info, database, "database",
		    "Name of the database; empty: names that were none."),
	SHOW_COLUMN(NUMERIC, logins_info, logins, "login_count", "Clients that logged in."),
	SHOW_COLUMN(NUMERIC, logins_info, failures, "login_failure_count",
		    "Clients that could not prove who they are."),
};

static void logins_rows(struct result *result)
{
	map_foreach (node, registry_databases()) {
		const struct database *database = container_of(node, struct database, node);
		struct logins_info info = {
			.database = database->name,
			.logins = (int64_t)database->stats.now.client_login_count,
			.failures = (int64_t)database->login_failures,
		};
		if (info.logins || info.failures)
			result_row(result, &info);
	}
	struct logins_info strangers = {.database = "",
					.failures = (int64_t)registry_strangers_failures()};
	if (strangers.failures)
		result_row(result, &strangers);
}

/* ---- CANCELS ---- */

struct cancels_info {
	const char *database;
	int64_t abandoned, timed_out, reused;
};

static const struct result_column cancels_columns[] = {
	SHOW_COLUMN(TEXT, cancels_info, database, "database", "Name of the database."),
	SHOW_COLUMN(NUMERIC, cancels_info, abandoned, "disconnect_cancel_count",
		    "Queries cancelled because their client had vanished."),
	SHOW_COLUMN(NUMERIC, cancels_info, reused, "server_reuse_count",
		    "Server connections that were used again after that."),
	SHOW_COLUMN(NUMERIC, cancels_info, timed_out, "timeout_cancel_count",
		    "Queries cancelled by query_timeout whose clients kept their session."),
};

static void cancels_rows(struct result *result)
{
	map_foreach (node, registry_databases()) {
		const struct database *database = container_of(node, struct database, node);
		struct cancels_info info = {
			.database = database->name,
			.abandoned = (int64_t)database->abandoned_queries,
			.timed_out = (int64_t)database->timed_out_queries,
			.reused = (int64_t)database->reused_servers,
		};
		if (info.abandoned || info.timed_out)
			result_row(result, &info);
	}
}

/* ---- FEATURES ---- */

static const struct result_column features_columns[] = {
	SHOW_COLUMN(TEXT, database, name, "database", "Name of the database."),
#define FEATURE(name, trace, what, doc) \
	SHOW_COLUMN(NUMERIC, database, features[FEATURE_##name], #name, doc "."),
#include "config/features.def"
	SHOW_COLUMN(NUMERIC, database, features_warned, "warned", "Clients that were warned."),
	SHOW_COLUMN(NUMERIC, database, features_refused, "refused", "Requests that were refused."),
};

static void features_rows(struct result *result)
{
	map_foreach (node, registry_databases()) {
		const struct database *database = container_of(node, struct database, node);
		uint64_t sum = 0;
		for (int i = 0; i < FEATURE_COUNT; i++)
			sum += database->features[i];
		if (sum)
			result_row(result, database);
	}
}

static const struct show shows[] = {
	SHOW_ROW("CANCELS", cancels_columns, cancels_rows,
		 "Queries of each database that were cancelled by the pooler."),
	SHOW_ROW("FEATURES", features_columns, features_rows,
		 "Requests of each database's clients, in transaction and statement mode, that "
		 "need a "
		 "session of their own."),
	SHOW_ROW("LOGINS", logins_columns, logins_rows, "Logins of each database."),
	SHOW_ROW("STATS", stats_columns, stats_rows,
		 "Counters of each database, and their averages over the last stats_period."),
	SHOW_ROW("STATS_TOTALS", totals_columns, stats_rows, "The counters alone."),
	SHOW_ROW("STATS_AVERAGES", averages_columns, stats_rows, "The averages alone."),
	SHOW_ROW("TOTALS", total_columns, total_rows, "Both, summed over all databases."),
};

const struct show *show_stats_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
