# SPDX-License-Identifier: ISC
"""Certificates of clients and servers: rules of the HBA file that ask for them, chains with an authority in between, lists
of what is revoked, passphrases of keys. What is wrong is refused with a reason on both sides, and nobody else notices."""
import re
import ssl

import psycopg
import pytest
from conftest import ADMIN, DATABASE, ProtocolClosed, Unprivileged, Wire, temporary_directory
from helpers import change, server_row
from services import Authority
from test_auth import CONSOLE
from test_config import ask
from test_tls import SSL_REQUEST, certificate, client_side, peer_certificate, verified


def show(authority, name=None):
    """A context that takes any server and shows this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if name:
        context.load_cert_chain(authority[f"{name}.crt"], authority[f"{name}.key"])
    return context


def refusal(pooler, authority, name, **startup):
    """(SQLSTATE, message) of a login over TLS with this certificate."""
    with Wire(pooler) as connection:
        assert connection.start_tls(show(authority, name)) == b"S"
        connection.startup(login=False, **startup)
        error = connection.read_error()
        connection.expect_closed()
        assert error["S"] == error["V"] == "FATAL"
        return error["C"], error["M"]


def lets_in(pooler, authority, name, user="alice", **more):
    """Is it who it says? All are trusted by PostgreSQL, so only we may refuse."""
    shown = certificate(authority, name) if name else {}
    return pooler.query("SELECT current_user", user=user, **verified(authority, **shown, **more)) == [(user,)]


# ---- rules that ask for certificates ----

NO_CERTIFICATE = ("28000", "connection requires a valid client certificate")
WRONG_NAME = ("28000", "certificate authentication failed")


@pytest.fixture
def ruled(pgweir, authority):
    """pgweir that takes and does not require certificates, with these rules and maps."""
    with temporary_directory("hba") as directory:
        def make(rules, maps="", **more):
            for name, text in (("hba.conf", CONSOLE + rules), ("maps.conf", maps)):
                (directory / name).write_text(text)
                Unprivileged.own(directory / name)
            return pgweir({**client_side(authority), "auth_type": "hba", "auth_hba_file": directory / "hba.conf",
                           "auth_ident_file": directory / "maps.conf"}, **more)
        yield make


def test_verify_ca_wants_any_certificate_of_the_authority(ruled, authority, wire):
    pooler = ruled("hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\nhost all all 127.0.0.1/32 reject\n")
    assert lets_in(pooler, authority, "bob", "alice")  # whoever it names
    assert refusal(pooler, authority, None) == NO_CERTIFICATE
    with pytest.raises(psycopg.OperationalError, match="unknown ca"):
        pooler.connect(**verified(authority, **certificate(authority, "stranger/alice")))
    with pytest.raises(psycopg.OperationalError, match="SASL authentication failed"):  # it is asked for besides
        pooler.connect(password="wrong", **verified(authority, **certificate(authority, "alice")))
    plain = wire(pooler)
    plain.startup(login=False)
    assert plain.read_error()["M"] == "login rejected"


@pytest.mark.parametrize("rule", ["scram-sha-256 clientcert=verify-full", "trust clientcert=verify-full", "cert",
                                  "cert clientcert=verify-full clientname=CN"])
def test_verify_full_wants_the_users_own_certificate(ruled, authority, rule):
    pooler = ruled(f"hostssl all all 127.0.0.1/32 {rule}\n")
    assert lets_in(pooler, authority, "alice")
    assert lets_in(pooler, authority, "bob", "bob")
    assert refusal(pooler, authority, "bob") == WRONG_NAME
    assert refusal(pooler, authority, None) == NO_CERTIFICATE
    assert refusal(pooler, authority, "alice", user="ALICE") == WRONG_NAME
    assert {row["auth_method"] for row in pooler.console("SHOW HBA")} == {"trust", rule.split()[0]}


def test_a_rule_without_clientcert_does_not_look_at_the_name(ruled, authority):
    pooler = ruled("hostssl all all 127.0.0.1/32 trust clientcert=no-verify\n")
    assert lets_in(pooler, authority, "bob", "alice") and lets_in(pooler, authority, None)


def test_clientname_dn_is_all_of_the_subject(ruled, authority):
    """As RFC 2253 writes it, the last first: /CN=alice/O=Weir. Names of users are short, so a map is used."""
    pooler = ruled("hostssl test alice 127.0.0.1/32 cert clientname=DN map=exact\n"
                   "hostssl test_session all 127.0.0.1/32 cert clientname=DN map=organization\n"
                   "hostssl test_statement all 127.0.0.1/32 cert clientname=DN\n",
                   maps='exact "O=Weir,CN=alice" alice\norganization "/^O=Weir,CN=([a-z]+)$" \\1\n')
    assert lets_in(pooler, authority, "alice")
    assert refusal(pooler, authority, "revoked") == WRONG_NAME  # its subject is CN=alice, and nothing else
    assert lets_in(pooler, authority, "alice", dbname="test_session")
    assert refusal(pooler, authority, "alice", database="test_session", user="bob") == WRONG_NAME
    assert refusal(pooler, authority, "bob", database="test_session", user="bob") == WRONG_NAME
    assert refusal(pooler, authority, "alice", database="test_statement") == WRONG_NAME
    assert refusal(pooler, authority, None) == NO_CERTIFICATE


def test_the_map_of_cert_replaces_the_name(ruled, authority):
    pooler = ruled("hostssl all all 127.0.0.1/32 cert map=m\n", maps='m alice carol\nm /^(b.)b$ "\\1b"\nother bob carol\n')
    assert lets_in(pooler, authority, "alice", "carol")
    assert refusal(pooler, authority, "alice") == WRONG_NAME  # who is mapped is nobody else any more
    assert lets_in(pooler, authority, "bob", "bob")
    assert refusal(pooler, authority, "bob", user="carol") == WRONG_NAME  # that is another map
    assert refusal(pooler, authority, "alice", user="nobody") == WRONG_NAME


@pytest.mark.parametrize("subject,dn", [
    ("/CN=jürgen", r"CN=j\C3\BCrgen"), ("/O=Weir, Inc./CN=jürgen", r"CN=j\C3\BCrgen,O=Weir\, Inc."),
    ("/CN=jürgen/CN=alice", r"CN=alice,CN=j\C3\BCrgen"), ("/CN=jürgen/O=a+OU=b", r"OU=b+O=a,CN=j\C3\BCrgen"),
    ('/CN=jürgen/O="q" #', r"O=\"q\" #,CN=j\C3\BCrgen")])
def test_names_that_are_not_plain(ruled, authority, subject, dn):
    """CN is the first, in UTF-8; DN is escaped as in RFC 2253, and multi-valued parts are joined by +."""
    authority.run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "odd.key",
                  "-out", "odd.csr", "-utf8", "-multivalue-rdn", "-subj", subject)
    authority.run("x509", "-req", "-in", "odd.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
                  "-out", "odd.crt")
    quoted = dn.replace('"', '""')
    pooler = ruled("hostssl test all 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 cert clientname=DN map=m\n",
                   maps=f'm "{quoted}" bob\n', userlist=dict.fromkeys((ADMIN, "jürgen", "bob", "alice"), ""))
    with Wire(pooler) as connection:
        assert connection.start_tls(show(authority, "odd")) == b"S"
        connection.startup(login=False, user="jürgen")
        assert connection.read_message() == (b"R", b"\0\0\0\0")  # PostgreSQL does not know that one
    assert refusal(pooler, authority, "odd") == WRONG_NAME
    with Wire(pooler) as connection:
        assert connection.start_tls(show(authority, "odd")) == b"S"
        connection.startup(user="bob", database="test_session")
    assert refusal(pooler, authority, "odd", user="jürgen", database="test_session") == WRONG_NAME


# ---- chains, and what is revoked ----


def subordinate(parent, name):
    """An authority that this one has signed."""
    (parent[name]).mkdir()
    made = Authority(parent[name])
    made.run("req", "-new", "-key", "ca.key", "-out", "ca.csr", "-subj", f"/CN={name} of {parent.directory.name}")
    parent[f"{name}.ext"].write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n")
    parent.run("x509", "-req", "-in", f"{name}/ca.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
               "-days", "30", "-extfile", f"{name}.ext", "-out", f"{name}/ca.crt")
    return made


def issue(authority, name, subject, names=None):
    """NAME is sent with the authority's own certificate behind it, bare_NAME without."""
    authority.make(name, subject, names)
    for suffix in ("crt", "key"):
        authority[f"bare_{name}.{suffix}"].write_bytes(authority[f"{name}.{suffix}"].read_bytes())
    with open(authority[f"{name}.crt"], "ab") as chain:
        chain.write(authority["ca.crt"].read_bytes())


