# SPDX-License-Identifier: ISC
"""Limits of time of clients, in every scope; what query_timeout and clients that vanish do to queries; what clients that
idle cost. (Each limit to the microsecond: test/wire/test_timeout.c.)"""
import contextlib
import os
import pathlib
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import time

import psycopg
import pytest
from conftest import DATABASE, Unprivileged, Wire, covers, free_port, temporary_directory, wait_until
from helpers import (SYNC, Background, backend, bind, change, execute, make_table, parse, pool, query, server_row,
                     servers, wait_waiting)

ONE_SERVER = {"pool_mode": "transaction", "default_pool_size": 1}
SCOPES = ["global", "database", "user"]


def limited(pgweir, postgres, scope, setting, value, other=60, **config):
    """A pooler where this setting has this value in one scope, and where another value must not count."""
    row = {"global": "", "database": f"{setting}={value}", "user": f"{setting}={other}"}[scope]
    return pgweir({**ONE_SERVER, setting: value if scope == "global" else other, **config},
                  databases={DATABASE: server_row(postgres, row)},
                  users={"alice": f"{setting}={value}"} if scope == "user" else {})


def fails(client, messages, severity, sqlstate, message, at_least, at_most=8):
    """The client says this, and is told so, not before its time and not much later."""
    began = time.monotonic()
    client.send_raw(messages)
    error = client.read_error()
    assert (error["S"], error["C"], error["M"]) == (severity, sqlstate, message)
    assert at_least <= time.monotonic() - began < at_most
    return error


def running(postgres, mark):
    return postgres.execute("SELECT pid FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() AND "
                            f"query LIKE '%{mark}%'")


def wait_running(postgres, mark, count=1, seconds=10):
    wait_until(lambda: len(running(postgres, mark)) == count, seconds, f"{count} queries with {mark}")


