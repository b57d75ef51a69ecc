/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/show_process.h"
#include "core/memory.h"

struct version_info {
	const char *version;
};

static const struct result_column version_columns[] = {
	SHOW_COLUMN(TEXT, version_info, version, "version",
		    "Name and version, as pgweir --version says it first."),
};

static void version_rows(struct result *result)
{
	struct version_info info = {PACKAGE_STRING};
	result_row(result, &info);
}

struct memory_info {
	const char *name;
	int64_t size, used, free, memtotal;
};

static const struct result_column memory_columns[] = {
	SHOW_COLUMN(TEXT, memory_info, name, "name", "Kind of object."),
	SHOW_COLUMN(INT4, memory_info, size, "size", "Bytes of one."),
	SHOW_COLUMN(INT4, memory_info, used, "used", "In use."),
	SHOW_COLUMN(INT4, memory_info, free, "free", "Kept for reuse."),
	SHOW_COLUMN(INT4, memory_info, memtotal, "memtotal", "Bytes of all."),
};

static void memory_rows(struct result *result)
{
	for (const struct memory_cache *cache = memory_cache_first(); cache; cache = cache->next) {
		struct memory_info info = {
			.name = cache->name,
			.size = cache->object_size,
			.used = cache->used,
			.free = cache->free,
			.memtotal = (int64_t)cache->object_size * (cache->used + cache->free),
		};
		result_row(result, &info);
	}
}

static const struct show shows[] = {
	SHOW_ROW("VERSION", version_columns, version_rows, "The version."),
	SHOW_ROW("MEM", memory_columns, memory_rows, "Memory kept for objects."),
};

const struct show *show_process_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
