"""The stage of a campaign: one server, the actors, and what happens between the first fault and the last."""
import collections
import multiprocessing
import os
import pathlib
import sys
import tempfile
import time

import actors
import aftermath
import history
import network
import plan
import service
import stock
from actors import receiver
from server import TENANTS, Server, make_keys
from service import capabilities_service_pb2, capabilities_service_pb2_grpc, job_service_pb2, job_service_pb2_grpc
from troubles import Troubles

CLIENTS = ["default", "default", "default", "guest", "brief"]  # their tenants
UNFINISHED = "state = PENDING OR state = RUNNING OR state = CANCELLING"


class Stage:
    def __init__(self, arguments):
        self.seed, self.collecting, self.damaging = arguments.seed, arguments.collect, arguments.damage
        self.directory = pathlib.Path(arguments.keep or tempfile.mkdtemp(prefix="likeness-campaign-"))
        self.data = self.directory / "data"
        for folder in (self.directory / "histories", self.data):
            folder.mkdir(parents=True, exist_ok=True)
        self.history = history.History(self.directory / "histories/campaign.jsonl", "campaign")
        keys = make_keys(self.directory / "auth.json")
        for tenant, has in TENANTS.items():
            self.history.write("quota", tenant=tenant, **has)
        if self.collecting:
            self.history.write("collection")
        self.server = Server(arguments.server, self.directory, self.data, keys)
        self.receiver_port, = service.free_ports(1)
        self.settings = {"seed": self.seed, "histories": str(self.directory / "histories"), "pace": arguments.pace,
                         "keys": keys, "tenants": list(TENANTS), "receiver": self.receiver_port}
        self.workers, self.clients, self.helpers = {}, {}, []
        self._incarnations = collections.Counter()
        self._processes = multiprocessing.get_context("forkserver")
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
        self._processes.set_forkserver_preload(["actors", "actors.receiver"])
        self.troubles = Troubles(self, self.history, self.directory, self.data, self.seed, self.collecting)

    # --- Processes

    def _start(self, target, arguments, name=None):
        process = self._processes.Process(target=target, args=arguments, name=name)
        process.start()
        return process

    def _settings_of(self, kind):
        return {**self.settings, "stop": str(self.directory / f"stop-{kind}s")}

    def _name(self, kind, number):
        self._incarnations[kind, number] += 1
        return f"{kind[0]}{number}.{self._incarnations[kind, number] - 1}"

    def start_worker(self, number):
        cables = self.troubles.cables
        name = self._name("worker", number)
        address = f"{cables[number].address if cables else '127.0.0.1'}:{self.server.port}"
        arguments = (self._settings_of("worker"), name, address)
        self.workers[number] = self._start(actors.run, ("worker", arguments, cables[number].namespace if cables else None), name)

    def start_client(self, number, tenant):
        name = self._name("client", number)
        arguments = (self._settings_of("client"), name, f"127.0.0.1:{self.server.port}", tenant)
        self.clients[number] = self._start(actors.run, ("client", arguments), name)

    def serve(self):
        self.server.environment = self.troubles.environment()
        failed = self.server.serve(self.troubles.may_end_server, self.troubles.heal_what_is_due)
        self.troubles.counts["starts that failed on a full disk"] += failed
        self.history.write("served")

    def start(self):
        self.serve()
        self.helpers.append(self._start(receiver.run, (self._settings_of("receiver"), self.receiver_port)))
        if self.troubles.cables:
            addresses = [cable.address for cable in self.troubles.cables]
            self.helpers.append(self._start(network.relay, (addresses, self.server.port)))
        for number in range(plan.WORKERS):
            self.start_worker(number)
        with self.server.connect() as channel:
            capabilities = capabilities_service_pb2_grpc.CapabilitiesServiceStub(channel)
            service.wait_until(lambda: capabilities.GetCapabilities(
                capabilities_service_pb2.GetCapabilitiesRequest()).base_models, what="an offered model")
        for number, tenant in enumerate(CLIENTS):
            self.start_client(number, tenant)

    # --- From fault to fault

    def check_server(self):
        """Only we may end it, or a full disk."""
        if not self.server.has_ended():
            return
        if not self.troubles.may_end_server():
            raise AssertionError(f"the server ended by itself with {self.server.process.returncode}: {self.server.log_end()}")
        self.history.write("fault", kind="kill server", worker="", seconds=0)
        self.serve()

    def wait(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.troubles.heal_what_is_due()
            before = time.monotonic()
            time.sleep(min(left, 0.02))
            late = time.monotonic() - before - 0.02
            if late > 0.5:  # what others did late then is no wonder
                self.history.write("late", seconds=late)

    def run_to_the_end(self, kills, seconds):
        """What kept the campaign from its end: a server that ended by itself or does not answer, an actor that broke."""
        try:
            self.run(kills, seconds)
            return []
        except AssertionError as error:
            return [f"the campaign could not go on: {error}"]

    def run(self, kills, seconds):
        self.start()
        begun = said = time.monotonic()
        counts = self.troubles.counts
        for fault in plan.faults(self.seed):
            now = time.monotonic()
            if now - begun > seconds or (kills and min(counts["kill server"], counts["kill worker"]) >= kills):
                break
            if now - said > 60:
                said = now
                print(f"  {now - begun:.0f} s: {counts['kill server']} kills of the server, {counts['kill worker']} of workers",
                      flush=True)
            self.wait(fault.pause)
            self.check_server()
            self.troubles.suffer(fault)
        self.quiet()

    # --- The end

    def quiet(self):
        """All is made well again, the clients end, and the workers do what is left."""
        self.troubles.heal_what_is_due(everything=True)
        self.check_server()
        self._end("client", self.clients)
        for tenant, has in TENANTS.items():
            self._finish_jobs(tenant, has["worker_seconds"] is not None)
        self._end("worker", self.workers)
        (self.directory / "stop-receivers").touch()
        deadline = time.monotonic() + 60
        while stock.count_webhook_calls(self.data) and time.monotonic() < deadline:
            time.sleep(0.1)
        stock.take(self.data, self.history, self.entries(), self.server.connect, self.collecting)
        if self.damaging:
            self.server.kill()
            names = [entry["name"] for entry in self.entries() if entry["entry"] == "job"]
            aftermath.look(self.directory, self.data, self.server.program, self.server.keys, names, self.history, self.seed)

    def _end(self, kind, processes):
        (self.directory / f"stop-{kind}s").touch()
        for process in processes.values():
            process.join(60)
            if process.exitcode != 0:
                raise AssertionError(f"{process.name} ended with {process.exitcode}")

    def _finish_jobs(self, tenant, cancel):
        """`cancel`: workers may have no time left for what waits."""
        deadline = time.monotonic() + 60
        with self.server.connect(tenant) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            while time.monotonic() < deadline:
                left = jobs.ListJobs(job_service_pb2.ListJobsRequest(page_size=100, filter=UNFINISHED), timeout=10).jobs
                if not left:
                    return
                for job in left if cancel else []:
                    self.history.call("cancel", jobs.CancelJob, job_service_pb2.CancelJobRequest(name=job.name),
                                      {"name": job.name, "about": job.uid}, actors.base.job_facts)
                time.sleep(0.1)

    def entries(self):
        return history.read(sorted((self.directory / "histories").glob("*.jsonl")))

    def close(self):
        for process in [*self.workers.values(), *self.clients.values(), *self.helpers]:
            if process.is_alive():
                process.kill()  # SIGKILL, which ends what is stopped too
                process.join()
        self.server.close()
        self.troubles.close()
