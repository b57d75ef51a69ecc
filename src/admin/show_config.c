/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/show_config.h"
#include <string.h>
#include "config/snapshot.h"

struct config_info {
	const char *key, *value, *default_text, *changeable;
};

static const struct result_column columns[] = {
	SHOW_COLUMN(TEXT, config_info, key, "key", "Name of the setting."),
	SHOW_COLUMN(TEXT, config_info, value, "value", "Value in force."),
	SHOW_COLUMN(TEXT, config_info, default_text, "default", "Default."),
	SHOW_COLUMN(TEXT, config_info, changeable, "changeable",
		    "yes: by RELOAD and SET; no: by a restart only."),
};

static void rows(struct result *result)
{
	for (unsigned i = 0; i < SETTING_COUNT; i++) {
		const struct setting *row = setting_row((enum setting_index)i);
		struct config_info info = {
			.key = row->name,
			.value = settings_text(settings_current(), (enum setting_index)i),
			.default_text = row->default_text,
			.changeable = row->change == CHANGE_RELOAD ? "yes" : "no",
		};
		result_row(result, &info);
	}
}

static const struct show shows[] = {
	SHOW_ROW("CONFIG", columns, rows, "The settings."),
};

const struct show *show_config_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
