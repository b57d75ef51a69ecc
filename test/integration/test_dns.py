# SPDX-License-Identifier: ISC
"""Host names of databases: all addresses in turn, how long they are kept, and what follows when they change."""
import contextlib
import subprocess
import threading
import time

import pytest
from conftest import DATABASE, Unprivileged, covers, free_port, wait_until
from helpers import Background, busy, query, servers, wait_waiting, where
from nameserver import NameServer, Relay

ONE, TWO, THREE, SIX = "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"


@pytest.fixture
def dns():
    with contextlib.closing(NameServer()) as server:
        yield server


@pytest.fixture
def port(postgres):
    """A port at which PostgreSQL can be reached at all the addresses above."""
    number = free_port()
    relays = [Relay((address, number), (postgres.host, postgres.port)) for address in (ONE, TWO, THREE, SIX)]
    yield number
    for relay in relays:
        relay.stop()


@pytest.fixture
def pooler(pgweir, dns, port):
    """Factory of poolers whose database is at the host "db.my.test"."""
    def factory(config=None, host="db.my.test", resolv_conf="", start=True, **databases):
        made = pgweir({"pool_mode": "transaction", "server_tls_sslmode": "disable", **(config or {})},
                      databases={DATABASE: f"host={host} port={port} dbname={DATABASE}", **databases}, start=False)
        made.change_config(resolv_conf=dns.resolv_conf(made.directory, resolv_conf))
        return made.start() if start else made
    return factory


def hosts(pooler):
    return {r["hostname"]: r for r in pooler.console("SHOW DNS_HOSTS")}


def lists(pooler):
    return {r["list"]: r["items"] for r in pooler.console("SHOW LISTS")}


# ---- addresses ----


def test_all_addresses_are_used_in_turn(pooler, dns):
    dns.records["db.my.test"] = [ONE, TWO, SIX]
    p = pooler({"max_server_logins": 1})
    with busy(p, 6):
        assert where(p) == {ONE: 2, TWO: 2, SIX: 2}
    assert (dns.count("db.my.test"), dns.count("db.my.test", "AAAA")) == (1, 1)


def test_the_next_address_is_tried_at_once(pooler, dns):
    dns.records["db.my.test"] = ["127.0.0.9", ONE]  # nobody is at the first
    p = pooler({"server_login_retry": 60})
    with busy(p, 4):
        assert where(p) == {ONE: 4}
    assert "cannot use this address: connect to 127.0.0.9:" in p.log()
    assert "cannot use the server" not in p.log()


def test_one_family_is_enough(pooler, dns):
    dns.records["db.my.test"] = [SIX]
    p = pooler()
    with busy(p, 1):
        assert where(p) == {SIX: 1}


# ---- how long they are kept ----


def test_show_dns_tells_what_is_known(pooler, dns):
    dns.records["db.my.test"], dns.ttl = [ONE, SIX], 3600
    p = pooler({"dns_max_ttl": 600})
    assert p.console("SHOW DNS_HOSTS") == [] and p.console("SHOW DNS_ZONES") == []
    assert lists(p)["dns_names"] == 0
    assert p.query("SELECT 1") == [(1,)]
    row = hosts(p)["db.my.test"]
    assert sorted(row["addrs"].split(",")) == [ONE, SIX] and 500 < row["ttl"] <= 600
    assert p.console("SHOW DNS_ZONES") == [{"zonename": "my.test", "serial": 0, "count": 1}]
    assert {k: v for k, v in lists(p).items() if k.startswith("dns")} == {
        "dns_names": 1, "dns_zones": 1, "dns_queries": 0, "dns_pending": 0}


def test_lookups_under_way_are_counted(pooler, dns, wire):
    dns.silent = True
    p = pooler()
    wire(p).startup(login=False)
    wait_until(lambda: dns.count("db.my.test"))
    assert {k: v for k, v in lists(p).items() if k.startswith("dns")} == {
        "dns_names": 1, "dns_zones": 1, "dns_queries": 1, "dns_pending": 1}


@covers("dns_max_ttl")
@pytest.mark.parametrize("ttl, longest", [(2, 600), (3600, 2)], ids=["of the record", "dns_max_ttl"])
def test_a_name_is_asked_for_again_after(pooler, dns, ttl, longest):
    dns.records["db.my.test"], dns.ttl = [ONE], ttl
    p = pooler({"dns_max_ttl": longest})
    with busy(p, 1):
        assert hosts(p)["db.my.test"]["ttl"] <= 2
        dns.records["db.my.test"] = [ONE, TWO]
        wait_until(lambda: hosts(p)["db.my.test"]["ttl"] == 0 or TWO in hosts(p)["db.my.test"]["addrs"])
        with busy(p, 3):
            assert set(where(p)) == {ONE, TWO}


def test_a_long_answer_is_not_asked_for_again(pooler, dns):
    dns.records["db.my.test"] = [ONE]
    p = pooler({"dns_max_ttl": 600})
    with busy(p, 1):
        dns.records["db.my.test"] = [TWO]
        time.sleep(1.5)
        with busy(p, 2):
            assert where(p) == {ONE: 3}
    assert dns.count("db.my.test") == 1


