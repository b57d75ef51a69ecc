# SPDX-License-Identifier: ISC
"""Checks that take long have bounded queues: who comes beyond the bound is told so at once, everybody else still gets in,
and those who wait are served in the end."""
import contextlib
import fcntl
import getpass
import resource
import select
import selectors
import socket
import subprocess

import pytest
from conftest import ADMIN, DATABASE, Unprivileged, Wire, password_of, temporary_directory, wait_until
from helpers import Background, server_row
from test_login import md5_secret, scram_secret

MOST = 3000  # connections that fill any queue
BUSY = ("FATAL", "53300", "too many logins are waiting")
ROOM = {"max_client_conn": 2 * MOST, "client_login_timeout": 600}


@pytest.fixture(autouse=True)
def descriptors():
    """Sockets for so many clients, here and in what is started here."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * MOST
    assert before[1] == resource.RLIM_INFINITY or before[1] >= wanted, "the hard limit of descriptors is too low"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], wanted), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def send_password(connection, user):
    """Log in as somebody whose password is to be checked, without waiting for the result."""
    connection.startup(login=False, user=user)
    assert connection.read_message() == (b"R", b"\0\0\0\3")
    connection.send(b"p", password_of(user).encode() + b"\0")


def only_begin(connection, user):
    """The keys for SCRAM are derived before the first answer."""
    connection.startup(login=False, user=user)


def move_high(connection):
    """Beyond the descriptors that select() knows, which psycopg needs."""
    moved = socket.socket(fileno=fcntl.fcntl(connection.socket, fcntl.F_DUPFD_CLOEXEC, 1500))
    moved.settimeout(connection.socket.gettimeout())
    connection.socket.close()
    connection.socket = moved


@contextlib.contextmanager
def full(pooler, begin, name, target=None):
    """So many logins, begun by begin(connection, name(n)), that one was refused: answers those who wait, in their order.
    Whose check has ended meanwhile is left out."""
    waiting, poll, refusals = {}, select.poll(), []

    def refused(connection):
        kind, body = connection.read_message()
        if kind != b"E":
            return False
        fields = connection.fields(body)
        assert (fields["S"], fields["C"], fields["M"]) == BUSY
        connection.expect_closed()
        refusals.append(connection)
        return True

    def was_one_refused():
        for ready, _ in poll.poll(1):
            poll.unregister(ready)
            if refused(waiting.pop(ready)):
                return True
        return False

    with contextlib.ExitStack() as stack:
        for n in range(MOST):
            connection = stack.enter_context(Wire(target or pooler))
            move_high(connection)
            waiting[connection.socket.fileno()] = connection
            poll.register(connection.socket, select.POLLIN)
            begin(connection, name(n))
            if was_one_refused():
                break
        else:
            pytest.fail(f"{MOST} logins wait, and none was refused")
        pooler.console("SHOW VERSION")  # behind all that was begun: more than one may have been refused
        told = pooler.log().count("pooler error: too many logins are waiting")
        assert told > 0
        wait_until(lambda: len(refusals) == told or was_one_refused() and len(refusals) == told, what="the refusals that were logged")
        yield list(waiting.values())


def still_waits(connection):
    """Nothing has come."""
    poll = select.poll()
    poll.register(connection.socket, select.POLLIN)
    return not connection.buffer and not poll.poll(0)


def gets_in(connection):
    assert connection.read_until(b"Z")[0] == (b"R", b"\0\0\0\0")


# ---- PAM ----


@pytest.fixture
def held_pam():
    """(a PAM service, release): checks end when they are released, and let everybody in."""
    with temporary_directory("pam") as directory:
        directory.chmod(0o755)
        gate = directory / "shut"
        gate.touch()
        script = directory / "check"
        script.write_text(f"#!/bin/sh\nwhile [ -e {gate} ]; do sleep 0.05; done\n")
        script.chmod(0o755)
        (directory / "pooler").write_text(f"auth required pam_exec.so quiet {script}\naccount required pam_permit.so\n")
        for path in directory.iterdir():
            Unprivileged.own(path)
        try:
            yield directory / "pooler", gate.unlink
        finally:
            gate.unlink(missing_ok=True)


def test_a_full_queue_for_pam(pgweir, postgres, held_pam):
    service, release = held_pam
    pooler = pgweir({**ROOM, "auth_pam_service": service},
                    databases={DATABASE: server_row(postgres, "auth_type=pam"), "other": server_row(postgres)})
    with pooler.connect("other") as held, full(pooler, send_password, lambda n: "alice") as waiting:
        assert len(waiting) > 100
        # Others are not checked by PAM: they get in, and those who are in go on. The same client is refused once more.
        assert pooler.query("SELECT current_user", "other", user="bob") == [("bob",)]
        assert held.execute("SELECT 1").fetchone() == (1,) and pooler.console("SHOW VERSION")
        with Wire(pooler) as late:
            send_password(late, "alice")
            error = late.read_error()
            assert (error["S"], error["C"], error["M"]) == BUSY
        assert all(map(still_waits, waiting))
        # Who goes makes room: the next waits.
        for connection in waiting[50:]:
            connection.close()
        wait_until(lambda: len(pooler.console("SHOW CLIENTS")) < 60, what="room in the queue")
        with Wire(pooler) as late:
            send_password(late, "alice")
            assert held.execute("SELECT 2").fetchone() == (2,) and still_waits(late)
            release()
            for connection in (*waiting[:50], late):
                gets_in(connection)


# ---- LDAP ----


class HeldDirectory:
    """An LDAP server that takes requests and answers none until it is released: then every bind is right."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port = self.listener.getsockname()[1]
        self.released = self.ended = False
        self.asked = 0
        self.thread = Background(self.run)

    def run(self):
        clients = {}
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ)
            while not self.ended:
                for key, _ in selector.select(0.05):
                    if key.fileobj is self.listener:
                        client = self.listener.accept()[0]
                        clients[client] = []
                        selector.register(client, selectors.EVENT_READ)
                    elif data := key.fileobj.recv(65536):
                        self.asked += 1
                        clients[key.fileobj].append(data)
                    else:
                        selector.unregister(key.fileobj)
                        clients.pop(key.fileobj)
                        key.fileobj.close()
                for client, requests in clients.items() if self.released else ():
                    while requests:
                        self.answer(client, requests.pop(0))
        for client in (*clients, self.listener):
            client.close()

    @staticmethod
    def answer(client, request):
        """BindResponse, success (RFC 4511, 4.2.2); an unbind request wants no answer."""
        number = request[4]  # 30 length 02 01 NUMBER 60 ...
        if request[5] == 0x60:
            client.sendall(bytes([0x30, 12, 2, 1, number, 0x61, 7, 0x0a, 1, 0, 4, 0, 4, 0]))


