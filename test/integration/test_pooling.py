# SPDX-License-Identifier: ISC
"""Pool modes, sizes and waiting."""
import threading
import time

import psycopg
import pytest
from conftest import DATABASE, password_of, wait_until


def row(postgres, more=""):
    return f"host={postgres.host} port={postgres.port} dbname={DATABASE} {more}"


def pool(pooler, user="alice", db=DATABASE):
    return next((r for r in pooler.console("SHOW POOLS") if (r["database"], r["user"]) == (db, user)),
                {"sv_idle": 0, "sv_active": 0, "cl_waiting": 0})


def pid(connection):
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def test_a_session_keeps_its_server_and_the_next_finds_it_reset(pgweir):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_session") as first:
        backend = pid(first)
        first.execute("CREATE TEMP TABLE mine AS SELECT 1")
        first.execute("SET work_mem = '7MB'")
        assert pid(first) == backend
    with pooler.connect("test_session") as second:
        assert pid(second) == backend
        assert second.execute("SHOW work_mem").fetchone() != ("7MB",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            second.execute("SELECT * FROM mine")


def test_in_transaction_mode_clients_take_turns_on_one_server(pgweir):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_transaction") as a, pooler.connect("test_transaction") as b:
        assert pid(a) == pid(b)
        a.execute("BEGIN")
        assert pool(pooler, db="test_transaction")["sv_active"] == 1
        done = threading.Event()
        waiter = threading.Thread(target=lambda: (b.execute("SELECT 1"), done.set()))
        waiter.start()
        wait_until(lambda: pool(pooler, db="test_transaction")["cl_waiting"] == 1)
        assert not done.is_set()
        a.execute("COMMIT")
        waiter.join(5)
        assert done.is_set()
        assert pool(pooler, db="test_transaction")["sv_idle"] == 1


def test_statement_mode_refuses_a_transaction_block(pgweir, wire):
    pooler = pgweir()
    connection = wire(pooler)
    connection.startup(database="test_statement")
    connection.send(b"Q", b"BEGIN\0")
    assert connection.read_message() == (b"C", b"BEGIN\0")
    error = connection.read_error()
    assert (error["S"], error["C"]) == ("FATAL", "0A000")
    assert error["M"] == "transaction blocks not allowed in statement pooling mode"
    connection.expect_closed()
    assert pooler.query("SELECT 1", "test_statement") == [(1,)]


@pytest.mark.parametrize("user_mode,database_mode,shown", [
    ("", "", "transaction"), ("", "statement", "statement"), ("session", "statement", "session"),
])
def test_pool_mode_of_the_user_beats_the_database_beats_the_default(pgweir, postgres, user_mode, database_mode, shown):
    pooler = pgweir({"pool_mode": "transaction"},
                    databases={DATABASE: row(postgres, f"pool_mode={database_mode}" if database_mode else "")},
                    users={"alice": f"pool_mode={user_mode}" if user_mode else ""})
    assert pooler.query("SELECT 1") == [(1,)]
    assert pool(pooler)["pool_mode"] == shown


def test_a_pool_never_has_more_servers_than_its_size(pgweir, postgres):
    pooler = pgweir({"default_pool_size": 3, "pool_mode": "transaction"})
    connections = [pooler.connect(application_name="sized") for _ in range(12)]
    threads = [threading.Thread(target=c.execute, args=("SELECT pg_sleep(0.2)",)) for c in connections]
    for thread in threads:
        thread.start()
    seen = wait_until(lambda: postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sized' "
                                               "AND state = 'active'")[0]["count"] >= 3)
    assert seen
    for thread in threads:
        thread.join()
    assert pool(pooler)["sv_idle"] == 3


def test_the_reserve_opens_when_a_client_has_waited_long_enough(pgweir):
    pooler = pgweir({"default_pool_size": 1, "reserve_pool_size": 1, "reserve_pool_timeout": "0.5",
                     "pool_mode": "transaction"})
    with pooler.connect() as a, pooler.connect() as b:
        a.execute("BEGIN")
        began = time.monotonic()
        b.execute("SELECT 1")
        assert 0.4 < time.monotonic() - began < 3
        assert "taking connection from reserve_pool" in pooler.log()


def test_min_pool_size_is_reached_within_two_seconds(pgweir):
    pooler = pgweir({"min_pool_size": 4, "pool_mode": "transaction"})
    with pooler.connect() as a:
        a.execute("SELECT 1")
        wait_until(lambda: pool(pooler)["sv_idle"] == 4, 2, "min_pool_size")


def test_max_db_connections_evicts_the_idle_server_of_another_user(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: row(postgres, "max_db_connections=1")})
    assert pooler.query("SELECT 1", user="alice") == [(1,)]
    assert pooler.query("SELECT 2", user="bob") == [(2,)]
    assert pool(pooler, "alice")["sv_idle"] == 0 and pool(pooler, "bob")["sv_idle"] == 1
    assert "closing because: evicted" in pooler.log()


