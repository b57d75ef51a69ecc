/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "../suite.h"

Suite *suite_digest(void);
Suite *suite_secret(void);
Suite *suite_saslprep(void);
Suite *suite_md5(void);
Suite *suite_key_cache(void);
Suite *suite_scram(void);
Suite *suite_userlist(void);
Suite *suite_method(void);
Suite *suite_system_user(void);
Suite *suite_pattern(void);
Suite *suite_rule_file(void);
Suite *suite_ident(void);
Suite *suite_hba(void);
Suite *suite_ban(void);
Suite *suite_pam(void);
Suite *suite_ldap(void);

suite_fn *const SUITES[] = {suite_digest,
			    suite_secret,
			    suite_saslprep,
			    suite_md5,
			    suite_key_cache,
			    suite_scram,
			    suite_userlist,
			    suite_method,
			    suite_pattern,
			    suite_rule_file,
			    suite_ident,
			    suite_hba,
			    suite_ban,
			    suite_pam,
			    suite_ldap,
			    suite_system_user,
			    NULL};