def list_revoked(authority, name, *dates):
    authority.run("ca", "-config", "ca.cnf", "-gencrl", *dates, "-out", name)
    return authority[name].read_bytes()


OVER = ("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z")


@pytest.fixture(scope="module")
def chain():
    """root signs good and fallen, authorities of their own; root has taken back fallen, and good has its alice called
    revoked. Lists: all.crl of these, over.crl in which good's is out of date, some.crl in which root's is missing."""
    with temporary_directory("chain") as directory:
        root = Authority(directory)
        good, fallen = subordinate(root, "good"), subordinate(root, "fallen")
        for authority in (good, fallen):
            for name, subject, names in (("alice", "/CN=alice", None), ("server", "/CN=localhost", "DNS:localhost")):
                issue(authority, name, subject, names)
        for name, subject, names in (("revoked", "/CN=alice", None), ("revoked_server", "/CN=localhost", "DNS:localhost")):
            issue(good, name, subject, names)
            good.revoke(f"bare_{name}")
        root.revoke("fallen/ca")
        lists = {"root": list_revoked(root, "root.crl"), "good": list_revoked(good, "good.crl"),
                 "fallen": list_revoked(fallen, "fallen.crl"), "over": list_revoked(good, "good_over.crl", *OVER)}
        for name, parts in (("all", ("root", "good", "fallen")), ("over", ("root", "over", "fallen")),
                            ("some", ("good", "fallen"))):
            root[f"{name}.crl"].write_bytes(b"".join(lists[part] for part in parts))
        for path in directory.rglob("*"):
            Unprivileged.own(path)
        yield root


