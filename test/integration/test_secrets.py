# SPDX-License-Identifier: ISC
"""Secrets stay secret: in no log at any verbosity, no answer of the console, no error; and not in memory once used."""
import pathlib
import re
import socket
import struct

import psycopg
import pytest
from conftest import ADMIN, DATABASE, ROLES, Wire, password_of
from helpers import Background, server_row
from test_login import md5_secret, scram_secret
from test_tls import client_side

def parts_of(secret):
    """What must not be seen of a stored secret: all of it, and the keys of a SCRAM secret."""
    if not secret.startswith("SCRAM"):
        return [secret, secret.removeprefix("md5")]
    return [secret, *secret.split("$")[2].split(":")]


LOUD = {"verbose": 3, "log_connections": 1, "log_disconnections": 1, "log_pooler_errors": 1}


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_files_and_servers(pgweir, postgres, told, method):
    """Each kind of stored secret, towards clients and towards servers that ask in each way."""
    stored = {ADMIN: password_of(ADMIN), "alice": password_of("alice"), "bob": md5_secret("bob"), "scram": scram_secret(password_of("scram")),
              "md5": md5_secret("md5"), "cleartext": password_of("cleartext")}
    pooler = pgweir({**LOUD, "auth_type": method}, userlist=stored, databases={
        DATABASE: server_row(postgres), "forced": server_row(postgres, f"user=scram password='{password_of('scram')}'"),
        "wrong": server_row(postgres, "user=scram password='not the password of scram'"),
        "wrong_md5": server_row(postgres, "user=md5 password=not-the-password-of-md5")})
    for user in stored:
        for password in (None, "a-typo-of-the-password", stored[user]):
            for database in (DATABASE, "forced", "wrong", "wrong_md5"):
                try:
                    pooler.query("SELECT 1", database, user, password)
                except psycopg.OperationalError as error:
                    told.texts.append(str(error))
    told.shown(pooler)
    told.has_none_of("a-typo-of-the-password", "not the password of scram", "not-the-password-of-md5", *map(password_of, (ADMIN, *ROLES)),
                     *(part for secret in stored.values() for part in parts_of(secret)))


@pytest.mark.parametrize("method", ["plain", "md5", "scram-sha-256"])
def test_auth_query(pgweir, postgres, told, query_user, method):
    verifier = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'dora'")[0]["rolpassword"]
    plain = "SELECT $1::text, 'plain-in-the-database'"
    pooler = pgweir({**LOUD, "auth_type": method, "auth_user": query_user}, userlist={ADMIN: password_of(ADMIN), "asker": ""}, databases={
        DATABASE: server_row(postgres), "plain": server_row(postgres, f"auth_query='{plain.replace(chr(39), chr(39) * 2)}'"),
        "three": server_row(postgres, f"auth_query='{plain.replace(chr(39), chr(39) * 2)}, 3'"),
        "twice": server_row(postgres, "auth_query='SELECT rolname, rolpassword FROM pg_authid WHERE $1::text IS NOT NULL AND rolpassword IS NOT NULL'"),
        "cast": server_row(postgres, "auth_query='SELECT $1::text, rolpassword::int::text FROM pg_authid WHERE rolname = $1'")})
    pooler.query("SELECT 1", user="dora")
    pooler.query("SELECT 1", "plain", user="dora", password="plain-in-the-database")
    for database in (DATABASE, "plain", "three", "twice"):
        told.refusal(pooler, db=database, user="dora", password="a-typo-of-the-password")
    told.refusal(pooler, db="cast", user="dora")  # PostgreSQL names the value in its error: the client must not see it
    assert not any(part in text for text in told.texts for part in parts_of(verifier))
    told.shown(pooler)
    told.has_none_of("plain-in-the-database' is", "a-typo-of-the-password", password_of("dora"))


def test_pam(pgweir, told, pam_service):
    pooler = pgweir({**LOUD, "auth_type": "pam", "auth_pam_service": pam_service}, userlist={})
    pooler.query("SELECT 1", user="scram")
    told.refusal(pooler, user="scram", password="a-typo-of-the-password")
    told.refusal(pooler, user="nobody", password="another-password")
    told.texts.append(pooler.log())
    told.has_none_of("a-typo-of-the-password", "another-password", password_of("scram"))


