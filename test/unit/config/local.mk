check_PROGRAMS += test/unit/config/test_config
TESTS += test/unit/config/test_config
test_unit_config_test_config_SOURCES = \
	test/unit/config/suites.c test/unit/config/suites.h \
	test/unit/config/files.c test/unit/config/files.h \
	test/unit/config/test_ini.c \
	test/unit/config/test_feature.c \
	test/unit/config/test_settings.c \
	test/unit/config/test_section.c \
	test/unit/config/test_snapshot.c \
	test/unit/config/test_source.c \
	test/unit/suite.h test/unit/main.c
test_unit_config_test_config_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_config_suites
test_unit_config_test_config_LDADD = src/config/libconfig.a src/auth/libauth.a src/net/libnet.a src/core/libcore.a \
	$(CHECK_LIBS) $(OPENSSL_LIBS) $(AUTH_LIBS) $(EV_LIBS)
