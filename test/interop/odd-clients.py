# Clients that do with their socket what no manual suggests, each given as a scene: python3 odd-clients.py SOCKET SCENE.
# Prints all that the server says, a line per connection. No scene waits for silence: a request that carries the id "end"
# closes each part, and what comes before its reply is what the part was about.
import array
import os
import socket
import struct
import sys

path, scene = sys.argv[1:]
END = b'{"execute": "query-fdsets", "id": "end"}'
SETS = b'{"execute": "query-fdsets"}'
NEGOTIATE = b'{"execute": "qmp_capabilities"}'


def add(fdset):
    return b'{"execute": "add-fd", "arguments": {"fdset-id": %d}}' % fdset


def remove(fdset):
    return b'{"execute": "remove-fd", "arguments": {"fdset-id": %d}}' % fdset


def rights(fds):
    return (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))


def devices(count=1):
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]


class Client:
    def __init__(self, greeted=True, negotiated=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)  # blocks while the backlog is full
        self.socket.settimeout(10)
        self.received = b""
        if greeted:
            self.until(b'"capabilities": ["oob"]}}\r\n')
            if negotiated:
                self.send(NEGOTIATE)
                self.until(b"\r\n")
            self.received = b""

    def send(self, data, fds=(), flags=0, others=()):
        """Closes the fds: they are the server's now."""
        ancillary = [rights(fds)] if fds else []
        sent = self.socket.sendmsg([data], ancillary + list(others), flags)
        for fd in fds:
            os.close(fd)
        if sent < len(data):
            self.socket.sendall(data[sent:])

    def until(self, text):
        while text not in self.received:
            data = self.socket.recv(65536)
            if not data:
                raise SystemExit(b"the server has closed: " + self.received)
            self.received += data

    def part(self):
        """What comes up to here."""
        self.send(END)
        self.until(b'"id": "end"}\r\n')
        said, self.received = self.received, b""
        show(said)

    def rest(self):
        """What comes up to the end of the stream."""
        try:
            while data := self.socket.recv(65536):
                self.received += data
        except ConnectionResetError:
            pass
        show(self.received)

    def close(self):
        self.socket.close()


def show(said):
    print(said.decode("latin1").replace("\r\n", " | "))


def urgent_byte():
    for byte in (b"x", b" "):
        client = Client()
        client.send(byte, (), socket.MSG_OOB)
        client.part()
        client.close()


def urgent_byte_within_a_command():
    client = Client()
    client.send(b'{"execute": "query')
    client.send(b"?", (), socket.MSG_OOB)
    client.send(b'-fdsets"}')
    client.part()


def urgent_byte_with_fd():
    client = Client()
    client.send(b" ", devices(), socket.MSG_OOB)
    client.part()
    client.send(add(1))
    client.part()


def fd_without_bytes():
    client = Client()
    client.send(b"", devices())
    client.send(add(1))
    client.part()


def fds_with_white_space():
    client = Client()
    for _ in range(5):
        client.send(b" \t\r\n", devices(3))
    client.send(add(1))
    client.send(add(1))
    client.send(remove(1))
    client.part()


def fd_on_every_byte():
    client = Client()
    for byte in add(1):
        client.send(bytes([byte]), devices())
    client.until(b"\r\n")
    client.send(add(1))
    client.send(remove(1))
    client.part()


def fd_on_bytes_that_are_errors():
    client = Client()
    for junk in (b"\xff", b"}", b"\0", b'"\n'):
        client.send(junk, devices())
        client.send(add(1))
        client.part()
    client.send(add(1))
    client.send(remove(1))
    client.part()


def fd_behind_the_last_brace():
    client = Client()
    client.send(add(1))
    client.send(b"\n", devices())
    client.until(b"\r\n")
    client.send(add(1))
    client.send(remove(1))
    client.part()


def fd_before_negotiation():
    client = Client(negotiated=False)
    client.send(add(1), devices())
    client.send(NEGOTIATE)
    client.send(add(1))
    client.send(add(1))
    client.send(remove(1))
    client.part()


def one_message_for_three_commands():
    client = Client()
    client.send(add(1) * 3, devices(3))
    client.send(remove(1))
    client.part()


