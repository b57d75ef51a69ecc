/* SPDX-License-Identifier: ISC */
/* network: a set of IP addresses given by an address and a mask, and the networks this machine is
 * in. An IPv4 address mapped into IPv6 counts as the IPv4 address it is, on both sides. */
#ifndef PGWEIR_NET_NETWORK_H
#define PGWEIR_NET_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net/address.h"

struct network {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t base[16], mask[16];
};

enum network_result {
	NETWORK_OK,
	NETWORK_NOT_ADDRESS, /* what stands before the slash is no numeric address */
	NETWORK_BAD_MASK     /* no number of bits, or too many; of another family */
};

/* "10.0.0.0/8", "::1/128"; without a slash the whole address counts. Bits of the address beyond the
 * mask are ignored. */
enum network_result network_parse(const char *text, struct network *network);
/* An address and a mask as written in two columns: "10.0.0.0" "255.0.0.0". As in PostgreSQL the
 * ones of a mask need not be adjacent. */
enum network_result network_parse_mask(const char *address, const char *mask,
				       struct network *network);

/* False also for addresses of another family, Unix sockets among them. */
bool network_has(const struct network *network, const struct address *address);

/* As PostgreSQL shows them: "10.0.0.0" and "255.0.0.0". @text has ADDRESS_TEXT bytes. */
const char *network_print_base(const struct network *network, char *text);
const char *network_print_mask(const struct network *network, char *text);

/* The addresses of this machine's interfaces, each with its network's mask. */
struct interfaces {
	struct network *networks;
	size_t count;
};

/* Ask the system; nothing is found when it does not say. */
void interfaces_read(struct interfaces *interfaces);
void interfaces_fini(struct interfaces *interfaces);
/* Is @address one of this machine's own? Is it in one of its networks? */
bool interfaces_have_host(const struct interfaces *interfaces, const struct address *address);
bool interfaces_have_network(const struct interfaces *interfaces, const struct address *address);

#endif
