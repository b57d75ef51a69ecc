# SPDX-License-Identifier: ISC
"""Everything of the protocol passes: COPY, large values, pipelines, pgbench; operations under load."""
import os
import re
import socket
import struct
import subprocess

import psycopg
import pytest
from conftest import Unprivileged, postgres_bin, wait_until
from helpers import grown_kb


def pgbench(pooler, *arguments, db="test_transaction"):
    return subprocess.run([postgres_bin() / "pgbench", "-h", "127.0.0.1", "-p", str(pooler.port), "-U", "alice", "-n", *arguments, db],
                          capture_output=True, text=True, **Unprivileged.popen)


@pytest.fixture
def bench_tables(postgres):
    subprocess.run([postgres_bin() / "pgbench", "-h", str(postgres.host), "-p", str(postgres.port), "-U", "alice", "-i", "-s", "1",
                    "-q", "test"], check=True, capture_output=True, **Unprivileged.popen)


@pytest.mark.parametrize("mode,protocol", [("session", "simple"), ("session", "extended"), ("session", "prepared"),
                                           ("transaction", "simple"), ("transaction", "extended")])
def test_pgbench_has_no_failed_transaction(pgweir, bench_tables, mode, protocol):
    pooler = pgweir({"default_pool_size": 4 if mode == "transaction" else 20})
    result = pgbench(pooler, "-c", "16", "-T", "2", "-M", protocol, db=f"test_{mode}")
    assert result.returncode == 0, result.stderr
    assert "number of failed transactions: 0 " in result.stdout
    assert int(re.search(r"actually processed: (\d+)", result.stdout)[1]) > 50


def test_copy_both_ways_is_the_same(pgweir, postgres):
    postgres.execute("DROP TABLE IF EXISTS copied; CREATE TABLE copied(a int, b text); GRANT ALL ON copied TO PUBLIC")
    data = b"".join(b"%d\tline %d of many\n" % (i, i) for i in range(200000))
    with pgweir().connect("test_transaction") as connection:
        with connection.cursor().copy("COPY copied FROM STDIN") as copy:
            for i in range(0, len(data), 70001):
                copy.write(data[i:i + 70001])
        assert connection.execute("SELECT count(*), sum(a) FROM copied").fetchone() == (200000, 19999900000)
        with connection.cursor().copy("COPY copied TO STDOUT") as copy:
            assert b"".join(bytes(part) for part in copy) == data


def test_a_copy_that_fails_leaves_the_session_usable(pgweir, postgres):
    postgres.execute("DROP TABLE IF EXISTS numbers; CREATE TABLE numbers(a int); GRANT ALL ON numbers TO PUBLIC")
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            with connection.cursor().copy("COPY numbers FROM STDIN") as copy:
                for i in range(20000):
                    copy.write(b"1\nnot a number\n" if i == 10 else b"2\n")
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


def test_copy_in_of_a_client_that_vanishes_is_not_committed(pgweir, postgres, wire):
    postgres.execute("DROP TABLE IF EXISTS lost; CREATE TABLE lost(a int); GRANT ALL ON lost TO PUBLIC")
    pooler = pgweir({"default_pool_size": 1, "pool_mode": "transaction"})
    connection = wire(pooler)
    connection.startup()
    connection.send(b"Q", b"COPY lost FROM STDIN\0")
    assert connection.read_message()[0] == b"G"
    connection.send(b"d", b"1\n2\n")
    connection.close()
    assert pooler.query("SELECT count(*) FROM lost") == [(0,)]


def test_fifty_megabytes_pass_both_ways_in_bounded_memory(pgweir):
    pooler = pgweir({"pool_mode": "transaction"})
    before = pooler.memory_kb()
    value = "x" * 50_000_000
    with pooler.connect() as connection:
        assert connection.execute("SELECT length(%s), repeat('y', 50000000)", (value,)).fetchone() == (50_000_000, "y" * 50_000_000)
    assert grown_kb(pooler, before) < 8000


def test_a_client_that_does_not_read_costs_bounded_memory(pgweir, wire):
    pooler = pgweir({"pool_mode": "transaction"})
    before = pooler.memory_kb()
    connection = wire(pooler)
    connection.startup()
    connection.send(b"Q", b"SELECT repeat('z', 1000) FROM generate_series(1, 200000)\0")
    servers = lambda: [r for r in pooler.console("SHOW SOCKETS") if r["type"] == "C" and r["send_remain"] > 0]
    wait_until(servers)
    assert grown_kb(pooler, before) < 8000
    assert pooler.query("SELECT 1") == [(1,)]
    kinds = connection.kinds(connection.read_until(b"Z"))
    assert kinds.count(b"D") == 200000 and kinds.endswith(b"CZ")


def test_terminate_right_behind_a_query_still_gets_the_answer(pgweir, wire, postgres):
    postgres.execute("DROP TABLE IF EXISTS left_behind; CREATE TABLE left_behind(a int); GRANT ALL ON left_behind TO PUBLIC")
    pooler = pgweir({"pool_mode": "transaction"})
    connection = wire(pooler)
    connection.startup()
    connection.send_raw(connection.message(b"Q", b"INSERT INTO left_behind VALUES (1)\0") + connection.message(b"X"))
    assert connection.kinds(connection.read_until(b"Z")) == b"CZ"
    connection.expect_closed()
    assert postgres.execute("SELECT a FROM left_behind") == [{"a": 1}]


