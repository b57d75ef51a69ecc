# SPDX-License-Identifier: ISC
"""How many servers there are, for how long, and who waits how long for one."""
import contextlib
import socket
import time

import psycopg
import pytest
from conftest import DATABASE, covers, free_port, wait_until
from helpers import (Background, backend, change, connections_of, pool, query, server_row, servers, wait_idle, wait_waiting)

TRANSACTION = {"pool_mode": "transaction"}


@contextlib.contextmanager
def clients(pooler, count, db=DATABASE, user="alice", **more):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(pooler.connect(db, user, **more)) for _ in range(count)]


def held(pooler, count, **more):
    """So many clients in a transaction each, that is: each with a server."""
    @contextlib.contextmanager
    def manager():
        with clients(pooler, count, **more) as holders:
            for holder in holders:
                holder.execute("BEGIN")
            yield holders
    return manager()


def elapsed(function, *arguments):
    began = time.monotonic()
    function(*arguments)
    return time.monotonic() - began


# ---- sizes ----


@covers("default_pool_size")
@covers("pool_size", scope=("database", "user"))
@covers("max_db_connections", scope=("global", "database"))
@covers("max_user_connections", scope=("global", "user"))
@pytest.mark.parametrize("config,database,users,size", [
    ({"default_pool_size": 3}, "", {}, 3),
    ({"default_pool_size": 3}, "pool_size=2", {}, 2),
    ({"default_pool_size": 3}, "pool_size=5", {"alice": "pool_size=4"}, 4),
    ({}, "max_db_connections=2", {}, 2),
    ({"max_db_connections": 2}, "", {}, 2),
    ({"max_user_connections": 3}, "", {}, 3),
    ({}, "", {"alice": "max_user_connections=1"}, 1),
])
def test_a_pool_has_as_many_servers_as_it_may_and_not_one_more(pgweir, postgres, config, database, users, size):
    pooler = pgweir({**TRANSACTION, **config}, databases={DATABASE: server_row(postgres, database)}, users=users)
    with clients(pooler, 12, application_name="sized") as all_of_them:
        jobs = [Background(client.execute, "SELECT pg_sleep(0.25)") for client in all_of_them]
        most = 0
        while any(job.is_alive() for job in jobs):
            most = max(most, len(servers(pooler)), connections_of(postgres, "sized"))
        for job in jobs:
            job.result()
        assert most == size
        assert len({backend(client) for client in all_of_them}) <= size


def test_every_pool_has_its_own_size(pgweir):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1})
    with held(pooler, 1, user="alice"), held(pooler, 1, user="bob"), held(pooler, 1, db="test_transaction"):
        assert pool(pooler, "alice")["sv_active"] == pool(pooler, "bob")["sv_active"] == 1
        assert pool(pooler, db="test_transaction")["sv_active"] == 1


def test_a_forced_user_makes_one_pool_for_all(pgweir, postgres):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1}, databases={DATABASE: server_row(postgres, "user=carol")})
    with clients(pooler, 1, user="alice") as (alice,), clients(pooler, 1, user="bob") as (bob,):
        assert backend(alice) == backend(bob)
        assert alice.execute("SELECT current_user").fetchone() == ("carol",)


def test_max_db_connections_evicts_the_idle_server_of_another_pool(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={DATABASE: server_row(postgres, "max_db_connections=2")})
    for user in ("alice", "bob", "carol", "alice", "bob"):
        assert pooler.query("SELECT current_user", user=user) == [(user,)]
        assert len(servers(pooler)) <= 2
    assert pooler.log().count("closing because: evicted") >= 1


def test_max_db_connections_evicts_nothing_that_works(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={DATABASE: server_row(postgres, "max_db_connections=2")})
    with held(pooler, 2, user="alice") as (first, second):
        job = Background(pooler.query, "SELECT current_user", DATABASE, "bob")
        wait_waiting(pooler, 1, "bob")
        assert first.execute("SELECT 1").fetchone() == second.execute("SELECT 1").fetchone() == (1,)
        assert job.is_alive() and "evicted" not in pooler.log()
        first.execute("COMMIT")
        assert job.result(5) == [("bob",)]
        assert second.execute("SELECT 1").fetchone() == (1,)


@covers("reserve_pool_size", "reserve_pool_timeout")
def test_the_reserve_opens_after_reserve_pool_timeout(pgweir):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1, "reserve_pool_size": 1, "reserve_pool_timeout": 1})
    with held(pooler, 1), clients(pooler, 1) as (waits,), clients(pooler, 1) as (more,):
        assert 0.9 <= elapsed(waits.execute, "BEGIN") < 2.2
        assert "taking connection from reserve_pool" in pooler.log()
        # And not one more than reserve_pool_size.
        job = Background(more.execute, "SELECT 1")
        wait_waiting(pooler, 1)
        job.join(1.5)
        assert job.is_alive() and pool(pooler)["sv_active"] == 2
        waits.execute("COMMIT")
        job.result(5)


