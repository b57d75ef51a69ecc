# SPDX-License-Identifier: ISC
"""Each TLS setting has its effect: what is negotiated with clients, and with servers for all and by database."""
import ssl

import pytest
from conftest import DATABASE, Unprivileged, covers
from helpers import server_row
from services import show_certificate
from test_tls import certificate, client_side, refusal

CIPHER, SUITE = "ECDHE-ECDSA-AES128-GCM-SHA256", "TLS_CHACHA20_POLY1305_SHA256"


def negotiated(wire, pooler, most=None, ciphers=None, curve=None):
    """(cipher, version) of a handshake of ours with the pooler."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if most:
        context.maximum_version = most
    if ciphers:
        context.set_ciphers(ciphers)
    if curve:
        context.set_ecdh_curve(curve)
    connection = wire(pooler)
    assert connection.start_tls(context) == b"S"
    return connection.socket.cipher()[:2]


# ---- clients ----


@covers("client_tls_ciphers", "client_tls13_ciphers")
def test_ciphers_of_clients_are_those_allowed(pgweir, authority, wire):
    pooler = pgweir(client_side(authority, client_tls_ciphers=CIPHER, client_tls13_ciphers=SUITE))
    assert negotiated(wire, pooler, ssl.TLSVersion.TLSv1_2)[0] == CIPHER
    assert negotiated(wire, pooler)[0] == SUITE
    with pytest.raises(ssl.SSLError):
        negotiated(wire, pooler, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384")
    pooler.change_config(client_tls_ciphers=None, client_tls13_ciphers="TLS_AES_128_GCM_SHA256")
    pooler.reload()
    assert negotiated(wire, pooler, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384")[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert negotiated(wire, pooler)[0] == "TLS_AES_128_GCM_SHA256"


@covers("client_tls_ecdhcurve")
def test_the_curve_of_clients_is_the_one_allowed(pgweir, authority, wire):
    # The certificate's own curve is P-256, so that is what a client of TLS 1.2 must know besides.
    pooler = pgweir(client_side(authority, client_tls_ecdhcurve="secp384r1"))
    assert negotiated(wire, pooler, curve="secp384r1")[1] == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        negotiated(wire, pooler, curve="prime256v1")
    pooler.change_config(client_tls_ecdhcurve=None)
    pooler.reload()
    assert negotiated(wire, pooler, curve="prime256v1")[1] == "TLSv1.3"


@covers("client_tls_dheparams")
def test_without_dheparams_there_is_no_dhe(pgweir, authority, wire):
    authority.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "rsa.key", "-out", "rsa.crt", "-days", "30", "-subj", "/CN=localhost")
    for name in ("rsa.key", "rsa.crt"):
        authority[name].chmod(0o644)
        Unprivileged.own(authority[name])
    pooler = pgweir(client_side(authority, name="rsa"))
    dhe = {"most": ssl.TLSVersion.TLSv1_2, "ciphers": "DHE-RSA-AES128-GCM-SHA256"}
    assert negotiated(wire, pooler, **dhe)[0] == dhe["ciphers"]
    pooler.change_config(client_tls_dheparams="none")
    pooler.reload()
    with pytest.raises(ssl.SSLError):
        negotiated(wire, pooler, **dhe)


@covers("ca_file", "crl_file", "key_passphrase_command", scope="tls")
def test_a_host_name_may_have_rules_of_its_own(pgweir, authority):
    authority.make("locked_other", "/CN=other.example", "DNS:other.example", passphrase="close sesame")
    for suffix in ("crt", "key"):
        Unprivileged.own(authority[f"locked_other.{suffix}"])
    files = f"cert_file={authority['locked_other.crt']} key_file={authority['locked_other.key']} key_passphrase_command='echo close sesame'"
    pooler = pgweir(client_side(authority, "verify-ca"), sections={"tls": {
        "other.example": f"{files} crl_file={authority['crl.pem']}", "strange.example": f"{files} ca_file={authority['stranger/ca.crt']}"}},
                    start=False)
    pooler.start(wait=False)
    pooler.wait_for_log("process up")
    alice, revoked, stranger = (certificate(authority, name) for name in ("alice", "revoked", "stranger/alice"))
    for host, shown, accepted in ((None, alice, True), (None, revoked, True), (None, stranger, False),
                                  ("other.example", alice, True), ("other.example", revoked, False),
                                  ("strange.example", alice, False), ("strange.example", stranger, True)):
        over = {"sslmode": "require", **shown, **({"host": host, "hostaddr": "127.0.0.1"} if host else {})}
        if accepted:
            assert pooler.query("SELECT 1", **over) == [(1,)], (host, shown)
        else:
            assert refusal(pooler, **over), (host, shown)


# ---- servers ----


def asked_for(pgweir, server, scope, settings, **more):
    """A pooler that has these settings for all, or for its one database."""
    row = server_row(server)
    if scope == "database":
        return pgweir(more, databases={DATABASE: row + "".join(f" {name}='{value}'" for name, value in settings.items())})
    return pgweir({**more, **settings}, databases={DATABASE: row})


def encryption_of(pooler):
    return pooler.query("SELECT version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")[0]


scopes = pytest.mark.parametrize("scope", ["global", "database"])


@covers("server_tls_protocols", "server_tls_ciphers", "server_tls13_ciphers", scope=("global", "database"))
@scopes
def test_protocols_and_ciphers_towards_servers(pgweir, tls_postgres, scope):
    settings = {"server_tls_sslmode": "require", "server_tls_ciphers": CIPHER, "server_tls13_ciphers": SUITE}
    assert encryption_of(asked_for(pgweir, tls_postgres, scope, settings)) == ("TLSv1.3", SUITE)
    assert encryption_of(asked_for(pgweir, tls_postgres, scope, {**settings, "server_tls_protocols": "tlsv1.2"})) == ("TLSv1.2", CIPHER)


@covers("server_tls_cert_file", "server_tls_key_file", "server_tls_key_passphrase_command", scope=("global", "database"))
@scopes
def test_our_certificate_towards_servers(pgweir, authority, tls_postgres, scope):
    authority.make("locked_alice", "/CN=alice", passphrase="open barley")
    for suffix in ("crt", "key"):
        Unprivileged.own(authority[f"locked_alice.{suffix}"])
    settings = {"server_tls_sslmode": "require", "server_tls_cert_file": authority["locked_alice.crt"],
                "server_tls_key_file": authority["locked_alice.key"], "server_tls_key_passphrase_command": "echo open barley"}
    with tls_postgres.hba("hostssl all alice 127.0.0.1/32 cert"):
        assert asked_for(pgweir, tls_postgres, scope, settings).query("SELECT current_user") == [("alice",)]
        without = asked_for(pgweir, tls_postgres, scope, {"server_tls_sslmode": "require"})
        assert "connection requires a valid client certificate" in refusal(without)


@covers("server_tls_ca_file", "server_tls_crl_file", scope=("global", "database"))
@scopes
def test_authorities_and_revocations_of_servers(pgweir, authority, tls_postgres, scope):
    show_certificate(tls_postgres, authority, "revoked")
    known = {"server_tls_sslmode": "verify-ca", "server_tls_ca_file": authority["ca.crt"]}
    assert asked_for(pgweir, tls_postgres, scope, known).query("SELECT 1") == [(1,)]
    for settings, reason in (({**known, "server_tls_crl_file": authority["crl.pem"]}, "certificate revoked"),
                             ({**known, "server_tls_ca_file": authority["stranger/ca.crt"]}, "certificate verify failed")):
        assert reason in refusal(asked_for(pgweir, tls_postgres, scope, settings, query_wait_timeout=1))


@covers("server_tls_negotiation", scope=("global", "database"))
@scopes
def test_direct_tls_for_all_or_for_a_database(pgweir, authority, tls_postgres, scope):
    """PostgreSQL 15 does not take it; another pooler does."""
    behind = pgweir(client_side(authority))
    direct = {"server_tls_sslmode": "require", "server_tls_negotiation": "direct"}
    assert asked_for(pgweir, behind, scope, direct).query("SELECT current_user") == [("alice",)]
    assert "query_wait_timeout" in refusal(asked_for(pgweir, tls_postgres, scope, direct, query_wait_timeout=1))
