# SPDX-License-Identifier: ISC
"""TLS towards servers in motion: settings that change while servers are connected, servers that stall in the handshake or
send something else; and how clients come to TLS by way of a GSSENCRequest."""
import contextlib
import socket
import ssl
import struct

import psycopg
import pytest
from conftest import Wire, wait_until
from helpers import Background, backend, change, grown_kb, server_row, servers
from test_tls import GSSENC_REQUEST, SSL_REQUEST, client_side, refusal, started
from test_tls_certificates import show

message = Wire.message

# ---- settings that change ----

# What all is set to at first, the change, and what of a connection is another afterwards.
PROTOCOL, CIPHER, CERTIFICATE = "version", "cipher", "client_dn"
CHANGES = {
    "sslmode": ({}, {"server_tls_sslmode": "disable"}, PROTOCOL),
    "protocols": ({}, {"server_tls_protocols": "tlsv1.2"}, PROTOCOL),
    "ciphers": ({"server_tls_protocols": "tlsv1.2"}, {"server_tls_ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"}, CIPHER),
    "suites": ({}, {"server_tls13_ciphers": "TLS_CHACHA20_POLY1305_SHA256"}, CIPHER),
    "certificate": ({}, {"server_tls_cert_file": "{alice.crt}", "server_tls_key_file": "{alice.key}"}, CERTIFICATE),
    "authority": ({}, {"server_tls_sslmode": "verify-ca", "server_tls_ca_file": "{ca.crt}"}, None),
    "revoked": ({"server_tls_sslmode": "verify-ca", "server_tls_ca_file": "{ca.crt}"}, {"server_tls_crl_file": "{crl.pem}"},
                None),
}


def named(authority, values):
    """Values with the files of the authority put in: "{x.crt}"."""
    return {name: str(authority[text[1:-1]]) if text.startswith("{") else text for name, text in values.items()}


