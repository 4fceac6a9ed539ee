"""Programs of the frozen contract beside programs of today: a job runs through, whichever was upgraded first.

A frozen worker and a frozen client speak in messages that are made from proto/frozen.binpb (frozen.py). A frozen server is today's
behind a proxy that lets through what the frozen contract has: it drops the fields of workers' calls that a frozen server would not
have read, refuses requests of clients as such a server would, and has no methods of later. It also adds fields that nobody knows to
every message of the workers' protocol, and loses an answer of each of its calls.

LIKENESS_OLD_BIN=FOLDER: the programs in that folder, of the commit that froze the contract or a later one, beside today's, too.
"""
import os
import pathlib
import subprocess
import unittest
from concurrent import futures

import grpc

import frozen
import service
from service import State, job_pb2
from likeness.v1 import event_pb2, fine_tune_pb2, operator_service_pb2, operator_service_pb2_grpc

WORKERS = "/likeness.v1.WorkerService/"
WORKER_CALLS = {path.removeprefix(WORKERS) for path in frozen.METHODS if path.startswith(WORKERS)}
BIG = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_send_message_length", 64 << 20)]


class Proxy(grpc.GenericRpcHandler):
    """Hands calls on to a server. `frozen_server`: makes the server look like one of the frozen contract."""

    def __init__(self, address, frozen_server):
        self.frozen_server = frozen_server
        self.changed = set()  # calls of workers whose messages were changed, both ways
        self.lost = set()     # calls of workers of which one answer was lost
        self.channel = grpc.insecure_channel(address, options=BIG)
        self.server = grpc.server(futures.ThreadPoolExecutor(24), options=BIG)
        self.server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def close(self):
        self.server.stop(None).wait()
        self.channel.close()

    def service(self, call):
        path = call.method
        method = frozen.METHODS.get(path)
        metadata = [(key, value) for key, value in call.invocation_metadata if not key.startswith(("grpc-", "user-agent"))]
        if path.startswith(WORKERS) and method:
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: self.for_worker(path, method, metadata, request, context))
        if method is None and self.frozen_server:
            return None
        return grpc.stream_stream_rpc_method_handler(
            lambda requests, context: self.for_client(path, method, metadata, requests, context))

    def trimmed(self, message):
        if self.frozen_server:
            message.DiscardUnknownFields()
        return message

    def for_worker(self, path, method, metadata, request, context):
        name = method.name
        asked = frozen.add_unknown(self.trimmed(frozen.request_class(method).FromString(request)))
        try:
            answer = self.channel.unary_unary(path)(asked.SerializeToString(), metadata=metadata, timeout=60)
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata() or ())
            context.abort(error.code(), error.details())
        self.changed.add(name)
        reply = self.trimmed(frozen.response_class(method).FromString(answer))
        worth_losing = name != "AcquireLease" or reply.HasField("lease")
        if worth_losing and name not in self.lost:
            self.lost.add(name)
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return frozen.add_unknown(reply).SerializeToString()

    def for_client(self, path, method, metadata, requests, context):
        judged = self.frozen_server and path in frozen.LIKENESS

        def checked():
            for request in requests:
                if judged and frozen.goes_beyond(frozen.request_class(method).FromString(request)):
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"UNKNOWN_FIELDS: {path}")
                yield request

        request = None if not judged else next(checked())
        try:
            for answer in self.channel.stream_stream(path)(requests if request is None else iter([request]), metadata=metadata):
                if judged:
                    answer = self.trimmed(frozen.response_class(method).FromString(answer)).SerializeToString()
                yield answer
        except grpc.RpcError as error:
            context.set_trailing_metadata(error.trailing_metadata() or ())
            context.abort(error.code(), error.details())


class UpgradeTest(unittest.TestCase):
    def start_server(self, **options):
        self.service = service.Service(**options)
        self.addCleanup(self.service.close)
        self.photos = self.service.directory / "photos"
        service.draw_photos(self.photos)

    def start_proxy(self, frozen_server):
        self.proxy = Proxy(self.service.address, frozen_server)
        self.addCleanup(self.proxy.close)

    def wait_for_change(self, events, reason):
        """The job's state after the next change of its state for this reason."""
        for event in events:
            if event.state_change.reason == event_pb2.StateChangeReason.Value(f"STATE_CHANGE_REASON_{reason}"):
                return event.state_change.to
        self.fail(f"the job ended without {reason}")


