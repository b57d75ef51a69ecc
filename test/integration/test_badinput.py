# SPDX-License-Identifier: ISC
"""Whatever bytes come: that one connection ends, the process, its descriptors and its memory stay as they were."""
import os
import random
import socket
import struct

import pytest
from conftest import DATABASE, Wire, wait_until
from helpers import SYNC, TERMINATE, Background, bind, describe, execute, grown_kb, make_table, parse, query, server_row, wait_idle

STARTUP = Wire.startup_packet({"user": "alice", "database": DATABASE})
SLACK_KB = 600  # of memory, for what an allocator keeps


@pytest.fixture
def steady(pgweir, postgres):
    """A pooler that must be as it was, after the test: same descriptors, same memory, still serving."""
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 3, "log_connections": 0, "log_disconnections": 0, "log_pooler_errors": 0,
                     "client_login_timeout": 5, "max_client_conn": 500})
    for _ in range(2):  # what is made once is made now
        jobs = [Background(pooler.query, "SELECT pg_sleep(0.01), repeat('w', 100000)") for _ in range(12)]
        for job in jobs:
            job.result()
        for sample in (b"garbage", STARTUP[:9], STARTUP + query("SELECT 1")[:7]):
            throw(pooler, sample)
    wait_idle(pooler)
    descriptors, memory = pooler.descriptors(), pooler.memory_kb()
    yield pooler
    assert pooler.running()
    wait_idle(pooler)
    # Servers come and go with clients that vanish; each is one descriptor, of at most default_pool_size.
    wait_until(lambda: pooler.descriptors() <= descriptors, 10, "the descriptors back")
    assert grown_kb(pooler, memory) < SLACK_KB
    assert pooler.query("SELECT 'serving'") == [("serving",)]


def throw(pooler, data, finish=True):
    """Send bytes on a connection of their own, and read until it is closed; with finish, say that no more will come."""
    with socket.create_connection((pooler.host, pooler.port), 10) as connection:
        answer = b""
        try:
            connection.sendall(data)
            if finish:
                connection.shutdown(socket.SHUT_WR)
            while True:
                part = connection.recv(65536)
                if not part:
                    return answer
                answer += part
        except (ConnectionResetError, BrokenPipeError):
            return answer


def last_error(answer):
    """The fields of the error that ends an answer; the messages before it must be whole."""
    at, fields = 0, None
    while at < len(answer):
        kind, length = struct.unpack_from("!cI", answer, at)
        assert at + 1 + length <= len(answer), "an unfinished message"
        fields = Wire.fields(answer[at + 5:at + 1 + length]) if kind == b"E" else None
        at += 1 + length
    return fields


def packet(body, length=None):
    return struct.pack("!I", len(body) + 4 if length is None else length) + body


# ---- truncation ----


@pytest.mark.parametrize("how", ["half-close", "close", "reset"])
def test_a_startup_packet_cut_at_each_byte(steady, how):
    for cut in range(len(STARTUP)):
        cut_off(steady, STARTUP[:cut], how)


def cut_off(pooler, data, how):
    if how == "half-close":
        assert throw(pooler, data)[:1] in (b"", b"R", b"E")
        return
    with socket.create_connection((pooler.host, pooler.port)) as connection:
        connection.sendall(data)
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize("how", ["half-close", "close", "reset"])
def test_requests_cut_at_each_byte(steady, postgres, how):
    make_table(postgres, "cut", "a int")
    whole = query("INSERT INTO cut VALUES (1)")
    pipeline = parse("SELECT $1::int", name="") + bind("7") + describe(b"P") + execute() + SYNC
    for cut in range(len(whole)):
        cut_off(steady, STARTUP + whole[:cut], how)
    for cut in range(0, len(pipeline), 3):
        cut_off(steady, STARTUP + pipeline[:cut], how)
    wait_idle(steady)
    assert postgres.execute("SELECT * FROM cut") == []
    # No half of a request is the head of the next one.
    assert [steady.query(f"SELECT {n}") for n in range(10)] == [[(n,)] for n in range(10)]


def test_everything_one_byte_at_a_time(steady, wire):
    connection = wire(steady)
    for byte in STARTUP:
        connection.send_raw(bytes([byte]))
    connection.read_until(b"Z")
    for request in (query("SELECT 'slowly'"), parse("SELECT 'slowly'") + bind() + execute() + SYNC):
        for byte in request:
            connection.send_raw(bytes([byte]))
        assert connection.rows(connection.read_until(b"Z")) == [[b"slowly"]]
    connection.close()


