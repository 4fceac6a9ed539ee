"""The clients and workers of a campaign: processes of their own that do random things and write down what came of it.

Every choice is drawn from the seed, the actor's name and how often it was started.
"""
import hashlib
import os
import random
import struct
import threading
import time
import uuid
import zlib

import grpc

import network
import service
from history import History, verdict
from service import bytestream_pb2, bytestream_pb2_grpc, job_pb2, job_service_pb2, job_service_pb2_grpc
from likeness.v1 import worker_service_pb2, worker_service_pb2_grpc

State = job_pb2.JobState
MODEL = "models/tiny"
CHUNK = 2000  # small, so that an upload is several messages


def digest(data):
    return hashlib.sha256(data).hexdigest()


def photo(rng):
    """A PNG file of 32 by 32 pixels, each different."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"".join(b"\0" + rng.randbytes(32) for _ in range(32))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


class Actor:
    def __init__(self, settings, name, address):
        self.settings = settings
        self.rng = random.Random(f"{settings['seed']} {name}")
        self.history = History(os.path.join(settings["histories"], f"{name}.jsonl"), name)
        self.name = name
        # The least back-off is also how long one attempt to connect may take; on a busy machine that is no short while.
        self.channel = grpc.insecure_channel(address, options=[
            ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 2000),
            ("grpc.max_reconnect_backoff_ms", 250), ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", 64 << 20)])
        self.channel = service.with_metadata(self.channel, self.metadata)
        self.bytes = bytestream_pb2_grpc.ByteStreamStub(self.channel)

    def metadata(self):
        """What every call carries."""
        return [("authorization", f"Bearer {self.settings['keys'][type(self).__name__]}")]

    def stopping(self):
        return os.path.exists(self.settings["stop"])

    def pause(self, low, high):
        time.sleep(self.rng.uniform(low, high) * self.settings["pace"])

    def upload(self, data, tries=10):
        """The blob's name, or nothing. An upload that was cut is resumed where the server says."""
        name = f"tenants/default/blobs/{digest(data)}"
        resource = f"tenants/default/uploads/{uuid.UUID(int=self.rng.getrandbits(128))}/blobs/{digest(data)}/{len(data)}"
        for _ in range(tries):
            offset = 0
            try:
                status = self.bytes.QueryWriteStatus(
                    bytestream_pb2.QueryWriteStatusRequest(resource_name=resource), timeout=3)
                offset = status.committed_size
            except grpc.RpcError:
                pass
            result, reason = self.history.call("upload", lambda chunks, timeout: self.bytes.Write(chunks, timeout=timeout),
                                               self._chunks(resource, data, offset), {"blob": name}, timeout=3)
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


def job_facts(job):
    return {"name": job.name, "uid": job.uid, "state": State.Name(job.state), "attempt": job.attempt}