class FrozenWorkerAndClient(UpgradeTest):
    """Today's server, and all around it as of the frozen contract."""

    def setUp(self):
        self.start_server()
        self.worker = frozen.Worker(self.service.address)
        self.addCleanup(self.worker.close)
        self.service.wait_for_models()

    def call(self, path, name, /, **fields):
        try:
            answer = frozen.stub(self.service.channel, path)(frozen.message(name, **fields), timeout=30)
            return list(answer) if isinstance(answer, grpc.Call) else answer
        except grpc.RpcError as error:
            self.fail(f"{path}: {error.code().name} {error.details()}; the worker: {self.worker.failure}")

    def create(self, **job):
        return self.call("JobService/CreateJob", "CreateJobRequest", job=job)

    def tune(self, **more):
        photos = [{"inline": file.read_bytes()} for file in sorted(self.photos.glob("*.png"))]
        return self.create(fine_tune={"dreambooth": {}, "base_model": "baseModels/tiny",
                                      "subjects": [{"class_noun": "dog", "photos": photos}]}, **more)

    def state_of(self, name, timeout=20):
        return self.call("JobService/WaitJob", "WaitJobRequest", name=name, timeout={"seconds": timeout}).state

    def test_a_job_runs_through(self):
        job = self.tune(labels={"project": "zoo"})
        events = self.call("JobService/WatchJob", "WatchJobRequest", name=job.name)
        kinds = [event.WhichOneof("event") for event in events]
        self.assertEqual(kinds[0], "snapshot")
        self.assertLessEqual({"state_change", "checkpoint", "log"}, set(kinds))
        made = self.call("JobService/GetJob", "GetJobRequest", name=job.name)
        self.assertEqual(made.state, frozen.value("JobState.JOB_STATE_SUCCEEDED"), made)
        model = self.call("ModelService/GetModel", "GetModelRequest", name=made.output_model)
        self.assertEqual([file.path for file in model.files], ["card.json"])
        self.assertEqual(self.service.read_blob(model.files[0].blob), b"output of " + made.uid.encode())
        drawn = self.call("JobService/GenerateImages", "GenerateImagesRequest",
                          generate={"model": {"name": made.output_model}, "prompts": ["a {subject}"]})
        self.assertEqual(drawn[-1].job.state, frozen.value("JobState.JOB_STATE_SUCCEEDED"), drawn[-1])
        self.assertEqual([job.name for job in self.call("JobService/ListJobs", "ListJobsRequest", filter="labels.project = zoo").jobs],
                         [job.name])

    def test_a_job_fails_is_retried_and_deleted(self):
        job = self.create(generate={"model": {"name": "baseModels/tiny"}, "prompts": ["a dog"]}, labels={"fails": "yes"})
        for _ in range(2):
            self.assertEqual(self.state_of(job.name), frozen.value("JobState.JOB_STATE_FAILED"))
            self.call("JobService/RetryJob", "RetryJobRequest", name=job.name)
        self.assertEqual(self.state_of(job.name), frozen.value("JobState.JOB_STATE_FAILED"))
        self.call("JobService/DeleteJob", "DeleteJobRequest", name=job.name)

    def test_a_drained_worker_gives_its_job_back_and_another_goes_on_from_the_checkpoint(self):
        self.worker.hold.set()
        job = self.tune()
        service.wait_until(lambda: self.service.get(job.name).progress.done >= 2, what="a checkpoint")
        operator_service_pb2_grpc.OperatorServiceStub(self.service.channel).DrainWorker(
            operator_service_pb2.DrainWorkerRequest(name="workers/frozen"))
        self.worker.yields.set()
        service.wait_until(lambda: self.worker.released == [job.name], what="the release")
        other = frozen.Worker(self.service.address, "other")
        self.addCleanup(other.close)
        self.assertEqual(self.state_of(job.name), frozen.value("JobState.JOB_STATE_SUCCEEDED"))
        service.wait_until(lambda: other.jobs == [job.name], what="the answer to the worker")

    def test_a_job_with_later_settings_waits_for_a_worker_that_knows_them(self):
        later = service.fine_tune_job([next(self.photos.glob("*.png")).read_bytes()])
        later.fine_tune.training.optimizer = fine_tune_pb2.OPTIMIZER_ADAMW
        later = self.service.create(later)
        self.assertTrue(any("a worker of a newer version" in warning for warning in later.warnings), later.warnings)
        job = self.tune()
        self.assertEqual(self.state_of(job.name), frozen.value("JobState.JOB_STATE_SUCCEEDED"), "though it came later")
        service.wait_until(lambda: self.worker.jobs == [job.name], what="the answer to the worker")
        self.service.start_worker("today", flags=["--rehearse", "--rehearse-models=tiny"],
                                  models=self.service.directory / "none")
        self.assertEqual(self.service.wait(later.name).state, State.JOB_STATE_SUCCEEDED)
        service.wait_until(lambda: self.worker.jobs == [job.name], what="the answer to the worker")

    def test_a_job_is_cancelled(self):
        self.worker.hold.set()
        job = self.tune()
        service.wait_until(lambda: self.service.get(job.name).progress.done >= 1, what="progress")
        self.call("JobService/CancelJob", "CancelJobRequest", name=job.name)
        self.assertEqual(self.state_of(job.name), frozen.value("JobState.JOB_STATE_CANCELLED"))
        # The job is cancelled before the worker has its answer.
        service.wait_until(lambda: self.worker.released == [job.name], what="the release of the job")

    def test_every_call_is_still_there(self):
        for path, method in frozen.LIKENESS.items():
            call = self.service.channel.stream_stream(path)
            try:
                list(call(iter([frozen.request_class(method)().SerializeToString()]), timeout=5))
            except grpc.RpcError as error:
                self.assertNotEqual(error.code(), grpc.StatusCode.UNIMPLEMENTED, path)


