"""An actor that leases jobs and plays the part of a worker; sometimes badly."""
import uuid

from actors.base import BASE_MODEL, Actor, job_facts
from names import tenant_of
from service import job_pb2
from likeness.v1 import output_pb2, worker_service_pb2, worker_service_pb2_grpc

POLL = 2  # seconds that an idle worker waits for a job in one call


class Worker(Actor):
    def __init__(self, settings, name, address):
        self.lease = None
        super().__init__(settings, name, address, "worker")
        self.stub = worker_service_pb2_grpc.WorkerServiceStub(self.channel)
        self.lines = 0
        self.instance, self.request_id = str(uuid.uuid4()), str(uuid.uuid4())

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
        offer.base_models.add(name=BASE_MODEL, digest="a" * 64, image_size=64, default_token="sks")
        offer.wait.seconds = POLL
        offer.instance, offer.request_id = self.instance, self.request_id

        def told(reply):
            if not reply.HasField("lease"):
                return {"leased": False}
            lease = reply.lease
            return {"leased": True, "token": lease.lease_token, "checkpoint": lease.checkpoint.blob,
                    "model_files": [file.blob for model in lease.models for file in model.files], **job_facts(lease.job)}

        result, reply = self.history.call("acquire", self.stub.AcquireLease, offer, {}, told, timeout=POLL + 3)
        if result == "unknown":  # the answer may have been lost alone: the same is asked again
            self.pause(0.05, 0.2)
            return None
        self.request_id = str(uuid.uuid4())
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
        news.progress.phase = job_pb2.JOB_PHASE_TRAINING
        news.progress.done = step
        news.progress.total = steps
        news.log_lines.add(severity=1, text=line)
        news.sequence = step
        checkpoint = ""
        if self.rng.random() < 0.3:
            checkpoint = self.upload(tenant_of(lease.job.name), f"{lease.lease_token} checkpoint {step}".encode() *
                                     self.rng.randint(1, 20)) or ""
            if checkpoint:
                news.checkpoint.step = step
                news.checkpoint.blob = checkpoint
        # An unanswered heartbeat is not repeated but followed by the next.
        return self.history.call("heartbeat", self.stub.Heartbeat, news,
                                 {"token": lease.lease_token, "uid": lease.job.uid, "attempt": lease.job.attempt,
                                  "line": line, "checkpoint": checkpoint}, timeout=2)

    def work(self, lease):
        if lease.HasField("checkpoint"):
            self.download("read checkpoint", lease.checkpoint.blob)
        steps = self.rng.randint(1, 6)
        for step in range(1, steps + 1):
            # Once in a while a step takes long; a job may have a time limit.
            self.pause(*((0.01, 0.12) if self.rng.random() < 0.97 else (0.3, 0.6)))
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
            blob = self.upload(tenant_of(lease.job.name), data)
            if not blob:
                return self.fail(lease)
            if tunes:
                request.outputs.add(path=f"model/part-{index}.json", kind=output_pb2.OUTPUT_KIND_MODEL_FILE, blob=blob,
                                    size_bytes=len(data), media_type="application/json")
            else:
                request.outputs.add(path=f"samples/{index:04}.png", kind=output_pb2.OUTPUT_KIND_IMAGE, blob=blob,
                                    size_bytes=len(data), media_type="image/png")
        outputs = [output.blob for output in request.outputs]
        result, _ = self.call("complete", self.stub.CompleteLease, request, lease, outputs=outputs)
        if result == "ok" and self.rng.random() < 0.1:
            self.call("complete", self.stub.CompleteLease, request, lease, outputs=outputs)
        return None
