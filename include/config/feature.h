/* SPDX-License-Identifier: ISC */
/* feature: what clients may do that needs a session of their own (features.def), and what is to
 * happen when they do it where server connections are shared: the values of session_features. */
#ifndef PGWEIR_CONFIG_FEATURE_H
#define PGWEIR_CONFIG_FEATURE_H

#include <stdbool.h>

enum feature {
#define FEATURE(name, trace, what, doc) FEATURE_##name,
#include "config/features.def"
	FEATURE_COUNT
};

enum feature_policy { FEATURE_ALLOW, FEATURE_WARN, FEATURE_ERROR };

/* One policy for all ("warn"), or a list: "listen=error, set=warn", where those not named are
 * allowed, or stay as a word for all before them says. *@policies: a number below 4^FEATURE_COUNT.
 * False: it is not of that form. */
bool feature_policies_parse(const char *text, int *policies);
/* The same back; valid until the next call. */
const char *feature_policies_text(int policies);
/* What is allowed, as a sentence. */
const char *feature_policies_allowed(void);

static inline enum feature_policy feature_policy_of(int policies, enum feature feature)
{
	return (enum feature_policy)(policies >> 2 * feature & 3);
}

#endif