def test_pipelines_with_an_error_inside(pgweir):
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with connection.pipeline() as pipeline:
            good = connection.execute("SELECT 1")
            pipeline.sync()
            bad = connection.execute("SELECT 1/0")
            with pytest.raises(psycopg.errors.DivisionByZero):
                pipeline.sync()
            last = connection.execute("SELECT 3")
            pipeline.sync()
            assert good.fetchone() == (1,) and last.fetchone() == (3,)
            assert bad.description is None
        assert connection.execute("SELECT 4").fetchone() == (4,)


def test_portals_with_a_row_limit(pgweir, wire):
    connection = wire(pgweir({"pool_mode": "transaction"}))
    connection.startup()
    parse = b"\0SELECT n FROM generate_series(1, 5) n\0\0\0"
    connection.send_raw(connection.message(b"P", parse) + connection.message(b"B", b"\0\0\0\0\0\0\0\0") +
                        connection.message(b"E", b"\0" + struct.pack("!I", 2)) + connection.message(b"H"))
    assert connection.kinds([connection.read_message() for _ in range(5)]) == b"12DDs"
    connection.send_raw(connection.message(b"E", b"\0\0\0\0\0") + connection.message(b"S"))
    assert connection.kinds(connection.read_until(b"Z")) == b"DDDCZ"


def test_notify_and_notice_pass_in_session_mode(pgweir, wire):
    connection = wire(pgweir())
    connection.startup()
    assert connection.kinds(connection.query("LISTEN here")) == b"CZ"
    answer = connection.query("NOTIFY here, 'hello'; DO $$ BEGIN RAISE NOTICE 'look'; END $$")
    assert sorted(connection.kinds(answer)) == sorted(b"CNCAZ")


def test_reload_under_load_loses_no_query(pgweir, bench_tables):
    pooler = pgweir({"default_pool_size": 4, "pool_mode": "transaction"})
    bench = subprocess.Popen([postgres_bin() / "pgbench", "-h", "127.0.0.1", "-p", str(pooler.port), "-U", "alice", "-n", "-S",
                              "-c", "12", "-T", "4", "test"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             **Unprivileged.popen)
    reloads = 0
    while bench.poll() is None:
        pooler.change_config(default_pool_size=3 + reloads % 4, server_lifetime=3600 + reloads % 2)
        pooler.reload()
        reloads += 1
    out, err = bench.communicate()
    assert bench.returncode == 0, err
    assert "number of failed transactions: 0 " in out and reloads >= 20


def test_a_broken_file_changes_nothing(pgweir):
    pooler = pgweir({"default_pool_size": 7})
    pooler.ini.write_text(pooler.ini.read_text().replace("default_pool_size = 7", "default_pool_size = 9") + "\nnonsense = 1\n")
    with pytest.raises(psycopg.Error) as refused:
        pooler.reload()
    assert refused.value.sqlstate == "F0000"
    assert re.search(r"pgweir\.ini:\d+", refused.value.diag.message_detail)
    assert {r["key"]: r["value"] for r in pooler.console("SHOW CONFIG")}["default_pool_size"] == "7"


def test_a_restart_of_postgresql_is_ridden_out(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction", "server_login_retry": 1})
    with pooler.connect() as idle, pooler.connect() as busy:
        busy.execute("BEGIN")
        postgres.restart()
        with pytest.raises(psycopg.Error):
            busy.execute("SELECT 1")
        assert idle.execute("SELECT 1").fetchone() == (1,)


def test_bad_input_closes_only_that_connection(pgweir):
    pooler = pgweir()
    startup = struct.pack("!II", 0, 196608) + b"user\0alice\0database\0test\0\0"
    startup = struct.pack("!I", len(startup)) + startup[4:]
    query = b"Q" + struct.pack("!I", 13) + b"SELECT 1\0"
    pooler.query("SELECT 1")
    fds, memory = pooler.descriptors(), pooler.memory_kb()
    samples = [startup[:n] for n in range(len(startup))] + [startup + query[:n] for n in range(len(query))]
    samples += [os.urandom(200) for _ in range(20)] + [struct.pack("!I", 20000) + b"\0" * 20000, b"\0\0\0\4", startup + b"\0" * 50]
    for sample in samples:
        with socket.create_connection((pooler.host, pooler.port)) as connection:
            connection.sendall(sample)
    wait_until(lambda: pooler.descriptors() <= fds, 10, "the descriptors back")
    assert grown_kb(pooler, memory) < 2000
    assert pooler.query("SELECT 2") == [(2,)]


def test_a_console_user_who_does_not_read_costs_bounded_memory(pgweir, wire):
    pooler = pgweir()
    connection = wire(pooler)
    connection.startup(user="admin", database="pgbouncer")
    before = pooler.memory_kb()
    connection.socket.setblocking(False)
    question = connection.message(b"Q", b"SHOW CONFIG\0") * 100
    asked = 0
    try:
        while asked < 200:
            asked += connection.socket.send(question) == len(question)
    except BlockingIOError:
        pass
    assert pooler.console("SHOW VERSION")
    assert grown_kb(pooler, before) < 30000
    connection.socket.setblocking(True)
