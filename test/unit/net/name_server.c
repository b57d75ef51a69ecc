/* SPDX-License-Identifier: ISC */
#include "config.h"
#include "name_server.h"
#include "core/loop.h"
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TYPE_A = 1, TYPE_CNAME = 5, TYPE_SOA = 6, TYPE_AAAA = 28 };

struct name_server dns;
static struct loop_io watcher;
static int socket_fd;

static size_t put_number(uint8_t *at, uint32_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> (8 * (size - 1 - i)));
	return size;
}

static size_t put_name(uint8_t *at, const char *name)
{
	size_t n = 0;
	while (*name) {
		size_t part = strcspn(name, ".");
		at[n++] = (uint8_t)part;
		memcpy(at + n, name, part);
		n += part;
		name += part + (name[part] == '.');
	}
	at[n++] = 0;
	return n;
}

/* Name, type, class, TTL; its data follows. The name is the question's, or the alias. */
static size_t put_head(uint8_t *at, const char *name, int type, unsigned ttl)
{
	size_t n = name ? put_name(at, name) : put_number(at, 0xc00c, 2);
	n += put_number(at + n, (uint32_t)type, 2);
	n += put_number(at + n, 1, 2);
	return n + put_number(at + n, ttl, 4);
}

static size_t put_address(uint8_t *at, int type, const char *address)
{
	size_t n = put_head(at, dns.alias, type, dns.ttl), size = type == TYPE_A ? 4 : 16;
	n += put_number(at + n, (uint32_t)size, 2);
	inet_pton(type == TYPE_A ? AF_INET : AF_INET6, address, at + n);
	return n + size;
}

static size_t put_alias(uint8_t *at)
{
	size_t n = put_head(at, NULL, TYPE_CNAME, dns.alias_ttl);
	size_t size = put_name(at + n + 2, dns.alias);
	return n + put_number(at + n, (uint32_t)size, 2) + size;
}

static size_t put_soa(uint8_t *at)
{
	size_t n = put_head(at, dns.is_below ? "test" : NULL, TYPE_SOA, 60), head = n;
	n += 2;
	n += put_name(at + n, "ns.test");
	n += put_name(at + n, "root.test");
	n += put_number(at + n, dns.serial, 4);
	memset(at + n, 0, 16);
	n += 16;
	put_number(at + head, (uint32_t)(n - head - 2), 2);
	return n;
}

/* The question's name as text; returns where its type stands. */
static size_t get_name(const uint8_t *packet, size_t size, char *name)
{
	size_t at = 12;
	char *out = name;
	while (at < size && packet[at]) {
		size_t part = packet[at++];
		ck_assert_uint_lt(at + part, size);
		memcpy(out, packet + at, part);
		out += part;
		*out++ = '.';
		at += part;
	}
	out[out > name ? -1 : 0] = '\0';
	return at + 1;
}

static size_t put_addresses(uint8_t *packet, size_t at, int type)
{
	const char **answers = type == TYPE_A ? dns.v4 : dns.v6;
	if (dns.alias) {
		at += put_alias(packet + at);
		packet[7]++;
	}
	for (; *answers; answers++) {
		at += put_address(packet + at, type, *answers);
		packet[7]++;
	}
	return at;
}

static void answer(struct loop_io *unused, int events)
{
	uint8_t packet[1024];
	struct sockaddr_storage from;
	socklen_t length = sizeof from;
	char name[256];
	(void)unused, (void)events;
	ssize_t size = recvfrom(socket_fd, packet, 512, 0, (struct sockaddr *)&from, &length);
	if (size < 16)
		return;
	size_t at = get_name(packet, (size_t)size, name);
	int type = packet[at + 1];
	bool is_soa = type == TYPE_SOA;
	++*(is_soa ? &dns.asked_soa : type == TYPE_A ? &dns.asked_v4 : &dns.asked_v6);
	strcpy(is_soa ? dns.last_zone : dns.last, name);
	if (dns.code == SILENT)
		return;
	at += 4;
	packet[2] |= 0x80;
	packet[3] = (uint8_t)(0x80 | dns.code);
	memset(packet + 6, 0, 6);
	if (dns.code == NO_ERROR && is_soa) {
		at += put_soa(packet + at);
		packet[dns.is_below ? 9 : 7]++;
	} else if (dns.code == NO_ERROR) {
		at = put_addresses(packet, at, type);
	}
	ck_assert_int_eq(sendto(socket_fd, packet, at, 0, (struct sockaddr *)&from, length),
			 (ssize_t)at);
}

static char servers[40], conf[] = "/tmp/pgweir-resolv-XXXXXX";

void name_server_start(struct resolver_options *options)
{
	static const char text[] = "nameserver 127.0.0.1\nsearch example.test\n";
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof any;
	dns = (struct name_server){.ttl = 60, .alias_ttl = 60, .serial = 1};
	socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(socket_fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(getsockname(socket_fd, (struct sockaddr *)&any, &length), 0);
	loop_io_init(&watcher, answer);
	loop_io_set(&watcher, socket_fd, LOOP_READ);
	snprintf(servers, sizeof servers, "127.0.0.1:%u", ntohs(any.sin_port));
	strcpy(conf + sizeof conf - 7, "XXXXXX");
	int file = mkstemp(conf);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(write(file, text, sizeof text - 1), (ssize_t)sizeof text - 1);
	close(file);
	*options = (struct resolver_options){.ttl_max = 15 * USEC_PER_SECOND,
					     .nxdomain_ttl = 5 * USEC_PER_SECOND,
					     .servers = servers,
					     .resolv_conf = conf};
}

void name_server_stop(void)
{
	loop_io_stop(&watcher);
	close(socket_fd);
	unlink(conf);
}