@covers("min_pool_size")
def test_min_pool_size_is_reached_within_two_seconds_and_kept(pgweir, postgres):
    pooler = pgweir({**TRANSACTION, "min_pool_size": 4, "server_idle_timeout": 1})
    with clients(pooler, 1):
        wait_until(lambda: pool(pooler)["sv_idle"] == 4, 2, "min_pool_size")
        first = {r["remote_pid"] for r in servers(pooler)}
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice'")
        wait_until(lambda: pool(pooler)["sv_idle"] == 4 and not first & {r["remote_pid"] for r in servers(pooler)}, 3,
                   "min_pool_size again")
        until = time.monotonic() + 2.5
        while time.monotonic() < until:  # server_idle_timeout does not go below it
            assert pool(pooler)["sv_idle"] >= 3
        wait_until(lambda: pool(pooler)["sv_idle"] == 4, 2, "min_pool_size")


@covers("min_pool_size", scope="database")
def test_min_pool_size_of_a_row_with_a_forced_user_needs_no_client(pgweir, postgres):
    pooler = pgweir(TRANSACTION, databases={DATABASE: server_row(postgres, "user=carol min_pool_size=3")})
    wait_until(lambda: (pool(pooler, "carol") or {"sv_idle": 0})["sv_idle"] == 3, 3, "min_pool_size")


def test_a_pool_that_is_made_smaller_lets_servers_go(pgweir):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 5})
    with held(pooler, 5):
        pass
    assert pool(pooler)["sv_idle"] >= 1
    with clients(pooler, 5) as five:
        for client in five:
            client.execute("BEGIN")
        pooler.change_config(default_pool_size=2)
        pooler.reload()
        assert [client.execute("SELECT 1").fetchone() for client in five] == [(1,)] * 5
        for client in five:
            client.execute("COMMIT")
        wait_until(lambda: len(servers(pooler)) == 2, 3, "a pool of 2")


# ---- waiting ----


@pytest.mark.parametrize("how", ["RELOAD", "SET"])
@pytest.mark.parametrize("name", ["max_db_connections", "max_user_connections"])
def test_a_bound_that_is_lowered_lets_servers_go(pgweir, name, how):
    pooler = pgweir(TRANSACTION)
    with clients(pooler, 4) as (*working, last):
        for client in (*working, last):
            client.execute("BEGIN")
        last.execute("COMMIT")
        assert len(servers(pooler)) == 4
        change(pooler, how, **{name: 2})
        # Who rests goes at once, who works when it is free.
        wait_until(lambda: len(servers(pooler)) == 3, 10, "the resting one to close")
        assert "closing because: too many servers in the pool" in pooler.log()
        working[0].execute("COMMIT")
        wait_until(lambda: len(servers(pooler)) == 2, 10, "one more to close")
        working[1].execute("COMMIT")
        working[2].execute("COMMIT")
        for client in (*working, last):
            assert client.execute("SELECT 1").fetchone() == (1,)
        assert len(servers(pooler)) == 2


@covers("query_wait_timeout", scope=("global", "database", "user"))
@pytest.mark.parametrize("level", ["global", "database", "user"])
def test_query_wait_timeout_is_met_within_a_second(pgweir, postgres, level):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1, "query_wait_timeout": 1 if level == "global" else 30},
                    databases={DATABASE: server_row(postgres, "query_wait_timeout=1" if level == "database" else "")},
                    users={"alice": "query_wait_timeout=1"} if level == "user" else {})
    with held(pooler, 1) as (holder,), clients(pooler, 1) as (waits,):
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
            waits.execute("SELECT 1")
        assert 1 <= time.monotonic() - began < 2.2
        assert holder.execute("SELECT 1").fetchone() == (1,)


def test_query_wait_timeout_is_a_fatal_error_with_its_own_code(pgweir, wire):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1, "query_wait_timeout": 1})
    with held(pooler, 1):
        waits = wire(pooler)
        waits.startup()
        waits.send_raw(query("SELECT 1"))
        error = waits.read_error()
        assert (error["S"], error["M"]) == ("FATAL", "query_wait_timeout") and error["C"] != "08P01"
        waits.expect_closed()
    wait_idle(pooler)


def test_query_wait_timeout_tells_why_there_was_no_server(pgweir, wire):
    pooler = pgweir({"query_wait_timeout": 1}, databases={"down": f"host=127.0.0.1 port={free_port()}"})
    waits = wire(pooler)
    waits.startup(login=False, database="down")
    error = waits.read_error()
    assert error["M"] == "query_wait_timeout" and "Connection refused" in error["D"]


