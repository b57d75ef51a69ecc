# SPDX-License-Identifier: ISC
"""Session, transaction and statement mode: who sets them, and what each keeps, shares and refuses."""
import psycopg
import pytest
from conftest import DATABASE, covers, wait_until
from helpers import (Background, SYNC, backend, bind, error_in, execute, make_table, parse, pool, query, refusal, server_row,
                     servers, wait_idle, wait_waiting)

MODES = ("session", "transaction", "statement")


# ---- who sets the mode ----


@covers("pool_mode", scope=("global", "database", "user"))
@pytest.mark.parametrize("everywhere,database,user,effective", [
    (None, None, None, "session"),
    ("transaction", None, None, "transaction"),
    ("statement", None, None, "statement"),
    ("session", "transaction", None, "transaction"),
    ("transaction", "session", None, "session"),
    ("session", None, "transaction", "transaction"),
    ("transaction", None, "session", "session"),
    ("session", "statement", "transaction", "transaction"),
    ("statement", "transaction", "session", "session"),
])
def test_the_user_s_mode_beats_the_database_s_beats_the_global_one(pgweir, postgres, everywhere, database, user, effective):
    pooler = pgweir({"pool_mode": everywhere, "default_pool_size": 1},
                    databases={DATABASE: server_row(postgres, f"pool_mode={database}" if database else "")},
                    users={"alice": f"pool_mode={user}"} if user else {})
    with pooler.connect() as connection:
        connection.execute("SELECT 1")
        assert pool(pooler)["pool_mode"] == effective
        # What it does, not only what it shows.
        if effective == "statement":
            with pytest.raises(psycopg.OperationalError, match="transaction blocks not allowed in statement pooling mode"):
                connection.execute("BEGIN")
        else:
            assert pool(pooler)["sv_active"] == (1 if effective == "session" else 0)


def test_the_mode_of_one_user_does_not_touch_another(pgweir):
    pooler = pgweir({"pool_mode": "transaction"}, users={"alice": "pool_mode=session"})
    with pooler.connect(user="alice") as alice, pooler.connect(user="bob") as bob:
        alice.execute("SELECT 1")
        bob.execute("SELECT 1")
        assert (pool(pooler, "alice")["pool_mode"], pool(pooler, "alice")["sv_active"]) == ("session", 1)
        assert (pool(pooler, "bob")["pool_mode"], pool(pooler, "bob")["sv_active"]) == ("transaction", 0)


# ---- session ----