def reset(client):
    """Close the connection so that the other side is told at once: with RST."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def cancels(pooler, db=DATABASE):
    return next((r for r in pooler.console("SHOW CANCELS") if r["database"] == db), None)


# ---- each limit, in each scope ----


@covers("query_timeout", scope=("global", "database", "user"))
@pytest.mark.parametrize("scope", SCOPES)
def test_query_timeout_closes_the_client_and_ends_the_query(pgweir, postgres, wire, scope):
    pooler = limited(pgweir, postgres, scope, "query_timeout", 1)
    client = wire(pooler)
    client.startup()
    fails(client, query("SELECT pg_sleep(40), 'query_timeout'"), "FATAL", "57014", "query timeout", 0.95)
    client.expect_closed()
    wait_running(postgres, "''query_timeout''", 0)
    assert pooler.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("scope", SCOPES)
def test_query_timeout_holds_while_waiting(pgweir, postgres, wire, scope):
    pooler = limited(pgweir, postgres, scope, "query_timeout", 1, idle_transaction_timeout=0)
    with pooler.connect() as holder:
        holder.execute("BEGIN")
        client = wire(pooler)
        client.startup()
        fails(client, query("SELECT 1"), "FATAL", "57014", "query_timeout", 0.95)
        client.expect_closed()
        assert holder.execute("SELECT 1").fetchone() == (1,)


@covers("idle_transaction_timeout", scope=("global", "database", "user"))
@pytest.mark.parametrize("scope", SCOPES)
def test_idle_transaction_timeout(pgweir, postgres, wire, scope):
    pooler = limited(pgweir, postgres, scope, "idle_transaction_timeout", 1)
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    client.query("SELECT pg_sleep(1.5)")  # a query that runs is not idle
    fails(client, b"", "FATAL", "25P03", "idle transaction timeout", 0.9)
    client.expect_closed()
    assert re.search(r"S-\S+ .*closing because: idle transaction timeout", pooler.log())
    assert pooler.query("SELECT 1") == [(1,)]


@covers("transaction_timeout", scope=("global", "database", "user"))
@pytest.mark.parametrize("scope", SCOPES)
def test_transaction_timeout(pgweir, postgres, wire, scope):
    pooler = limited(pgweir, postgres, scope, "transaction_timeout", 1)
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    fails(client, query("SELECT pg_sleep(40), 'transaction_timeout'"), "FATAL", "25P04", "transaction timeout", 0.9)
    client.expect_closed()
    wait_running(postgres, "''transaction_timeout''", 0)


@covers("client_idle_timeout", scope=("global", "database", "user"))
@pytest.mark.parametrize("mode", ["session", "transaction"])
@pytest.mark.parametrize("scope", SCOPES)
def test_client_idle_timeout(pgweir, postgres, wire, scope, mode):
    pooler = limited(pgweir, postgres, scope, "client_idle_timeout", 1, pool_mode=mode)
    client = wire(pooler)
    client.startup()
    client.query("SELECT 1")
    fails(client, b"", "FATAL", "57P05", "client_idle_timeout", 0.9)
    client.expect_closed()


def test_in_a_transaction_client_idle_timeout_does_not_count(pgweir):
    pooler = pgweir({**ONE_SERVER, "client_idle_timeout": 1})
    with pooler.connect() as client:
        client.execute("BEGIN")
        time.sleep(1.5)
        assert client.execute("SELECT 1").fetchone() == (1,)
        client.execute("COMMIT")


def test_a_users_row_is_for_that_user_also_where_another_is_forced(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: server_row(postgres, "user=carol")},
                    users={"alice": "query_timeout=1", "carol": "query_timeout=2"})
    with pooler.connect(user="bob") as bob, pooler.connect(user="alice") as alice:
        job = Background(bob.execute, "SELECT pg_sleep(2.5)")
        with pytest.raises(psycopg.OperationalError, match="query timeout"):
            alice.execute("SELECT pg_sleep(40)")
        job.result()


def test_zero_in_a_row_takes_a_limit_off(pgweir, postgres):
    pooler = pgweir({"query_timeout": 1}, users={"alice": "query_timeout=0"})
    assert pooler.query("SELECT 'done' FROM pg_sleep(1.5)") == [("done",)]
    with pytest.raises(psycopg.Error, match="query timeout"):
        pooler.query("SELECT pg_sleep(40)", user="bob")


@covers("query_timeout_action", scope=("global", "database", "user"))
@pytest.mark.parametrize("scope", SCOPES)
def test_query_timeout_action_cancel_ends_the_query_and_the_session_lives(pgweir, postgres, scope):
    pooler = limited(pgweir, postgres, scope, "query_timeout_action", "cancel", other="close", query_timeout=1)
    with pooler.connect() as client:
        for _ in range(2):
            with pytest.raises(psycopg.errors.QueryCanceled, match="canceling statement due to user request"):
                client.execute("SELECT pg_sleep(40)")
            assert client.execute("SELECT 'alive'").fetchone() == ("alive",)
        client.execute("BEGIN")
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT pg_sleep(40)")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            client.execute("SELECT 1")
        client.execute("ROLLBACK")
        assert client.execute("SELECT 'alive'").fetchone() == ("alive",)
    assert cancels(pooler)["timeout_cancel_count"] == 3


def test_query_timeout_action_cancel_refuses_a_query_that_waits(pgweir, wire):
    pooler = pgweir({**ONE_SERVER, "query_timeout": 1, "query_timeout_action": "cancel"})
    with pooler.connect() as holder:
        holder.execute("BEGIN")
        simple, extended = wire(pooler), wire(pooler)
        for client, request in (simple, query("SELECT 1")), (extended, parse("SELECT 1") + bind() + execute() + SYNC):
            client.startup()
            fails(client, request, "ERROR", "57014", "query_timeout", 0.9)
            assert client.read_until(b"Z") == [(b"Z", b"I")]
        holder.execute("COMMIT")
        for client in simple, extended:
            assert client.rows(client.query("SELECT 'alive'")) == [[b"alive"]]


# ---- waiting ----


@covers("query_wait_notify")
def test_query_wait_notify_tells_who_is_queued(pgweir):
    pooler = pgweir({**ONE_SERVER, "query_wait_notify": 1})
    notices = []
    with pooler.connect() as holder, pooler.connect() as client:
        client.add_notice_handler(lambda notice: notices.append((notice.severity, notice.sqlstate, notice.message_primary)))
        holder.execute("BEGIN")
        job = Background(client.execute, "SELECT 'served'")
        wait_waiting(pooler)
        time.sleep(1.5)
        holder.execute("COMMIT")
        assert job.result().fetchone() == ("served",)
    assert notices == [("NOTICE", "00000",
                        "No server connection available in postgres backend, client being queued")]


def test_query_wait_notify_may_be_off(pgweir):
    pooler = pgweir({**ONE_SERVER, "query_wait_notify": 0})
    notices = []
    with pooler.connect() as holder, pooler.connect() as client:
        client.add_notice_handler(notices.append)
        holder.execute("BEGIN")
        job = Background(client.execute, "SELECT 1")
        wait_waiting(pooler)
        time.sleep(0.5)
        holder.execute("COMMIT")
        job.result()
    assert notices == []


@covers("max_waiting_clients", scope=("global", "database", "user"))
@pytest.mark.parametrize("scope", SCOPES)
def test_max_waiting_clients_refuses_the_next_one_at_once(pgweir, postgres, wire, scope):
    pooler = limited(pgweir, postgres, scope, "max_waiting_clients", 2)
    with pooler.connect() as holder:
        holder.execute("BEGIN")
        queue = [wire(pooler) for _ in range(3)]
        for client in queue:
            client.startup()
        for count, client in enumerate(queue[:2], 1):
            client.send_raw(query("SELECT 'served'"))
            wait_waiting(pooler, count)
        fails(queue[2], query("SELECT 1"), "FATAL", "53300", "too many clients wait for a server (max_waiting_clients)",
              0, 2)
        queue[2].expect_closed()
        holder.execute("COMMIT")
    for client in queue[:2]:
        assert client.rows(client.read_until(b"Z")) == [[b"served"]]


@covers("server_unreachable_timeout")
def test_server_unreachable_timeout_tells_who_waits_why(pgweir, wire):
    pooler = pgweir({"server_unreachable_timeout": 2, "server_login_retry": 1},
                    databases={"down": f"host=127.0.0.1 port={free_port()}"})
    first, second = wire(pooler), wire(pooler)
    began = time.monotonic()
    for client in first, second:
        client.startup(login=False, database="down")
    for client in first, second:
        error = client.read_error()
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "08006",
                                                        "no server can be reached (server_unreachable_timeout)")
        assert "Connection refused" in error["D"]
        client.expect_closed()
    assert 1.9 <= time.monotonic() - began < 8
    late = wire(pooler)
    began = time.monotonic()
    late.startup(login=False, database="down")
    assert late.read_error()["C"] == "08006" and time.monotonic() - began < 2


def test_server_unreachable_timeout_is_off_unless_set_and_a_restart_is_ridden_out(pgweir, postgres):
    pooler = pgweir({**ONE_SERVER, "server_login_retry": 1, "server_unreachable_timeout": 30})
    with pooler.connect() as client:
        client.execute("SELECT 1")
        postgres.stop("fast")
        job = Background(client.execute, "SELECT 'after'")
        wait_waiting(pooler)
        postgres.start()
        assert job.result().fetchone() == ("after",)


# ---- a reload ----


@pytest.mark.parametrize("how", ["RELOAD", "SET"])
def test_new_limits_hold_for_clients_that_are_there(pgweir, wire, how):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3})
    runs, idles, sleeps, waits, holds = (wire(pooler) for _ in range(5))
    for client in runs, idles, sleeps, waits, holds:
        client.startup()
    runs.send_raw(query("SELECT pg_sleep(40)"))
    idles.query("BEGIN")
    holds.query("BEGIN")
    waits.send_raw(query("SELECT 1"))
    wait_waiting(pooler)
    for setting, client, message in (("query_wait_timeout", waits, "query_wait_timeout"),
                                     ("query_timeout", runs, "query timeout"),
                                     ("client_idle_timeout", sleeps, "client_idle_timeout"),
                                     ("idle_transaction_timeout", idles, "idle transaction timeout"),
                                     ("transaction_timeout", holds, "idle transaction timeout")):
        assert client is holds or client.quiet(0.1)
        change(pooler, how, **{setting: "200ms"})
        assert client.read_error()["M"] == message


# ---- clients that vanish ----


@pytest.mark.parametrize("extended", [False, True])
def test_the_query_of_a_client_that_vanishes_is_cancelled_and_its_server_used_again(pgweir, postgres, wire, extended):
    make_table(postgres, "vanished", "n int")
    pooler = pgweir(ONE_SERVER)
    pid = pooler.query("SELECT pg_backend_pid()")[0][0]
    client = wire(pooler)
    client.startup()
    client.query("BEGIN")
    client.query("INSERT INTO vanished VALUES (1)")
    sql = "SELECT pg_sleep(40), 'vanished'"
    client.send_raw(parse(sql) + bind() + execute() + SYNC if extended else query(sql))
    wait_running(postgres, "''vanished''")
    reset(client)
    wait_running(postgres, "''vanished''", 0)
    assert pooler.query("SELECT pg_backend_pid(), now() = statement_timestamp()") == [(pid, True)]
    assert postgres.execute("SELECT * FROM vanished") == []
    counts = cancels(pooler)
    assert (counts["disconnect_cancel_count"], counts["server_reuse_count"]) == (1, 1)
    assert "client disconnected with query in progress, canceling it" in pooler.log()


def test_the_query_of_a_client_whose_process_is_killed_is_cancelled(pgweir, postgres):
    pooler = pgweir(ONE_SERVER)
    pid = pooler.query("SELECT pg_backend_pid()")[0][0]
    script = f"import psycopg; psycopg.connect({pooler.dsn()!r}).execute(\"SELECT pg_sleep(40), 'killed'\")"
    with subprocess.Popen([sys.executable, "-c", script]) as process:
        wait_running(postgres, "''killed''")
        process.kill()
    wait_running(postgres, "''killed''", 0)
    assert pooler.query("SELECT pg_backend_pid()") == [(pid,)]


def test_a_large_answer_that_nobody_wants_is_cut_short(pgweir, postgres, wire):
    pooler = pgweir(ONE_SERVER)
    pid = pooler.query("SELECT pg_backend_pid()")[0][0]
    client = wire(pooler)
    client.startup()
    client.send_raw(query("SELECT repeat('x', 1000), generate_series(1, 100000000)"))
    client.read_bytes(100000)
    began = time.monotonic()
    reset(client)
    assert pooler.query("SELECT pg_backend_pid()") == [(pid,)]
    assert time.monotonic() - began < 10


def test_a_session_is_clean_for_the_next_after_its_client_vanished(pgweir, postgres, wire):
    pooler = pgweir({"pool_mode": "session", "default_pool_size": 1})
    client = wire(pooler)
    client.startup()
    client.query("SET work_mem = '7MB'")
    client.query("CREATE TEMP TABLE mine (n int)")
    pid = client.rows(client.query("SELECT pg_backend_pid()"))[0][0].decode()
    client.send_raw(query("SELECT pg_sleep(40), 'session'"))
    wait_running(postgres, "''session''")
    reset(client)
    with pooler.connect() as other:
        assert backend(other) == int(pid)
        assert other.execute("SHOW work_mem").fetchone() != ("7MB",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            other.execute("SELECT * FROM mine")


@pytest.mark.parametrize("vanish", [reset, Wire.close])
def test_nothing_half_sent_is_committed(pgweir, postgres, wire, vanish):
    """COPY, extended requests without Sync, pipelines, half messages: the server is closed, and nothing is there."""
    make_table(postgres, "halves", "n int")
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 8})
    insert = parse("INSERT INTO halves VALUES (1)") + bind() + execute()
    slow = parse("SELECT pg_sleep(2)") + bind() + execute()
    for messages in (insert + Wire.message(b"H"),
                     query("BEGIN; INSERT INTO halves VALUES (1); SELECT pg_sleep(2)"),
                     insert + slow,
                     query("BEGIN") + query("INSERT INTO halves VALUES (1)") + query("SELECT pg_sleep(2)"),
                     query("COPY halves FROM STDIN") + Wire.message(b"d", b"1\n"),
                     query("COPY halves FROM STDIN") + Wire.message(b"d", b"1\n")[:-1],
                     query("INSERT INTO halves VALUES (1)")[:-1]):
        client = wire(pooler)
        client.startup()
        client.send_raw(messages)
        time.sleep(0.2)
        vanish(client)
    time.sleep(3)
    wait_until(lambda: pool(pooler)["sv_active"] == pool(pooler)["sv_being_canceled"] == 0, 12, "a pool at rest")
    assert postgres.execute("SELECT * FROM halves") == []


@covers("cancel_on_disconnect")
def test_cancel_on_disconnect_may_be_off(pgweir, postgres, wire):
    pooler = pgweir({**ONE_SERVER, "cancel_on_disconnect": 0})
    client = wire(pooler)
    client.startup()
    client.send_raw(query("SELECT pg_sleep(3), 'off'"))
    wait_running(postgres, "''off''")
    reset(client)
    pooler.wait_for_log("closing because: client disconnected with query in progress")
    assert running(postgres, "''off''") and cancels(pooler) is None


def test_clients_that_vanish_under_load_disturb_nobody(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 4})
    end = time.monotonic() + 4

    def vanish():
        count = 0
        while time.monotonic() < end:
            with Wire(pooler) as client:
                client.startup()
                client.send_raw(query("SELECT pg_sleep(30)"))
                time.sleep(0.02)
                reset(client)
                count += 1
        return count

    def work(number):
        count = 0
        with pooler.connect() as client:
            while time.monotonic() < end:
                assert client.execute(f"SELECT {number}, {count} FROM pg_sleep(0.001)").fetchone() == (number, count)
                count += 1
        return count

    jobs = [Background(work, number) for number in range(4)]
    vanishing = [Background(vanish) for _ in range(3)]
    assert min(job.result() for job in jobs) > 5
    assert sum(job.result() for job in vanishing) > 5
    assert cancels(pooler)["server_reuse_count"] > 5


# ---- a server that is stopped ----


def test_a_server_process_that_is_stopped_costs_its_client_only(pgweir, postgres, wire):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 2, "query_timeout": 1})
    client = wire(pooler)
    client.startup()
    pid = int(client.rows(client.query("SELECT pg_backend_pid()"))[0][0])
    os.kill(pid, signal.SIGSTOP)
    try:
        fails(client, query("SELECT 1"), "FATAL", "57014", "query timeout", 0.9)
        assert pooler.query("SELECT pg_backend_pid() <> %d" % pid) == [(True,)]
        wait_until(lambda: pid not in [r["remote_pid"] for r in servers(pooler)], 15, "the end of the stopped server")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "closing because: client disconnected with query in progress" in pooler.log()


# ---- pools and databases that nobody uses ----


@covers("pool_idle_timeout")
def test_pool_idle_timeout_forgets_an_empty_pool(pgweir):
    pooler = pgweir({**ONE_SERVER, "pool_idle_timeout": 1, "server_idle_timeout": 1})
    assert pooler.query("SELECT 1") == [(1,)]
    assert pool(pooler)
    wait_until(lambda: pool(pooler) is None, 8, "the end of the pool")
    assert "cleaning up idle pool" in pooler.log()
    assert pooler.query("SELECT 1") == [(1,)]


@covers("autodb_idle_timeout")
def test_autodb_idle_timeout_forgets_a_database_made_by_the_star(pgweir, postgres):
    pooler = pgweir({**ONE_SERVER, "autodb_idle_timeout": 1, "server_idle_timeout": 1},
                    databases={"*": server_row(postgres)})
    assert pooler.query("SELECT 1", db="anything") == [(1,)]
    assert "registered new auto-database: anything" in pooler.log()
    pooler.wait_for_log("forgetting idle auto-database: anything", 8)
    assert pool(pooler, db="anything") is None
    assert pooler.query("SELECT 1", db="anything") == [(1,)]


def test_min_pool_size_is_kept_when_the_last_client_is_gone(pgweir, postgres):
    pooler = pgweir({**ONE_SERVER, "default_pool_size": 5, "min_pool_size": 3, "server_idle_timeout": 1})
    assert pooler.query("SELECT 1") == [(1,)]
    wait_until(lambda: pool(pooler)["sv_idle"] == 3, 5, "min_pool_size")
    time.sleep(2)
    postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
    wait_until(lambda: pool(pooler)["sv_idle"] == 3, 5, "min_pool_size again")


# ---- what idle clients cost ----


def switches(pooler):
    return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", pathlib.Path(f"/proc/{pooler.pid}/status").read_text(), re.M)[1])


def test_ten_thousand_idle_clients_wake_nobody(pgweir):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10000, hard - 300)
    pooler = pgweir({"pool_mode": "transaction", "max_client_conn": count + 10, "stats_period": 3600, "listen_backlog": 1024,
                     "client_idle_timeout": 3600, "query_timeout": 3600, "server_idle_timeout": 0, "server_check_query": "",
                     "client_login_timeout": 0, "log_connections": 0, "log_disconnections": 0})
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 300), hard))
    packet = Wire.startup_packet({"user": "alice", "database": DATABASE})
    path = str(pooler.directory / f".s.PGSQL.{pooler.port}")
    try:
        # The console's connection is made first: psycopg's select() takes no large descriptors.
        with contextlib.ExitStack() as stack, pooler.connect("pgbouncer", "admin") as console:
            assert pooler.query("SELECT 1") == [(1,)]
            for _ in range(count):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(path)  # waits for room in the backlog
                client.sendall(packet)
            last = client.recv(65536)
            while not last.endswith(b"Z\0\0\0\5I"):
                last += client.recv(65536)
            pools = {(row[0], row[1]): row[2] for row in console.execute("SHOW POOLS").fetchall()}
            assert pools[DATABASE, "alice"] == count
            for _ in range(8):  # the system itself may disturb a second
                before = switches(pooler)
                time.sleep(1.1)
                if switches(pooler) == before:
                    break
            else:
                pytest.fail("the process wakes up each second, and has nothing to do")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- shortages ----


def set_limit(pooler, name, value):
    """The soft limit of the running process."""
    subprocess.run(["prlimit", "--pid", str(pooler.pid), f"--{name}={value}:"], check=True, **Unprivileged.popen)


def test_running_out_of_descriptors_disturbs_nobody_who_is_there(pgweir, wire):
    pooler = pgweir({"pool_mode": "transaction", "max_client_conn": 1000})
    pooler.alarms_expected = True
    with pooler.connect() as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
        set_limit(pooler, "nofile", pooler.descriptors())
        waits = wire(pooler)
        waits.send_raw(Wire.startup_packet({"user": "alice", "database": DATABASE}))
        pooler.wait_for_log("cannot accept connections: Too many open files")
        for _ in range(50):
            assert client.execute("SELECT 2").fetchone() == (2,)
        assert waits.quiet(0.6)
        assert pooler.log().count("cannot accept connections") == 1
        set_limit(pooler, "nofile", 1000)
        waits.read_until(b"Z")
        assert "accepting connections again" in pooler.log()


JUMPING_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long jump(void)
{
	long seconds = 0;
	FILE *file = fopen(getenv("JUMP_FILE"), "r");
	if (file && fscanf(file, "%ld", &seconds) != 1)
		seconds = 0;
	if (file)
		fclose(file);
	return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = dlsym(RTLD_NEXT, "clock_gettime");
	int result = real(clock, now);
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now->tv_sec += jump();
	return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec t;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &t);
	*now = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
	return 0;
}
time_t time(time_t *now)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (now)
		*now = t.tv_sec;
	return t.tv_sec;
}
"""


