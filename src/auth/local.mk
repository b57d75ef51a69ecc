noinst_LIBRARIES += src/auth/libauth.a
src_auth_libauth_a_SOURCES = \
	include/auth/digest.h src/auth/digest.c \
	include/auth/secret.h src/auth/secret.c \
	include/auth/saslprep.h src/auth/saslprep.c \
	include/auth/md5.h src/auth/md5.c \
	include/auth/key_cache.h src/auth/key_cache.c \
	include/auth/scram.h src/auth/scram.c \
	include/auth/userlist.h src/auth/userlist.c \
	include/auth/ban.h src/auth/ban.c \
	include/auth/methods.def include/auth/method.h src/auth/method.c \
	include/auth/system_user.h src/auth/system_user.c \
	include/auth/pattern.h src/auth/pattern.c \
	include/auth/rule_file.h src/auth/rule_file.c \
	include/auth/ident.h src/auth/ident.c \
	include/auth/hba.h src/auth/hba_priv.h src/auth/hba.c \
	include/auth/hba_match.h src/auth/hba_match.c \
	include/auth/pam.h src/auth/pam.c \
	include/auth/ldap_options.h src/auth/ldap_options.c \
	include/auth/ldap.h src/auth/ldap.c
