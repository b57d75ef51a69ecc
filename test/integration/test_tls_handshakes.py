# SPDX-License-Identifier: ISC
"""Handshakes: what channel binding speaks of for each kind of certificate and name, what we say first to servers, whose
certificates are taken, and clients that flood."""
import base64
import contextlib
import hashlib
import select
import socket
import ssl

import pytest
from conftest import ADMIN, DATABASE, Unprivileged, Wire, password_of
from helpers import Background, change, grown_kb
from psycopg import pq
from services import show_certificate
from test_tls import SSL_REQUEST, client_side, refusal, started, verified
from test_tls_servers import FLOODS, accept

# ---- channel binding: tls-server-end-point (RFC 5929, 4.1) ----

KINDS = {
    "EC, SHA-384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-sha384"],
    "RSA, SHA-256": ["-newkey", "rsa:2048", "-sha256"],
    "RSA, SHA-512": ["-newkey", "rsa:2048", "-sha512"],
    "RSA-PSS": ["-newkey", "rsa:2048", "-sha384", "-sigopt", "rsa_padding_mode:pss"],
    "Ed25519": ["-newkey", "ed25519"],  # has no digest that could be taken: nothing is bound
}


@pytest.fixture(params=KINDS)
def kind(request, authority):
    """A kind of certificate, for localhost; it is kind.crt of the authority, and trusted as it is."""
    authority.run("req", "-x509", *KINDS[request.param], "-nodes", "-keyout", "kind.key", "-out", "kind.crt", "-days", "30",
                  "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    for suffix in ("crt", "key"):
        Unprivileged.own(authority[f"kind.{suffix}"])
    return request.param


SCRAM = {"auth_type": "scram-sha-256"}


def test_clients_bind_to_each_kind_of_certificate(pgweir, authority, kind):
    pooler = pgweir(client_side(authority, name="kind", **SCRAM))
    way = verified(authority, sslrootcert=authority["kind.crt"])
    bound = kind != "Ed25519"
    for binding in ("disable", "prefer", "require"):
        if binding == "require" and not bound:
            assert "channel binding" in refusal(pooler, **way, channel_binding=binding)
        else:
            assert pooler.query("SELECT current_user", **way, channel_binding=binding) == [("alice",)]
    assert "SASL authentication failed" in refusal(pooler, password="wrong", **way)


def test_we_bind_to_each_kind_of_certificate(pgweir, authority, kind, tls_postgres):
    """PostgreSQL itself offers SCRAM-SHA-256-PLUS in any case, and says no to who binds to something else."""
    show_certificate(tls_postgres, authority, "kind")
    row = f"host=localhost port={tls_postgres.port} dbname={DATABASE} user=scram password={password_of('scram')}"
    pooler = pgweir({"server_tls_sslmode": "verify-full", "server_tls_ca_file": authority["kind.crt"]},
                    databases={DATABASE: row})
    assert pooler.query("SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [("scram", True)]


DIGESTS = {"EC, SHA-384": "sha384", "RSA, SHA-256": "sha256", "RSA, SHA-512": "sha512", "RSA-PSS": "sha384"}


def test_what_we_bind_to(pgweir, authority, kind):
    """Seen by a server that the test plays: the digest of its certificate, by the algorithm of its signature. Where there is
    none, SCRAM without a binding, which does not claim that the server had offered no other."""
    certificate = ssl.PEM_cert_to_DER_cert(authority["kind.crt"].read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority["kind.crt"], authority["kind.key"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        row = f"host=127.0.0.1 port={listener.getsockname()[1]} user=bob password=x server_tls_sslmode=require"
        pooler = pgweir({"query_wait_timeout": 1}, databases={DATABASE: row})
        job = Background(refusal, pooler)
        with context.wrap_socket(accept(listener), server_side=True) as server:
            server.recv(1000)
            server.sendall(Wire.message(b"R", b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
            first = server.recv(1000)
            nonce = first.rpartition(b",r=")[2]
            server.sendall(Wire.message(b"R", b"\0\0\0\x0br=" + nonce + b"more,s=c2FsdHNhbHRzYWx0,i=4096"))
            final = server.recv(1000)
        job.result()
    if kind in DIGESTS:
        bound = b"p=tls-server-end-point,," + hashlib.new(DIGESTS[kind], certificate).digest()
        assert first[5:].startswith(b"SCRAM-SHA-256-PLUS\0") and first[28:].startswith(b"p=tls-server-end-point,,")
    else:
        bound = b"n,,"
        assert first[5:].startswith(b"SCRAM-SHA-256\0") and first[23:].startswith(b"n,,")
    assert final[5:].startswith(b"c=" + base64.b64encode(bound) + b",r=" + nonce + b"more,p=")


def test_the_certificate_of_the_name_is_bound(pgweir, authority):
    rows = {"other.example": f"cert_file={authority['other.crt']} key_file={authority['other.key']}"}
    pooler = pgweir(client_side(authority, **SCRAM), sections={"tls": rows})
    for name in ("other.example", "localhost"):
        way = verified(authority, host=name, hostaddr="127.0.0.1", channel_binding="require")
        assert pooler.query("SELECT current_user", **way) == [("alice",)]


def test_a_reload_behind_the_handshake_changes_no_binding(pgweir, authority):
    """The client has seen the old certificate, and binds to that."""
    pooler = pgweir(client_side(authority, **SCRAM))
    way = pooler.dsn(**verified(authority, channel_binding="require"))
    connection = pq.PGconn.connect_start(way.encode())
    reloaded = False
    while (state := connection.connect_poll()) not in (pq.PollingStatus.OK, pq.PollingStatus.FAILED):
        if connection.ssl_in_use and not reloaded:
            pooler.change_config(**client_side(authority, name="other"))
            pooler.reload()
            reloaded = True
        for_reading = state == pq.PollingStatus.READING
        select.select([connection.socket] if for_reading else [], [] if for_reading else [connection.socket], [], 10)
    assert reloaded and state == pq.PollingStatus.OK, connection.error_message
    assert connection.exec_(b"SELECT current_user").get_value(0, 0) == b"alice"
    connection.finish()
    assert "does not match host name" in refusal(pooler, **verified(authority))  # the next sees the other


# ---- towards servers ----


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("mode", ["require", "verify-full"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_the_name_of_the_server_is_said_in_the_clear(pgweir, authority, wire, host, mode, negotiation):
    """SNI has the host's name in every mode, and no address (RFC 6066, 3); ALPN has the protocol."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        row = f"host={host} port={listener.getsockname()[1]} server_tls_negotiation={negotiation} server_tls_sslmode={mode}"
        pooler = pgweir({"server_tls_ca_file": authority["ca.crt"], "query_wait_timeout": 1}, databases={DATABASE: row})
        wire(pooler).startup(login=False)
        with accept(listener, negotiation == "postgres") as server:
            hello = server.recv(65536)
    assert hello[:1] == b"\x16"
    assert (b"\x00\x00\x09localhost" in hello) == (host == "localhost") and b"127.0.0.1" not in hello
    assert b"\x00\x0b\x0apostgresql" in hello


def test_each_host_of_a_list_is_verified_by_its_own_name(pgweir, authority):
    """The certificate is for localhost and 127.0.0.1; as 127.0.0.2 the server is somebody else."""
    behind = pgweir(client_side(authority, listen_addr="127.0.0.1,127.0.0.2"))
    front = pgweir({"server_tls_sslmode": "verify-full", "server_tls_ca_file": authority["ca.crt"]},
                   databases={DATABASE: f"host=127.0.0.2,localhost port={behind.port} dbname={DATABASE}"})
    assert front.query("SELECT current_user") == [("alice",)]
    front.wait_for_log(r"alice@127\.0\.0\.2:\d+ cannot use the server: TLS handshake failed: .*(?i:IP address mismatch)")
    assert {row["addr"] for row in front.console("SHOW SERVERS")} == {"127.0.0.1"}


# name of the certificate, its subject, alternative names, days; the host, and what is wrong with it
SHOWN = [
    ("/CN=localhost", None, 30, "localhost", None),
    ("/CN=127.0.0.1", None, 30, "127.0.0.1", None),
    ("/CN=localhost", "DNS:elsewhere.example", 30, "localhost", "hostname mismatch"),
    ("/CN=127.0.0.1", "IP:127.0.0.9", 30, "127.0.0.1", "IP address mismatch"),
    ("/CN=*", "DNS:*", 30, "localhost", "hostname mismatch"),
    ("/CN=x", "DNS:l*", 30, "localhost", "hostname mismatch"),
    ("/CN=x", "DNS:LOCALHOST", 30, "localhost", None),
    ("/CN=localhost", None, -1, "localhost", "certificate has expired"),
    ("/CN=127.0.0.1", None, -1, "127.0.0.1", "certificate has expired"),
]


@pytest.mark.parametrize("subject,names,days,host,wrong", SHOWN)
def test_whose_certificate_is_taken(pgweir, authority, subject, names, days, host, wrong):
    """The subject's name counts where there is no alternative name of that kind, as in libpq."""
    authority.make("shown", subject, names, days)
    for suffix in ("crt", "key"):
        Unprivileged.own(authority[f"shown.{suffix}"])
    behind = pgweir(client_side(authority, name="shown"))
    front = pgweir({"query_wait_timeout": 1, "server_tls_sslmode": "verify-full", "server_tls_ca_file": authority["ca.crt"]},
                   databases={DATABASE: f"host={host} port={behind.port} dbname={DATABASE}"})
    if wrong:
        assert "query_wait_timeout" in refusal(front)
        front.wait_for_log(f"cannot use the server: TLS handshake failed: certificate verify failed: (?i:{wrong})")
    else:
        assert front.query("SELECT current_user") == [("alice",)]


# ---- what clients are offered ----


@pytest.mark.parametrize("how", ["RELOAD", "SET"])
def test_other_terms_count_for_the_next_client(pgweir, authority, wire, how):
    """Who is in stays, with TLS or without."""
    pooler = pgweir(client_side(authority))
    with pooler.connect() as plain, pooler.connect(**verified(authority)) as secured:
        def are_served():
            return plain.execute("SELECT 1").fetchone() == secured.execute("SELECT 1").fetchone() == (1,)

        change(pooler, how, client_tls_sslmode="disable")
        assert wire(pooler).start_tls() == b"N" and pooler.query("SELECT 1") == [(1,)]
        assert "server does not support SSL" in refusal(pooler, sslmode="require")
        change(pooler, how, client_tls_sslmode="require")
        assert are_served()
        assert "SSL required" in refusal(pooler)
        assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]
        console = pooler.connect("pgbouncer", ADMIN, **verified(authority))
        pooler.change_config(client_tls_sslmode="verify-full")
        console.execute("RELOAD" if how == "RELOAD" else "SET client_tls_sslmode = 'verify-full'")
        assert are_served()
        assert "certificate required" in refusal(pooler, **verified(authority))
        console.close()


# ---- clients that flood ----


@pytest.mark.parametrize("flood,asks", [
    pytest.param(flood, asks, id=f"{name}, {'asked' if asks else 'direct'}") for name, flood in FLOODS.items()
    for asks in (True, False) if asks or flood[:1] == b"\x16"])  # anything else is a start-up packet
def test_a_client_that_floods_the_handshake(pgweir, authority, flood, asks):
    """It is closed at the first of what cannot be, long before any timeout, and costs no memory."""
    pooler = started(pgweir(client_side(authority, "require", client_login_timeout=600), start=False))
    before = pooler.memory_kb()
    with pooler.connect(**verified(authority)) as held, socket.create_connection((pooler.host, pooler.port), 20) as one:
        if asks:
            one.sendall(SSL_REQUEST)
            assert one.recv(1) == b"S"
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 200_000_000:
                one.sendall(flood)
                sent += len(flood)
        assert sent < 200_000_000
        pooler.wait_for_log(r"\(nodb\)/\(nouser\)@127\.0\.0\.1:\d+ TLS handshake failed: ")
        assert grown_kb(pooler, before) < 8000
        assert held.execute("SELECT 1").fetchone() == (1,)