def two_blocks_of_fds():
    client = Client()
    fds = devices(2)
    client.send(add(1), (), 0, [rights(fds[:1]), rights(fds[1:])])
    client.send(add(1))
    client.send(remove(1))
    client.part()


def as_many_fds_as_the_kernel_takes():
    client = Client()
    for _ in range(4):
        client.send(b" ", devices(253))
    client.send(add(1))
    client.send(add(1))
    client.send(remove(1))
    client.part()


def credentials():
    client = Client()
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    own = (socket.SOL_SOCKET, socket.SCM_CREDENTIALS, struct.pack("3i", os.getpid(), os.getuid(), os.getgid()))
    client.send(SETS, (), 0, [own])
    client.send(add(1), devices(), 0, [own])
    client.send(remove(1))
    client.part()


def own_connection():
    client = Client()
    client.send(add(1), [os.dup(client.socket.fileno())])
    client.send(SETS)
    client.send(remove(1))
    client.part()


def vanishing_with_an_fd_under_way():
    for _ in range(10):
        client = Client()
        client.send(b'{"execute": "add-fd", "arg', devices())
        client.close()
    client = Client()
    client.part()


def vanishing_with_commands_unanswered():
    for _ in range(10):
        client = Client(greeted=False)
        client.send(NEGOTIATE + b'{"execute": "query-commands"}' * 10)
        client.close()
    client = Client()
    client.part()


def never_reading():
    client = Client()
    client.socket.setblocking(False)
    try:
        for _ in range(1000):
            client.socket.send(b'{"execute": "query-version"}' * 100)
    except BlockingIOError:
        pass
    client.close()
    client = Client()
    client.part()


def waiting_in_line():
    first = Client()
    second = Client(greeted=False)
    second.send(NEGOTIATE + SETS)
    first.part()
    first.close()
    second.until(b'"return": []')
    second.part()


def waiting_in_line_half_closed():
    first = Client()
    second = Client(greeted=False)
    second.send(NEGOTIATE)
    second.socket.shutdown(socket.SHUT_WR)
    first.part()
    first.close()
    second.rest()


def half_closed():
    for beginning in (b"", b'{"execute": "query-', b"12", b"[", b'"'):
        client = Client()
        client.send(beginning)
        client.socket.shutdown(socket.SHUT_WR)
        client.rest()


def half_closed_at_the_greeting():
    client = Client(greeted=False)
    client.socket.shutdown(socket.SHUT_WR)
    client.rest()


def closed_for_reading():
    client = Client()
    client.socket.shutdown(socket.SHUT_RD)
    try:
        client.send(SETS)
    except BrokenPipeError:
        pass
    client.close()
    client = Client()
    client.part()


def bytes_that_reset():
    client = Client()
    for junk in (b"\xff", b"\xff\xff", b'{"execute": \xff', b'[[[{"a": "b\xff', b"\xfe", b"\x01", b"{\x7f\x1b[A\xff", b"'\xff"):
        client.send(junk)
        client.part()


def zero_bytes():
    client = Client()
    for junk in (b"\0" * 5, b'{"execute":\0 "query-fdsets"}\n', b'{"execute": "query\0-fdsets"}\n'):
        client.send(junk + b"\xff")
        client.part()


def other_protocols():
    client = Client()
    hello = bytes.fromhex("16030100a5010000a10303") + bytes(range(256))
    for first in (
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"NBDMAGICIHAVEOPT\0\3",
        hello,
        SETS.decode().encode("utf-16"),
        b"\xef\xbb\xbf" + SETS,
        b'\xff{"execute": "guest-sync-delimited", "arguments": {"id": 5}}\n',
        b"info block\n",
    ):
        client.send(first + b"\xff")
        client.part()


def much_white_space():
    client = Client()
    client.send(b" " * 20000 + b"\t\r\n" * 1000)
    client.part()


def ids():
    client = Client()
    for text in (
        b"-0", b"1e5", b"null", b"[]", b'"\\u0000"', b'"\xc0\x80"', b"18446744073709551615", b"9223372036854775808",
        b"-9223372036854775809", b"0.1", b"'x'", b"1e400", b"123456789012345678901", b'{"b": {}, "a": []}',
    ):
        client.send(b'{"execute": "query-fdsets", "id": ' + text + b"}")
    client.part()


globals()[scene]()