class Worker(Actor):
    """Leases jobs and plays the part of one that works on them; sometimes badly."""

    def __init__(self, settings, name, address):
        self.lease = None
        super().__init__(settings, name, address)
        self.stub = worker_service_pb2_grpc.WorkerServiceStub(self.channel)
        self.lines = 0

    def metadata(self):
        under = [("likeness-lease", self.lease.lease_token)] if self.lease else []
        return super().metadata() + under

    def run(self):
        while not self.stopping():
            self.lease = self.acquire()
            if self.lease:
                self.work(self.lease)
                self.lease = None

    def acquire(self):
        offer = worker_service_pb2.AcquireLeaseRequest(worker=self.name, device="cpu",
                                                       methods=["dreambooth", "generate"], samplers=["ddim", "dpmpp_2m"])
        offer.base_models.add(name=MODEL, digest="a" * 64, image_size=64, default_token="sks")
        offer.wait.seconds = 1

        def told(reply):
            if not reply.HasField("lease"):
                return {"leased": False}
            lease = reply.lease
            return {"leased": True, "token": lease.lease_token, "checkpoint": lease.checkpoint.blob,
                    **job_facts(lease.job)}

        result, reply = self.history.call("acquire", self.stub.AcquireLease, offer, {}, told, timeout=4)
        if result != "ok":
            self.pause(0.05, 0.2)
            return None
        return reply.lease if reply.HasField("lease") else None

    def call(self, op, method, request, lease, **said):
        """Repeats a call until it has a definite answer, for as long as somebody may be there to give it."""
        said = {"token": lease.lease_token, "uid": lease.job.uid, "attempt": lease.job.attempt, **said}
        for _ in range(self.rng.choice([1, 20, 20])):
            result, reply = self.history.call(op, method, request, said, timeout=2)
            if result != "unknown" or self.stopping():
                break
            self.pause(0.02, 0.2)
        return result, reply

    def heartbeat(self, lease, step, steps):
        self.lines += 1
        line = f"{self.name} says {self.lines}"
        news = worker_service_pb2.HeartbeatRequest(lease_token=lease.lease_token)
        news.progress.phase = "training"
        news.progress.done = step
        news.progress.total = steps
        news.log_lines.add(severity=1, text=line)
        checkpoint = ""
        if self.rng.random() < 0.2:
            checkpoint = self.upload(f"{lease.lease_token} checkpoint {step}".encode() * self.rng.randint(1, 20)) or ""
            if checkpoint:
                news.checkpoint.step = step
                news.checkpoint.blob = checkpoint
        # A line that is sent twice is written twice, so an unanswered heartbeat is not repeated but followed by the next.
        return self.history.call("heartbeat", self.stub.Heartbeat, news,
                                 {"token": lease.lease_token, "uid": lease.job.uid, "attempt": lease.job.attempt,
                                  "line": line, "checkpoint": checkpoint}, timeout=2)

    def work(self, lease):
        if lease.HasField("checkpoint"):
            self.download("read checkpoint", lease.checkpoint.blob)
        steps = self.rng.randint(1, 6)
        for step in range(1, steps + 1):
            self.pause(0.01, 0.12)
            result, reply = self.heartbeat(lease, step, steps)
            if result == "refused" and reply == "LEASE_LOST":
                if self.rng.random() < 0.5:
                    return None  # as it should
                break  # as one that did not listen
            if result == "ok" and reply.cancel_requested and self.rng.random() < 0.9:
                return self.release(lease, worker_service_pb2.RELEASE_REASON_CANCELLED)
        dice = self.rng.random()
        if dice < 0.05:
            return self.release(lease, worker_service_pb2.RELEASE_REASON_PREEMPTED)
        if dice < 0.15:
            return self.fail(lease)
        return self.complete(lease)

    def release(self, lease, reason):
        request = worker_service_pb2.ReleaseLeaseRequest(lease_token=lease.lease_token, reason=reason)
        self.call("release", self.stub.ReleaseLease, request, lease)

    def fail(self, lease):
        request = worker_service_pb2.FailLeaseRequest(lease_token=lease.lease_token, retryable=self.rng.random() < 0.7)
        request.error.code = 13
        request.error.message = "as drawn"
        self.call("fail", self.stub.FailLease, request, lease)

    def complete(self, lease):
        request = worker_service_pb2.CompleteLeaseRequest(lease_token=lease.lease_token)
        tunes = lease.job.HasField("fine_tune")
        for index in range(self.rng.randint(1, 2)):
            data = f"{lease.lease_token} output {index} ".encode() + self.rng.randbytes(self.rng.choice([50, 5000]))
            blob = self.upload(data)
            if not blob:
                return self.fail(lease)
            if tunes:
                request.outputs.add(path=f"model/part-{index}.json", kind=job_pb2.OUTPUT_KIND_MODEL_FILE, blob=blob,
                                    size_bytes=len(data), media_type="application/json")
            else:
                request.outputs.add(path=f"samples/{index:04}.png", kind=job_pb2.OUTPUT_KIND_IMAGE, blob=blob,
                                    size_bytes=len(data), media_type="image/png")
        outputs = [output.blob for output in request.outputs]
        result, _ = self.call("complete", self.stub.CompleteLease, request, lease, outputs=outputs)
        if result == "ok" and self.rng.random() < 0.1:
            self.call("complete", self.stub.CompleteLease, request, lease, outputs=outputs)
        return None


