# SPDX-License-Identifier: ISC
"""Several poolers behind one address: a cancel that reaches the wrong one finds its way to the right one."""
import contextlib
import re
import socket
import struct

import psycopg
import pytest
from conftest import ADMIN, covers, free_port, wait_until
from helpers import Background, error_in, query
from test_cancel import SLEEP, canceled, send_cancel, sleeping


@pytest.fixture
def peers(pgweir):
    """Factory: peers(3, "unix") starts processes 1, 2, 3, each with rows of all the others, reached over TCP or Unix sockets;
    answers them as a dict by number. rows changes what process N knows: {1: {"3": "..."}}."""
    def factory(count, way="tcp", rows=None, config=None):
        made = {number: pgweir({"peer_id": number, **(config or {})}, start=False) for number in range(1, count + 1)}
        for number, process in made.items():
            process.change_config("peers", **(rows(made)[number] if rows else {
                str(other): row_of(peer, way) for other, peer in made.items() if other != number}))
            process.start()
        return made

    return factory


def row_of(peer, way="tcp"):
    return f"host={peer.directory if way == 'unix' else peer.host} port={peer.port}"


def shown(pooler, what, number):
    """The row of SHOW PEERS or PEER_POOLS about this peer, without its number; None: there is none."""
    return next((r for r in pooler.console(f"SHOW {what}") if r.pop("peer_id") == number), None)


def hold(wire, pooler, database="test_transaction", **more):
    """A raw session that sleeps."""
    connection = wire(pooler)
    connection.startup(database=database, **more)
    connection.send_raw(query(SLEEP))
    return connection


def ends_canceled(connection):
    messages = connection.read_until(b"Z")
    assert (error_in(messages)["C"], error_in(messages)["M"]) == ("57014", "canceling statement due to user request")
    assert messages[-1] == (b"Z", b"I")
    assert connection.rows(connection.query("SELECT 'lives'")) == [[b"lives"]]


@covers("peer_id")
@covers("host", "port", scope="peer")
@pytest.mark.parametrize("protocol", [0, 2])
@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_a_query_is_cancelled_through_the_wrong_process(peers, postgres, wire, way, protocol):
    pair = peers(2, way)
    for right, wrong in ((1, 2), (2, 1)):
        connection = hold(wire, pair[right], protocol=3 << 16 | protocol)
        process, secret = connection.key
        assert len(secret) == (32 if protocol else 4)
        assert process >> 8 & 0xffff == right << 8 and secret[3] & 3 == 3
        sleeping(postgres)
        send_cancel(wire, pair[wrong], connection.key)
        ends_canceled(connection)
        pair[wrong].wait_for_log(rf"S-0x\w+: peer-{right}@\S+ closing because: successfully sent cancel request")


def test_the_far_side_is_closed_only_when_the_query_was_hit(peers, postgres, wire):
    """As with PostgreSQL: who has seen its cancel end may send the next query, and it is not hit."""
    pair = peers(2)
    connection = wire(pair[1])
    connection.startup(database="test_transaction")
    for _ in range(10):
        connection.send_raw(query(SLEEP))
        sleeping(postgres)
        send_cancel(wire, pair[2], connection.key)
        connection.send_raw(query("SELECT 'next', pg_sleep(0.02)"))
        assert error_in(connection.read_until(b"Z"))["C"] == "57014"
        assert connection.rows(connection.read_until(b"Z")) == [[b"next", b""]]


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_a_request_goes_on_from_peer_to_peer(peers, postgres, wire, way):
    """The first knows the third only through the second."""
    three = peers(3, way, rows=lambda made: {
        1: {"2": row_of(made[2], way), "3": row_of(made[2], way)},
        2: {"1": row_of(made[1], way), "3": row_of(made[3], way)},
        3: {"1": row_of(made[2], way), "2": row_of(made[2], way)}})
    for right, wrong in ((3, 1), (1, 3)):
        connection = hold(wire, three[right])
        sleeping(postgres)
        send_cancel(wire, three[wrong], connection.key)
        ends_canceled(connection)
        three[2].wait_for_log(rf"peer-{right}@\S+ closing because: successfully sent cancel request")


