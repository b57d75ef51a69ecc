# SPDX-License-Identifier: ISC
"""TLS on both sides: every mode, certificates of all kinds, what is refused and what is said then."""
import contextlib
import os
import re
import shutil
import socket
import ssl
import struct

import psycopg
import pytest
from conftest import ADMIN, DATABASE, covers, password_of, wait_until
from helpers import Background, error_in, query, server_row
from services import show_certificate

SSL_REQUEST = struct.pack("!II", 8, 80877103)
GSSENC_REQUEST = struct.pack("!II", 8, 80877104)


def client_side(authority, mode="prefer", name="server", **more):
    return {"client_tls_sslmode": mode, "client_tls_key_file": authority[f"{name}.key"], "client_tls_cert_file": authority[f"{name}.crt"],
            "client_tls_ca_file": authority["ca.crt"], **more}


def started(pooler):
    """Start one whose console wants TLS, too."""
    pooler.start(wait=False)
    pooler.wait_for_log("process up")
    return pooler


def refusal(pooler, **more):
    with pytest.raises(psycopg.OperationalError) as caught:
        pooler.connect(**more)
    return str(caught.value)


def verified(authority, **more):
    return {"host": "localhost", "sslmode": "verify-full", "sslrootcert": authority["ca.crt"], **more}


def certificate(authority, name):
    """As a client shows it: libpq wants keys that others cannot read."""
    key = authority[f"{name}.key.own"]
    if not key.exists():
        shutil.copy(authority[f"{name}.key"], key)
        key.chmod(0o600)
    return {"sslcert": authority[f"{name}.crt"], "sslkey": key}


# ---- towards clients: modes ----


@covers("client_tls_sslmode", "client_tls_cert_file", "client_tls_key_file")
@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
def test_clients_may_use_tls(pgweir, authority, mode):
    pooler = started(pgweir(client_side(authority, mode), start=False))
    assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]
    rows = [row["tls"] for row in pooler.console("SHOW CLIENTS")] if mode != "require" else None
    with pooler.connect(**verified(authority)) as held:
        console = pooler.connect("pgbouncer", ADMIN, **verified(authority))
        cursor = console.cursor(row_factory=psycopg.rows.dict_row)
        shown = {row["user"]: row["tls"] for row in cursor.execute("SHOW CLIENTS").fetchall()}
        console.close()
        assert held.execute("SELECT 2").fetchone() == (2,)
    assert shown["alice"].startswith("TLSv1.3/TLS_")
    if mode == "require":
        assert "SSL required" in refusal(pooler)
        pooler.wait_for_log(r"login attempt: db=test user=alice tls=TLSv1\.3/TLS_\S+ replication=no")
    else:
        assert rows == [""]
        assert pooler.query("SELECT 1") == [(1,)]
        pooler.wait_for_log(r"login attempt: db=test user=alice tls=no replication=no")


def test_without_tls_clients_are_told_no(pgweir, wire):
    pooler = pgweir()
    connection = wire(pooler)
    assert connection.start_tls() == b"N"
    connection.startup()
    assert "server does not support SSL" in refusal(pooler, sslmode="require")


def test_the_unix_socket_has_no_tls(pgweir, authority, wire):
    pooler = started(pgweir(client_side(authority, "require"), start=False))
    connection = wire(str(pooler.directory / f".s.PGSQL.{pooler.port}"))
    assert connection.start_tls() == b"N"
    connection.startup()


@covers("client_tls_sslmode", scope="database")
def test_sslmode_require_holds_for_one_database_alone(pgweir, authority, postgres):
    pooler = pgweir(client_side(authority), databases={"open": server_row(postgres), "shut": server_row(postgres, "client_tls_sslmode=require"),
                                                       "shown": server_row(postgres, "client_tls_sslmode=verify-ca")})
    assert pooler.query("SELECT 1", "open") == [(1,)]
    assert "SSL required" in refusal(pooler, db="shut")
    assert pooler.query("SELECT 1", "shut", **verified(authority)) == [(1,)]
    assert "connection requires a valid client certificate" in refusal(pooler, db="shown", **verified(authority))
    assert pooler.query("SELECT 1", "shown", **verified(authority, **certificate(authority, "bob"))) == [(1,)]


