/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "admin/access.h"
#include <unistd.h>
#include "config/snapshot.h"
#include "core/text.h"
#include "pool/registry.h"

bool access_is_system_user(const struct client *client, const char *user)
{
	const struct address *remote = &client->endpoint.remote;
	return address_is_unix(remote) && remote->unix_peer.pid != 0 &&
	       remote->unix_peer.uid == geteuid() && registry_is_console_name(user);
}

enum access access_of(const struct client *client, const char *user)
{
	const struct settings *settings = settings_current();
	if (access_is_system_user(client, user) || text_list_has(settings->admin_users, user))
		return ACCESS_ADMIN;
	if (text_list_has(settings->stats_users, user))
		return ACCESS_STATS;
	/* Where everybody is let in unasked, everybody may look. */
	return snapshot_auth_type(snapshot_current(), "pgbouncer", user) == AUTH_ANY ? ACCESS_STATS
										     : ACCESS_NONE;
}