def test_a_query_that_waits_is_cancelled_through_the_wrong_process(peers, postgres, wire):
    pair = peers(2, config={"default_pool_size": 1})
    owner = hold(wire, pair[1])
    sleeping(postgres)
    waiter = wire(pair[1])
    waiter.startup(database="test_transaction")
    waiter.send_raw(query("SELECT 'never'") + query("SELECT 'then'"))
    wait_until(lambda: "waiting" in [r["state"] for r in pair[1].console("SHOW CLIENTS")])
    send_cancel(wire, pair[2], waiter.key)
    assert error_in(waiter.read_until(b"Z"))["C"] == "57014"
    send_cancel(wire, pair[2], owner.key)
    ends_canceled(owner)
    assert waiter.rows(waiter.read_until(b"Z")) == [[b"then"]]


def test_a_request_that_goes_in_circles_ends(peers, wire):
    """Each of two believes the other one to be number 9."""
    pair = peers(2, rows=lambda made: {1: {"9": row_of(made[2])}, 2: {"9": row_of(made[1])}})
    send_cancel(wire, pair[1], (9 << 16, b"\0\0\0\x03"))
    assert re.search("failed to forward cancel request because its TTL was exhausted", pair[2].log())
    assert "TTL" not in pair[1].log()
    send_cancel(wire, pair[1], (9 << 16, b"\0\0\0\x02"))
    assert re.search("failed to forward cancel request because its TTL was exhausted", pair[1].log())


def test_a_key_of_a_peer_that_nobody_knows_and_wrong_keys_cancel_nothing(peers, postgres, wire):
    pair = peers(2)
    connection = wire(pair[1])
    connection.startup(database="test_transaction")
    connection.send_raw(query("SELECT 'whole', pg_sleep(1)"))
    sleeping(postgres)
    process, secret = connection.key
    send_cancel(wire, pair[2], (process, bytes([secret[0] ^ 1]) + secret[1:]))
    send_cancel(wire, pair[2], (process ^ 1 << 24, secret))
    assert "bad cancel request" in pair[1].log() and "bad cancel request" not in pair[2].log()
    send_cancel(wire, pair[2], (process & 0xff0000ff | 7 << 8 << 8, secret))
    assert "could not find peer to forward request to" in pair[2].log()
    assert connection.rows(connection.read_until(b"Z")) == [[b"whole", b""]]


def test_behind_one_port(pgweir, postgres):
    """so_reuseport: the kernel gives a cancel to any of them. Rows with their own number do no harm."""
    made = {number: pgweir({"peer_id": number, "so_reuseport": 1, "default_pool_size": 2}, start=False) for number in (1, 2, 3)}
    for process in made.values():
        process.change_config(listen_port=made[1].port)
        process.change_config("peers", **{str(other): f"host={peer.directory} port={made[1].port}" for other, peer in made.items()})
        process.port = made[1].port
        process.start(wait=False)
        wait_until((process.directory / f".s.PGSQL.{process.port}").exists)
    made[1].wait_ready()
    with made[1].connect("test_transaction") as connection:
        for _ in range(20):
            job = Background(canceled, connection.execute, SLEEP)
            sleeping(postgres)
            connection.cancel()
            assert job.result(10)
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert any("peer-" in process.log() for process in made.values())


class SilentPeer:
    """A peer that takes CancelRequests and does nothing, until told to."""

    def __init__(self):
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.listener.settimeout(10)
        self.row = f"host=127.0.0.1 port={self.port}"

    def take(self):
        """The next connection, and what it says."""
        connection, _ = self.listener.accept()
        connection.settimeout(10)
        assert connection.recv(8) == struct.pack("!II", 8, 80877103)
        connection.sendall(b"N")
        return connection, connection.recv(1000)


