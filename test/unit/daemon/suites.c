/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "../suite.h"

Suite *suite_option(void);
Suite *suite_process(void);
Suite *suite_systemd(void);

suite_fn *const SUITES[] = {suite_option, suite_process, suite_systemd, NULL};
