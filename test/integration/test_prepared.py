# SPDX-License-Identifier: ISC
"""Prepared statements in transaction mode: a client's names are its own, and work on whatever server it gets; at servers
clients that use the same text share it. How every order of messages is answered: test_prepared_differential.py."""
import asyncio
import contextlib
import random
import struct
import time

import psycopg
import pytest
from conftest import DATABASE, Wire, wait_until, covers
from helpers import (FLUSH, SYNC, Background, bind, describe, error_in, execute, grown_kb, make_table, parse, pgbench_start,
                     pgbench_tables, pgbench_transactions, query, servers, wait_idle)

STATEMENTS = "SELECT name, statement FROM pg_prepared_statements ORDER BY prepare_time, name"


def close(name, kind=b"S"):
    return Wire.message(b"C", kind + name.encode() + b"\0")


class Client:
    """A raw connection that speaks in requests up to Sync."""

    def __init__(self, connection, **startup):
        self.connection = connection
        connection.startup(**startup)

    def ask(self, *messages):
        """Send these and Sync; answers what comes up to ReadyForQuery."""
        self.connection.send_raw(b"".join(messages) + SYNC)
        return self.connection.read_until(b"Z")

    def kinds(self, *messages):
        return Wire.kinds(self.ask(*messages)).decode()

    def rows(self, *messages):
        answers = self.ask(*messages)
        assert b"E" not in Wire.kinds(answers), Wire.fields(next(body for kind, body in answers if kind == b"E"))
        return [tuple(None if column is None else column.decode() for column in row) for row in Wire.rows(answers)]

    def run(self, name, *values):
        """Bind and execute; the rows."""
        return self.rows(bind(*values, statement=name), execute())

    def error(self, *messages):
        """SQLSTATE and text of the one error, which leaves the session alive."""
        answers = self.ask(*messages)
        assert Wire.kinds(answers)[-2:] == b"EZ"
        fields = error_in(answers)
        assert fields["S"] == fields["V"] == "ERROR"
        return fields["C"], fields["M"]

    def query(self, sql):
        return self.connection.query(sql)

    def at_server(self):
        """What its server has prepared: (name, text), oldest first. In a transaction; else of any idle server."""
        return [tuple(column.decode() for column in row) for row in Wire.rows(self.query(STATEMENTS))]


@pytest.fixture
def client(wire):
    return lambda pooler, **startup: Client(wire(pooler), **startup)


@pytest.fixture
def one_server(pgweir):
    """pgweir with one server connection in transaction mode; more as in pgweir()."""
    return lambda limit=200, **more: pgweir({"pool_mode": "transaction", "default_pool_size": 1, "max_prepared_statements": limit, **more})


@pytest.fixture
def two_servers(pgweir):
    """The same with two that take turns, so that two transactions in a row of one client are on different servers."""
    def factory(limit=200, **more):
        pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 2, "server_round_robin": 1, "max_prepared_statements": limit, **more})
        with pooler.connect() as a, pooler.connect() as b:  # both are there
            with a.transaction(), b.transaction():
                a.execute("SELECT 1")
                b.execute("SELECT 1")
        wait_idle(pooler)
        return pooler
    return factory


def pid(client):
    return int(Wire.rows(client.query("SELECT pg_backend_pid()"))[0][0])


# ---- one text, one name at a server ----


def test_clients_share_a_text_under_one_name_of_the_server(one_server, client):
    pooler = one_server()
    clients = [client(pooler) for _ in range(3)]
    for number, one in enumerate(clients):
        assert one.kinds(parse("SELECT $1::text || ' shared'", f"mine{number}")) == "1Z"
    for number, one in enumerate(clients):
        assert one.run(f"mine{number}", str(number)) == [(f"{number} shared",)]
    (found,) = clients[0].at_server()
    assert found[0].startswith("PGBOUNCER_") and found[1] == "SELECT $1::text || ' shared'"


def test_what_differs_is_not_shared(one_server, client):
    pooler = one_server()
    one = client(pooler)
    one.ask(parse("SELECT $1 AS a", "untyped"), parse("SELECT $1 AS a", "number", (23,)), parse("SELECT $1 AS a", "text", (25,)),
            parse("SELECT $1 AS a ", "space", (25,)))
    types = {name: one.ask(describe(b"S", name))[0] for name in ("untyped", "number", "text", "space")}
    assert types["number"] == (b"t", struct.pack("!HI", 1, 23))
    assert types["untyped"] == types["text"] == types["space"] == (b"t", struct.pack("!HI", 1, 25))
    assert len(one.at_server()) == 4


def test_a_statement_follows_its_client_from_server_to_server(two_servers, client):
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    assert one.kinds(parse("SELECT pg_backend_pid()::text, $1::text", "s")) == "1Z"
    assert other.kinds(parse("SELECT 'other', $1::text", "s")) == "1Z"
    seen = set()
    for number in range(6):
        ((process, value),) = one.run("s", str(number))
        seen.add(process)
        assert value == str(number)
        if number % 2:
            assert other.run("s", "x") == [("other", "x")]
    assert len(seen) == 2


def test_a_statement_works_on_a_server_that_is_new(one_server, client, postgres):
    pooler = one_server()
    one = client(pooler)
    one.ask(parse("SELECT 'still here'", "s"))
    before = pid(one)
    pooler.console("RECONNECT")
    assert one.run("s") == [("still here",)]
    assert pid(one) != before
    postgres.execute("SELECT pg_terminate_backend(%s)", (pid(one),))
    wait_until(lambda: not servers(pooler), what="no servers")
    assert one.kinds(describe(b"S", "s")) == "tTZ"
    assert one.run("s") == [("still here",)]