@pytest.fixture
def held_directory():
    server = HeldDirectory()
    yield server
    server.ended = True
    server.thread.result()


def ldap_pooler(pgweir, postgres, port, **config):
    options = f'ldapserver=127.0.0.1 ldapport={port} ldapprefix="uid=" ldapsuffix=",dc=weir"'
    return pgweir({**ROOM, "auth_ldap_options": options, **config},
                  databases={DATABASE: server_row(postgres, "auth_type=ldap"), "other": server_row(postgres)})


def test_a_full_queue_for_ldap(pgweir, postgres, held_directory):
    pooler = ldap_pooler(pgweir, postgres, held_directory.port)
    with pooler.connect("other") as held, full(pooler, send_password, lambda n: "alice") as waiting:
        assert len(waiting) > 100 and held_directory.asked > 1
        assert pooler.query("SELECT current_user", "other", user="bob") == [("bob",)]
        assert held.execute("SELECT 1").fetchone() == (1,) and pooler.console("SHOW VERSION")
        last = waiting[-100:]  # the first may have run into the limit of 10 seconds
        assert all(map(still_waits, last))
        held_directory.released = True
        for connection in last:
            gets_in(connection)


def test_a_slow_directory_delays_nobodys_transactions(pgweir, postgres, held_directory):
    """Nothing is timed: all this happens while the directory has not answered."""
    pooler = ldap_pooler(pgweir, postgres, held_directory.port)
    with pooler.connect("other") as held, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(Wire(pooler)) for _ in range(30)]
        for connection in slow:
            send_password(connection, "alice")
        wait_until(lambda: held_directory.asked >= 8, what="several binds under way")
        for n in range(200):
            held.execute("BEGIN")
            assert held.execute("SELECT %s::int", (n,)).fetchone() == (n,)
            held.execute("COMMIT")
        assert pooler.query("SELECT 1", "other", user="bob") == [(1,)]
        assert all(map(still_waits, slow[-10:]))
        held_directory.released = True
        for connection in slow[-10:]:
            gets_in(connection)
            assert connection.rows(connection.query("SELECT current_user")) == [[b"alice"]]


