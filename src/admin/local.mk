noinst_LIBRARIES += src/admin/libadmin.a
src_admin_libadmin_a_SOURCES = include/admin/console.h src/admin/console.c include/admin/control.h src/admin/control.c