class Client(Actor):
    """Creates, follows, cancels, retries, deletes: whatever comes to its mind."""
    MOST_OPEN = 12  # jobs that have not ended, as far as it knows

    def __init__(self, settings, name, address):
        super().__init__(settings, name, address)
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.open = {}  # uid: name
        self.known = []  # (uid, name)
        self.blobs = []  # names
        self.operations = 0
        self.threads = []

    def run(self):
        actions = {self.create: 30, self.cancel: 6, self.retry: 7, self.look: 14, self.list: 4, self.delete: 6,
                   self.store: 5, self.read: 6, self.watch: 12, self.generate: 4}
        while not self.stopping():
            self.rng.choices(list(actions), list(actions.values()))[0]()
            self.pause(0.005, 0.08)
        for thread in self.threads:
            thread.join(20)

    def operation(self):
        self.operations += 1
        return f"{self.name}-{self.operations}"

    def remember(self, job):
        if (job.uid, job.name) not in self.known:
            self.known.append((job.uid, job.name))
            del self.known[:-200]
        if job.state in (State.JOB_STATE_SUCCEEDED, State.JOB_STATE_FAILED, State.JOB_STATE_CANCELLED):
            self.open.pop(job.uid, None)
        else:
            self.open[job.uid] = job.name

    def one(self):
        """A job that it knows; rather a late one."""
        if not self.known:
            return None
        return self.known[-1 - min(int(self.rng.expovariate(0.1)), len(self.known) - 1)]

    def create(self):
        if len(self.open) >= self.MOST_OPEN:
            return self.look()
        operation = self.operation()
        request = job_service_pb2.CreateJobRequest()
        request.job.labels["operation"] = operation
        request.job.max_attempts = self.rng.choice([2, 5, 10])
        if self.rng.random() < 0.3:
            request.job_id = f"{self.name.split('.')[0]}-{self.rng.randint(0, 9)}"  # taken, or used and deleted before
        if self.rng.random() < 0.25:
            spec = request.job.fine_tune
            spec.base_model = MODEL
            spec.subject.class_noun = "dog"
            blob = self.upload(photo(self.rng)) if self.rng.random() < 0.5 else None
            if blob:
                spec.subject.photos.add(blob=blob)
            else:
                spec.subject.photos.add(inline=photo(self.rng))
            spec.output_model = f"m-{operation.replace('.', '-')}"
        else:
            request.job.generate.model = MODEL
            request.job.generate.prompts.append("a dog")
        repeatable = self.rng.random() < 0.6
        if repeatable:
            request.request_id = operation
        said = {"operation": operation, "request_id": request.request_id}
        for _ in range(20 if repeatable else 1):
            result, reply = self.history.call("create", self.jobs.CreateJob, request, said, job_facts)
            if result == "ok":
                self.remember(reply)
                if not repeatable or self.rng.random() < 0.7:
                    break
                repeatable = False
            elif result == "refused" and reply != "STORAGE_FULL":
                break
            self.pause(0.02, 0.2)
        return None

    def on_job(self, op, method, request_type):
        job = self.one()
        if not job:
            return
        uid, name = job
        result, reply = self.history.call(op, method, request_type(name=name), {"name": name, "about": uid}, job_facts)
        if result == "ok":
            self.remember(reply)
        elif result == "refused" and reply == "JOB_NOT_FOUND":
            self.open.pop(uid, None)

    def cancel(self):
        self.on_job("cancel", self.jobs.CancelJob, job_service_pb2.CancelJobRequest)

    def retry(self):
        self.on_job("retry", self.jobs.RetryJob, job_service_pb2.RetryJobRequest)

    def look(self):
        for uid, name in self.rng.sample(list(self.open.items()), min(3, len(self.open))):
            result, reply = self.history.call("get", self.jobs.GetJob, job_service_pb2.GetJobRequest(name=name),
                                              {"name": name, "about": uid}, job_facts)
            if result == "ok":
                self.open.pop(uid, None)  # another job may have the name now
                self.remember(reply)
            elif result == "refused":
                self.open.pop(uid, None)

    def list(self):
        request = job_service_pb2.ListJobsRequest(page_size=20, filter=self.rng.choice(
            ["", "state = RUNNING", "state = FAILED OR state = CANCELLED", "method = generate"]))
        result, reply = self.history.call("list", self.jobs.ListJobs, request, {})
        if result == "ok" and reply.jobs:
            self.known.append((lambda job: (job.uid, job.name))(self.rng.choice(reply.jobs)))  # somebody else's, perhaps

    def delete(self):
        job = self.one()
        if not job:
            return
        uid, name = job
        # The etag of a job that we have seen: not that of another one which has its name by now.
        try:
            seen = self.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=3)
        except grpc.RpcError:
            return
        request = job_service_pb2.DeleteJobRequest(name=name, etag=seen.etag)
        self.history.call("delete", self.jobs.DeleteJob, request, {"name": name, "about": seen.uid})

    def store(self):
        blob = self.upload(self.rng.randbytes(self.rng.choice([0, 10, 3000, 30000])))
        if blob:
            self.blobs.append(blob)

    def read(self):
        if self.blobs:
            self.download("read", self.rng.choice(self.blobs))

    def in_thread(self, work, *arguments):
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        if len(self.threads) >= 3:
            return
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        thread.start()
        self.threads.append(thread)

    def watch(self):
        if self.open:
            uid, name = self.rng.choice(list(self.open.items()))
            self.in_thread(self.follow, uid, name, self.operation(), random.Random(self.rng.random()))

    def follow(self, about, name, watch, rng):
        """Watches a job to its end, over as many connections as it takes."""
        token, seq, uid = "", 0, about
        for _ in range(30):
            self.history.write("watch", watch=watch, uid=uid, after=seq)
            stream = self.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=name, resume_token=token),
                                        timeout=rng.choice([0.3, 1, 5]))
            try:
                for event in stream:
                    token = event.resume_token
                    if event.HasField("snapshot"):
                        uid = event.snapshot.uid
                    seq = event.seq or seq
                    self.history.write("event", watch=watch, uid=uid, **event_facts(event))
                self.history.write("watched", watch=watch, uid=uid, result="ok")
                return
            except grpc.RpcError as error:
                result, reason = verdict(error)
                self.history.write("watched", watch=watch, uid=uid, result=result, reason=reason)
                if result == "refused" or self.stopping():
                    return
            time.sleep(rng.uniform(0.01, 0.1))

    def generate(self):
        self.in_thread(self.draw, self.operation(), random.Random(self.rng.random()))

    def draw(self, operation, rng):
        request = job_service_pb2.GenerateImagesRequest(model=MODEL, prompt="a dog")
        leaves = rng.random() < 0.3
        facts, pictures, result, reason = {}, [], "ok", ""
        stream = self.jobs.GenerateImages(request, timeout=10)
        try:
            for message in stream:
                if message.HasField("job"):
                    facts = job_facts(message.job)
                    self.history.write("drawing", operation=operation, **facts)
                    if leaves:
                        stream.cancel()
                elif message.HasField("image"):
                    pictures.append([message.image.output.blob, digest(message.image.png)])
        except grpc.RpcError as error:
            result, reason = verdict(error)
        self.history.write("drawn", operation=operation, result=result, reason=reason, pictures=pictures, **facts)


def event_facts(event):
    kind = event.WhichOneof("event")
    facts = {"seq": event.seq, "kind": kind}
    if kind == "state_change":
        facts.update({"from": State.Name(getattr(event.state_change, "from")), "to": State.Name(event.state_change.to),
                      "reason": event.state_change.reason, "attempt": event.state_change.attempt})
    elif kind == "snapshot":
        facts["state"] = State.Name(event.snapshot.state)
    elif kind == "log":
        facts["line"] = event.log.text
    return facts


def run(kind, settings, name, address, namespace):
    """The whole life of an actor's process."""
    if namespace:
        network.enter(namespace)
    {"worker": Worker, "client": Client}[kind](settings, name, address).run()
    os._exit(0)  # gRPC's threads have nothing to say any more
