/* SPDX-License-Identifier: ISC */
/* hba: the rules of auth_hba_file: which client proves in which way who it is. Immutable once
 * loaded; a rule that is not understood, or that could never apply as written, fails the load.
 * PostgreSQL manual, section 20.1; contract, section 6. Differences from PostgreSQL 16:
 * - methods are those of methods.def; hostgssenc rules never match, since there is no GSS;
 * - regular expressions are those of the room pattern;
 * - cert may stand in a host rule, where it refuses who comes without TLS;
 * - unclosed quotes, empty groups, repeated options, host names that cannot be any are refused.
 */
#ifndef PGWEIR_AUTH_HBA_H
#define PGWEIR_AUTH_HBA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "auth/method.h"

struct error;
struct hba;

enum hba_type { HBA_LOCAL, HBA_HOST, HBA_HOSTSSL, HBA_HOSTNOSSL, HBA_HOSTGSSENC, HBA_HOSTNOGSSENC };

enum hba_client_certificate {
	HBA_CERTIFICATE_OPTIONAL,
	HBA_CERTIFICATE_VERIFY_CA,  /* one that the CA has signed must be shown */
	HBA_CERTIFICATE_VERIFY_FULL /* and its name must be the user's, or mapped to it */
};

struct hba_option {
	const char *name, *value;
};

/* What a matching rule asks for, and its columns as pg_hba_file_rules has them (manual, section
 * 54.9). Texts live as long as the rules. */
struct hba_rule {
	enum hba_type type;
	enum auth_method method;
	enum hba_client_certificate client_certificate; /* of cert: always VERIFY_FULL */
	bool uses_distinguished_name;			/* clientname=DN */
	const char *map;				/* NULL: none */
	const char *pam_service;			/* NULL: the default */
	bool pam_use_hostname;
	const struct hba_option *options; /* all, in the order written; among them LDAP's */
	size_t option_count;

	const char *file_name;
	unsigned line_number;
	const char *type_name;
	const char *databases, *users; /* arrays as text: "{all}" */
	const char *address, *netmask; /* NULL: the rule has none */
	const char *auth_method;
	const char *options_shown; /* an array as text, passwords masked; NULL: none */
};

/* NULL with @error, "FILE:LINE: what is wrong; what is allowed". */
struct hba *hba_load(const char *path, struct error *error);
void hba_free(struct hba **hba);

/* Rules in the order in which they are tried; rule_number is @index + 1. */
size_t hba_rule_count(const struct hba *hba);
const struct hba_rule *hba_rule(const struct hba *hba, size_t index);
/* The value of an option; NULL: not given. */
const char *hba_rule_option(const struct hba_rule *rule, const char *name);

#endif