# ---- client certificates ----


@covers("client_tls_ca_file")
def test_verify_full_wants_a_certificate_that_our_authority_signed(pgweir, authority):
    pooler = started(pgweir(client_side(authority, "verify-full"), start=False))

    def says(name):
        text = refusal(pooler, **verified(authority, **(certificate(authority, name) if name else {})))
        return text

    assert pooler.query("SELECT 1", **verified(authority, **certificate(authority, "alice"))) == [(1,)]
    assert "certificate required" in says(None)
    assert "expired" in says("expired")
    assert "unknown ca" in says("stranger/alice")
    pooler.wait_for_log(r"TLS handshake failed: .*certificate has expired")
    pooler.wait_for_log(r"TLS handshake failed: .*peer did not return a certificate")
    assert pooler.query("SELECT 1", **verified(authority, **certificate(authority, "revoked"))) == [(1,)]


@covers("client_tls_crl_file")
def test_revoked_certificates_are_refused(pgweir, authority):
    pooler = started(pgweir(client_side(authority, "verify-ca", client_tls_crl_file=authority["crl.pem"]), start=False))
    assert pooler.query("SELECT 1", **verified(authority, **certificate(authority, "alice"))) == [(1,)]
    assert "revoked" in refusal(pooler, **verified(authority, **certificate(authority, "revoked")))
    pooler.wait_for_log("TLS handshake failed: .*certificate revoked")


def test_cert_takes_the_name_from_the_certificate(pgweir, authority):
    pooler = started(pgweir(client_side(authority, "verify-full", auth_type="cert"), start=False))
    assert pooler.query("SELECT current_user", **verified(authority, **certificate(authority, "alice"))) == [("alice",)]
    text = refusal(pooler, **verified(authority, **certificate(authority, "bob")))
    assert "certificate authentication failed" in text
    assert "certificate authentication failed" in refusal(pooler, user="nobody", password="", **verified(authority, **certificate(authority, "bob")))


# ---- certificates of our own ----


def peer_certificate(pooler, authority, name):
    """The common name of the certificate that is shown to who asks for a host name (SNI)."""
    context = ssl.create_default_context(cafile=authority["ca.crt"])
    context.check_hostname = False
    with socket.create_connection((pooler.host, pooler.port), 10) as plain:
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=name) as secured:
            return dict(pair[0] for pair in secured.getpeercert()["subject"])["commonName"]


@covers("cert_file", "key_file", scope="tls")
def test_each_host_name_has_its_certificate(pgweir, authority):
    rows = {"other.example": f"cert_file={authority['other.crt']} key_file={authority['other.key']}",
            "'*.pool.example'": f"cert_file={authority['wild.crt']} key_file={authority['wild.key']}"}
    pooler = pgweir(client_side(authority), sections={"tls": rows})
    assert peer_certificate(pooler, authority, "other.example") == "other.example"
    assert peer_certificate(pooler, authority, "OTHER.example") == "other.example"
    assert peer_certificate(pooler, authority, "a.pool.example") == "wild"
    assert peer_certificate(pooler, authority, "a.b.pool.example") == "localhost"
    assert peer_certificate(pooler, authority, None) == "localhost"


def test_reload_takes_new_certificates_and_a_bad_file_keeps_the_old(pgweir, authority):
    pooler = pgweir(client_side(authority))
    assert peer_certificate(pooler, authority, None) == "localhost"
    with pooler.connect(**verified(authority)) as held:
        pooler.change_config(**client_side(authority, name="other"))
        pooler.reload()
        assert peer_certificate(pooler, authority, None) == "other.example"
        pooler.change_config(client_tls_cert_file=authority["server.crt"])  # not of that key
        with pytest.raises(psycopg.Error):
            pooler.console("RELOAD")
        pooler.change_config(client_tls_cert_file="/nowhere.crt")
        with pytest.raises(psycopg.Error):
            pooler.console("RELOAD")
        assert "/nowhere.crt" in pooler.log()
        assert peer_certificate(pooler, authority, None) == "other.example"
        assert held.execute("SELECT 1").fetchone() == (1,)