def test_query_wait_timeout_tells_the_cause(pgweir, postgres):
    pooler = pgweir({"query_wait_timeout": 1, "default_pool_size": 1, "pool_mode": "transaction"},
                    databases={DATABASE: row(postgres), "down": "host=127.0.0.1 port=1"})
    with pooler.connect() as a, pooler.connect() as b:
        a.execute("BEGIN")
        began = time.monotonic()
        with pytest.raises(psycopg.Error, match="query_wait_timeout"):
            b.execute("SELECT 1")
        assert 0.9 < time.monotonic() - began < 2.2
    with pytest.raises(psycopg.OperationalError, match="(?s)query_wait_timeout.*Connection refused"):
        pooler.connect("down")


def test_idle_servers_close_in_time_and_old_ones_are_replaced(pgweir):
    pooler = pgweir({"server_idle_timeout": 1, "server_lifetime": 2, "pool_mode": "transaction"})
    with pooler.connect() as a:
        first = pid(a)
        wait_until(lambda: pool(pooler)["sv_idle"] == 0, 4)
        assert "closing because: server idle timeout" in pooler.log()
        second = pid(a)
        assert second != first
        wait_until(lambda: pid(a) != second, 6, "a server younger than server_lifetime")


def test_max_client_conn_refuses_the_next_with_53300(pgweir):
    pooler = pgweir({"max_client_conn": 2})
    with pooler.connect(), pooler.connect():
        with pytest.raises(psycopg.OperationalError, match="no more connections allowed") as refused:
            pooler.connect()
        assert refused.value.sqlstate in (None, "53300")


@pytest.mark.parametrize("role", ["alice", "scram", "md5", "cleartext"])
def test_logging_in_to_the_server_by_each_method(pgweir, role):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    assert pooler.query("SELECT current_user", user=role) == [(role,)]


def test_wrong_password_and_unknown_user_look_the_same(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256"})
    messages = set()
    for user in ("alice", "nobody-knows"):
        with pytest.raises(psycopg.OperationalError) as refused:
            pooler.connect(user=user, password="wrong")
        messages.add(str(refused.value).split("FATAL:")[1])
    assert messages == {"  SASL authentication failed"}


def test_the_server_s_own_words_when_it_refuses_the_login(pgweir, postgres):
    pooler = pgweir(databases={"gone": f"host={postgres.host} port={postgres.port} dbname=no_such"})
    with pytest.raises(psycopg.OperationalError, match='database "no_such" does not exist'):
        pooler.connect("gone")


def test_each_client_has_its_own_parameters_on_one_server(pgweir):
    pooler = pgweir({"default_pool_size": 1, "pool_mode": "transaction"})
    zones = ["Europe/Berlin", "Asia/Tokyo", "America/Lima"]
    clients = [pooler.connect(application_name=f"app{i}", options=f"-c timezone={zone} -c datestyle=German")
               for i, zone in enumerate(zones)]
    for _ in range(3):
        for i, (client, zone) in enumerate(zip(clients, zones)):
            assert client.execute("SELECT current_setting('TimeZone'), current_setting('application_name'), "
                                  "current_setting('DateStyle')").fetchone() == (zone, f"app{i}", "German, DMY")
    clients[0].execute("SET TimeZone = 'UTC'")
    assert clients[1].execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
    assert clients[0].execute("SHOW TimeZone").fetchone() == ("UTC",)


def test_an_unknown_startup_parameter_is_refused_unless_ignored(pgweir, wire):
    connection = wire(pgweir())
    connection.startup(login=False, extra_float_digits="3")
    assert connection.read_error()["M"] == "unsupported startup parameter: extra_float_digits"
    connection = wire(pgweir({"ignore_startup_parameters": "extra_float_digits"}))
    assert connection.startup(extra_float_digits="3")[-1] == (b"Z", b"I")


def test_password_of_a_role_is_never_logged(pgweir):
    pooler = pgweir({"auth_type": "scram-sha-256", "verbose": 2})
    pooler.query("SELECT 1")
    assert password_of("alice") not in pooler.log()


def test_a_released_server_is_evicted_for_who_waits_at_the_same_bound(pgweir, postgres):
    pooler = pgweir({"pool_mode": "transaction"}, databases={DATABASE: row(postgres, "max_db_connections=1")})
    with pooler.connect(user="alice") as alice:
        alice.execute("BEGIN")
        alice.execute("SELECT 1")
        answers = []
        bob = threading.Thread(target=lambda: answers.extend(pooler.query("SELECT 2", user="bob")))
        bob.start()
        wait_until(lambda: pool(pooler, "bob")["cl_waiting"] == 1)
        alice.execute("COMMIT")
        bob.join(5)
        assert answers == [(2,)]
