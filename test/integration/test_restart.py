# SPDX-License-Identifier: ISC
"""PostgreSQL restarts, is down, starts up: who was in a transaction is told, who waits is served when it is back."""
import contextlib
import os
import pathlib
import re
import socket
import threading
import time
from signal import SIGCONT, SIGINT, SIGSTOP

import psycopg
import pytest
from conftest import DATABASE, free_port, wait_until
from helpers import (Background, pgbench_start, pgbench_tables, pgbench_transactions, pool, query, refusal, server_row, servers,
                     wait_waiting)

FAST = {"pool_mode": "transaction", "server_login_retry": 1}


def test_who_is_in_a_transaction_is_told_and_the_others_go_on(pgweir, postgres, wire):
    pooler = pgweir({**FAST, "default_pool_size": 3})
    busy, idle = wire(pooler), wire(pooler)
    for client in (busy, idle):
        client.startup()
        client.query("SELECT 1")
    busy.query("BEGIN")
    postgres.restart("fast")
    error = busy.fields(busy.read_rest()[0][1])
    assert error["S"] == "FATAL" and error["C"] in ("57P01", "08006", "08P01")
    assert idle.rows(idle.query("SELECT 'served'")) == [[b"served"]]
    assert pooler.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_under_load(pgweir, postgres, mode):
    """Only what was in flight fails; every client that waits is served within a second of the server's return, and no
    connection attempt is refused."""
    pooler = pgweir({**FAST, "server_login_retry": "250ms", "default_pool_size": 4, "max_client_conn": 200})
    stop = threading.Event()
    after = threading.Event()

    def client(number):
        failures, served_after, connection = [], 0, pooler.connect()
        while not stop.is_set():
            try:
                assert connection.execute("SELECT %s::int, pg_sleep(0.002)", (number,)).fetchone()[0] == number
                served_after += after.is_set()
            except psycopg.OperationalError as error:
                failures.append(str(error))
                connection.close()
                connection = pooler.connect()
        connection.close()
        return failures, served_after

    jobs = [Background(client, number) for number in range(30)]
    wait_until(lambda: pool(pooler)["cl_waiting"] > 5)
    postgres.restart(mode)
    back = time.monotonic()
    after.set()
    wait_until(lambda: pool(pooler)["sv_active"] > 0, 10, "a server")
    assert time.monotonic() - back < 1
    time.sleep(0.5)
    stop.set()
    results = [job.result() for job in jobs]
    failures = [failure for failed, _ in results for failure in failed]
    assert len(failures) <= 4, failures  # so many servers were at work when it stopped
    assert all(served > 0 for _, served in results), [served for _, served in results]


def cluster_processes(postgres):
    """The postmaster and all its children."""
    main = int((postgres.data / "postmaster.pid").read_text().split()[0])
    children = pathlib.Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return [main, *map(int, children)]


@contextlib.contextmanager
def stopped(postgres):
    """Not one process of the cluster runs: the first is stopped first, so that it makes no more of them."""
    frozen = []
    try:
        while more := [pid for pid in cluster_processes(postgres) if pid not in frozen]:
            for pid in more:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, SIGSTOP)
                frozen.append(pid)
        yield
    finally:
        for pid in reversed(frozen):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGCONT)


def transactions_made(pooler):
    return sum(r["total_xact_count"] for r in pooler.console("SHOW STATS") if r["database"] == DATABASE)


def wait_working(pooler, more=200):
    """Wait until so many transactions more were made."""
    before = transactions_made(pooler)
    wait_until(lambda: transactions_made(pooler) >= before + more, 20, f"{more} transactions")


CLIENTS, SERVERS = 12, 4


