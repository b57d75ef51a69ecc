check_PROGRAMS += test/unit/daemon/test_daemon
TESTS += test/unit/daemon/test_daemon
test_unit_daemon_test_daemon_SOURCES = \
	test/unit/daemon/suites.c \
	test/unit/daemon/test_option.c \
	test/unit/daemon/test_process.c \
	test/unit/daemon/test_systemd.c \
	test/unit/suite.h test/unit/main.c
test_unit_daemon_test_daemon_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_daemon_suites
test_unit_daemon_test_daemon_LDADD = $(LAYERS) $(CHECK_LIBS) $(ALL_LIBS)
