/* SPDX-License-Identifier: ISC */
/* sample: a configuration file that has every setting and every key, commented out, with what the
 * tables say of it. */
#ifndef PGWEIR_CONFIG_SAMPLE_H
#define PGWEIR_CONFIG_SAMPLE_H

#include <stdio.h>

/* Loads as it is, and with every setting uncommented: they stand there with their defaults. */
void sample_print(FILE *to);

#endif
