"""The stage of the e2e stories: real processes, a scripted origin, clients, and no sleeps.

A story starts processes on port 0, reads the ports from their ready lines, and asserts answers and
the counters that must move. Waiting is always for something: a line, an event, a condition that is
polled against a deadline (until()).
"""
import contextlib
import http.client
import http.server
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

BREAKWATER = os.environ.get("BREAKWATER", "build/release/breakwater")
DEADLINE = float(os.environ.get("STORY_DEADLINE", "30"))


def until(condition, what, deadline=DEADLINE):
    """Polls `condition` until it is true; what it answered. Fails with `what` past the deadline."""
    end = time.monotonic() + deadline
    pause = threading.Event()
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}")
        pause.wait(0.01)


class Process:
    """A program of ours: started, its ready lines read, killed by pid at the end."""

    LINE = re.compile(r"^listening on (\S+) \((\w+)\)$")

    def __init__(self, *arguments, env=None, cwd=None, listeners=1, before=(), pass_fds=()):
        self.arguments = [str(a) for a in arguments]
        self.errors = []
        self.output = []
        self.listeners = []  # (address, kind)
        self._lines = queue.Queue()
        self.process = subprocess.Popen(
            [*before, BREAKWATER, *self.arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, **(env or {})}, cwd=cwd, pass_fds=pass_fds)
        for stream, kept in ((self.process.stdout, self.output), (self.process.stderr, self.errors)):
            threading.Thread(target=self._read, args=(stream, kept), daemon=True).start()
        end = time.monotonic() + DEADLINE
        while len(self.listeners) < listeners:
            try:
                line = self._lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                self.kill()
                raise AssertionError(f"{' '.join(self.arguments)}: not ready: "
                                     f"{self.output} {self.errors}")
            match = self.LINE.match(line)
            if match:
                self.listeners.append((match.group(1), match.group(2)))

    def _read(self, stream, kept):
        for line in stream:
            kept.append(line.rstrip("\n"))
            if stream is self.process.stdout:
                self._lines.put(line.rstrip("\n"))
        if stream is self.process.stdout:
            self._lines.put(None)

    def address(self, kind):
        """HOST:PORT of the first listener of that kind."""
        return next(address for address, k in self.listeners if k == kind)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


class Answer:
    def __init__(self, status, fields, body, version):
        self.status = status
        self.fields = fields  # list of (lower-case name, value)
        self.body = body
        self.version = version

    def field(self, name):
        values = [v for n, v in self.fields if n == name.lower()]
        return ", ".join(values) if values else None

    def json(self):
        return json.loads(self.body)


def curl(url, *arguments, version="1.1", resolve=None, ca=None, method=None, headers=None,
         data=None, timeout=DEADLINE):
    """One request by curl; Answer. version: 1.1 or 2 (prior knowledge on http://)."""
    command = ["curl", "-sS", "-i", "--max-time", str(timeout), "--suppress-connect-headers"]
    if version == "2":
        command.append("--http2" if url.startswith("https") else "--http2-prior-knowledge")
    else:
        command.append("--http1.1")
    if resolve:
        command += ["--connect-to", f"::{resolve}"]
    if ca:
        command += ["--cacert", str(ca)]
    if method == "HEAD":
        command.append("-I")
    elif method:
        command += ["-X", method]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if data is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run([*command, *arguments, url], input=data, capture_output=True,
                          timeout=timeout + 10, check=False)
    if done.returncode != 0:
        raise ConnectionError(f"curl {url}: exit {done.returncode}: {done.stderr.decode()}")
    return parse_answer(done.stdout)


def parse_answer(raw):
    while True:
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        if not status.startswith("1"):
            break
        raw = rest
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    return Answer(int(status), fields, rest, version)


def metrics(address, token=None):
    """/metrics of a node as {'name{labels}': value}."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = curl(f"http://{address}/metrics", headers=headers)
    assert answer.status == 200, answer.body
    found = {}
    for line in answer.body.decode().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def metric_sum(found, name, **labels):
    """The sum of a metric over all label sets that hold `labels`."""
    total = 0.0
    for key, value in found.items():
        if key.partition("{")[0] != name:
            continue
        if all(f'{label}="{wanted}"' in key for label, wanted in labels.items()):
            total += value
    return total


class ScriptedOrigin:
    """An HTTP/1.1 origin whose answers a story writes.

    script[path] is a function(request) that answers through it; every request is counted under
    its path. Barriers are plain threading.Events that scripts wait on.
    """

    def __init__(self):
        self.script = {}
        self.requests = []
        self.lock = threading.Lock()
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionError, OSError):
                    self.close_connection = True

            def dispatch(self):
                path = urllib.parse.urlsplit(self.path).path
                with origin.lock:
                    origin.requests.append((self.command, self.path, dict(self.headers.items())))
                script = origin.script.get(path) or origin.script.get("*")
                if script is None:
                    self.answer(404, {"Cache-Control": "no-store"}, b"no script\n")
                else:
                    script(self)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = dispatch

            def answer(self, status, fields, body=b""):
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, value)
                if "Content-Length" not in fields and status not in (204, 304):
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, path, method=None):
        with self.lock:
            return sum(1 for m, p, _ in self.requests
                       if urllib.parse.urlsplit(p).path == path and method in (None, m))

    def last(self, path):
        with self.lock:
            return [r for r in self.requests if urllib.parse.urlsplit(r[1]).path == path][-1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Story(unittest.TestCase):
    """A story: what it starts is stopped when it ends."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="breakwater-story-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, *arguments, **options):
        process = Process(*arguments, **options)
        self.addCleanup(process.kill)
        return process

    def origin(self):
        origin = ScriptedOrigin()
        self.addCleanup(origin.close)
        return origin

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.endswith((".token", ".key")):
            path.chmod(0o600)
        return path


def main():
    unittest.main(verbosity=2)
