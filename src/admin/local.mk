noinst_LIBRARIES += src/admin/libadmin.a
src_admin_libadmin_a_SOURCES = \
	include/admin/commands.def \
	include/admin/show.h \
	include/admin/access.h src/admin/access.c \
	include/admin/command.h src/admin/command.c \
	include/admin/result.h src/admin/result.c \
	include/admin/show_pool.h src/admin/show_pool.c \
	include/admin/show_conn.h src/admin/show_conn.c \
	include/admin/show_stats.h src/admin/show_stats.c \
	include/admin/show_config.h src/admin/show_config.c \
	include/admin/show_net.h src/admin/show_net.c \
	include/admin/show_process.h src/admin/show_process.c \
	include/admin/control.h src/admin/control.c \
	include/admin/console.h src/admin/console.c