@pytest.fixture
def silent():
    peer = SilentPeer()
    with contextlib.closing(peer.listener):
        yield peer


def test_what_the_console_shows_of_peers(pgweir, silent, wire):
    pooler = pgweir({"peer_id": 1}, sections={"peers": {"2": silent.row + " pool_size=1", "3": "host=/run/other"}})
    lists = {r["list"]: r["items"] for r in pooler.console("SHOW LISTS")}
    assert (lists["peers"], lists["peer_pools"]) == (2, 2)
    assert pooler.console("SHOW PEERS") == [
        {"peer_id": 2, "host": "127.0.0.1", "port": silent.port, "pool_size": 1},
        {"peer_id": 3, "host": "/run/other", "port": 6432, "pool_size": 20}]
    nothing = {"cl_active_cancel_req": 0, "cl_waiting_cancel_req": 0, "sv_active_cancel": 0, "sv_login": 0}
    assert pooler.console("SHOW PEER_POOLS") == [{"peer_id": 2, **nothing}, {"peer_id": 3, **nothing}]
    askers = [wire(pooler) for _ in range(3)]
    for asker in askers:
        asker.send_raw(asker.cancel_packet((2 << 16, b"\x01\x02\x03\x07")))
    wait_until(lambda: shown(pooler, "PEER_POOLS", 2) == {**nothing, "cl_active_cancel_req": 1, "cl_waiting_cancel_req": 2, "sv_login": 1})
    connection, said = silent.take()
    assert said == askers[0].cancel_packet((2 << 16, b"\x01\x02\x03\x06"))
    wait_until(lambda: shown(pooler, "PEER_POOLS", 2) == {
        **nothing, "cl_active_cancel_req": 1, "cl_waiting_cancel_req": 2, "sv_active_cancel": 1})
    assert shown(pooler, "PEER_POOLS", 3) == nothing
    clients = [(r["state"], r["database"]) for r in pooler.console("SHOW CLIENTS") if r["state"].endswith("cancel_req")]
    assert sorted(clients) == [("active_cancel_req", "peer-2"), ("waiting_cancel_req", "peer-2"), ("waiting_cancel_req", "peer-2")]
    (server,) = pooler.console("SHOW SERVERS")
    assert (server["state"], server["database"], server["port"]) == ("active_cancel", "peer-2", silent.port)
    # Peers are neither databases nor pools of databases.
    assert "peer-2" not in str(pooler.console("SHOW DATABASES") + pooler.console("SHOW POOLS") + pooler.console("SHOW USERS"))
    for asker in askers:
        connection.close()
        asker.expect_closed()
        if asker is not askers[-1]:
            connection, _ = silent.take()
    wait_until(lambda: shown(pooler, "PEER_POOLS", 2) == nothing)


@covers("pool_size", scope="peer")
def test_a_cancel_waits_for_a_connection_to_the_peer_no_longer_than_cancel_wait_timeout(pgweir, silent, wire):
    pooler = pgweir({"peer_id": 1, "cancel_wait_timeout": 1}, sections={"peers": {"2": silent.row + " pool_size=1"}})
    first, second = wire(pooler), wire(pooler)
    for asker in (first, second):
        asker.send_raw(asker.cancel_packet((2 << 16, b"\0\0\0\x03")))
        if asker is first:
            connection, _ = silent.take()
    second.expect_closed()
    pooler.wait_for_log("closing because: cancel_wait_timeout")
    assert first.quiet()
    connection.close()
    first.expect_closed()


