check_PROGRAMS += test/unit/pool/test_pool
TESTS += test/unit/pool/test_pool
test_unit_pool_test_pool_SOURCES = test/unit/pool/suites.c test/unit/pool/suites.h \
	test/unit/pool/fake.c test/unit/pool/fake.h \
	test/unit/pool/test_close_reason.c test/unit/pool/test_stats.c test/unit/pool/test_host.c \
	test/unit/pool/test_database.c test/unit/pool/test_peer.c test/unit/pool/test_limit.c \
	test/unit/pool/test_pool_queue.c test/unit/pool/test_pool_login.c test/unit/pool/test_pool_bound.c \
	test/unit/pool/test_pool_rest.c test/unit/pool/test_pool_admin.c test/unit/pool/test_pool_chance.c \
	test/unit/pool/test_registry_reload.c test/unit/pool/test_maintenance.c test/unit/pool/test_pool_empty.c test/unit/pool/test_pool_reach.c \
	test/unit/pool/test_pool_values.c \
	test/unit/suite.h test/unit/main.c
test_unit_pool_test_pool_CPPFLAGS = $(AM_CPPFLAGS) -iquote $(srcdir)/test/unit
test_unit_pool_test_pool_LDADD = src/pool/libpool.a src/config/libconfig.a src/auth/libauth.a src/net/libnet.a \
	src/core/libcore.a $(CHECK_LIBS) $(EV_LIBS) $(OPENSSL_LIBS) $(CARES_LIBS) $(AUTH_LIBS)