@covers("dns_nxdomain_ttl")
def test_that_a_name_does_not_exist_is_kept_for_dns_nxdomain_ttl(pooler, dns, wire):
    p = pooler({"dns_nxdomain_ttl": 600, "server_login_retry": 1})
    client = wire(p)
    client.startup(login=False)
    wait_until(lambda: p.log().count('could not translate host name "db.my.test"') >= 3)
    assert dns.count("db.my.test") == 1
    dns.records["db.my.test"] = [ONE]
    p.console("SET dns_nxdomain_ttl = 1")  # for answers from now on: those of the other name
    assert hosts(p)["db.my.test"]["addrs"] == "" and hosts(p)["db.my.test"]["ttl"] > 500


def test_a_name_that_came_to_exist_is_found_after_dns_nxdomain_ttl(pooler, dns, wire):
    p = pooler({"dns_nxdomain_ttl": 1, "server_login_retry": 1})
    client = wire(p)
    client.startup(login=False)
    wait_until(lambda: dns.count("db.my.test") >= 2)
    dns.records["db.my.test"] = [ONE]
    client.read_until(b"Z")
    assert client.rows(client.query("SELECT 'found'")) == [[b"found"]]


def test_query_wait_timeout_tells_that_the_name_is_not_known(pooler, wire):
    p = pooler({"query_wait_timeout": 1})
    client = wire(p)
    client.startup(login=False)
    error = client.read_error()
    assert error["M"] == "query_wait_timeout"
    assert 'could not translate host name "db.my.test" to address' in error["D"]
    assert "closing because: server DNS lookup failed" in p.log()


# ---- the name server does not answer ----


def test_known_addresses_stay_in_use_while_the_name_server_is_down(pooler, dns):
    dns.records["db.my.test"], dns.ttl = [ONE], 1
    p = pooler({"dns_max_ttl": 1, "dns_nxdomain_ttl": 1})
    with busy(p, 1):
        dns.silent = True
        wait_until(lambda: hosts(p)["db.my.test"]["ttl"] == 0)
        began = time.monotonic()
        for count in (2, 3):
            with busy(p, count):
                assert where(p) == {ONE: count + 1} or where(p) == {ONE: count}
        assert time.monotonic() - began < 8  # not the 14 s that three tries take
    assert hosts(p)["db.my.test"]["addrs"] == ONE
    assert p.query("SELECT 'still'") == [("still",)]


def test_a_silent_name_server_stops_nobody_else(pooler, dns, wire, postgres):
    dns.silent = True
    p = pooler(other=f"host=127.0.0.1 port={postgres.port} dbname={DATABASE}")
    client = wire(p)
    client.startup(login=False)
    began = time.monotonic()
    assert p.query("SELECT 1", db="other") == [(1,)]
    assert time.monotonic() - began < 5
    dns.silent = False
    dns.records["db.my.test"] = [ONE]
    client.read_until(b"Z")


# ---- addresses change ----


def test_servers_at_addresses_that_are_gone_retire_when_they_are_free(pooler, dns):
    dns.records["db.my.test"], dns.ttl = [ONE], 1
    p = pooler({"dns_max_ttl": 1})
    with busy(p, 3) as clients:
        clients[0].execute("COMMIT")  # idle from now on
        dns.records["db.my.test"] = [TWO]
        wait_until(lambda: where(p)[ONE] == 2, 15)
        assert "closing because: obsolete connection" in p.log()
        assert {r["close_needed"] for r in servers(p) if r["addr"] == ONE} == {1}
        # what runs goes on
        assert clients[1].execute("SELECT 'mine'").fetchone() == ("mine",)
        clients[1].execute("COMMIT")
        wait_until(lambda: where(p)[ONE] == 1)
        assert clients[1].execute("SELECT 'served'").fetchone() == ("served",)
        assert where(p) == {ONE: 1, TWO: 1}
        clients[2].execute("COMMIT")
        wait_until(lambda: where(p)[ONE] == 0)


def test_servers_at_addresses_that_stay_are_left_alone(pooler, dns):
    dns.records["db.my.test"], dns.ttl = [ONE, TWO], 1
    p = pooler({"dns_max_ttl": 1, "max_server_logins": 1})
    with busy(p, 2) as clients:
        for client in clients:
            client.execute("COMMIT")
    before = {r["addr"]: r["remote_pid"] for r in servers(p)}
    dns.records["db.my.test"] = [TWO, THREE]
    wait_until(lambda: where(p)[ONE] == 0, 15)
    assert {r["addr"]: r["remote_pid"] for r in servers(p)} == {TWO: before[TWO]}


def test_a_name_that_is_gone_leaves_servers_alone(pooler, dns):
    dns.records["db.my.test"], dns.ttl = [ONE], 1
    p = pooler({"dns_max_ttl": 1, "dns_nxdomain_ttl": 1})
    assert p.query("SELECT 1") == [(1,)]
    pid = servers(p)[0]["remote_pid"]
    del dns.records["db.my.test"]
    wait_until(lambda: hosts(p)["db.my.test"]["addrs"] == "", 15)
    assert p.query("SELECT 1") == [(1,)] and servers(p)[0]["remote_pid"] == pid