def test_in_a_transaction_and_in_a_pipeline(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    one.ask(parse("SELECT $1::int", "a"), parse("SELECT $1::int * 2", "b"))
    for _ in range(3):
        one.query("BEGIN")
        first = pid(one)
        assert one.run("a", "4") == [("4",)]
        assert one.rows(bind("1", statement="a"), execute(), bind("2", statement="b"), execute(), parse("SELECT 'c'", ""), bind(), execute(),
                        bind("3", statement="b"), execute()) == [("1",), ("4",), ("c",), ("6",)]
        assert pid(one) == first
        one.query("COMMIT")
    # Several Sync in one go, each of which may be the end on this server.
    one.connection.send_raw(b"".join(bind(str(n), statement="b") + execute() + SYNC for n in range(50)))
    for n in range(50):
        assert Wire.rows(one.connection.read_until(b"Z")) == [[str(2 * n).encode()]]


def test_portals_of_named_statements(one_server, client):
    pooler = one_server()
    one, other = client(pooler), client(pooler)
    other.ask(parse("SELECT 1", "s"))
    one.ask(parse("SELECT g FROM generate_series(1, 5) g", "s"))
    one.query("BEGIN")
    assert one.kinds(bind(statement="s", portal="p"), describe(b"P", "p"), execute(2, "p")) == "2TDDsZ"
    assert one.kinds(close("s"), execute(2, "p")) == "3DDsZ"
    assert one.kinds(execute(0, "p"), close("p", b"P")) == "DC3Z"
    assert one.error(bind(statement="s"))[0] == "26000"
    one.query("ROLLBACK")


# ---- the limit ----


@covers("max_prepared_statements")
def test_the_server_s_oldest_statement_is_closed_beyond_the_limit(one_server, client):
    pooler = one_server(3)
    one = client(pooler)
    for n in range(3):
        one.ask(parse(f"SELECT {n}", f"s{n}"))
    assert [text for _, text in one.at_server()] == ["SELECT 0", "SELECT 1", "SELECT 2"]
    assert one.run("s0") == [("0",)]  # now s1 is the one that was not used for the longest time
    one.ask(parse("SELECT 3", "s3"))
    assert sorted(text for _, text in one.at_server()) == ["SELECT 0", "SELECT 2", "SELECT 3"]
    assert one.run("s1") == [("1",)]  # and comes back, for s2
    assert sorted(text for _, text in one.at_server()) == ["SELECT 0", "SELECT 1", "SELECT 3"]
    for n in range(4):
        assert one.run(f"s{n}") == [(str(n),)]


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_the_limit_is_held_on_each_server(two_servers, client, limit):
    pooler = two_servers(limit)
    clients = [client(pooler) for _ in range(3)]
    for n in range(10):
        for one in clients:
            one.ask(parse(f"SELECT {n}", f"s{n}"))
    chance = random.Random(limit)
    for _ in range(100):
        one = chance.choice(clients)
        n = chance.randrange(10)
        assert one.run(f"s{n}") == [(str(n),)]
        assert len(one.at_server()) <= limit
    # also in one pipeline with more of them than the limit
    assert clients[0].rows(*(bind(statement=f"s{n}") + execute() for n in range(10))) == [(str(n),) for n in range(10)]
    assert len(clients[0].at_server()) <= limit


def test_the_limit_can_change(one_server, client):
    pooler = one_server(5)
    one = client(pooler)
    for n in range(5):
        one.ask(parse(f"SELECT {n}", f"s{n}"))
    assert len(one.at_server()) == 5
    pooler.change_config(max_prepared_statements=2)
    pooler.reload()
    for n in range(5):
        assert one.run(f"s{n}") == [(str(n),)]
    for n in range(4):  # what is too much goes little by little
        one.ask(parse(f"SELECT 'more', {n}", f"more{n}"))
    assert len(one.at_server()) <= 2
    pooler.change_config(max_prepared_statements=4)
    pooler.reload()
    for _ in range(2):
        for n in range(5):
            assert one.run(f"s{n}") == [(str(n),)]
    assert len(one.at_server()) == 4


def test_a_limit_that_was_lowered_holds_up_no_pipeline(pgweir, client):
    """The server has more than is allowed now, and lacks what a pipeline needs behind a Parse."""
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 2})
    one, other = client(pooler), client(pooler)
    for n in range(4):
        other.ask(parse(f"SELECT 'other', {n}", f"s{n}"))
    other.connection.send_raw(parse("SELECT 'keeps its server'", "k") + FLUSH)
    other.connection.read_until(b"1")
    pooler.console("SET max_prepared_statements = 1")
    assert one.kinds(parse("SELECT $1::text", "mine")) == "1Z"  # on the second server
    assert other.kinds() == "Z"
    for _ in range(2):  # on the first, which was used last
        assert one.kinds(parse("SELECT 1", "a"), bind("x", statement="mine"), execute(), parse("SELECT 2", "b"), bind(statement="a"), execute(),
                         bind("y", statement="mine"), execute()) == "12DC12DC2DCZ"
        assert one.kinds(close("a"), close("b")) == "33Z"
    for n in range(4):
        assert other.run(f"s{n}") == [("other", str(n))]
    assert one.run("mine", "z") == [("z",)]


