check_PROGRAMS += test/unit/conn/test_conn
TESTS += test/unit/conn/test_conn
test_unit_conn_test_conn_SOURCES = \
	test/unit/conn/test_pipeline.c test/unit/conn/test_parameter.c test/unit/conn/test_relay.c \
	test/unit/conn/test_statement.c test/unit/conn/test_cancel.c test/unit/conn/test_states.c \
	test/unit/conn/suites.c test/unit/conn/suites.h test/unit/suite.h test/unit/main.c
test_unit_conn_test_conn_LDADD = src/conn/libconn.a src/pool/libpool.a src/config/libconfig.a \
	src/auth/libauth.a src/net/libnet.a src/proto/libproto.a src/core/libcore.a \
	$(CHECK_LIBS) $(EV_LIBS) $(OPENSSL_LIBS) $(CARES_LIBS) $(AUTH_LIBS)
test_unit_conn_test_conn_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_conn_suites
