"""Servers and workers as real processes on real ports, for the tests of whole jobs.

A Service lives in a directory of its own and speaks through Python's gRPC; nothing here knows how the programs work inside.
"""
import atexit
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
import uuid

import grpc
import grpc_tools
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LIKENESS_BUILD_DIR", ROOT / "build/release")) / "bin"


def _generate_stubs():
    """Python classes of the contract, made from the .proto files for this run alone."""
    out = tempfile.mkdtemp(prefix="likeness-stubs-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    files = sorted((ROOT / "proto/likeness/v1").glob("*.proto")) + [ROOT / "proto/google/bytestream/bytestream.proto"]
    include = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    arguments = ["", f"-I{ROOT / 'proto'}", f"-I{include}", f"--python_out={out}", f"--grpc_python_out={out}"]
    if protoc.main(arguments + [str(file) for file in files]) != 0:
        raise RuntimeError("the contract does not compile")
    sys.path.insert(0, out)


_generate_stubs()
from google.bytestream import bytestream_pb2, bytestream_pb2_grpc  # noqa: E402
from google.protobuf import json_format  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from likeness.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc  # noqa: E402
from likeness.v1 import capabilities_service_pb2, capabilities_service_pb2_grpc  # noqa: E402

State = job_pb2.JobState
ENDED = {State.JOB_STATE_SUCCEEDED, State.JOB_STATE_FAILED, State.JOB_STATE_CANCELLED}


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class _WithMetadata(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor, grpc.StreamUnaryClientInterceptor):
    def __init__(self, pairs):
        self._pairs = pairs

    def _go_on(self, continuation, details, request):
        return continuation(details._replace(metadata=list(details.metadata or []) + self._pairs()), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = _go_on


def with_metadata(channel, pairs):
    """A channel whose calls carry what pairs() returns at that moment."""
    return grpc.intercept_channel(channel, _WithMetadata(pairs))


def new_key(auth_file, *flags):
    """The secret of an API key that is made, and written into the file, by `likeness-server keys create`."""
    made = subprocess.run([BIN / "likeness-server", "keys", "create", f"--auth-file={auth_file}", *flags], check=True,
                          capture_output=True, text=True)
    return next(word for word in made.stdout.split() if word.startswith("lk_"))


def new_certificate(certificate, key, name):
    """Files of a certificate that vouches for itself; `name` as in subjectAltName."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                    "-subj", "/CN=likeness", "-addext", f"subjectAltName={name}", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)


def wait_until(condition, seconds=30, what="the condition"):
    """The first true value of condition(); fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come about in {seconds} s")


class Process:
    """A program with its log in a file."""

    def __init__(self, name, directory, command):
        self.name = name
        self.log = directory / f"{name}.log"
        environment = dict(os.environ, OMP_NUM_THREADS="1")
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen([str(part) for part in command], stderr=log, stdout=log, env=environment)

    @property
    def pid(self):
        return self._process.pid

    def log_text(self):
        return self.log.read_text(errors="replace")

    def wait_for_log(self, text, seconds=30):
        def seen():
            if text in self.log_text():
                return True
            if self._process.poll() is not None:
                raise AssertionError(f"{self.name} ended:\n{self.log_text()[-3000:]}")
            return False

        wait_until(seen, seconds, f"{text!r} in the log of {self.name}")

    def send(self, number):
        self._process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        self._process.wait()

    def terminate(self, seconds=30):
        """Asks the program to stop; its exit code."""
        self.send(signal.SIGTERM)
        return self._process.wait(seconds)

    def close(self):
        if self._process.poll() is None:
            self.send(signal.SIGCONT)
            self.kill()


class Service:
    """A server, any number of workers, and one tiny model, in a temporary directory. `bin`: the folder of the server's program."""

    def __init__(self, lease_duration="30s", data_dir=None, server_flags=(), evaluators=False, bin=BIN):
        self._temporary = tempfile.TemporaryDirectory(prefix="likeness-e2e-")
        self.directory = pathlib.Path(self._temporary.name)
        self.data_dir = pathlib.Path(data_dir or self.directory / "data")
        self.models = self.directory / "models"
        self._lease_duration = lease_duration
        self._server_flags = list(server_flags)
        self._server_bin = bin
        self._workers = []
        self.server = None
        self.port, self._metrics_port = free_ports(2)
        self.address = f"127.0.0.1:{self.port}"
        subprocess.run([BIN / "likeness-tiny-model", self.models / "tiny"] + ([self.models / "evaluators"] if evaluators else []),
                       check=True)
        self.start_server()
        self.channel = grpc.insecure_channel(self.address, options=[
            ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.max_receive_message_length", 64 << 20)])
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.capabilities = capabilities_service_pb2_grpc.CapabilitiesServiceStub(self.channel)
        self.blobs = bytestream_pb2_grpc.ByteStreamStub(self.channel)

    def close(self):
        for process in self._workers + [self.server]:
            process.close()
        self.channel.close()
        self._temporary.cleanup()

    def start_server(self):
        self.server = Process("server", self.directory, [
            self._server_bin / "likeness-server", f"--listen={self.address}", f"--metrics-listen=127.0.0.1:{self._metrics_port}",
            f"--data-dir={self.data_dir}", f"--lease-duration={self._lease_duration}", *self._server_flags])
        wait_until(self._answers, what="an answer of the server")
        return self.server

    def metrics(self):
        """The server's metrics page."""
        return urllib.request.urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics").read().decode()

    def _answers(self):
        with grpc.insecure_channel(self.address) as channel:
            try:
                capabilities_service_pb2_grpc.CapabilitiesServiceStub(channel).GetCapabilities(
                    capabilities_service_pb2.GetCapabilitiesRequest(), timeout=1)
                return True
            except grpc.RpcError:
                return False

    def start_worker(self, name="worker", server=None, models=None, flags=(), bin=BIN):
        metrics, = free_ports(1)
        worker = Process(name, self.directory, [
            bin / "likeness-worker", "serve", f"--server={server or self.address}", f"--models={models or self.models}",
            f"--cache-dir={self.directory / ('cache-' + name)}", f"--name={name}", "--threads=1", "--device=cpu",
            f"--metrics-address=127.0.0.1:{metrics}", *flags])
        worker.metrics = lambda: urllib.request.urlopen(f"http://127.0.0.1:{metrics}/metrics").read().decode()
        worker.metrics_address = f"127.0.0.1:{metrics}"
        self._workers.append(worker)
        worker.wait_for_log("worker started", 120)
        return worker

    def wait_for_models(self, name="baseModels/"):
        """Until a base model is offered whose name begins so."""
        wait_until(lambda: any(model.name.startswith(name) for model in self.capabilities.GetCapabilities(
            capabilities_service_pb2.GetCapabilitiesRequest()).base_models), what="an offered model")

    def create(self, job, **request):
        return self.jobs.CreateJob(job_service_pb2.CreateJobRequest(job=job, **request), wait_for_ready=True, timeout=20)

    def refusal(self, job):
        """The grpc.RpcError with which the job would be refused; None if it would be accepted."""
        try:
            self.create(job, validate_only=True)
        except grpc.RpcError as refused:
            return refused
        return None

    def get(self, name):
        return self.jobs.GetJob(job_service_pb2.GetJobRequest(name=name), wait_for_ready=True, timeout=20)

    def wait(self, name, seconds=60):
        """The job, ended."""
        def ended():
            job = self.get(name)
            return job if job.state in ENDED else None

        return wait_until(ended, seconds, f"the end of {name}")

    def wait_for_phase(self, name, phase, done=0):
        """The job's progress, once it stands in the phase ("TRAINING") with so many units done."""
        def there():
            job = self.get(name)
            if job.state in ENDED:
                raise AssertionError(f"{name} ended before it was seen in {phase!r}:\n{job}")
            return (job.progress.phase == job_pb2.JobPhase.Value(f"JOB_PHASE_{phase}")
                    and job.progress.done >= done)

        wait_until(there, 60, f"phase {phase!r}")

    def watch(self, name, resume_token=""):
        return self.jobs.WatchJob(job_service_pb2.WatchJobRequest(name=name, resume_token=resume_token),
                                  wait_for_ready=True)

    def read_blob(self, name):
        return b"".join(part.data for part in self.blobs.Read(bytestream_pb2.ReadRequest(resource_name=name)))

    def outputs(self, job):
        """Bytes by path, of pictures without their settings; those name the model, and each job has another."""
        return {output.path: bare(self.read_blob(output.blob)) for output in job.outputs}


class JobTest(unittest.TestCase):
    """Tests of jobs that one worker does, of three photos of a dog."""

    SERVICE = {}  # what Service is made with

    @classmethod
    def setUpClass(cls):
        cls.service = Service(**cls.SERVICE)
        cls.addClassCleanup(cls.service.close)
        cls.worker = cls.service.start_worker()
        cls.service.wait_for_models()
        cls.photo_dir = cls.service.directory / "photos"
        cls.photos = draw_photos(cls.photo_dir)

    def end(self, job):
        """The job, created and ended."""
        return self.service.wait(self.service.create(job).name)


def png(image):
    """The file of a PIL image."""
    out = io.BytesIO()
    image.save(out, "png")
    return out.getvalue()


def bare(data):
    """A PNG file without its texts; any other file as it is."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    at, chunks = 8, [data[:8]]
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at:at + 4], "big")
        if data[at + 4:at + 8] not in (b"tEXt", b"iTXt"):
            chunks.append(data[at:end])
        at = end
    return b"".join(chunks)


def draw_photos(directory, count=3, subject_class="dog", seed=4):
    subprocess.run([BIN / "likeness-mini", "draw-subject", f"--class={subject_class}", f"--seed={seed}",
                    f"--photos={count}", f"--out={directory}"], check=True, stdout=subprocess.DEVNULL)
    return [file.read_bytes() for file in sorted(pathlib.Path(directory).glob("*.png"))]


def fine_tune_job(photos, steps=4, **training):
    """A small DreamBooth job: 4 steps, 2 class pictures, 2 samples, everything seeded."""
    job = job_pb2.Job()
    spec = job.fine_tune
    spec.subjects.add(class_noun="dog")
    for photo in photos:
        spec.subjects[0].photos.add(inline=photo)
    settings = dict(steps=steps, seed=11, checkpoint_every_steps=2)
    settings.update(training)
    for field, value in settings.items():
        setattr(spec.training, field, value)
    spec.prior.class_images = 2
    spec.prior.sampling_steps = 2
    spec.samples.prompts.extend(["a {subject} in the snow", "a {class}"])
    spec.samples.seed = 5
    spec.samples.steps = 3
    return job


def generate_job(prompts, model="", **settings):
    job = job_pb2.Job()
    job.generate.model.name = model
    job.generate.prompts.extend(prompts)
    for field, value in settings.items():
        setattr(job.generate, field, value)
    return job


def error_details(error):
    """Those of a google.rpc.Status or a grpc.RpcError."""
    if isinstance(error, grpc.RpcError):
        details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
        error = status_pb2.Status.FromString(details)
    return error.details


def error_reason(error):
    """ErrorInfo's reason of a google.rpc.Status or a grpc.RpcError."""
    for detail in error_details(error):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return ""


def error_fields(error):
    """The fields that BadRequest names."""
    for detail in error_details(error):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return [violation.field for violation in bad.field_violations]
    return []