def test_half_a_message_holds_no_server(pgweir, wire):
    pooler = pgweir({"pool_mode": "transaction", "default_pool_size": 1})
    for half in (query("SELECT 1")[:1], query("SELECT 1")[:4], query("SELECT 1")[:5], query("SELECT 1")[:9], parse("SELECT 1")[:8]):
        connection = wire(pooler)
        connection.startup()
        connection.send_raw(half)
        assert pooler.query("SELECT 'others'") == [("others",)]
        connection.close()
    assert pooler.query("SELECT 'others'") == [("others",)]


# ---- startup packets ----


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 10_001, 65_536, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_startup_packet_of_a_wrong_length(steady, length):
    answer = throw(steady, packet(STARTUP[4:], length), finish=False)
    error = last_error(answer)
    assert error is None or error["S"] == "FATAL"


def test_a_startup_packet_that_is_too_long_costs_no_memory(steady):
    """A hundred connections announce 10 MB each and begin to send them."""
    memory = steady.memory_kb()
    connections = []
    for _ in range(100):
        connection = socket.create_connection((steady.host, steady.port))
        connections.append(connection)
        try:
            connection.sendall(packet(STARTUP[4:], 10_000_000) + b"x" * 60_000)
        except OSError:
            pass
    assert grown_kb(steady, memory) < 2 * SLACK_KB
    for connection in connections:
        connection.close()


def test_a_startup_packet_as_long_as_allowed(pgweir, wire):
    pooler = pgweir({"ignore_startup_parameters": "filler"})
    connection = wire(pooler)
    connection.startup(filler="f" * 9_900)
    assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]
    connection = wire(pooler)
    connection.startup(login=False, filler="f" * 10_000)
    assert connection.fields(connection.read_rest()[-1][1])["S"] == "FATAL"


V3 = struct.pack("!I", 3 << 16)


@pytest.mark.parametrize("body,message", [
    (V3 + b"user\0alice\0database\0test", "invalid startup packet layout: expected terminator as last byte"),
    (V3 + b"user\0alice\0database\0test\0", "invalid startup packet layout: expected terminator as last byte"),
    (V3 + b"user\0alice\0database", None),
    (V3 + b"user", None),
    (V3, None),
    (V3 + b"\0", "no username supplied"),
    (V3 + b"user\0\0\0", None),
    (V3 + b"\0\0\0\0\0\0\0", None),
    (V3 + b"database\0test\0\0", "no username supplied"),
    (V3 + b"user\0alice\0database\0test\0\0after the end\0", None),
    (V3 + b"user\0" + b"a" * 5000 + b"\0database\0test\0\0", None),
    (V3 + b"user\0alice\0database\0" + b"d" * 5000 + b"\0\0", None),
    (V3 + b"user\0alice\0user\0bob\0database\0test\0\0" * 50, None),
    (V3 + b"\xff\xfe\xfd\0" * 100 + b"\0", None),
    (struct.pack("!I", 2 << 16) + b"x" * 292, "old V2 protocol not supported"),
    (struct.pack("!I", 1 << 16), None),
    (struct.pack("!I", 4 << 16) + b"user\0alice\0\0", None),
    (struct.pack("!I", 80877104 + 1) + b"\0", None),
    (struct.pack("!I", 80877102), None),
    (struct.pack("!I", 80877102) + b"\0" * 7, None),
    (struct.pack("!I", 80877102) + b"\0" * 8, None),
    (struct.pack("!I", 80877102) + b"\0" * 5000, None),
    (struct.pack("!I", 80877103) + b"more", None),
    (struct.pack("!I", 80877104) + b"more", None),
], ids=range(24))
def test_a_startup_packet_that_makes_no_sense(steady, body, message):
    answer = throw(steady, packet(body), finish=False)
    if not answer:
        return  # PostgreSQL too says nothing to broken cancels
    error = last_error(answer)
    assert error and error["S"] == "FATAL" and error["C"] in ("08P01", "28000", "3D000", "0A000", "42704")
    assert message is None or error["M"] == message


@pytest.mark.parametrize("request_code,name", [(80877103, "SSL"), (80877104, "GSSAPI encryption")])
def test_bytes_behind_a_request_for_encryption_are_refused(steady, request_code, name):
    answer = throw(steady, packet(struct.pack("!I", request_code)) + STARTUP, finish=False)
    if answer[:1] == b"N":
        answer = answer[1:]
    assert last_error(answer)["M"] == f"received unencrypted data after {name} request"