def test_a_wall_clock_that_jumps_ends_nothing(pgweir):
    with temporary_directory("clock") as directory:
        (directory / "clock.c").write_text(JUMPING_CLOCK)
        jump = directory / "jump"
        jump.write_text("0")
        library = directory / "clock.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-o", library, directory / "clock.c", "-ldl"], check=True)
        directory.chmod(0o755)
        pooler = pgweir({"client_idle_timeout": 600, "idle_transaction_timeout": 600, "server_lifetime": 3600,
                         "server_idle_timeout": 600, "client_login_timeout": 60},
                        environment={"LD_PRELOAD": str(library), "JUMP_FILE": str(jump),
                                     "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        year = 365 * 86400
        with pooler.connect() as idle, pooler.connect(autocommit=False) as working:
            first, second = backend(idle), backend(working)
            for seconds, shown in ((year, time.gmtime(time.time() + year).tm_year),
                                   (-year, time.gmtime(time.time() - year).tm_year)):
                jump.write_text(str(seconds))
                with pooler.connect() as new:
                    assert backend(new) not in (first, second)
                assert (backend(idle), backend(working)) == (first, second)
                pooler.wait_for_log(rf"(?m)^{shown}-.* closing because: client close request")


def test_a_full_log_disk_disturbs_nobody(pgweir):
    pooler = pgweir({"pool_mode": "transaction", "logfile": "/dev/full"}, arguments=["-q"])
    for number in range(20):
        assert pooler.query(f"SELECT {number}") == [(number,)]
    assert pooler.log().count("could not write the log file") == 1


@pytest.mark.skipif("asan" in os.environ.get("PGWEIR", ""), reason="AddressSanitizer needs its address space")
def test_refused_memory_turns_new_clients_away_and_keeps_the_others(pgweir):
    pooler = pgweir({"pool_mode": "transaction", "max_client_conn": 20000, "log_connections": 0, "log_disconnections": 0,
                     "listen_backlog": 4096})
    pooler.alarms_expected = True
    size = int(re.search(r"VmSize:\s+(\d+)", pathlib.Path(f"/proc/{pooler.pid}/status").read_text())[1]) * 1024
    packet = Wire.startup_packet({"user": "alice", "database": DATABASE})
    with pooler.connect() as client, contextlib.ExitStack() as stack:
        assert client.execute("SELECT 1").fetchone() == (1,)
        set_limit(pooler, "as", size + 512 * 1024)
        for _ in range(4000):
            with contextlib.suppress(OSError):
                other = stack.enter_context(socket.create_connection((pooler.host, pooler.port), 5))
                other.sendall(packet)
            if "out of memory: new connections are refused" in pooler.log():
                break
        else:
            pytest.fail("memory was not used up by 4000 clients")
        for number in range(50):
            assert client.execute(f"SELECT {number}").fetchone() == (number,)
        assert pooler.log().count("out of memory: new connections are refused") == 1
        set_limit(pooler, "as", "unlimited")
        stack.close()
        wait_until(lambda: Background(pooler.query, "SELECT 'again'").result() == [("again",)], 10, "service")
