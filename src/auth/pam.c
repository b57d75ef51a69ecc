/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/pam.h"
#include "auth/method.h"
#include "core/error.h"

#ifdef HAVE_PAM

#include "core/memory.h"
#include "core/text.h"
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the modules and we have told each other. */
struct conversation {
	const char *password;  /* NULL: has been given */
	const char *complaint; /* of ours, static; NULL: none */
	char said[128];	       /* a module's last error message */
};

static bool answer(struct conversation *conversation, const struct pam_message *question,
		   struct pam_response *response)
{
	switch (question->msg_style) {
	case PAM_PROMPT_ECHO_OFF:
		if (!conversation->password) {
			conversation->complaint = "a module asked for more than the password";
			return false;
		}
		/* The module frees it, with free(). */
		response->resp = strdup(conversation->password);
		conversation->password = NULL;
		return response->resp != NULL;
	case PAM_ERROR_MSG:
		text_printable(question->msg, conversation->said, sizeof(conversation->said));
		return true;
	case PAM_TEXT_INFO:
		return true;
	default:
		conversation->complaint = "a module asked a question with the echo on";
		return false;
	}
}

static int converse(int count, const struct pam_message **questions,
		    struct pam_response **responses, void *data)
{
	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	struct pam_response *reply = calloc((size_t)count, sizeof(*reply));
	if (!reply)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		if (answer(data, questions[i], &reply[i]))
			continue;
		for (int j = 0; j < i; j++) {
			if (reply[j].resp)
				memory_erase(reply[j].resp, strlen(reply[j].resp));
			free(reply[j].resp);
		}
		free(reply);
		return PAM_CONV_ERR;
	}
	*responses = reply;
	return PAM_SUCCESS;
}

/* Is it the user who is refused, or did the service not work? */
static bool is_refusal(int status)
{
	switch (status) {
	case PAM_AUTH_ERR:
	case PAM_USER_UNKNOWN:
	case PAM_MAXTRIES:
	case PAM_PERM_DENIED:
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED:
		return true;
	default:
		return false;
	}
}

static bool fail(enum sqlstate state, struct error *error)
{
	return error_set(error, state, "%s", method_get(AUTH_PAM)->refusal);
}

static bool fail_status(pam_handle_t *handle, int status, const char *step,
			const struct conversation *conversation, struct error *error)
{
	fail(is_refusal(status) ? SQLSTATE_INVALID_PASSWORD : SQLSTATE_SYSTEM_ERROR, error);
	error_detail(error, "%s: %s", step, pam_strerror(handle, status));
	if (conversation->complaint)
		error_detail(error, "; %s", conversation->complaint);
	else if (conversation->said[0])
		error_detail(error, "; the module said: %s", conversation->said);
	return false;
}

static int start(const struct pam_options *options, const char *user,
		 const struct pam_conv *conversation, pam_handle_t **handle)
{
	if (!options->directory)
		return pam_start(options->service, user, conversation, handle);
#ifdef HAVE_PAM_START_CONFDIR
	return pam_start_confdir(options->service, user, conversation, options->directory, handle);
#else
	return PAM_SYSTEM_ERR;
#endif
}

bool pam_is_available(struct error *error)
{
	(void)error;
	return true;
}

bool pam_check(const struct pam_options *options, const char *user, const char *password,
	       const char *remote_host, struct error *error)
{
	struct conversation conversation = {.password = password};
	const struct pam_conv functions = {.conv = converse, .appdata_ptr = &conversation};
	pam_handle_t *handle = NULL;
	if (!*password) {
		fail(SQLSTATE_INVALID_PASSWORD, error);
		return error_detail(error, "empty password returned by client");
	}
	const char *step = "pam_start";
	int status = start(options, user, &functions, &handle);
	if (status != PAM_SUCCESS)
		return fail_status(NULL, status, step, &conversation, error);
	if (remote_host) {
		step = "pam_set_item";
		status = pam_set_item(handle, PAM_RHOST, remote_host);
	}
	if (status == PAM_SUCCESS) {
		step = "pam_authenticate";
		status = pam_authenticate(handle, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	}
	if (status == PAM_SUCCESS) {
		step = "pam_acct_mgmt";
		status = pam_acct_mgmt(handle, PAM_SILENT);
	}
	bool is_ok =
		status == PAM_SUCCESS || fail_status(handle, status, step, &conversation, error);
	pam_end(handle, status);
	return is_ok;
}

#else

bool pam_is_available(struct error *error)
{
	return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "pgweir was built without PAM");
}

bool pam_check(const struct pam_options *options, const char *user, const char *password,
	       const char *remote_host, struct error *error)
{
	(void)options, (void)user, (void)password, (void)remote_host;
	return pam_is_available(error);
}

#endif
