# SPDX-License-Identifier: ISC
"""COPY in and out, alone and among other statements; what fails or is abandoned half-way leaves nothing."""
import hashlib
import os
import random
import socket
import struct
import subprocess

import psycopg
import pytest
from conftest import ProtocolClosed, Unprivileged, postgres_bin, wait_until
from helpers import SYNC, TERMINATE, bind, error_in, execute, make_table, parse, pool, query, server_row, tags, wait_idle

MODES = ("test_session", "test_transaction", "test_statement")


def lines(megabytes, seed=1):
    """Random lines in COPY's text form."""
    chance = random.Random(seed)
    made, size, number = [], 0, 0
    while size < megabytes * 1_000_000:
        made.append(b"%d\t%s\n" % (number, b"%x" % chance.getrandbits(chance.choice((4, 400, 8000)))))
        size += len(made[-1])
        number += 1
    return made


def count(postgres, table):
    return postgres.execute(f"SELECT count(*) AS n FROM {table}")[0]["n"]


@pytest.mark.parametrize("mode", MODES)
def test_ten_megabytes_in_and_out_are_equal(pgweir, postgres, mode):
    make_table(postgres, "copied", "a int, b text")
    rows = lines(10)
    data = b"".join(rows)
    with pgweir({"default_pool_size": 1}).connect(mode) as connection:
        cursor = connection.cursor()
        with cursor.copy("COPY copied FROM STDIN") as copy:
            chance, at = random.Random(2), 0
            while at < len(data):
                size = chance.choice((1, 100, 8191, 8192, 65536, 300_000))
                copy.write(data[at:at + size])
                at += size
        assert cursor.rowcount == len(rows)
        with cursor.copy("COPY (SELECT * FROM copied ORDER BY a) TO STDOUT") as copy:
            assert hashlib.sha256(b"".join(copy)).digest() == hashlib.sha256(data).digest()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_binary_copy_both_ways(pgweir, postgres):
    make_table(postgres, "binary_copied", "a int, b bytea")
    value = os.urandom(200_000)
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with connection.cursor().copy("COPY binary_copied FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(("int4", "bytea"))
            for n in range(20):
                copy.write_row((n, value))
        with connection.cursor().copy("COPY binary_copied TO STDOUT (FORMAT BINARY)") as copy:
            copy.set_types(("int4", "bytea"))
            assert [(n, bytes(b)) for n, b in copy.rows()] == [(n, value) for n in range(20)]


def test_psql_copies_both_ways(pgweir, postgres):
    make_table(postgres, "psql_copied", "a int, b text")
    pooler = pgweir({"default_pool_size": 1})
    given, taken = pooler.directory / "given", pooler.directory / "taken"
    given.write_bytes(b"".join(lines(3)))
    result = subprocess.run(
        [postgres_bin() / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", pooler.dsn("test_transaction"),
         "-c", f"\\copy psql_copied from '{given}'", "-c", f"\\copy (SELECT * FROM psql_copied ORDER BY a) to '{taken}'", "-c", "SELECT 'after'"],
        capture_output=True, text=True, check=False, **Unprivileged.popen)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("COPY ") == 2 and "after" in result.stdout
    assert taken.read_bytes() == given.read_bytes()


@pytest.mark.parametrize("mode", MODES)
def test_an_error_half_way_leaves_the_session_usable(pgweir, postgres, mode):
    make_table(postgres, "numbers", "a int")
    with pgweir({"default_pool_size": 1}).connect(mode) as connection:
        for _ in range(3):
            with pytest.raises(psycopg.errors.InvalidTextRepresentation):
                with connection.cursor().copy("COPY numbers FROM STDIN") as copy:
                    for n in range(30_000):
                        copy.write(b"not a number\n" if n == 1000 else b"2\n")
            assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


def test_a_copy_that_the_client_gives_up_is_rolled_back(pgweir, postgres):
    make_table(postgres, "given_up", "a int")
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with pytest.raises(psycopg.errors.QueryCanceled, match="ZeroDivisionError"):
            with connection.cursor().copy("COPY given_up FROM STDIN") as copy:
                copy.write(b"1\n2\n")
                raise ZeroDivisionError
        assert connection.execute("SELECT count(*) FROM given_up").fetchone() == (0,)


def test_copy_fail_is_answered_with_its_error(pgweir, postgres, wire):
    make_table(postgres, "failed", "a int")
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database="test_transaction")
    connection.send_raw(query("COPY failed FROM STDIN"))
    connection.read_until(b"G")
    connection.send(b"d", b"1\n")
    connection.send(b"f", b"changed my mind\0")
    messages = connection.read_until(b"Z")
    error = error_in(messages)
    assert error["C"] == "57014" and "changed my mind" in error["M"] and messages[-1] == (b"Z", b"I")
    assert connection.rows(connection.query("SELECT count(*) FROM failed")) == [[b"0"]]


