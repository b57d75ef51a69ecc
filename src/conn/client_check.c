/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "conn/client_check.h"
#include <string.h>
#include "auth/ldap.h"
#include "auth/md5.h"
#include "auth/pam.h"
#include "auth/scram.h"
#include "core/memory.h"
#include "core/offload.h"
#include "core/random.h"

/* Slow directories hold up each other only so far, and nobody else. */
enum { THREADS = 8, WAITING_MAX = 1000 };

struct client_check {
	struct offload_job job;
	enum auth_method method;
	char *user, *password, *host, *service;
	struct ldap_options *ldap;
	struct scram_secret scram;
	struct scram_derivation derivation;
	bool well;
	struct error why;
	client_check_fn *done;
	void *context;
};

static struct offload_queue pam_queue = OFFLOAD_QUEUE_OF_PLUGINS(THREADS, WAITING_MAX);
static struct offload_queue ldap_queue = OFFLOAD_QUEUE_OF_PLUGINS(THREADS, WAITING_MAX);
static struct offload_queue hash_queue = OFFLOAD_QUEUE(2, WAITING_MAX);

static struct client_check *check_of(struct offload_job *job)
{
	return container_of(job, struct client_check, job);
}

/* ---- in a thread ---- */

/* A service with a path is in that directory. */
static void check_by_pam(struct client_check *check)
{
	char *slash = strrchr(check->service, '/');
	struct pam_options options = {.service = slash ? slash + 1 : check->service};
	if (slash)
		*slash = '\0';
	options.directory = slash ? check->service : NULL;
	check->well = pam_check(&options, check->user, check->password, check->host, &check->why);
}

static void work(struct offload_job *job)
{
	struct client_check *check = check_of(job);
	switch (check->method) {
	case AUTH_PAM:
		check_by_pam(check);
		break;
	case AUTH_LDAP:
		check->well = ldap_check(check->ldap, check->user, check->password, &check->why);
		break;
	default:
		scram_derive(&check->derivation);
		check->well = !check->derivation.failed &&
			      digest_is_equal(check->derivation.keys.server_key,
					      check->scram.server_key, DIGEST_SHA256);
	}
}

/* ---- in the loop ---- */

static void done(struct offload_job *job)
{
	struct client_check *check = check_of(job);
	check->done(check->context, check->well, &check->why);
}

static void discard(struct offload_job *job)
{
	struct client_check *check = check_of(job);
	memory_free_secret(&check->password);
	memory_free(&check->user);
	memory_free(&check->host);
	memory_free(&check->service);
	ldap_options_release(&check->ldap);
	scram_derivation_fini(&check->derivation);
	memory_erase(&check->scram, sizeof check->scram);
	memory_free(&check);
}

static enum client_check_result submit(struct offload_queue *queue,
				       const struct client_check_request *request,
				       const struct scram_secret *scram, client_check_fn *callback,
				       void *context, struct client_check **result)
{
	struct client_check *check = memory_alloc(sizeof *check);
	check->job = (struct offload_job){.work = work, .done = done, .discard = discard};
	check->method = request->method;
	check->user = memory_strdup(request->user);
	check->password = memory_strdup(request->password);
	check->host = memory_strdup(request->remote_host);
	check->service = memory_strdup(request->service);
	check->ldap = request->ldap ? ldap_options_hold(request->ldap) : NULL;
	if (scram) {
		check->scram = *scram;
		scram_derivation_init(&check->derivation, request->password, scram->salt,
				      scram->salt_size, scram->iterations);
	}
	check->done = callback;
	check->context = context;
	if (!offload_submit(queue, &check->job)) {
		discard(&check->job);
		return CLIENT_CHECK_BUSY;
	}
	*result = check;
	return CLIENT_CHECK_LATER;
}

/* @scram is copied, and erased. */
static enum client_check_result submit_scram(const struct client_check_request *request,
					     struct scram_secret *scram, client_check_fn *callback,
					     void *context, struct client_check **result)
{
	enum client_check_result verdict =
		submit(&hash_queue, request, scram, callback, context, result);
	memory_erase(scram, sizeof *scram);
	return verdict;
}

static bool equals_plain(const char *secret, const char *password)
{
	uint8_t a[DIGEST_SHA256], b[DIGEST_SHA256];
	digest_sha256(secret, strlen(secret), a);
	digest_sha256(password, strlen(password), b);
	bool is_equal = digest_is_equal(a, b, DIGEST_SHA256);
	memory_erase(a, sizeof a);
	memory_erase(b, sizeof b);
	return is_equal;
}

/* Keys that no password has. */
static void mock_scram(struct scram_secret *scram, unsigned iterations)
{
	*scram = (struct scram_secret){.iterations = iterations, .salt_size = 16};
	random_bytes(scram->salt, scram->salt_size);
	random_bytes(scram->server_key, sizeof scram->server_key);
}

enum client_check_result client_check_begin(const struct client_check_request *request,
					    client_check_fn *callback, void *context,
					    struct client_check **check, bool *well)
{
	struct scram_secret scram;
	*well = false;
	if (request->method == AUTH_PAM)
		return submit(&pam_queue, request, NULL, callback, context, check);
	if (request->method == AUTH_LDAP)
		return submit(&ldap_queue, request, NULL, callback, context, check);
	switch (request->secret.kind) {
	case SECRET_SCRAM:
		if (!secret_parse_scram(request->secret.text, &scram) ||
		    scram.iterations > SCRAM_ITERATIONS_MAX)
			break; /* somebody's own secret, to keep us busy */
		return submit_scram(request, &scram, callback, context, check);
	case SECRET_PLAIN:
		*well = equals_plain(request->secret.text, request->password);
		break;
	case SECRET_MD5:
		*well = md5_is_of(&request->secret, request->user, request->password);
		break;
	case SECRET_NONE: /* takes as long as for somebody who is there */
		if (request->mock_iterations && request->mock_iterations <= SCRAM_ITERATIONS_MAX) {
			mock_scram(&scram, request->mock_iterations);
			return submit_scram(request, &scram, callback, context, check);
		}
		equals_plain("", request->password);
		break;
	}
	return CLIENT_CHECK_NOW;
}

void client_check_abandon(struct client_check **check)
{
	if (*check)
		offload_abandon(&(*check)->job);
	*check = NULL;
}
