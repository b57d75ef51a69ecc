# SPDX-License-Identifier: ISC
"""Protocol 3.0 and 3.2 on both sides, each independent of the other, and what is negotiated of it."""
import contextlib
import socket
import struct
import subprocess
import sys
import threading

import pytest
from conftest import ADMIN, Unprivileged, free_port, wait_until
from helpers import error_in, query, refusal, server_row
from test_cancel import SLEEP, send_cancel, sleeping

V3 = 3 << 16


class Tap:
    """Stands before a server, notes what passes at the beginning of each connection, and can refuse versions above 3.0 as
    servers do that do not know how to negotiate: by closing, or with an ErrorResponse."""

    def __init__(self, target):
        self.target = (target.host, target.port)
        self.host, self.port = "127.0.0.1", free_port()
        self.refusal = None
        self.seen = []  # of each connection: [what the client said first, all that the server said]
        self.listener = socket.create_server((self.host, self.port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.relay, args=(client,), daemon=True).start()

    def relay(self, client):
        with client, contextlib.suppress(OSError):
            said = client.recv(1000)
            record = [said, b""]
            self.seen.append(record)
            if self.refusal is not None and V3 < self.version(said) < 4 << 16:
                client.sendall(self.refusal)
                return
            with socket.create_connection(self.target) as server:
                server.sendall(said)
                threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
                while data := server.recv(65536):
                    record[1] += data
                    client.sendall(data)
                client.shutdown(socket.SHUT_WR)

    @staticmethod
    def pump(client, server):
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    @staticmethod
    def version(said):
        return struct.unpack("!I", said[4:8])[0]

    @property
    def logins(self):
        return [r for r in self.seen if self.version(r[0]) >> 16 == 3]

    @property
    def cancels(self):
        return [r[0] for r in self.seen if self.version(r[0]) == 80877102]

    @staticmethod
    def key(record):
        """Process id and secret of BackendKeyData in what the server said."""
        said = record[1]
        while said[:1] != b"K":
            said = said[1 + struct.unpack("!I", said[1:5])[0]:]
        length = struct.unpack("!I", said[1:5])[0]
        return struct.unpack("!I", said[5:9])[0], said[9:1 + length]


@pytest.fixture
def tap():
    """Factory of Taps, closed at the end."""
    with contextlib.ExitStack() as taps:
        def factory(target):
            made = Tap(target)
            taps.callback(made.listener.close)
            return made
        yield factory


def before(pgweir, target, **config):
    """A pooler without TLS towards servers before this one."""
    return pgweir({"server_tls_sslmode": "disable", "default_pool_size": 1, **config},
                  databases={"test": server_row(target), "test_transaction": server_row(target, "pool_mode=transaction")})


# ---- towards clients ----

OPTIONS = [{}, {"_pq_.a": "x"}, {"_pq_.test_protocol_negotiation": ""}, {"_pq_.b": "", "_pq_.a": "1"}]


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 9999, 65535])
def test_negotiation_is_that_of_postgresql_18(pgweir, postgres18, wire, minor):
    """The same StartupMessages to both: the same NegotiateProtocolVersion, or none, and keys of the same length."""
    pooler = before(pgweir, postgres18, default_pool_size=len(OPTIONS))
    for options in OPTIONS:
        answers = []
        for target in (postgres18, pooler):
            connection = wire(target)
            messages = connection.startup(protocol=V3 | minor, **options)
            answers.append(([m for m in messages if m[0] == b"v"], messages[0][0], len(connection.key[1])))
            assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]
        assert answers[0] == answers[1]
        assert answers[1][2] == (32 if minor >= 2 else 4)