def test_switched_off_and_on_again(one_server, client):
    pooler = one_server()
    one = client(pooler)
    one.ask(parse("SELECT 'before'", "s"))
    pooler.change_config(max_prepared_statements=0)
    pooler.reload()
    # Off: names go to the server as they are.
    late = client(pooler)
    assert late.kinds(parse("SELECT 'raw'", "raw")) == "1Z"
    assert ("raw", "SELECT 'raw'") in late.at_server()
    assert late.run("raw") == [("raw",)]
    assert late.kinds(close("raw")) == "3Z"
    assert "raw" not in dict(late.at_server())
    pooler.change_config(max_prepared_statements=200)
    pooler.reload()
    again = client(pooler)
    assert again.kinds(parse("SELECT 'after'", "s")) == "1Z"
    assert again.run("s") == [("after",)]
    assert "s" not in dict(again.at_server())
    for _ in range(2):  # who was there before is served, or told, but its session lives
        one.ask(close("s"), parse("SELECT 'anew'", "s"))
        assert one.run("s") == [("anew",)]
        assert again.run("s") == [("after",)]


def test_with_none_nothing_is_rewritten(one_server, client):
    pooler = one_server(0)
    one = client(pooler)
    one.ask(parse("SELECT 1", "plain"))
    assert one.at_server() == [("plain", "SELECT 1")]


def test_in_session_mode_nothing_is_rewritten(one_server, client):
    pooler = one_server(pool_mode="session")
    one = client(pooler)
    one.ask(parse("SELECT 1", "plain"))
    assert one.at_server() == [("plain", "SELECT 1")]
    assert one.run("plain") == [("1",)]


def test_in_statement_mode(pgweir, client):
    pooler = pgweir({"pool_mode": "statement", "default_pool_size": 2, "server_round_robin": 1, "max_prepared_statements": 2})
    clients = [client(pooler) for _ in range(3)]
    for n, one in enumerate(clients):
        one.ask(parse(f"SELECT {n}, $1::text", "s"), parse("SELECT 'same'", f"t{n}"))
    for _ in range(4):
        for n, one in enumerate(clients):
            assert one.run("s", "x") == [(str(n), "x")]
            assert one.run(f"t{n}") == [("same",)]
            assert one.kinds(describe(b"S", "s")) == "tTZ"
    assert clients[0].error(bind(statement="t1")) == ("26000", 'prepared statement "t1" does not exist')


# ---- names ----


def test_unknown_names_are_an_error_of_the_client_s_words(two_servers, client):
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    other.ask(parse("SELECT 1", "others"))
    for name in ("others", "nobodys", "PGBOUNCER_1"):
        expected = ("26000", f'prepared statement "{name}" does not exist')
        assert one.error(bind(statement=name), execute()) == expected
        assert one.error(describe(b"S", name)) == expected
        assert one.kinds(close(name)) == "3Z"
    assert one.error(bind()) == ("26000", "unnamed prepared statement does not exist")
    assert one.error(describe(b"S")) == ("26000", "unnamed prepared statement does not exist")
    # What follows up to Sync is skipped, what follows it is not.
    one.connection.send_raw(bind(statement="nobodys") + execute() + parse("SELECT 1", "skipped") + query("SELECT 'skipped'") + SYNC +
                            bind(statement="skipped") + SYNC + query("SELECT 'mine'"))
    assert [Wire.kinds(one.connection.read_until(b"Z")) for _ in range(3)] == [b"EZ", b"EZ", b"TDCZ"]
    assert other.run("others") == [("1",)]


