# QMP clients as people write them in Python, each given as a scene: python3 qmp-clients.py SOCKET SCENE. Prints every byte
# that the server sends. The fds go as QEMU's own library sends them: with a lone space, before the command.
import os
import socket
import sys

path, scene = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.settimeout(10)
server.connect(path)


def receive(messages):
    """Messages are lines."""
    while messages > 0:
        data = server.recv(65536)
        if not data:
            raise SystemExit("the server has closed")
        messages -= data.count(b"\r\n")
        sys.stdout.buffer.write(data)
    assert messages == 0, "more messages than expected"


def command(text, newline=b"\r\n"):
    server.sendall(text.encode() + newline)
    receive(1)


def opened(count):
    return [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]


def lone_space():
    for _ in range(3):
        socket.send_fds(server, [b" "], opened(1))
        command('{"execute": "add-fd", "arguments": {"fdset-id": 1}}')
    command('{"execute": "query-fdsets"}')


def no_newline():
    socket.send_fds(server, [b'{"execute": "add-fd", "arguments": {"fdset-id": 1}}'], opened(1))
    receive(1)
    command('{"execute": "query-fdsets", "id": 12345678901234567890}', b"")
    command('{"execute": "query-nothing", "id": [1.5, {"b": null, "a": "\\u00e9"}]}', b"")
    command("[]", b"")
    command('{"execute": "query-fdsets", "arguments": {"x": 1}}', b"")


def byte_by_byte():
    text = b'{"execute": "add-fd", "arguments": {"fdset-id": 3, "opaque": "slow"}}'
    for index, byte in enumerate(text):
        if index == len(text) // 2:
            socket.send_fds(server, [bytes([byte])], opened(1))
        else:
            server.sendall(bytes([byte]))
    receive(1)
    command('{"execute": "query-fdsets"}')


def eight_at_once():
    for number in range(8):
        text = '{"execute": "add-fd", "arguments": {"fdset-id": %d}, "id": %d}' % (number, number)
        socket.send_fds(server, [text.encode()], opened(1))
    receive(8)
    command('{"execute": "query-fdsets"}')


def eight_with_spaces():
    for number in range(8):
        socket.send_fds(server, [b" "], opened(1))
        server.sendall(b'{"execute": "add-fd", "arguments": {"fdset-id": %d}}' % number)
    receive(8)
    command('{"execute": "query-fdsets"}')


def every_other():
    for number in range(8):
        text = b'{"execute": "add-fd", "arguments": {"fdset-id": 5}, "id": %d}' % number
        socket.send_fds(server, [text], opened(1 - number % 2)) if number % 2 == 0 else server.sendall(text)
    receive(8)
    command('{"execute": "query-fdsets"}')


def too_many():
    socket.send_fds(server, [b" "], opened(17))
    command('{"execute": "add-fd", "arguments": {"fdset-id": 1}}')
    command('{"execute": "add-fd", "arguments": {"fdset-id": 1}}')
    socket.send_fds(server, [b" "], opened(250))
    command('{"execute": "getfd", "arguments": {"fdname": "many"}}')
    command('{"execute": "closefd", "arguments": {"fdname": "many"}}')
    command('{"execute": "closefd", "arguments": {"fdname": "many"}}')


def replaced():
    socket.send_fds(server, [b" "], opened(2))
    socket.send_fds(server, [b"\n"], opened(1))
    command('{"execute": "add-fd", "arguments": {"fdset-id": -1}}')
    command('{"execute": "add-fd"}')
    socket.send_fds(server, [b"{"], opened(1))
    command('"execute": "nothing"}')
    command('{"execute": "add-fd", "arguments": {"fdset-id": "1"}}')
    command('{"execute": "add-fd", "arguments": {"fdset-id": 2}}')
    command('{"execute": "remove-fd", "arguments": {"fdset-id": 2, "fd": 9999}}')
    command('{"execute": "remove-fd", "arguments": {"fdset-id": 9223372036854775807}}')


def odd_files():
    files = [
        os.memfd_create("image"),
        os.open("/", os.O_RDONLY),
        os.open("/proc/self/status", os.O_RDONLY),
        os.open("/", os.O_PATH),
        os.pipe()[0],
        socket.socketpair()[0].detach(),
        os.eventfd(0) if hasattr(os, "eventfd") else os.pipe()[1],
    ]
    for number, fd in enumerate(files):
        socket.send_fds(server, [b'{"execute": "add-fd", "arguments": {"fdset-id": %d}}' % number], [fd])
        receive(1)
    command('{"execute": "query-fdsets"}')
    for number in range(len(files)):
        command('{"execute": "remove-fd", "arguments": {"fdset-id": %d}}' % number)


def half_closed():
    server.sendall(b'{"execute": "query-fdsets"}')
    receive(1)
    server.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b"", "bytes after the end"


receive(1)
command('{"execute": "qmp_capabilities"}')
globals()[scene]()
server.close()
