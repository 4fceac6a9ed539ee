"""The server of a campaign: a real process, started again however it ended, on a disk that others do things to."""
import json
import os
import pathlib
import subprocess
import time

import service
from plan import LEASE
from actors.receiver import SECRET, TIMEOUT
from service import capabilities_service_pb2, capabilities_service_pb2_grpc, grpc

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
RECORDER = service.BIN.parent / "tests/power_loss/liblikeness_write_recorder.so"

# What each tenant may have; None: as much as it likes.
TENANTS = {
    "default": {"pending": 15, "running": 3, "stored_bytes": None, "worker_seconds": None},
    "guest": {"pending": None, "running": None, "stored_bytes": None, "worker_seconds": None},
    "brief": {"pending": 5, "running": None, "stored_bytes": 400_000, "worker_seconds": 20},
}
NAMES_IN_FILE = {"pending": "max_pending_jobs", "running": "max_running_jobs", "stored_bytes": "max_stored_bytes",
                 "worker_seconds": "worker_seconds_per_day"}


def make_keys(auth_file):
    """Writes the file of keys and limits; the keys' secrets, by tenant, and that of "worker"."""
    keys = {tenant: service.new_key(auth_file, f"--tenant={tenant}", "--role=submit", "--role=admin") for tenant in TENANTS}
    keys["worker"] = service.new_key(auth_file, "--role=worker")
    limits = {tenant: {NAMES_IN_FILE[what]: most for what, most in has.items() if most is not None}
              for tenant, has in TENANTS.items()}
    auth_file.write_text(json.dumps(dict(json.loads(auth_file.read_text()), tenants=limits)))
    return keys


class Server:
    def __init__(self, program, directory, data, keys):
        self.program, self.directory, self.data, self.keys = program, directory, data, keys
        self.port, = service.free_ports(1)
        self.log = directory / "server.log"
        self.secrets = directory / "webhook-secrets"
        self.secrets.write_text(f"* {SECRET}\n")
        self.secrets.chmod(0o600)
        self.process = None
        self.environment = {}  # of the next start, beside our own

    def connect(self, tenant="default"):
        """A channel of the campaign's own."""
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        return service.with_metadata(channel, lambda: [("authorization", f"Bearer {self.keys[tenant]}")])

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, f"--listen=127.0.0.1:{self.port}", "--metrics-listen=", f"--data-dir={self.data}",
                 f"--auth-file={self.directory / 'auth.json'}", f"--lease-duration={LEASE}s", "--retry-delay=50ms",
                 "--executor-threads=16", f"--webhook-secrets={self.secrets}", "--webhook-allow=127.0.0.1",
                 f"--webhook-timeout={TIMEOUT}s", "--webhook-retry-delay=100ms",
                 # The clock is moved by days.
                 "--job-retention=inf", "--event-retention=inf", "--kept-jobs=100000000", "--kept-job-bytes=1000000000000",
                 "--priority-ageing=8760h", "--webhook-give-up-after=8760h",
                 "--collect-every=0", "--blob-grace=1m", "--checkpoint-grace=1m"],
                stdout=log, stderr=log, env={**os.environ, **self.environment})

    def answers(self):
        with self.connect() as channel:
            try:
                capabilities_service_pb2_grpc.CapabilitiesServiceStub(channel).GetCapabilities(
                    capabilities_service_pb2.GetCapabilitiesRequest(), timeout=1)
                return True
            except grpc.RpcError as error:
                # That what was asked for is damaged is an answer too.
                return error.code() == grpc.StatusCode.DATA_LOSS

    def serve(self, may_fail, meanwhile, seconds=60):
        """Starts the server, again and again as whatever supervises it would do, until it answers; how often that failed.
        `may_fail` says whether it has a reason to end by itself now; `meanwhile` is called again and again."""
        deadline = time.monotonic() + seconds
        failures = 0
        self.start()
        while not self.answers():
            if self.process.poll() is not None:
                if self.process.returncode > 0 and not may_fail():
                    raise AssertionError(f"the server ended with {self.process.returncode}: {self.log_end()}")
                failures += 1
                time.sleep(0.1)
                self.start()
            if time.monotonic() > deadline:
                raise AssertionError(f"the server does not answer: {self.log_end()}")
            meanwhile()
            time.sleep(0.01)
        return failures

    def log_end(self):
        return self.log.read_text(errors="replace")[-2000:]

    def has_ended(self):
        return self.process.poll() is not None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.process and not self.has_ended():
            self.kill()
