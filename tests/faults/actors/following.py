"""Calls that wait for a job: they run in threads of their own, beside what a client does meanwhile."""
import base64
import random
import threading
import time

import grpc

from actors.base import BASE_MODEL, State, digest, job_facts
from history import verdict
from service import job_service_pb2
from likeness.v1 import event_pb2

MOST_THREADS = 3
Reason = event_pb2.StateChangeReason


def position_of(resume_token):
    """The seq that a watch goes on after, which its token holds behind a signature: "{uid}/{seq}"."""
    payload = base64.urlsafe_b64decode(resume_token + "=" * (-len(resume_token) % 4))[16:]
    return int(payload.rsplit(b"/", 1)[1])


def event_facts(event):
    kind = event.WhichOneof("event")
    facts = {"seq": event.seq, "kind": kind}
    if kind == "state_change":
        facts.update({"from": State.Name(getattr(event.state_change, "from")), "to": State.Name(event.state_change.to),
                      "reason": Reason.Name(event.state_change.reason), "detail": event.state_change.detail,
                      "attempt": event.state_change.attempt})
    elif kind == "snapshot":
        facts.update(state=State.Name(event.snapshot.state), shown=job_facts(event.snapshot).get("seq"))
        if event.resume_token:
            facts["position"] = position_of(event.resume_token)
    elif kind == "log":
        facts["line"] = event.log.text
    elif kind == "checkpoint":
        facts["step"] = event.checkpoint.step
    return facts


class Following:
    """Watches, waits and draws for a client, which has `jobs`, `history`, `rng`, `open` and `operation`."""

    def __init__(self, client):
        self.client = client
        self.history = client.history
        self.threads = []

    def join(self):
        for thread in self.threads:
            thread.join(20)

    def in_thread(self, work, *arguments):
        self.threads = [thread for thread in self.threads if thread.is_alive()]
        if len(self.threads) >= MOST_THREADS:
            return
        rng = random.Random(self.client.rng.random())
        thread = threading.Thread(target=work, args=(*arguments, self.client.operation(), rng), daemon=True)
        thread.start()
        self.threads.append(thread)

    def watch(self):
        if self.client.open:
            uid, name = self.client.rng.choice(list(self.client.open.items()))
            self.in_thread(self._follow, uid, name)

    def _follow(self, about, name, watch, rng):
        """Watches a job to its end, over as many connections as it takes."""
        token, seq, uid = "", 0, about
        if rng.random() < 0.3:
            token, seq, uid = self._look(name, watch, about)
        for _ in range(30):
            timeout = rng.choice([0.3, 1, 5])
            self.history.write("watch", watch=watch, uid=uid, after=seq, timeout=timeout, resumed=bool(token))
            stream = self.client.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=name, resume_token=token),
                                               timeout=timeout)
            try:
                for event in stream:
                    token = event.resume_token
                    if event.HasField("snapshot"):
                        uid = event.snapshot.uid
                    seq = event.seq or seq
                    self.history.write("event", watch=watch, uid=uid, name=name, **event_facts(event))
                self.history.write("watched", watch=watch, uid=uid, result="ok")
                return
            except grpc.RpcError as error:
                result, reason = verdict(error)
                self.history.write("watched", watch=watch, uid=uid, result=result, reason=reason)
                if result == "refused" or self.client.stopping():
                    return
            time.sleep(rng.uniform(0.01, 0.1))

    def _look(self, name, watch, about):
        """From where a watch goes on that follows upon GetJob, which then stands for its snapshot."""
        self.history.write("watch", watch=watch, uid=about, after=0, timeout=0, resumed=False)
        try:
            job = self.client.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=3)
        except grpc.RpcError:
            return "", 0, about
        snapshot = event_pb2.JobEvent(snapshot=job, resume_token=job.resume_token)
        self.history.write("event", watch=watch, uid=job.uid, name=name, **event_facts(snapshot))
        return job.resume_token, position_of(job.resume_token), job.uid

    def wait(self):
        if self.client.open:
            uid, name = self.client.rng.choice(list(self.client.open.items()))
            self.in_thread(self._wait, uid, name)

    def _wait(self, uid, name, _, rng):
        seconds = rng.choice([1, 4, 8])
        request = job_service_pb2.WaitJobRequest(name=name)
        request.timeout.seconds = seconds
        self.history.call("wait", self.client.jobs.WaitJob, request, {"name": name, "about": uid, "seconds": seconds},
                          job_facts, timeout=seconds + 3)

    def generate(self):
        self.in_thread(self._draw)

    def _draw(self, operation, rng):
        request = job_service_pb2.GenerateImagesRequest(
            generate={"model": {"name": BASE_MODEL}, "prompts": ["a dog"]})
        leaves = rng.random() < 0.3
        facts, pictures, result, reason = {}, [], "ok", ""
        stream = self.client.jobs.GenerateImages(request, timeout=10)
        try:
            for message in stream:
                if message.HasField("job"):
                    facts = job_facts(message.job)
                    facts.pop("operation")
                    self.history.write("drawing", operation=operation, **facts)
                    if leaves:
                        stream.cancel()
                elif message.HasField("image"):
                    pictures.append([message.image.output.blob, digest(message.image.png)])
        except grpc.RpcError as error:
            result, reason = verdict(error)
        self.history.write("drawn", operation=operation, result=result, reason=reason, pictures=pictures, **facts)
