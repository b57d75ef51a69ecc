# SPDX-License-Identifier: ISC
"""pgbench, each script in each protocol: not one transaction fails, and the books of TPC-B agree."""
import pytest
from helpers import pgbench_start, pgbench_tables, pgbench_transactions, servers

CLIENTS = 20


@pytest.mark.parametrize("script,transactions", [(["-S"], 200), (["-b", "simple-update"], 40), ([], 40)],
                         ids=["select", "simple-update", "tpcb"])
@pytest.mark.parametrize("mode,protocol,size", [
    ("session", "simple", 20), ("session", "extended", 20), ("session", "prepared", 20), ("session", "extended", 4),
    ("transaction", "simple", 4), ("transaction", "extended", 4), ("transaction", "simple", 1),
])
def test_no_transaction_fails(pgweir, postgres, mode, protocol, size, script, transactions):
    pgbench_tables(postgres)
    pooler = pgweir({"pool_mode": mode, "default_pool_size": size})
    clients = CLIENTS if mode == "transaction" else size
    made = pgbench_transactions(pgbench_start(pooler, "-c", clients, "-t", transactions, "-M", protocol, *script))
    assert made == transactions * clients
    assert len(servers(pooler)) <= size
    if not script:
        sums = postgres.execute("SELECT (SELECT sum(abalance) FROM pgbench_accounts) a, (SELECT sum(tbalance) FROM pgbench_tellers) t, "
                                "(SELECT sum(bbalance) FROM pgbench_branches) b, (SELECT sum(delta) FROM pgbench_history) h, "
                                "(SELECT count(*) FROM pgbench_history) n")[0]
        assert sums["a"] == sums["t"] == sums["b"] == sums["h"] and sums["n"] == made


def test_connecting_for_each_transaction(pgweir, postgres):
    pgbench_tables(postgres)
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 4})
    assert pgbench_transactions(pgbench_start(pooler, "-C", "-S", "-c", 8, "-t", 50)) == 400
