/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "../suite.h"

Suite *suite_message(void);
Suite *suite_field(void);
Suite *suite_options(void);
Suite *suite_startup(void);
Suite *suite_authentication(void);
Suite *suite_response(void);
Suite *suite_sql(void);

suite_fn *const SUITES[] = {
	suite_message,	      suite_field,    suite_options, suite_startup,
	suite_authentication, suite_response, suite_sql,     NULL,
};
