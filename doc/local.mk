# Documents. What lists settings, states, commands and columns is printed by docgen and committed.
noinst_PROGRAMS += doc/docgen
doc_docgen_SOURCES = doc/docgen.c
doc_docgen_LDADD = $(LAYERS) $(ALL_LIBS)

dist_man_MANS = doc/pgweir.1 doc/pgweir.5
dist_doc_DATA += doc/config.md doc/states.md doc/usage.md doc/architecture.md doc/authentication.md doc/compatibility.md
EXTRA_DIST += doc/usage.head.md doc/pgweir.5.head test/docs/run
TESTS += test/docs/run

# Write the generated documents anew, in the source tree.
docs: doc/docgen$(EXEEXT)
	DOCGEN=$(abs_builddir)/doc/docgen$(EXEEXT) srcdir=$(srcdir) $(SHELL) $(srcdir)/test/docs/run --write
.PHONY: docs
