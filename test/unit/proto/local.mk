check_PROGRAMS += test/unit/proto/test_proto
TESTS += test/unit/proto/test_proto
test_unit_proto_test_proto_SOURCES = \
	test/unit/proto/suites.c \
	test/unit/proto/test_message.c \
	test/unit/proto/test_field.c \
	test/unit/proto/test_options.c \
	test/unit/proto/test_startup.c \
	test/unit/proto/test_authentication.c \
	test/unit/proto/test_response.c \
	test/unit/proto/test_sql.c \
	test/unit/suite.h test/unit/main.c
test_unit_proto_test_proto_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_proto_suites
test_unit_proto_test_proto_LDADD = src/proto/libproto.a src/core/libcore.a $(CHECK_LIBS) $(EV_LIBS)
