noinst_LIBRARIES += src/pool/libpool.a
src_pool_libpool_a_SOURCES = \
	include/pool/close_reasons.def \
	include/pool/counters.def \
	include/pool/close_reason.h src/pool/close_reason.c \
	include/pool/stats.h src/pool/stats.c \
	include/pool/host.h src/pool/host.c \
	include/pool/user.h src/pool/user.c \
	include/pool/database.h src/pool/database.c \
	include/pool/peer.h src/pool/peer.c \
	include/pool/limit.h src/pool/limit.c \
	include/pool/time_limit.h src/pool/time_limit.c \
	include/pool/pool_member.h src/pool/pool_member.c src/pool/pool_member_priv.h \
	include/pool/pool_empty.h src/pool/pool_empty.c \
	include/pool/pool_values.h src/pool/pool_values.c \
	include/pool/pool_bound.h src/pool/pool_bound.c \
	include/pool/pool_claim.h src/pool/pool_claim.c \
	include/pool/pool_reach.h src/pool/pool_reach.c \
	include/pool/pool_work.h src/pool/pool_work.c \
	include/pool/pool_login.h src/pool/pool_login.c \
	include/pool/pool_rest.h src/pool/pool_rest.c \
	include/pool/pool_admin.h src/pool/pool_admin.c \
	include/pool/pool.h src/pool/pool.c \
	include/pool/registry.h src/pool/registry.c \
	include/pool/maintenance.h src/pool/maintenance.c
