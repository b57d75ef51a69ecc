# SPDX-License-Identifier: ISC
"""No client ever gets a byte of another's: two hundred of them on five servers, each row with its client's tag."""
import asyncio
import random
import time

import psycopg
import pytest
from helpers import SYNC, TERMINATE, Background, bind, execute, parse, query, servers

CLIENTS, SERVERS, SECONDS = 200, 5, 8


async def by_the_driver(pooler, tag, end):
    """Queries of random size, transactions, pipelines, errors, COPY; answers how many rows were right."""
    chance, right = random.Random(tag), 0
    name = f"tag{tag}"
    select = "SELECT %s::int, n, current_setting('application_name'), repeat(%s, n %% 50) FROM generate_series(1, %s) n"

    def check(rows, count):
        assert rows == [(tag, n, name, str(tag) * (n % 50)) for n in range(1, count + 1)]
        return count

    async with await psycopg.AsyncConnection.connect(pooler.dsn(application_name=name, connect_timeout=30), autocommit=True) as connection:
        connection.prepare_threshold = None

        async def ask(count):
            cursor = await connection.execute(select, (tag, str(tag), count))
            return check(await cursor.fetchall(), count)

        while time.monotonic() < end or not right:
            count = chance.choice((0, 1, 3, 50, 2000))
            action = chance.random()
            if action < 0.5:
                right += await ask(count)
            elif action < 0.65:
                try:
                    async with connection.transaction():
                        right += await ask(count)
                        right += await ask(1)
                        if chance.random() < 0.3:
                            await connection.execute("SELECT 1/0")
                except psycopg.errors.DivisionByZero:
                    pass
            elif action < 0.8:
                async with connection.pipeline():
                    cursors = [(await connection.execute(select, (tag, str(tag), n)), n) for n in (1, count, 2)]
                    for cursor, n in cursors:
                        right += check(await cursor.fetchall(), n)
            elif action < 0.9:
                with pytest.raises(psycopg.errors.RaiseException, match=f"^{name}\n"):
                    await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION '{name}'; END $$")
            else:
                async with connection.cursor().copy("COPY (SELECT %s::int, n FROM generate_series(1, %s) n) TO STDOUT", (tag, count)) as copy:
                    data = b"".join([bytes(part) async for part in copy])
                assert data == b"".join(b"%d\t%d\n" % (tag, n) for n in range(1, count + 1))
                right += count
    return right


def test_two_hundred_clients_on_five_servers_get_their_own_rows_only(pgweir):
    pooler = pgweir({"default_pool_size": SERVERS, "pool_mode": "transaction", "max_client_conn": CLIENTS + 10})
    end = time.monotonic() + SECONDS

    async def everyone():
        return await asyncio.gather(*(by_the_driver(pooler, tag, end) for tag in range(1000, 1000 + CLIENTS)))

    right = asyncio.run(everyone())
    assert len(right) == CLIENTS and min(right) > 0
    assert 1 <= len(servers(pooler)) <= SERVERS


def test_pipelines_cut_at_random_bytes_keep_their_answers(pgweir, wire):
    """Messages arrive in pieces of random size, several queries at once, while some clients vanish in the middle."""
    pooler = pgweir({"default_pool_size": 2, "pool_mode": "transaction", "max_client_conn": 200, "log_connections": 0,
                     "log_disconnections": 0})
    end = time.monotonic() + 4

    def client(tag):
        chance, right = random.Random(tag), 0
        connection = None
        while time.monotonic() < end:
            if connection is None:
                connection = wire(pooler)
                connection.startup(application_name=f"tag{tag}")
            requests, expected = [], []
            for _ in range(chance.randrange(1, 8)):
                size = chance.choice((0, 1, 10, 3000))
                text = f"{tag}-{chance.random()}-" + "x" * size
                if chance.random() < 0.5:
                    requests.append(query(f"SELECT '{text}'"))
                else:
                    requests.append(parse("SELECT $1::text") + bind(text) + execute() + SYNC)
                expected.append([[text.encode()]])
            data = b"".join(requests)
            leaves = chance.random() < 0.1
            if leaves:
                data = data[:chance.randrange(len(data))]
            while data:
                size = chance.choice((1, 2, 5, 6, 100, 5000))
                connection.send_raw(data[:size])
                data = data[size:]
            if leaves:
                if chance.random() < 0.3:
                    connection.send_raw(TERMINATE)
                connection.close()
                connection = None
                continue
            for rows in expected:
                assert connection.rows(connection.read_until(b"Z")) == rows
                right += 1
        return right

    rights = [job.result() for job in [Background(client, tag) for tag in range(5000, 5024)]]
    assert min(rights) > 0 and sum(rights) > 500


def test_a_server_that_dies_in_an_answer_leaves_no_piece_of_it_to_others(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 2, "pool_mode": "transaction", "server_login_retry": 0})
    for _ in range(5):
        victim = wire(pooler)
        victim.startup()
        victim.send_raw(query("SELECT 'victim', repeat('v', 5000) FROM generate_series(1, 1000000)"))
        victim.read_until(b"D")
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT ''victim''%'")
        jobs = [Background(pooler.query, f"SELECT 'own{n}'") for n in range(5)]
        assert [job.result() for job in jobs] == [[(f"own{n}",)] for n in range(5)]
        messages = victim.read_rest()
        assert set(victim.kinds(messages)) <= set(b"DE") and victim.kinds(messages).count(b"E") <= 1
        assert all(victim.row(body) == [b"victim", b"v" * 5000] for kind, body in messages if kind == b"D")