def test_ldap(pgweir, postgres, told, directory_server):
    options = (f"ldapserver=127.0.0.1 ldapport={directory_server} ldapbasedn=\"dc=weir\" ldapbinddn=\"cn=manager,dc=weir\" "
               "ldapbindpasswd={}")
    pooler = pgweir({**LOUD, "auth_ldap_options": options.format("manager-pw")}, databases={DATABASE: server_row(postgres, "auth_type=ldap")})
    pooler.query("SELECT 1", user="scram")
    told.refusal(pooler, user="scram", password="a-typo-of-the-password")
    pooler.change_config(auth_ldap_options=options.format("wrong-manager-pw"))
    pooler.reload()
    told.refusal(pooler, user="scram")
    pooler.change_config(auth_ldap_options=options.format("stray quoted-wrong-pw"))
    with pytest.raises(psycopg.Error) as caught:
        pooler.reload()
    told.texts.append(str(caught.value))
    with pytest.raises(psycopg.Error) as caught:
        pooler.console("SET auth_ldap_options = 'ldapserver=x ldapbindpasswd=set-by-hand nonsense'")
    told.texts.append(str(caught.value))
    told.shown(pooler)
    told.has_none_of("a-typo-of-the-password", "manager-pw", "quoted-wrong-pw", "set-by-hand", password_of("scram"))


@pytest.mark.parametrize("line", [
    '"alice" "hush-hush', '"alice" hush-hush', '"alice"hush-hush"', 'alice "hush-hush"', '"hush-hush', '"alice" "' + "hush-hush" * 8000 + '"',
    '"alice" "hush-hush" "hush-hush', '"alice" "x\0hush-hush"'])
def test_a_bad_line_of_auth_file(pgweir, told, line):
    pooler = pgweir(LOUD)
    pooler.write_userlist(f'"admin" "{password_of(ADMIN)}"\n{line}\n')
    try:
        pooler.reload()
    except psycopg.Error as error:
        assert "userlist.txt:2" in pooler.log()
        told.texts.append(str(error))
    told.shown(pooler)
    told.has_none_of("hush-hush", password_of(ADMIN))


@pytest.mark.parametrize("row", [
    "host=x password='hush-hush", "host=x password=x hush-hush", "password=x hush-hush=y host=x",
    "host=x passwor=hush-hush", "host=x port=hush password='hush-hush'", "host=x password='hush-hush'x"])
def test_a_bad_row_of_databases(pgweir, told, row):
    pooler = pgweir(LOUD)
    pooler.change_config("databases", broken=row)
    with pytest.raises(psycopg.Error) as caught:
        pooler.reload()
    told.texts.append(str(caught.value))
    told.shown(pooler)
    if "passwor=" in row:  # an unknown key is named; its value is not
        told.has_none_of("=hush-hush")
    told.has_none_of("hush-hush")


# ---- memory ----


def memory_has(pooler, text):
    """Does the process hold these bytes anywhere?"""
    wanted = text.encode()
    for line in pathlib.Path(f"/proc/{pooler.pid}/maps").read_text().splitlines():
        area, mode, *_, name = (line + " ").split(" ")[:2] + [line]
        if not mode.startswith("rw") or re.search(r"\[v(var|syscall|dso)", name):
            continue
        begin, end = (int(number, 16) for number in area.split("-"))
        with open(f"/proc/{pooler.pid}/mem", "rb", 0) as memory:
            try:
                memory.seek(begin)
                if wanted in memory.read(end - begin):
                    return True
            except OSError:
                continue
    return False


def in_pieces(pooler, password, *cuts):
    """Log in with a password in clear text that arrives in pieces; answers the last message's type."""
    with Wire(pooler) as connection:
        connection.startup(login=False)
        assert connection.read_message() == (b"R", b"\0\0\0\3")
        message = connection.message(b"p", password.encode() + b"\0")
        for begin, end in zip((0, *cuts), (*cuts, len(message))):
            connection.send_raw(message[begin:end])
            pooler.console("SHOW VERSION")  # it was read
        return connection.read_message()[0]


def plain_build(pooler):
    """AddressSanitizer keeps what is freed, and what its functions copied."""
    return "libasan" not in pathlib.Path(f"/proc/{pooler.pid}/maps").read_text()


def test_memory_is_searched(pgweir):
    pooler = pgweir()
    if not plain_build(pooler):
        return  # there is no search that could be trusted
    assert memory_has(pooler, password_of("alice"))  # auth_file's
    assert not memory_has(pooler, "never was" + " there")


