# SPDX-License-Identifier: ISC
"""A cancel ends the query of who asked, whenever it arrives; never the session, never a neighbour's query."""
import random
import socket
import time

import psycopg
import pytest
from conftest import wait_until
from helpers import Background, SYNC, backend, bind, error_in, execute, make_table, parse, pool, query, wait_idle, wait_waiting

SLEEP = "SELECT pg_sleep(60)"


def sleeping(postgres, count=1):
    """Wait until so many backends sleep."""
    wait_until(lambda: postgres.execute("SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event = 'PgSleep'")[0]["n"] == count,
               10, f"{count} sleeping backends")


def send_cancel(wire, pooler, key):
    """Send a CancelRequest and wait until the other side closes, as libpq does."""
    connection = wire(pooler)
    connection.send_raw(connection.cancel_packet(key))
    connection.expect_closed()


def canceled(function, *arguments):
    with pytest.raises(psycopg.errors.QueryCanceled) as error:
        function(*arguments)
    assert error.value.sqlstate == "57014" and "user request" in str(error.value)
    return True


@pytest.mark.parametrize("mode", ["test_session", "test_transaction", "test_statement"])
@pytest.mark.parametrize("size", [1, 5])
def test_a_cancel_ends_the_query_and_not_the_session(pgweir, postgres, mode, size):
    """With a pool of one too: the CancelRequest goes by a connection of its own."""
    pooler = pgweir({"default_pool_size": size})
    with pooler.connect(mode) as connection:
        for _ in range(3):
            job = Background(canceled, connection.execute, SLEEP)
            sleeping(postgres)
            connection.cancel()
            assert job.result(5)
            assert connection.execute("SELECT 1").fetchone() == (1,)
    wait_idle(pooler)
    assert pool(pooler, db=mode)["sv_active_cancel"] == 0


def test_a_canceled_transaction_is_failed_and_still_the_client_s(pgweir, postgres):
    pooler = pgweir({"default_pool_size": 1})
    with pooler.connect("test_transaction") as connection:
        connection.execute("BEGIN")
        pid = backend(connection)
        job = Background(canceled, connection.execute, SLEEP)
        sleeping(postgres)
        connection.cancel()
        assert job.result(5)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        connection.execute("ROLLBACK")
        assert connection.execute("SELECT 1").fetchone() == (1,) and pid


def test_a_cancel_leaves_the_neighbour_of_the_same_pool_alone(pgweir, postgres):
    pooler = pgweir({"default_pool_size": 2})
    with pooler.connect("test_transaction") as asks, pooler.connect("test_transaction") as neighbour:
        stays = Background(lambda: neighbour.execute("SELECT 'slept', pg_sleep(1.5)").fetchone()[0])
        job = Background(canceled, asks.execute, SLEEP)
        sleeping(postgres, 2)
        asks.cancel()
        assert job.result(5)
        assert stays.result() == "slept"


def test_a_cancel_while_others_wait_for_the_same_server(pgweir, postgres):
    pooler = pgweir({"default_pool_size": 1})
    clients = [pooler.connect("test_transaction") for _ in range(5)]
    job = Background(canceled, clients[0].execute, SLEEP)
    sleeping(postgres)
    waiting = [Background(lambda c=client: c.execute("SELECT 'served'").fetchone()) for client in clients[1:]]
    wait_waiting(pooler, 4, db="test_transaction")
    clients[0].cancel()
    assert job.result(5)
    assert [w.result() for w in waiting] == [("served",)] * 4
    for client in clients:
        client.close()


def test_cancels_wait_for_a_connection_when_postgresql_has_no_more(pgweir, postgres):
    """Many at once, more than the pool has servers: each finds its own query."""
    pooler = pgweir({"default_pool_size": 6})
    clients = [pooler.connect("test_transaction") for _ in range(6)]
    jobs = [Background(canceled, client.execute, SLEEP) for client in clients]
    sleeping(postgres, 6)
    cancels = [Background(client.cancel) for client in clients]
    assert all(job.result(10) for job in jobs)
    for cancel in cancels:
        cancel.result()
    assert [client.execute("SELECT 1").fetchone() for client in clients] == [(1,)] * 6
    for client in clients:
        client.close()


