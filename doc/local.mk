# Manual pages and generated lists come here; these are only distributed.
EXTRA_DIST += doc/architecture.md doc/compatibility.md
