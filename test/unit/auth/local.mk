check_PROGRAMS += test/unit/auth/test_auth
TESTS += test/unit/auth/test_auth
test_unit_auth_test_auth_SOURCES = \
	test/unit/auth/suites.c \
	test/unit/auth/test_digest.c \
	test/unit/auth/test_secret.c \
	test/unit/auth/test_saslprep.c \
	test/unit/auth/test_md5.c \
	test/unit/auth/test_key_cache.c \
	test/unit/auth/test_scram.c \
	test/unit/auth/test_userlist.c \
	test/unit/auth/test_method.c \
	test/unit/auth/test_system_user.c \
	test/unit/auth/test_pattern.c \
	test/unit/auth/test_rule_file.c \
	test/unit/auth/test_ident.c \
	test/unit/auth/test_hba.c \
	test/unit/auth/test_ban.c \
	test/unit/auth/test_pam.c \
	test/unit/auth/test_ldap.c \
	test/unit/auth/scratch.h test/unit/auth/scratch.c \
	test/unit/auth/rule_dir.h test/unit/auth/rule_dir.c \
	test/unit/suite.h test/unit/main.c
test_unit_auth_test_auth_CPPFLAGS = $(AM_CPPFLAGS) -DSUITES=test_auth_suites
test_unit_auth_test_auth_LDADD = src/auth/libauth.a src/net/libnet.a src/core/libcore.a $(CHECK_LIBS) $(OPENSSL_LIBS) $(AUTH_LIBS) $(EV_LIBS)
