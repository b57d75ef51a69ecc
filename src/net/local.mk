noinst_LIBRARIES += src/net/libnet.a
src_net_libnet_a_SOURCES = \
	include/net/address.h src/net/address.c \
	include/net/network.h src/net/network.c \
	include/net/socket.h src/net/socket.c \
	include/net/listener.h src/net/listener.c \
	include/net/dns_reply.h src/net/dns_reply.c \
	include/net/resolv_conf.h src/net/resolv_conf.c \
	include/net/resolver.h src/net/resolver.c \
	include/net/tls_file.h src/net/tls_file.c \
	include/net/tls_kept.h src/net/tls_kept.c \
	include/net/tls_passphrase.h src/net/tls_passphrase.c \
	include/net/tls_key.h src/net/tls_key.c \
	include/net/tls_trust.h src/net/tls_trust.c \
	include/net/tls.h src/net/tls.c \
	include/net/tls_session.h src/net/tls_session.c \
	include/net/stream.h src/net/stream.c
