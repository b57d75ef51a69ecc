/* SPDX-License-Identifier: ISC */
/* client_rule: finds the rule of auth_hba_file that holds for a client in state AUTH. That may ask
 * name servers, and a database for members of a role; whatever waits is cancelled with the login.
 * Contract section 6. */
#ifndef PGWEIR_CONN_CLIENT_RULE_H
#define PGWEIR_CONN_CLIENT_RULE_H

#include "auth/hba.h"
#include "conn/client.h"

struct client_rule_ops {
	/* @rule is valid during the call. */
	void (*found)(struct client *client, const struct hba_rule *rule);
	void (*none)(struct client *client);
	/* What a rule asks for cannot be known now, which is in the log. */
	void (*unknown)(struct client *client);
};
void client_rule_open(const struct client_rule_ops *ops);

/* One of the ops follows, possibly before this returns. */
void client_rule_find(struct client *client);

/* What a rule asks for, as its line has it; the caller frees it. */
char *client_rule_demand(const struct hba_rule *rule);
/* A RELOAD may have come since: does a rule hold now that demands the same? What can only be known
 * by asking is no. */
bool client_rule_still_demands(struct client *client, const char *demand);

/* Is one of these where the client is? */
bool client_rule_has_address(const struct client *client, const struct address *addresses,
			     unsigned count);

#endif
