# SPDX-License-Identifier: ISC
"""The least that must work: a query in each pool mode, the console, a raw connection."""
import pytest


@pytest.mark.parametrize("mode", ["session", "transaction", "statement"])
def test_select_1_is_answered_in_each_mode(pgweir, mode):
    pooler = pgweir()
    assert pooler.query("SELECT 1", db=f"test_{mode}") == [(1,)]
    pools = [row for row in pooler.console("SHOW POOLS") if row["database"] == f"test_{mode}"]
    assert [(row["user"], row["pool_mode"]) for row in pools] == [("alice", mode)]


def test_the_console_tells_its_version(pgweir):
    rows = pgweir().console("SHOW VERSION")
    assert len(rows) == 1
    assert rows[0]["version"].split()[0] in ("pgweir", "PgBouncer")


def test_a_raw_connection_is_greeted_and_answered(pgweir, wire):
    connection = wire(pgweir())
    greeting = connection.startup(application_name="smoke")
    assert greeting[0] == (b"R", b"\0\0\0\0")
    assert greeting[-1] == (b"Z", b"I")
    assert connection.key is not None
    assert connection.parameters["client_encoding"] == "UTF8"
    answer = connection.query("SELECT 42")
    assert connection.kinds(answer) == b"TDCZ"
    assert connection.rows(answer) == [[b"42"]]
    connection.send(b"X")
    connection.expect_closed()
