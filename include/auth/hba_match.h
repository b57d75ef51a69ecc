/* SPDX-License-Identifier: ISC */
/* hba_match: which of the rules of auth_hba_file holds for a client: the first that matches.
 * Matching is pure. Where it needs what only a server or the DNS knows, it asks its caller, and
 * only when all else of the rule matches:
 *
 *     hba_search_init(&search);
 *     while ((verdict = hba_next(hba, &search, &subject, &rule)) is a question)
 *             hba_answer(&search, <answer to search.text>);
 *     hba_search_fini(&search);
 *
 * Time may pass between the calls, and @hba may be another one then: the search begins again with
 * what has been answered. */
#ifndef PGWEIR_AUTH_HBA_MATCH_H
#define PGWEIR_AUTH_HBA_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "auth/hba.h"
#include "net/address.h"
#include "net/network.h"

/* Who wants in. */
struct hba_subject {
	const char *database, *user;
	const struct address *remote;
	bool is_tls;
	bool is_physical_replication;
	const struct interfaces *interfaces; /* for samehost and samenet; NULL: ask the system */
};

enum hba_verdict {
	HBA_MATCH,
	HBA_NO_MATCH,
	HBA_UNANSWERED, /* a rule may mean this client or not: what it asks for cannot be known now,
			   or memory was refused. No later rule may let anybody in */
	HBA_ASKS_NAME,	/* is the remote address that of this host name? Look the name up. With a
			   dot in front: look up the address's name, see whether hba_name_has() it,
			   and that the name has this address */
	HBA_ASKS_GROUP	/* is the user a member of this role, directly or not? As in PostgreSQL it
			   is no member only because it is a superuser */
};

struct hba_search {
	enum hba_verdict question; /* HBA_ASKS_... while one is open */
	char *text;		   /* what it is about */
	struct hba_answered *answers;
	size_t answer_count;
	struct interfaces interfaces;
	bool has_interfaces;
	bool rejects;	 /* so does the rule at hand */
	size_t next;	 /* rule to look at; those before do not match */
	uint64_t serial; /* of the rules that @next counts */
};

void hba_search_init(struct hba_search *search);
void hba_search_fini(struct hba_search *search);
/* Go on until a rule matches (*@rule), none is left, or a question is in @search. The same question
 * is asked once in a search; until it is answered it is repeated. */
enum hba_verdict hba_next(const struct hba *hba, struct hba_search *search,
			  const struct hba_subject *subject, const struct hba_rule **rule);

/* Are these the rules that the search looked at last? */
bool hba_is_searched(const struct hba *hba, const struct hba_search *search);

enum hba_reply {
	HBA_REPLY_NO,
	HBA_REPLY_YES,
	HBA_REPLY_NO_SUCH_NAME, /* nobody has the name: as no, but whom a reject means by it is not
				   let in by a later rule */
	HBA_REPLY_FAILED	/* it cannot be known now */
};
void hba_answer(struct hba_search *search, enum hba_reply reply);

/* Does the host @name end as ".suffix" does, or equal it when there is no dot? Any case. */
bool hba_name_has(const char *name, const char *suffix);

#endif
