"""Random work under random faults, and a check of every promise afterwards.

Clients and workers in processes of their own make real calls to a real likeness-server, while processes are killed and
stopped, workers are cut off from the network, the disk is filled and the clock is moved. Everything that was asked and
answered is written down; checker.py holds it against what the server kept. The faults are a function of the seed.

    tests/faults/campaign.py --kills 1000 --seed 7      1,000 kills of the server and 1,000 of workers
    tests/faults/campaign.py --seconds 30               as many faults as fall into so much time
    tests/faults/campaign.py --seconds 30 --collect     while blobs that no job names are removed
"""
import argparse
import collections
import heapq
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "e2e")]
import actors  # noqa: E402
import checker  # noqa: E402
import history  # noqa: E402
import network  # noqa: E402
import service  # noqa: E402
from service import bytestream_pb2, bytestream_pb2_grpc, grpc, job_pb2, job_service_pb2, job_service_pb2_grpc  # noqa: E402
from likeness.v1 import (capabilities_service_pb2, capabilities_service_pb2_grpc, event_pb2)  # noqa: E402

LEASE = 0.8
WORKERS, CLIENTS = 4, 3
MOST_PENDING, MOST_RUNNING = 15, 3  # of the clients' one tenant
DISK_BYTES = 400 << 20
FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")

Fault = collections.namedtuple("Fault", "pause kind target seconds amount")


def plan(seed):
    """The faults, without end: a function of the seed alone."""
    rng = random.Random(f"faults {seed}")
    weights = {"kill server": 33, "kill worker": 33, "stop worker": 12, "stop server": 3, "cut worker": 10, "fill disk": 4,
               "move clock": 5, "collect": 10}
    while True:
        kind = rng.choices(list(weights), list(weights.values()))[0]
        # Most steps of a clock are small; some are an hour or a day, there and back.
        amount = rng.choice([-3, 3, -2, 2, -10, 10, 3600, -3600, 86400]) if kind == "move clock" else 0
        yield Fault(rng.uniform(0.05, 0.7), kind, rng.randrange(WORKERS), rng.uniform(0.5, 4) * LEASE, amount)


