# SPDX-License-Identifier: ISC
"""Fixtures of what stands beside a pooler: who answers auth_query, a PAM service, a directory, a certificate authority, rules; and
who listens to all that it says."""
import shutil
import socket
import subprocess

import psycopg
import pytest
from conftest import Unprivileged, free_port, password_of, temporary_directory, wait_until


class Authority:
    """A certificate authority in a directory of its own; certificates by name: x.crt, x.key."""

    def __init__(self, directory):
        self.directory = directory
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
                 "-days", "30", "-subj", f"/CN=authority {directory.name}")
        (directory / "index.txt").touch()
        (directory / "crlnumber").write_text("01\n")
        (directory / "ca.cnf").write_text(
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=30\n"
            "certificate=ca.crt\nprivate_key=ca.key\n")

    def run(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)

    def __getitem__(self, name):
        return self.directory / name

    def make(self, name, subject, names=None, days=30, passphrase=None):
        """A certificate that this authority signs; days < 0: it is over."""
        hide = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        self.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *hide, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                 "-subj", subject)
        (self.directory / "ext").write_text(f"subjectAltName={names}\n" if names else "")
        dates = ["-days", str(days)]
        self.run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.crt",
                 "-extfile", "ext", *dates)
        Unprivileged.own(self.directory / f"{name}.key")
        return self

    def revoke(self, name):
        self.run("ca", "-config", "ca.cnf", "-revoke", f"{name}.crt")
        self.run("ca", "-config", "ca.cnf", "-gencrl", "-out", "crl.pem")


@pytest.fixture(scope="session")
def authority():
    with temporary_directory("tls") as directory:
        made = Authority(directory)
        made.make("server", "/CN=localhost", "DNS:localhost,IP:127.0.0.1")
        made.make("other", "/CN=other.example", "DNS:other.example")
        made.make("wild", "/CN=wild", "DNS:*.pool.example")
        made.make("alice", "/CN=alice/O=Weir")
        made.make("bob", "/CN=bob")
        made.make("revoked", "/CN=alice")
        made.make("expired", "/CN=alice", days=-1)
        made.make("locked", "/CN=localhost", "DNS:localhost", passphrase="open sesame")
        made.revoke("revoked")
        stranger = directory / "stranger"
        stranger.mkdir()
        Authority(stranger).make("alice", "/CN=alice")
        for path in directory.rglob("*"):
            Unprivileged.own(path)
        yield made


@pytest.fixture
def query_user(postgres):
    """A superuser that may read pg_authid, and users that no auth_file lists."""
    postgres.execute("CREATE ROLE asker SUPERUSER LOGIN")
    postgres.execute(f"CREATE ROLE dora LOGIN PASSWORD '{password_of('dora')}'")
    postgres.execute("CREATE ROLE olga LOGIN PASSWORD 'olga-secret' VALID UNTIL '2001-01-01'")
    postgres.execute("CREATE ROLE nora LOGIN")
    yield "asker"
    for role in ("asker", "dora", "olga", "nora"):
        postgres.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (role,))
        postgres.execute(f"DROP ROLE {role}")


@pytest.fixture
def pam_service():
    """A PAM service in a directory of its own: a script that gets the password decides."""
    with temporary_directory("pam") as directory:
        directory.chmod(0o755)
        script = directory / "check"
        script.write_text("#!/bin/sh\nread -r password || true\n[ \"$PAM_USER\" = slow ] && sleep 3\n"
                          "[ \"$PAM_USER-secret\" = \"$password\" ]\n")
        script.chmod(0o755)
        (directory / "pooler").write_text(f"auth required pam_exec.so quiet expose_authtok {script}\naccount required pam_permit.so\n")
        for path in directory.iterdir():
            Unprivileged.own(path)
        yield directory / "pooler"


