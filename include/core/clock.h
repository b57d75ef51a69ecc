/* SPDX-License-Identifier: ISC */
/* clock: the time of this loop turn in monotonic microseconds, and the wall time for people. One
 * clock reading per loop turn: whoever needs the time on the hot path reads a variable. */
#ifndef PGWEIR_CORE_CLOCK_H
#define PGWEIR_CORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef int64_t usec_t; /* microseconds, of a duration or on the monotonic clock; 0: none */

#define USEC_PER_SECOND ((usec_t)1000000)
#define USEC_PER_MSEC ((usec_t)1000)

extern usec_t clock_turn_time; /* written by clock.c only */

/* The monotonic time of this loop turn; always > 0. */
static inline usec_t clock_now(void)
{
	return clock_turn_time;
}

/* Read the system's clock: at the beginning of each loop turn. Does nothing on a driven clock. */
void clock_update(void);

/* For tests: from now on time stands still but for clock_advance(). */
void clock_drive(void);
bool clock_is_driven(void);
void clock_advance(usec_t by);

/* The monotonic time, read from the system now: for what blocks within a turn. */
usec_t clock_read(void);
/* Wall time in microseconds since 1970, read from the system now. */
int64_t clock_wall(void);
/* The wall time at which the monotonic clock showed @when. */
int64_t clock_to_wall(usec_t when);

/* "YYYY-MM-DD HH:MM:SS TZ" of a wall time; @with_msec: "YYYY-MM-DD HH:MM:SS.mmm TZ". @text has 40
 * bytes. */
void clock_format(int64_t wall, bool with_msec, char text[40]);

#endif
