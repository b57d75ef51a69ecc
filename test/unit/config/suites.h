/* SPDX-License-Identifier: ISC */
#ifndef PGWEIR_TEST_CONFIG_SUITES_H
#define PGWEIR_TEST_CONFIG_SUITES_H

#include "../suite.h"

Suite *suite_ini(void);
Suite *suite_feature(void);
Suite *suite_settings(void);
Suite *suite_section(void);
Suite *suite_snapshot(void);
Suite *suite_source(void);

#endif
