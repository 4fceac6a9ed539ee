"""What every actor of a campaign has: a seed, a history, a channel, and blobs to send and to read."""
import hashlib
import os
import random
import struct
import time
import uuid
import zlib

import grpc

import service
from history import History
from service import bytestream_pb2, bytestream_pb2_grpc, job_pb2

State = job_pb2.JobState
BASE_MODEL = "baseModels/tiny"
CHUNK = 2000  # bytes; small, so that an upload is several messages


def digest(data):
    return hashlib.sha256(data).hexdigest()


def photo(rng):
    """A PNG file of 32 by 32 pixels, each different."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"".join(b"\0" + rng.randbytes(32) for _ in range(32))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


def job_facts(job):
    """What the checker needs of a job. `seq`: that of the event of its last change of state, which the etag names."""
    facts = {"name": job.name, "uid": job.uid, "state": State.Name(job.state), "attempt": job.attempt,
             "operation": job.labels.get("operation", ""), "outputs": [output.blob for output in job.outputs]}
    if job.etag:
        facts["seq"] = int(job.etag.removeprefix('W/"').split("-")[0])
    return facts


class Actor:
    """Every choice is drawn from the seed, the actor's name and how often it was started."""

    def __init__(self, settings, name, address, key):
        self.settings = settings
        self.rng = random.Random(f"{settings['seed']} {name}")
        self.history = History(os.path.join(settings["histories"], f"{name}.jsonl"), name)
        self.name = name
        self.key = settings["keys"][key]
        # The least back-off is also how long one attempt to connect may take; on a busy machine that is no short while.
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 2000),
            ("grpc.max_reconnect_backoff_ms", 250), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", 64 << 20)])
        self.channel = service.with_metadata(self.channel, self.metadata)
        self.bytes = bytestream_pb2_grpc.ByteStreamStub(self.channel)
        self.operations = 0

    def metadata(self):
        """What every call carries."""
        return [("authorization", f"Bearer {self.key}")]

    def stopping(self):
        return os.path.exists(self.settings["stop"])

    def pause(self, low, high):
        time.sleep(self.rng.uniform(low, high) * self.settings["pace"])

    def operation(self):
        self.operations += 1
        return f"{self.name}-{self.operations}"

    def upload(self, tenant, data, tries=10):
        """The blob's name, or nothing. An upload that was cut is resumed where the server says."""
        name = f"tenants/{tenant}/blobs/{digest(data)}"
        resource = f"tenants/{tenant}/uploads/{uuid.UUID(int=self.rng.getrandbits(128))}/blobs/{digest(data)}/{len(data)}"
        for _ in range(tries):
            offset = 0
            try:
                status = self.bytes.QueryWriteStatus(
                    bytestream_pb2.QueryWriteStatusRequest(resource_name=resource), timeout=3)
                offset = status.committed_size
            except grpc.RpcError:
                pass
            result, reason = self.history.call("upload", lambda chunks, timeout: self.bytes.Write(chunks, timeout=timeout),
                                               self._chunks(resource, data, offset), {"blob": name, "size": len(data)},
                                               timeout=3)
            if result == "ok":
                return name
            if result == "refused" and reason != "STORAGE_FULL":
                break
            self.pause(0.02, 0.1)
        return None

    def download(self, op, name):
        self.history.call(
            op, lambda request, timeout: b"".join(part.data for part in self.bytes.Read(request, timeout=timeout)),
            bytestream_pb2.ReadRequest(resource_name=name), {"blob": name}, lambda data: {"digest": digest(data)})

    @staticmethod
    def _chunks(resource, data, offset):
        while True:
            end = min(offset + CHUNK, len(data))
            yield bytestream_pb2.WriteRequest(resource_name=resource, write_offset=offset, data=data[offset:end],
                                              finish_write=end == len(data))
            if end == len(data):
                return
            offset = end
