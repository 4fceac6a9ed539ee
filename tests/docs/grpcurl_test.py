"""docs/grpcurl.md: every method of every service called by a real grpcurl, against a real server.

    .venv/bin/python tests/docs/grpcurl_test.py            runs the calls again and compares, times and random ids aside
    .venv/bin/python tests/docs/grpcurl_test.py --write    writes the page anew

The part of the worker is played by grpcurl too.
"""
import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from service import BIN, ROOT, Process, free_ports, wait_until  # noqa: E402

PAGE = ROOT / "docs/grpcurl.md"
GRPCURL = ROOT / ".venv/bin/grpcurl"
NOT_OURS = re.compile(r"^grpc\.(reflection|channelz)\.")

HEAD = """# Every method, by grpcurl

What `tests/docs/grpcurl_test.py --write` got from a server that it started with an empty `--data-dir`; the same test fails when
a method is missing here or answers otherwise. The calls belong to one story, and their answers show where it stood: a photo is
uploaded, a job learns it, a second one goes wrong. What a worker says (`WorkerService`) was said by grpcurl as well; real
workers do that by themselves. A request is the JSON after `-d`; [api.md](api.md) says what things mean.

"""


def png(side=32):
    """A grey picture, whose bytes are the same everywhere."""
    def chunk(kind, data):
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(side * (side + 1)), 9)) + chunk(b"IEND", b"")


def objects(text):
    """The JSON values that a text holds, one after the other."""
    found, decoder = [], json.JSONDecoder()
    text = text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].lstrip()
    return found


