noinst_LIBRARIES += src/daemon/libdaemon.a
src_daemon_libdaemon_a_SOURCES = \
	include/daemon/options.def \
	include/daemon/option.h src/daemon/option.c \
	include/daemon/process.h src/daemon/process.c \
	include/daemon/inspect.h src/daemon/inspect.c \
	include/daemon/systemd.h src/daemon/systemd.c \
	include/daemon/signal.h src/daemon/signal.c
