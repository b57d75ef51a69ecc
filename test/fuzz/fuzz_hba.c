/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "auth/hba_match.h"
#include "core/error.h"
#include "fuzz.h"

/* Ask until there is a verdict; the replies are the bits of @replies. Any rule that is found must
 * be the first that such a search can reach again. */
static void match(const struct hba *hba, const char *database, const char *user,
		  const struct address *remote, unsigned replies)
{
	struct interfaces none = {0};
	const struct hba_subject subject = {.database = database,
					    .user = user,
					    .remote = remote,
					    .is_tls = replies & 1,
					    .interfaces = &none};
	const struct hba_rule *rule, *again;
	struct hba_search search;
	enum hba_verdict verdict;
	unsigned questions = 0;
	hba_search_init(&search);
	while ((verdict = hba_next(hba, &search, &subject, &rule)) == HBA_ASKS_NAME ||
	       verdict == HBA_ASKS_GROUP) {
		FUZZ_HOLDS(search.text && ++questions < 10000);
		hba_answer(&search, (enum hba_reply)(replies >> questions % 16 & 3));
	}
	FUZZ_HOLDS((verdict == HBA_MATCH) == (rule != NULL));
	FUZZ_HOLDS(hba_next(hba, &search, &subject, &again) == verdict && again == rule);
	hba_search_fini(&search);
}

static void fuzz_hba(const uint8_t *bytes, size_t size)
{
	static const char *const names[] = {"all", "alice", "a\"b", "x1"};
	struct error error = {0};
	struct address unix_address = {.family = AF_UNIX}, v4, v6;
	if (memchr(bytes, '{', size) || memchr(bytes, '@', size) ||
	    memmem(bytes, size, "include", 7))
		return; /* see fuzz_pattern; and no other files */
	FUZZ_HOLDS(address_parse("10.0.0.1", 1, &v4) && address_parse("2001:db8::1", 1, &v6));
	struct hba *hba = hba_load(fuzz_file(bytes, size), &error);
	FUZZ_HOLDS(hba || *error.message);
	if (!hba)
		return;
	for (size_t i = 0; i < hba_rule_count(hba); i++) {
		const struct hba_rule *rule = hba_rule(hba, i);
		FUZZ_HOLDS(rule->file_name && rule->type_name && rule->auth_method &&
			   rule->databases && rule->users);
	}
	for (unsigned i = 0; i < 4; i++) {
		match(hba, names[i], names[(i + size) % 4], &unix_address, (unsigned)size * 77);
		match(hba, names[i], "alice", &v4, (unsigned)size * 1237 + i);
		match(hba, "x1", names[i], &v6, bytes[size / 2] * 257u + i);
	}
	hba_free(&hba);
}

static const struct fuzz_seed seeds[] = {
	SEED("local all all peer map=m\nhost x1,/^x\\d alice,+g 10.0.0.0/8 md5\nhostssl all all "
	     "::/0 cert clientname=DN\n"),
	SEED("# c\nhost samerole all 10.0.0.0 255.0.0.0 scram-sha-256\nhostnossl sameuser "
	     "\"a\"\"b\" samenet reject\n"
	     "host all all .example trust\nhost all all db.example reject\n"),
	SEED("host all all all ldap ldapserver=s ldapbasedn=\"dc=a, b\" ldapbinddn=x "
	     "ldapbindpasswd=\"hush hush\"\n"),
	SEED("hostssl all +a,+b all scram-sha-256 clientcert=verify-ca \\\n "
	     "map=x\n"),
	SEED("hostgssenc replication all samehost pam pamservice=p pam_use_hostname=1\n"),
};
FUZZ_TARGET(hba);
