#!/usr/bin/env python3
"""How long a warm worker takes to switch from one subject to another of the same base model.

    benchmarks/switching.py                the miniature
    benchmarks/switching.py --full         a random model of Stable Diffusion 1.5's size (4 GB on disk, 9 GB of memory)

starts likeness-server and likeness-worker on loopback, trains two subjects with each method for a few steps, and draws with them in
turn. The time is the job's `preparing_seconds`: from the lease to the report before the first prompt is encoded and drawn. Prints
the median and the range of each method, with those of jobs that ask for the same subject as the job before for comparison.

--full trains and draws with 64 x 64 pixels, which changes nothing in what is switched.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

from full_model import write_full_model
from mini_world import BIN, ROOT, run, service

METHODS = ["dreambooth", "lora", "hypernetwork", "textual_inversion"]
SUBJECTS = {"first": 4, "second": 5}  # by name: the seed that draws it


def train(method, subject, scratch, base):
    name = f"{method.replace('_', '-')}-{subject}"
    run(BIN / "likeness", "train", "--class", "dog", "--photos", scratch / subject, "--base", base, "--method", method, "--name", name,
        "--steps", 2, "--no-prior", "--no-samples", "--seed", 1, "--out", scratch / name)


def preparing_seconds(model, out):
    job = json.loads(run(BIN / "likeness", "generate", "a {subject}", "--model", model, "--steps", 1, "--seed", 1, "--out", out,
                         "--json"))
    return job["metrics"]["preparing_seconds"]


def measure(method, rounds, out):
    """Seconds of the first uses, of switches, and of jobs that go on with the subject before."""
    names = [f"{method.replace('_', '-')}-{subject}" for subject in SUBJECTS]
    first = [preparing_seconds(name, out) for name in names]
    switched, stayed = [], []
    for _ in range(rounds):
        for name in names:
            switched.append(preparing_seconds(name, out))
            stayed.append(preparing_seconds(name, out))
    return first, switched, stayed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="Stable Diffusion 1.5's size instead of the miniature")
    parser.add_argument("--methods", default="", help="with commas between [all; with --full all but dreambooth, which needs 20 GB]")
    parser.add_argument("--rounds", type=int, default=10, help="switches to each of the two subjects [10]")
    options = parser.parse_args()
    methods = options.methods.split(",") if options.methods else [m for m in METHODS if not (options.full and m == "dreambooth")]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        models, base = ROOT / "models", "mini"
        if options.full:
            models, base = scratch / "full", "model"
            write_full_model(models, pixels=64)
        with service(scratch, models, base):
            for subject, seed in SUBJECTS.items():
                run(BIN / "likeness-mini", "draw-subject", "--class=dog", f"--seed={seed}", "--photos=3",
                    f"--out={scratch / subject}")
                for method in methods:
                    train(method, subject, scratch, base)
            print("| method | first use, s | switch, median s (range) | same subject again, median s |\n|---|---|---|---|")
            for method in methods:
                first, switched, stayed = measure(method, options.rounds, scratch / "pictures")
                print(f"| {method} | {max(first):.3f} | {statistics.median(switched):.3f} ({min(switched):.3f} to "
                      f"{max(switched):.3f}) | {statistics.median(stayed):.3f} |", flush=True)


if __name__ == "__main__":
    main()
