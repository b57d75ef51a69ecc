# SPDX-License-Identifier: ISC
"""All of protocol 3 passes, byte for byte, in the order PostgreSQL gives it, in bounded memory."""
import struct

import psycopg
import pytest
from conftest import ProtocolClosed, covers, wait_until
from helpers import (FLUSH, SYNC, TERMINATE, Background, backend, bind, describe, error_in, execute, grown_kb, make_table, parse, query,
                     server_row, tags, wait_idle)

POOLED = ("test_session", "test_transaction", "test_statement")
BOUND_KB = 4096  # how far any traffic may raise the memory of the process


@pytest.fixture(params=POOLED)
def session(request, pgweir, wire):
    """A raw session in each mode, on a pool of one server."""
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database=request.param)
    return connection


@pytest.fixture
def shared(pgweir, wire):
    """A raw session in transaction mode, on a pool of one server."""
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database="test_transaction")
    return connection


# ---- simple queries ----


def test_several_statements_in_one_query(session):
    messages = session.query("SELECT 1; SELECT 'two', NULL; SELECT n FROM generate_series(1, 3) n; SET LOCAL work_mem = '1MB'")
    assert session.kinds(messages) in (b"TDCTDCTDDDCCZ", b"TDCTDCTDDDCNCZ", b"TDCTDCTDDDCCNZ")
    assert session.rows(messages) == [[b"1"], [b"two", None], [b"1"], [b"2"], [b"3"]]
    assert tags(messages) == ["SELECT 1", "SELECT 1", "SELECT 3", "SET"]
    assert messages[-1] == (b"Z", b"I")


@pytest.mark.parametrize("nothing", ["", ";", "  ", "-- a comment", ";;;"])
def test_an_empty_query(session, nothing):
    assert session.query(nothing) == [(b"I", b""), (b"Z", b"I")]
    assert session.rows(session.query("SELECT 1")) == [[b"1"]]


def test_an_error_ends_the_query_and_not_the_session(session):
    messages = session.query("SELECT 1; SELECT 1/0; SELECT 2")
    assert session.kinds(messages) == b"TDCEZ" and messages[-1] == (b"Z", b"I")
    error = error_in(messages)
    assert (error["S"], error["V"], error["C"], error["M"]) == ("ERROR", "ERROR", "22012", "division by zero")
    assert error_in(session.query("SELEC 1"))["P"] == "1"
    assert session.rows(session.query("SELECT 3")) == [[b"3"]]


def test_the_transaction_status_is_told_as_it_is(shared):
    assert shared.query("BEGIN")[-1] == (b"Z", b"T")
    assert shared.query("SELECT 1/0")[-1] == (b"Z", b"E")
    assert error_in(shared.query("SELECT 1"))["C"] == "25P02"
    assert shared.query("COMMIT")[-2:] == [(b"C", b"ROLLBACK\0"), (b"Z", b"I")]


def test_simple_queries_sent_ahead_are_answered_in_order(session):
    session.send_raw(b"".join(query(f"SELECT {n}") for n in range(200)))
    for n in range(200):
        messages = session.read_until(b"Z")
        assert session.rows(messages) == [[b"%d" % n]]
    assert session.quiet()


def test_a_transaction_sent_ahead_stays_on_its_server(pgweir, wire):
    pooler = pgweir({"default_pool_size": 5})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    for _ in range(20):
        connection.send_raw(query("BEGIN") + query("SELECT pg_backend_pid()") + query("SELECT pg_backend_pid()") + query("COMMIT"))
        assert connection.read_until(b"Z")[-1] == (b"Z", b"T")
        first, second = (connection.rows(connection.read_until(b"Z")) for _ in range(2))
        assert first == second
        assert connection.read_until(b"Z")[-1] == (b"Z", b"I")


# ---- extended queries ----


def test_an_extended_query(session):
    session.send_raw(parse("SELECT $1::int + 1, $2::text, $3::text", types=(23, 0, 0)) + describe(b"S") + bind("41", "text", None) +
                     describe(b"P") + execute() + SYNC)
    messages = session.read_until(b"Z")
    assert session.kinds(messages) == b"1tT2TDCZ"
    assert struct.unpack("!HIII", dict(messages)[b"t"]) == (3, 23, 25, 25)
    assert session.rows(messages) == [[b"42", b"text", None]]


