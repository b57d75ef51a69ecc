/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/ldap_options.h"
#include "core/error.h"
#include "fuzz.h"

static void fuzz_ldap(const uint8_t *bytes, size_t size)
{
	struct error error = {0};
	char *text = fuzz_text(bytes, size);
	struct ldap_options *options = ldap_options_parse(text, &error);
	FUZZ_HOLDS(options || *error.message);
	/* What a password is in the seeds; if it has lost its name, nobody can know. */
	FUZZ_HOLDS(!strstr(text, "passwd") || !strstr(error.message, "hush"));
	ldap_options_release(&options);
	free(text);
}

static const struct fuzz_seed seeds[] = {
	SEED("ldapserver=a ldapport=1389 ldapprefix=\"uid=\" ldapsuffix=\",dc=x\""),
	SEED("ldapserver=\"a b\" ldapbasedn=dc=x ldapbinddn=cn=m ldapbindpasswd=hush "
	     "ldapsearchattribute=uid"),
	SEED("ldapurl=\"ldaps://h:636/dc=x?uid?sub?(a=b)\" ldaptls=0 ldapbindpasswd=\"hush "
	     "\"\"hush\""),
};
FUZZ_TARGET(ldap);