class Campaign:
    def __init__(self, arguments):
        self.seed = arguments.seed
        self.program = arguments.server
        self.directory = pathlib.Path(arguments.keep or tempfile.mkdtemp(prefix="likeness-campaign-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        for folder in ("histories", "data"):
            (self.directory / folder).mkdir(exist_ok=True)
        self.data = self.directory / "data"
        self.history = history.History(self.directory / "histories/campaign.jsonl", "campaign")
        self.port, = service.free_ports(1)
        self.settings = {"seed": self.seed, "histories": str(self.directory / "histories"), "pace": arguments.pace,
                         "stop": "", "keys": self.make_keys()}
        self.history.write("quota", pending=MOST_PENDING, running=MOST_RUNNING)
        self.counts = collections.Counter()
        self.recoveries = []  # seconds from the server's kill to its first answer
        self.heals = []  # (when, number, what to do)
        self.skipped = []
        self.collecting = arguments.collect
        if self.collecting:
            self.history.write("collection")
        else:
            self.skipped.append("collect")
        self.disk_full = False
        self.server = None
        self.workers, self.clients, self.incarnations = {}, {}, collections.Counter()
        self.processes = multiprocessing.get_context("forkserver")
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
        self.processes.set_forkserver_preload(["actors"])
        self.mount_disk()
        self.cables, reason = network.lay_cables(WORKERS)
        if not self.cables:
            self.skip("cut worker", f"there are no network namespaces: {reason}")
        if not FAKETIME.exists():
            self.skip("move clock", "libfaketime is not installed (scripts/setup --tests)")
        if self.collecting:
            self.skip("move clock", "within a day nothing may be collected, and the clock is moved by days")
        self.clock = 0
        self.set_clock(0)

    def make_keys(self):
        self.auth = self.directory / "auth.json"
        keys = {"Client": service.new_key(self.auth, "--tenant=default", "--role=submit", "--role=admin"),
                "Worker": service.new_key(self.auth, "--role=worker")}
        limits = {"max_pending_jobs": MOST_PENDING, "max_running_jobs": MOST_RUNNING}
        self.auth.write_text(json.dumps(dict(json.loads(self.auth.read_text()), tenants={"*": limits})))
        return keys

    def connect(self):
        """A channel of the campaign's own."""
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", options=[("grpc.use_local_subchannel_pool", 1)])
        return service.with_metadata(channel, lambda: [("authorization", f"Bearer {self.settings['keys']['Client']}")])

    def skip(self, kind, reason):
        self.skipped.append(kind)
        print(f"SKIPPED: {kind}: {reason}", flush=True)

    def mount_disk(self):
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", self.data],
                                      capture_output=True).returncode == 0
        if not self.mounted:
            self.skip("fill disk", "a small file system cannot be mounted")

    # --- Processes

    def start_server(self):
        environment = dict(os.environ)
        if FAKETIME.exists():
            environment.update(LD_PRELOAD=str(FAKETIME), FAKETIME_TIMESTAMP_FILE=str(self.directory / "clock"),
                               FAKETIME_CACHE_DURATION="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
        with open(self.directory / "server.log", "ab") as log:
            self.server = subprocess.Popen(
                [self.program, f"--listen=127.0.0.1:{self.port}", "--metrics-listen=", f"--data-dir={self.data}",
                 f"--auth-file={self.auth}", f"--lease-duration={LEASE}s", "--retry-delay=50ms", "--executor-threads=16",
                 # The clock is moved by days.
                 "--job-retention=inf", "--event-retention=inf", "--kept-jobs=100000000", "--kept-job-bytes=1000000000000",
                 "--collect-every=0", "--blob-grace=1m", "--checkpoint-grace=1m"],
                stdout=log, stderr=log, env=environment)

    def answers(self):
        with self.connect() as channel:
            try:
                capabilities_service_pb2_grpc.CapabilitiesServiceStub(channel).GetCapabilities(
                    capabilities_service_pb2.GetCapabilitiesRequest(), timeout=1)
                return True
            except grpc.RpcError:
                return False

    def serve(self, seconds=60):
        """Starts the server, again and again as whatever supervises it would do, until it answers."""
        deadline = time.monotonic() + seconds
        self.start_server()
        while not self.answers():
            if self.server.poll() is not None:
                if self.server.returncode > 0 and not self.disk_full:
                    raise AssertionError(f"the server ended with {self.server.returncode}: {self.log_end()}")
                self.counts["starts that failed on a full disk"] += 1
                time.sleep(0.1)
                self.start_server()
            if time.monotonic() > deadline:
                raise AssertionError(f"the server does not answer: {self.log_end()}")
            self.heal_what_is_due()
            time.sleep(0.01)

    def log_end(self):
        return (self.directory / "server.log").read_text(errors="replace")[-2000:]

    def check_server(self):
        """Only we may end it."""
        if self.server.poll() is not None:
            raise AssertionError(f"the server ended by itself with {self.server.returncode}: {self.log_end()}")

    def start_actor(self, kind, number):
        name = f"{kind[0]}{number}.{self.incarnations[kind, number]}"
        self.incarnations[kind, number] += 1
        cable = self.cables[number] if kind == "worker" and self.cables else None
        address = f"{cable.address if cable else '127.0.0.1'}:{self.port}"
        process = self.processes.Process(
            target=actors.run, args=(kind, self.settings, name, address, cable and cable.namespace), name=name)
        process.start()
        return process

    def start(self):
        self.serve()
        if self.cables:
            self.relay = self.processes.Process(target=network.relay, args=([c.address for c in self.cables], self.port))
            self.relay.start()
        self.settings["stop"] = str(self.directory / "stop-workers")
        for number in range(WORKERS):
            self.workers[number] = self.start_actor("worker", number)
        with self.connect() as channel:
            capabilities = capabilities_service_pb2_grpc.CapabilitiesServiceStub(channel)
            service.wait_until(lambda: capabilities.GetCapabilities(
                capabilities_service_pb2.GetCapabilitiesRequest()).base_models, what="an offered model")
        self.worker_settings = self.settings
        self.settings = dict(self.settings, stop=str(self.directory / "stop-clients"))
        for number in range(CLIENTS):
            self.clients[number] = self.start_actor("client", number)
        self.settings = self.worker_settings

    # --- Faults

    def heal_in(self, seconds, action):
        heapq.heappush(self.heals, (time.monotonic() + seconds, self.counts["heals"], action))
        self.counts["heals"] += 1

    def heal_what_is_due(self, everything=False):
        while self.heals and (everything or self.heals[0][0] <= time.monotonic()):
            heapq.heappop(self.heals)[2]()

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.heal_what_is_due()
            time.sleep(min(left, 0.02))

    def suffer(self, fault):
        if fault.kind in self.skipped:
            return
        self.check_server()
        self.counts[fault.kind] += 1
        self.history.write("fault", kind=fault.kind, worker=self.workers[fault.target].name, seconds=fault.seconds,
                           amount=fault.amount)
        getattr(self, fault.kind.replace(" ", "_"))(fault)

    def kill_server(self, _):
        full = self.disk_full
        begun = time.monotonic()
        self.server.kill()
        self.server.wait()
        self.serve()
        if not full and not self.disk_full:
            self.recoveries.append(time.monotonic() - begun)

    def kill_worker(self, fault):
        process = self.workers[fault.target]
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        self.workers[fault.target] = self.start_actor("worker", fault.target)

    def stop_worker(self, fault):
        pid = self.workers[fault.target].pid
        os.kill(pid, signal.SIGSTOP)
        self.heal_in(fault.seconds, lambda: self.go_on(fault.target, pid))

    def go_on(self, number, pid):
        if self.workers[number].pid == pid:  # it may have been killed meanwhile
            os.kill(pid, signal.SIGCONT)

    def stop_server(self, fault):
        self.server.send_signal(signal.SIGSTOP)
        self.wait(fault.seconds)
        self.server.send_signal(signal.SIGCONT)

    def cut_worker(self, fault):
        self.cables[fault.target].cut()
        self.heal_in(fault.seconds, self.cables[fault.target].mend)

    def collect(self, _):
        self.server.send_signal(signal.SIGUSR1)

    def fill_disk(self, fault):
        """The file system becomes as small as what lies in it."""
        if self.disk_full:
            return
        self.disk_full = True
        for _ in range(20):  # it grows while we look
            status = os.statvfs(self.data)
            used = (status.f_blocks - status.f_bfree) * status.f_frsize
            if self.resize_disk(max(used, 1)):
                break
        self.heal_in(fault.seconds / 2, self.empty_disk)

    def empty_disk(self):
        self.resize_disk(DISK_BYTES)
        self.disk_full = False

    def resize_disk(self, size):
        return subprocess.run(["mount", "-o", f"remount,size={size}", self.data], capture_output=True).returncode == 0

    def move_clock(self, fault):
        self.set_clock(self.clock + fault.amount if abs(self.clock + fault.amount) < 200000 else 0)

    def set_clock(self, offset):
        self.clock = offset
        new = self.directory / "clock.new"
        new.write_text(f"{offset:+}\n")
        new.rename(self.directory / "clock")

    # --- The whole

    def run(self, kills, seconds):
        self.start()
        begun = time.monotonic()
        for fault in plan(self.seed):
            over = time.monotonic() - begun > seconds
            if over or (kills and min(self.counts["kill server"], self.counts["kill worker"]) >= kills):
                break
            self.wait(fault.pause)
            self.suffer(fault)
        self.quiet()

    def quiet(self):
        """All is made well again, the clients end, and the workers do what is left."""
        self.heal_what_is_due(everything=True)
        self.check_server()
        (self.directory / "stop-clients").touch()
        for process in self.clients.values():
            process.join(60)
            if process.exitcode != 0:
                raise AssertionError(f"{process.name} ended with {process.exitcode}")
        with self.connect() as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            request = job_service_pb2.ListJobsRequest(
                page_size=1, filter="state = PENDING OR state = RUNNING OR state = CANCELLING")
            deadline = time.monotonic() + 60
            while jobs.ListJobs(request, timeout=10).jobs and time.monotonic() < deadline:
                time.sleep(0.1)
        (self.directory / "stop-workers").touch()
        for process in self.workers.values():
            process.join(30)
            if process.exitcode != 0:
                raise AssertionError(f"{process.name} ended with {process.exitcode}")
        self.take_stock()

    def take_stock(self):
        """Writes down what is there: jobs and events as the database has them, blobs as ByteStream reads them."""
        wanted = set() if self.collecting else {
            entry["blob"] for entry in self.entries()
            if entry["entry"] == "reply" and entry["op"] == "upload" and entry["result"] == "ok"}
        database = sqlite3.connect(f"file:{self.data}/jobs.sqlite?mode=ro", uri=True)
        uids = {}
        for key, stored in database.execute("SELECT key, job FROM jobs"):
            job = job_pb2.Job.FromString(stored)
            uids[key] = job.uid
            outputs = [output.blob for output in job.outputs]
            photos = [photo.blob for photo in job.fine_tune.subject.photos]
            wanted.update(outputs + photos)
            self.history.write("job", **actors.job_facts(job), operation=job.labels.get("operation", ""), outputs=outputs,
                               photos=photos)
        for key, stored in database.execute("SELECT job, event FROM events"):
            event = event_pb2.JobEvent.FromString(stored)
            self.history.write("stored", uid=uids[key], committed=event.time.ToMicroseconds(), **actors.event_facts(event))
        database.close()
        with self.connect() as channel:
            bytes_of = bytestream_pb2_grpc.ByteStreamStub(channel)
            for blob in sorted(wanted):
                try:
                    parts = bytes_of.Read(bytestream_pb2.ReadRequest(resource_name=blob), timeout=10)
                    found = actors.digest(b"".join(part.data for part in parts))
                except grpc.RpcError as error:
                    if service.error_reason(error) != "BLOB_NOT_FOUND":
                        raise
                    found = ""
                self.history.write("blob", blob=blob, digest=found)

    def entries(self):
        return history.read(sorted((self.directory / "histories").glob("*.jsonl")))

    def close(self):
        self.heals.clear()
        processes = list(self.workers.values()) + list(self.clients.values())
        for process in processes + [getattr(self, "relay", None)]:
            if process and process.is_alive():
                process.kill()  # SIGKILL, which ends what is stopped too
                process.join()
        if self.server and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        for cable in self.cables:
            cable.close()
        if self.mounted:
            subprocess.run(["umount", "-l", self.data], check=False)


def recoveries_of_jobs(entries):
    """Seconds from the kill of a worker that held a lease to the next lease of the same job."""
    held, waiting, seconds = {}, {}, []
    for entry in entries:
        if entry["entry"] == "reply" and entry["op"] == "acquire" and entry.get("leased"):
            if entry["uid"] in waiting:
                seconds.append(entry["at"] - waiting.pop(entry["uid"]))
            held[entry["process"]] = entry["uid"]
        elif entry["entry"] == "reply" and entry["op"] in ("complete", "fail", "release") and entry["result"] != "unknown":
            held.pop(entry["process"], None)
        elif entry["entry"] == "fault" and entry["kind"] == "kill worker" and entry["worker"] in held:
            waiting[held.pop(entry["worker"])] = entry["at"]
    return seconds


def percentiles(seconds):
    if not seconds:
        return "none measured"
    ordered = sorted(seconds)
    at = lambda share: ordered[min(len(ordered) - 1, int(len(ordered) * share))]  # noqa: E731
    return f"p50 {at(0.5):.2f} s, p99 {at(0.99):.2f} s (of {len(ordered)})"


def report(campaign, entries, violations, seconds):
    calls = collections.Counter((entry["op"], entry["result"]) for entry in entries if entry["entry"] == "reply")
    for op in sorted({op for op, _ in calls}):
        print(f"  {op}: " + ", ".join(f"{calls[op, result]} {result}" for result in ("ok", "refused", "unknown")))
    states = collections.Counter(entry["state"] for entry in entries if entry["entry"] == "job")
    print("  jobs at the end: " + ", ".join(f"{count} {state[10:].lower()}" for state, count in sorted(states.items())))
    print(f"  events watched: {sum(entry['entry'] == 'event' for entry in entries)}")
    faults = {kind: count for kind, count in sorted(campaign.counts.items()) if kind != "heals"}
    print("  faults: " + ", ".join(f"{count} {kind}" for kind, count in faults.items()))
    print(f"  server, from its kill to its first answer: {percentiles(campaign.recoveries)}")
    print(f"  job, from its worker's kill to its next lease: {percentiles(recoveries_of_jobs(entries))}")
    print(f"  {seconds:.0f} s, seed {campaign.seed}, {len(violations)} violations")
    for violation in violations[:50]:
        print(f"VIOLATION: {violation}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=0, help="end after so many kills of the server and as many of workers")
    parser.add_argument("--seconds", type=float, default=0, help="end after so much time")
    parser.add_argument("--server", default=service.BIN / "likeness-server", help="the program [that of the build folder]")
    parser.add_argument("--pace", type=float, default=1, help="stretches the actors' pauses, for a busy machine")
    parser.add_argument("--collect", action="store_true",
                        help="the server removes blobs that no job names after a minute; the clock stays as it is")
    parser.add_argument("--keep", help="a folder for histories and logs, which then stays")
    parser.add_argument("--until-violation", action="store_true",
                        help="run again and again, with the next seeds, until promises were broken; fails if none was in --seconds")
    arguments = parser.parse_args()
    if not arguments.kills and not arguments.seconds:
        arguments.seconds = 30
    sys.exit(until_violation(arguments) if arguments.until_violation else bool(once(arguments)))


def once(arguments):
    begun = time.monotonic()
    campaign = Campaign(arguments)
    ended = False
    try:
        campaign.run(arguments.kills, arguments.seconds or float("inf"))
        entries = campaign.entries()
        violations = checker.check(entries)
        report(campaign, entries, violations, time.monotonic() - begun)
        ended = not violations
    finally:
        campaign.close()
        if ended and not arguments.keep:
            shutil.rmtree(campaign.directory)
        else:
            print(f"  histories and logs: {campaign.directory}", flush=True)
    return violations


def until_violation(arguments):
    """For servers with a planted bug."""
    begun = time.monotonic()
    limit = arguments.seconds
    arguments.seconds = min(limit, 20)
    while time.monotonic() - begun < limit:
        if once(arguments):
            print(f"caught after {time.monotonic() - begun:.0f} s")
            return 0
        arguments.seed += 1
    print(f"NOT caught within {limit:.0f} s")
    return 1


if __name__ == "__main__":
    main()
