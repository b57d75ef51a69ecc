check_PROGRAMS += test/unit/pool/test_pool
TESTS += test/unit/pool/test_pool
test_unit_pool_test_pool_SOURCES = test/unit/pool/test_pool.c test/unit/pool/test_registry.c test/unit/pool/test_small.c \
	test/unit/pool/fixture.c test/unit/pool/fixture.h test/unit/pool/suites.c test/unit/pool/suites.h \
	test/unit/suite.h test/unit/main.c
test_unit_pool_test_pool_CPPFLAGS = $(AM_CPPFLAGS) -iquote $(srcdir)/test/unit
test_unit_pool_test_pool_LDADD = src/pool/libpool.a src/config/libconfig.a src/auth/libauth.a src/net/libnet.a \
	src/core/libcore.a $(CHECK_LIBS) $(EV_LIBS) $(OPENSSL_LIBS) $(CARES_LIBS) $(IDN_LIBS)
