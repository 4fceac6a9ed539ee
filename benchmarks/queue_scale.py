#!/usr/bin/env python3
"""How long a lease takes when the queue is long and the history longer.

    benchmarks/queue_scale.py --ended 1000000 --pending 100000 --tenants 100

Fills a fresh store through SQL, starts likeness-server on it, and calls it one call at a time: AcquireLease and CompleteLease by
turns, AcquireLease of a worker that can run nothing, CreateJob, GetJob of a waiting job. Prints milliseconds.
"""
import argparse
import contextlib
import pathlib
import random
import sqlite3
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/e2e"))
import service  # noqa: E402

import grpc  # noqa: E402
from google.protobuf import duration_pb2  # noqa: E402
from likeness.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc  # noqa: E402
from likeness.v1 import worker_service_pb2, worker_service_pb2_grpc  # noqa: E402

INSERT = """INSERT INTO jobs (tenant, id, state, method, model, samplers, base_digest, create_time, not_before, lease_token,
  lease_expire, worker, failures, last_seq, version, job, end_time, priority, queue_time, compacted_seq, base_model)
  VALUES (?, ?, ?, 'generate', ?, 'ddim', '', ?, 0, '', 0, '', 0, 3, 1, ?, ?, ?, ?, ?, ?)"""


def fill(path, options):
    draw = random.Random(1)
    now = int(time.time() * 1e6)
    database = sqlite3.connect(path)
    database.execute("PRAGMA synchronous = OFF")

    def row(number, pending):
        tenant = f"t{draw.randrange(options.tenants)}" if number % 2 else "t0"  # half of all belong to one
        identity = f"j{number}"
        model = f"tenants/{tenant}/models/m{draw.randrange(50)}" if draw.random() < 0.5 else "models/base"
        priority = draw.choice([1, 3, 3, 3, 5])
        age = draw.randrange(12 * 3600 * 10**6)
        job = job_pb2.Job(name=f"tenants/{tenant}/jobs/{identity}", uid=identity, max_attempts=3, priority=priority,
                          state=job_pb2.JOB_STATE_PENDING if pending else job_pb2.JOB_STATE_SUCCEEDED)
        job.generate.model.name = model
        job.generate.prompts.append("a dog in the snow, " + "and more of it, " * 20)
        return (tenant, identity, 1 if pending else 4, model, now - age, job.SerializeToString(),
                2**63 - 1 if pending else now - age // 2, priority, now - age, 0 if pending else 2,
                model if model.startswith("models/") else "")

    with database:
        database.executemany(INSERT, (row(i, False) for i in range(options.ended)))
        database.executemany(INSERT, (row(options.ended + i, True) for i in range(options.pending)))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


@contextlib.contextmanager
def server(folder):
    """A channel to a server on the folder's store; it is stopped afterwards."""
    port, = service.free_ports(1)
    process = service.Process(f"server-{port}", folder, [service.BIN / "likeness-server", f"--listen=127.0.0.1:{port}",
                                                 "--metrics-listen=", f"--data-dir={folder / 'data'}"])
    try:
        process.wait_for_log("serving", seconds=120)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
        process.terminate()
    finally:
        process.close()


def timed(name, calls, call):
    taken = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    taken.sort()
    print(f"{name:34} median {statistics.median(taken):8.2f}   95 % {taken[int(0.95 * len(taken))]:8.2f}   "
          f"worst {taken[-1]:8.2f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ended", type=int, default=1_000_000)
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="likeness-queue-") as name:
        folder = pathlib.Path(name)
        with server(folder):
            pass
        start = time.perf_counter()
        fill(folder / "data/jobs.sqlite", options)
        print(f"filled in {time.perf_counter() - start:.0f} s: {options.ended} ended, {options.pending} pending, "
              f"{options.tenants} tenants")
        with server(folder) as channel:
            measure(channel, options)


def measure(channel, options):
    workers = worker_service_pb2_grpc.WorkerServiceStub(channel)
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    offer = worker_service_pb2.AcquireLeaseRequest(worker="w", methods=["generate"], samplers=["ddim"],
                                                   wait=duration_pb2.Duration(seconds=0))
    offer.base_models.add(name="models/base", digest="d")
    other = worker_service_pb2.AcquireLeaseRequest(worker="x", methods=["dreambooth"], base_models=offer.base_models)

    def lease():
        token = workers.AcquireLease(offer).lease.lease_token
        assert token
        workers.CompleteLease(worker_service_pb2.CompleteLeaseRequest(lease_token=token))

    def create():
        request = job_service_pb2.CreateJobRequest(parent="tenants/default")
        request.job.generate.prompts.append("a dog")
        created.append(jobs.CreateJob(request).name)

    created = []
    timed("lease and complete", options.calls, lease)
    offer.resident_models.append("tenants/t0/models/m7")
    timed("the same, a model in memory", options.calls, lease)
    timed("nothing for this worker", options.calls, lambda: workers.AcquireLease(other))
    timed("create", options.calls, create)
    timed("get a waiting job", options.calls, lambda: jobs.GetJob(job_service_pb2.GetJobRequest(name=created[0])))


if __name__ == "__main__":
    main()
