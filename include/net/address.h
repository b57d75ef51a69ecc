/* SPDX-License-Identifier: ISC */
/* address: an IPv4, IPv6 or Unix address: parse, print, compare. Kept small, since every client
 * holds one: the path of a Unix socket is not part of a peer's address, only who is there. */
#ifndef PGWEIR_NET_ADDRESS_H
#define PGWEIR_NET_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { ADDRESS_TEXT = 128 }; /* enough for any printed address */

/* The far or near end of a connection. */
struct address {
	uint8_t family; /* AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC */
	uint16_t port;	/* host order; of a Unix socket the number in its name */
	uint32_t scope; /* IPv6 scope id */
	union {
		struct in_addr v4;
		struct in6_addr v6;
		struct {
			pid_t pid;
			uid_t uid;
		} unix_peer; /* of the process at the far end */
	};
};

/* From what the kernel says. */
void address_from_sockaddr(struct address *address, const struct sockaddr *sockaddr,
			   socklen_t length);
/* For connect() and bind(); AF_UNIX: false (needs a path, see address_unix_sockaddr). */
bool address_to_sockaddr(const struct address *address, struct sockaddr_storage *sockaddr,
			 socklen_t *length);
/* A socket path or "@name" (abstract). False: too long. */
bool address_unix_sockaddr(const char *path, struct sockaddr_un *sockaddr, socklen_t *length);

/* A numeric IPv4 or IPv6 address (also in brackets, with %scope). False: it is none. */
bool address_parse(const char *text, uint16_t port, struct address *address);

/* "127.0.0.1", "::1", "unix". @text has ADDRESS_TEXT bytes; returns it. */
const char *address_host(const struct address *address, char *text);
/* "127.0.0.1:5432", "[::1]:5432", "unix(1234):6432": as the log has it, contract section 17. */
const char *address_print(const struct address *address, char *text);

bool address_is_equal(const struct address *a, const struct address *b); /* without the port */
static inline bool address_is_unix(const struct address *address)
{
	return address->family == AF_UNIX;
}

#endif