def test_a_reload_adds_changes_and_removes_peers(pgweir, silent, wire):
    pooler = pgweir()
    assert pooler.console("SHOW PEERS") == []
    send_cancel(wire, pooler, (2 << 16, b"\0\0\0\x03"))
    pooler.wait_for_log("bad cancel request")
    pooler.change_config(peer_id=1)
    pooler.reload()
    send_cancel(wire, pooler, (2 << 16, b"\0\0\0\x03"))
    pooler.wait_for_log("could not find peer to forward request to")
    pooler.change_config("peers", **{"2": "host=127.0.0.1 port=1", "3": "host=127.0.0.1"})
    pooler.reload()
    assert [r["peer_id"] for r in pooler.console("SHOW PEERS")] == [2, 3]
    send_cancel(wire, pooler, (2 << 16, b"\0\0\0\x03"))
    pooler.wait_for_log(r"peer-2@127.0.0.1:1 cannot carry a CancelRequest: connect to 127.0.0.1:1 failed: Connection refused")
    pooler.change_config("peers", **{"2": silent.row + " pool_size=1", "3": None})
    pooler.reload()
    assert shown(pooler, "PEERS", 3) is None and shown(pooler, "PEERS", 2)["port"] == silent.port
    carried, waits = wire(pooler), wire(pooler)
    carried.send_raw(carried.cancel_packet((2 << 16, b"\0\0\0\x03")))
    connection, _ = silent.take()
    waits.send_raw(waits.cancel_packet((2 << 16, b"\0\0\0\x03")))
    wait_until(lambda: shown(pooler, "PEER_POOLS", 2)["cl_waiting_cancel_req"] == 1)
    pooler.change_config("peers", **{"2": None})
    pooler.reload()
    for asker in (carried, waits):
        asker.expect_closed()
    assert connection.recv(1) == b""
    assert pooler.console("SHOW PEERS") == pooler.console("SHOW PEER_POOLS") == []
    assert pooler.query("SELECT 1") == [(1,)]


def test_a_client_keeps_its_key_when_peer_id_changes(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = hold(wire, pooler)
    for number in (5, 6, 0):
        sleeping(postgres)
        pooler.change_config(peer_id=number)
        pooler.reload()
        send_cancel(wire, pooler, connection.key)
        ends_canceled(connection)
        connection.send_raw(query(SLEEP))
    sleeping(postgres)
    send_cancel(wire, pooler, connection.key)


@pytest.mark.parametrize("row", ["port=7000", "host=h port=0", "host=h pool_size=-1", "host=h colour=red"])
def test_a_bad_row_keeps_the_old_ones(pgweir, row):
    pooler = pgweir({"peer_id": 1}, sections={"peers": {"2": "host=h"}})
    pooler.change_config("peers", **{"2": row})
    with pytest.raises(psycopg.Error):
        pooler.reload()
    assert shown(pooler, "PEERS", 2) == {"host": "h", "port": 6432, "pool_size": 20}
    pooler.wait_for_log(r"pgweir.ini:\d+: .*peer|pgweir.ini:\d+: .*parameter")


def test_a_peer_by_name_is_resolved(peers, postgres, wire):
    pair = peers(2, rows=lambda made: {1: {}, 2: {"1": f"host=localhost port={made[1].port}"}})
    connection = hold(wire, pair[1])
    sleeping(postgres)
    send_cancel(wire, pair[2], connection.key)
    ends_canceled(connection)


def test_a_cancel_on_the_console_through_the_wrong_process(peers, postgres, wire):
    """PAUSE waits for a query; its cancel takes it back."""
    pair = peers(2)
    connection = wire(pair[1])
    connection.startup(database="test_transaction")
    connection.query("BEGIN")
    console = wire(pair[1])
    console.startup(user=ADMIN, database="pgbouncer", protocol=3 << 16 | 2)
    console.send_raw(query("PAUSE"))
    wait_until(lambda: {"key": "paused", "value": "yes"} in pair[1].console("SHOW STATE"))
    send_cancel(wire, pair[2], console.key)
    assert error_in(console.read_until(b"Z"))["C"] == "57014"
    assert {"key": "paused", "value": "no"} in pair[1].console("SHOW STATE")
    connection.query("COMMIT")