def test_addresses_that_change_under_load_fail_nobody(pooler, dns):
    dns.records["db.my.test"], dns.serials["my.test"] = [ONE], 1
    p = pooler({"dns_max_ttl": 3600, "dns_zone_check_period": "200ms", "default_pool_size": 3})
    stop = threading.Event()

    def work(number):
        done = 0
        with p.connect() as connection:
            while not stop.is_set():
                with connection.transaction():
                    assert connection.execute("SELECT %s::int", (number,)).fetchone() == (number,)
                    assert connection.execute("SELECT %s::int + 1", (number,)).fetchone() == (number + 1,)
                done += 1
        return done

    jobs = [Background(work, number) for number in range(8)]
    try:
        for serial, addresses in enumerate(([TWO], [TWO, THREE], [ONE], [SIX]), 2):
            wait_until(lambda: sum(where(p).values()) > 0)
            dns.records["db.my.test"], dns.serials["my.test"] = addresses, serial
            wait_until(lambda a=addresses: where(p) and set(where(p)) <= set(a))
    finally:
        stop.set()
    assert all(job.result() > 0 for job in jobs)


# ---- zones ----


@covers("dns_zone_check_period")
def test_a_changed_serial_makes_names_asked_for(pooler, dns):
    dns.records["db.my.test"], dns.serials["my.test"] = [ONE], 41
    p = pooler({"dns_max_ttl": 3600, "dns_zone_check_period": "200ms"})
    assert p.query("SELECT 1") == [(1,)]
    wait_until(lambda: p.console("SHOW DNS_ZONES") == [{"zonename": "my.test", "serial": 41, "count": 1}])
    dns.records["db.my.test"] = [TWO]
    asked = dns.count("my.test", "SOA")
    wait_until(lambda: dns.count("my.test", "SOA") > asked + 3)
    assert where(p) == {ONE: 1} and dns.count("db.my.test") == 1
    dns.serials["my.test"] = 42
    wait_until(lambda: where(p)[ONE] == 0)
    assert p.query("SELECT 1") == [(1,)]
    assert where(p) == {TWO: 1} and dns.count("db.my.test") == 2
    assert p.console("SHOW DNS_ZONES")[0]["serial"] == 42


def test_zones_are_checked_from_the_reload_that_says_so(pooler, dns):
    dns.records["db.my.test"], dns.serials["my.test"] = [ONE], 7
    p = pooler({"dns_max_ttl": 3600})
    assert p.query("SELECT 1") == [(1,)]
    assert dns.count("my.test", "SOA") == 0
    p.change_config(dns_zone_check_period="200ms")
    p.reload()
    wait_until(lambda: dns.count("my.test", "SOA") >= 3)
    p.console("SET dns_zone_check_period = 0")
    asked = dns.count("my.test", "SOA")
    time.sleep(1)
    assert dns.count("my.test", "SOA") <= asked + 1  # one may have been on its way


# ---- where names come from ----


@covers("resolv_conf")
def test_the_search_list_of_resolv_conf_is_obeyed(pooler, dns):
    dns.records["db.my.test"] = [ONE]
    p = pooler(host="db", resolv_conf="search my.test\n")
    assert p.query("SELECT 1") == [(1,)]
    assert dns.asked[0][0] == "db.my.test" and hosts(p)["db"]["addrs"] == ONE


def test_names_in_etc_hosts_are_not_asked_for(pgweir, dns, postgres):
    dns.silent = True
    p = pgweir(databases={DATABASE: f"host=localhost port={postgres.port}"}, start=False)
    p.change_config(resolv_conf=dns.resolv_conf(p.directory))
    p.start()
    assert p.query("SELECT 1") == [(1,)]
    assert "127.0.0.1" in hosts(p)["localhost"]["addrs"].split(",") and dns.asked == []


def test_a_resolv_conf_that_is_not_there_stops_the_start(pooler):
    p = pooler(start=False)
    p.change_config(resolv_conf="/nonexistent/resolv.conf")
    done = subprocess.run([p.binary, p.ini], capture_output=True, text=True, timeout=30, check=False,
                          **Unprivileged.popen)
    assert done.returncode == 1
    assert 'cannot read resolv_conf "/nonexistent/resolv.conf": No such file or directory' in done.stderr


def test_a_client_waits_while_a_slow_answer_comes(pooler, dns, wire):
    dns.silent = True
    dns.records["db.my.test"] = [ONE]
    p = pooler({"server_connect_timeout": 60})
    clients = [wire(p) for _ in range(5)]
    for client in clients:
        client.startup(login=False)
    wait_waiting(p, 5)
    dns.silent = False  # the second try of c-ares is answered
    for client in clients:
        client.read_until(b"Z")
    job = Background(lambda: clients[0].query("SELECT 1"))
    assert clients[0].rows(job.result()) == [[b"1"]]
    clients[1].send_raw(query("SELECT 2"))
    assert clients[1].rows(clients[1].read_until(b"Z")) == [[b"2"]]