def test_portals_with_row_limits_are_suspended_and_go_on(session):
    session.send_raw(parse("SELECT n FROM generate_series(1, 5) n") + bind() + execute(2) + FLUSH)
    assert session.kinds(session.read_until(b"s")) == b"12DDs"
    session.send_raw(execute(2) + FLUSH)
    assert session.rows(session.read_until(b"s")) == [[b"3"], [b"4"]]
    session.send_raw(execute(2) + SYNC)
    messages = session.read_until(b"Z")
    assert session.rows(messages) == [[b"5"]] and tags(messages) == ["SELECT 1"]


def test_named_portals_are_interleaved_in_a_transaction(shared):
    shared.query("BEGIN")
    shared.send_raw(parse("SELECT n FROM generate_series(1, $1) n") + bind("3", portal="a") + bind("2", portal="b") +
                    execute(2, "a") + execute(1, "b") + execute(0, "a") + execute(0, "b") +
                    shared.message(b"C", b"Pa\0") + SYNC)
    messages = shared.read_until(b"Z")
    assert shared.rows(messages) == [[b"1"], [b"2"], [b"1"], [b"3"], [b"2"]]
    assert shared.kinds(messages) == b"122DDsDsDCDC3Z" and messages[-1] == (b"Z", b"T")
    assert shared.query("COMMIT")[-1] == (b"Z", b"I")


def test_flush_brings_the_answer_without_sync(session):
    session.send_raw(parse("SELECT 7") + FLUSH)
    assert session.read_message() == (b"1", b"")
    session.send_raw(bind() + FLUSH)
    assert session.read_message() == (b"2", b"")
    session.send_raw(execute() + FLUSH)
    assert session.kinds(session.read_until(b"C")) == b"DC"
    assert session.quiet()
    session.send_raw(SYNC)
    assert session.read_until(b"Z") == [(b"Z", b"I")]


def test_a_client_that_flushed_keeps_its_server_until_sync(pgweir, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(parse("SELECT pg_backend_pid()") + bind() + execute() + FLUSH)
    connection.read_until(b"C")
    other = Background(pooler.query, "SELECT 'other'", "test_transaction")
    assert connection.quiet() and other.is_alive()
    connection.send_raw(SYNC)
    assert connection.read_until(b"Z") == [(b"Z", b"I")]
    assert other.result() == [("other",)]


def test_sync_alone_and_flush_alone(session):
    session.send_raw(SYNC)
    assert session.read_until(b"Z") == [(b"Z", b"I")]
    session.send_raw(FLUSH)
    assert session.quiet()
    session.send_raw(SYNC * 3)
    assert [session.read_until(b"Z") for _ in range(3)] == [[(b"Z", b"I")]] * 3


def test_after_an_error_the_rest_up_to_sync_is_skipped(session):
    session.send_raw(parse("SELECT 1/0") + bind() + execute() + parse("SELECT 2") + bind() + execute() + SYNC +
                     parse("SELECT 3") + bind() + execute() + SYNC)
    first = session.read_until(b"Z")
    assert session.kinds(first) in (b"12EZ", b"1EZ") and error_in(first)["C"] == "22012"
    assert session.rows(session.read_until(b"Z")) == [[b"3"]]


def test_several_syncs_in_flight_each_get_their_answer(session):
    session.send_raw(b"".join(parse(f"SELECT {n}" if n % 7 else "SELECT 1/0") + bind() + execute() + SYNC for n in range(1, 101)))
    for n in range(1, 101):
        messages = session.read_until(b"Z")
        assert messages[-1] == (b"Z", b"I")
        if n % 7:
            assert session.rows(messages) == [[b"%d" % n]]
        else:
            assert error_in(messages)["C"] == "22012"


@pytest.mark.parametrize("mode", ["test_session", "test_transaction"])
def test_a_pipeline_of_libpq_with_an_error_inside(pgweir, mode):
    with pgweir({"default_pool_size": 1}).connect(mode) as connection:
        with connection.pipeline() as pipeline:
            good = [connection.execute("SELECT %s::int", (n,)) for n in range(50)]
            pipeline.sync()
            before = connection.execute("SELECT 1")
            bad = connection.execute("SELECT 1/0")
            with pytest.raises(psycopg.errors.DivisionByZero):
                pipeline.sync()
            after = connection.execute("SELECT 'after'")
            pipeline.sync()
            assert [cursor.fetchone() for cursor in good] == [(n,) for n in range(50)]
            assert after.fetchone() == ("after",)
            assert bad.description is None and before is not None
        assert connection.execute("SELECT 4").fetchone() == (4,)


def test_a_pipelined_transaction_is_whole_or_nothing(pgweir, postgres):
    make_table(postgres, "piped", "a int")
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            with connection.pipeline(), connection.transaction():
                for n in range(10):
                    connection.execute("INSERT INTO piped VALUES (%s)", (n,))
                connection.execute("SELECT 1/0")
        assert connection.execute("SELECT count(*) FROM piped").fetchone() == (0,)
        with connection.pipeline(), connection.transaction():
            for n in range(10):
                connection.execute("INSERT INTO piped VALUES (%s)", (n,))
        assert connection.execute("SELECT count(*) FROM piped").fetchone() == (10,)


def test_a_pipeline_larger_than_every_buffer(pgweir):
    """Client and server both send before they read; neither may be left waiting for the other."""
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        value = "v" * 20_000
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::text, %s::int", (value, n)) for n in range(400)]
            assert [cursor.fetchone() for cursor in cursors] == [(value, n) for n in range(400)]


def test_named_statements_in_session_mode_are_the_server_s_own(pgweir, wire):
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database="test_session")
    connection.send_raw(parse("SELECT $1::int", name="mine") + SYNC)
    assert connection.kinds(connection.read_until(b"Z")) == b"1Z"
    for n in (b"1", b"2"):
        connection.send_raw(bind(n.decode(), statement="mine") + execute() + SYNC)
        assert connection.rows(connection.read_until(b"Z")) == [[n]]
    assert connection.rows(connection.query("SELECT name FROM pg_prepared_statements")) == [[b"mine"]]


