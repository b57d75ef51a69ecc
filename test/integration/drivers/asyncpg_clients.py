# SPDX-License-Identifier: ISC
"""asyncpg in its default settings: clients that each check that every answer is their own.

asyncpg_clients.py HOST PORT DATABASE CLIENTS MILLISECONDS; prints how many answers of each client were right, as JSON."""
import asyncio
import json
import sys
import time

import asyncpg


async def client(number, pool, end):
    """Named statements, the same text as others' and texts of its own, transactions, errors, cursors, COPY-free batches."""
    right = 0
    while time.monotonic() < end or right < 10:
        async with pool.acquire() as connection:  # and reset when it goes back
            assert await connection.fetchval("SELECT $1::int + $2::int", number, right) == number + right
            assert await connection.fetchval(f"SELECT 'own {number}'") == f"own {number}"
            async with connection.transaction():
                assert await connection.fetchval("SELECT $1::text", f"text {right}") == f"text {right}"
                rows = [row[0] async for row in connection.cursor("SELECT generate_series(1, $1::int)", 5, prefetch=2)]
                assert rows == [1, 2, 3, 4, 5]
            await connection.executemany("SELECT $1::int", [(n,) for n in range(5)])
            try:
                await connection.fetchval("SELECT 1 / $1::int", 0)
                raise AssertionError("no error")
            except asyncpg.DivisionByZeroError:
                pass
            prepared = await connection.prepare("SELECT $1::int * 2")
            assert await prepared.fetchval(number) == 2 * number
            assert await connection.fetchval("SHOW TimeZone") == f"Etc/GMT{number % 10:+d}"
            right += 1
    return right


async def main(host, port, database, clients, milliseconds):
    pools = [await asyncpg.create_pool(host=host, port=int(port), user="alice", database=database, min_size=1, max_size=1,
                                       server_settings={"timezone": f"Etc/GMT{number % 10:+d}", "statement_timeout": "20000"})
             for number in range(int(clients))]
    end = time.monotonic() + int(milliseconds) / 1000
    print(json.dumps(await asyncio.gather(*(client(number, pool, end) for number, pool in enumerate(pools)))))
    for pool in pools:
        await pool.close()


asyncio.run(main(*sys.argv[1:]))
