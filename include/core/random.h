/* SPDX-License-Identifier: ISC */
/* random: bytes for keys, nonces and salts, from getrandom(2), gathered in a block so that a key is
 * no syscall. */
#ifndef PGWEIR_CORE_RANDOM_H
#define PGWEIR_CORE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fill @bytes with unpredictable bytes. Cannot fail: aborts if the kernel has none. */
void random_bytes(void *bytes, size_t size);
/* An unpredictable number below @bound (> 0), without bias. */
uint32_t random_below(uint32_t bound);

#endif
