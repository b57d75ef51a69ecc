check_PROGRAMS += test/unit/core/test_core
TESTS += test/unit/core/test_core
test_unit_core_test_core_SOURCES = \
	test/unit/core/test_error.c test/unit/core/test_memory.c test/unit/core/test_list.c \
	test/unit/core/test_map.c test/unit/core/test_buffer.c test/unit/core/test_clock.c \
	test/unit/core/test_text.c test/unit/core/test_random.c test/unit/core/test_log.c \
	test/unit/core/test_edge.c test/unit/core/test_loop.c test/unit/core/test_offload.c test/unit/core/suites.c test/unit/core/suites.h \
	test/unit/suite.h test/unit/main.c
test_unit_core_test_core_LDADD = src/core/libcore.a $(CHECK_LIBS) $(EV_LIBS)
test_unit_core_test_core_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_core_suites