def test_a_postgresql_that_is_stopped_whole_is_waited_for(pgweir, postgres):
    """Without a query_timeout nobody is told anything, and all goes on where it stood."""
    pgbench_tables(postgres)
    pooler = pgweir({**FAST, "default_pool_size": SERVERS})
    bench = pgbench_start(pooler, "-c", CLIENTS, "-t", 300)
    for _ in range(2):
        wait_working(pooler)
        with stopped(postgres):
            # What was under way has arrived once the pool is full and moves no more.
            wait_until(lambda: (pool(pooler)["sv_active"], pool(pooler)["cl_waiting"]) == (SERVERS, CLIENTS - SERVERS), 10, "a pool that hangs")
            made = transactions_made(pooler)
            wait_until(lambda: pool(pooler)["maxwait"] >= 1, 10, "clients that wait")
            assert transactions_made(pooler) == made
            assert bench.poll() is None
    assert pgbench_transactions(bench) == CLIENTS * 300
    assert "pooler error" not in pooler.log() and "WARNING" not in pooler.log()


def test_a_postgresql_that_is_stopped_fails_whom_query_timeout_says(pgweir, postgres, wire):
    pooler = pgweir({**FAST, "default_pool_size": SERVERS, "query_timeout": "500ms"})
    # On servers and in the queue; who says nothing has nothing to wait for.
    asks, idle = [wire(pooler, timeout=30) for _ in range(SERVERS + 2)], wire(pooler, timeout=30)
    for client in (*asks, idle):
        client.startup()
    for client in asks[:SERVERS]:
        client.query("BEGIN")
    for client in asks[:SERVERS]:
        client.query("COMMIT")
    with stopped(postgres):
        for client in asks:
            client.send_raw(query("SELECT 1"))
        told = [client.read_error() for client in asks]
        assert {(error["S"], error["C"]) for error in told} == {("FATAL", "57014")}
        assert {error["M"] for error in told} == {"query timeout", "query_timeout"}
        for client in asks:
            client.expect_closed()
    pooler.console("SET query_timeout = 0")
    assert idle.rows(idle.query("SELECT 'goes on'")) == [[b"goes on"]]
    assert pooler.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restarts_under_pgbench_fail_what_is_in_flight_and_nothing_else(pgweir, postgres, mode):
    """pgbench gives up a client whose connection ends: those that go on are all that were not on a server."""
    pgbench_tables(postgres)
    pooler = pgweir({**FAST, "server_login_retry": "100ms", "default_pool_size": SERVERS})
    restarts = 2
    bench = pgbench_start(pooler, "-c", CLIENTS, "-T", 60)
    for _ in range(restarts):
        wait_working(pooler)
        postgres.restart(mode)
    wait_working(pooler)
    live = next(r for r in pooler.console("SHOW POOLS") if r["database"] == DATABASE)
    assert live["cl_active"] + live["cl_waiting"] >= CLIENTS - SERVERS * restarts
    bench.send_signal(SIGINT)
    _, err = bench.communicate(timeout=30)
    ended = re.findall(r"client (\d+) (?:aborted|script \d+ aborted)", err)
    assert 0 < len(ended) == len(set(ended)) <= SERVERS * restarts, err
    # Nobody was refused, and nobody who waited was told anything.
    told = re.findall(r"pooler error: (.*)", pooler.log())
    assert set(told) <= {"server conn crashed?"} and len(told) <= len(ended), told
    # What was told to be committed is: each history row is one transaction of the accounts' sums.
    sums = postgres.execute("SELECT (SELECT sum(abalance) FROM pgbench_accounts) a, (SELECT sum(tbalance) FROM pgbench_tellers) t, "
                            "(SELECT sum(bbalance) FROM pgbench_branches) b, (SELECT sum(delta) FROM pgbench_history) h")[0]
    assert sums["a"] == sums["t"] == sums["b"] == sums["h"]


def test_clients_queue_while_the_server_is_down_and_are_served_when_it_is_back(pgweir, postgres, wire):
    pooler = pgweir(FAST)
    known, new = wire(pooler), wire(pooler)
    known.startup()
    known.query("SELECT 1")
    postgres.stop("fast")
    try:
        wait_until(lambda: servers(pooler) == [])
        known.send_raw(query("SELECT 'known'"))
        new.startup(login=False)
        wait_until(lambda: "closing because: connect failed" in pooler.log())
        assert known.quiet(0.5)
    finally:
        postgres.start()
    assert known.rows(known.read_until(b"Z")) == [[b"known"]]
    new.read_until(b"Z")
    assert new.rows(new.query("SELECT 'new'")) == [[b"new"]]


