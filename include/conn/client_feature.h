/* SPDX-License-Identifier: ISC */
/* client_feature: requests that leave something behind in a server connection, in transaction and
 * statement mode: seen by their text, counted per database (SHOW FEATURES), and treated as
 * session_features says. What functions and DO blocks do is not seen. */
#ifndef PGWEIR_CONN_CLIENT_FEATURE_H
#define PGWEIR_CONN_CLIENT_FEATURE_H

#include <stdbool.h>
#include <stddef.h>
#include "conn/client.h"
#include "core/error.h"

/* Which enum feature, as bits, are in this text. */
unsigned client_features_in(const struct client *client, const char *text, size_t size);
/* False: one of them is refused; @error says so. */
bool client_features_admit(const struct client *client, unsigned features, struct error *error);
/* That is done: counted. */
void client_features_refused(const struct client *client, unsigned features);
/* They are on their way: counted, and the client is warned, once of each. */
void client_features_note(struct client *client, unsigned features);

#endif
