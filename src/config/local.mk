noinst_LIBRARIES += src/config/libconfig.a
src_config_libconfig_a_SOURCES = \
	include/config/settings.def \
	include/config/database_keys.def include/config/user_keys.def include/config/peer_keys.def include/config/tls_keys.def \
	include/config/ini.h src/config/ini.c \
	include/config/features.def include/config/feature.h src/config/feature.c \
	include/config/settings.h src/config/settings.c src/config/settings_priv.h \
	include/config/source.h src/config/source.c \
	include/config/section.h src/config/section.c \
	include/config/sample.h src/config/sample.c \
	include/config/encryption.h src/config/encryption.c \
	include/config/snapshot.h src/config/snapshot.c
