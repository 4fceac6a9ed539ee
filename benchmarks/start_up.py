#!/usr/bin/env python3
"""From the start of likeness-worker to a model that is ready to draw, with the model's files in the page cache.

    benchmarks/start_up.py                 a random model of Stable Diffusion 1.5's size (4 GB on disk, 9 GB of memory)
    benchmarks/start_up.py --models DIR    the one model that lies there

Each round starts the worker with an empty cache directory, where it has to take the digest of all files, and once more with what the
first start has remembered. Ready is when it reports the first picture as begun. SHA-256 of the same files, as OpenSSL takes it with
one thread, is measured beside it.
"""
import argparse
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from full_model import write_full_model
from mini_world import BIN


def digest_seconds(models):
    begun = time.monotonic()
    for file in sorted(models.rglob("*")):
        if file.is_file():
            with open(file, "rb") as opened:
                hashlib.file_digest(opened, "sha256")
    return time.monotonic() - begun


def seconds_until_ready(models, job, cache, threads, out):
    begun = time.monotonic()
    worker = subprocess.Popen([BIN / "likeness-worker", "run", f"--job={job}", f"--out={out}", f"--models={models}",
                               f"--cache-dir={cache}", f"--threads={threads}", "--device=cpu"], stderr=subprocess.PIPE, text=True)
    lines = []
    for line in worker.stderr:
        lines.append(line)
        if line.startswith("sampling"):
            seconds = time.monotonic() - begun
            break
    else:
        sys.exit("".join(lines))
    worker.kill()
    worker.wait()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, help="a directory with one model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        models = options.models
        if models is None:
            models = scratch / "full"
            write_full_model(models)
        model, = (directory.name for directory in models.iterdir() if (directory / "model_index.json").exists())
        (scratch / "job.json").write_text(json.dumps({"generate": {"model": {"name": f"baseModels/{model}"}, "prompts": ["a dog"],
                                                                   "steps": 1, "seed": 1}}))
        digest, first, second = [], [], []
        for _ in range(options.rounds):
            digest.append(digest_seconds(models))
            for seconds in (first, second):
                seconds.append(seconds_until_ready(models, scratch / "job.json", scratch / "cache", options.threads, scratch / "out"))
            shutil.rmtree(scratch / "cache")
    beyond = [start - hashed for start, hashed in zip(first, digest)]
    print("| | median s | range |\n|---|---|---|")
    for what, seconds in [("one digest", digest), ("first start", first), ("first start, beyond one digest", beyond),
                          ("second start", second)]:
        print(f"| {what} | {statistics.median(seconds):.2f} | {min(seconds):.2f} to {max(seconds):.2f} |")


if __name__ == "__main__":
    main()
