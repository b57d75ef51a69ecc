noinst_LIBRARIES += src/conn/libconn.a
src_conn_libconn_a_SOURCES = \
	include/conn/client_states.def \
	include/conn/server_states.def \
	include/conn/parameters.def \
	include/conn/endpoint.h src/conn/endpoint.c \
	include/conn/parameter.h src/conn/parameter.c \
	include/conn/pipeline.h src/conn/pipeline.c \
	include/conn/relay.h src/conn/relay.c src/conn/relay_priv.h \
	include/conn/statement.h src/conn/statement.c \
	include/conn/prepared_book.h src/conn/prepared_book.c src/conn/prepared_book_priv.h \
	include/conn/prepared_error.h src/conn/prepared_error.c \
	include/conn/prepared_output.h src/conn/prepared_output.c \
	include/conn/prepared_sql.h src/conn/prepared_sql.c \
	include/conn/prepared.h src/conn/prepared.c \
	include/conn/derive.h src/conn/derive.c \
	include/conn/server_login.h src/conn/server_login.c \
	include/conn/server.h src/conn/server.c src/conn/server_priv.h \
	include/conn/server_connect.h src/conn/server_connect.c \
	include/conn/server_cancel.h src/conn/server_cancel.c \
	include/conn/server_event.h src/conn/server_event.c \
	include/conn/cancel.h src/conn/cancel.c \
	include/conn/auth_query.h src/conn/auth_query.c \
	include/conn/stranger.h src/conn/stranger.c \
	include/conn/client_check.h src/conn/client_check.c \
	include/conn/client_rule.h src/conn/client_rule.c \
	include/conn/client_auth.h src/conn/client_auth.c \
	include/conn/client_login.h src/conn/client_login.c \
	include/conn/client.h src/conn/client.c src/conn/client_priv.h \
	include/conn/client_console.h src/conn/client_console.c \
	include/conn/client_feature.h src/conn/client_feature.c \
	include/conn/client_reset.h src/conn/client_reset.c \
	include/conn/client_scan.h src/conn/client_scan.c \
	include/conn/client_request.h src/conn/client_request.c \
	include/conn/client_answer.h src/conn/client_answer.c \
	include/conn/client_greeting.h src/conn/client_greeting.c \
	include/conn/client_replication.h src/conn/client_replication.c \
	include/conn/client_limit.h src/conn/client_limit.c \
	include/conn/client_cancel.h src/conn/client_cancel.c \
	include/conn/client_entry.h src/conn/client_entry.c \
	include/conn/client_event.h src/conn/client_event.c \
	include/conn/tracking.h src/conn/tracking.c \
	include/conn/gate.h src/conn/gate.c
