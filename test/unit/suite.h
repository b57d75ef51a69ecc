/* SPDX-License-Identifier: ISC */
/* suite: what a layer's test program is made of. Each test_<room>.c has a `Suite
 * *suite_<room>(void)`; suites.c of the layer lists them in SUITES. */
#ifndef PGWEIR_TEST_SUITE_H
#define PGWEIR_TEST_SUITE_H

#include <check.h>

typedef Suite *suite_fn(void);
extern suite_fn *const SUITES[]; /* ends with NULL */

#endif
