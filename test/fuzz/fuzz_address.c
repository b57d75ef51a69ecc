/* SPDX-License-Identifier: ISC */
#include "config.h"
#include <string.h>
#include "fuzz.h"
#include "net/address.h"
#include "net/network.h"

static void fuzz_address(const uint8_t *bytes, size_t size)
{
	struct address address, again;
	struct network network;
	char host[ADDRESS_TEXT], printed[ADDRESS_TEXT];
	char *text = fuzz_text(bytes, size);
	if (address_parse(text, 5432, &address)) {
		FUZZ_HOLDS(strlen(address_print(&address, printed)) < sizeof printed);
		FUZZ_HOLDS(address_parse(address_host(&address, host), 5432, &again));
		FUZZ_HOLDS(address_is_equal(&address, &again));
	}
	if (network_parse(text, &network) == NETWORK_OK) {
		network_print_base(&network, printed);
		network_print_mask(&network, printed);
		FUZZ_HOLDS(!address_parse(printed, 1, &again) || *printed);
	}
	(void)network_parse_mask("10.0.0.1", text, &network);
	(void)network_parse_mask("2001:db8::1", text, &network);
	free(text);
}

static const struct fuzz_seed seeds[] = {
	SEED("10.0.0.1"),	SEED("192.168.0.0/16"), SEED("2001:db8::1/64"),
	SEED("::ffff:1.2.3.4"), SEED("fe80::1%lo"),	SEED("[::1]"),
	SEED("255.255.255.0"),	SEED("ffff:ffff::"),	SEED("/var/run/postgres"),
	SEED("@abstract"),	SEED("0.0.0.0/0"),
};
FUZZ_TARGET(address);