@pytest.mark.parametrize("major, minor, error", [
    (2, 0, ("0A000", "old V2 protocol not supported")),
    (1, 0, ("0A000", "old V2 protocol not supported")),
    (4, 0, ("08P01", "bad packet header: '")),
    (0, 0, ("08P01", "bad packet header: '")),
    (1234, 5677, ("08P01", "bad packet header: '")),
])
def test_other_protocols_are_refused(pgweir, wire, major, minor, error):
    pooler = pgweir()
    fields = refusal(wire(pooler), protocol=major << 16 | minor)
    assert (fields["S"], fields["C"]) == ("FATAL", error[0]) and fields["M"].startswith(error[1])


def test_a_gssenc_request_is_answered_no_and_3_2_follows(pgweir, wire):
    pooler = pgweir()
    connection = wire(pooler)
    connection.send_raw(struct.pack("!II", 8, connection.gssenc_request))
    assert connection.read_bytes(1) == b"N"
    connection.startup(protocol=V3 | 2)
    assert len(connection.key[1]) == 32


def test_protocol_options_are_no_parameters(pgweir, wire):
    """They are neither refused nor sent to the server."""
    pooler = pgweir()
    connection = wire(pooler)
    messages = connection.startup(**{"_pq_.search_path": "x"})
    assert dict(messages)[b"v"] == struct.pack("!II", V3, 1) + b"_pq_.search_path\0"
    assert b"x" not in [row[0] for row in connection.rows(connection.query("SHOW search_path"))]


def test_the_console_speaks_3_2(pgweir, wire):
    pooler = pgweir()
    for minor, length in ((0, 4), (2, 32), (9999, 32)):
        console = wire(pooler)
        messages = console.startup(user=ADMIN, database="pgbouncer", protocol=V3 | minor)
        assert len(console.key[1]) == length and (messages[0][0] == b"v") == (minor == 9999)
        assert console.rows(console.query("SHOW STATE"))[0] == [b"active", b"yes"]


# ---- both sides ----


@pytest.mark.parametrize("minor", [0, 2])
@pytest.mark.parametrize("version", [15, 18])
def test_each_side_speaks_its_own_version(pgweir, postgres, postgres18, wire, tap, version, minor):
    """3.2 is asked for; the server's key is as long as its protocol has it, whatever the client's; cancels carry it."""
    target = postgres18 if version == 18 else postgres
    tapped = tap(target)
    connection = wire(before(pgweir, tapped))
    connection.startup(database="test_transaction", protocol=V3 | minor)
    assert len(connection.key[1]) == (32 if minor else 4)
    (login,) = tapped.logins
    assert tapped.version(login[0]) == V3 | 2
    negotiated = login[1].startswith(b"v\0\0\0\x0c" + struct.pack("!II", V3, 0))
    key = tapped.key(login)
    assert (negotiated, len(key[1])) == ((False, 32) if version == 18 else (True, 4))
    for _ in range(2):
        connection.send_raw(query(SLEEP))
        sleeping(target)
        send_cancel(wire, connection_target(connection), connection.key)
        assert error_in(connection.read_until(b"Z"))["C"] == "57014"
    assert tapped.cancels == [connection.cancel_packet(key)] * 2


def connection_target(connection):
    return connection.socket.getpeername()


def test_a_long_key_with_a_wrong_end_cancels_nothing(pgweir, postgres, wire):
    pooler = pgweir({"default_pool_size": 1})
    connection = wire(pooler)
    connection.startup(database="test_transaction", protocol=V3 | 2)
    connection.send_raw(query("SELECT 'whole', pg_sleep(1)"))
    sleeping(postgres)
    process, secret = connection.key
    for wrong in (secret[:4], secret[:-1], secret + b"x", secret[:-1] + bytes([secret[-1] ^ 1]), secret[:4] + bytes(28)):
        send_cancel(wire, pooler, (process, wrong))
    assert connection.rows(connection.read_until(b"Z")) == [[b"whole", b""]]