@covers("client_tls_key_passphrase_command")
def test_a_passphrase_is_asked_for_by_a_command(pgweir, authority):
    pooler = pgweir(client_side(authority, name="locked", client_tls_key_passphrase_command="echo open sesame"))
    assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]
    for command, what in (("echo wrong", "locked.key"), ("exit 3", "locked.key"), (None, "locked.key")):
        pooler.change_config(client_tls_key_passphrase_command=command)
        with pytest.raises(psycopg.Error):
            pooler.console("RELOAD")
        assert what in pooler.log()
    assert "open sesame" not in pooler.log()
    assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]


def test_a_passphrase_is_not_asked_for_again_by_reload(pgweir, authority):
    pooler = pgweir(client_side(authority, name="locked"), start=False)
    asked = pooler.logfile.parent / "asked"
    pooler.change_config(client_tls_key_passphrase_command=f"echo x >> {asked}; echo open sesame")
    pooler.start()
    times = len(asked.read_text().split())
    assert times == 1
    for _ in range(3):
        pooler.console("RELOAD")
    pooler.console("SET client_tls_protocols = 'tlsv1.3'")
    assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]
    assert len(asked.read_text().split()) == times


def test_the_setting_is_named_that_is_wrong_also_when_another_names_the_same_file(pgweir, authority):
    both = authority["server.crt"]
    pooler = pgweir(client_side(authority, client_tls_key_file=both), start=False)
    pooler.expected_exit = 1
    pooler.start(wait=False)
    assert pooler.wait() == 1
    place = [line.partition(" = ")[0] for line in pooler.ini.read_text().splitlines()].index("client_tls_key_file") + 1
    assert (f'{pooler.ini}:{place}: TLS setup failed: client_tls: cannot load TLS key file "{both}": '
            "there is no private key in it") in pooler.log()


def test_a_key_that_everybody_may_read_is_warned_of(pgweir, authority):
    key = authority["server.key"]
    os.chmod(key, 0o644)
    try:
        pooler = pgweir(client_side(authority))
        assert f'WARNING TLS key file "{key}" can be read by everybody: its mode should be 0600 or 0640' in pooler.log()
    finally:
        os.chmod(key, 0o600)
    os.truncate(pooler.logfile, 0)
    pooler.console("RELOAD")
    assert "WARNING" not in pooler.log()


@pytest.mark.parametrize("lines,message", [
    ({"client_tls_sslmode": "require"}, "needs client_tls_key_file and client_tls_cert_file"),
    ({"client_tls_protocols": "tlsv1.9"}, "tlsv1.9"),
    ({"client_tls_ciphers": "NOSUCH"}, "NOSUCH"),
    ({"client_tls13_ciphers": "NOSUCH"}, "NOSUCH"),
    ({"client_tls_ecdhcurve": "nocurve"}, "nocurve"),
    ({"client_tls_dheparams": "huge"}, "huge"),
    ({"client_tls_ca_file": "/no/ca"}, "/no/ca"),
    ({"client_tls_crl_file": "/no/crl"}, "/no/crl"),
])
def test_bad_tls_settings_stop_the_start_with_a_reason(pgweir, authority, lines, message):
    settings = {} if "client_tls_sslmode" in lines else client_side(authority)
    pooler = pgweir({**settings, **lines}, start=False)
    pooler.start(wait=False)
    assert pooler.wait() == 1
    pooler.expected_exit = 1
    assert "cannot load config file: " in pooler.log() and message in pooler.log()


@covers("client_tls_protocols")
def test_protocols_are_limited(pgweir, authority):
    pooler = pgweir(client_side(authority, client_tls_protocols="tlsv1.2"))
    with pooler.connect(**verified(authority)) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    pooler.wait_for_log(r"tls=TLSv1\.2/ECDHE-ECDSA-\S+ ")
    assert "protocol version" in refusal(pooler, **verified(authority, ssl_min_protocol_version="TLSv1.3"))


# ---- the beginning ----


