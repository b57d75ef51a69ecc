/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "config/ini.h"
#include "core/error.h"
#include "fuzz.h"

struct seen {
	unsigned sections, values;
};

static bool pair(void *context, const char *key, const char *value, struct error *error)
{
	(void)context, (void)error;
	FUZZ_HOLDS(*key && value);
	return true;
}

static bool section(void *context, const char *name, const struct ini_place *place,
		    struct error *error)
{
	struct seen *seen = context;
	(void)error;
	FUZZ_HOLDS(name && place->line > 0);
	seen->sections++;
	return true;
}

static bool value(void *context, const char *key, const char *text, const struct ini_place *place,
		  struct error *error)
{
	struct seen *seen = context;
	char where[INI_PLACE_TEXT];
	struct error why = {0};
	FUZZ_HOLDS(seen->sections && strlen(ini_place_print(place, where)) < sizeof where);
	seen->values++;
	if (strcmp(key, "stop") == 0)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR, "stop");
	FUZZ_HOLDS(ini_parse_pairs(text, pair, NULL, &why) || *why.message);
	return true;
}

static void fuzz_ini(const uint8_t *bytes, size_t size)
{
	static const struct ini_events events = {.section = section, .value = value};
	struct error error = {0};
	struct seen seen = {0};
	if (memchr(bytes, '%', size))
		return; /* no other files */
	const char *path = fuzz_file(bytes, size);
	bool well = ini_read(path, &events, &seen, &error);
	FUZZ_HOLDS(well || strstr(error.message, path));
	FUZZ_HOLDS(!strstr(error.message, "hush")); /* what a password is in the seeds */
}

static const struct fuzz_seed seeds[] = {
	SEED("[databases]\na = host=x port=1 password='hush hush'\n* = "
	     "host=y\n[pgbouncer]\nlisten_port = 6432\n"),
	SEED(";c\n# c\n [a] ; c\n 'q''k' = v v \n\"x\" = password=hush user=y\n stop = 1\n"),
	SEED("\xEF\xBB\xBF[users]\r\nbob = pool_mode=session max_user_connections=''\r\nx =\r\n"),
};
FUZZ_TARGET(ini);