# certificate, revocation list, what the log says of it, what the other side is told (TLS alerts: RFC 8446, 6.2).
JUDGED = [
    ("good/{}", None, None, None),
    ("good/revoked{}", None, None, None),
    ("fallen/{}", None, None, None),
    ("good/bare_{}", None, "unable to get local issuer certificate", "unknown ca"),
    ("good/{}", "all", None, None),
    ("good/revoked{}", "all", "certificate revoked", "certificate revoked"),
    ("fallen/{}", "all", "certificate revoked", "certificate revoked"),
    ("good/{}", "over", "CRL has expired", "certificate expired"),
    ("good/{}", "some", "unable to get certificate CRL", "unknown ca|certificate unknown"),
]
IDS = ["chain", "revoked without a list", "authority revoked without a list", "no chain", "good", "revoked",
       "authority revoked", "list expired", "list missing"]


@pytest.mark.parametrize("shown,crl,cause,alert", JUDGED, ids=IDS)
def test_chains_of_clients(pgweir, chain, shown, crl, cause, alert):
    shown = shown.format("alice" if "revoked" not in shown else "")
    lists = {"client_tls_crl_file": chain[f"{crl}.crl"]} if crl else {}
    pooler = pgweir(client_side(chain, "prefer", "good/server", auth_type="trust", **lists))
    with pooler.connect() as held:
        if cause is None:
            assert lets_in(pooler, chain, shown)
            assert "TLS handshake failed" not in pooler.log()
        else:
            with pytest.raises(psycopg.OperationalError, match=f"(?i){alert}"):
                pooler.connect(**verified(chain, **certificate(chain, shown)))
            pooler.wait_for_log(f"WARNING C-0x.* TLS handshake failed: certificate verify failed: {cause}\n")
        assert held.execute("SELECT 1").fetchone() == (1,)
    assert pooler.query("SELECT 1", **verified(chain)) == [(1,)]


@pytest.mark.parametrize("shown,crl,cause,alert", JUDGED, ids=IDS)
def test_chains_of_servers(pgweir, chain, postgres, shown, crl, cause, alert):
    """The server is another pooler."""
    shown = shown.format("server" if "revoked" not in shown else "_server")
    behind = pgweir(client_side(chain, name=shown, client_tls_ca_file=None))
    lists = {"server_tls_crl_file": chain[f"{crl}.crl"]} if crl else {}
    verifies = {"server_tls_sslmode": "verify-full", "server_tls_ca_file": chain["ca.crt"], **lists}
    front = pgweir({"query_wait_timeout": 1, **verifies},
                   databases={DATABASE: f"host=localhost port={behind.port} dbname={DATABASE}",
                              "other": server_row(postgres, "server_tls_sslmode=disable")})
    if cause is None:
        assert front.query("SELECT current_user") == [("alice",)]
        assert [row["tls"].split("/")[0] for row in front.console("SHOW SERVERS")] == ["TLSv1.3"]
    else:
        with Wire(front) as client:
            client.startup(login=False)
            error = client.read_error()
        assert (error["C"], error["M"]) == ("08006", "query_wait_timeout")
        assert error["D"] == f"TLS handshake failed: certificate verify failed: {cause}"
        front.wait_for_log(f"WARNING S-0x.* cannot use the server: {re.escape(error['D'])}\n")
        behind.wait_for_log(f"TLS handshake failed: .*(?i:{alert})")
        assert "login attempt: db=test user=alice" not in behind.log()
    assert front.query("SELECT 1", "other") == [(1,)]