def test_copy_among_other_statements_of_one_query(pgweir, postgres, wire):
    make_table(postgres, "among", "a int")
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database="test_transaction")
    connection.send_raw(query("SELECT 1; COPY among FROM STDIN; SELECT count(*) FROM among; COPY among TO STDOUT; COPY among FROM STDIN; SELECT 5"))
    assert connection.kinds(connection.read_until(b"G")) == b"TDCG"
    connection.send(b"d", b"1\n2\n")
    connection.send(b"c")
    messages = connection.read_until(b"G")
    assert connection.kinds(messages) == b"CTDCHddcCG"
    assert [body for kind, body in messages if kind == b"d"] == [b"1\n", b"2\n"]
    connection.send(b"d", b"3\n")
    connection.send(b"c")
    messages = connection.read_until(b"Z")
    assert tags(messages) == ["COPY 1", "SELECT 1"] and messages[-1] == (b"Z", b"I")


def test_copy_with_its_data_sent_ahead(pgweir, postgres, wire):
    make_table(postgres, "ahead", "a int")
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database="test_transaction")
    data = b"".join(connection.message(b"d", b"%d\n" % n) for n in range(10_000))
    connection.send_raw(query("COPY ahead FROM STDIN") + data + connection.message(b"c") + query("SELECT count(*) FROM ahead"))
    assert tags(connection.read_until(b"Z")) == ["COPY 10000"]
    assert connection.rows(connection.read_until(b"Z")) == [[b"10000"]]
    assert connection.quiet()