# ---- hashes ----

SLOW = 1_000_000  # iterations, the most that are done: most of a second each


def test_a_full_queue_for_hashes_of_typed_passwords(pgweir):
    """A typed password is put through as many hashes as the secret says; in plain text or MD5 it needs none."""
    pooler = pgweir({**ROOM, "auth_type": "plain"}, userlist={
        ADMIN: password_of(ADMIN), "alice": scram_secret(password_of("alice"), iterations=SLOW), "bob": password_of("bob"),
        "carol": md5_secret("carol")})
    with pooler.connect(user="bob") as held, full(pooler, send_password, lambda n: "alice"):
        for user in ("bob", "carol"):
            assert pooler.query("SELECT current_user", user=user) == [(user,)]
        assert held.execute("SELECT 1").fetchone() == (1,) and pooler.console("SHOW VERSION")


def test_a_full_queue_for_keys_of_plain_secrets(pgweir):
    """SCRAM makes keys of a secret in plain text; one that is stored as SCRAM has them."""
    names = {f"user{n}": "x" for n in range(MOST)}
    pooler = pgweir({**ROOM, "auth_type": "scram-sha-256", "scram_iterations": SLOW}, userlist={
        **names, ADMIN: scram_secret(password_of(ADMIN)), "alice": scram_secret(password_of("alice"))})
    with pooler.connect() as held, full(pooler, only_begin, lambda n: f"user{n}"):
        assert pooler.query("SELECT current_user") == [("alice",)]
        assert held.execute("SELECT 1").fetchone() == (1,) and pooler.console("SHOW VERSION")


# ---- names of system users ----

HELD_NSS = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>
int getpwuid_r(uid_t uid, struct passwd *entry, char *texts, size_t size, struct passwd **found)
{
	int (*real)(uid_t, struct passwd *, char *, size_t, struct passwd **) = (void *)dlsym(RTLD_NEXT, "getpwuid_r");
	while (access(getenv("GATE"), F_OK) == 0)
		usleep(50000);
	return real(uid, entry, texts, size, found);
}
"""


def test_a_full_queue_for_system_users(ruled):
    """Method peer asks NSS, which may ask a directory."""
    with temporary_directory("nss") as directory:
        (directory / "held.c").write_text(HELD_NSS)
        subprocess.run(["gcc", "-shared", "-fPIC", "-w", "-o", directory / "held.so", directory / "held.c"], check=True)
        directory.chmod(0o755)
        gate = directory / "shut"
        pooler = ruled("local all alice peer map=m\nlocal all all trust\nhost all all all trust\n",
                       maps=f"m {getpass.getuser()} alice", config=ROOM,
                       environment={"LD_PRELOAD": str(directory / "held.so"), "GATE": str(gate),
                                    "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
        gate.touch()
        local = pooler.directory / f".s.PGSQL.{pooler.port}"
        with pooler.connect(user="bob") as held, full(pooler, only_begin, lambda n: "alice", local) as waiting:
            try:
                assert len(waiting) > 100
                for over in ({}, {"host": str(pooler.directory)}):
                    assert pooler.query("SELECT current_user", user="bob", **over) == [("bob",)]
                assert held.execute("SELECT 1").fetchone() == (1,) and pooler.console("SHOW VERSION")
                assert all(map(still_waits, waiting))
            finally:
                gate.unlink()
            for connection in waiting:
                gets_in(connection)