@pytest.mark.parametrize("how", ["RELOAD", "SET"])
def test_a_list_that_comes_later_counts_for_the_next(pgweir, chain, how):
    """Who is in already stays; a session that was begun before is not resumed past the list."""
    pooler = pgweir(client_side(chain, "prefer", "good/server"))
    context = show(chain, "good/revoked")
    with Wire(pooler) as held:
        assert held.start_tls(context) == b"S"
        held.startup()
        change(pooler, how, client_tls_crl_file=chain["all.crl"])
        assert held.rows(held.query("SELECT 'still here'")) == [[b"still here"]]
        session = held.socket.session
        assert session is not None
        with Wire(pooler) as again, pytest.raises((ssl.SSLError, ProtocolClosed), match="(?i)revoked"):
            again.send_raw(SSL_REQUEST)
            assert again.read_bytes(1) == b"S"
            again.socket = context.wrap_socket(again.socket, session=session)
            again.startup()
    assert lets_in(pooler, chain, "good/alice")


@pytest.mark.parametrize("how", ["RELOAD", "SET"])
def test_a_list_that_cannot_be_read_changes_nothing(pgweir, chain, how):
    pooler = pgweir(client_side(chain, "prefer", "good/server", client_tls_crl_file=chain["all.crl"]))
    for file in (chain["nowhere.crl"], chain["good/server.key"]):
        with pytest.raises(psycopg.Error) as caught:
            change(pooler, how, client_tls_crl_file=file)
        assert str(file) in str(caught.value) + pooler.log()
        with pytest.raises(psycopg.OperationalError, match="revoked"):
            pooler.connect(**verified(chain, **certificate(chain, "good/revoked")))
        assert lets_in(pooler, chain, "good/alice")


# ---- passphrases ----


@pytest.mark.parametrize("side", ["client", "server", "name"])
def test_passphrases_are_never_told(pgweir, authority, side):
    """At the highest verbosity; also wrong ones, those of a command that fails, and what comes in further lines."""
    with temporary_directory("pass") as directory:
        words = {"right": "open sesame\nsecond-line-of-it\n", "wrong": "swordfish-typo\n", "failing": "half-a-swordfish\n"}
        for name, text in words.items():
            (directory / name).write_text(text)
            Unprivileged.own(directory / name)

        def rows(command):
            files = {"cert_file": authority["locked.crt"], "key_file": authority["locked.key"],
                     "key_passphrase_command": command}
            if side == "name":
                return {"tls": {"localhost": " ".join(f"{name}='{value}'" for name, value in files.items())}}
            return {"pgbouncer": {f"{side}_tls_{name}": value for name, value in files.items()}}

        loud = {"verbose": 3, "log_pooler_errors": 1, "log_connections": 1}
        settings = client_side(authority, server_tls_sslmode="prefer", **loud)
        good = rows(f"cat {directory}/right")
        pooler = pgweir({**settings, **good.pop("pgbouncer", {})}, sections=good)
        assert pooler.query("SELECT 1", **verified(authority)) == [(1,)]
        if side != "server":
            assert peer_certificate(pooler, authority, "localhost") == "localhost"
        told = [str(pooler.console("SHOW CONFIG"))]
        for command in ("cat {0}/wrong", "cat {0}/failing; exit 3", "cat {0}/wrong {0}/right"):
            command = command.format(directory)
            for section, row in rows(command).items():
                pooler.change_config(section, **row)
            with pytest.raises(psycopg.Error) as caught:
                pooler.reload()
            told.append(str(caught.value))
            checked = ask(pooler, "--check-config", pooler.ini)
            assert checked.returncode == 1 and "locked.key" in checked.stderr
            told += [checked.stdout, checked.stderr]
        assert "passphrase command" in pooler.log()
        told = "\n".join([*told, pooler.log()])
        for secret in ("sesame", "second-line", "swordfish"):
            assert secret not in told, told[max(0, told.index(secret) - 300):][:400]
