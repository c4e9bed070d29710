"""A client that reads and sends when the story says so, over each protocol, and what lies between.

curl takes what comes; this one takes a piece when it is asked to, so that a story can see who is
held up by whom. One request a connection. HTTP/2 is as much of it as that needs: a window that
never limits (TCP does), fields without Huffman or tables.
"""
import select
import socket
import ssl
import struct

import stage
from cdn import HOST, PROTOCOLS

DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME = 16384
LARGEST_WINDOW = (1 << 31) - 1


class SlowClient:
    """One connection: ask(), then send() and end() if it has a body, head(), read()."""

    def __init__(self, node, protocol, folder, buffer=None, connected=None):
        scheme, version = PROTOCOLS[protocol]
        self.socket = connected or connect(node.http if scheme == "http" else node.https, buffer)
        self.ends = ends(self.socket)
        self.channel = self.socket
        if scheme == "https":
            context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
            context.set_alpn_protocols(["h2" if version == "2" else "http/1.1"])
            self.channel = context.wrap_socket(self.socket, server_hostname=HOST)
        self.talk = (Http2 if version == "2" else Http1)(self.channel)
        self.sent = self.taken = 0
        self.waiting = False  # in send(), for the other side

    def ask(self, path, method="GET", length=None):
        self.talk.ask(method, path, length)
        return self

    def head(self):
        """The status."""
        return self.talk.head()

    def read(self, most=1 << 18):
        """Some of the body; b"" at its end."""
        piece = self.talk.read(most)
        self.taken += len(piece)
        return piece

    def read_exactly(self, size):
        pieces = []
        while size > 0 and (piece := self.read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def send(self, piece):
        """A piece of the request's body, however long the other side takes."""
        for at in range(0, len(piece), FRAME):
            part = piece[at:at + FRAME]
            self.waiting = True
            self.talk.send(part)
            self.waiting = False
            self.sent += len(part)

    def end(self):
        self.talk.end()

    def close(self):
        self.channel.close()


def connect(address, buffer):
    host, port = address.rsplit(":", 1)
    made = socket.socket()
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
    made.settimeout(stage.DEADLINE)
    made.connect((host, int(port)))
    return made


def ask_slowly(story, node, path, buffer=None, connected=None, **request):
    """A client of the story's protocol that has asked and reads when told; closed at its end."""
    client = SlowClient(node, story.protocol, story.folder, buffer, connected)
    story.addCleanup(client.close)
    return client.ask(path, **request)


class Http1:
    def __init__(self, channel):
        self.channel = channel
        self.kept = b""
        self.left = 0

    def ask(self, method, path, length):
        body = "" if length is None else f"Content-Length: {length}\r\n"
        self.channel.sendall(f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n{body}\r\n".encode())

    def head(self):
        while b"\r\n\r\n" not in self.kept:
            piece = self.channel.recv(65536)
            if not piece:
                raise ConnectionError("no answer")
            self.kept += piece
        head, self.kept = self.kept.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        self.left = int(fields["content-length"])
        return int(lines[0].split(" ")[1])

    def read(self, most):
        most = min(most, self.left)
        if most == 0:
            return b""
        if self.kept:
            piece, self.kept = self.kept[:most], self.kept[most:]
        else:
            piece = self.channel.recv(most)
            if not piece:
                raise ConnectionError(f"ended {self.left} bytes early")
        self.left -= len(piece)
        return piece

    def send(self, piece):
        self.channel.sendall(piece)

    def end(self):
        pass


class Http2:
    def __init__(self, channel):
        if channel.selected_alpn_protocol() != "h2":
            raise ConnectionError("the node doesn't speak h2")
        self.channel = channel
        self.left = 0  # of the DATA frame that is read
        self.over = False
        self.status = None
        self.windows = {0: 65535, 1: 65535}
        self.initial = 65535
        settings = struct.pack(">HI", 4, LARGEST_WINDOW)
        channel.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) +
                        frame(WINDOW, 0, 0, struct.pack(">I", LARGEST_WINDOW - 65535)))

    def ask(self, method, path, length):
        fields = [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path)]
        if length is not None:
            fields.append(("content-length", str(length)))
        block = b"".join(b"\x10" + text(name) + text(value) for name, value in fields)
        flags = END_HEADERS | (END_STREAM if length is None else 0)
        self.channel.sendall(frame(HEADERS, flags, 1, block))

    def head(self):
        while self.status is None:
            self.take_frame()
        return self.status

    def read(self, most):
        while self.left == 0 and not self.over:
            self.take_frame()
        if self.left == 0:
            return b""
        piece = self.exactly(min(most, self.left, FRAME))
        self.left -= len(piece)
        return piece

    def send(self, piece):
        while min(self.windows.values()) < len(piece):
            self.take_frame()
        for stream in self.windows:
            self.windows[stream] -= len(piece)
        self.channel.sendall(frame(DATA, 0, 1, piece))

    def end(self):
        self.channel.sendall(frame(DATA, END_STREAM, 1, b""))

    def exactly(self, size):
        pieces = b""
        while len(pieces) < size:
            piece = self.channel.recv(size - len(pieces))
            if not piece:
                raise ConnectionError("the connection ended early")
            pieces += piece
        return pieces

    def take_frame(self):
        size, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.exactly(9))
        self.over = self.over or (stream == 1 and kind in (DATA, HEADERS) and
                                  bool(flags & END_STREAM))
        if kind == DATA:
            self.left = size
            return
        body = self.exactly(size)
        if kind == HEADERS:
            self.status = status_of(body)
        elif kind == SETTINGS and not flags & ACK:
            for name, value in struct.iter_unpack(">HI", body):
                if name == 4:
                    self.windows[1] += value - self.initial
                    self.initial = value
            self.channel.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == WINDOW and stream in self.windows:
            self.windows[stream] += struct.unpack(">I", body)[0]
        elif kind == PING and not flags & ACK:
            self.channel.sendall(frame(PING, ACK, 0, body))
        elif kind in (RESET, GOAWAY):
            raise ConnectionError(f"the node sent frame {kind}: {body!r}")