def test_a_server_side_cursor_of_psycopg(pgweir):
    with pgweir({"default_pool_size": 1}).connect("test_transaction") as connection:
        with connection.transaction(), connection.cursor("named") as cursor:
            cursor.itersize = 7
            assert [n for n, in cursor.execute("SELECT n FROM generate_series(1, 50) n")] == list(range(1, 51))


# ---- others ----


def test_function_call(session):
    # int4pl, oid 177: two text arguments, a text result.
    arguments = b"".join(struct.pack("!i", len(a)) + a for a in (b"40", b"2"))
    session.send(b"F", struct.pack("!IHHH", 177, 1, 0, 2) + arguments + struct.pack("!H", 0))
    messages = session.read_until(b"Z")
    assert session.kinds(messages) == b"VZ"
    assert messages[0][1] == struct.pack("!i", 2) + b"42"
    session.send(b"F", struct.pack("!IHHH", 999999, 1, 0, 2) + arguments + struct.pack("!H", 0))
    messages = session.read_until(b"Z")
    assert session.kinds(messages) == b"EZ" and error_in(messages)["C"] in ("42883", "55000", "22023")
    assert session.rows(session.query("SELECT 1")) == [[b"1"]]


def test_notices_come_in_their_place(session):
    messages = session.query("SELECT 1; DO $$ BEGIN RAISE NOTICE 'look'; RAISE WARNING 'out'; END $$; SELECT 2")
    assert session.kinds(messages) == b"TDCNNCTDCZ"
    assert [session.fields(body)["M"] for kind, body in messages if kind == b"N"] == ["look", "out"]


def test_notifications_reach_an_idle_session(pgweir, postgres, wire):
    pooler = pgweir()
    connection = wire(pooler)
    connection.startup(database="test_session")
    connection.query("LISTEN news")
    assert connection.quiet()
    for text in ("first", "second"):
        postgres.execute(f"NOTIFY news, '{text}'")
        kind, body = connection.read_message()
        assert kind == b"A" and body[4:] == b"news\0" + text.encode() + b"\0"
    assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]


def test_parameter_changes_are_told(session):
    messages = session.query("SET application_name = 'renamed'")
    assert (b"S", b"application_name\0renamed\0") in messages
    assert session.parameters["application_name"] == "renamed"