def test_a_session_keeps_its_server_and_its_state(pgweir):
    pooler = pgweir({"default_pool_size": 3})
    with pooler.connect("test_session") as a, pooler.connect("test_session") as b:
        first, second = backend(a), backend(b)
        assert first != second
        a.execute("CREATE TEMP TABLE mine AS SELECT 42 AS answer")
        a.execute("SET work_mem = '7MB'")
        a.execute("PREPARE p AS SELECT 'prepared'")
        a.execute("SELECT pg_advisory_lock(1234)")
        for _ in range(5):
            assert (backend(a), backend(b)) == (first, second)
        assert a.execute("SELECT answer FROM mine").fetchone() == (42,)
        assert a.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert a.execute("EXECUTE p").fetchone() == ("prepared",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            b.execute("SELECT answer FROM mine")


def test_the_next_session_finds_the_server_reset(pgweir, postgres):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_session") as first:
        used = backend(first)
        default = first.execute("SHOW work_mem").fetchone()
        first.execute("CREATE TEMP TABLE mine AS SELECT 1")
        first.execute("SET work_mem = '7MB'")
        first.execute("PREPARE p AS SELECT 1")
        first.execute("LISTEN here")
        first.execute("SELECT pg_advisory_lock(1234)")
    with pooler.connect("test_session") as second:
        assert backend(second) == used
        assert second.execute("SHOW work_mem").fetchone() == default
        assert second.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert second.execute("SELECT pg_listening_channels()").fetchall() == []
        with pytest.raises(psycopg.errors.UndefinedTable):
            second.execute("SELECT * FROM mine")
    assert postgres.execute("SELECT * FROM pg_locks WHERE locktype = 'advisory' AND objid = 1234") == []


@covers("server_reset_query")
def test_another_reset_query_is_used_instead(pgweir):
    pooler = pgweir({"default_pool_size": 1, "server_reset_query": "DEALLOCATE ALL"})
    with pooler.connect("test_session") as first:
        used = backend(first)
        first.execute("SET work_mem = '7MB'")
        first.execute("PREPARE p AS SELECT 1")
    with pooler.connect("test_session") as second:
        assert backend(second) == used
        assert second.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert second.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_a_reset_query_that_fails_costs_the_server(pgweir):
    pooler = pgweir({"default_pool_size": 1, "server_reset_query": "SELECT 1/0"})
    with pooler.connect("test_session") as first:
        used = backend(first)
    pooler.wait_for_log("closing because: reset query failed")
    with pooler.connect("test_session") as second:
        assert backend(second) != used


@covers("server_reset_query_always")
def test_transaction_mode_resets_only_when_told_always(pgweir):
    for always, kept in ((0, ("7MB",)), (1, ("4MB",))):
        pooler = pgweir({"default_pool_size": 1, "server_reset_query_always": always})
        with pooler.connect("test_transaction") as connection:
            connection.execute("SET work_mem = '7MB'")
            assert connection.execute("SHOW work_mem").fetchone() == kept


def test_a_session_that_ends_inside_a_transaction_leaves_nothing(pgweir, postgres, wire):
    make_table(postgres, "half", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_session")
    connection.query("BEGIN")
    connection.query("INSERT INTO half VALUES (1)")
    connection.close()
    with pooler.connect("test_session") as second:
        assert second.execute("SELECT count(*) FROM half").fetchone() == (0,)
        assert second.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


# ---- transaction ----


def test_in_transaction_mode_clients_share_a_server_between_transactions(pgweir):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_transaction") as a, pooler.connect("test_transaction") as b:
        assert backend(a) == backend(b)
        a.execute("BEGIN")
        inside = backend(a)
        waiter = Background(backend, b)
        wait_waiting(pooler, 1, db="test_transaction")
        assert backend(a) == inside and waiter.is_alive()
        a.execute("COMMIT")
        assert waiter.result() == inside
        assert pool(pooler, db="test_transaction")["sv_idle"] == 1


@pytest.mark.parametrize("ending", ["COMMIT", "ROLLBACK", "SELECT 1/0; ROLLBACK", "PREPARE TRANSACTION 'two'; ROLLBACK PREPARED 'two'"])
def test_every_end_of_a_transaction_gives_the_server_back(pgweir, ending):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_transaction") as a, pooler.connect("test_transaction") as b:
        a.execute("BEGIN")
        for statement in ending.split(";"):
            try:
                a.execute(statement)
            except psycopg.errors.DivisionByZero:
                assert a.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
                assert pool(pooler, db="test_transaction")["sv_active"] == 1
        assert b.execute("SELECT 1").fetchone() == (1,)


def test_a_failed_transaction_is_the_client_s_until_it_ends_it(pgweir):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_transaction") as a, pooler.connect("test_transaction") as b:
        a.execute("BEGIN")
        with pytest.raises(psycopg.errors.UndefinedTable):
            a.execute("SELECT * FROM no_such_table")
        waiter = Background(backend, b)
        wait_waiting(pooler, 1, db="test_transaction")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            a.execute("SELECT 1")
        assert waiter.is_alive()
        a.execute("ROLLBACK")
        waiter.result()


def test_an_implicit_transaction_of_several_statements_is_not_split(pgweir, postgres, wire):
    make_table(postgres, "together", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    messages = connection.query("INSERT INTO together VALUES (1); INSERT INTO together VALUES (2); SELECT 1/0")
    assert error_in(messages)["C"] == "22012"
    assert postgres.execute("SELECT * FROM together") == []
    assert connection.query("BEGIN; SELECT 1; COMMIT; SELECT 2")[-1] == (b"Z", b"I")


def test_a_client_between_transactions_costs_no_server(pgweir):
    pooler = pgweir({"default_pool_size": 1, "pool_mode": "transaction"})
    clients = [pooler.connect() for _ in range(30)]
    pids = {backend(client) for client in clients}
    assert len(pids) == 1 and len(servers(pooler)) == 1
    row = pool(pooler)
    assert (row["cl_active"], row["cl_waiting"], row["sv_idle"]) == (30, 0, 1)
    for client in clients:
        client.close()


@covers("server_round_robin")
def test_servers_are_taken_last_in_first_out_or_round_robin(pgweir):
    for round_robin, expected in ((0, 1), (1, 3)):
        pooler = pgweir({"pool_mode": "transaction", "server_round_robin": round_robin})
        clients = [pooler.connect() for _ in range(3)]
        for client in clients:
            client.execute("BEGIN")
        for client in clients:
            client.execute("COMMIT")
        assert len({backend(clients[0]) for _ in range(9)}) == expected
        for client in clients:
            client.close()


# ---- statement ----


def test_statement_mode_refuses_a_transaction_block_and_ends_the_session(pgweir, wire):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_statement") as other:
        before = backend(other)
        connection = wire(pooler)
        connection.startup(database="test_statement")
        connection.send_raw(query("BEGIN"))
        error = connection.read_error()
        assert (error["S"], error["C"]) == ("FATAL", "0A000")
        assert error["M"] == "transaction blocks not allowed in statement pooling mode"
        connection.expect_closed()
        wait_idle(pooler)
        # The server, whichever it is now, is in no transaction.
        assert other.execute("SELECT now() = statement_timestamp()").fetchone() == (True,)
        assert backend(other) == before or "closing because" in pooler.log()


def test_statement_mode_refuses_a_block_of_the_extended_protocol(pgweir, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_statement")
    connection.send_raw(parse("BEGIN") + bind() + execute() + SYNC)
    assert connection.read_error()["C"] == "0A000"
    connection.expect_closed()
    assert pooler.query("SELECT 1", "test_statement") == [(1,)]


def test_what_a_refused_block_did_is_rolled_back(pgweir, postgres, wire):
    make_table(postgres, "refused", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_statement")
    connection.send_raw(query("BEGIN; INSERT INTO refused VALUES (1)"))
    assert connection.read_error()["C"] == "0A000"
    connection.expect_closed()
    assert pooler.query("SELECT count(*) FROM refused", "test_statement") == [(0,)]


def test_statement_mode_serves_single_and_multiple_statements(pgweir, postgres, wire):
    make_table(postgres, "stated", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_statement")
    assert connection.kinds(connection.query("INSERT INTO stated VALUES (1); INSERT INTO stated VALUES (2)")) == b"CCZ"
    assert error_in(connection.query("INSERT INTO stated VALUES (3); SELECT 1/0"))["C"] == "22012"
    assert connection.rows(connection.query("SELECT sum(a) FROM stated")) == [[b"3"]]
    assert pool(pooler, db="test_statement")["sv_idle"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_gives_every_server_back(pgweir, mode):
    pooler = pgweir({"default_pool_size": 2})
    for _ in range(3):
        clients = [pooler.connect(f"test_{mode}") for _ in range(2)]
        for client in clients:
            assert client.execute("SELECT %s", (mode,)).fetchone() == (mode,)
        for client in clients:
            client.close()
    wait_until(lambda: pool(pooler, db=f"test_{mode}")["sv_idle"] >= 1)
    row = pool(pooler, db=f"test_{mode}")
    assert row["sv_active"] == row["cl_active"] == row["cl_waiting"] == 0


def test_an_unknown_database_is_refused_whatever_the_mode(pgweir, wire):
    error = refusal(wire(pgweir()), database="test_nonsense")
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "3D000", "no such database: test_nonsense")
