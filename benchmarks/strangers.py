#!/usr/bin/env python3
"""What peers without a key can take of a server's memory and threads, at worst.

    benchmarks/strangers.py --connections 1 100 --seconds 10

Starts likeness-server with an auth file, makes one form of attack after the other over so many connections, and samples the
server's resident memory and threads while they last; beside each a client with a key creates a job with 30 MB of photos. The
attackers speak HTTP/2 themselves, so that they need not keep to what a gRPC library would.
"""
import argparse
import contextlib
import json
import pathlib
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/e2e"))
import service  # noqa: E402

import grpc  # noqa: E402
from likeness.v1 import job_service_pb2, job_service_pb2_grpc  # noqa: E402

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
CREATE = "/likeness.v1.JobService/CreateJob"
WRITE = "/google.bytestream.ByteStream/Write"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
BODY = 30 << 20


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers(path, *more):
    fields = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a"),
              ("content-type", "application/grpc"), ("te", "trailers"), *more]
    return b"".join(b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                    for name, value in fields)


def message(size, content=b"", compressed=False):
    """The beginning of a message that says it has so many bytes."""
    return struct.pack(">BI", compressed, size) + content


class Peer:
    """A connection that keeps to the flow control, or does not care."""

    def __init__(self, port, acknowledge=True):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))
        self.socket.setblocking(False)
        self.acknowledge = acknowledge
        self.windows = {}
        self.window, self.initial = 65535, 65535
        self.pending, self.unsent = b"", b""
        self.next, self.ended = 1, False

    def send(self, data=b""):
        """Whether all of it, and of what was kept back before, is gone."""
        self.unsent += data
        try:
            while self.unsent and not self.ended:
                self.unsent = self.unsent[self.socket.send(self.unsent[:1 << 20]):]
        except BlockingIOError:
            return False
        except OSError:
            self.ended = True
        return not self.ended

    def read(self):
        with contextlib.suppress(BlockingIOError):
            try:
                while part := self.socket.recv(1 << 16):
                    self.pending += part
                self.ended = True
            except ConnectionError:
                self.ended = True
        at = 0
        while len(self.pending) >= at + 9:
            size = int.from_bytes(self.pending[at:at + 3], "big")
            kind, flags, stream = struct.unpack(">BBI", self.pending[at + 3:at + 9])
            if len(self.pending) < at + 9 + size:
                break
            payload = self.pending[at + 9:at + 9 + size]
            at += 9 + size
            if kind == SETTINGS and not flags & 1:
                for place in range(0, size, 6):
                    name, value = struct.unpack(">HI", payload[place:place + 6])
                    if name == 4:
                        for other in self.windows:
                            self.windows[other] += value - self.initial
                        self.initial = value
                if self.acknowledge:
                    self.send(frame(SETTINGS, 1, 0))
            elif kind == PING and not flags & 1:
                self.send(frame(PING, 1, 0, payload))
            elif kind == WINDOW_UPDATE:
                more = struct.unpack(">I", payload)[0]
                if stream == 0:
                    self.window += more
                elif stream in self.windows:
                    self.windows[stream] += more
            elif kind == RST_STREAM or (kind == HEADERS and flags & 1):
                self.windows.pop(stream, None)
        self.pending = self.pending[at:]

    def open(self, path, begin=b"", flags=0, more=()):
        stream, self.next = self.next, self.next + 2
        self.windows[stream] = self.initial - len(begin)
        self.window -= len(begin)
        data = frame(HEADERS, 4, stream, headers(path, *more))
        self.send(data + (frame(DATA, flags, stream, begin) if begin else b""))
        return stream

    def feed(self, most):
        """As much of every open stream's body as may be sent."""
        for stream in list(self.windows):
            while self.window > 0 and self.windows[stream] > 0 and not self.unsent:
                size = min(self.window, self.windows[stream], 16384, most)
                self.window -= size
                self.windows[stream] -= size
                self.send(frame(DATA, 0, stream, bytes(size)))
                if size == most:
                    break

    def close(self):
        self.socket.close()


# Each returns what an attacker does with one connection, again and again.

def bodies(path, most=1 << 30, size=BODY, streams=100):
    def step(peer):
        peer.read()
        while len(peer.windows) < streams and not peer.unsent and not peer.ended:
            peer.open(path, message(size))
        peer.feed(most)
        return peer.send()
    return step


def streams_that_stay(path, begin, count, flags=0):
    def step(peer):
        peer.read()
        if len(peer.windows) < count and not peer.unsent and not peer.ended:
            peer.open(path, begin, flags)
            return True
        return False
    return step


def flood(peer):
    """Calls as fast as they go; no answer is read, the settings are not acknowledged."""
    if not peer.unsent:
        block = headers(CREATE)
        peer.send(b"".join(frame(HEADERS, 4, peer.next + 2 * i, block) for i in range(500)))
        peer.next += 1000
    return peer.send()


def small_flood(peer):
    """The same with headers of 6 bytes: those of the first call are remembered."""
    if not peer.unsent:
        count = 5000
        if peer.next == 1:
            fields = [(":path", CREATE), (":authority", "a"), ("content-type", "application/grpc"), ("te", "trailers")]
            block = b"\x83\x86" + b"".join(b"\x40" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
                                           for name, value in fields)
            count = 1
        else:
            block = b"\x83\x86\xc1\xc0\xbf\xbe"
        peer.send(b"".join(frame(HEADERS, 4, peer.next + 2 * i, block) for i in range(count)))
        peer.next += 2 * count
    return peer.send()