@pytest.mark.parametrize("request_bytes,what", [(SSL_REQUEST, "SSL"), (GSSENC_REQUEST, "GSSAPI encryption")])
def test_plaintext_behind_a_request_is_refused(pgweir, authority, wire, request_bytes, what):
    connection = wire(pgweir(client_side(authority)))
    connection.send_raw(request_bytes + connection.startup_packet({"user": "alice"}))
    error = connection.read_error()
    assert (error["S"], error["C"]) == ("FATAL", "08P01")
    assert error["M"] == f"received unencrypted data after {what} request"
    connection.expect_closed()


def direct(pooler, protocols=("postgresql",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(socket.create_connection((pooler.host, pooler.port), 10))


def test_direct_tls_wants_the_protocol_named(pgweir, authority, wire):
    pooler = started(pgweir(client_side(authority, "require"), start=False))
    connection = wire(pooler)
    connection.socket.close()
    connection.socket = direct(pooler)
    assert connection.socket.selected_alpn_protocol() == "postgresql"
    connection.startup()
    assert connection.rows(connection.query("SELECT 'direct'")) == [[b"direct"]]
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        direct(pooler, ("http/1.1",))
    connection = wire(pooler)
    connection.socket.close()
    connection.socket = direct(pooler, ())
    assert connection.read_error()["M"] == "received a direct TLS connection without ALPN protocol negotiation"


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01" + b"\xff" * 400, b"GET / HTTP/1.1\r\n\r\n", b"\x16"],
                         ids=["short", "long", "http", "one byte"])
@pytest.mark.parametrize("asks", [True, False])
def test_handshakes_of_garbage_end_alone(pgweir, authority, garbage, asks):
    pooler = pgweir(client_side(authority, client_login_timeout=2 if len(garbage) == 1 else 60))
    with pooler.connect(**verified(authority)) as held, socket.create_connection((pooler.host, pooler.port), 10) as one:
        if asks:
            one.sendall(SSL_REQUEST)
            assert one.recv(1) == b"S"
        one.sendall(garbage)
        with contextlib.suppress(ConnectionResetError):
            while one.recv(4096):
                pass
        assert held.execute("SELECT 1").fetchone() == (1,)
    assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]
    if asks and len(garbage) > 1:  # one line with the cause
        lines = [line for line in pooler.log().splitlines() if "(nodb)/(nouser)" in line or "TLS handshake failed" in line]
        assert len(lines) == 2 and re.search(r"WARNING C-\w+: .* TLS handshake failed: \S+", lines[0]), lines
        assert "closing because: TLS handshake failed (age=" in lines[1]


def test_a_handshake_that_stays_half_open_times_out(pgweir, authority):
    pooler = pgweir(client_side(authority, client_login_timeout=1))
    with socket.create_connection((pooler.host, pooler.port), 10) as one:
        one.sendall(SSL_REQUEST)
        assert one.recv(1) == b"S"
        with contextlib.suppress(ConnectionResetError):
            while one.recv(4096):
                pass
    pooler.wait_for_log("closing because: client_login_timeout")


def test_sessions_are_resumed(pgweir, authority):
    pooler = pgweir(client_side(authority))
    context = ssl.create_default_context(cafile=authority["ca.crt"])
    context.check_hostname = False

    def connect(session=None):
        plain = socket.create_connection((pooler.host, pooler.port), 10)
        plain.sendall(SSL_REQUEST)
        assert plain.recv(1) == b"S"
        secured = context.wrap_socket(plain, server_hostname="localhost", session=session)
        secured.sendall(b"\0\0\0\x09\0\3\0\0\0")  # a start-up packet without a user: an error comes, and before it the ticket
        while secured.recv(4096):
            pass
        return secured

    first = connect()
    pooler.reload()
    assert connect(first.session).session_reused


# ---- much data ----


def test_large_results_and_copies_pass_through_tls_on_both_sides(pgweir, authority, tls_postgres):
    pooler = pgweir(client_side(authority, server_tls_sslmode="require"))
    with pooler.connect("test_transaction", **verified(authority)) as connection:
        row = connection.execute("SELECT repeat('x', 20000000)").fetchone()
        assert row == ("x" * 20_000_000,)
        connection.execute("CREATE TABLE tls_copy (n int, t text)")
        try:
            with connection.cursor().copy("COPY tls_copy FROM STDIN") as copy:
                for n in range(20000):
                    copy.write_row((n, "y" * 500))
            assert connection.execute("SELECT count(*), sum(n), sum(length(t)) FROM tls_copy").fetchone() == (20000, 199990000, 10_000_000)
        finally:
            connection.execute("DROP TABLE tls_copy")