# ---- size ----


def test_fifty_megabytes_pass_both_ways_in_bounded_memory(pgweir):
    pooler = pgweir({"default_pool_size": 1})
    size = 50_000_000
    with pooler.connect("test_transaction") as connection:
        connection.execute("SELECT 1")
        before = pooler.memory_kb()
        assert connection.execute("SELECT length(%s)", ("u" * size,)).fetchone() == (size,)
        assert connection.execute("SELECT repeat('d', %s)", (size,)).fetchone() == ("d" * size,)
        assert grown_kb(pooler, before) < BOUND_KB


def test_the_peak_of_memory_stays_bounded_while_large_values_pass(pgweir, wire):
    pooler = pgweir({"default_pool_size": 4})
    pooler.query("SELECT 1", "test_transaction")
    before = pooler.memory_kb()

    def transfer(seed):
        connection = wire(pooler)
        connection.startup(database="test_transaction")
        value = str(seed) * 10_000_000
        connection.send_raw(parse("SELECT $1::text") + bind(value) + execute() + SYNC)
        return connection.rows(connection.read_until(b"Z")) == [[value.encode()]]

    jobs = [Background(transfer, seed) for seed in range(4)]
    growth = 0
    while any(job.is_alive() for job in jobs):
        growth = max(growth, grown_kb(pooler, before))
        jobs[0].join(0.01)
    assert all(job.result() for job in jobs)
    assert growth < BOUND_KB


def test_a_client_that_does_not_read_costs_bounded_memory(pgweir, wire):
    pooler = pgweir({"default_pool_size": 2})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    before = pooler.memory_kb()
    rows = 100_000
    connection.send_raw(query(f"SELECT repeat('z', 1000), n FROM generate_series(1, {rows}) n"))

    seen = []

    def stalled():
        """No more bytes come from the server: back-pressure has reached it."""
        seen.append(sum(r["total_received"] for r in pooler.console("SHOW STATS") if r["database"] == "test_transaction"))
        return len(seen) > 10 and seen[-1] == seen[-10]

    wait_until(stalled)
    assert grown_kb(pooler, before) < BOUND_KB
    assert pooler.query("SELECT 'others go on'", "test_transaction") == [("others go on",)]
    got = connection.rows(connection.read_until(b"Z"))
    assert len(got) == rows and [int(n) for _, n in got] == list(range(1, rows + 1))
    assert grown_kb(pooler, before) < BOUND_KB


def test_a_server_that_does_not_read_costs_bounded_memory(pgweir, postgres):
    """Megabytes are sent behind statements that wait for a lock."""
    make_table(postgres, "locked", "a text")
    pooler = pgweir({"default_pool_size": 2})

    def copy_in():
        with pooler.connect("test_transaction") as connection:
            with connection.cursor().copy("COPY locked FROM STDIN") as copy:
                for _ in range(300):
                    copy.write(b"x" * 99_999 + b"\n")
            return connection.execute("SELECT count(*) FROM locked").fetchone()

    def pipelined():
        with pooler.connect("test_transaction") as connection, connection.pipeline():
            connection.execute("SELECT count(*) FROM locked")
            cursors = [connection.execute("SELECT length(%s)", ("p" * 100_000,)) for _ in range(200)]
            return [cursor.fetchone() for cursor in cursors] == [(100_000,)] * 200

    pooler.query("SELECT 1", "test_transaction")
    with psycopg.connect(postgres.dsn()) as holder:
        holder.execute("LOCK TABLE locked")
        before = pooler.memory_kb()
        jobs = [Background(copy_in), Background(pipelined)]
        wait_until(lambda: postgres.execute("SELECT count(*) AS n FROM pg_stat_activity "
                                            "WHERE wait_event_type = 'Lock'")[0]["n"] == 2)
        jobs[1].join(0.3)  # it goes on sending until nobody takes more
        assert all(job.is_alive() for job in jobs)
        assert grown_kb(pooler, before) < BOUND_KB
        holder.rollback()
    assert jobs[0].result() == (300,)
    assert jobs[1].result()


