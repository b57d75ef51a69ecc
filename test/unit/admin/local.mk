check_PROGRAMS += test/unit/admin/test_admin
TESTS += test/unit/admin/test_admin
test_unit_admin_test_admin_SOURCES = \
	test/unit/admin/test_command.c test/unit/admin/test_show.c test/unit/admin/test_result.c \
	test/unit/admin/suites.c test/unit/admin/suites.h test/unit/suite.h test/unit/main.c
test_unit_admin_test_admin_LDADD = src/admin/libadmin.a src/conn/libconn.a src/pool/libpool.a \
	src/config/libconfig.a src/auth/libauth.a src/net/libnet.a src/proto/libproto.a src/core/libcore.a \
	$(EV_LIBS) $(OPENSSL_LIBS) $(CARES_LIBS) $(AUTH_LIBS) $(CHECK_LIBS)
test_unit_admin_test_admin_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_admin_suites
