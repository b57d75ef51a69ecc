# SPDX-License-Identifier: ISC
"""PREPARE, EXECUTE and DEALLOCATE as SQL in transaction mode: names are the client's, and work on whatever server it gets.
At random: test_prepared_differential.py."""
import psycopg
import pytest
from conftest import covers, wait_until
from helpers import servers
from psycopg import pq

COMMANDS = [  # s: simple, e: extended protocol, n: named prepared, x: execute that, d: describe that
    ("s", "PREPARE a AS SELECT 1"), ("s", "EXECUTE a"), ("s", "EXECUTE a"), ("s", "EXECUTE a"), ("s", "PREPARE a AS SELECT 2"),
    ("s", "DEALLOCATE a"), ("s", "EXECUTE a"), ("s", "DEALLOCATE b"), ("s", "PREPARE a(int, text) AS SELECT $1, $2"),
    ("s", "EXECUTE a(1, 'x')"), ("s", "EXECUTE a(2, 'y')"), ("s", "BEGIN"), ("s", "EXECUTE a(3, 'z')"), ("s", "DEALLOCATE a"),
    ("s", "PREPARE a(int) AS SELECT $1 + 1"), ("s", "EXECUTE a(5)"), ("s", "EXPLAIN (COSTS off) EXECUTE a(5)"), ("s", "ROLLBACK"),
    ("s", "EXECUTE a(6)"), ("s", "PREPARE z AS SELECT * FROM nowhere"), ("s", "EXECUTE \"Weird; -- name\""),
    ("s", "PREPARE \"Weird; -- name\" AS SELECT 'a;b' /* c */ -- d"), ("s", "EXECUTE \"Weird; -- name\""), ("s", "BEGIN"), ("s", "SELECT 1/0"),
    ("s", "EXECUTE a(1)"), ("s", "DEALLOCATE a"), ("s", "PREPARE n AS SELECT 1"), ("s", "ROLLBACK"), ("s", "EXECUTE n"), ("s", "EXECUTE a(10)"),
    ("s", "SELECT 1; EXECUTE a(11); PREPARE m AS SELECT 77; EXECUTE m; DEALLOCATE m; SELECT 2"), ("s", "EXECUTE m"),
    ("e", "EXECUTE a(12)"), ("e", "EXECUTE a(13)"), ("x", "a", "14"), ("x", "a", "15"), ("d", "a"), ("d", "a"), ("d", "nobody"), ("x", "nobody"),
    ("e", "PREPARE a AS SELECT 5"), ("e", "DEALLOCATE a"), ("e", "DEALLOCATE a"), ("e", "EXECUTE a(1)"), ("d", "a"),
    ("e", "PREPARE a AS SELECT 5"), ("e", "EXECUTE a"), ("e", "EXPLAIN (COSTS off) EXECUTE a"), ("e", "EXECUTE b"),
    ("e", "PREPARE q AS SELECT * FROM nowhere"), ("n", "again", "EXECUTE a"), ("x", "again"), ("x", "again"), ("d", "again"),
    ("s", "DEALLOCATE a"), ("x", "again"), ("s", "PREPARE a AS SELECT 6"), ("x", "again"), ("n", "drop", "DEALLOCATE a"), ("x", "drop"),
    ("s", "EXECUTE a"), ("s", "PREPARE a AS SELECT 7"), ("x", "drop"), ("x", "drop"), ("n", "make", "PREPARE a AS SELECT 8"), ("x", "make"),
    ("s", "EXECUTE a"), ("x", "make"), ("x", "drop"), ("x", "make"), ("s", "EXECUTE a"), ("x", "drop"),
    ("n", "p", "SELECT $1::int * 2"), ("s", "EXECUTE p(4)"), ("s", "EXECUTE p(5)"), ("e", "EXECUTE p(6)"), ("s", "DEALLOCATE p"), ("x", "p", "1"),
    ("n", "p", "SELECT 'new'"), ("x", "p"), ("x", "p"), ("s", "BEGIN"), ("e", "DEALLOCATE p"), ("s", "SELECT 'alive'"), ("s", "DEALLOCATE again"),
    ("s", "SELECT 'alive'"), ("s", "COMMIT"), ("s", "PREPARE x AS SELECT 'x'"), ("s", "PREPARE y AS SELECT 'x'"), ("s", "EXECUTE x; EXECUTE y"),
    ("s", "DEALLOCATE x; EXECUTE y"), ("s", "EXECUTE y"), ("s", "PREPARE v AS SELECT 'w'; PREPARE w AS SELECT 'w'; EXECUTE v; EXECUTE w"),
    ("s", "DEALLOCATE PREPARE v; DEALLOCATE w; SELECT 1/0; DEALLOCATE y"), ("s", "EXECUTE y"), ("s", "EXECUTE v"), ("s", "EXECUTE w"),
    ("s", "PREPARE \u00fc AS SELECT '\u00e4', nothing"), ("s", "/* \u00e4 */ PREPARE abc AS SELECT '\u00e4', nothing; SELECT 1"),
    ("s", "SELECT '\u00e4'; PREPARE abcdefghijklmnopqrstuvwxyz AS SELECT '\u00e4', nothing"), ("e", "PREPARE \u00fc AS SELECT '\u00e4', nothing"),
    ("s", "CREATE TABLE made AS EXECUTE y"), ("s", "SELECT * FROM made"), ("s", "DROP TABLE made"), ("s", "DISCARD ALL"), ("s", "EXECUTE y"),
    ("e", "EXECUTE y"), ("s", "PREPARE y AS SELECT 9"), ("s", "DEALLOCATE ALL; PREPARE y AS SELECT 10; EXECUTE y"), ("s", "EXECUTE y"),
]


