/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/network.h"
#include "core/memory.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static unsigned family_size(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* The bytes of an IP address, IPv4 also where it is mapped. False: no IP address. */
static bool take_bytes(const struct address *address, uint8_t *family, uint8_t bytes[16])
{
	memset(bytes, 0, 16);
	*family = address->family;
	if (address->family == AF_INET) {
		memcpy(bytes, &address->v4, 4);
	} else if (address->family == AF_INET6) {
		memcpy(bytes, &address->v6, 16);
		if (IN6_IS_ADDR_V4MAPPED(&address->v6)) {
			*family = AF_INET;
			memmove(bytes, bytes + 12, 4);
			memset(bytes + 4, 0, 12);
		}
	} else {
		return false;
	}
	return true;
}

static void mask_from_bits(uint8_t mask[16], unsigned bits)
{
	memset(mask, 0, 16);
	for (unsigned i = 0; i < bits; i++)
		mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
}

/* An IPv6 network wholly of mapped addresses becomes the IPv4 network it means. */
static void unmap(struct network *network)
{
	static const uint8_t ones[12] = {255, 255, 255, 255, 255, 255,
					 255, 255, 255, 255, 255, 255};
	if (network->family != AF_INET6 || memcmp(network->base, mapped_prefix, 12) != 0 ||
	    memcmp(network->mask, ones, 12) != 0)
		return;
	network->family = AF_INET;
	memmove(network->base, network->base + 12, 4);
	memset(network->base + 4, 0, 12);
	memmove(network->mask, network->mask + 12, 4);
	memset(network->mask + 4, 0, 12);
}

/* Not yet unmapped: the mask is written for the family that the text has. */
static bool parse_base(const char *text, struct network *network)
{
	struct address address;
	if (text[0] == '[' || !address_parse(text, 0, &address))
		return false;
	memset(network, 0, sizeof *network);
	network->family = address.family;
	if (address.family == AF_INET)
		memcpy(network->base, &address.v4, 4);
	else
		memcpy(network->base, &address.v6, 16);
	return true;
}

enum network_result network_parse(const char *text, struct network *network)
{
	char copy[ADDRESS_TEXT];
	size_t length = strcspn(text, "/");
	if (length >= sizeof copy)
		return NETWORK_NOT_ADDRESS;
	memcpy(copy, text, length);
	copy[length] = '\0';
	if (!parse_base(copy, network))
		return NETWORK_NOT_ADDRESS;
	unsigned bits = 8 * family_size(network->family);
	if (text[length]) {
		const char *digits = text + length + 1;
		unsigned given = 0;
		if (!*digits || strlen(digits) > 3 ||
		    strspn(digits, "0123456789") != strlen(digits))
			return NETWORK_BAD_MASK;
		for (; *digits; digits++)
			given = given * 10 + (unsigned)(*digits - '0');
		if (given > bits)
			return NETWORK_BAD_MASK;
		bits = given;
	}
	mask_from_bits(network->mask, bits);
	unmap(network);
	return NETWORK_OK;
}

enum network_result network_parse_mask(const char *address, const char *mask,
				       struct network *network)
{
	struct network other;
	if (!parse_base(address, network))
		return NETWORK_NOT_ADDRESS;
	if (!parse_base(mask, &other) || other.family != network->family)
		return NETWORK_BAD_MASK;
	memcpy(network->mask, other.base, 16);
	unmap(network);
	return NETWORK_OK;
}

bool network_has(const struct network *network, const struct address *address)
{
	uint8_t family, bytes[16];
	if (!take_bytes(address, &family, bytes) || family != network->family)
		return false;
	for (unsigned i = 0; i < family_size(family); i++) {
		if ((bytes[i] ^ network->base[i]) & network->mask[i])
			return false;
	}
	return true;
}

const char *network_print_base(const struct network *network, char *text)
{
	inet_ntop(network->family, network->base, text, ADDRESS_TEXT);
	return text;
}

const char *network_print_mask(const struct network *network, char *text)
{
	inet_ntop(network->family, network->mask, text, ADDRESS_TEXT);
	return text;
}

static bool from_interface(const struct ifaddrs *interface, struct network *network)
{
	if (!interface->ifa_addr || !interface->ifa_netmask)
		return false;
	/* The mask's own family is not always set. */
	if (interface->ifa_addr->sa_family == AF_INET) {
		const void *address = interface->ifa_addr, *mask = interface->ifa_netmask;
		network->family = AF_INET;
		memcpy(network->base, &((const struct sockaddr_in *)address)->sin_addr, 4);
		memcpy(network->mask, &((const struct sockaddr_in *)mask)->sin_addr, 4);
		return true;
	}
	if (interface->ifa_addr->sa_family == AF_INET6) {
		const void *address = interface->ifa_addr, *mask = interface->ifa_netmask;
		network->family = AF_INET6;
		memcpy(network->base, &((const struct sockaddr_in6 *)address)->sin6_addr, 16);
		memcpy(network->mask, &((const struct sockaddr_in6 *)mask)->sin6_addr, 16);
		return true;
	}
	return false;
}

void interfaces_read(struct interfaces *interfaces)
{
	struct ifaddrs *all;
	size_t room = 0;
	*interfaces = (struct interfaces){0};
	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *interface = all; interface; interface = interface->ifa_next)
		room++;
	interfaces->networks = memory_alloc((room + 1) * sizeof *interfaces->networks);
	for (struct ifaddrs *interface = all; interface; interface = interface->ifa_next) {
		if (from_interface(interface, &interfaces->networks[interfaces->count]))
			interfaces->count++;
	}
	freeifaddrs(all);
}

void interfaces_fini(struct interfaces *interfaces)
{
	memory_free(&interfaces->networks);
	interfaces->count = 0;
}

bool interfaces_have_host(const struct interfaces *interfaces, const struct address *address)
{
	for (size_t i = 0; i < interfaces->count; i++) {
		struct network own = interfaces->networks[i];
		memset(own.mask, 0xff, sizeof own.mask);
		if (network_has(&own, address))
			return true;
	}
	return false;
}

bool interfaces_have_network(const struct interfaces *interfaces, const struct address *address)
{
	for (size_t i = 0; i < interfaces->count; i++) {
		if (network_has(&interfaces->networks[i], address))
			return true;
	}
	return false;
}
