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
			.value = settings_shown(settings_current(), (enum setting_index)i),
			.default_text = row->default_text,
			.changeable = row->change == CHANGE_RELOAD ? "yes" : "no",
		};
		result_row(result, &info);
	}
}

/* ---- HBA ---- */

struct rule_info {
	int64_t number, line;
	const char *file, *type, *database, *user, *address, *netmask, *method, *options;
};

#define R(type, field, name, doc) SHOW_COLUMN(type, rule_info, field, name, doc)
static const struct result_column rule_columns[] = {
	R(INT4, number, "rule_number", "Place in the order in which the rules are tried."),
	R(TEXT, file, "file_name", "File of the rule."),
	R(INT4, line, "line_number", "Line in it."),
	R(TEXT, type, "type", "local, host, hostssl, hostnossl, hostgssenc or hostnogssenc."),
	R(TEXT, database, "database", "Databases."),
	R(TEXT, user, "user_name", "Users and roles."),
	R(TEXT, address, "address", "Addresses or host name; NULL for local."),
	R(TEXT, netmask, "netmask", "Mask of the address."),
	R(TEXT, method, "auth_method", "Method."),
	R(TEXT, options, "options", "Options of the method, passwords masked."),
};
#undef R

static void rule_rows(struct result *result)
{
	const struct hba *hba = snapshot_current()->hba;
	for (size_t i = 0; hba && i < hba_rule_count(hba); i++) {
		const struct hba_rule *rule = hba_rule(hba, i);
		struct rule_info info = {
			.number = (int64_t)i + 1,
			.line = rule->line_number,
			.file = rule->file_name,
			.type = rule->type_name,
			.database = rule->databases,
			.user = rule->users,
			.address = rule->address,
			.netmask = rule->netmask,
			.method = rule->auth_method,
			.options = rule->options_shown,
		};
		result_row(result, &info);
	}
}

static const struct show shows[] = {
	SHOW_ROW("HBA", rule_columns, rule_rows, "The rules of auth_hba_file in force."),
	SHOW_ROW("CONFIG", columns, rows, "The settings."),
};

const struct show *show_config_list(unsigned *count)
{
	*count = sizeof shows / sizeof *shows;
	return shows;
}