@pytest.fixture
def pooler(pgweir):
    """With three servers that take turns, so that one client's transactions are on different ones."""
    def factory(**more):
        pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3, "min_pool_size": 3, "server_round_robin": 1, **more})
        pooler.query("SELECT 1")
        if not more.get("default_pool_size"):
            wait_until(lambda: [row["state"] for row in servers(pooler)] == ["idle"] * 3, what="three servers")
        return pooler
    return factory


def run(dsn, commands):
    connection = pq.PGconn.connect(dsn.encode())
    assert connection.status == pq.ConnStatus.OK, connection.error_message
    answers = []
    for kind, text, *values in commands:
        name, values = text.encode(), [value.encode() for value in values]
        result = (connection.exec_(name) if kind == "s" else connection.exec_params(name, values) if kind == "e" else
                  connection.prepare(name, *values) if kind == "n" else connection.exec_prepared(name, values) if kind == "x" else
                  connection.describe_prepared(name))
        field = pq.DiagnosticField
        answers.append((pq.ExecStatus(result.status).name, result.command_status, pq.TransactionStatus(connection.transaction_status).name,
                        *(result.error_field(each) for each in (field.SQLSTATE, field.MESSAGE_PRIMARY, field.STATEMENT_POSITION)),
                        [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)],
                        [result.fname(column) for column in range(result.nfields)], result.nparams if kind == "d" else None))
    connection.finish()
    return answers


@pytest.mark.parametrize("limit", [200, 1])
def test_answers_are_those_of_postgresql(pooler, postgres, limit):
    direct = run(postgres.dsn(user="alice"), COMMANDS)
    pooled = run(pooler(max_prepared_statements=limit).dsn(), COMMANDS)
    for command, wanted, got in zip(COMMANDS, direct, pooled):
        assert got == wanted, f"{command}: {got}, not {wanted}"


def test_names_belong_to_the_client(pooler):
    pooler = pooler()
    with pooler.connect() as one, pooler.connect() as other:
        one.execute("PREPARE p AS SELECT 'one'")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            other.execute("EXECUTE p")
        other.execute("PREPARE p(int) AS SELECT 'other', $1")
        for number in range(6):
            assert one.execute("EXECUTE p").fetchone() == ("one",)
            assert other.execute(f"EXECUTE p({number})").fetchone() == ("other", number)
        one.execute("DEALLOCATE p")
        assert other.execute("EXECUTE p(7)").fetchone() == ("other", 7)
        other.execute("DEALLOCATE ALL")
        for client in (one, other):
            with pytest.raises(psycopg.errors.InvalidSqlStatementName):
                client.execute("EXECUTE p")


