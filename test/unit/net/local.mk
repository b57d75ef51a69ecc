check_PROGRAMS += test/unit/net/test_net
TESTS += test/unit/net/test_net
test_unit_net_test_net_SOURCES = \
	test/unit/net/test_address.c test/unit/net/test_network.c test/unit/net/test_socket.c test/unit/net/test_listener.c \
	test/unit/net/test_dns_reply.c test/unit/net/test_resolv_conf.c \
	test/unit/net/test_resolver.c test/unit/net/test_resolver_watch.c \
	test/unit/net/asker.c test/unit/net/asker.h test/unit/net/name_server.c test/unit/net/name_server.h test/unit/net/test_stream.c \
	test/unit/net/test_tls.c test/unit/net/test_stream_tls.c \
	test/unit/net/certificates.c test/unit/net/certificates.h test/unit/net/helpers.c \
	test/unit/net/helpers.h test/unit/net/suites.c test/unit/net/suites.h test/unit/suite.h \
	test/unit/main.c
test_unit_net_test_net_LDADD = src/net/libnet.a src/core/libcore.a $(CHECK_LIBS) $(CARES_LIBS) \
	$(EV_LIBS) $(OPENSSL_LIBS)
test_unit_net_test_net_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_net_suites