CLIENT = """
import ctypes, sys, threading, time, psycopg
connection = psycopg.connect(sys.argv[1], autocommit=True)
libpq = ctypes.CDLL("libpq.so.5")
libpq.PQfullProtocolVersion.argtypes = [ctypes.c_void_p]
print(libpq.PQfullProtocolVersion(ctypes.cast(connection.pgconn._pgconn_ptr, ctypes.c_void_p)), flush=True)
def cancel():
    sys.stdin.readline()
    connection.cancel()
threading.Thread(target=cancel).start()
try:
    connection.execute("SELECT pg_sleep(60)")
except psycopg.errors.QueryCanceled as error:
    print(error.sqlstate)
print(connection.execute("SELECT 'lives'").fetchone()[0])
"""


@pytest.mark.parametrize("asked, agreed", [("3.0", 30000), ("3.2", 30002), ("latest", 30002)])
def test_libpq_of_postgresql_18(pgweir, postgres18, postgres18_home, asked, agreed):
    """The real client library, with its own strict view of negotiation and keys, and its own cancel."""
    pooler = before(pgweir, postgres18)
    # The libpq of this process may not know the word.
    dsn = pooler.dsn("test_transaction") + f" max_protocol_version={asked}"
    environment = {"LD_LIBRARY_PATH": str(postgres18_home / "lib"), "PSYCOPG_IMPL": "python", "PATH": "/usr/bin:/bin"}
    with subprocess.Popen([sys.executable, "-c", CLIENT, dsn], env=environment, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **Unprivileged.popen) as client:
        try:
            sleeping(postgres18)
            out, err = client.communicate("\n", timeout=20)
        finally:
            client.kill()
    assert out.split() == [str(agreed), "57014", "lives"], err


# ---- servers that do not know how to negotiate ----


def fatal(sqlstate, message):
    body = b"SFATAL\0VFATAL\0C" + sqlstate + b"\0M" + message + b"\0\0"
    return b"E" + struct.pack("!I", len(body) + 4) + body


@pytest.mark.parametrize("answer", [
    b"",
    fatal(b"0A000", b"unsupported frontend protocol 3.2: server supports 1.0 to 3.0"),
    fatal(b"08P01", b"unsupported protocol version"),
    b"EFATAL:  unsupported frontend protocol 3.2: server supports 1.0 to 3.0\n\0",
], ids=["closes", "0A000", "08P01", "v2"])
def test_a_server_that_refuses_3_2_is_asked_with_3_0(pgweir, postgres, wire, tap, answer):
    tapped = tap(postgres)
    tapped.refusal = answer
    pooler = before(pgweir, tapped, server_login_retry=60)
    connection = wire(pooler)
    connection.startup(database="test_transaction")
    assert [tapped.version(r[0]) for r in tapped.logins] == [V3 | 2, V3]
    pooler.wait_for_log(r"S-0x\w+: test_transaction/alice@127.0.0.1:\d+ the server did not answer to protocol 3.2, asking again with 3.0")
    connection.send_raw(query(SLEEP))
    sleeping(postgres)
    send_cancel(wire, pooler, connection.key)
    assert error_in(connection.read_until(b"Z"))["C"] == "57014"
    # It is remembered for this database until it is configured anew.
    pooler.console("RECONNECT test_transaction")
    wait_until(lambda: not pooler.console("SHOW SERVERS"))
    assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]
    assert [tapped.version(r[0]) for r in tapped.logins] == [V3 | 2, V3, V3]
    tapped.refusal = None
    pooler.change_config("databases", test_transaction=server_row(tapped, "pool_mode=transaction connect_query='SELECT 1'"))
    pooler.reload()
    assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]
    assert tapped.version(tapped.logins[-1][0]) == V3 | 2


def test_a_server_that_refuses_for_another_reason_is_not_asked_again(pgweir, postgres, wire, tap):
    tapped = tap(postgres)
    pooler = before(pgweir, tapped, server_login_retry=60)
    pooler.change_config("databases", test=server_row(tapped, dbname="nowhere"))
    pooler.reload()
    fields = refusal(wire(pooler))
    assert (fields["C"], fields["M"]) == ("3D000", 'database "nowhere" does not exist')
    assert [tapped.version(r[0]) for r in tapped.logins] == [V3 | 2]
