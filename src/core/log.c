/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "core/log.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

enum { LINE_SIZE = 4096 };

static const struct {
	const char *word;
	int syslog_priority;
} levels[] = {
	[LOG_LEVEL_FATAL] = {"FATAL", LOG_CRIT},	[LOG_LEVEL_ERROR] = {"ERROR", LOG_ERR},
	[LOG_LEVEL_WARNING] = {"WARNING", LOG_WARNING}, [LOG_LEVEL_INFO] = {"LOG", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"DEBUG", LOG_DEBUG},	[LOG_LEVEL_NOISE] = {"NOISE", LOG_DEBUG},
};

static const struct {
	const char *name;
	int facility;
} facilities[] = {
	{"auth", LOG_AUTH},	{"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
	{"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},	    {"kern", LOG_KERN},
	{"lpr", LOG_LPR},	{"mail", LOG_MAIL},	    {"news", LOG_NEWS},
	{"syslog", LOG_SYSLOG}, {"user", LOG_USER},	    {"uucp", LOG_UUCP},
	{"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},	    {"local2", LOG_LOCAL2},
	{"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},	    {"local5", LOG_LOCAL5},
	{"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

enum log_level log_threshold = LOG_LEVEL_INFO;

static struct {
	bool to_stderr, to_syslog;
	int file; /* -1: none */
	char *syslog_ident;
	void (*hook)(enum log_level level, const char *line);
	int64_t second; /* the wall time that is formatted in .time */
	char time[40];
	usec_t complained; /* when a destination's failure was last said */
} output = {.to_stderr = true, .file = -1};

static bool find_facility(const char *name, int *facility)
{
	for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
		if (text_equals_nocase(name, facilities[i].name)) {
			*facility = facilities[i].facility;
			return true;
		}
	}
	return false;
}

bool log_facility_is_known(const char *name)
{
	int facility;
	return find_facility(name, &facility);
}

static void close_file(void)
{
	if (output.file >= 0)
		close(output.file);
	output.file = -1;
}

static void close_syslog(void)
{
	if (output.to_syslog)
		closelog();
	output.to_syslog = false;
	memory_free(&output.syslog_ident);
}

bool log_open(const struct log_options *options, struct error *error)
{
	int facility = LOG_DAEMON, file = -1;
	if (options->to_syslog && options->syslog_facility &&
	    !find_facility(options->syslog_facility, &facility))
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "unknown syslog facility: \"%s\"", options->syslog_facility);
	if (options->file && options->file[0]) {
		file = open(options->file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
			    0640);
		if (file < 0)
			return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
					 "could not open log file \"%s\": %s", options->file,
					 strerror(errno));
	}
	close_file();
	close_syslog();
	output.file = file;
	output.to_stderr = options->to_stderr;
	if (options->to_syslog) {
		/* openlog() keeps the pointer. */
		output.syslog_ident =
			memory_strdup(options->syslog_ident ? options->syslog_ident : "pgweir");
		output.to_syslog = true;
		openlog(output.syslog_ident, LOG_PID, facility);
	}
	output.complained = 0;
	log_set_verbose(options->verbose);
	return true;
}

void log_set_verbose(int verbose)
{
	log_threshold = verbose <= 0   ? LOG_LEVEL_INFO
			: verbose == 1 ? LOG_LEVEL_DEBUG
				       : LOG_LEVEL_NOISE;
}

void log_drop_stderr(void)
{
	output.to_stderr = false;
}

void log_close(void)
{
	close_file();
	close_syslog();
}

void log_hook(void (*hook)(enum log_level level, const char *line))
{
	output.hook = hook;
}

/* The time with milliseconds; the date is formatted once a second. */
static const char *time_text(void)
{
	int64_t now = clock_wall(), second = now / USEC_PER_SECOND;
	if (second != output.second || !output.time[0]) {
		clock_format(now, true, output.time);
		output.second = second;
	}
	/* "YYYY-MM-DD HH:MM:SS.mmm" */
	int msec = (int)(now / USEC_PER_MSEC % 1000);
	output.time[20] = (char)('0' + msec / 100);
	output.time[21] = (char)('0' + msec / 10 % 10);
	output.time[22] = (char)('0' + msec % 10);
	return output.time;
}

bool log_is_due(usec_t *said_at)
{
	usec_t now = clock_now();
	if (*said_at && now - *said_at < 60 * USEC_PER_SECOND)
		return false;
	*said_at = now;
	return true;
}

static void complain(ssize_t written, int error)
{
	if (!log_is_due(&output.complained))
		return;
	dprintf(STDERR_FILENO, "%s [%d] ERROR could not write the log file: %s\n", time_text(),
		(int)getpid(), written < 0 ? strerror(error) : "short write");
}

/* One write, so that lines of several processes do not mix. */
static ssize_t write_line(int file, const char *line, size_t length)
{
	ssize_t written;
	do
		written = write(file, line, length);
	while (written < 0 && errno == EINTR);
	return written;
}

void log_write(enum log_level level, const char *subject, const char *format, ...)
{
	int saved_errno = errno;
	char line[LINE_SIZE];
	struct text_builder builder;
	text_builder_init(&builder, line, sizeof(line) - 1); /* a byte for the newline */
	text_append(&builder, "%s [%d] %s ", time_text(), (int)getpid(), levels[level].word);
	size_t head = builder.length;
	text_append(&builder, "%s", subject);

	char message[LINE_SIZE];
	va_list arguments;
	va_start(arguments, format);
	if (vsnprintf(message, sizeof(message), format, arguments) < 0)
		message[0] = '\0';
	va_end(arguments);
	text_append(&builder, "%s", message);

	size_t length = builder.length;
	text_printable(line, line, sizeof(line));
	if (output.hook) {
		output.hook(level, line);
		errno = saved_errno;
		return;
	}
	if (output.to_syslog)
		syslog(levels[level].syslog_priority, "%s", line + head);
	line[length++] = '\n';
	if (output.to_stderr)
		write_line(STDERR_FILENO, line, length);
	if (output.file >= 0) {
		ssize_t written = write_line(output.file, line, length);
		if (written != (ssize_t)length)
			complain(written, errno);
	}
	errno = saved_errno;
}