def test_query_wait_timeout_tells_the_cause_when_the_server_is_down(pgweir, postgres, wire):
    pooler = pgweir({**FAST, "query_wait_timeout": 2})
    client = wire(pooler)
    client.startup()
    client.query("SELECT 1")
    postgres.stop("fast")
    try:
        wait_until(lambda: servers(pooler) == [])
        began = time.monotonic()
        client.send_raw(query("SELECT 1"))
        error = client.read_error()
        assert 2 <= time.monotonic() - began < 3.2
        assert (error["S"], error["M"]) == ("FATAL", "query_wait_timeout")
        assert "Connection refused" in error["D"]
        client.expect_closed()
    finally:
        postgres.start()
    assert pooler.query("SELECT 1") == [(1,)]


def test_a_server_that_starts_up_keeps_clients_queued(pgweir, postgres, wire):
    """57P03 is no failed login: a fake server says it is starting up, twice, and gives way to PostgreSQL."""
    with socket.create_server(("127.0.0.1", 0)) as fake:
        port = fake.getsockname()[1]
        pooler = pgweir(FAST, databases={DATABASE: f"host=127.0.0.1 port={port}"})

        def starting():
            for _ in range(2):
                connection, _ = fake.accept()
                with connection:
                    packet = connection.recv(1000)
                    if packet[4:8] == b"\x04\xd2\x16\x2f":
                        connection.sendall(b"N")
                        connection.recv(1000)
                    fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
                    connection.sendall(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)

        job = Background(starting)
        client = wire(pooler)
        client.startup(login=False)
        assert client.read_message() == (b"R", b"\0\0\0\0")
        job.result(10)
        assert client.quiet(0.1)
        pooler.change_config("databases", **{DATABASE: server_row(postgres)})
        pooler.reload()
        client.read_until(b"Z")
        assert client.rows(client.query("SELECT 'up'")) == [[b"up"]]


def test_who_waits_since_before_the_restart_is_served(pgweir, postgres):
    pooler = pgweir({**FAST, "default_pool_size": 1})
    holder, waits = pooler.connect(), pooler.connect()
    holder.execute("BEGIN")
    job = Background(lambda: waits.execute("SELECT 'served'").fetchone())
    wait_waiting(pooler)
    postgres.restart("fast")
    assert job.result() == ("served",)
    with pytest.raises(psycopg.Error):
        holder.execute("SELECT 1")
    waits.close()
    holder.close()


def test_a_session_ends_with_its_server(pgweir, postgres, wire):
    pooler = pgweir({"server_login_retry": 1})
    session = wire(pooler)
    session.startup(database="test_session")
    session.query("SELECT 1")
    postgres.restart("fast")
    messages = session.read_rest()
    assert session.kinds(messages) == b"E" and session.fields(messages[0][1])["C"] in ("57P01", "08006", "08P01")
    assert pooler.query("SELECT 1", "test_session") == [(1,)]


def test_a_server_down_from_the_start_is_waited_for(pgweir, postgres, wire):
    pooler = pgweir({**FAST, "query_wait_timeout": 1}, databases={"down": f"host=127.0.0.1 port={free_port()}", DATABASE: server_row(postgres)})
    for _ in range(2):
        error = refusal(wire(pooler), database="down")
        assert error["M"] == "query_wait_timeout" and "Connection refused" in error["D"]
    assert pooler.query("SELECT 'the other database'") == [("the other database",)]


def test_retries_come_every_server_login_retry_and_not_more_often(pgweir, wire):
    pooler = pgweir({**FAST, "query_wait_timeout": 4}, databases={"down": f"host=127.0.0.1 port={free_port()}"})
    clients = [wire(pooler) for _ in range(10)]
    for client in clients:
        client.startup(login=False, database="down")
    for client in clients:
        assert client.read_error()["M"] == "query_wait_timeout"
    assert 3 <= pooler.log().count("closing because: connect failed") <= 8
