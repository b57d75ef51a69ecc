/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/pam.h"
#include <stdlib.h>
#include <string.h>
#include "core/error.h"
#include "core/memory.h"

#ifdef HAVE_PAM
#include <security/pam_appl.h>

/* What a conversation needs. */
struct talk {
	const char *password;
};

static void free_answers(struct pam_response *answers, int count)
{
	for (int i = 0; i < count; i++)
		if (answers[i].resp) {
			memory_erase(answers[i].resp, strlen(answers[i].resp));
			free(answers[i].resp);
		}
	free(answers);
}

/* The modules ask; all that is asked for without echo is the password. PAM frees the answers. */
static int converse(int count, const struct pam_message **messages, struct pam_response **result,
		    void *data)
{
	const struct talk *talk = data;
	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	struct pam_response *answers = calloc((size_t)count, sizeof *answers);
	if (!answers)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		switch (messages[i]->msg_style) {
		case PAM_PROMPT_ECHO_OFF:
			answers[i].resp = strdup(talk->password);
			if (answers[i].resp)
				continue;
			free_answers(answers, count);
			return PAM_BUF_ERR;
		case PAM_ERROR_MSG:
		case PAM_TEXT_INFO:
			continue;
		default: /* something that we do not know */
			free_answers(answers, count);
			return PAM_CONV_ERR;
		}
	}
	*result = answers;
	return PAM_SUCCESS;
}

static int start(const char *service, const char *user, const struct pam_conv *conversation,
		 pam_handle_t **handle)
{
	const char *name = strrchr(service, '/');
	if (!name)
		return pam_start(service, user, conversation, handle);
	char *directory = memory_strndup(service, (size_t)(name - service));
	int code = pam_start_confdir(name + 1, user, conversation, directory, handle);
	memory_free(&directory);
	return code;
}

bool pam_is_built_in(void)
{
	return true;
}

bool pam_check(const char *service, const char *user, const char *password, const char *remote_host,
	       struct error *error)
{
	struct talk talk = {.password = password};
	const struct pam_conv conversation = {.conv = converse, .appdata_ptr = &talk};
	pam_handle_t *handle = NULL;
	const char *where = "pam_start";
	int code = start(service, user, &conversation, &handle);
	if (code != PAM_SUCCESS)
		return error_set(error, SQLSTATE_SYSTEM_ERROR,
				 "PAM service \"%s\" cannot be used: %s", service,
				 pam_strerror(handle, code));
	pam_set_item(handle, PAM_RHOST, remote_host);
	code = pam_authenticate(handle, PAM_SILENT);
	where = "pam_authenticate";
	if (code == PAM_SUCCESS) {
		code = pam_acct_mgmt(handle, PAM_SILENT);
		where = "pam_acct_mgmt";
	}
	if (code != PAM_SUCCESS)
		error_set(error, SQLSTATE_INVALID_PASSWORD, "%s of service \"%s\": %s", where,
			  service, pam_strerror(handle, code));
	pam_end(handle, code);
	return code == PAM_SUCCESS;
}

#else

bool pam_is_built_in(void)
{
	return false;
}

bool pam_check(const char *service, const char *user, const char *password, const char *remote_host,
	       struct error *error)
{
	(void)service;
	(void)user;
	(void)password;
	(void)remote_host;
	return error_set(error, SQLSTATE_FEATURE_NOT_SUPPORTED, "built without PAM");
}

#endif