def test_a_cancel_of_an_idle_client_is_dropped(pgweir, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.query("SELECT 1")
    send_cancel(wire, pooler, connection.key)
    assert connection.rows(connection.query("SELECT 2")) == [[b"2"]]
    assert pool(pooler, db="test_transaction")["sv_idle"] == 1


def test_a_cancel_of_a_client_that_waits_does_not_hit_who_has_the_server(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    owner, waiter = wire(pooler), wire(pooler)
    owner.startup(database="test_transaction")
    waiter.startup(database="test_transaction")
    owner.send_raw(query("SELECT 'mine', pg_sleep(1)"))
    sleeping(postgres)
    waiter.send_raw(query("SELECT 'waited'"))
    wait_waiting(pooler, 1, db="test_transaction")
    send_cancel(wire, pooler, waiter.key)
    messages = waiter.read_until(b"Z")
    assert waiter.kinds(messages) == b"EZ" and error_in(messages)["C"] == "57014"
    assert owner.rows(owner.read_until(b"Z")) == [[b"mine", b""]]
    assert waiter.rows(waiter.query("SELECT 'lives'")) == [[b"lives"]]


@pytest.fixture
def busy(pgweir, postgres, wire):
    """A pooler whose only server sleeps for somebody else, and that somebody."""
    pooler = pgweir({"default_pool_size": 1})
    owner = wire(pooler)
    owner.startup(database="test_transaction")
    owner.send_raw(query(SLEEP))
    sleeping(postgres)
    return pooler, owner


def lives(connection, pooler, owner, wire):
    send_cancel(wire, pooler, owner.key)
    assert connection.execute("SELECT 'lives', %s::int", (1,)).fetchone() == ("lives", 1)
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.parametrize("arguments", [("SELECT 'never'",), ("SELECT %s::text", ("never",))], ids=["simple", "extended"])
def test_a_driver_cancels_what_waits(busy, wire, arguments):
    """Pressing Ctrl-C while all servers are taken."""
    pooler, owner = busy
    with pooler.connect("test_transaction") as connection:
        for _ in range(3):
            job = Background(canceled, connection.execute, *arguments)
            wait_waiting(pooler, 1, db="test_transaction")
            connection.cancel()
            assert job.result(5)
        assert pool(pooler, db="test_transaction")["cl_waiting"] == 0
        lives(connection, pooler, owner, wire)
    pooler.wait_for_log("closing because: cancel request for waiting client")


def test_a_transaction_that_has_not_begun_is_cancelled(busy, wire):
    pooler, owner = busy
    with pooler.connect("test_transaction", autocommit=False) as connection:
        job = Background(canceled, connection.execute, "SELECT 'never'")
        wait_waiting(pooler, 1, db="test_transaction")
        connection.cancel()
        assert job.result(5)
        connection.rollback()
        lives_in_transaction = Background(lambda: connection.execute("SELECT 'lives'").fetchone())
        send_cancel(wire, pooler, owner.key)
        assert lives_in_transaction.result() == ("lives",)


def test_a_pipeline_that_waits_is_aborted_up_to_its_sync(busy, wire):
    pooler, owner = busy
    with pooler.connect("test_transaction") as connection:
        def run():
            with connection.pipeline():
                for number in range(5):
                    connection.execute("SELECT %s::int", (number,))

        job = Background(canceled, run)
        wait_waiting(pooler, 1, db="test_transaction")
        connection.cancel()
        assert job.result(5)
        lives(connection, pooler, owner, wire)


def test_of_a_pipeline_that_waits_the_first_part_is_cancelled(busy, wire):
    pooler, owner = busy
    waiter = wire(pooler)
    waiter.startup(database="test_transaction")
    part = parse("SELECT 'part'") + bind() + execute() + SYNC
    waiter.send_raw(part * 3)
    wait_waiting(pooler, 1, db="test_transaction")
    for _ in range(2):
        send_cancel(wire, pooler, waiter.key)
        messages = waiter.read_until(b"Z")
        assert waiter.kinds(messages) == b"EZ" and error_in(messages)["C"] == "57014"
    send_cancel(wire, pooler, owner.key)
    assert waiter.rows(waiter.read_until(b"Z")) == [[b"part"]]


def test_a_query_that_waits_for_resume_is_cancelled(pgweir):
    pooler = pgweir()
    with pooler.connect() as connection:
        pooler.console("PAUSE")
        job = Background(canceled, connection.execute, "SELECT 1")
        wait_waiting(pooler, 1)
        connection.cancel()
        assert job.result(5)
        pooler.console("RESUME")
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_cancel_is_let_in_when_no_client_is(pgweir, postgres, wire):
    pooler = pgweir({"max_client_conn": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(query(SLEEP))
    sleeping(postgres)
    with pytest.raises(psycopg.OperationalError, match="no more connections allowed"):
        pooler.connect()
    send_cancel(wire, pooler, connection.key)
    assert error_in(connection.read_until(b"Z"))["C"] == "57014"


def test_a_hundred_cancels_of_one_query_are_carried_two_at_a_time(pgweir, postgres, wire):
    """PostgreSQL is never asked by more than that, and each of them ends."""
    pooler = pgweir({"default_pool_size": 20})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    for _ in range(3):
        connection.send_raw(query(SLEEP))
        sleeping(postgres)
        askers = [wire(pooler) for _ in range(100)]
        for asker in askers:
            asker.send_raw(asker.cancel_packet(connection.key))
        for asker in askers:
            asker.expect_closed()
        assert error_in(connection.read_until(b"Z"))["C"] == "57014"
        assert connection.rows(connection.query("SELECT 'lives'")) == [[b"lives"]]
        wait_for_cancels(pooler)
    assert pool(pooler, db="test_transaction")["sv_idle"] == 1


def test_a_wrong_key_cancels_nothing(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(query("SELECT 'whole', pg_sleep(1)"))
    sleeping(postgres)
    process, secret = connection.key
    wrong = bytes([secret[0] ^ 1]) + secret[1:]
    for key in ((process, wrong), (process ^ 1, secret), (0, b"\0\0\0\0"), (process, secret[:2]), (process, secret + b"more")):
        fake = wire(pooler)
        fake.send_raw(fake.cancel_packet(key))
        fake.read_rest()
    assert connection.rows(connection.read_until(b"Z")) == [[b"whole", b""]]


def test_the_key_of_a_client_that_left_cancels_nothing(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    gone, stays = wire(pooler), wire(pooler)
    gone.startup(database="test_transaction")
    gone.query("SELECT 1")
    gone.close()
    stays.startup(database="test_transaction")
    stays.send_raw(query("SELECT 'whole', pg_sleep(0.5)"))
    sleeping(postgres)
    send_cancel(wire, pooler, gone.key)
    assert stays.rows(stays.read_until(b"Z")) == [[b"whole", b""]]


def test_keys_differ_and_are_not_those_of_postgresql(pgweir, wire):
    pooler = pgweir({"default_pool_size": 1})
    keys = set()
    for _ in range(30):
        connection = wire(pooler)
        connection.startup(database="test_transaction")
        keys.add(connection.key)
        assert connection.rows(connection.query("SELECT pg_backend_pid()")) != [[b"%d" % connection.key[0]]]
    assert len(keys) == 30 and len({secret for _, secret in keys}) == 30


def test_a_cancel_inside_copy_and_inside_a_pipeline(pgweir, postgres, wire):
    make_table(postgres, "cancel_copy", "a int")
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(query("COPY (SELECT pg_sleep(60)) TO STDOUT"))
    sleeping(postgres)
    send_cancel(wire, pooler, connection.key)
    assert error_in(connection.read_until(b"Z"))["C"] == "57014"
    connection.send_raw(parse(SLEEP) + bind() + execute() + SYNC + parse("SELECT 'next'") + bind() + execute() + SYNC)
    sleeping(postgres)
    send_cancel(wire, pooler, connection.key)
    assert error_in(connection.read_until(b"Z"))["C"] == "57014"
    assert connection.rows(connection.read_until(b"Z")) == [[b"next"]]
    connection.send_raw(query("COPY cancel_copy FROM STDIN"))
    connection.read_until(b"G")
    send_cancel(wire, pooler, connection.key)
    connection.send(b"d", b"1\n")
    connection.send(b"c")
    messages = connection.read_until(b"Z")
    assert messages[-1] == (b"Z", b"I")
    assert connection.rows(connection.query("SELECT 'usable'")) == [[b"usable"]]


def test_who_asks_to_cancel_may_leave_at_once(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    connection.send_raw(query(SLEEP))
    sleeping(postgres)
    with socket.create_connection((pooler.host, pooler.port)) as asks:
        asks.sendall(connection.cancel_packet(connection.key))
    assert error_in(connection.read_until(b"Z"))["C"] == "57014"


def test_a_cancel_while_postgresql_is_asked_by_many_is_never_the_next_client_s(pgweir):
    """The race of every pooler: the query ends by itself while its cancel is on the way, and the server goes to the
    next client. Two sessions take turns on one server; one is canceled at the end of each of its queries."""
    pooler = pgweir({"default_pool_size": 1})
    chance = random.Random(11)
    with pooler.connect("test_transaction") as asks, pooler.connect("test_transaction") as innocent:
        stop = time.monotonic() + 3

        def work():
            done = 0
            while time.monotonic() < stop:
                assert innocent.execute("SELECT %s::int, pg_sleep(0.002)", (done,)).fetchone()[0] == done
                done += 1
            return done

        job = Background(work)
        hits = 0
        while time.monotonic() < stop:
            cancel = Background(lambda: (time.sleep(chance.random() * 0.008), asks.cancel()))
            try:
                asks.execute("SELECT pg_sleep(0.003)")
            except psycopg.errors.QueryCanceled:
                hits += 1
            cancel.result()
        assert job.result() > 50 and hits > 5


def test_two_hundred_random_cancels_hit_only_who_asked(pgweir):
    pooler = pgweir({"default_pool_size": 3})
    cancels_left = iter(range(200))

    def innocent(number):
        with pooler.connect("test_transaction") as connection:
            done = 0
            while asking:
                assert connection.execute("SELECT %s::int, %s::int, pg_sleep(0.001)", (number, done)).fetchone()[:2] == (number, done)
                done += 1
        return done

    def asks(number):
        """Each query is asked to be canceled at most once; a 57014 without that, or two for one, would be another's."""
        chance, hits = random.Random(number), 0
        with pooler.connect("test_transaction") as connection:
            for turn, _ in enumerate(cancels_left):
                cancel = Background(lambda: (time.sleep(chance.random() * 0.01), connection.cancel()))
                try:
                    assert connection.execute("SELECT %s::int, %s::int, pg_sleep(0.005)", (number, turn)).fetchone()[:2] == (number, turn)
                except psycopg.errors.QueryCanceled:
                    hits += 1
                cancel.result()
                # Nobody asked for this one.
                wait_for_cancels(pooler)
                assert connection.execute("SELECT 'quiet', pg_sleep(0.001)").fetchone()[0] == "quiet"
        return hits

    asking = True
    bystanders = [Background(innocent, number) for number in range(5)]
    askers = [Background(asks, number) for number in range(100, 104)]
    hits = sum(asker.result(60) for asker in askers)
    asking = False
    assert min(bystander.result() for bystander in bystanders) > 10
    assert hits > 10


def wait_for_cancels(pooler):
    wait_until(lambda: all(r["cl_waiting_cancel_req"] == r["cl_active_cancel_req"] == r["sv_being_canceled"] == 0
                           for r in pooler.console("SHOW POOLS")))
