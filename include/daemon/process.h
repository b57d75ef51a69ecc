/* SPDX-License-Identifier: ISC */
/* process: what makes a program a daemon: background, pidfile, system user, descriptor limit.
 * Contract sections 7, 17. */
#ifndef PGWEIR_DAEMON_PROCESS_H
#define PGWEIR_DAEMON_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct snapshot;

/* Become the system user @name with all its groups, for good. Nothing to do for who is that user
 * already; anyone else must be root. */
bool process_become_user(const char *name, struct error *error);
bool process_is_root(void);

/* Go on in the background: in a session of its own, without a terminal. Returns true in the new
 * process only. The old one waits until the new one has started or ended, and exits with 0 or 1;
 * until then standard error stays, so that whoever typed the command sees why it failed. Before any
 * thread or event loop. */
bool process_go_background(struct error *error);
/* The start went well: let the waiting process go, and the terminal. Nothing in the foreground. */
void process_started(void);

/* False: the pidfile names another living process, or is none of ours. A stale one, or one left
 * empty by a crash, is removed, which is logged. */
bool process_check_pidfile(const char *path, struct error *error);
/* Write our process id, so that no reader ever sees half of it. False also if somebody else wrote
 * one since the check. */
bool process_write_pidfile(const char *path, struct error *error);
/* Remove the one that we wrote, if it still names us. */
void process_remove_pidfile(void);

struct process_descriptors {
	uint64_t soft, hard; /* the kernel's limits of this process */
	uint64_t expected;   /* most that the configuration could ever open: all clients, all pools
				full */
	uint64_t wanted; /* all clients, and a server for each as far as the pools go; fewer will be
			    felt */
};

/* Raise the limit as far as the kernel lets us; fills in soft and hard. */
void process_raise_descriptor_limit(struct process_descriptors *descriptors);
/* What a configuration takes; fills in expected and wanted. */
void process_count_descriptors(const struct snapshot *snapshot,
			       struct process_descriptors *descriptors);

#endif
