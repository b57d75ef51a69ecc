/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "net/resolv_conf.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/text.h"
#include "net/address.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { SERVERS_TEXT = 1024, DNS_PORT = 53 };
static const char blanks[] = " \t\r\n";

/* "address", "address:port", "[address]:port". */
static bool parse_server(const char *word, struct address *address, bool *has_port)
{
	char host[ADDRESS_TEXT];
	const char *colon = strrchr(word, ':');
	int64_t port;
	*has_port = false;
	if (address_parse(word, DNS_PORT, address))
		return true;
	if (!colon || (size_t)(colon - word) >= sizeof host)
		return false;
	memcpy(host, word, (size_t)(colon - word));
	host[colon - word] = '\0';
	*has_port = true;
	return text_to_int(colon + 1, &port) && port > 0 && port <= UINT16_MAX &&
	       address_parse(host, (uint16_t)port, address);
}

bool resolv_conf_read(const char *path, char **servers, struct error *error)
{
	char line[512], text[SERVERS_TEXT], printed[ADDRESS_TEXT];
	struct text_builder builder;
	bool any_port = false;
	FILE *file = fopen(path, "re");
	*servers = NULL;
	if (!file)
		return error_set(error, SQLSTATE_CONFIG_FILE_ERROR,
				 "cannot read resolv_conf \"%s\": %s", path, strerror(errno));
	text_builder_init(&builder, text, sizeof text);
	while (fgets(line, sizeof line, file)) {
		struct address address;
		bool has_port;
		char *rest, *word = strtok_r(line, blanks, &rest);
		if (!word || strcmp(word, "nameserver"))
			continue;
		word = strtok_r(NULL, blanks, &rest);
		if (!word || !parse_server(word, &address, &has_port)) {
			log_warning("", "%s: a nameserver that is no address: \"%s\"", path,
				    word ? text_printable(word, printed, sizeof printed) : "");
			continue;
		}
		any_port |= has_port;
		text_append(&builder, "%s%s", builder.length ? "," : "",
			    address_print(&address, printed));
	}
	fclose(file);
	if (any_port && !builder.cut)
		*servers = memory_strdup(text);
	return true;
}