def test_encryption_is_asked_for_again_and_again(steady, wire):
    connection = wire(steady)
    for code in (80877103, 80877104):
        connection.send_raw(packet(struct.pack("!I", code)))
        assert connection.read_bytes(1) == b"N"
    connection.startup()
    assert connection.rows(connection.query("SELECT 1")) == [[b"1"]]
    connection.close()
    for _ in range(3):
        connection = wire(steady)
        try:
            for _ in range(50):
                connection.send_raw(packet(struct.pack("!I", 80877103)))
                connection.read_bytes(1)
        except Exception:  # ending it is as good as answering
            pass
        connection.close()


# ---- wrong order ----


@pytest.mark.parametrize("first", [query("SELECT 1"), SYNC, TERMINATE, parse("SELECT 1"), Wire.message(b"p", b"password\0"), b"\0", b"X", b"GET / HTTP/1.1\r\n\r\n",
                                   b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-OpenSSH\r\n", b"\xff" * 64], ids=range(11))
def test_something_else_than_a_startup_packet(steady, first):
    answer = throw(steady, first)
    assert answer == b"" or answer[:1] in (b"E", b"\x15")
    if answer[:1] == b"E":
        assert last_error(answer)["S"] == "FATAL"


def test_a_second_startup_packet_is_refused(steady, wire):
    connection = wire(steady)
    connection.startup()
    connection.send_raw(STARTUP)
    messages = connection.read_rest()
    assert connection.kinds(messages) == b"E" and connection.fields(messages[0][1])["S"] == "FATAL"


def test_a_password_that_nobody_asked_for(steady, wire):
    connection = wire(steady)
    connection.startup()
    connection.send(b"p", b"password\0")
    messages = connection.read_rest()
    assert set(connection.kinds(messages)) <= set(b"EZ")
    assert connection.fields(messages[0][1])["S"] in ("FATAL", "ERROR")


# ---- messages ----


def test_messages_of_unknown_types(steady):
    for kind in [bytes([n]) for n in range(256) if bytes([n]) not in b"QPBEDCSHFdcfXp"]:
        error = last_error(throw(steady, STARTUP + Wire.message(kind, b"body") + query("SELECT 1"), finish=False))
        assert error and (kind, error["S"], error["C"]) == (kind, "FATAL", "08P01")


@pytest.mark.parametrize("kind", [b"Q", b"P", b"S", b"X", b"d", b"H"])
def test_messages_of_impossible_lengths(steady, kind):
    for length in (0, 1, 2, 3, 2**31, 2**32 - 1):
        error = last_error(throw(steady, STARTUP + kind + struct.pack("!I", length) + b"SELECT 1\0" * 20, finish=False))
        assert error and (length, error["S"], error["C"]) == (length, "FATAL", "08P01")


@pytest.mark.parametrize("request_bytes", [
    Wire.message(b"Q"), Wire.message(b"Q", b"SELECT 1"), Wire.message(b"Q", b"SELECT 1\0SELECT 2\0"),
    Wire.message(b"P"), Wire.message(b"P", b"\0"), Wire.message(b"P", b"name"), Wire.message(b"P", b"\0SELECT 1\0\xff\xff"),
    Wire.message(b"B"), Wire.message(b"B", b"\0\0\0\x05"), Wire.message(b"B", b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
    Wire.message(b"D"), Wire.message(b"D", b"Q\0"), Wire.message(b"E"), Wire.message(b"E", b"\0\0"), Wire.message(b"C", b"Xx"),
    Wire.message(b"S", b"body"), Wire.message(b"H", b"body"), Wire.message(b"F"), Wire.message(b"F", b"\0" * 5), Wire.message(b"f"),
], ids=range(20))
def test_bodies_that_disagree_with_their_lengths(steady, wire, request_bytes):
    """PostgreSQL answers such with an error of its own, or ends the session; either way the next client is served."""
    connection = wire(steady)
    connection.startup()
    connection.send_raw(request_bytes + SYNC + query("SELECT 'after'"))
    connection.socket.shutdown(socket.SHUT_WR)
    messages = connection.read_rest()
    kinds = connection.kinds(messages)
    assert kinds.endswith((b"Z", b"E")) and (b"E" in kinds or connection.rows(messages)[-1:] == [[b"after"]])
    connection.close()


def test_a_message_of_a_gigabyte_that_never_comes(steady):
    memory, connections = steady.memory_kb(), []
    for kind in (b"Q", b"P", b"B", b"d", b"F", b"D", b"C") * 10:
        connection = socket.create_connection((steady.host, steady.port))
        connection.sendall(STARTUP + kind + struct.pack("!I", 1_000_000_000) + b"x" * 5000)
        connections.append(connection)
    assert steady.query("SELECT 'others', pg_sleep(0.1)")[0][0] == "others"
    assert grown_kb(steady, memory) < 4 * SLACK_KB + 70 * 16
    for connection in connections:
        connection.close()


# ---- at random ----


def test_garbage(steady):
    chance = random.Random(20)
    for _ in range(150):
        throw(steady, chance.randbytes(chance.choice((1, 4, 8, 50, 3000, 50_000))))


def test_garbage_behind_a_startup_packet(steady):
    chance = random.Random(21)
    for _ in range(100):
        throw(steady, STARTUP + chance.randbytes(chance.choice((1, 5, 50, 3000))))


def test_good_input_with_a_byte_changed(steady, postgres):
    chance = random.Random(22)
    good = STARTUP + query("SELECT 1") + parse("SELECT $1::int", types=(23,)) + bind("7") + describe(b"P") + execute(5) + SYNC + TERMINATE
    for _ in range(250):
        data = bytearray(good)
        for _ in range(chance.choice((1, 1, 2, 5))):
            data[chance.randrange(len(data))] = chance.choice((0, 1, 4, 127, 128, 255, chance.randrange(256)))
        throw(steady, bytes(data))


def test_the_console_takes_garbage_too(steady):
    chance = random.Random(23)
    admin = Wire.startup_packet({"user": "admin", "database": "pgbouncer"})
    for command in ("", ";", "SHOW", "SHOW nothing", "show " + "x" * 5000, "SELECT", "SET", "SET x", "SET = 1", "KILL nothing", "PAUSE nothing", "RESUME nothing", "\0", "\xff\xfe",
                    "SHOW POOLS" + " " * 9000, "'unterminated", '"unterminated', "SHOW\x00POOLS", "--", "/*", "%s%n%d"):
        answer = throw(steady, admin + query(command))
        assert answer[:1] == b"R"
    for _ in range(50):
        throw(steady, admin + chance.randbytes(100))
    for request in (parse("SHOW POOLS", "x" * 200), bind(statement="none"), describe(b"S", "none"), execute(portal="none"), Wire.message(b"B"), Wire.message(b"P"),
                    Wire.message(b"d", b"x"), Wire.message(b"F", b"x")):
        throw(steady, admin + request + SYNC)


def test_a_console_user_who_does_not_read_costs_bounded_memory(steady, wire):
    console = wire(steady, timeout=0.5)
    console.startup(user="admin", database="pgbouncer")
    before = steady.memory_kb()
    with pytest.raises(socket.timeout):  # at last no more is taken from it
        for _ in range(1000):
            console.send_raw(query("SHOW CONFIG") * 1000)
    assert steady.console("SHOW VERSION")
    assert grown_kb(steady, before) < 2000


def test_many_silent_connections_come_and_go(steady):
    for _ in range(5):
        connections = [socket.create_connection((steady.host, steady.port)) for _ in range(100)]
        assert steady.query("SELECT 1") == [(1,)]
        for connection in connections:
            connection.close()


# ---- from the server ----


@pytest.mark.parametrize("answer", [
    b"", b"garbage that is no message at all", b"R\0\0\0\3", b"R\xff\xff\xff\xff", b"R\0\0\0\x08\0\0\0\x63", b"E\0\0\0\5\0", b"Z\0\0\0\5I",
    b"R\0\0\0\x08\0\0\0\0" + b"S\0\0\0\x06ab", b"R\0\0\0\x08\0\0\0\0" + b"K\0\0\0\x05x", b"R\0\0\0\x0c\0\0\0\x05",
    b"R\0\0\0\x08\0\0\0\0" + b"D\0\0\0\x06\0\0" * 1000, os.urandom(3000),
], ids=range(12))
def test_a_server_that_talks_nonsense_at_login_harms_nobody(pgweir, postgres, wire, answer):
    with socket.create_server(("127.0.0.1", 0)) as fake:
        pooler = pgweir({"query_wait_timeout": 1, "server_login_retry": 0, "server_tls_sslmode": "disable", "server_connect_timeout": 2},
                        databases={DATABASE: server_row(postgres), "mad": f"host=127.0.0.1 port={fake.getsockname()[1]}"})

        def serve():
            while True:
                try:
                    connection, _ = fake.accept()
                    with connection:
                        connection.recv(10_000)
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)
                        connection.recv(10_000)
                except ConnectionError:
                    pass
                except OSError:
                    return

        Background(serve)
        connection = wire(pooler)
        connection.startup(login=False, database="mad")
        assert connection.read_error()["S"] == "FATAL"
        connection.close()
        assert pooler.query("SELECT 1") == [(1,)]
        fake.shutdown(socket.SHUT_RDWR)
