check_PROGRAMS += test/fuzz/test_fuzz
TESTS += test/fuzz/test_fuzz
test_fuzz_test_fuzz_SOURCES = \
	test/fuzz/fuzz.h test/fuzz/fuzz.c test/fuzz/main.c test/fuzz/targets.def \
	test/fuzz/fuzz_startup.c test/fuzz/fuzz_options.c test/fuzz/fuzz_message.c \
	test/fuzz/fuzz_relay.c test/fuzz/fuzz_response.c test/fuzz/fuzz_sql.c test/fuzz/fuzz_authentication.c \
	test/fuzz/fuzz_scram_server.c test/fuzz/fuzz_scram_client.c test/fuzz/fuzz_text.c \
	test/fuzz/fuzz_address.c test/fuzz/fuzz_secret.c test/fuzz/fuzz_userlist.c \
	test/fuzz/fuzz_pattern.c test/fuzz/fuzz_ident.c test/fuzz/fuzz_hba.c \
	test/fuzz/fuzz_ldap.c test/fuzz/fuzz_ini.c
test_fuzz_test_fuzz_CPPFLAGS = $(AM_CPPFLAGS) -iquote $(srcdir)/test/fuzz
test_fuzz_test_fuzz_LDADD = src/conn/libconn.a src/pool/libpool.a src/config/libconfig.a src/auth/libauth.a \
	src/net/libnet.a src/proto/libproto.a src/core/libcore.a $(EV_LIBS) $(OPENSSL_LIBS) $(CARES_LIBS) $(AUTH_LIBS)

# For dev/fuzz: one target with libFuzzer's own main().
fuzz-one:
	$(CC) $(DEFS) $(DEFAULT_INCLUDES) $(test_fuzz_test_fuzz_CPPFLAGS) $(CFLAGS) -DFUZZ_LIBFUZZER -fsanitize=fuzzer \
		-o fuzz_$(FUZZ) $(srcdir)/test/fuzz/fuzz_$(FUZZ).c $(srcdir)/test/fuzz/fuzz.c $(LDFLAGS) $(test_fuzz_test_fuzz_LDADD)
.PHONY: fuzz-one
