# SPDX-License-Identifier: ISC
"""A database at several hosts: which is used, and what happens when one of them cannot be."""
import time

import pytest
from conftest import DATABASE, free_port, wait_until
from helpers import Background, busy, pool, where
from nameserver import Relay, Says

ONE, TWO, THREE = "127.0.0.2", "127.0.0.3", "127.0.0.4"
# What nobody waits for within a test.
SLOW = {"pool_mode": "transaction", "server_tls_sslmode": "disable", "server_login_retry": 300}
STARTING = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
STARTING = b"E" + (len(STARTING) + 4).to_bytes(4, "big") + STARTING


@pytest.fixture
def site(postgres):
    """Relays to PostgreSQL, made by site.up(address) at one port; site.says(address, message)."""
    class Site:
        port = free_port()
        relays = []

        def up(self, address):
            self.relays.append(Relay((address, self.port), (postgres.host, postgres.port)))
            return self.relays[-1]

        def says(self, address, message):
            self.relays.append(Says((address, self.port), message))
            return self.relays[-1]

        def row(self, *hosts, more=""):
            return {DATABASE: f"host={','.join(hosts)} port={self.port} {more}"}

    made = Site()
    made.relays = []
    yield made
    for relay in made.relays:
        relay.stop()


# ---- failover ----


def test_a_host_that_refuses_is_followed_by_the_next_at_once(pgweir, site):
    site.up(THREE)
    p = pgweir(SLOW, databases=site.row(ONE, TWO, THREE))
    with busy(p, 3):
        assert where(p) == {THREE: 3}
    # each was tried once: a host that failed is left alone for server_login_retry
    assert p.log().count("closing because: connect failed") == 2


def test_a_host_that_is_starting_up_is_followed_by_the_next_at_once(pgweir, site):
    starting = site.says(ONE, STARTING)
    site.up(TWO)
    p = pgweir(SLOW, databases=site.row(ONE, TWO))
    with busy(p, 2):
        assert where(p) == {TWO: 2}
    assert starting.accepted == 1 and "the database system is starting up" in p.log()


def test_a_silent_host_is_followed_by_the_next_after_server_connect_timeout(pgweir, site):
    site.says(ONE, b"")
    site.up(TWO)
    p = pgweir({**SLOW, "server_connect_timeout": 1}, databases=site.row(ONE, TWO))
    with busy(p, 1):
        assert where(p) == {TWO: 1}
    assert "connecting took longer than server_connect_timeout" in p.log()


def test_all_hosts_are_tried_again_after_server_login_retry(pgweir, site, wire):
    starting = [site.says(address, STARTING) for address in (ONE, TWO)]
    p = pgweir({**SLOW, "server_login_retry": 2}, databases=site.row(ONE, TWO))
    client = wire(p)
    client.startup(login=False)
    wait_until(lambda: sum(s.accepted for s in starting) == 2)
    began = time.monotonic()
    wait_until(lambda: sum(s.accepted for s in starting) == 4)
    assert time.monotonic() - began > 1.5
    assert [s.accepted for s in starting] == [2, 2] and pool(p)["cl_waiting"] == 1
    starting[1].stop()
    site.up(TWO)
    client.read_until(b"Z")
    assert client.rows(client.query("SELECT 'served'")) == [[b"served"]]


def test_the_last_cause_is_told_to_who_waited_in_vain(pgweir, site, wire):
    p = pgweir({**SLOW, "query_wait_timeout": 1}, databases=site.row(ONE, TWO))
    client = wire(p)
    client.startup(login=False)
    error = client.read_error()
    assert error["M"] == "query_wait_timeout" and f"connect to {TWO}:{site.port} failed: Connection refused" in error["D"]


@pytest.mark.parametrize("balance", ["round-robin", "disable"])
def test_clients_go_on_at_the_other_host_when_one_dies(pgweir, site, balance):
    dying = site.up(ONE)
    site.up(TWO)
    p = pgweir({**SLOW, "default_pool_size": 4}, databases=site.row(ONE, TWO, more=f"load_balance_hosts={balance}"))
    clients = [p.connect() for _ in range(4)]
    for client in clients:
        client.execute("BEGIN")
    for client in clients:
        client.execute("COMMIT")
    assert set(where(p)) == ({ONE, TWO} if balance == "round-robin" else {ONE})
    dying.stop()
    wait_until(lambda: where(p)[ONE] == 0)
    jobs = [Background(lambda c=client: c.execute("SELECT 'on', pg_sleep(0.2)").fetchone()[0]) for client in clients]
    assert [job.result() for job in jobs] == ["on"] * 4
    assert set(where(p)) == {TWO}
    for client in clients:
        client.close()


def test_reconnect_tries_a_host_that_failed(pgweir, site):
    site.up(TWO)
    p = pgweir(SLOW, databases=site.row(ONE, TWO))
    assert p.query("SELECT 1") == [(1,)] and where(p) == {TWO: 1}
    site.up(ONE)
    p.console("RECONNECT")
    with busy(p, 2):
        assert where(p) == {ONE: 1, TWO: 1}


# ---- balance ----


@pytest.mark.parametrize("balance, expected", [
    ("", {ONE: 2, TWO: 2, THREE: 2}), ("load_balance_hosts=round-robin", {ONE: 2, TWO: 2, THREE: 2}),
    ("load_balance_hosts=disable", {ONE: 6})])
def test_load_balance_hosts(pgweir, site, balance, expected):
    for address in (ONE, TWO, THREE):
        site.up(address)
    p = pgweir({**SLOW, "max_server_logins": 1}, databases=site.row(ONE, TWO, THREE, more=balance))
    with busy(p, 6):
        assert where(p) == expected
    row = next(r for r in p.console("SHOW DATABASES") if r["name"] == DATABASE)
    assert row["host"] == f"{ONE},{TWO},{THREE}"
    assert row["load_balance_hosts"] == (balance.partition("=")[2] or "round-robin")


def test_without_balance_the_first_host_that_works_is_kept(pgweir, site):
    site.up(TWO)
    p = pgweir({**SLOW, "server_login_retry": 1}, databases=site.row(ONE, TWO, more="load_balance_hosts=disable"))
    assert p.query("SELECT 1") == [(1,)]
    site.up(ONE)
    time.sleep(1.1)  # long enough for the first to be tried again
    with busy(p, 3):
        assert where(p) == {TWO: 3}


# ---- Unix sockets ----


def test_directories_and_abstract_names_stand_in_a_list(pgweir, postgres):
    name = f"@pgweir-test-{postgres.port}"
    relay = Relay("\0" + f"{name[1:]}/.s.PGSQL.{postgres.port}", (postgres.host, postgres.port))
    try:
        p = pgweir({**SLOW, "max_server_logins": 1}, databases={
            DATABASE: f"host='{postgres.socket_dir},{name},127.0.0.1' port={postgres.port}"})
        with busy(p, 3):
            assert where(p) == {"unix": 2, "127.0.0.1": 1}
            assert relay.accepted == 1
    finally:
        relay.stop()


def test_a_directory_without_a_socket_is_followed_by_the_next_host(pgweir, postgres, tmp_path):
    p = pgweir(SLOW, databases={DATABASE: f"host='{tmp_path},@pgweir-nobody,{postgres.socket_dir}' port={postgres.port}"})
    with busy(p, 2):
        assert where(p) == {"unix": 2}
    assert p.log().count("closing because: connect failed") == 2
