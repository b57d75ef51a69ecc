noinst_LIBRARIES += src/core/libcore.a
src_core_libcore_a_SOURCES = \
	include/core/likely.h \
	include/core/error.h include/core/sqlstates.def src/core/error_priv.h src/core/error.c \
	include/core/memory.h src/core/memory.c \
	include/core/list.h \
	include/core/map.h src/core/map.c \
	include/core/buffer.h src/core/buffer.c \
	include/core/clock.h src/core/clock.c \
	include/core/text.h src/core/text.c \
	include/core/random.h src/core/random.c \
	include/core/log.h src/core/log.c \
	include/core/edge.h src/core/edge.c \
	include/core/loop.h src/core/loop.c \
	include/core/offload.h src/core/offload.c
