/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/clock.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

usec_t clock_turn_time = 1;
static bool driven;

static int64_t read_clock(clockid_t clock)
{
	struct timespec time;
	clock_gettime(clock, &time);
	return (int64_t)time.tv_sec * USEC_PER_SECOND + time.tv_nsec / 1000;
}

void clock_update(void)
{
	if (driven)
		return;
	usec_t now = read_clock(CLOCK_MONOTONIC);
	clock_turn_time = now > 0 ? now : 1; /* 0 means "none" */
}

void clock_drive(void)
{
	clock_update();
	driven = true;
}

bool clock_is_driven(void)
{
	return driven;
}

void clock_advance(usec_t by)
{
	clock_turn_time += by;
}

usec_t clock_read(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_to_wall(usec_t when)
{
	usec_t now = driven ? clock_turn_time : read_clock(CLOCK_MONOTONIC);
	return clock_wall() - (now - when);
}

void clock_format(int64_t wall, bool with_msec, char text[40])
{
	int64_t usec = wall % USEC_PER_SECOND;
	if (usec < 0)
		usec += USEC_PER_SECOND;
	time_t seconds = (time_t)((wall - usec) / USEC_PER_SECOND);
	struct tm date;
	char zone[16];
	text[0] = '\0';
	if (!localtime_r(&seconds, &date))
		return;
	size_t length = strftime(text, 40, "%Y-%m-%d %H:%M:%S", &date);
	if (with_msec)
		length += (size_t)snprintf(text + length, 40 - length, ".%03d", (int)(usec / 1000));
	if (strftime(zone, sizeof(zone), "%Z", &date) > 0)
		snprintf(text + length, 40 - length, " %s", zone);
}