# As the service has it: library calls that are bound late leave what they were given on the stack.
BOUND = {"LD_BIND_NOW": "1"}


@pytest.mark.parametrize("kind", ["plain", "md5", "scram"])
def test_typed_passwords_do_not_stay(pgweir, kind):
    stored = {"plain": password_of("alice"), "md5": md5_secret("alice"), "scram": scram_secret(password_of("alice"))}[kind]
    pooler = pgweir({**LOUD, "auth_type": "plain"}, userlist={ADMIN: password_of(ADMIN), "alice": stored},
                    environment=BOUND)
    typed = "typed-" + "0123456789" * 30
    assert in_pieces(pooler, typed) == b"E"
    assert in_pieces(pooler, typed, 5, 40, 200) == b"E"
    assert in_pieces(pooler, typed * 20, 100, 3000, 5000) == b"E"
    with Wire(pooler) as connection:  # never completed
        connection.startup(login=False)
        connection.read_message()
        connection.send_raw(connection.message(b"p", typed.encode() + b"\0")[:-50])
        pooler.console("SHOW VERSION")
    pooler.wait_for_log("closing because: client unexpected eof")
    pooler.console("SHOW VERSION")
    if plain_build(pooler):
        assert not memory_has(pooler, typed[10:60])


def test_typed_passwords_do_not_stay_in_tls(pgweir, authority):
    pooler = pgweir({**LOUD, **client_side(authority), "auth_type": "plain"}, environment=BOUND)
    typed = "typed-" + "0123456789" * 30
    with Wire(pooler) as connection:
        assert connection.start_tls() == b"S"
        connection.startup(login=False)
        assert connection.read_message() == (b"R", b"\0\0\0\3")
        connection.send(b"p", typed.encode() + b"\0")
        assert connection.read_message()[0] == b"E"
    pooler.console("SHOW VERSION")
    if plain_build(pooler):
        assert not memory_has(pooler, typed[10:60])


def test_passwords_for_pam_and_ldap_do_not_stay(pgweir, postgres, pam_service, directory_server):
    pooler = pgweir({**LOUD, "auth_pam_service": pam_service, "auth_ldap_options":
                     f"ldapserver=127.0.0.1 ldapport={directory_server} ldapprefix=uid= ldapsuffix=,ou=people,dc=weir"},
                    databases={"pam": server_row(postgres, "auth_type=pam"), "ldap": server_row(postgres, "auth_type=ldap")})
    for database in ("pam", "ldap"):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            pooler.connect(database, password="typed-" + "0123456789" * 30)
    pooler.wait_for_log("LDAP authentication failed(.|\n)*closing because")
    assert pooler.console("SHOW VERSION")


def test_what_auth_query_answered_does_not_stay(pgweir, query_user):
    query = "SELECT $1::text, repeat('in-the-database-', 20)"
    pooler = pgweir({**LOUD, "auth_type": "md5", "auth_user": query_user, "auth_query": query, "auth_query_ttl": 0},
                    userlist={ADMIN: password_of(ADMIN), "asker": ""})
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        pooler.connect(user="dora", password="x")
    pooler.wait_for_log("closing because: password authentication failed")
    pooler.console("SHOW VERSION")
    if plain_build(pooler):
        assert not memory_has(pooler, "database-in-the-database-in-the")


def test_a_password_for_a_server_that_does_not_read_does_not_stay(pgweir):
    """What could not go out at once waited in a queue."""
    secret = "for-the-server-" + "0123456789" * 6000
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        row = f"host=127.0.0.1 port={listener.getsockname()[1]} user=bob password='{secret}'"
        pooler = pgweir({**LOUD, "query_wait_timeout": 5, "server_tls_sslmode": "disable", "tcp_socket_buffer": 4096}, databases={DATABASE: row})
        job = Background(lambda: pytest.raises(psycopg.OperationalError, pooler.connect))
        with listener.accept()[0] as server:
            server.recv(1000)
            server.sendall(b"R" + struct.pack("!II", 8, 3))
            pooler.console("SHOW VERSION")
            pooler.change_config("databases", **{DATABASE: "host=127.0.0.1 port=1 user=bob"})
            pooler.reload()
        job.result()
        pooler.console("SHOW VERSION")
    if plain_build(pooler):
        assert not memory_has(pooler, secret[1000:1100])
