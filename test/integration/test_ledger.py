# SPDX-License-Identifier: ISC
"""What was told committed is committed, what was not finished never is: transfers of clients that are killed."""
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import time

import psycopg
import pytest
from conftest import ProtocolClosed, wait_until
from helpers import SYNC, TERMINATE, Background, bind, execute, make_table, parse, query, wait_idle

ACCOUNTS = 20


@pytest.fixture
def ledger(postgres):
    make_table(postgres, "accounts", "id int PRIMARY KEY, balance int NOT NULL")
    make_table(postgres, "journal", "id bigint PRIMARY KEY, source int, target int, amount int")
    make_table(postgres, "entries", "id bigint, account int, amount int")
    postgres.execute(f"INSERT INTO accounts SELECT n, 1000 FROM generate_series(1, {ACCOUNTS}) n")
    return postgres


def check(postgres, told=None, never=()):
    """The books agree. told: transfers that were answered as committed; never: those that must not be there."""
    assert postgres.execute("SELECT sum(balance) AS sum FROM accounts") == [{"sum": ACCOUNTS * 1000}]
    assert postgres.execute("SELECT id FROM entries GROUP BY id HAVING sum(amount) <> 0 OR count(*) <> 2") == []
    assert postgres.execute("SELECT id FROM journal FULL JOIN (SELECT DISTINCT id FROM entries) e USING (id) "
                            "WHERE journal.id IS NULL OR e.id IS NULL") == []
    assert postgres.execute("SELECT a.id FROM accounts a LEFT JOIN entries e ON e.account = a.id GROUP BY a.id, a.balance "
                            "HAVING a.balance <> 1000 + coalesce(sum(e.amount), 0)") == []
    found = {r["id"] for r in postgres.execute("SELECT id FROM journal")}
    if told is not None:
        assert told <= found, f"told committed, not there: {sorted(told - found)}"
    assert not found & set(never), f"never finished, but there: {sorted(found & set(never))}"
    return found


def transfer(number, chance):
    """The statements of one transfer. Accounts are taken in order, against deadlocks."""
    source, target = chance.sample(range(1, ACCOUNTS + 1), 2)
    amount = chance.randrange(1, 100)
    changes = sorted([(source, -amount), (target, amount)])
    return ["BEGIN", *(f"UPDATE accounts SET balance = balance + {change} WHERE id = {account}" for account, change in changes),
            *(f"INSERT INTO entries VALUES ({number}, {account}, {change})" for account, change in changes),
            f"INSERT INTO journal VALUES ({number}, {source}, {target}, {amount})", "COMMIT"]


def reset(connection):
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("mode", ["test_session", "test_transaction"])
def test_transfers_of_clients_that_vanish_between_and_inside_messages(pgweir, ledger, wire, mode):
    pooler = pgweir({"default_pool_size": 4, "log_connections": 0, "log_disconnections": 0, "max_client_conn": 200})
    told, never, unsure = set(), set(), set()

    def client(seed):
        chance = random.Random(seed)
        for turn in range(30):
            number = seed * 1000 + turn
            statements = transfer(number, chance)
            connection = wire(pooler)
            connection.startup(database=mode)
            stop = chance.randrange(len(statements) * 2)
            for position, statement in enumerate(statements):
                extended = chance.random() < 0.3
                data = parse(statement) + bind() + execute() + SYNC if extended else query(statement)
                if position == stop:  # before, inside, or right behind this statement
                    cut = chance.choice((0, chance.randrange(1, len(data)), len(data)))
                    connection.send_raw(data[:cut])
                    # A whole COMMIT may have been done.
                    (unsure if statement == "COMMIT" and cut > len(data) - 6 else never).add(number)
                    if chance.random() < 0.2 and cut in (0, len(data)):
                        connection.send_raw(TERMINATE)
                    reset(connection) if chance.random() < 0.3 else connection.close()
                    break
                connection.send_raw(data)
                messages = connection.read_until(b"Z")
                assert b"E" not in connection.kinds(messages), messages
            else:
                told.add(number)
                connection.close()
        return True

    assert all(job.result() for job in [Background(client, seed) for seed in range(1, 17)])
    wait_idle(pooler)
    found = check(ledger, told, never)
    assert found <= told | unsure and len(told) > 100 and len(never) > 100


def test_transfers_sent_ahead_by_clients_that_vanish(pgweir, ledger, wire):
    """The whole transaction in one write, cut anywhere: whole or not at all."""
    pooler = pgweir({"default_pool_size": 3, "pool_mode": "transaction", "log_connections": 0, "log_disconnections": 0})
    never = set()

    def client(seed):
        chance = random.Random(seed)
        for turn in range(40):
            number = seed * 1000 + turn
            whole = b"".join(map(query, transfer(number, chance)))
            cut = chance.randrange(len(whole) + 1)
            if cut < len(whole):
                never.add(number)
            connection = wire(pooler)
            connection.startup()
            connection.send_raw(whole[:cut])
            reset(connection) if chance.random() < 0.5 else connection.close()
        return True

    assert all(job.result() for job in [Background(client, seed) for seed in range(1, 11)])
    wait_idle(pooler)
    check(ledger, never=never)


