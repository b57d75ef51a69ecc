noinst_LIBRARIES += src/pool/libpool.a
src_pool_libpool_a_SOURCES = \
	include/pool/close_reasons.def \
	include/pool/counters.def \
	include/pool/close_reason.h src/pool/close_reason.c \
	include/pool/stats.h src/pool/stats.c \
	include/pool/host.h src/pool/host.c \
	include/pool/user.h src/pool/user.c \
	include/pool/database.h src/pool/database.c \
	include/pool/limit.h src/pool/limit.c \
	include/pool/pool.h src/pool/pool.c \
	include/pool/registry.h src/pool/registry.c \
	include/pool/maintenance.h src/pool/maintenance.c