def test_copy_of_the_extended_protocol(pgweir, postgres, wire):
    """Sync is ignored while COPY goes on: one behind Execute, as drivers send it, and one behind the data."""
    make_table(postgres, "extended", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    for total in (1, 2, 3):
        connection.send_raw(parse("COPY extended FROM STDIN") + bind() + execute() + SYNC)
        assert connection.kinds(connection.read_until(b"G")) == b"12G"
        connection.send(b"d", b"1\n")
        connection.send(b"c")
        connection.send_raw(SYNC)
        messages = connection.read_until(b"Z")
        assert tags(messages) == ["COPY 1"] and messages[-1] == (b"Z", b"I")
        assert connection.quiet(0.05)
        assert connection.rows(connection.query("SELECT count(*) FROM extended")) == [[b"%d" % total]]
        assert pool(pooler, db="test_transaction")["sv_idle"] == 1
    connection.send_raw(parse("COPY extended TO STDOUT") + bind() + execute() + SYNC)
    assert connection.kinds(connection.read_until(b"Z")) == b"12HdddcCZ"


def test_an_error_in_a_copy_of_the_extended_protocol(pgweir, postgres, wire):
    make_table(postgres, "extended_bad", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(parse("COPY extended_bad FROM STDIN") + bind() + execute() + SYNC)
    connection.read_until(b"G")
    connection.send_raw(connection.message(b"d", b"bad\n") + connection.message(b"d", b"1\n") * 100 + connection.message(b"c") + SYNC)
    messages = connection.read_until(b"Z")
    assert error_in(messages)["C"] == "22P02" and messages[-1] == (b"Z", b"I")
    assert connection.rows(connection.query("SELECT count(*) FROM extended_bad")) == [[b"0"]]
    assert pooler.query("SELECT 'next'", "test_transaction") == [("next",)]


def test_a_copy_inside_a_transaction_is_the_transaction_s(pgweir, postgres):
    make_table(postgres, "in_transaction", "a int")
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with pytest.raises(ZeroDivisionError):
            with connection.transaction():
                with connection.cursor().copy("COPY in_transaction FROM STDIN") as copy:
                    copy.write(b"1\n")
                raise ZeroDivisionError
        assert connection.execute("SELECT count(*) FROM in_transaction").fetchone() == (0,)
        with connection.transaction():
            with connection.cursor().copy("COPY in_transaction FROM STDIN") as copy:
                copy.write(b"1\n")
        assert connection.execute("SELECT count(*) FROM in_transaction").fetchone() == (1,)


# ---- clients that vanish ----


@pytest.mark.parametrize("ending", ["close", "reset", "terminate", "half a message"])
def test_a_client_that_vanishes_inside_copy_in_commits_nothing(pgweir, postgres, wire, ending):
    make_table(postgres, "vanished", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(query("COPY vanished FROM STDIN"))
    connection.read_until(b"G")
    connection.send(b"d", b"1\n2\n")
    if ending == "terminate":
        connection.send_raw(TERMINATE)
    elif ending == "half a message":
        connection.send_raw(connection.message(b"d", b"3\n4\n")[:6])
    elif ending == "reset":
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert pooler.query("SELECT count(*) FROM vanished", "test_transaction") == [(0,)]
    wait_until(lambda: postgres.execute("SELECT 1 AS one FROM pg_stat_activity WHERE query LIKE 'COPY vanished%'") == [])
    assert count(postgres, "vanished") == 0


def test_a_client_that_is_killed_inside_copy_in_commits_nothing(pgweir, postgres):
    make_table(postgres, "killed", "a int")
    pooler = pgweir({"default_pool_size": 1})
    psql = subprocess.Popen([postgres_bin() / "psql", "-X", "-q", "-d", pooler.dsn("test_transaction"), "-c", "\\copy killed from stdin"],
                            stdin=subprocess.PIPE, **Unprivileged.popen)
    psql.stdin.write(b"1\n" * 100_000)
    psql.stdin.flush()
    wait_until(lambda: pool(pooler, db="test_transaction")["sv_active"] == 1)
    psql.kill()
    psql.wait()
    psql.stdin.close()
    assert pooler.query("SELECT count(*) FROM killed", "test_transaction") == [(0,)]
    assert count(postgres, "killed") == 0


def test_a_client_that_vanishes_inside_copy_out_gives_the_server_back(pgweir, wire):
    pooler = pgweir({"default_pool_size": 1})
    for _ in range(5):
        connection = wire(pooler)
        connection.startup(database="test_transaction")
        connection.send_raw(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT"))
        connection.read_until(b"d")
        connection.close()
        assert pooler.query("SELECT 'next'", "test_transaction") == [("next",)]
    wait_idle(pooler)


# ---- a blind COPY message ----


def test_copy_messages_outside_of_copy_hold_no_server(pgweir, wire):
    """PostgreSQL ignores them; they must not keep a server, nor bring an answer."""
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    for blind in (connection.message(b"d", b"lost\n"), connection.message(b"c"), connection.message(b"f", b"why\0")):
        connection.send_raw(blind)
        assert connection.quiet(0.05)
        assert pool(pooler, db="test_transaction")["sv_active"] == 0
        assert pooler.query("SELECT 1", "test_transaction") == [(1,)]
        assert connection.rows(connection.query("SELECT 2")) == [[b"2"]]


def test_a_backend_that_dies_inside_copy_out_ends_the_session(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1}, databases={"test": server_row(postgres, "pool_mode=transaction")})
    connection = wire(pooler)
    connection.startup()
    connection.send_raw(query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"))
    connection.read_until(b"d")
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY (SELECT repeat%'")
    last = None
    with pytest.raises((ProtocolClosed, OSError)):
        while True:
            last = connection.read_message()
    assert last[0] == b"d" or connection.fields(last[1])["C"] in ("57P01", "08P01", "08006")
    assert pooler.query("SELECT 1") == [(1,)]
