/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/address.h"
#include "core/text.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

void address_from_sockaddr(struct address *address, const struct sockaddr *sockaddr,
			   socklen_t length)
{
	memset(address, 0, sizeof *address);
	if (length < sizeof sockaddr->sa_family)
		return;
	if (sockaddr->sa_family == AF_UNIX) {
		address->family = AF_UNIX;
	} else if (sockaddr->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)sockaddr;
		address->family = AF_INET;
		address->port = ntohs(v4->sin_port);
		address->v4 = v4->sin_addr;
	} else if (sockaddr->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)sockaddr;
		address->port = ntohs(v6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			/* An inherited socket may serve both families; rules are written for the
			 * real one. */
			address->family = AF_INET;
			memcpy(&address->v4, v6->sin6_addr.s6_addr + 12, sizeof address->v4);
		} else {
			address->family = AF_INET6;
			address->scope = v6->sin6_scope_id;
			address->v6 = v6->sin6_addr;
		}
	}
}

bool address_to_sockaddr(const struct address *address, struct sockaddr_storage *sockaddr,
			 socklen_t *length)
{
	memset(sockaddr, 0, sizeof *sockaddr);
	if (address->family == AF_INET) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)sockaddr;
		v4->sin_family = AF_INET;
		v4->sin_port = htons(address->port);
		v4->sin_addr = address->v4;
		*length = sizeof *v4;
		return true;
	}
	if (address->family == AF_INET6) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)sockaddr;
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(address->port);
		v6->sin6_addr = address->v6;
		v6->sin6_scope_id = address->scope;
		*length = sizeof *v6;
		return true;
	}
	return false;
}

bool address_unix_sockaddr(const char *path, struct sockaddr_un *sockaddr, socklen_t *length)
{
	size_t size = strlen(path);
	bool is_abstract = path[0] == '@';
	memset(sockaddr, 0, sizeof *sockaddr);
	sockaddr->sun_family = AF_UNIX;
	/* An abstract name is counted, a path ends with NUL. */
	if (size + !is_abstract > sizeof sockaddr->sun_path)
		return false;
	memcpy(sockaddr->sun_path, path, size);
	if (is_abstract)
		sockaddr->sun_path[0] = '\0';
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + !is_abstract);
	return true;
}

static bool parse_scope(const char *name, uint32_t *scope)
{
	int64_t number;
	*scope = if_nametoindex(name);
	if (*scope)
		return true;
	if (!text_to_int(name, &number) || number < 1 || number > UINT32_MAX)
		return false;
	*scope = (uint32_t)number;
	return true;
}

bool address_parse(const char *text, uint16_t port, struct address *address)
{
	char copy[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	size_t size = strlen(text);
	bool in_brackets = text[0] == '[';
	memset(address, 0, sizeof *address);
	if (in_brackets) {
		if (size < 2 || text[size - 1] != ']')
			return false;
		text++;
		size -= 2;
	}
	if (size >= sizeof copy)
		return false;
	memcpy(copy, text, size);
	copy[size] = '\0';
	address->port = port;
	if (!in_brackets && inet_pton(AF_INET, copy, &address->v4) == 1) {
		address->family = AF_INET;
		return true;
	}
	char *percent = strchr(copy, '%');
	if (percent)
		*percent = '\0';
	if (inet_pton(AF_INET6, copy, &address->v6) == 1 &&
	    (!percent || parse_scope(percent + 1, &address->scope))) {
		address->family = AF_INET6;
		return true;
	}
	memset(address, 0, sizeof *address);
	return false;
}

const char *address_host(const struct address *address, char *text)
{
	switch (address->family) {
	case AF_INET:
		inet_ntop(AF_INET, &address->v4, text, ADDRESS_TEXT);
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &address->v6, text, ADDRESS_TEXT);
		if (address->scope) {
			char name[IF_NAMESIZE];
			size_t length = strlen(text);
			if (if_indextoname(address->scope, name))
				snprintf(text + length, ADDRESS_TEXT - length, "%%%s", name);
			else
				snprintf(text + length, ADDRESS_TEXT - length, "%%%u",
					 address->scope);
		}
		break;
	case AF_UNIX:
		strcpy(text, "unix");
		break;
	default:
		strcpy(text, "(bad-af)"); /* what PgBouncer prints while a name is not resolved */
	}
	return text;
}

const char *address_print(const struct address *address, char *text)
{
	char host[ADDRESS_TEXT];
	address_host(address, host);
	if (address->family == AF_INET6)
		snprintf(text, ADDRESS_TEXT, "[%.110s]:%u", host, address->port);
	else if (address->family == AF_UNIX && address->unix_peer.pid)
		snprintf(text, ADDRESS_TEXT, "unix(%ld):%u", (long)address->unix_peer.pid,
			 address->port);
	else
		snprintf(text, ADDRESS_TEXT, "%.110s:%u", host, address->port);
	return text;
}

bool address_is_equal(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return false;
	switch (a->family) {
	case AF_INET:
		return a->v4.s_addr == b->v4.s_addr;
	case AF_INET6:
		return a->scope == b->scope && memcmp(&a->v6, &b->v6, sizeof a->v6) == 0;
	case AF_UNIX:
		return a->unix_peer.pid == b->unix_peer.pid && a->unix_peer.uid == b->unix_peer.uid;
	default:
		return true;
	}
}
