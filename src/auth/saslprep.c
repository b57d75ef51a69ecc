/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "auth/saslprep.h"
#include "core/memory.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>

static bool is_ascii(const char *text)
{
	for (; *text; text++) {
		if (*text & 0x80)
			return false;
	}
	return true;
}

char *saslprep(const char *password)
{
	/* As PostgreSQL: ASCII stays as it is (also control characters), and nothing becomes an
	 * empty password. */
	if (is_ascii(password))
		return memory_strdup(password);
	char *normal = NULL;
	int code = stringprep_profile(password, &normal, "SASLprep", STRINGPREP_NO_UNASSIGNED);
	bool usable = code == STRINGPREP_OK && normal && *normal;
	char *result = memory_strdup(usable ? normal : password);
	if (normal) {
		memory_erase(normal, strlen(normal));
		free(normal); /* the library's own memory */
	}
	return result;
}
