/* SPDX-License-Identifier: ISC */
/* hba_priv: rules as they are kept, for the rooms that read them (hba) and match them (hba_match).
 */
#ifndef PGWEIR_SRC_AUTH_HBA_PRIV_H
#define PGWEIR_SRC_AUTH_HBA_PRIV_H

#include "auth/hba.h"
#include "auth/pattern.h"
#include "auth/rule_file.h"
#include "net/address.h"
#include "net/network.h"

enum word_kind {
	WORD_NAME,
	WORD_PATTERN,
	WORD_ALL,
	WORD_SAME_USER,
	WORD_SAME_ROLE,
	WORD_REPLICATION,
	WORD_GROUP
};

/* Of a database or user list. */
struct word {
	enum word_kind kind;
	const char *text;
	struct pattern *pattern;
};

struct words {
	struct word *all;
	size_t count;
};

enum address_kind {
	ADDRESS_ALL,
	ADDRESS_SAME_HOST,
	ADDRESS_SAME_NET,
	ADDRESS_NETWORK,
	ADDRESS_NAME
};

struct rule {
	struct hba_rule face;
	struct words databases, users;
	enum address_kind address_kind;
	struct network network;
	const char *name;
};

struct hba {
	struct rule_file *file; /* all texts and arrays lie in it */
	struct rule *rules;
	size_t count;
	uint64_t serial; /* no two rule sets have the same */
};

#endif