def shown(value, indent=0):
    """JSON for people: what fits on a line stands on one."""
    line = json.dumps(value)
    if not isinstance(value, (dict, list)) or len(line) + indent <= 100:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {shown(part, indent + 2)}" for key, part in value.items()]
    else:
        parts = [shown(part, indent + 2) for part in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{' ' * indent}{closing}"


def blob(data):
    return f"tenants/default/blobs/{hashlib.sha256(data).hexdigest()}"


class Story:
    """Calls and what came of them, by method."""

    def __init__(self, port):
        self._port = port
        self.parts = {}  # method: [text]

    def _command(self, method, request):
        return [str(GRPCURL), "-plaintext", "-d", json.dumps(request), f"127.0.0.1:{self._port}", method]

    def _keep(self, method, words, request, answers):
        call = f"grpcurl -plaintext -d '{shown(request)}' \\\n  localhost:50051 {method}" if request else (
            f"grpcurl -plaintext localhost:50051 {method}")
        output = "\n".join(shown(answer) for answer in answers)
        self.parts.setdefault(method, []).append(f"{words}\n\n```\n$ {call}\n{output}\n```\n")

    def call(self, method, request, words=None):
        """The answer; with `words` the call goes on the page."""
        done = subprocess.run(self._command(method, request), capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise AssertionError(f"{method} {request}: {done.stderr}")
        answers = objects(done.stdout)
        if words:
            self._keep(method, words, request, answers)
        return answers[-1]

    def stream(self, method, request, words, meanwhile, cut=False):
        """A stream that is open while `meanwhile(first answer)` runs, and ends because of it; badly, if it is `cut`."""
        process = subprocess.Popen(self._command(method, request), stdout=subprocess.PIPE, text=True)
        lines = []
        while not lines or lines[-1] != "}\n":  # the first answer ends
            lines.append(process.stdout.readline())
        meanwhile(json.loads("".join(lines)))
        rest, _ = process.communicate(timeout=60)
        assert process.returncode == 0 or cut, f"{method} ended with {process.returncode}"
        self._keep(method, words, request, objects("".join(lines) + rest))

    def methods(self):
        """All that the server has, by reflection."""
        def listed(*what):
            return subprocess.run([str(GRPCURL), "-plaintext", f"127.0.0.1:{self._port}", "list", *what], check=True,
                                  capture_output=True, text=True).stdout.split()

        names = [name for service in listed() if not NOT_OURS.match(service) for name in listed(service)]
        return [name[::-1].replace(".", "/", 1)[::-1] for name in names]


def tell(story):
    """The whole of it."""
    jobs, workers, models, blobs, operators = ("likeness.v1." + name for name in (
        "JobService", "WorkerService", "ModelService", "BlobService", "OperatorService"))
    photo = png()
    config = b'{"_class_name": "UNet2DConditionModel"}\n'
    offer = {"worker": "gpu-1", "device": "cuda:0 NVIDIA H100", "methods": ["dreambooth", "generate"],
             "samplers": ["ddim", "dpmpp_2m"],
             "base_models": [{"name": "baseModels/mini", "digest": "c" * 64, "image_size": 64, "default_token": "rhf",
                              "display_name": "mini"}]}

    def upload(data, words=None, uuid="6f1c40f6-38b1-4d5f-9d0c-0a8a3f6a1c55"):
        name = f"tenants/default/uploads/{uuid}/blobs/{hashlib.sha256(data).hexdigest()}/{len(data)}"
        story.call("google.bytestream.ByteStream/Write", {
            "resource_name": name, "write_offset": "0", "data": base64.b64encode(data).decode(), "finish_write": True}, words)
        return name

    def acquire(words=None):
        return story.call(f"{workers}/AcquireLease", offer, words).get("lease")

    story.call("grpc.health.v1.Health/Check", {}, "Is it ready for work? `{\"service\": \"liveness\"}` asks whether it is alive.")
    acquire("A worker offers itself. There is no job yet; with `wait` it would stay for one.")
    story.call("likeness.v1.CapabilitiesService/GetCapabilities", {}, "What there is, and the limits of requests.")
    story.call(f"{models}/ListBaseModels", {}, "The base models that workers offer.")
    story.call(f"{models}/GetBaseModel", {"name": "baseModels/mini"}, "One of them.")

    story.call("likeness.v1.BlobService/FindMissingBlobs", {"blobs": [blob(photo)]}, "Before an upload: what the server lacks.")
    name = upload(photo, "A small blob, in one piece. Larger ones come as several messages, each with its `write_offset`.")
    story.call("google.bytestream.ByteStream/QueryWriteStatus", {"resource_name": name},
               "How much of an upload is stored: all of it here.")
    story.call("google.bytestream.ByteStream/Read", {"resource_name": blob(photo)}, "The bytes back, as base64 in JSON.")

    story.call(f"{blobs}/GetBlob", {"name": blob(photo)}, "How large a blob is.")
    note = b"in two parts"
    begun = story.call(f"{blobs}/CreateUpload", {"sha256": hashlib.sha256(note).hexdigest(), "size_bytes": str(len(note))},
                       "For clients that cannot stream: a name for an upload.")
    for offset, part in ((0, note[:7]), (7, note[7:])):
        story.call(f"{blobs}/UploadPart", {"name": begun["name"], "offset": str(offset), "data": base64.b64encode(part).decode(),
                                           "sha256": hashlib.sha256(part).hexdigest()},
                   None if offset else "The parts, one after the other; here is the first.")
    story.call(f"{blobs}/CompleteUpload", {"name": begun["name"]}, "The blob, once all parts are there.")

    rex = {"job_id": "rex", "request_id": "order-17", "job": {
        "labels": {"project": "zoo"},
        "fine_tune": {"subjects": [{"class_noun": "dog", "photos": [{"blob": blob(photo), "file_name": "rex.png"}]}], "dreambooth": {},
                     "training": {"steps": 200, "seed": 7}}}}
    story.call(f"{jobs}/CreateJob", rex, "A subject to learn. The `request_id` makes it safe to send this again.")
    story.call(f"{jobs}/GetJob", {"name": "tenants/default/jobs/rex"}, "One job.")
    story.call(f"{jobs}/ListJobs", {"filter": "state = PENDING AND labels.project = zoo", "page_size": 1}, "Some of them.")

    story.call(f"{operators}/GetQueue", {}, "What waits, for those who operate the service.")

    def train(_):
        lease = acquire("The oldest job that it can run. `lease_token` goes into every further call.")
        token = lease["lease_token"]
        story.call(f"{workers}/Heartbeat", {"lease_token": token, "progress": {
            "phase": "JOB_PHASE_TRAINING", "done": 100, "total": 200, "unit": "steps"}},
            "Within the lease's duration, again and again: news up, and whether to stop down.")
        story.call(f"{operators}/ListWorkers", {}, "Who works on what.")
        upload(config, uuid="0d1f3e3c-6c38-4b2b-8a58-6f8e8c6e1a01")
        story.call(f"{workers}/CompleteLease", {"lease_token": token, "outputs": [{
            "path": "model/unet/config.json", "kind": "OUTPUT_KIND_MODEL_FILE", "blob": blob(config),
            "size_bytes": str(len(config)), "media_type": "application/json"}], "metrics": {"loss": 0.25}},
            "Done: what it made becomes visible at once.")

    story.stream(f"{jobs}/WatchJob", {"name": "tenants/default/jobs/rex"},
                 "A snapshot, then what happens, until it has ended.", train)
    story.call(f"{jobs}/WaitJob", {"name": "tenants/default/jobs/rex", "timeout": "10s"},
               "For clients without streams: the job, once it has ended or the time is up.")
    story.call(f"{models}/ListModels", {}, "What fine-tunes made.")
    story.call(f"{models}/GetModel", {"name": "tenants/default/models/rex"}, "One of them.")

    story.call(f"{models}/UpdateModel", {"model": {"name": "tenants/default/models/rex", "display_name": "Rex"}},
               "A name for people.")
    story.call(f"{operators}/GetUsage", {"days": 1}, "What the tenant used today.")
    story.call(f"{operators}/DrainWorker", {"name": "workers/gpu-1"}, "The worker gets no more jobs ...")
    acquire()
    story.call(f"{operators}/UndrainWorker", {"name": "workers/gpu-1"}, "... and gets jobs again.")

    def draw(_):
        lease = acquire()
        upload(photo, uuid="0d1f3e3c-6c38-4b2b-8a58-6f8e8c6e1a02")
        story.call(f"{workers}/CompleteLease", {"lease_token": lease["lease_token"], "outputs": [{
            "path": "0000.png", "kind": "OUTPUT_KIND_IMAGE", "blob": blob(photo), "size_bytes": str(len(photo)),
            "media_type": "image/png", "prompt": "a rhf dog in the snow", "seed": 5}]})

    story.stream(f"{jobs}/GenerateImages", {"generate": {
        "model": {"name": "tenants/default/models/rex"}, "prompts": ["a {subject} in the snow"], "seed": 5}},
                 "Pictures while you wait, PNG files in base64.", draw)

    snow = {"job_id": "snow", "job": {"generate": {"model": {"name": "baseModels/mini"}, "prompts": ["a dog in the snow"], "seed": 3}}}
    story.call(f"{jobs}/CreateJob", snow)
    story.call(f"{workers}/FailLease", {"lease_token": acquire()["lease_token"], "retryable": False, "error": {
        "code": 8, "message": "the device has no memory left"}}, "An attempt that went wrong.")
    story.call(f"{jobs}/RetryJob", {"name": "tenants/default/jobs/snow"}, "Once more, a job that failed or was cancelled.")
    story.call(f"{workers}/ReleaseLease", {"lease_token": acquire()["lease_token"], "reason": "RELEASE_REASON_PREEMPTED"},
               "The worker goes away, and gives the job back.")
    story.call(f"{jobs}/UpdateJob", {"job": {"name": "tenants/default/jobs/snow", "labels": {"project": "zoo"}, "priority": 5}},
               "Other labels, and first in the queue.")
    story.call(f"{jobs}/CancelJob", {"name": "tenants/default/jobs/snow"}, "It waited again, so it is cancelled at once.")
    story.call(f"{jobs}/ListJobEvents", {"parent": "tenants/default/jobs/snow", "page_size": 2}, "What happened to a job, in pages.")
    story.call(f"{jobs}/CancelJobs", {"filter": "labels.project = zoo"}, "All that match and have not ended; here, none is left.")
    story.call(f"{jobs}/DeleteJob", {"name": "tenants/default/jobs/snow"}, "Forgotten.")
    story.call(f"{jobs}/DeleteJobs", {"filter": "labels.project = zoo"}, "All that match and have ended.")
    story.call(f"{models}/DeleteModel", {"name": "tenants/default/models/rex"}, "Forgotten too; its name is free again.")

    def learn(job):
        story.call(f"{jobs}/CreateJob", rex | {"job_id": job, "request_id": job})
        upload(config, uuid=f"0d1f3e3c-6c38-4b2b-8a58-6f8e8c6e1a0{len(job)}")
        story.call(f"{workers}/CompleteLease", {"lease_token": acquire()["lease_token"], "outputs": [{
            "path": "model/unet/config.json", "kind": "OUTPUT_KIND_MODEL_FILE", "blob": blob(config)}]})

    learn("mia")
    learn("rosie")
    story.call(f"{models}/EraseModel", {"name": "tenants/default/models/mia"},
               "A model and the job that made it, at once. What the next one has the same bytes of stays.")
    # One change comes after it: the watch below is cut off as soon as it has told something.
    listed = story.call(f"{jobs}/ListJobs", {"page_size": 1, "view": "JOB_VIEW_BASIC"})
    story.call(f"{jobs}/EraseJob", {"name": "tenants/default/jobs/rosie"},
               "The same, beginning at the job. The photo stays, because a picture drawn before has the same bytes.")
    story.stream("grpc.health.v1.Health/Watch", {}, "Tells at once when that changes; here, because the server was told to stop.",
                 lambda _: story.stream(
                     f"{jobs}/WatchJobs", {"resume_token": listed["resume_token"]},
                     "All jobs at once: what happened since they were listed, and what happens.", lambda _: story.stop(), cut=True),
                 cut=True)


def page():
    """The page as it comes out now, and the methods that there are."""
    port, metrics_port = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="likeness-grpcurl-") as folder:
        directory = pathlib.Path(folder)
        server = Process("server", directory, [
            BIN / "likeness-server", f"--listen=127.0.0.1:{port}", f"--metrics-listen=127.0.0.1:{metrics_port}",
            f"--data-dir={directory / 'data'}", "--drain-timeout=1s"])
        try:
            server.wait_for_log("serving")
            story = Story(port)
            story.stop = lambda: server.terminate()
            methods = story.methods()
            tell(story)
        finally:
            server.close()
    text = HEAD
    services = []
    for method in story.parts:
        service = method.split("/")[0]
        if service not in services:
            services.append(service)
    for service in sorted(services, key=lambda name: (name.startswith("grpc."), not name.startswith("likeness"), name)):
        text += f"## {service}\n\n"
        for method in methods:
            if method.split("/")[0] == service and method in story.parts:
                text += f"### {method.split('/')[1]}\n\n" + "\n".join(story.parts[method]) + "\n"
    return text.rstrip() + "\n", methods


RANDOM = [
    (re.compile(r'"\d{4}-\d\d-\d\dT[\d:.]+Z"'), '"TIME"'),
    (re.compile(r'"(worker_duration|workerDuration|oldest_wait|oldestWait)": "[\d.]+s"'), r'"\1": "TIME"'),
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r'"(lease_token|resume_token|next_page_token|traceparent|version|server_version|serverVersion|lease_id|leaseId|resumeToken|leaseToken|nextPageToken)": "[^"]*"'), r'"\1": "..."'),
    (re.compile(r"tenants/default/jobs/[a-z][a-z0-9]{11}\b"), "tenants/default/jobs/ID"),
]


def comparable(text):
    for pattern, replacement in RANDOM:
        text = pattern.sub(replacement, text)
    return text.splitlines()


class Page(unittest.TestCase):
    maxDiff = 3000

    @classmethod
    def setUpClass(cls):
        cls.text, cls.methods = page()

    def test_every_method_has_a_transcript(self):
        for method in self.methods:
            service, name = method.split("/")
            section = re.search(rf"^## {re.escape(service)}\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
            self.assertTrue(section and f"### {name}\n" in section.group(1), f"{method} has no transcript in docs/grpcurl.md")

    def test_is_what_the_server_answers(self):
        self.assertEqual(comparable(PAGE.read_text()), comparable(self.text),
                         "docs/grpcurl.md is out of date: .venv/bin/python tests/docs/grpcurl_test.py --write")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page()[0])
    else:
        unittest.main()
