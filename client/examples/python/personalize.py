#!/usr/bin/env python3
"""Teach a model the subject of some photos, and draw it somewhere new.

    python3 client/examples/python/personalize.py PHOTOS_DIR OUT_DIR --class dog

Needs grpcio and grpcio-tools (pip install grpcio-tools). The stubs, typed (.pyi) for editors and checkers, are generated from
proto/ on each run: into the folder that --stubs names, else into one that only this run can write to and that goes with it.
"""
import argparse
import atexit
import hashlib
import importlib.resources
import os
import pathlib
import shutil
import sys
import tempfile
import uuid

import grpc
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[3] / "proto"
PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def stubs_folder() -> pathlib.Path:
    """The one that --stubs names, else a private one. Python must find the stubs before the other options can be used."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--stubs", type=pathlib.Path)
    named = parser.parse_known_args()[0].stubs
    if named:
        named.mkdir(parents=True, exist_ok=True)
        return named
    private = pathlib.Path(tempfile.mkdtemp(prefix="likeness-stubs-"))  # mode 0700, and a name that nobody can foresee
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return private


def generate_stubs(folder: pathlib.Path) -> pathlib.Path:
    """Compiles the contract into `folder`, whatever is there already: nothing is run that was only found."""
    files = sorted([*PROTO.glob("likeness/v1/*.proto"), *PROTO.glob("google/*/*.proto")])
    well_known = importlib.resources.files("grpc_tools") / "_proto"
    if protoc.main(["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={folder}", f"--pyi_out={folder}",
                    f"--grpc_python_out={folder}", *map(str, files)]) != 0:
        raise RuntimeError("protoc failed")
    return folder


def import_stubs(folder: pathlib.Path) -> None:
    """Makes `likeness.v1` importable, and google.rpc beside what other packages have put into `google`."""
    sys.path.insert(0, str(folder))
    import google  # a namespace package, but some distributions pin its path
    google.__path__ = [str(folder / "google"), *google.__path__]


import_stubs(generate_stubs(stubs_folder()))
from google.bytestream import bytestream_pb2, bytestream_pb2_grpc  # noqa: E402
from likeness.v1 import (event_pb2, fine_tune_pb2, image_pb2, job_pb2, job_service_pb2, job_service_pb2_grpc,  # noqa: E402
                         output_pb2)

ENDED = {job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_FAILED, job_pb2.JOB_STATE_CANCELLED}


def read_photos(folder: pathlib.Path) -> list[image_pb2.Photo]:
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in PHOTO_SUFFIXES)
    return [image_pb2.Photo(inline=file.read_bytes(), file_name=file.name) for file in files]


def fine_tune_spec(options: argparse.Namespace) -> fine_tune_pb2.FineTuneSpec:
    """Only what was asked for is set; the rest takes the base model's recommendation."""
    spec = fine_tune_pb2.FineTuneSpec(dreambooth={}, samples={"prompts": options.prompt})
    spec.subjects.add(class_noun=options.class_noun)
    spec.subjects[0].photos.extend(read_photos(options.photos))
    if options.steps is not None:
        spec.training.steps = options.steps
    if options.class_images is not None:
        spec.prior.class_images = options.class_images
    if options.sampling_steps is not None:
        spec.samples.steps = spec.prior.sampling_steps = options.sampling_steps
    if options.seed is not None:
        spec.training.seed = spec.samples.seed = options.seed
    return spec


def follow(jobs: job_service_pb2_grpc.JobServiceStub, name: str) -> job_pb2.Job:
    """Watches until the job ends. A stream that breaks is taken up again after the last event seen."""
    token = ""
    while True:
        try:
            for event in jobs.WatchJob(job_service_pb2.WatchJobRequest(name=name, resume_token=token),
                                       wait_for_ready=True):
                token = event.resume_token or token
                show(event)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            continue
        job = jobs.GetJob(job_service_pb2.GetJobRequest(name=name), wait_for_ready=True)
        if job.state in ENDED:
            return job


def show(event: event_pb2.JobEvent) -> None:
    kind = event.WhichOneof("event")
    if kind == "state_change":
        print(job_pb2.JobState.Name(event.state_change.to).removeprefix("JOB_STATE_").lower(), file=sys.stderr)
    elif kind == "progress":
        progress = event.progress
        loss = f"  loss {progress.training.loss:.4f}" if progress.HasField("training") else ""
        if loss and progress.measurements.HasField("validation_loss"):
            loss += f"  validation loss {progress.measurements.validation_loss:.4f}"
        phase = job_pb2.JobPhase.Name(progress.phase).removeprefix("JOB_PHASE_").lower().replace("_", " ")
        print(f"{phase} {progress.done}/{progress.total}{loss}", file=sys.stderr)


def download(blobs: bytestream_pb2_grpc.ByteStreamStub, output: output_pb2.Output, folder: pathlib.Path) -> pathlib.Path:
    pieces = blobs.Read(bytestream_pb2.ReadRequest(resource_name=output.blob))
    data = b"".join(piece.data for piece in pieces)
    if hashlib.sha256(data).hexdigest() != output.blob.rsplit("/", 1)[-1]:
        raise RuntimeError(f"{output.path}: the bytes are not those of its digest")
    path = (folder / output.path).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise RuntimeError(f"{output.path}: not inside {folder}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=pathlib.Path, help="folder of JPEG, PNG or WebP photos")
    parser.add_argument("out", type=pathlib.Path, help="folder for the pictures")
    parser.add_argument("--class", dest="class_noun", default=os.environ.get("LIKENESS_CLASS", "dog"))
    parser.add_argument("--server", default=os.environ.get("LIKENESS_SERVER", "localhost:50051"))
    parser.add_argument("--prompt", action="append", help="may be repeated [a {subject} in the snow]")
    parser.add_argument("--steps", type=int, help="training steps")
    parser.add_argument("--class-images", type=int)
    parser.add_argument("--sampling-steps", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--stubs", type=pathlib.Path, help="folder to leave the generated stubs in [none]")
    options = parser.parse_args()
    options.prompt = options.prompt or ["a {subject} in the snow"]
    return options


def main() -> int:
    options = parse_options()
    limit = 64 << 20  # photos and pictures travel inside messages; gRPC's own limit is 4 MiB
    with grpc.insecure_channel(options.server, options=[("grpc.max_receive_message_length", limit),
                                                        ("grpc.max_send_message_length", limit)]) as channel:
        jobs = job_service_pb2_grpc.JobServiceStub(channel)
        request = job_service_pb2.CreateJobRequest(request_id=str(uuid.uuid4()))
        request.job.fine_tune.CopyFrom(fine_tune_spec(options))
        job = jobs.CreateJob(request)
        print(f"created {job.name}", file=sys.stderr)
        job = follow(jobs, job.name)
        if job.state != job_pb2.JOB_STATE_SUCCEEDED:
            print(f"{job.name}: {job.error.message}", file=sys.stderr)
            return 1
        blobs = bytestream_pb2_grpc.ByteStreamStub(channel)
        pictures = (output_pb2.OUTPUT_KIND_IMAGE, output_pb2.OUTPUT_KIND_CONTACT_SHEET)
        for output in job.outputs:
            if output.kind in pictures:
                print(download(blobs, output, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