# ---- towards servers ----


def server_tls(connection):
    return connection.execute("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()


@covers("server_tls_sslmode")
@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_every_mode_towards_a_server_with_tls(pgweir, authority, tls_postgres, mode):
    pooler = pgweir({"server_tls_sslmode": mode, "server_tls_ca_file": authority["ca.crt"]},
                    databases={DATABASE: f"host=localhost port={tls_postgres.port} dbname={DATABASE}"})
    with pooler.connect() as connection:
        assert server_tls(connection) == ((False, None) if mode == "disable" else (True, "TLSv1.3"))
        tls = [row["tls"] for row in pooler.console("SHOW SERVERS")]
        assert len(tls) == 1 and (tls[0] == "") == (mode == "disable")
    if mode != "disable":
        pooler.wait_for_log(r"SSL established: TLSv1\.3/")


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"])
def test_every_mode_towards_a_server_without_tls(pgweir, postgres, authority, mode):
    pooler = pgweir({"server_tls_sslmode": mode, "server_tls_ca_file": authority["ca.crt"], "query_wait_timeout": 1, "server_login_retry": 60})
    if mode in ("disable", "allow", "prefer"):
        assert pooler.query("SELECT 1") == [(1,)]
    else:
        text = refusal(pooler)
        assert "query_wait_timeout" in text and "DETAIL:  server refused SSL" in text
        pooler.wait_for_log("closing because: server refused SSL")


@covers("server_tls_ca_file")
def test_verify_ca_refuses_the_wrong_authority(pgweir, authority, tls_postgres):
    pooler = pgweir({"server_tls_sslmode": "verify-ca", "server_tls_ca_file": authority["stranger/ca.crt"], "query_wait_timeout": 1})
    assert "TLS handshake failed" in refusal(pooler)
    pooler.wait_for_log("TLS handshake failed: .*certificate verify failed")


def test_verify_full_refuses_the_wrong_name_and_verify_ca_does_not(pgweir, authority, tls_postgres):
    show_certificate(tls_postgres, authority, "other")
    rows = {f"{mode}_{host}": f"host={host} port={tls_postgres.port} dbname={DATABASE} server_tls_sslmode={mode}"
            for mode in ("verify-ca", "verify-full") for host in ("localhost", "127.0.0.1")}
    pooler = pgweir({"server_tls_ca_file": authority["ca.crt"], "query_wait_timeout": 1}, databases=rows)
    for name in rows:
        if name.startswith("verify-ca"):
            assert pooler.query("SELECT 1", name) == [(1,)]
        else:
            assert "TLS handshake failed" in refusal(pooler, db=name)
    pooler.wait_for_log("TLS handshake failed: .*(?i:hostname mismatch)")
    pooler.wait_for_log("TLS handshake failed: .*(?i:IP address mismatch)")


def test_verify_full_takes_an_address_in_the_certificate(pgweir, authority, tls_postgres):
    pooler = pgweir({"server_tls_sslmode": "verify-full", "server_tls_ca_file": authority["ca.crt"]})  # host=127.0.0.1
    with pooler.connect() as connection:
        assert server_tls(connection) == (True, "TLSv1.3")


@covers("server_tls_sslmode", "server_tls_protocols", scope="database")
def test_databases_override_how_their_servers_are_reached(pgweir, authority, tls_postgres):
    pooler = pgweir({"server_tls_sslmode": "require"}, databases={
        "plain": server_row(tls_postgres, "server_tls_sslmode=disable"),
        "old": server_row(tls_postgres, "server_tls_protocols=tlsv1.2"),
        "new": server_row(tls_postgres)})
    for name, expected in (("plain", (False, None)), ("old", (True, "TLSv1.2")), ("new", (True, "TLSv1.3"))):
        with pooler.connect(name) as connection:
            assert server_tls(connection) == expected
    # A change retires the servers that were made under the old words.
    pooler.change_config("databases", plain=server_row(tls_postgres, "server_tls_sslmode=require"))
    pooler.reload()
    with pooler.connect("plain") as connection:
        assert server_tls(connection) == (True, "TLSv1.3")


@covers("server_tls_cert_file", "server_tls_key_file", scope="database")
def test_we_show_servers_our_certificate(pgweir, authority, tls_postgres):
    with tls_postgres.hba("hostssl all alice 127.0.0.1/32 cert"):
        row = server_row(tls_postgres, f"server_tls_sslmode=require server_tls_cert_file={authority['alice.crt']} server_tls_key_file={authority['alice.key']}")
        pooler = pgweir(databases={DATABASE: row, "without": server_row(tls_postgres, "server_tls_sslmode=require")})
        assert pooler.query("SELECT current_user") == [("alice",)]
        assert "connection requires a valid client certificate" in refusal(pooler, db="without")


@pytest.mark.parametrize("since", [None, "disable"])
def test_a_cancel_request_travels_as_its_connection(pgweir, authority, tls_postgres, since):
    pooler = pgweir({"server_tls_sslmode": "require"})
    with pooler.connect("test_transaction") as connection:
        job = Background(connection.execute, "SELECT pg_sleep(20)")
        wait_until(lambda: tls_postgres.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'"))
        if since:
            pooler.change_config(server_tls_sslmode=since)
            pooler.reload()
        connection.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            job.result()
    assert pooler.log().count("SSL established") >= 2


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("minor", [0, 2])
def test_a_cancel_request_travels_to_a_peer_encrypted(pgweir, authority, postgres, wire, negotiation, minor):
    """The peer takes nothing else, and its certificate is verified. The request reached us encrypted, too."""
    right = pgweir(client_side(authority, "require", peer_id=1, default_pool_size=1), start=False)
    wrong = pgweir(client_side(authority, "require", peer_id=2, server_tls_sslmode="verify-full", server_tls_negotiation=negotiation,
                               server_tls_ca_file=authority["ca.crt"]), start=False)
    wrong.change_config("peers", **{"1": f"host=localhost port={right.port}"})
    started(right)
    started(wrong)
    connection, asker = wire(right), wire(wrong)
    assert connection.start_tls() == asker.start_tls() == b"S"
    connection.startup(protocol=3 << 16 | minor)
    connection.send_raw(query("SELECT pg_sleep(20)"))
    wait_until(lambda: postgres.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"))
    asker.send_raw(asker.cancel_packet(connection.key))
    asker.expect_closed()
    assert error_in(connection.read_until(b"Z"))["C"] == "57014"
    wrong.wait_for_log(r"peer-1@\S+ SSL established: TLSv1.3")
    assert f"peer-1@{right.host}:{right.port}" in wrong.log()


def test_a_peer_whose_certificate_is_wrong_is_told_nothing(pgweir, authority, wire):
    right = pgweir(client_side(authority, "require", "other", peer_id=1), start=False)
    wrong = pgweir({"peer_id": 2, "server_tls_sslmode": "verify-full", "server_tls_ca_file": authority["ca.crt"]}, start=False)
    wrong.change_config("peers", **{"1": f"host=localhost port={right.port}"})
    started(right)
    started(wrong)
    asker = wire(wrong)
    asker.send_raw(asker.cancel_packet((1 << 16, b"\0\0\0\3")))
    asker.expect_closed()
    wrong.wait_for_log(r"peer-1@\S+ cannot carry a CancelRequest: TLS handshake failed: ")
    assert "bad cancel request" not in right.log()


@covers("server_tls_negotiation", scope="database")
def test_direct_tls_towards_a_server_that_takes_it(pgweir, authority, postgres):
    """The server here is another pooler, which takes direct TLS as PostgreSQL 17 does."""
    behind = started(pgweir(client_side(authority, "require"), start=False))
    row = f"host=localhost port={behind.port} dbname={DATABASE} server_tls_sslmode=verify-full server_tls_ca_file={authority['ca.crt']}"
    front = pgweir(databases={"direct": f"{row} server_tls_negotiation=direct", "asked": row})
    for name in ("direct", "asked"):
        assert front.query("SELECT current_user", name) == [("alice",)]
    tls = {row["database"]: row["tls"] for row in front.console("SHOW SERVERS")}
    assert all(value.startswith("TLSv1.3/") for value in tls.values()) and set(tls) == {"direct", "asked"}


@covers("server_tls_negotiation")
def test_direct_tls_towards_a_server_that_does_not_take_it(pgweir, authority, tls_postgres):
    pooler = pgweir({"server_tls_sslmode": "require", "server_tls_negotiation": "direct", "query_wait_timeout": 1})
    assert "query_wait_timeout" in refusal(pooler)  # PostgreSQL 15 takes a ClientHello for a start-up packet
    pooler.wait_for_log("cannot use the server: ")


@covers("server_tls_crl_file", "server_tls_ca_file", scope="database")
def test_a_revoked_server_is_refused(pgweir, authority, tls_postgres):
    show_certificate(tls_postgres, authority, "revoked")
    row = server_row(tls_postgres, f"server_tls_sslmode=verify-ca server_tls_ca_file={authority['ca.crt']}")
    pooler = pgweir({"query_wait_timeout": 1}, databases={"lax": row, "strict": f"{row} server_tls_crl_file={authority['crl.pem']}"})
    assert pooler.query("SELECT 1", "lax") == [(1,)]
    assert "TLS handshake failed: certificate verify failed: certificate revoked" in refusal(pooler, db="strict")


@pytest.mark.parametrize("answer", [b"X", b"SX", b"N" + b"R\0\0\0\x08\0\0\0\0", b"E\0\0\0\x04"], ids=["other", "two", "smuggled", "error"])
def test_a_server_that_answers_the_request_for_tls_with_anything_else(pgweir, answer):
    """An answer with more behind it was put together by somebody in between."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pooler = pgweir({"query_wait_timeout": 1}, databases={DATABASE: f"host=127.0.0.1 port={listener.getsockname()[1]}"})
        job = Background(refusal, pooler)
        with listener.accept()[0] as connection:
            assert connection.recv(100) == SSL_REQUEST
            connection.sendall(answer)
            assert connection.recv(100) == b""  # it is told nothing more, no password above all
        assert "did not answer the SSLRequest" in job.result()


# ---- channel binding, end to end ----


def test_channel_binding_on_both_sides(pgweir, authority, tls_postgres):
    """A client that requires it, through us, to a server that is reached with it; one secret on both sides."""
    secret = tls_postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram'")[0]["rolpassword"]
    assert secret.startswith("SCRAM-SHA-256$")
    with tls_postgres.hba("hostssl all scram 127.0.0.1/32 scram-sha-256", "host all scram all reject"):
        pooler = pgweir(client_side(authority, "require", auth_type="scram-sha-256", server_tls_sslmode="verify-full",
                                    server_tls_ca_file=authority["ca.crt"]),
                        databases={DATABASE: f"host=localhost port={tls_postgres.port} dbname={DATABASE}"},
                        userlist={ADMIN: password_of(ADMIN), "scram": secret}, start=False)
        started(pooler)
        assert pooler.query("SELECT current_user", user="scram", **verified(authority, channel_binding="require")) == [("scram",)]
        assert pooler.query("SELECT current_user", user="scram", **verified(authority, channel_binding="disable")) == [("scram",)]
        assert "SASL authentication failed" in refusal(pooler, user="scram", password="wrong", **verified(authority, channel_binding="require"))


def test_a_client_that_was_lied_to_about_channel_binding_is_refused(pgweir, authority, wire):
    """The flag y says: I could, but you did not offer. We did; somebody took it out of the list."""
    pooler = pgweir(client_side(authority, auth_type="scram-sha-256"))
    connection = wire(pooler)
    assert connection.start_tls() == b"S"
    connection.startup(login=False)
    kind, body = connection.read_message()
    assert kind == b"R" and body[4:] == b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
    first = b"y,,n=,r=abcdefghijklmnopqrstuvwx"
    connection.send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first)
    error = connection.read_error()
    assert (error["C"], error["M"]) == ("28000", "SCRAM channel binding negotiation error")