@covers("max_packet_size")
def test_max_packet_size_is_the_longest_message_of_a_client(pgweir, wire):
    pooler = pgweir({"max_packet_size": 100_000, "default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    assert len(connection.rows(connection.query("SELECT '" + "x" * 90_000 + "'"))[0][0]) == 90_000
    connection.send_raw(query("SELECT '" + "x" * 100_000 + "'"))
    with pytest.raises((ProtocolClosed, OSError)):
        assert connection.read_error()["S"] == "FATAL"
        connection.read_message()
    assert pooler.query("SELECT 1", "test_transaction") == [(1,)]


# ---- the end ----


@pytest.mark.parametrize("mode", POOLED)
def test_terminate_right_behind_a_query_still_commits_and_answers(pgweir, postgres, wire, mode):
    make_table(postgres, "behind", "a int")
    connection = wire(pgweir({"default_pool_size": 1}))
    connection.startup(database=mode)
    connection.send_raw(query("INSERT INTO behind VALUES (1); SELECT 1") + TERMINATE)
    messages = connection.read_until(b"Z")
    assert connection.kinds(messages) == b"CTDCZ" and connection.rows(messages) == [[b"1"]]
    connection.expect_closed()
    assert postgres.execute("SELECT a FROM behind") == [{"a": 1}]


def test_terminate_right_behind_a_pipeline_still_answers_all(shared):
    shared.send_raw(b"".join(parse(f"SELECT {n}") + bind() + execute() + SYNC for n in range(20)) + TERMINATE)
    assert [shared.rows(shared.read_until(b"Z")) for _ in range(20)] == [[[b"%d" % n]] for n in range(20)]
    shared.expect_closed()


def test_terminate_behind_a_large_result_still_brings_all_of_it(shared):
    shared.send_raw(query("SELECT repeat('z', 1000) FROM generate_series(1, 20000)") + TERMINATE)
    messages = shared.read_until(b"Z")
    assert len(shared.rows(messages)) == 20000 and tags(messages) == ["SELECT 20000"]
    shared.expect_closed()


def test_a_half_close_behind_a_query_still_answers(shared):
    shared.send_raw(query("SELECT 'half'"))
    shared.socket.shutdown(1)
    assert shared.rows(shared.read_until(b"Z")) == [[b"half"]]
    shared.expect_closed()


def test_terminate_inside_a_transaction_rolls_back(pgweir, postgres, wire):
    make_table(postgres, "inside", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(query("BEGIN") + query("INSERT INTO inside VALUES (1)") + TERMINATE)
    connection.read_rest()
    wait_idle(pooler)
    assert pooler.query("SELECT count(*) FROM inside", "test_transaction") == [(0,)]


# ---- the server's end ----


def test_a_backend_that_is_terminated_gives_its_own_error(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.query("BEGIN")
    (pid,), = connection.rows(connection.query("SELECT pg_backend_pid()"))
    connection.send_raw(query("SELECT pg_sleep(20)"))
    wait_until(lambda: postgres.execute("SELECT 1 AS one FROM pg_stat_activity WHERE pid = %s AND state = 'active' "
                                        "AND query LIKE 'SELECT pg_sleep%%'", (int(pid),)))
    postgres.execute("SELECT pg_terminate_backend(%s)", (int(pid),))
    error = connection.read_error()
    assert (error["S"], error["C"]) == ("FATAL", "57P01")
    connection.read_rest()
    assert pooler.query("SELECT 1", "test_transaction") == [(1,)]


def test_an_idle_backend_that_is_terminated_is_not_noticed(pgweir, postgres):
    pooler = pgweir({"default_pool_size": 3})
    with pooler.connect("test_transaction") as connection:
        for _ in range(5):
            pid = backend(connection)
            postgres.execute("SELECT pg_terminate_backend(%s)", (pid,))
            wait_until(lambda: postgres.execute("SELECT 1 AS one FROM pg_stat_activity WHERE pid = %s", (pid,)) == [])
            wait_until(lambda: all(r["remote_pid"] != pid for r in pooler.console("SHOW SERVERS")))
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_database_row_leads_where_it_says(pgweir, postgres):
    pooler = pgweir(databases={"other": server_row(postgres, dbname="postgres"), "postgres": server_row(postgres, dbname="postgres")})
    assert pooler.query("SELECT current_database()", "other") == [("postgres",)]
