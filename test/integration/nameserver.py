# SPDX-License-Identifier: ISC
"""A name server and relays for tests: what answers in place of the DNS, and more addresses for one PostgreSQL."""
import contextlib
import ipaddress
import select
import socket
import struct
import threading

from conftest import Unprivileged

A, SOA, PTR, AAAA = 1, 6, 12, 28
NAMES = {A: "A", SOA: "SOA", PTR: "PTR", AAAA: "AAAA"}


def pack_name(name):
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"


class NameServer:
    """Answers over UDP on 127.0.0.1:port, in a thread.

    records   {"db.test": ["127.0.0.2", "::1"]}; a name that is not there does not exist
    pointers  {"127.0.0.2": "db.test"}: what addresses say they are called
    ttl       of all records, seconds
    serials   {"test": 7}
    silent    answers nothing while it is true
    asked     all questions: [("db.test", "A"), ...]
    """

    def __init__(self):
        self.pointers = {}
        self.records, self.serials, self.ttl, self.silent, self.asked = {}, {}, 3600, False, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.socket.close()

    def resolv_conf(self, directory, more=""):
        """Write a file for the setting resolv_conf; answers its path."""
        path = directory / "resolv.conf"
        path.write_text(f"nameserver 127.0.0.1:{self.port}\n{more}")
        Unprivileged.own(path)
        return path

    def count(self, name, kind="A"):
        return self.asked.count((name, kind))

    def run(self):
        while True:
            try:
                packet, sender = self.socket.recvfrom(512)
            except OSError:
                return
            if len(packet) < 17:
                return  # the shutdown
            answer = self.answer(packet)
            if answer and not self.silent:
                self.socket.sendto(answer, sender)

    def answer(self, packet):
        at, parts = 12, []
        while packet[at]:
            parts.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        name, (kind,) = ".".join(parts), struct.unpack("!H", packet[at + 1:at + 3])
        self.asked.append((name, NAMES.get(kind, kind)))
        data = []
        if kind == SOA and name in self.serials:
            data = [pack_name("ns." + name) + pack_name("root." + name) + struct.pack("!5I", self.serials[name], 1, 1, 1, 1)]
        elif kind in (A, AAAA):
            addresses = map(ipaddress.ip_address, self.records.get(name, ()))
            data = [address.packed for address in addresses if address.version == (4 if kind == A else 6)]
        pointers = {ipaddress.ip_address(address).reverse_pointer: [pack_name(to)] for address, to in self.pointers.items()}
        if kind == PTR:
            data = pointers.get(name, [])
        exists = name in self.records or name in self.serials or name in pointers
        head = packet[:2] + struct.pack("!HHHHH", 0x8180 | (0 if exists else 3), 1, len(data), 0, 0)
        return head + packet[12:at + 5] + b"".join(
            struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl, len(one)) + one for one in data)


class Relay:
    """Hands connections to one address on to another; address: (host, port) or the name of a Unix socket."""

    def __init__(self, address, target):
        self.address, self.target, self.connections, self.accepted = address, target, [], 0
        self.listening = self.thread = None
        self.start()

    def start(self):
        if isinstance(self.address, tuple):
            family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
            self.listening = socket.create_server(self.address, family=family)
        else:
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(self.address)
            self.listening.listen()
        self.thread = threading.Thread(target=self.run, args=(self.listening,), daemon=True)
        self.thread.start()

    def stop(self):
        """Nobody is there any more: connections end, new ones are refused."""
        with contextlib.suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.thread.join(10)
        self.listening.close()
        for one in self.connections:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.connections = []

    def run(self, listening):
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            self.accepted += 1
            self.serve(near)

    def serve(self, near):
        far = socket.create_connection(self.target)
        self.connections += [near, far]
        threading.Thread(target=self.pump, args=(near, far), daemon=True).start()

    @staticmethod
    def pump(near, far):
        with near, far, contextlib.suppress(OSError):
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    (far if one is near else near).sendall(data)


class Says(Relay):
    """Answers each login with one message, or (b"") with nothing at all."""

    def __init__(self, address, message):
        self.message = message
        super().__init__(address, None)

    def serve(self, near):
        self.connections.append(near)
        if not self.message:
            return
        threading.Thread(target=self.refuse, args=(near,), daemon=True).start()

    def refuse(self, near):
        with near, contextlib.suppress(OSError):
            if near.recv(1000)[4:8] == b"\x04\xd2\x16\x2f":  # SSLRequest
                near.sendall(b"N")
                near.recv(1000)
            near.sendall(self.message)
