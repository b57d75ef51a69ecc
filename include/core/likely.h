/* SPDX-License-Identifier: ISC */
/* likely: which way a branch of the hot path usually goes. Only where it was measured. */
#ifndef PGWEIR_CORE_LIKELY_H
#define PGWEIR_CORE_LIKELY_H

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