def frame(kind, flags, stream, body):
    return struct.pack(">IBBI", len(body), kind, flags, stream)[1:] + body


def text(value):
    raw = value.encode()
    assert len(raw) < 127
    return bytes([len(raw)]) + raw


def status_of(block):
    """From the static table (RFC 7541 appendix A); a change of the table's size may come first."""
    while block[0] & 0xe0 == 0x20:
        block = block[1:]
    indexed = {0x88: 200, 0x89: 204, 0x8a: 206, 0x8b: 304, 0x8c: 400, 0x8d: 404, 0x8e: 500}
    return indexed.get(block[0], 0)


# --- what lies in the kernel, and what a node holds itself

def ends(connected):
    """A connection as the kernel names it: (local, remote)."""
    def name(address):
        ip, port = address
        return f"{int.from_bytes(socket.inet_aton(ip), 'little'):08X}:{port:04X}"
    return name(connected.getsockname()), name(connected.getpeername())


def kernel_queues():
    """{(local, remote): (bytes to send or unacknowledged, bytes to read)} of IPv4 connections."""
    found = {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            _, local, remote, _, queues = line.split()[:5]
            found[local, remote] = tuple(int(q, 16) for q in queues.split(":"))
    return found


def is_asleep(process):
    """All threads of a process wait for something."""
    for task in (stage.pathlib.Path("/proc") / str(process.process.pid) / "task").iterdir():
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        if state != "S":
            return False
    return True


def can_send(connected):
    return bool(select.select([], [connected], [], 0)[1])


class Standstill:
    """Bytes on their way from a source through a node to a sink, when nothing moves any more.

    source, sink: (ends of our connection to the node, function of the bytes that we sent or took).
    stuck: whether the source cannot send more.
    """

    def __init__(self, process, source, sink, stuck):
        self.process, self.source, self.sink, self.stuck = process, source, sink, stuck

    def held(self):
        """What the node itself holds: neither in the kernel nor at the sink."""
        seen = []

        def still():
            seen.append(self.look())
            del seen[:-4]
            return len(seen) == 4 and None not in seen and len(set(seen)) == 1
        stage.until(still, "nothing moves any more")
        return seen[-1]

    def look(self):
        if not self.stuck() or not is_asleep(self.process):
            return None
        queues = kernel_queues()
        (source, sent), (sink, taken) = self.source, self.sink
        to_node, from_node = queues[source][0], queues[source[::-1]][1]
        on = queues[sink[::-1]][0] + queues[sink][1]
        return sent() - to_node - from_node - on - taken()