def test_clients_share_what_is_the_same(pooler):
    pooler = pooler(default_pool_size=1, min_pool_size=0)
    with pooler.connect() as one, pooler.connect() as other:
        for client in (one, other):
            client.execute("PREPARE p AS SELECT 'shared'")
            client.execute("EXECUTE p")
        assert one.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%''shared''%'").fetchone() == (1,)


def test_a_server_keeps_as_many_as_are_allowed(pooler):
    pooler = pooler(default_pool_size=1, min_pool_size=0, max_prepared_statements=5)
    with pooler.connect() as client:
        for number in range(20):
            client.execute(f"PREPARE p{number} AS SELECT {number}")
        for number in range(20):
            assert client.execute(f"EXECUTE p{number}").fetchone() == (number,)
            assert client.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0] <= 5


@covers("sql_prepared_statements")
def test_it_may_be_off(pooler):
    pooler = pooler(default_pool_size=1, min_pool_size=0, sql_prepared_statements=0)
    with pooler.connect() as one, pooler.connect() as other:
        one.execute("PREPARE leaks AS SELECT 'leaked'")
        assert other.execute("EXECUTE leaks").fetchone() == ("leaked",)
        pooler.console("SET sql_prepared_statements = 1")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            other.execute("EXECUTE leaks")


@pytest.mark.parametrize("server_dies", [False, True])
def test_what_a_vanished_client_prepared_disturbs_nobody(pooler, postgres, server_dies):
    """Its PREPARE is under way when it goes: whether it is at the server or not, the next one's of the same text works."""
    pooler = pooler(default_pool_size=1, min_pool_size=0)
    with pooler.connect() as client:
        pid = client.execute("SELECT pg_backend_pid()").fetchone()[0]
    going = pq.PGconn.connect(pooler.dsn().encode())
    going.send_query(b"PREPARE p AS SELECT 'text'; SELECT pg_sleep(60)")
    going.flush()
    wait_until(lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'", (pid,)), what="its query")
    going.finish()
    if server_dies:
        postgres.execute("SELECT pg_terminate_backend(%s)", (pid,))
    with pooler.connect() as client:
        client.execute("PREPARE p AS SELECT 'text'")
        assert client.execute("EXECUTE p").fetchone() == ("text",)


def test_a_changed_table_is_prepared_anew(pooler, postgres):
    pooler = pooler(default_pool_size=1, min_pool_size=0)
    postgres.execute("CREATE TABLE changing_by_sql (a int); GRANT ALL ON changing_by_sql TO PUBLIC; INSERT INTO changing_by_sql VALUES (1)")
    with pooler.connect() as client:
        client.execute("PREPARE p AS SELECT * FROM changing_by_sql")
        assert client.execute("EXECUTE p").fetchone() == (1,)
        postgres.execute("ALTER TABLE changing_by_sql ADD b int DEFAULT 2")
        with pytest.raises(psycopg.errors.FeatureNotSupported):  # as PostgreSQL itself says it ...
            client.execute("EXECUTE p")
        assert client.execute("EXECUTE p").fetchone() == (1, 2)  # ... but once
    postgres.execute("DROP TABLE changing_by_sql")


def test_a_long_text_in_pieces(pooler, wire):
    """Longer than what is received at once, and sent in pieces that end anywhere."""
    connection = wire(pooler())
    connection.startup()
    text = b"PREPARE p AS SELECT '" + b"x" * 300000 + b"'\0"
    data = connection.message(b"Q", text)
    for at in range(0, len(data), 70001):
        connection.send_raw(data[at:at + 70001])
    assert connection.kinds(connection.read_until(b"Z")) == b"CZ"
    for _ in range(3):
        assert connection.rows(connection.query("EXECUTE p")) == [[b"x" * 300000]]


def test_old_strings(pooler):
    pooler = pooler()
    with pooler.connect() as client:
        client.execute("SET standard_conforming_strings = off")
        client.execute("PREPARE p AS SELECT 'a\\'; EXECUTE q; --'")
        for _ in range(3):
            assert client.execute("EXECUTE p").fetchone() == ("a'; EXECUTE q; --",)
