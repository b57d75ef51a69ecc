/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "config/feature.h"
#include <stdio.h>
#include <string.h>
#include "core/text.h"

static const char *const features[] = {
#define FEATURE(name, trace, what, doc) #name,
#include "config/features.def"
};
static const char *const policies_names[] = {"allow", "warn", "error"};

enum { POLICY_COUNT = sizeof policies_names / sizeof *policies_names, ITEM_MAX = 64 };

static int find(const char *const *words, int count, const char *word)
{
	int i = 0;
	while (i < count && !text_equals_nocase(words[i], word))
		i++;
	return i;
}

static int all_of(int policy)
{
	int policies = 0;
	for (int i = 0; i < FEATURE_COUNT; i++)
		policies |= policy << 2 * i;
	return policies;
}

/* @text without the space around it. */
static char *trimmed(char *text)
{
	char *end = text + strlen(text);
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	return text + strspn(text, " \t");
}

static bool take_item(char *item, int *policies)
{
	char *equals = strchr(item, '=');
	if (equals)
		*equals = '\0';
	int policy = find(policies_names, POLICY_COUNT, trimmed(equals ? equals + 1 : item));
	int feature = equals ? find(features, FEATURE_COUNT, trimmed(item)) : 0;
	if (policy == POLICY_COUNT || feature == FEATURE_COUNT)
		return false;
	*policies =
		equals ? (*policies & ~(3 << 2 * feature)) | policy << 2 * feature : all_of(policy);
	return true;
}

bool feature_policies_parse(const char *text, int *policies)
{
	char item[ITEM_MAX];
	int result = 0, count = 0;
	while (text_next_item(&text, item, sizeof item)) {
		if (!take_item(item, &result))
			return false;
		count++;
	}
	if (count > 0)
		*policies = result;
	return count > 0;
}

const char *feature_policies_text(int policies)
{
	static char text[FEATURE_COUNT * ITEM_MAX];
	struct text_builder builder;
	enum feature_policy first = feature_policy_of(policies, (enum feature)0);
	text_builder_init(&builder, text, sizeof text);
	if (policies == all_of(first))
		return policies_names[first];
	for (int i = 0; i < FEATURE_COUNT; i++) {
		enum feature_policy policy = feature_policy_of(policies, (enum feature)i);
		if (policy != FEATURE_ALLOW)
			text_append(&builder, "%s%s=%s", *text ? ", " : "", features[i],
				    policies_names[policy]);
	}
	return text;
}

const char *feature_policies_allowed(void)
{
	static char text[160];
	struct text_builder builder;
	text_builder_init(&builder, text, sizeof text);
	text_append(&builder, "allow, warn or error, for all or for some of ");
	for (int i = 0; i < FEATURE_COUNT; i++)
		text_append(&builder, "%s%s", i ? ", " : "", features[i]);
	text_append(&builder, " (listen=error, set=warn)");
	return text;
}