def test_unknown_names_abort_a_transaction(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    one.ask(parse("SELECT 1", "known"), parse("ROLLBACK", "rollback"))
    for unknown in (bind(statement="nobodys"), describe(b"S", "nobodys"), parse("SELECT 2", "known")):
        assert one.query("BEGIN")[-1] == (b"Z", b"T")
        assert one.ask(bind(statement="known"), execute())[-1] == (b"Z", b"T")
        answers = one.ask(unknown, execute())
        assert Wire.kinds(answers) == b"EZ" and answers[-1] == (b"Z", b"E")
        assert error_in(one.query("SELECT 1"))["C"] == "25P02"
        assert one.error(bind(statement="known"))[0] == "25P02"
        assert one.ask(bind(statement="rollback"), execute())[-1] == (b"Z", b"I")
        assert one.run("known") == [("1",)]


def test_an_implicit_transaction_is_rolled_back_by_an_unknown_name(two_servers, client, postgres):
    pooler = two_servers()
    make_table(postgres, "implicit", "a int")
    one = client(pooler)
    one.ask(parse("INSERT INTO implicit VALUES (1)", "insert"))
    assert one.kinds(bind(statement="insert"), execute(), bind(statement="nobodys"), execute(), bind(statement="insert"), execute()) == "2CEZ"
    assert one.kinds(bind(statement="insert"), execute(), parse("SELECT 1", "insert"), bind(statement="insert"), execute()) == "2CEZ"
    assert postgres.execute("SELECT * FROM implicit") == []
    assert one.kinds(bind(statement="insert"), execute()) == "2CZ"
    assert postgres.execute("SELECT * FROM implicit") == [{"a": 1}]


def test_doubled_names(one_server, client):
    pooler = one_server()
    one, other = client(pooler), client(pooler)
    one.ask(parse("SELECT 'first'", "s"))
    for sql in ("SELECT 'first'", "SELECT 'second'"):
        assert one.error(parse(sql, "s")) == ("42P05", 'prepared statement "s" already exists')
    assert one.run("s") == [("first",)]
    assert other.kinds(parse("SELECT 'others'", "s")) == "1Z"
    assert one.kinds(close("s"), parse("SELECT 'second'", "s"), bind(statement="s"), execute()) == "312DCZ"
    assert other.run("s") == [("others",)]


def test_a_closed_name_is_gone_and_may_be_given_again(two_servers, client):
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    for round_ in range(6):
        assert one.kinds(parse(f"SELECT 'round {round_ % 4}'", "s")) == "1Z"
        assert other.kinds(parse(f"SELECT 'round {round_ % 4}'", f"t{round_}")) == "1Z"
        assert one.run("s") == [(f"round {round_ % 4}",)]
        assert one.kinds(close("s")) == "3Z"
        assert one.error(bind(statement="s"))[0] == "26000"
        assert other.run(f"t{round_}") == [(f"round {round_ % 4}",)]  # others keep it


def test_long_and_odd_names(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    names = ["n" * 62, "m" * 63, 'quo"te', "spa ce", "PGBOUNCER_1", "ümläut", "semi;colon", "new\nline"]
    for name in names:
        assert one.kinds(parse(f"SELECT $1, '{len(name)}'", name, (25,))) == "1Z"
    for _ in range(2):
        for name in names:
            assert one.run(name, name) == [(name, str(len(name)))]
            assert one.kinds(describe(b"S", name)) == "tTZ"
            assert one.error(parse("SELECT 1", name)) == ("42P05", f'prepared statement "{name}" already exists')
    for name in names:
        assert one.kinds(close(name)) == "3Z"
        assert one.error(describe(b"S", name)) == ("26000", f'prepared statement "{name}" does not exist')


def test_names_of_more_than_63_bytes_are_as_at_postgresql(two_servers, client, postgres, wire):
    direct = Client(wire(postgres))
    pooled = client(two_servers())
    long, longer = "x" * 64, "x" * 63 + "yz" * 100
    requests = [[parse("SELECT 'long'", long)], [bind(statement=long), execute()], [parse("SELECT 'longer'", longer)],
                [bind(statement=longer), execute()], [describe(b"S", "x" * 63)], [close(longer)], [bind(statement=long), execute()]]
    for messages in requests:
        wanted, got = direct.ask(*messages), pooled.ask(*messages)
        assert Wire.kinds(got) == Wire.kinds(wanted) and Wire.rows(got) == Wire.rows(wanted)
        if b"E" in Wire.kinds(wanted):
            assert error_in(got)["C"] == error_in(wanted)["C"]


def test_errors_of_a_statement_name_it_as_the_client_does(two_servers, client):
    pooler = two_servers()
    other, one = client(pooler), client(pooler)
    other.ask(parse("SELECT $1::int, $2::int", "others"))
    one.ask(parse("SELECT $1::int, $2::int", "mine"))
    assert one.error(bind("1", statement="mine")) == ("08P01", 'bind message supplies 1 parameters, but prepared statement "mine" requires 2')
    one.ask(parse("SELECT $1::int"))
    assert one.error(bind()) == ("08P01", 'bind message supplies 0 parameters, but prepared statement "" requires 1')
    assert one.run("mine", "1", "2") == [("1", "2")]


# ---- Parse that fails ----


def test_a_parse_that_fails_leaves_the_name_free(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    for sql, state in (("SELEC", "42601"), ("SELECT * FROM nowhere", "42P01"), ("SELECT 1; SELECT 2", "42601")):
        assert one.error(parse(sql, "s"), describe(b"S", "s"), bind(statement="s"), execute())[0] == state
        assert one.error(bind(statement="s")) == ("26000", 'prepared statement "s" does not exist')
        assert one.error(parse(sql, "s"))[0] == state
    assert one.kinds(parse("SELECT 'good'", "s")) == "1Z"
    assert one.run("s") == [("good",)]
    assert len(one.at_server()) <= 1


def test_a_parse_that_failed_once_may_succeed_later(two_servers, client, postgres):
    pooler = two_servers()
    postgres.execute("DROP TABLE IF EXISTS later")
    one, other = client(pooler), client(pooler)
    for each in (one, other):
        for _ in range(2):
            assert each.error(parse("SELECT a FROM later", "s"))[0] == "42P01"
    make_table(postgres, "later", "a int")
    postgres.execute("INSERT INTO later VALUES (5)")
    for each in (one, other):
        assert each.kinds(parse("SELECT a FROM later", "s")) == "1Z"
        for _ in range(2):
            assert each.run("s") == [("5",)]
    # And the other way: here it was good, the server it is taken to finds that it is no longer.
    pooler.console("RECONNECT")
    postgres.execute("DROP TABLE later")
    assert one.error(bind(statement="s"), execute())[0] == "42P01"
    make_table(postgres, "later", "a int")
    for _ in range(2):
        assert one.run("s") == []
        assert other.run("s") == []


def test_parse_in_an_aborted_transaction(two_servers, client):
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    other.ask(parse("SELECT 'good'", "s"))  # perhaps known to the server already
    other.run("s")
    one.query("BEGIN")
    one.query("SELECT 1/0")
    assert one.error(parse("SELECT 'good'", "s"))[0] == "25P02"
    assert one.error(describe(b"S", "s")) == ("26000", 'prepared statement "s" does not exist')
    assert one.ask(parse("ROLLBACK", "rollback"), bind(statement="rollback"), execute())[-1] == (b"Z", b"I")
    assert one.error(bind(statement="s"))[0] == "26000"
    assert one.kinds(parse("SELECT 'good'", "s"), bind(statement="s"), execute()) == "12DCZ"
    assert one.kinds(bind(statement="rollback"), execute()) == "2NCZ"


def test_a_statement_that_the_server_lacks_in_an_aborted_transaction(one_server, client):
    pooler = one_server(1)
    one = client(pooler)
    one.ask(parse("SELECT 'lacking'", "s"))
    one.ask(parse("ROLLBACK", "rollback"))
    one.ask(parse("SELECT 'another'", "t"))
    for _ in range(2):
        one.query("BEGIN")
        one.query("SELECT 1/0")
        assert one.error(bind(statement="s"), execute())[0] == "25P02"
        assert one.error(bind(statement="t"), execute())[0] == "25P02"
        assert one.ask(bind(statement="rollback"), execute())[-1] == (b"Z", b"I")
        assert one.run("s") == [("lacking",)]
        assert one.run("t") == [("another",)]


def test_statements_made_in_a_transaction_outlive_its_end(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    for end in ("COMMIT", "ROLLBACK"):
        one.query("BEGIN")
        one.ask(parse(f"SELECT '{end}'", end))
        one.query(end)
        for _ in range(2):
            assert one.run(end) == [(end,)]


# ---- after errors ----


def test_what_was_skipped_after_an_error_was_not_done(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    one.ask(parse("SELECT 1/$1::int", "divide"), parse("SELECT 'kept'", "kept"))
    assert one.kinds(bind("0", statement="divide"), execute(), parse("SELECT 'new'", "new"), close("kept"), close("divide"),
                     parse("SELECT 'again'", "kept")) in ("2EZ", "EZ")
    assert one.error(bind(statement="new"))[0] == "26000"
    for _ in range(2):
        assert one.run("kept") == [("kept",)]
        assert one.run("divide", "1") == [("1",)]
    assert one.kinds(parse("SELECT 'new'", "new"), bind(statement="new"), execute()) == "12DCZ"


def test_an_error_between_many_requests(two_servers, client):
    pooler = two_servers(2)
    one = client(pooler)
    for n in range(6):
        one.ask(parse(f"SELECT {n} / $1::int", f"s{n}"))
    for bad in range(6):
        answers = one.kinds(*(bind("0" if n == bad else "1", statement=f"s{n}") + execute() for n in range(6)))
        assert answers in ("2DC" * bad + "2EZ", "2DC" * bad + "EZ")
        for n in range(6):
            assert one.run(f"s{n}", "1") == [(str(n),)]
    assert len(one.at_server()) <= 2


def test_flush_is_answered_before_sync(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    for name in ("a", "b"):
        one.connection.send_raw(parse(f"SELECT '{name}', $1::text", name) + FLUSH)
        assert Wire.kinds(one.connection.read_until(b"1")) == b"1"
        one.connection.send_raw(describe(b"S", name) + FLUSH)
        assert Wire.kinds(one.connection.read_until(b"T")) == b"tT"
        one.connection.send_raw(bind("x", statement=name) + execute() + FLUSH)
        assert Wire.kinds(one.connection.read_until(b"C")) == b"2DC"
        one.connection.send_raw(parse("SELECT 1", name) + FLUSH)
        assert Wire.kinds(one.connection.read_until(b"E")) == b"E"
        one.connection.send_raw(close(name) + FLUSH + SYNC)
        assert Wire.kinds(one.connection.read_until(b"Z")) == b"Z"
        assert one.run(name, "y") == [(name, "y")]
        one.connection.send_raw(close(name) + FLUSH)
        assert Wire.kinds(one.connection.read_until(b"3")) == b"3"
        assert one.kinds() == "Z"


# ---- all of them gone ----


@pytest.mark.parametrize("sql", ["DEALLOCATE ALL", "DISCARD ALL", "deallocate prepare all", "/* bye */ DEALLOCATE -- now\n ALL"])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_commands_that_drop_all_drop_this_client_s(two_servers, client, sql, extended):
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    for each in (one, other):
        each.ask(parse("SELECT 'shared'", "s"), parse("SELECT $1::text", "t"))
        each.run("s")
    for _ in range(2):
        if extended:
            assert one.kinds(parse(sql), bind(), execute()) == "12CZ"
        else:
            assert Wire.kinds(one.query(sql)) == b"CZ"
        for name in ("s", "t"):
            assert one.error(bind(statement=name)) == ("26000", f'prepared statement "{name}" does not exist')
        for _ in range(2):  # others do not notice
            assert other.run("s") == [("shared",)]
            assert other.run("t", "x") == [("x",)]
        assert one.kinds(parse("SELECT 'anew'", "s"), bind(statement="s"), execute()) == "12DCZ"
        assert one.run("s") == [("anew",)]
        assert one.kinds(close("s")) == "3Z"


def test_deallocate_all_in_a_pipeline(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    one.ask(parse("SELECT 'old'", "s"), parse("SELECT 'other'", "t"))
    assert one.kinds(parse("DEALLOCATE ALL"), bind(), execute(), parse("SELECT 'new'", "s"), bind(statement="s"), execute(),
                     bind(statement="t")) == "12C12DCEZ"
    assert one.run("s") == [("new",)]
    assert one.error(bind(statement="t"))[0] == "26000"
    one.connection.send_raw(query("DEALLOCATE ALL") + bind(statement="s") + SYNC + parse("SELECT 'newer'", "s") + SYNC + query("SELECT 1"))
    assert [Wire.kinds(one.connection.read_until(b"Z")) for _ in range(4)] == [b"CZ", b"EZ", b"1Z", b"TDCZ"]
    assert one.run("s") == [("newer",)]


# ---- the unnamed statement ----


def test_the_unnamed_statement_is_its_client_s_on_every_server(two_servers, client):
    """As lib/pq does it: Parse, Describe and Sync; then Bind, Execute and Sync."""
    pooler = two_servers()
    clients = [client(pooler) for _ in range(4)]
    for round_ in range(6):
        for number, one in enumerate(clients):
            assert one.kinds(parse(f"SELECT 'client {number}', $1::text"), describe(b"S")) == "1tTZ"
        order = list(enumerate(clients))
        random.Random(round_).shuffle(order)
        for number, one in order:
            for value in ("a", "b"):
                assert one.run("", value) == [(f"client {number}", value)]


def test_the_unnamed_statement_goes_as_at_postgresql(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    gone = ("26000", "unnamed prepared statement does not exist")
    one.ask(parse("SELECT 'first'"))
    assert one.kinds(parse("SELECT 'second'")) == "1Z"  # no name is doubled
    assert one.run("") == [("second",)]
    one.query("SELECT 1")  # a simple query takes it away
    assert one.error(bind()) == gone
    one.ask(parse("SELECT 'third'"))
    assert one.kinds(close("")) == "3Z"
    assert one.error(bind()) == gone
    one.ask(parse("SELECT 'fourth'"))
    assert one.error(parse("SELEC"))[0] == "42601"
    assert one.error(bind()) == gone
    one.ask(parse("SELECT 'fifth'"), parse("SELECT 'named'", "s"))
    assert one.run("s") == [("named",)]
    one.query("BEGIN")
    assert one.error(bind())[0] == "26000"
    one.query("ROLLBACK")


def test_the_unnamed_statement_of_who_has_none_is_not_another_s(one_server, client):
    pooler = one_server()
    one, other = client(pooler), client(pooler)
    one.ask(parse("SELECT 'secret of one'"))
    assert other.error(bind(), execute()) == ("26000", "unnamed prepared statement does not exist")
    assert other.error(describe(b"S"))[0] == "26000"
    assert other.kinds(close("")) == "3Z"
    assert one.run("") == [("secret of one",)]
    other.ask(parse("SELECT 'of the other'"))
    assert one.run("") == [("secret of one",)]
    assert other.run("") == [("of the other",)]


def test_an_unnamed_statement_that_was_replaced_in_a_pipeline(two_servers, client):
    pooler = two_servers()
    one = client(pooler)
    assert one.rows(parse("SELECT 1"), bind(), execute(), parse("SELECT 2"), bind(), execute(), bind(), execute()) == [("1",), ("2",), ("2",)]
    for _ in range(2):
        assert one.run("") == [("2",)]
    # Skipped after an error: the one before it stays.
    assert one.error(bind(statement="nobodys"), parse("SELECT 3"))[0] == "26000"
    for _ in range(2):
        assert one.run("") == [("2",)]


# ---- sizes ----


def test_large_statements(two_servers, client):
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    named = "SELECT $1::text, length('" + "n" * 1000000 + "')"
    unnamed = "SELECT $1::text, length('" + "u" * 100000 + "')"
    for name, each in (("large", one), ("also", other)):
        assert each.kinds(parse(named, name)) == "1Z"
    for _ in range(4):
        assert one.run("large", "x") == [("x", "1000000")]
        assert other.kinds(describe(b"S", "also")) == "tTZ"
    # Within a request, an unnamed statement may have any size.
    for _ in range(2):
        assert one.rows(parse(unnamed), bind("y"), execute()) == [("y", "100000")]
        assert one.rows(parse(named), bind("z"), execute()) == [("z", "1000000")]
        other.query("SELECT 1")
    small = "SELECT length('" + "s" * 30000 + "')"
    one.ask(parse(small))
    for _ in range(2):
        assert one.run("") == [("30000",)]


def test_a_large_unnamed_statement_is_never_another_s(two_servers, client):
    """It may be too large to be kept for the next transaction; then that is told."""
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    other.ask(parse("SELECT 'others'"))
    assert one.kinds(parse("SELECT length('" + "u" * 100000 + "')"), describe(b"S")) == "1tTZ"
    for _ in range(3):
        answers = one.ask(bind(), execute())
        assert Wire.rows(answers) == [[b"100000"]] or error_in(answers)["C"] == "26000"
        assert other.run("") == [("others",)]
    assert one.rows(parse("SELECT 'small'"), bind(), execute()) == [("small",)]


def test_values_of_any_size_pass_in_little_memory(two_servers, client):
    """A Bind is rewritten at its beginning only."""
    pooler = two_servers()
    one = client(pooler)
    one.ask(parse("SELECT length($1::text), $2::text", "s"))
    one.run("s", "x" * 1000000, "first")
    before = pooler.memory_kb()
    for number in range(4):
        assert one.run("s", "x" * 40000000, str(number)) == [("40000000", str(number))]
    assert grown_kb(pooler, before) < 16 * 1024


def is_refused(one, *messages):
    """Is this answered by a FATAL 54000 and the end? Else it is answered without an error."""
    one.connection.send_raw(b"".join(messages) + SYNC)
    answers = one.connection.read_until(b"Z", b"E")
    if answers[-1][0] == b"Z":
        return False
    error = error_in(answers)
    assert (error["S"], error["C"]) == ("FATAL", "54000"), error
    return True


@pytest.mark.parametrize("size", [900, 1023, 1100, 5000, 200000])
def test_names_of_any_length(two_servers, client, size):
    """As PostgreSQL does, which looks at 63 bytes of them, or refused if absurd; others notice nothing."""
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    other.ask(parse("SELECT 'others'", "s"))
    name = "n" * size
    refused = is_refused(one, parse("SELECT 'long'", name))
    assert not refused or size > 1000
    for _ in range(2):
        if not refused:
            assert one.run(name) == [("long",)]
        assert other.run("s") == [("others",)]


def test_a_statement_of_twenty_megabytes(two_servers, client):
    """Served or refused; without a name it need not be kept and is served."""
    pooler = two_servers()
    one, other = client(pooler), client(pooler)
    other.ask(parse("SELECT 'others'", "s"))
    if not is_refused(one, parse("SELECT length('" + "x" * 20000000 + "')", "huge")):
        for _ in range(2):
            assert one.run("huge") == [("20000000",)]
    for _ in range(2):
        assert other.rows(parse("SELECT length('" + "y" * 20000000 + "')"), bind(), execute()) == [("20000000",)]
        assert other.run("s") == [("others",)]


@covers("prepared_statement_memory")
def test_memory_of_many_distinct_statements_is_bounded(one_server, client):
    """Twenty thousand texts of four kilobytes each, 80 MB, where 8 MB are allowed."""
    pooler = one_server(50, prepared_statement_memory="8MB", log_connections=0, log_disconnections=0)
    one = client(pooler)
    texts, batch = 20000, 100
    before = None
    for start in range(0, texts, batch):
        one.connection.send_raw(b"".join(parse(f"SELECT {n} /* {'x' * 4000} */", f"s{n}") + SYNC for n in range(start, start + batch)))
        for _ in range(batch):
            assert Wire.kinds(one.connection.read_until(b"Z")) == b"1Z"
        if start == 2000:
            before = pooler.memory_kb()
    assert grown_kb(pooler, before) < 24 * 1024
    assert len(one.at_server()) <= 50
    # The last ones are there. What was forgotten is told, and its name may be given again.
    assert one.run(f"s{texts - 1}") == [(str(texts - 1),)]
    answers = one.ask(bind(statement="s0"), execute())
    assert error_in(answers)["C"] == "26000"
    one.ask(close("s0"))
    assert one.kinds(parse("SELECT 'again'", "s0"), bind(statement="s0"), execute()) == "12DCZ"


def test_statements_of_clients_that_left_take_no_memory(one_server, wire):
    pooler = one_server(10, log_connections=0, log_disconnections=0)
    before = None
    for n in range(400):
        one = Client(wire(pooler))
        one.connection.send_raw(b"".join(parse(f"SELECT {n}, {m} /* {'x' * 2000} */", f"s{m}") for m in range(100)) + SYNC)
        assert Wire.kinds(one.connection.read_until(b"Z")) == b"1" * 100 + b"Z"
        one.connection.close()
        if n == 50:
            before = pooler.memory_kb()
    assert grown_kb(pooler, before) < 16 * 1024  # of 70 MB


# ---- plans ----


def test_a_table_that_changes_between_two_uses(one_server, client, postgres):
    """cached plan must not change result type: outside a transaction the statement is prepared anew."""
    pooler = one_server()
    make_table(postgres, "changing", "a int")
    postgres.execute("INSERT INTO changing VALUES (1)")
    one = client(pooler)
    one.ask(parse("SELECT * FROM changing", "s"))
    assert one.run("s") == [("1",)]
    postgres.execute("ALTER TABLE changing ADD b int DEFAULT 2")
    answers = one.ask(bind(statement="s"), execute())
    if b"E" in Wire.kinds(answers):  # as PostgreSQL itself
        assert error_in(answers)["C"] == "0A000"
        assert one.kinds(close("s"), parse("SELECT * FROM changing", "s")) == "31Z"
    assert one.run("s") == [("1", "2")]


def test_outside_a_transaction_nobody_notices_that_a_table_changed(two_servers, client, postgres):
    pooler = two_servers()
    make_table(postgres, "changing", "a int")
    postgres.execute("INSERT INTO changing VALUES (1)")
    clients = [client(pooler) for _ in range(3)]
    for one in clients:
        one.ask(parse("SELECT * FROM changing", "s"))
        for _ in range(2):
            assert one.run("s") == [("1",)]
    postgres.execute("ALTER TABLE changing ADD b int DEFAULT 2")
    for _ in range(2):
        for one in clients:
            assert one.run("s") == [("1", "2")]
            assert one.kinds(describe(b"S", "s"), bind(statement="s"), execute()) == "tT2DCZ"


# ---- counters ----


def test_parses_and_binds_are_counted(one_server, client):
    pooler = one_server()
    one, other = client(pooler), client(pooler)
    row = lambda: next(r for r in pooler.console("SHOW STATS") if r["database"] == DATABASE)
    before = row()
    for each in (one, other):
        each.ask(parse("SELECT 1", "s"), parse("SELECT 2", "t"))
    for _ in range(5):
        one.run("s")
    other.run("t")
    after = row()
    grown = {name: int(after[name]) - int(before[name]) for name in
             ("total_client_parse_count", "total_server_parse_count", "total_bind_count")}
    assert grown == {"total_client_parse_count": 4, "total_server_parse_count": 2, "total_bind_count": 6}


def test_show_clients_and_servers_tell_how_many_are_prepared(one_server, client):
    pooler = one_server(3)
    one = client(pooler, application_name="counted")
    client(pooler, application_name="none")
    count = lambda: {r["application_name"]: r["prepared_statements"] for r in pooler.console("SHOW CLIENTS")}
    assert count()["counted"] == 0
    for n in range(5):
        one.ask(parse(f"SELECT {n}", f"s{n}"))
    assert count()["counted"] == 5 and count()["none"] == 0
    assert [r["prepared_statements"] for r in servers(pooler)] == [3]
    one.ask(close("s1"))
    assert count()["counted"] == 4
    one.query("DEALLOCATE ALL")
    assert count()["counted"] == 0
    assert [r["prepared_statements"] for r in servers(pooler)] == [0]


# ---- many clients ----


def test_twenty_clients_on_three_servers_get_their_own(pgweir, wire):
    """Named and unnamed statements, some of them shared, cut anywhere; some clients vanish half-way."""
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3, "max_prepared_statements": 5, "max_client_conn": 200,
                     "log_connections": 0, "log_disconnections": 0})
    end = time.monotonic() + 4

    def work(tag):
        chance, right, one, known = random.Random(tag), 0, None, {}
        while time.monotonic() < end or not right:
            if one is None:
                one, known = Client(wire(pooler), application_name=f"tag{tag}"), {}
            requests, expected = b"", []
            for _ in range(chance.randrange(1, 6)):
                name = chance.choice(("", "a", "b", "c", "d"))
                value = f"{tag}-{chance.random()}"
                if name not in known or (name == "" and chance.random() < 0.5):
                    if chance.random() < 0.5:
                        known[name] = "shared" + name
                    else:
                        known[name] = f"{tag} {chance.randrange(3)}"
                    requests += parse(f"SELECT '{known[name]}', $1::text", name) + (SYNC if chance.random() < 0.5 else b"")
                    if requests.endswith(SYNC):
                        expected.append([])
                requests += bind(value, statement=name) + execute() + SYNC
                expected.append([[known[name].encode(), value.encode()]])
                if name and chance.random() < 0.2:
                    requests += close(name) + SYNC
                    expected.append([])
                    del known[name]
            leaves = chance.random() < 0.05
            if leaves:
                requests = requests[:chance.randrange(len(requests))]
            while requests:
                size = chance.choice((1, 5, 6, 100, 5000, 5000))
                one.connection.send_raw(requests[:size])
                requests = requests[size:]
            if leaves:
                one.connection.close()
                one = None
                continue
            for rows in expected:
                answers = one.connection.read_until(b"Z")
                assert b"E" not in Wire.kinds(answers), error_in(answers)
                assert Wire.rows(answers) == rows
                right += 1
        return right

    rights = [job.result(60) for job in [Background(work, tag) for tag in range(100, 120)]]
    assert min(rights) > 0 and sum(rights) > 200
    assert len(servers(pooler)) <= 3


def test_psycopg_with_prepared_statements_and_pipelines(pgweir):
    """prepare_threshold 0: each statement is prepared at once, the least used is deallocated."""
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3, "max_prepared_statements": 4, "max_client_conn": 100})
    end = time.monotonic() + 3

    async def work(tag):
        chance, right = random.Random(tag), 0
        async with await psycopg.AsyncConnection.connect(pooler.dsn(connect_timeout=30), autocommit=True) as connection:
            connection.prepare_threshold = 0

            async def ask(kind):
                value = chance.randrange(1000)
                cursor = await connection.execute(f"SELECT %s::int, {kind}", (value,))
                return cursor, (value, kind)

            # psycopg takes for prepared what was skipped after an error in a pipeline: all is prepared before.
            for kind in range(6):
                await ask(kind)
            await connection.execute("SELECT 1/%s::int", (1,))
            while time.monotonic() < end or not right:
                action = chance.random()
                if action < 0.4:
                    cursor, wanted = await ask(chance.randrange(6))
                    assert await cursor.fetchall() == [wanted]
                elif action < 0.6:
                    async with connection.transaction():
                        for _ in range(3):
                            cursor, wanted = await ask(chance.randrange(6))
                            assert await cursor.fetchall() == [wanted]
                elif action < 0.9:
                    async with connection.pipeline():
                        asked = [await ask(chance.randrange(6)) for _ in range(5)]
                        for cursor, wanted in asked:
                            assert await cursor.fetchall() == [wanted]
                else:
                    with contextlib.suppress(psycopg.errors.DivisionByZero):
                        async with connection.pipeline():
                            await ask(1)
                            await connection.execute("SELECT 1/%s::int", (0,))
                            await ask(2)
                right += 1
        return right

    async def everyone():
        return await asyncio.gather(*(work(tag) for tag in range(20)))

    assert min(asyncio.run(everyone())) > 0


@pytest.mark.parametrize("protocol", ["prepared", "extended"])
@pytest.mark.parametrize("limit", [2, 200])
def test_pgbench(pgweir, postgres, protocol, limit):
    pgbench_tables(postgres)
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3, "max_prepared_statements": limit})
    # A thread for each client: one that prepares stops all of its thread, also those that have a server.
    options = ("-c", 20, "-j", 20, "-M", protocol)
    assert pgbench_transactions(pgbench_start(pooler, *options, "-t", 20)) == 400
    assert pgbench_transactions(pgbench_start(pooler, *options, "-t", 50, "-S")) == 1000
    assert len(servers(pooler)) <= 3


def test_very_many_rewritten_messages_in_one_write(two_servers, client):
    """What stands for them is much more than what came."""
    one = client(two_servers())
    for name, count in (("", 18000), ("nobody", 12000)):
        kinds = one.kinds(*[describe(b"S", name)] * count)
        assert kinds == "EZ"
    one.ask(parse("SELECT 1", "a"))
    kinds = one.kinds(*[describe(b"S", "a")] * 14000)
    assert kinds == "tT" * 14000 + "Z"


def test_very_many_requests_that_wait_for_each_other(two_servers, client):
    """Each Parse must wait for the Close before it, and both are answered here."""
    one = client(two_servers())
    one.ask(parse("SELECT 1", "a"))
    one.query("BEGIN")
    kinds = one.kinds(*[close("a"), parse("SELECT 1", "a")] * 5000)
    assert kinds == "31" * 5000 + "Z"
    assert one.run("a") == [("1",)]
