"""Copies of what a campaign leaves, with bits of the database turned over or its end cut off, and what a server makes of each.

What the campaign's own server kept is known by then, so every answer can be judged: it is right, or it is an error.
"""
import random
import shutil

import disk
import service
from actors.base import job_facts
from names import tenant_of
from server import TENANTS, Server
from service import grpc, job_service_pb2, job_service_pb2_grpc

COPIES = 6


def damage(path, rng):
    """Returns what was done to the file, in words."""
    size = path.stat().st_size
    # A log that lost its end looks like one that was never written: nobody can tell.
    if rng.random() < 0.2 and not path.name.endswith("-wal"):
        return f"{path.name} was cut from {size} to {disk.cut(path, rng)} bytes"
    places = sorted(rng.randrange(size) for _ in range(rng.choice([1, 3, 20])))
    for place in places:
        disk.flip_bit(path, rng, place)
    return f"a bit was turned over in bytes {places} of {path.name}"


def ask(server, history, copy, names):
    """Asks for every job by its name, and for lists."""
    for tenant in TENANTS:
        with server.connect(tenant) as channel:
            jobs = job_service_pb2_grpc.JobServiceStub(channel)
            for name in names:
                if tenant_of(name) != tenant:
                    continue
                try:
                    found = job_facts(jobs.GetJob(job_service_pb2.GetJobRequest(name=name), timeout=10))
                    history.write("found", copy=copy, asked=name, result="ok", **found)
                except grpc.RpcError as error:
                    history.write("found", copy=copy, asked=name, result="refused", reason=service.error_reason(error))


def look(directory, data, program, keys, names, history, seed):
    rng = random.Random(f"aftermath {seed}")
    for copy in range(COPIES):
        damaged = directory / f"damaged.{copy}"
        shutil.copytree(data, damaged, ignore=shutil.ignore_patterns("*-shm", "lock", "blobs"))
        # What stands in the log alone is newer than the database; both are read.
        file = rng.choice([path for path in (damaged / "jobs.sqlite", damaged / "jobs.sqlite-wal")
                           if path.exists() and path.stat().st_size])
        what = damage(file, rng)
        server = Server(program, directory, damaged, keys)
        server.log = directory / f"damaged.{copy}.log"
        server.environment = {}
        try:
            server.start()
            started = service.wait_until(lambda: server.has_ended() or server.answers(), 30, "an answer or an end") and \
                not server.has_ended()
            history.write("damaged copy", copy=copy, what=what, started=started, said=server.log_end()[-500:],
                          left_out="not whole and is left out" in server.log.read_text(errors="replace"))
            if started:
                ask(server, history, copy, names)
        finally:
            server.close()
        shutil.rmtree(damaged)
