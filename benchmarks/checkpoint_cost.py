#!/usr/bin/env python3
"""What checkpoints cost of the training time, on the miniature with the settings that it recommends.

    benchmarks/checkpoint_cost.py [--methods dreambooth,lora] [--rounds 3]

starts likeness-server and likeness-worker on loopback. For each method it trains in turn with the recommended checkpoints and with one
after the last step alone, each time from an empty job. Prints the share of the training time in which training waited for
checkpoints (`checkpoint_seconds` of `training_seconds`), and how much longer training took with them: that has what their hashing
and uploading in the background takes from it too, and on a machine with other work its noise.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

from mini_world import BIN, run, service

METHODS = ["dreambooth", "lora", "textual_inversion", "pivotal_tuning", "hypernetwork", "custom_diffusion", "svdiff"]


def request(method, photos):
    return json.loads(run(BIN / "likeness", "train", "--class", "dog", "--photos", photos, "--base", "mini", "--method", method,
                          "--no-samples", "--seed", 1, "--print-request"))


def train(asked, scratch, every=None):
    """The metrics of a job with a checkpoint every so many steps [as recommended]."""
    asked.pop("jobId", None)  # each job gets one of its own
    if every:
        asked["job"]["fineTune"]["training"]["checkpointEverySteps"] = every
    (scratch / "job.json").write_text(json.dumps(asked))
    name = run(BIN / "likeness", "create", "-f", scratch / "job.json").strip()
    run(BIN / "likeness", "wait", name)
    return json.loads(run(BIN / "likeness", "get", name, "--json"))["metrics"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        run(BIN / "likeness-mini", "draw-subject", "--class=dog", "--seed=4", "--photos=4", f"--out={scratch / 'photos'}")
        with service(scratch):
            train(request("dreambooth", scratch / "photos"), scratch)  # draws the class images
            print("| method | training, s | waiting for checkpoints | longer than without |\n|---|---|---|---|")
            for method in options.methods.split(","):
                with_them, without = [], []
                for _ in range(options.rounds):
                    with_them.append(train(request(method, scratch / "photos"), scratch))
                    without.append(train(request(method, scratch / "photos"), scratch, every=100_000))
                seconds = [statistics.median(job["training_seconds"] for job in jobs) for jobs in (with_them, without)]
                share = statistics.median(job["checkpoint_seconds"] / job["training_seconds"] for job in with_them)
                print(f"| {method} | {seconds[0]:.2f} | {share:.2%} | {seconds[0] / seconds[1] - 1:+.1%} |", flush=True)


if __name__ == "__main__":
    main()
