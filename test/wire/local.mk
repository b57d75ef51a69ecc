check_PROGRAMS += test/wire/test_wire
TESTS += test/wire/test_wire
test_wire_test_wire_SOURCES = \
	test/wire/test_abandoned.c test/wire/test_auth_query.c test/wire/test_timeout.c \
	test/wire/test_cancel.c test/wire/test_control.c test/wire/test_hosts.c test/wire/test_mixing.c \
	test/wire/test_modes.c test/wire/test_parameters.c test/wire/test_prepared.c test/wire/test_requests.c test/wire/test_sql.c \
	test/wire/test_replication.c test/wire/test_server.c test/wire/test_startup.c test/wire/test_vanish.c \
	test/wire/test_peers.c test/wire/test_queued.c test/wire/test_versions.c \
	test/wire/test_waiting.c test/wire/suites.c test/wire/suites.h test/wire/wire.c \
	test/wire/wire.h test/unit/net/name_server.c test/unit/net/name_server.h test/unit/suite.h test/unit/main.c
test_wire_test_wire_CPPFLAGS = $(AM_CPPFLAGS) -iquote $(srcdir)/test/unit -iquote $(srcdir)/test/wire
test_wire_test_wire_LDADD = src/conn/libconn.a src/pool/libpool.a src/config/libconfig.a src/auth/libauth.a \
	src/net/libnet.a src/proto/libproto.a src/core/libcore.a $(CHECK_LIBS) $(EV_LIBS) $(OPENSSL_LIBS) $(CARES_LIBS) $(AUTH_LIBS)
