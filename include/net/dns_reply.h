/* SPDX-License-Identifier: ISC */
/* dns_reply: the one thing in a DNS message that c-ares does not tell: the serial of the zone that
 * a name is in. RFC 1035 section 4, RFC 2308 section 2. Pure functions on bytes. */
#ifndef PGWEIR_NET_DNS_REPLY_H
#define PGWEIR_NET_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The serial of the first SOA record in the answer or, when the name that was asked for is none of
 * a zone but in one, in the authority section. False: there is none, or the message is broken. */
bool dns_reply_serial(const uint8_t *reply, size_t size, uint32_t *serial);

#endif
