#!/usr/bin/env python3
"""SHA-256 of what a small job on the miniature model leaves: a trained model and eight pictures.

For changes that shall change no bit: run it before and after on one machine and compare. One thread, every seed given.

    benchmarks/fingerprint.py [WORKER]      default: build/release/bin/likeness-worker
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOB = {
    "fineTune": {
        "baseModel": "baseModels/mini",
        "subjects": [{"classNoun": "dog"}],
        "training": {"steps": 20, "seed": 3, "checkpointEverySteps": 10},
        "prior": {"classImages": 6, "samplingSteps": 10},
        "samples": {"prompts": ["a {subject} in the snow", "a {subject} wearing a red hat"], "imagesPerPrompt": 2,
                    "steps": 10, "seed": 7},
    },
}
PICTURES = {"generate": {"model": {"name": "baseModels/mini"}, "prompts": ["a dog", "a red cat on the beach"], "imagesPerPrompt": 2,
                         "negativePrompt": "snow", "steps": 10, "seed": 9}}


def digests(worker, job, *flags):
    with tempfile.TemporaryDirectory(prefix="likeness-fingerprint-") as folder:
        folder = pathlib.Path(folder)
        (folder / "job.json").write_text(json.dumps(job))
        subprocess.run([worker, "run", f"--job={folder / 'job.json'}", f"--out={folder / 'out'}", "--threads=1",
                        "--device=cpu", f"--models={ROOT / 'models'}", f"--cache-dir={folder / 'cache'}", *flags],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for file in sorted((folder / "out").rglob("*")):
            if file.is_file() and file.name != "job.json":
                yield hashlib.sha256(file.read_bytes()).hexdigest(), str(file.relative_to(folder / "out"))


def main():
    worker = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/release/bin/likeness-worker").resolve()
    for digest, path in digests(worker, JOB, f"--photos={ROOT / 'client/examples/subjects/rex'}"):
        print(digest, path)
    for digest, path in digests(worker, PICTURES):
        print(digest, f"generated {path}")


if __name__ == "__main__":
    main()
