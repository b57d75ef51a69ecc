/* SPDX-License-Identifier: ISC */
/* log: levels, destinations and the line's form; it knows no subject type. Callers put the subject
 * first: log_info(client_subject(client), "closing because: %s (age=%us)", ...); Arguments are not
 * evaluated when the level is off. Control characters in the finished line become '?'. Line:
 * "YYYY-MM-DD HH:MM:SS.mmm TZ [pid] LEVEL subject message", contract section 17. */
#ifndef PGWEIR_CORE_LOG_H
#define PGWEIR_CORE_LOG_H

#include <stdbool.h>
#include "core/clock.h"

enum log_level {
	LOG_LEVEL_FATAL,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_NOISE
};

struct log_options {
	bool to_stderr;
	const char *file; /* NULL or "": none */
	bool to_syslog;
	const char *syslog_ident;    /* copied */
	const char *syslog_facility; /* a name of syslog.conf(5): daemon, user, local0 ... */
	int verbose;		     /* 0: up to INFO, 1: DEBUG, 2: NOISE */
};

struct error;

extern enum log_level log_threshold; /* written by log.c only: what is printed */

/* Take new destinations; the old ones stay in force when the file cannot be opened. Call again to
 * reopen the file (which is what RELOAD does). */
bool log_open(const struct log_options *options, struct error *error);
void log_set_verbose(int verbose);
/* Is this a syslog facility's name? */
bool log_facility_is_known(const char *name);
/* Stop writing to stderr (daemonized). */
void log_drop_stderr(void);
void log_close(void);

/* For tests: lines go to @hook instead. */
void log_hook(void (*hook)(enum log_level level, const char *line));

/* May what comes again and again be said now? Once a minute it may; @said_at is its own, 0 at
 * first. */
bool log_is_due(usec_t *said_at);

/* @subject: "" or a prefix that ends with ": " or a blank. A destination that fails (disk full) is
 * said on stderr once a minute at most, and the process goes on. */
void log_write(enum log_level level, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_at(level, subject, ...)                                 \
	do {                                                        \
		if ((level) <= log_threshold)                       \
			log_write((level), (subject), __VA_ARGS__); \
	} while (0)
#define log_fatal(subject, ...) log_at(LOG_LEVEL_FATAL, subject, __VA_ARGS__)
#define log_error(subject, ...) log_at(LOG_LEVEL_ERROR, subject, __VA_ARGS__)
#define log_warning(subject, ...) log_at(LOG_LEVEL_WARNING, subject, __VA_ARGS__)
#define log_info(subject, ...) log_at(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_debug(subject, ...) log_at(LOG_LEVEL_DEBUG, subject, __VA_ARGS__)
#define log_noise(subject, ...) log_at(LOG_LEVEL_NOISE, subject, __VA_ARGS__)

#endif