def bomb(peer):
    """One header that never ends."""
    if peer.next == 1:
        peer.next = 3
        peer.send(frame(HEADERS, 0, 1, b"\0\1a\x7f\x80\x80\x80\x80\x01"))
    if not peer.unsent:
        peer.send(frame(CONTINUATION, 0, 1, bytes(16384)) * 16)
    return peer.send()


def packed(peer):
    """Messages that are small only as long as they are packed."""
    peer.read()
    bytes_ = GZIP
    while len(peer.windows) < 20 and not peer.unsent and not peer.ended:
        peer.open(CHECK, message(len(bytes_), bytes_, True), more=[("grpc-encoding", "gzip")])
    return peer.send()


def idle(peer):
    peer.read()
    return False


PACKER = zlib.compressobj(9, zlib.DEFLATED, 31)
GZIP = PACKER.compress(bytes(8 << 20)) + PACKER.flush()
LISTING = message(3, b"\x3a\x01*")  # list_services
ATTACKS = {
    "30 MB bodies": bodies(CREATE),
    "30 MB bodies of an upload": bodies(WRITE),
    "bodies that never end": bodies(CREATE, most=10, streams=1000),
    "30 MB bodies of a health check": bodies(CHECK),
    "4 GB bodies of a reflection": bodies(REFLECT, size=(4 << 30) - 1),
    "streams that send nothing": streams_that_stay(CREATE, b"", 1000),
    "reflection streams": streams_that_stay(REFLECT, LISTING, 300),
    "health watches": streams_that_stay(WATCH, message(0), 300, 1),
    "a flood of calls, no answer read": flood,
    "a flood of small calls, no answer read": small_flood,
    "a header that never ends": bomb,
    "packed messages": packed,
    "connections alone": idle,
}


class Sampler:
    def __init__(self, pid):
        self.pid, self.resident, self.threads = pid, 0, 0

    def sample(self):
        status = dict(line.split(":", 1) for line in open(f"/proc/{self.pid}/status"))
        resident = int(status["VmRSS"].split()[0]) / 1024
        threads = int(status["Threads"])
        self.resident, self.threads = max(self.resident, resident), max(self.threads, threads)
        return resident, threads


def attack(port, step, connections, seconds, sampler):
    """Every connection that is closed is opened again."""
    end = time.monotonic() + seconds
    peers, opened = [], 0
    while time.monotonic() < end:
        while len(peers) < connections:
            try:
                peers.append(Peer(port, acknowledge=step not in (flood, small_flood, bomb)))
                opened += 1
            except OSError:
                break
        busy = False
        for peer in peers:
            busy |= step(peer)
        for peer in [peer for peer in peers if peer.ended]:
            peers.remove(peer)
            peer.close()
        sampler.sample()
        if not busy:
            select.select([peer.socket for peer in peers if peer.socket.fileno() < 1024], [], [], 0.005)
    for peer in peers:
        peer.close()
    return opened


class Target:
    """A server with one key, in a temporary directory."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="likeness-strangers-")
        self._directory = pathlib.Path(self._folder.name)
        auth = self._directory / "auth.json"

        def key(*flags):
            command = [service.BIN / "likeness-server", "keys", "create", f"--auth-file={auth}", *flags]
            return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
        self.key = key("--tenant=acme", "--role=submit", "--role=read")
        self.port, = service.free_ports(1)
        self._server = service.Process("server", self._directory, [
            service.BIN / "likeness-server", f"--listen=127.0.0.1:{self.port}", "--metrics-listen=",
            f"--data-dir={self._directory / 'data'}", f"--auth-file={auth}", "--log-level=warning"])
        service.wait_until(lambda: self.create(1 << 10) is None, what="an answer")
        self.create(BODY - (1 << 20))  # what one large request leaves behind belongs to the idle server
        self.pid = self._server._process.pid

    def create(self, size, seconds=60):
        """What a call with the key and so many bytes of photos was refused for; None if it was not."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            request = job_service_pb2.CreateJobRequest()
            subject = request.job.fine_tune.subjects.add(class_noun="dog")
            for photo in range(3):
                subject.photos.add().inline = bytes([photo]) * (size // 3)
            try:
                job_service_pb2_grpc.JobServiceStub(channel).CreateJob(
                    request, timeout=seconds, metadata=[("authorization", f"Bearer {self.key}")])
            except grpc.RpcError as error:
                # Read whole and looked at: these bytes are no pictures.
                return None if error.code() == grpc.StatusCode.INVALID_ARGUMENT else error.details()
            return None

    def close(self):
        self._server.close()
        self._folder.cleanup()


def run(name, connections, seconds):
    target = Target()
    try:
        idle_sampler = Sampler(target.pid)
        time.sleep(0.5)
        idle_resident, idle_threads = idle_sampler.sample()
        sampler = Sampler(target.pid)
        failures = []

        def call():
            time.sleep(seconds * 0.3)
            failures.append(target.create(BODY - (1 << 20)))

        caller = threading.Thread(target=call)
        caller.start()
        opened = attack(target.port, ATTACKS[name], connections, seconds, sampler)
        caller.join()
        return {"attack": name, "connections": connections, "opened": opened,
                "resident_mib": round(sampler.resident - idle_resident), "idle_mib": round(idle_resident),
                "threads": sampler.threads - idle_threads, "idle_threads": idle_threads,
                "call_with_a_key": failures[0] or "succeeds"}
    finally:
        target.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--only", help="attacks whose names hold this text")
    options = parser.parse_args()
    for connections in options.connections:
        for name in ATTACKS:
            if options.only and options.only not in name:
                continue
            print(json.dumps(run(name, connections, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
