/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/method.h"
#include "core/text.h"
#include <string.h>

static const struct method methods[] = {
#define METHOD(name, auth_type, hba, flags, refusal, doc) \
	[AUTH_##name] = {auth_type, hba, flags, refusal, doc},
#include "auth/methods.def"
};

const struct method *method_get(enum auth_method method)
{
	return &methods[method];
}

bool method_from_auth_type(const char *keyword, enum auth_method *method)
{
	for (unsigned i = 0; i < AUTH_METHOD_COUNT; i++) {
		if (methods[i].auth_type && strcmp(methods[i].auth_type, keyword) == 0) {
			*method = (enum auth_method)i;
			return true;
		}
	}
	return false;
}

bool method_from_hba(const char *keyword, enum auth_method *method)
{
	for (unsigned i = 0; i < AUTH_METHOD_COUNT; i++) {
		if (methods[i].hba && strcmp(methods[i].hba, keyword) == 0) {
			*method = (enum auth_method)i;
			return true;
		}
	}
	return false;
}

const char *method_hba_keywords(char *text, size_t size)
{
	struct text_builder builder;
	const char *held = NULL;
	text_builder_init(&builder, text, size);
	for (unsigned i = 0; i < AUTH_METHOD_COUNT; i++) {
		if (!methods[i].hba)
			continue;
		if (held)
			text_append(&builder, "%s%s", builder.length ? ", " : "", held);
		held = methods[i].hba;
	}
	text_append(&builder, " or %s", held);
	return text;
}