CLIENT = textwrap.dedent("""
    import random, sys, psycopg
    sys.path.insert(0, sys.argv[1])
    from test_ledger import transfer
    dsn, seed = sys.argv[2], int(sys.argv[3])
    chance = random.Random(seed)
    connection = psycopg.connect(dsn, autocommit=True)
    connection.prepare_threshold = None
    number = seed * 100000
    while True:
        number += 1
        for statement in transfer(number, chance):
            connection.execute(statement)
        print(number, flush=True)
""")


def test_transfers_of_processes_that_are_killed(pgweir, ledger):
    pooler = pgweir({"default_pool_size": 4, "pool_mode": "transaction"})
    told, chance = set(), random.Random(7)
    for round_number in range(2):
        processes = [subprocess.Popen([sys.executable, "-c", CLIENT, os.path.dirname(__file__), pooler.dsn(), str(round_number * 100 + n + 1)],
                                      stdout=subprocess.PIPE, text=True) for n in range(5)]
        for process in processes:
            assert process.stdout.readline()  # it works
        lines = [Background(process.stdout.read) for process in processes]
        for process in processes:
            time.sleep(chance.random() * 0.3)  # it is killed wherever it happens to be
            process.send_signal(signal.SIGKILL)
        for n, (process, line) in enumerate(zip(processes, lines)):
            process.wait()
            told |= {int(word) for word in line.result().split()[:-1]} | {(round_number * 100 + n + 1) * 100000 + 1}
            process.stdout.close()
    wait_idle(pooler)
    check(ledger, told)
    assert len(told) > 50


def test_transfers_while_backends_are_killed(pgweir, ledger):
    pooler = pgweir({"default_pool_size": 4, "pool_mode": "transaction", "server_login_retry": 0, "max_client_conn": 500})
    told, unsure, end = set(), set(), time.monotonic() + 4

    def client(seed):
        chance, number, failures = random.Random(seed), seed * 100000, 0
        connection = pooler.connect()
        while time.monotonic() < end:
            number += 1
            try:
                for statement in transfer(number, chance):
                    connection.execute(statement)
                told.add(number)
            except psycopg.OperationalError:
                unsure.add(number)
                failures += 1
                connection.close()
                connection = pooler.connect()
        connection.close()
        return failures

    jobs = [Background(client, seed) for seed in range(1, 9)]
    while time.monotonic() < end:
        ledger.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'alice' ORDER BY random() LIMIT 1")
        jobs[0].join(0.05)
    assert sum(job.result() for job in jobs) > 5
    wait_idle(pooler)
    found = check(ledger, told)
    assert found <= told | unsure and len(told) > 100


def test_transfers_while_the_pooler_is_killed(pgweir, ledger):
    """Nothing that a client was told is lost with the pooler, and what was in flight is whole or not there."""
    pooler = pgweir({"default_pool_size": 4, "pool_mode": "transaction"})
    told = set()

    def client(seed):
        chance, number = random.Random(seed), seed * 100000
        try:
            with pooler.connect() as connection:
                while True:
                    number += 1
                    for statement in transfer(number, chance):
                        connection.execute(statement)
                    told.add(number)
        except psycopg.OperationalError:
            return True

    for turn in range(3):
        jobs = [Background(client, turn * 10 + seed) for seed in range(1, 9)]
        before = len(told)
        wait_until(lambda: len(told) > before + 50)
        pooler.process.kill()
        pooler.process.wait()
        assert all(job.result() for job in jobs)
        pooler.start()
    wait_until(lambda: ledger.execute("SELECT count(*) AS n FROM pg_stat_activity WHERE usename = 'alice' AND state <> 'idle'") == [{"n": 0}])
    check(ledger, told)


def test_a_commit_that_was_told_is_there_for_the_next_client(pgweir, ledger, wire):
    pooler = pgweir({"default_pool_size": 3, "pool_mode": "transaction"})
    writer, reader = wire(pooler), wire(pooler)
    writer.startup()
    reader.startup()
    for number in range(200):
        writer.send_raw(b"".join(map(query, transfer(number, random.Random(number)))))
        try:
            while writer.read_until(b"Z")[-1] != (b"Z", b"I"):
                pass
        except ProtocolClosed:
            pytest.fail("the session ended")
        assert reader.rows(reader.query(f"SELECT count(*) FROM journal WHERE id = {number}")) == [[b"1"]]
    check(ledger, set(range(200)))
