/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/address.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void address_from_sockaddr(struct address *address, const struct sockaddr *sockaddr, socklen_t length)
{
	*address = (struct address){.family = AF_UNSPEC};
	if (sockaddr->sa_family == AF_INET && length >= sizeof(struct sockaddr_in)) {
		const struct sockaddr_in *in = (const void *)sockaddr;
		address->family = AF_INET;
		address->port = ntohs(in->sin_port);
		address->v4 = in->sin_addr;
	} else if (sockaddr->sa_family == AF_INET6 && length >= sizeof(struct sockaddr_in6)) {
		const struct sockaddr_in6 *in6 = (const void *)sockaddr;
		address->family = AF_INET6;
		address->port = ntohs(in6->sin6_port);
		address->scope = in6->sin6_scope_id;
		address->v6 = in6->sin6_addr;
	} else if (sockaddr->sa_family == AF_UNIX) {
		address->family = AF_UNIX;
	}
}

bool address_to_sockaddr(const struct address *address, struct sockaddr_storage *sockaddr, socklen_t *length)
{
	memset(sockaddr, 0, sizeof *sockaddr);
	if (address->family == AF_INET) {
		struct sockaddr_in *in = (void *)sockaddr;
		in->sin_family = AF_INET;
		in->sin_port = htons(address->port);
		in->sin_addr = address->v4;
		*length = sizeof *in;
		return true;
	}
	if (address->family == AF_INET6) {
		struct sockaddr_in6 *in6 = (void *)sockaddr;
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(address->port);
		in6->sin6_scope_id = address->scope;
		in6->sin6_addr = address->v6;
		*length = sizeof *in6;
		return true;
	}
	return false;
}

bool address_unix_sockaddr(const char *path, struct sockaddr_un *sockaddr, socklen_t *length)
{
	size_t size = strlen(path);
	if (size == 0 || size >= sizeof sockaddr->sun_path)
		return false;
	memset(sockaddr, 0, sizeof *sockaddr);
	sockaddr->sun_family = AF_UNIX;
	memcpy(sockaddr->sun_path, path, size);
	if (path[0] == '@') /* abstract: the name begins with a NUL, and has no other at its end */
		sockaddr->sun_path[0] = '\0';
	*length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] != '@'));
	return true;
}

bool address_parse(const char *text, uint16_t port, struct address *address)
{
	char host[ADDRESS_TEXT];
	size_t length = strlen(text);
	if (length >= sizeof host)
		return false;
	memcpy(host, text, length + 1);
	*address = (struct address){.port = port};
	if (host[0] == '[' && length > 2 && host[length - 1] == ']') {
		host[length - 1] = '\0';
		memmove(host, host + 1, length - 1);
	} else if (inet_pton(AF_INET, host, &address->v4) == 1) {
		address->family = AF_INET;
		return true;
	}
	char *scope = strchr(host, '%');
	if (scope) {
		*scope++ = '\0';
		address->scope = if_nametoindex(scope);
		if (!address->scope)
			address->scope = (uint32_t)strtoul(scope, NULL, 10);
		if (!address->scope)
			return false;
	}
	if (inet_pton(AF_INET6, host, &address->v6) != 1)
		return false;
	address->family = AF_INET6;
	return true;
}

const char *address_host(const struct address *address, char *text)
{
	switch (address->family) {
	case AF_INET:
		return inet_ntop(AF_INET, &address->v4, text, ADDRESS_TEXT);
	case AF_INET6:
		inet_ntop(AF_INET6, &address->v6, text, ADDRESS_TEXT - 16);
		if (address->scope)
			sprintf(text + strlen(text), "%%%u", address->scope);
		return text;
	case AF_UNIX:
		return strcpy(text, "unix");
	default:
		return strcpy(text, "unknown");
	}
}

const char *address_print(const struct address *address, char *text)
{
	char host[ADDRESS_TEXT];
	address_host(address, host);
	if (address->family == AF_UNIX)
		snprintf(text, ADDRESS_TEXT, "unix(%d):%u", (int)address->unix_peer.pid, address->port);
	else
		snprintf(text, ADDRESS_TEXT, address->family == AF_INET6 ? "[%.100s]:%u" : "%.100s:%u", host, address->port);
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
		return !memcmp(&a->v6, &b->v6, sizeof a->v6) && a->scope == b->scope;
	case AF_UNIX:
		return a->unix_peer.pid == b->unix_peer.pid && a->unix_peer.uid == b->unix_peer.uid;
	default:
		return true;
	}
}