def test_who_waited_longest_is_served_first(pgweir, postgres, wire):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1})
    postgres.execute("DROP SEQUENCE IF EXISTS turn; CREATE SEQUENCE turn; GRANT ALL ON SEQUENCE turn TO PUBLIC")
    queue = [wire(pooler) for _ in range(30)]
    for client in queue:
        client.startup()
    with held(pooler, 1):
        for position, client in enumerate(queue):
            client.send_raw(query("SELECT nextval('turn')"))
            wait_waiting(pooler, position + 1)
    assert [client.rows(client.read_until(b"Z")) for client in queue] == [[[b"%d" % n]] for n in range(1, 31)]


def test_nobody_starves_while_others_are_busy(pgweir):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 2})
    end = time.monotonic() + 3

    def work(client):
        done, worst = 0, 0.0
        while time.monotonic() < end:
            worst = max(worst, elapsed(client.execute, "SELECT pg_sleep(0.002)"))
            done += 1
        return done, worst

    with clients(pooler, 20) as twenty:
        results = [job.result() for job in [Background(work, client) for client in twenty]]
    counts = [done for done, _ in results]
    assert min(counts) > 0.5 * max(counts), counts
    assert max(worst for _, worst in results) < 1


def test_a_client_that_waits_may_leave(pgweir, wire):
    pooler = pgweir({**TRANSACTION, "default_pool_size": 1})
    with held(pooler, 1):
        leaves, stays = wire(pooler), wire(pooler)
        for client in (leaves, stays):
            client.startup()
            client.send_raw(query("SELECT 'stayed'"))
        wait_waiting(pooler, 2)
        leaves.close()
        wait_waiting(pooler, 1)
    assert stays.rows(stays.read_until(b"Z")) == [[b"stayed"]]


# ---- age ----


@covers("server_idle_timeout")
def test_server_idle_timeout_closes_within_a_second(pgweir, postgres):
    pooler = pgweir({**TRANSACTION, "server_idle_timeout": 1})
    with clients(pooler, 1, application_name="idles") as (client,):
        client.execute("SELECT 1")
        began = time.monotonic()
        wait_until(lambda: connections_of(postgres, "idles") == 0, 4, "the end of the idle server")
        assert 0.9 < time.monotonic() - began < 2.2
        assert "closing because: server idle timeout" in pooler.log()
        assert client.execute("SELECT 1").fetchone() == (1,)


@covers("server_lifetime")
def test_server_lifetime_replaces_servers_and_interrupts_none(pgweir):
    pooler = pgweir({**TRANSACTION, "server_lifetime": 1, "default_pool_size": 2})
    with clients(pooler, 2) as (busy, other):
        busy.execute("BEGIN")
        pid, other_pid = backend(busy), backend(other)
        wait_until(lambda: backend(other) != other_pid, 5, "a younger server")
        assert backend(busy) == pid
        busy.execute("COMMIT")
        wait_until(lambda: backend(busy) != pid, 5, "a younger server")
        assert "closing because: server lifetime over" in pooler.log()


def test_a_lifetime_of_zero_is_one_use(pgweir):
    pooler = pgweir({**TRANSACTION, "server_lifetime": 0, "default_pool_size": 1})
    with clients(pooler, 1) as (client,):
        assert len({backend(client) for _ in range(5)}) == 5


def test_a_server_idle_past_server_check_delay_is_tested_first(pgweir, postgres):
    pooler = pgweir({**TRANSACTION, "server_check_delay": 0, "server_check_query": "SELECT 'checked'", "default_pool_size": 1})
    with clients(pooler, 1, application_name="checks") as (client,):
        for _ in range(5):
            assert client.execute("SELECT 1").fetchone() == (1,)
        assert backend(client) == backend(client)


@covers("server_check_query", "server_check_delay")
def test_a_check_query_that_fails_costs_the_server_and_not_the_client(pgweir, postgres):
    postgres.execute("CREATE OR REPLACE FUNCTION check_server() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    pooler = pgweir({**TRANSACTION, "server_check_delay": 0, "server_check_query": "SELECT check_server()", "default_pool_size": 1,
                     "query_wait_timeout": 5, "server_login_retry": 1})
    with clients(pooler, 1) as (client,):
        first = backend(client)
        assert backend(client) == first
        postgres.execute("DROP FUNCTION check_server()")
        waits = Background(backend, client)
        pooler.wait_for_log("closing because: test query failed")
        postgres.execute("CREATE FUNCTION check_server() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        assert waits.result() != first


@covers("server_connect_timeout")
def test_server_connect_timeout_gives_up_a_silent_server(pgweir, wire):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pooler = pgweir({"server_connect_timeout": 1, "server_login_retry": 1, "query_wait_timeout": 4},
                        databases={"silent": f"host=127.0.0.1 port={silent.getsockname()[1]}"})
        waits = wire(pooler)
        waits.startup(login=False, database="silent")
        pooler.wait_for_log("closing because: connect timeout", 4)
        error = waits.read_error()
        assert error["M"] == "query_wait_timeout" and error.get("D")
