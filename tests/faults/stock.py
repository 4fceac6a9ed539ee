"""What is there once all is quiet: jobs and events as the database has them, blobs as ByteStream reads them."""
import sqlite3

import service
from actors.base import digest, job_facts
from actors.following import event_facts
from service import bytestream_pb2, bytestream_pb2_grpc, grpc, job_pb2
from likeness.v1 import event_pb2, model_pb2
from names import tenant_of


def method_of(job):
    return "dreambooth" if job.HasField("fine_tune") else job.WhichOneof("spec")


def write_jobs(database, history):
    """Writes down jobs and their events, and returns the blobs that they name."""
    blobs, uids = set(), {}
    for key, stored in database.execute("SELECT key, job FROM jobs"):
        job = job_pb2.Job.FromString(stored)
        uids[key] = job.uid
        photos = [photo.blob for subject in job.fine_tune.subjects for photo in subject.photos]
        facts = job_facts(job)
        blobs.update(facts["outputs"] + photos)
        history.write("job", **facts, photos=photos, priority=job.priority, method=method_of(job), webhook=job.HasField("webhook"),
                      makes=job.output_model, draws_with=job.generate.model.name)
    for key, commit, stored in database.execute("SELECT job, commit_number, event FROM events"):
        history.write("stored", uid=uids[key], commit=commit, **event_facts(event_pb2.JobEvent.FromString(stored)))
    return blobs


def write_models(database, history):
    for stored, in database.execute("SELECT model FROM models WHERE model IS NOT NULL"):
        model = model_pb2.Model.FromString(stored)
        history.write("model", model=model.name, job=model.job, files=[file.blob for file in model.files])


def write_blobs(names, channel, history):
    bytes_of = bytestream_pb2_grpc.ByteStreamStub(channel)
    for name in sorted(names):
        try:
            parts = bytes_of.Read(bytestream_pb2.ReadRequest(resource_name=name), timeout=10)
            found = digest(b"".join(part.data for part in parts))
        except grpc.RpcError as error:
            if service.error_reason(error) not in ("BLOB_NOT_FOUND", "BLOB_DAMAGED"):
                raise
            found = ""
        history.write("blob", blob=name, digest=found)


def take(data, history, entries, connect, collecting):
    """`connect` makes a channel to the server for a tenant."""
    database = sqlite3.connect(f"file:{data}/jobs.sqlite?mode=ro", uri=True)
    wanted = write_jobs(database, history)
    write_models(database, history)
    database.close()
    if not collecting:
        wanted |= {entry["blob"] for entry in entries
                   if entry["entry"] == "reply" and entry["op"] == "upload" and entry["result"] == "ok"}
    tenants = {tenant_of(name) for name in wanted}
    for tenant in sorted(tenants):
        with connect(tenant) as channel:
            write_blobs([name for name in wanted if tenant_of(name) == tenant], channel, history)
        stored = sum(path.stat().st_size for path in (data / "blobs" / tenant).glob("??/*"))
        history.write("bytes", tenant=tenant, bytes=stored)


def count_webhook_calls(data):
    """Calls that are still to be made."""
    database = sqlite3.connect(f"file:{data}/jobs.sqlite?mode=ro", uri=True)
    count, = database.execute("SELECT COUNT(*) FROM webhook_calls").fetchone()
    database.close()
    return count
