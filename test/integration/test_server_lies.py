# SPDX-License-Identifier: ISC
"""A server that breaks the rules of a login is told nothing more, and the client hears why."""
import socket
import struct

import pytest
from conftest import DATABASE, Wire

PASSWORD = "the-password-of-bob"


def asks(code, rest=b""):
    return Wire.message(b"R", struct.pack("!I", code) + rest)


SASL = asks(10, b"SCRAM-SHA-256\0\0")
CHALLENGE = b"r=NONCEx,s=c2FsdA==,i=4096"
SIGNATURE = b"v=" + b"A" * 43 + b"="
SECOND, MALFORMED = "the server asks for a second proof", "malformed SCRAM message from server"
NOT_BEGUN = "the server continues a SASL exchange that was not begun"
NO_MECHANISM = "the server offers no SASL mechanism that pgweir knows"
BROKEN = "malformed authentication message from the server"

# What the server says, one after each answer of ours; NONCE becomes ours. Then SQLSTATE and message of the client.
LIES = {
    "SASL, then the password": ([SASL, asks(3)], "08P01", SECOND),
    "the password twice": ([asks(3), asks(3)], "08P01", SECOND),
    "MD5, then the password": ([asks(5, b"salt"), asks(3)], "08P01", SECOND),
    "SASL twice": ([SASL, SASL], "08P01", "the server began a second SASL exchange"),
    "another mechanism": ([asks(10, b"OAUTHBEARER\0\0")], "0A000", NO_MECHANISM),
    "binding without TLS": ([asks(10, b"SCRAM-SHA-256-PLUS\0\0")], "0A000", NO_MECHANISM),
    "no mechanism": ([asks(10, b"\0")], "0A000", NO_MECHANISM),
    "a challenge first": ([asks(11, CHALLENGE)], "08P01", NOT_BEGUN),
    "a signature first": ([asks(12, SIGNATURE)], "08P01", NOT_BEGUN),
    "GSS": ([asks(7)], "0A000", "the server asks for authentication method 7, which pgweir does not know"),
    "in without a proof": ([SASL, asks(0)], "28P01", "the server did not prove that it knows the password"),
    "in behind the challenge": ([SASL, asks(11, CHALLENGE), asks(0)], "28P01", "the server did not prove that it knows the password"),
    "a wrong signature": ([SASL, asks(11, CHALLENGE), asks(12, SIGNATURE)], "28000",
                          "SASL authentication failed: the server does not know the password"),
    "another nonce": ([SASL, asks(11, b"r=other,s=c2FsdA==,i=4096")], "08P01", MALFORMED),
    "our nonce alone": ([SASL, asks(11, b"r=NONCE,s=c2FsdA==,i=4096")], "08P01", MALFORMED),
    "no iterations": ([SASL, asks(11, b"r=NONCEx,s=c2FsdA==,i=0")], "08P01", MALFORMED),
    "too many iterations": ([SASL, asks(11, b"r=NONCEx,s=c2FsdA==,i=1000001")], "54000",
                            "server demands 1000001 SCRAM iterations, at most 1000000 are allowed"),
    "an extension": ([SASL, asks(11, CHALLENGE + b",x=y")], "08P01", MALFORMED),
    "a bad salt": ([SASL, asks(11, b"r=NONCEx,s=!!!!,i=4096")], "08P01", MALFORMED),
    "nothing": ([SASL, asks(11)], "08P01", MALFORMED),
    "half a salt": ([asks(5, b"sal")], "08P01", BROKEN),
    "junk behind the question": ([asks(3, b"x")], "08P01", BROKEN),
    "a parameter first": ([Wire.message(b"S", b"x\0y\0")], "08P01", "ParameterStatus before authentication"),
    "ready at once": ([Wire.message(b"Z", b"I")], "08P01", "unexpected ReadyForQuery from the server"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_server_that_lies_at_login(pgweir, lie):
    says, sqlstate, text = LIES[lie]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        row = f"host=127.0.0.1 port={listener.getsockname()[1]} user=bob password={PASSWORD} server_tls_sslmode=disable"
        pooler = pgweir(databases={DATABASE: row})
        with Wire(pooler) as client:
            client.startup(login=False)
            with listener.accept()[0] as server:
                server.settimeout(20)
                heard = [server.recv(1000)]
                for words in says:
                    body = words[5:].replace(b"NONCE", heard[-1].rpartition(b",r=")[2])
                    server.sendall(words[:1] + struct.pack("!I", len(body) + 4) + body)
                    heard.append(server.recv(1000))
            error = client.fields(client.read_until(b"E")[-1][1])
        assert (error["S"], error["C"], error["M"]) == ("FATAL", sqlstate, text)
        assert heard[-1] == b"" and b"" not in heard[:-1]
        # It is given the password in the clear if that is the first thing that it asks for, and then once.
        assert b"".join(heard).count(PASSWORD.encode()) == (says[0] == asks(3))
        assert PASSWORD not in pooler.log() and pooler.console("SHOW VERSION")
