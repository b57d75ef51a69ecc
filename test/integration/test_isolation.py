# SPDX-License-Identifier: ISC
"""Nobody gets another's rows; nothing half-done is committed; a cancel hits only its own query."""
import asyncio
import random
import threading
import time

import psycopg
import pytest
from conftest import wait_until

CLIENTS = 200


def test_200_clients_on_5_servers_get_their_own_rows_only(pgweir):
    pooler = pgweir({"default_pool_size": 5, "pool_mode": "transaction", "max_client_conn": 300})
    end = time.monotonic() + 6

    async def client(tag):
        chance = random.Random(tag)
        connection = await psycopg.AsyncConnection.connect(pooler.dsn(application_name=f"tag{tag}"), autocommit=True)
        connection.prepare_threshold = None
        rows = 0
        async with connection:
            while time.monotonic() < end:
                count = chance.choice((1, 3, 50, 2000))
                query = "SELECT %s::int, n, current_setting('application_name') FROM generate_series(1, %s) n"
                if chance.random() < 0.3:
                    async with connection.transaction():
                        for _ in range(2):
                            got = await (await connection.execute(query, (tag, count))).fetchall()
                            assert got == [(tag, n, f"tag{tag}") for n in range(1, count + 1)]
                            rows += count
                else:
                    got = await (await connection.execute(query, (tag, count))).fetchall()
                    assert got == [(tag, n, f"tag{tag}") for n in range(1, count + 1)]
                    rows += count
        return rows

    async def everyone():
        return await asyncio.gather(*(client(tag) for tag in range(CLIENTS)))

    assert min(asyncio.run(everyone())) > 0
    servers = [r for r in pooler.console("SHOW SERVERS") if r["database"] == "test"]
    assert 1 <= len(servers) <= 5


def test_clients_that_vanish_at_random_leave_nothing_half_done(pgweir, postgres, wire):
    postgres.execute("DROP TABLE IF EXISTS ledger, journal; CREATE TABLE ledger(id int, amount int); "
                     "CREATE TABLE journal(id int); GRANT ALL ON ledger, journal TO PUBLIC")
    pooler = pgweir({"default_pool_size": 4, "pool_mode": "transaction", "log_connections": 0})
    chance = random.Random(4711)
    lock, told = threading.Lock(), set()

    def transfer(number, stop_at):
        connection = wire(pooler)
        connection.startup()
        steps = ["BEGIN", f"INSERT INTO ledger VALUES ({number}, 100)", f"INSERT INTO ledger VALUES ({number}, -100)",
                 f"INSERT INTO journal VALUES ({number})", "COMMIT"]
        for i, step in enumerate(steps):
            if i == stop_at:
                if chance.random() < 0.5:   # the beginning of a message, then nothing
                    connection.send_raw(connection.message(b"Q", step.encode() + b"\0")[:chance.randrange(1, 8)])
                connection.close()
                return
            connection.query(step)
        with lock:
            told.add(number)
        connection.close()

    numbers = iter(range(1, 401))
    pick = threading.Lock()

    def worker():
        while True:
            with pick:
                number = next(numbers, None)
                stop_at = chance.randrange(0, 7)
            if number is None:
                return
            transfer(number, stop_at)

    threads = [threading.Thread(target=worker) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until(lambda: all(r["sv_active"] == 0 for r in pooler.console("SHOW POOLS")))
    assert postgres.execute("SELECT id FROM ledger GROUP BY id HAVING sum(amount) <> 0 OR count(*) <> 2") == []
    committed = {r["id"] for r in postgres.execute("SELECT id FROM journal")}
    assert committed == {r["id"] for r in postgres.execute("SELECT DISTINCT id FROM ledger")} == told


def test_cancel_ends_the_query_and_not_the_session(pgweir):
    pooler = pgweir({"default_pool_size": 1, "pool_mode": "transaction"})
    with pooler.connect() as connection:
        timer = threading.Timer(0.3, connection.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(20)")
        timer.join()
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_cancels_hit_only_who_asked(pgweir):
    pooler = pgweir({"default_pool_size": 5, "pool_mode": "transaction"})
    asked, hit, stop = set(), set(), time.monotonic() + 5
    errors = []

    def victim(number, may_cancel):
        chance = random.Random(number)
        with pooler.connect() as connection:
            while time.monotonic() < stop:
                timer = None
                if may_cancel:
                    asked.add(number)
                    timer = threading.Timer(chance.random() * 0.08, connection.cancel)
                    timer.start()
                try:
                    connection.execute("SELECT pg_sleep(0.05)")
                except psycopg.errors.QueryCanceled:
                    hit.add(number)
                except psycopg.Error as error:
                    errors.append(error)
                if timer:
                    timer.join()

    threads = [threading.Thread(target=victim, args=(i, i < 3)) for i in range(7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert hit <= asked and hit
