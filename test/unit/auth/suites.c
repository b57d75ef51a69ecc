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

suite_fn *const SUITES[] = {
	suite_digest,	 suite_secret, suite_saslprep, suite_md5,
	suite_key_cache, suite_scram,  suite_userlist, NULL,
};