@pytest.fixture(scope="session")
def directory_server():
    """A real slapd with alice and bob below ou=people; searching needs the manager's password."""
    with temporary_directory("ldap") as directory:
        port = free_port()
        (directory / "data").mkdir()
        (directory / "slapd.conf").write_text(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n"
            "modulepath /usr/lib/ldap\nmoduleload back_mdb\n"
            f"pidfile {directory}/slapd.pid\ndatabase mdb\nsuffix \"dc=weir\"\nrootdn \"cn=manager,dc=weir\"\nrootpw manager-pw\n"
            f"directory {directory}/data\naccess to attrs=userPassword by anonymous auth by * none\naccess to * by users read by * none\n")
        (directory / "people.ldif").write_text(
            "dn: dc=weir\nobjectClass: dcObject\nobjectClass: organization\no: weir\ndc: weir\n\n"
            "dn: ou=people,dc=weir\nobjectClass: organizationalUnit\nou: people\n\n" + "".join(
                f"dn: uid={name},ou=people,dc=weir\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n"
                f"mail: {name}@weir\nuserPassword: {password_of(name)}\n\n" for name in ("alice", "scram")))
        subprocess.run(["/usr/sbin/slapadd", "-f", directory / "slapd.conf", "-l", directory / "people.ldif"], check=True, capture_output=True)
        server = subprocess.Popen(["/usr/sbin/slapd", "-d", "0", "-f", directory / "slapd.conf", "-h", f"ldap://127.0.0.1:{port}/"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", port)), 10, "slapd")
            yield port
        finally:
            server.terminate()
            server.wait()


SHOWS = ("ACTIVE_SOCKETS", "CLIENTS", "CONFIG", "DATABASES", "DNS_HOSTS", "FDS", "HBA", "HELP", "LISTS", "LOGINS", "MEM", "PEERS", "POOLS",
         "SERVERS", "SOCKETS", "STATE", "STATS", "TOTALS", "USERS")


class Told:
    """All that a process told anybody: its log, the console's answers, the errors that clients got."""

    def __init__(self):
        self.texts = []

    def refusal(self, pooler, **more):
        with pytest.raises(psycopg.OperationalError) as caught:
            pooler.connect(**more)
        self.texts.append(str(caught.value))

    def shown(self, pooler):
        for command in SHOWS:
            try:
                self.texts.append(str(pooler.console(f"SHOW {command}")))
            except psycopg.Error as error:
                self.texts.append(str(error))
        self.texts.append(pooler.log())

    def has_none_of(self, *secrets):
        text = "\n".join(self.texts)
        assert len(text) > 1000
        for secret in secrets:
            assert secret not in text, text[max(0, text.index(secret) - 200):][:400]


@pytest.fixture
def told():
    return Told()


CONSOLE = "host pgbouncer admin 127.0.0.1/32 trust\n"


@pytest.fixture
def ruled(pgweir):
    def make(text, maps=None, **more):
        directory = more.pop("directory")
        (directory / "hba.conf").write_text(CONSOLE + text)
        settings = {"auth_type": "hba", "auth_hba_file": directory / "hba.conf"}
        if maps is not None:
            (directory / "maps.conf").write_text(maps)
            settings["auth_ident_file"] = directory / "maps.conf"
        for path in directory.iterdir():
            Unprivileged.own(path)
        return pgweir({**settings, **more.pop("config", {})}, **more)
    with temporary_directory("hba") as directory:
        yield lambda text, **more: make(text, directory=directory, **more)


def show_certificate(postgres, authority, name):
    """From now on PostgreSQL shows this one of the authority's."""
    for suffix in ("crt", "key"):
        target = postgres.data / f"server.{suffix}"
        shutil.copy(authority[f"{name}.{suffix}"], target)
        target.chmod(0o600)
        Unprivileged.own(target)
    postgres.execute("SELECT pg_reload_conf()")


@pytest.fixture
def tls_postgres(postgres, authority):
    """The worker's PostgreSQL with TLS on for the length of a test; its certificate is for localhost."""
    show_certificate(postgres, authority, "server")
    shutil.copy(authority["ca.crt"], postgres.data / "root.crt")
    Unprivileged.own(postgres.data / "root.crt")
    postgres.execute("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
    postgres.execute("ALTER SYSTEM SET ssl = on")
    postgres.execute("SELECT pg_reload_conf()")
    wait_until(lambda: postgres.execute("SHOW ssl") == [{"ssl": "on"}], 5, "TLS at the server")
    yield postgres
    postgres.execute("ALTER SYSTEM RESET ssl")
    postgres.execute("SELECT pg_reload_conf()")