class Programs(UpgradeTest):
    """Today's programs or older ones, with a proxy between server and the others."""

    def run_client(self, *arguments, bin=service.BIN):
        environment = dict(os.environ, LIKENESS_SERVER=self.proxy.address)
        done = subprocess.run([bin / "likeness", *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=100)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def check_main_job(self, bin):
        """By the command line in `bin`."""
        out = self.service.directory / "out"
        self.run_client("train", "--class=dog", f"--photos={self.photos}", "--steps=4", "--name=rex", "--wait", f"--out={out}",
                        "--prompt=a {subject} in the snow", bin=bin)
        self.assertTrue((out / "contact-sheet.png").exists(), list(out.rglob("*")))
        made = self.service.get("tenants/default/jobs/rex")
        self.assertEqual(made.attempt, 1, "an answer that is lost costs no attempt")
        self.assertNotIn(frozen.UNKNOWN, made.SerializeToString(), "what is unknown is not kept")
        self.run_client("generate", "--model=rex", "a {subject}", "--images=2", f"--out={out}/more", bin=bin)
        self.assertEqual(len(list((out / "more").rglob("*.png"))), 2)
        for command in ("list", "get rex", "watch rex", "models", "download rex"):
            self.run_client(*command.split(), *([f"--out={out}/again"] if command.startswith("download") else []), bin=bin)

    def check_failure(self):
        bad = service.fine_tune_job([next(self.photos.glob("*.png")).read_bytes()])
        bad.fine_tune.subjects[0].token, bad.fine_tune.subjects[0].require_single_token = "qqq", True
        self.assertEqual(self.service.wait(self.service.create(bad).name).state, State.JOB_STATE_FAILED)

    def check_releases(self, worker, bin):
        """A job that would go on for long is given back by a worker that stops, and by another one that is told of its end."""
        job = self.service.create(service.fine_tune_job([next(self.photos.glob("*.png")).read_bytes()], steps=20000))
        self.service.wait_for_phase(job.name, "TRAINING", done=3)
        events = self.service.watch(job.name)
        self.assertTrue(next(events).HasField("snapshot"))
        worker.terminate()
        self.assertEqual(self.wait_for_change(events, "PREEMPTED"), State.JOB_STATE_PENDING)
        self.service.start_worker("another", server=self.proxy.address, bin=bin)
        self.assertEqual(self.wait_for_change(events, "LEASED"), State.JOB_STATE_RUNNING)
        self.run_client("cancel", job.name, bin=bin)
        self.assertEqual(self.service.wait(job.name).state, State.JOB_STATE_CANCELLED)


class FrozenServer(Programs):
    def test_a_job_runs_through_with_the_worker_and_the_client_of_today(self):
        self.start_server()
        self.start_proxy(frozen_server=True)
        worker = self.service.start_worker(server=self.proxy.address)
        self.service.wait_for_models()
        self.check_main_job(service.BIN)
        self.check_failure()
        self.check_releases(worker, service.BIN)
        self.assertEqual(self.proxy.changed, WORKER_CALLS)
        self.assertEqual(self.proxy.lost, WORKER_CALLS)

    def test_it_has_what_the_frozen_contract_has_alone(self):
        self.start_server()
        self.start_proxy(frozen_server=True)
        with grpc.insecure_channel(self.proxy.address) as channel:
            jobs = service.job_service_pb2_grpc.JobServiceStub(channel)
            known = service.generate_job(["a dog"], "baseModels/tiny")
            later = service.generate_job(["a dog"], "baseModels/tiny")
            later.generate.clip_skip = 1
            with self.assertRaises(grpc.RpcError) as refused:
                jobs.CreateJob(service.job_service_pb2.CreateJobRequest(job=later))
            self.assertEqual(refused.exception.details(), "UNKNOWN_FIELDS: /likeness.v1.JobService/CreateJob")
            with self.assertRaises(grpc.RpcError) as refused:
                jobs.CreateJob(service.job_service_pb2.CreateJobRequest(job=known))
            self.assertEqual(refused.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)  # no base models are offered yet


@unittest.skipUnless(os.environ.get("LIKENESS_OLD_BIN"), "LIKENESS_OLD_BIN names no folder of older programs")
class OldPrograms(Programs):
    OLD = pathlib.Path(os.environ.get("LIKENESS_OLD_BIN", "."))

    def check(self, bin):
        """Worker and client in `bin`."""
        self.start_proxy(frozen_server=False)
        worker = self.service.start_worker(server=self.proxy.address, bin=bin)
        self.service.wait_for_models()
        self.check_main_job(bin)
        self.check_failure()
        self.check_releases(worker, bin)
        self.assertEqual(self.proxy.changed, WORKER_CALLS)

    def test_old_worker_and_client_with_the_server_of_today(self):
        self.start_server()
        self.check(self.OLD)

    def test_worker_and_client_of_today_with_the_old_server(self):
        self.start_server(bin=self.OLD)
        self.check(service.BIN)


if __name__ == "__main__":
    unittest.main()
