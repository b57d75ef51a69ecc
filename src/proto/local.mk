noinst_LIBRARIES += src/proto/libproto.a
src_proto_libproto_a_SOURCES = \
	include/proto/messages.def \
	include/proto/message.h src/proto/message.c \
	include/proto/field.h src/proto/field.c \
	include/proto/options.h src/proto/options.c \
	include/proto/startup.h src/proto/startup.c \
	include/proto/authentication.h src/proto/authentication.c \
	include/proto/response.h src/proto/response.c \
	include/proto/sql.h src/proto/sql.c