def encryption(connection):
    cursor = connection.cursor(row_factory=psycopg.rows.dict_row)
    return cursor.execute("SELECT * FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()


def states(pooler):
    """{(database, process of PostgreSQL)} of all server connections."""
    return {(row["database"], row["remote_pid"]) for row in pooler.console("SHOW SERVERS")}


@pytest.mark.parametrize("how,name", [*((how, name) for name in CHANGES for how in ("RELOAD", "SET")
                                       if (how, name) != ("SET", "certificate"))])  # nor can a key be set without one
def test_servers_of_other_terms_are_replaced(pgweir, authority, tls_postgres, how, name):
    """Those at rest at once; one in a transaction when that has ended; those of a database that has its own words never."""
    before, after, what = CHANGES[name]
    before, after = {"server_tls_sslmode": "require", **named(authority, before)}, named(authority, after)
    defaults = {"server_tls_protocols": "secure", "server_tls_ciphers": "default", "server_tls13_ciphers": "default"}
    own = " ".join(f"{key}='{before.get(key, defaults.get(key, ''))}'" for key in after)
    pooler = pgweir({"pool_mode": "transaction", **before},
                    databases={"common": server_row(tls_postgres), "own": server_row(tls_postgres, own)})
    with pooler.connect("common") as busy, pooler.connect("common") as idle, pooler.connect("own") as apart:
        busy.execute("BEGIN")
        old, old_terms = backend(busy), encryption(busy)
        resting, kept, kept_terms = backend(idle), backend(apart), encryption(apart)
        assert len({old, resting, kept}) == 3 and old_terms["ssl"] and kept_terms["ssl"]
        change(pooler, how, **after)
        wait_until(lambda: states(pooler) == {("common", old), ("own", kept)}, what="the end of the server at rest")
        assert encryption(busy) == old_terms and backend(busy) == old
        busy.execute("COMMIT")
        for client in (busy, idle):
            assert backend(client) not in (old, resting)
            new_terms = encryption(client)
            assert what is None or new_terms[what] != old_terms[what]
        assert (backend(apart), encryption(apart)) == (kept, kept_terms)
    assert pooler.log().count("closing because: database configuration changed") == 2


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_row_replaces_the_servers_of_its_database_alone(pgweir, authority, tls_postgres, name):
    before, after, what = CHANGES[name]
    before = {"server_tls_sslmode": "require", **before}
    rows = [" ".join(f"{key}='{value}'" for key, value in named(authority, values).items())
            for values in (before, {**before, **after})]
    pooler = pgweir({"pool_mode": "transaction"}, databases={db: server_row(tls_postgres, rows[0]) for db in ("one", "two")})
    with pooler.connect("one") as one, pooler.connect("two") as two:
        old, terms, kept = backend(one), encryption(one), backend(two)
        pooler.change_config("databases", one=server_row(tls_postgres, rows[1]))
        pooler.reload()
        wait_until(lambda: states(pooler) == {("two", kept)}, what="the end of the server of that database")
        assert backend(one) != old and backend(two) == kept
        assert what is None or encryption(one)[what] != terms[what]
        assert encryption(two) == {**terms, "pid": kept}
        # The same said again, or in the other place, is no change.
        new = backend(one)
        pooler.change_config("databases", one=server_row(tls_postgres, rows[1] + " pool_size=7"))
        pooler.reload()
        assert states(pooler) == {("one", new), ("two", kept)}


def test_terms_that_cannot_be_met_leave_all_as_it_is(pgweir, authority, tls_postgres):
    pooler = pgweir({"pool_mode": "transaction", "server_tls_sslmode": "require"},
                    databases={"common": server_row(tls_postgres), "own": server_row(tls_postgres)})
    with pooler.connect("common") as client:
        old = backend(client)
        for wrong in ({"server_tls_ca_file": "/nowhere.crt", "server_tls_sslmode": "verify-ca"},
                      {"server_tls_cert_file": authority["alice.crt"]}, {"server_tls_protocols": "tlsv1.9"},
                      {"server_tls_negotiation": "direct", "server_tls_sslmode": "prefer"}):
            pooler.change_config(**wrong)
            with pytest.raises(psycopg.Error):
                pooler.reload()
            pooler.change_config(**{**dict.fromkeys(wrong), "server_tls_sslmode": "require"})
            own = " ".join(f"{key}={value}" for key, value in wrong.items())
            pooler.change_config("databases", own=server_row(tls_postgres, own))
            with pytest.raises(psycopg.Error):
                pooler.reload()
            pooler.change_config("databases", own=server_row(tls_postgres))
            assert states(pooler) == {("common", old)} and backend(client) == old


# ---- servers that do not keep to it ----


@pytest.fixture
def scripted(pgweir, postgres):
    """pgweir before a server that the test plays, as database odd; another, other, is PostgreSQL's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def make(config=None, row="server_tls_sslmode=require"):
            odd = f"host=127.0.0.1 port={listener.getsockname()[1]} user=bob password=hush-hush {row}"
            return pgweir({"query_wait_timeout": 60, "server_login_retry": 60, **(config or {})},
                          databases={"odd": odd, "other": server_row(postgres, "server_tls_sslmode=disable")})
        yield make, listener


def accept(listener, asked=True):
    """A connection of the pooler's, which has been told S if it asked."""
    server = listener.accept()[0]
    server.settimeout(20)
    if asked:
        assert server.recv(100) == SSL_REQUEST
        server.sendall(b"S")
    return server


def all_from(server):
    """What comes until the other side closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := server.recv(65536):
            data += chunk
    return data


def is_tls(data):
    """Nothing but whole TLS records: handshake, alert, change of cipher (RFC 8446, 5.1)?"""
    while data:
        kind, version, length = struct.unpack("!BHH", data[:5])
        if kind not in (20, 21, 22) or version >> 8 != 3 or len(data) < 5 + length:
            return False
        data = data[5 + length:]
    return True


def fails(pooler, why):
    """A client of the odd database, as query_wait_timeout ends it: what it is told of the cause."""
    with Wire(pooler, timeout=20) as client:
        client.startup(login=False, database="odd")
        error = client.read_error()
        client.expect_closed()
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "08006", "query_wait_timeout")
    assert why in error["D"], error
    return True


@pytest.mark.parametrize("stage", ["request", "handshake", "half", "direct"])
def test_a_server_that_stalls_is_given_up(scripted, stage):
    """server_connect_timeout ends it, and nobody else waits for it: they are served while it stalls."""
    make, listener = scripted
    row = "server_tls_sslmode=require" + (" server_tls_negotiation=direct" if stage == "direct" else "")
    pooler = make({"server_connect_timeout": 3, "query_wait_timeout": 4}, row)
    with pooler.connect("other") as other:
        job = Background(fails, pooler, "connecting took longer than server_connect_timeout")
        with accept(listener, stage in ("handshake", "half")) as server:
            heard = server.recv(65536)
            assert heard == SSL_REQUEST if stage == "request" else heard[:1] == b"\x16"
            if stage == "half":
                server.sendall(b"\x16\x03\x03\x40\x00\x02")  # the beginning of a record
            assert [row["state"] for row in servers(pooler, "odd")] == ["new"]
            for _ in range(100):
                assert other.execute("SELECT 1").fetchone() == (1,)
            assert pooler.query("SELECT 1", "other") == [(1,)]
            assert servers(pooler, "odd") and "connect timeout" not in pooler.log()  # all this while it stalled
            assert all_from(server) == b""
        pooler.wait_for_log(r"S-0x\w+: odd/bob@127\.0\.0\.1:\d+ closing because: connect timeout")
        assert job.result()
        assert other.execute("SELECT 2").fetchone() == (2,)


FLOODS = {
    "zeroes": b"\0" * 65536,
    "text": b"HTTP/1.1 400 Bad Request\r\n" * 2048,
    "AuthenticationOk": message(b"R", struct.pack("!I", 0)) * 4096,
    "clear text asked": message(b"R", struct.pack("!I", 3)) * 4096,
    "an error": message(b"E", b"SFATAL\0C28P01\0Mforged\0\0") * 2048,
    "records of no message": (b"\x16\x03\x03\x40\x00" + b"\xff" * 16384) * 4,
    "a ServerHello without end": b"\x16\x03\x03\x40\x00\x02\xff\xff\xff" + b"\0" * 16380 +
                                 (b"\x16\x03\x03\x40\x00" + b"\0" * 16384) * 3,
    "records that are too long": (b"\x16\x03\x03\xff\xff" + b"\x02" * 65535),
    "empty records": b"\x16\x03\x03\x00\x00" * 13000,
    "alerts that warn": b"\x15\x03\x03\x00\x02\x01\x5a" * 9000,
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_server_that_floods_the_handshake(scripted, flood):
    """It is closed at the first of what cannot be, long before any timeout; no secret was sent to it, and none of its
    words are believed."""
    make, listener = scripted
    pooler = make({"server_connect_timeout": 600, "query_wait_timeout": 3})
    before = pooler.memory_kb()
    with pooler.connect("other") as other:
        job = Background(fails, pooler, "TLS handshake failed: ")
        with accept(listener) as server:
            heard, sent = server.recv(65536), 0  # not in one packet with the S
            with contextlib.suppress(ConnectionError):
                while sent < 200_000_000:
                    server.sendall(flood)
                    sent += len(flood)
            assert sent < 200_000_000
            heard += all_from(server)
        assert heard[:1] == b"\x16" and is_tls(heard)
        assert b"hush" not in heard and b"bob" not in heard
        pooler.wait_for_log(r"WARNING S-0x\w+: odd/bob@127\.0\.0\.1:\d+ cannot use the server: TLS handshake failed: ")
        pooler.wait_for_log(r"S-0x\w+: odd/bob@127\.0\.0\.1:\d+ closing because: TLS startup failed")
        assert grown_kb(pooler, before) < 8000
        assert servers(pooler, "odd") == []
        assert other.execute("SELECT 1").fetchone() == (1,)
        assert job.result()
    assert "forged" not in pooler.log()


@pytest.mark.parametrize("row", ["server_tls_sslmode=prefer", "server_tls_sslmode=require"])
@pytest.mark.parametrize("words", [FLOODS["clear text asked"][:9], FLOODS["AuthenticationOk"][:9] + b"Z\0\0\0\5I"],
                         ids=["asks", "lets in"])
def test_plain_words_behind_the_s_are_not_heard(scripted, row, words):
    """In a packet of their own, which comes when the handshake has begun. TLS that is merely preferred is not given up."""
    make, listener = scripted
    pooler = make({"query_wait_timeout": 1}, row)
    job = Background(fails, pooler, "TLS handshake failed: ")
    with accept(listener) as server:
        hello = server.recv(65536)
        assert hello[:1] == b"\x16"
        server.sendall(words)
        rest = all_from(server)
    assert is_tls(hello + rest) and b"hush" not in rest
    assert job.result()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):  # nor is it asked again without
        listener.accept()


def test_a_server_that_floods_behind_the_handshake(scripted, authority):
    """It may be one that does not know protocol 3.2: it is asked again with 3.0, and then given up."""
    make, listener = scripted
    pooler = make()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority["server.crt"], authority["server.key"])
    before = pooler.memory_kb()
    job = Background(refusal, pooler, db="odd")
    for minor in (2, 0):
        with context.wrap_socket(accept(listener), server_side=True) as server:
            assert server.recv(100)[4:8] == struct.pack("!I", 0x30000 + minor)
            with pytest.raises((ConnectionError, ssl.SSLError)):
                for _ in range(3000):
                    server.sendall(b"\xff" * 65536)
    pooler.wait_for_log(r"odd/bob@127\.0\.0\.1:\d+ server login failed: the server sent a message of a wrong length")
    assert grown_kb(pooler, before) < 8000
    assert "the server sent a message of a wrong length" in job.result()
    assert pooler.query("SELECT 1", "other") == [(1,)]


def test_a_server_in_the_handshake_is_replaced_too(scripted, wire):
    """One that is not there yet was asked under the old terms as well."""
    make, listener = scripted
    pooler = make({"server_connect_timeout": 60})
    client = wire(pooler)
    client.startup(login=False, database="odd")
    with accept(listener) as stalled:
        assert stalled.recv(65536)[:1] == b"\x16"
        pooler.change_config("databases", odd=pooler.sections["databases"]["odd"].replace("require", "disable"))
        pooler.reload()
        assert is_tls(all_from(stalled))
    with accept(listener, asked=False) as server:
        assert server.recv(100)[4:8] == struct.pack("!I", 0x30002)  # a start-up packet, in the clear
        server.sendall(message(b"R", b"\0\0\0\0") + message(b"Z", b"I"))
        assert client.kinds(client.read_until(b"Z"))[:1] == b"R"
        assert [row["tls"] for row in servers(pooler, "odd")] == [""]


# ---- clients that ask for GSSAPI first ----


def test_gss_is_denied_and_tls_follows(pgweir, authority, wire):
    """What libpq does where it has a ticket: each request is answered in its turn."""
    pooler = pgweir(client_side(authority))
    connection = wire(pooler)
    connection.send_raw(GSSENC_REQUEST)
    assert connection.read_bytes(1) == b"N"
    assert connection.start_tls(show(authority)) == b"S"
    connection.startup()
    assert connection.rows(connection.query("SELECT 'secured'")) == [[b"secured"]]
    pooler.wait_for_log(r"login attempt: db=test user=alice tls=TLSv1\.3/")
    plain = wire(pooler)
    plain.send_raw(GSSENC_REQUEST)
    assert plain.read_bytes(1) == b"N"
    plain.startup()
    assert plain.rows(plain.query("SELECT 'plain'")) == [[b"plain"]]


def test_gss_is_denied_and_direct_tls_follows(pgweir, authority, wire):
    """PostgreSQL 18 wants a new connection for that, and libpq makes one; here it may go on, under the same rules."""
    pooler = pgweir(client_side(authority))
    for protocols in (["postgresql"], []):
        connection = wire(pooler)
        connection.send_raw(GSSENC_REQUEST)
        assert connection.read_bytes(1) == b"N"
        context = show(authority)
        if protocols:
            context.set_alpn_protocols(protocols)
        connection.socket = context.wrap_socket(connection.socket)
        if protocols:
            assert connection.socket.selected_alpn_protocol() == "postgresql"
            connection.startup()
            assert connection.rows(connection.query("SELECT 'secured'")) == [[b"secured"]]
        else:
            error = connection.read_error()
            assert (error["C"], error["M"]) == (
                "08P01", "received a direct TLS connection without ALPN protocol negotiation")
            connection.expect_closed()


@pytest.mark.parametrize("behind", [SSL_REQUEST, GSSENC_REQUEST], ids=["SSL", "GSSAPI encryption"])
def test_requests_inside_of_tls_are_refused(pgweir, authority, wire, behind):
    pooler = pgweir(client_side(authority))
    connection = wire(pooler)
    assert connection.start_tls(show(authority)) == b"S"
    connection.send_raw(behind)
    error = connection.read_error()
    what = {SSL_REQUEST: "SSL", GSSENC_REQUEST: "GSSAPI encryption"}[behind]
    assert (error["S"], error["C"], error["M"]) == ("FATAL", "08P01", f"{what} request inside of an encrypted connection")
    connection.expect_closed()


def test_gss_is_denied_where_tls_is_required(pgweir, authority, wire):
    """The N is no way around it."""
    pooler = started(pgweir(client_side(authority, "require"), start=False))
    connection = wire(pooler)
    connection.send_raw(GSSENC_REQUEST)
    assert connection.read_bytes(1) == b"N"
    connection.startup(login=False)
    error = connection.read_error()
    assert (error["C"], error["M"]) == ("28000", "SSL required")
    connection.expect_closed()
