# SPDX-License-Identifier: ISC
"""Every setting has a test that names it, in each scope where it may stand: rows of the tables in include/config are held
against @covers of the integration tests and "Covers NAME (SCOPE)." in the wire tests."""
import ast
import re

import pytest
from conftest import TOP

TABLES = TOP / "include" / "config"
SCOPES = ("global", "database", "user", "tls", "peer")
ROW_TABLES = {"database": "database_keys.def", "user": "user_keys.def", "tls": "tls_keys.def", "peer": "peer_keys.def"}
ROW_NAMES = {"default_pool_size": "pool_size"}  # what a setting is called in rows

# Accepted for the sake of old files: there is nothing that they could change.
WITHOUT_EFFECT = {"pkt_buf", "sbuf_loopcnt", "suspend_timeout", "job_name"}


def settings():
    """{name: scopes} of settings.def."""
    text = (TABLES / "settings.def").read_text()
    rows = {}
    for row in re.split(r"\nSETTING\(", text)[1:]:
        name = re.match(r"\w+, (\w+),", row)[1]
        scope = re.search(r"(GLOBAL[A-Z| ]*), (RELOAD|RESTART)", row)
        rows[name] = [word.strip().lower() for word in scope[1].split("|")]
    return rows


def keys(scope):
    return re.findall(r"^\w+_KEY\(\w+, (\w+),", (TABLES / ROW_TABLES[scope]).read_text(), re.M)


def wanted():
    """All (name, scope) that need a test."""
    pairs = {(ROW_NAMES.get(name, name) if scope != "global" else name, scope)
             for name, scopes in settings().items() for scope in scopes}
    pairs |= {(key, scope) for scope in ROW_TABLES for key in keys(scope)}
    return {(name, scope) for name, scope in pairs if name not in WITHOUT_EFFECT}


def declared_in_python(path):
    """[(name, scope, function)] of the decorators in a file."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        for mark in getattr(node, "decorator_list", ()):
            if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "covers":
                scopes = next((ast.literal_eval(k.value) for k in mark.keywords if k.arg == "scope"), "global")
                scopes = (scopes,) if isinstance(scopes, str) else scopes
                found += [(ast.literal_eval(name), scope, node.name) for name in mark.args for scope in scopes]
    return found


def declared():
    found = []
    for path in sorted((TOP / "test" / "integration").glob("test_*.py")):
        found += [(name, scope, f"{path.name}: {test}") for name, scope, test in declared_in_python(path)]
    for path in sorted((TOP / "test" / "wire").glob("test_*.c")):
        found += [(name, scope or "global", path.name)
                  for name, scope in re.findall(r"Covers (\w+)(?: \((\w+)\))?\.", path.read_text())]
    return found


def test_the_tables_are_understood():
    rows = settings()
    assert len(rows) == (TABLES / "settings.def").read_text().count("\nSETTING(") > 100
    assert rows["query_wait_timeout"] == ["global", "database", "user"]
    assert all(set(scopes) <= set(SCOPES) and "global" in scopes for scopes in rows.values())
    # A setting that rows may have is a key of these rows.
    for name, scopes in rows.items():
        for scope in set(scopes) - {"global"}:
            assert ROW_NAMES.get(name, name) in keys(scope), (name, scope)


def test_tests_cover_what_there_is():
    known = {(name, "global") for name in settings()} | {(key, scope) for scope in ROW_TABLES for key in keys(scope)}
    unknown = [row for row in declared() if row[:2] not in known]
    assert not unknown, f"there are no such settings: {unknown}"


def test_every_setting_has_a_test_in_every_scope():
    missing = wanted() - {row[:2] for row in declared()}
    assert not missing, "without a test: " + ", ".join(f"{name} ({scope})" for name, scope in sorted(missing))


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_what_has_no_effect_is_a_setting_and_says_so(name):
    text = (TABLES / "settings.def").read_text()
    assert name in settings()
    assert re.search(rf"SETTING\(\w+, {name},[^#]*?without effect", text)
