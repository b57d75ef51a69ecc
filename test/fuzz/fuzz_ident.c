/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/ident.h"
#include "core/error.h"
#include "fuzz.h"

static void fuzz_ident(const uint8_t *bytes, size_t size)
{
	static const char *const names[] = {"alice", "root", "a\"b", "", "x@y", NULL};
	struct error error = {0};
	if (memchr(bytes, '{', size) || memchr(bytes, '@', size) ||
	    memmem(bytes, size, "include", 7))
		return; /* see fuzz_pattern; and no other files */
	struct ident *ident = ident_load(fuzz_file(bytes, size), &error);
	FUZZ_HOLDS(ident || *error.message);
	for (int i = 0; ident && names[i]; i++)
		for (int j = 0; names[j]; j++) {
			FUZZ_HOLDS(!ident_permits(ident, "nomap", names[i], names[j]) ||
				   ident_has_map(ident, "nomap"));
			FUZZ_HOLDS(*names[i] || !ident_permits(ident, "m", names[i], names[j]));
			(void)ident_permits(ident, "m", names[i], names[j]);
		}
	ident_free(&ident);
}

static const struct fuzz_seed seeds[] = {
	SEED("m root alice\nm /^(.*)oot$ \\1\n# comment\nn \"a\"\"b\" all\n"),
	SEED("m /x /^a \\\n # c\nm \"/x\" \"all\"\n"),
	SEED("m a b\nm \"a b\" \"all\"\n"),
};
FUZZ_TARGET(ident);
