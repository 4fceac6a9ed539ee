#!/usr/bin/env python3
"""The evaluation of the DreamBooth paper (arXiv 2208.12242, section 4) by one command, through the real service.

    benchmarks/protocol.py mini --out protocol                       # drawn subjects and the built-in model
    benchmarks/protocol.py DATASET --models models --base sd15 --out protocol --methods dreambooth,lora

DATASET is a directory in the published layout: a folder of photos for each subject, and prompts_and_classes.txt. Every subject is
learned with every method, its prompts are drawn and judged (`likeness evaluate`), and tables of fidelity, of prior preservation and
of the class noun are made: <out>/tables.md, jobs.csv, report.html.

Each job leaves a line in <out>/jobs.jsonl; the same command goes on where it was stopped, and another one with the same --out
adds methods, subjects and seeds to it. All else must stay as it was when <out>/settings.json was written. A job that failed is
named, and done again the next time.
"""
import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys

import mini_world
from mini_world import BIN, SCENES, captioned, dot, mean_vector, measure, run, spread
from protocol_dataset import DatasetError, draw_world, read_dataset
from protocol_report import write_all
from resumable import do_all

# Flags of `likeness train`.
METHODS = {
    "dreambooth": ["--method=dreambooth"],
    "dreambooth-without-prior": ["--method=dreambooth", "--no-prior"],
    "dreambooth-best": ["--method=dreambooth", "--stop-rule=best"],
    "lora": ["--method=lora"],
    "textual_inversion": ["--method=textual_inversion"],
    "pivotal_tuning": ["--method=pivotal_tuning"],
    "hypernetwork": ["--method=hypernetwork"],
    "custom_diffusion": ["--method=custom_diffusion"],
    "svdiff": ["--method=svdiff"],
    # Without a noun there is no class to keep, so none of these keeps one.
    "noun-right": ["--method=dreambooth", "--no-prior"],
    "noun-wrong": ["--method=dreambooth", "--no-prior"],
    "noun-none": ["--method=dreambooth", "--no-prior"],
}
TOKEN = "sks"
MEASURED = ("dino", "dino_photos", "clip_i", "clip_i_photos", "clip_t", "pres", "pres_before", "div", "copied_images", "best_step")
SHOWN = 3  # pictures of a job in the report


def check_settings(args):
    """Rows of other settings are not comparable: refuses to add to them."""
    file = args.out / "settings.json"
    dataset = args.dataset if args.dataset == "mini" else str(pathlib.Path(args.dataset).resolve())
    asked = {"dataset": dataset, "base": args.base, "prompts": args.prompts, "images_per_prompt": args.images_per_prompt,
             "train_flags": args.train_flags, "evaluate_flags": args.evaluate_flags}
    if file.exists():
        found = json.loads(file.read_text())
        other = [f"{key} was {json.dumps(found.get(key))} and is {json.dumps(value)}" for key, value in asked.items() if found.get(key) != value]
        if other:
            raise DatasetError(f"{args.out} holds results of other settings: {'; '.join(other)}; name another --out")
        return
    if (args.out / "jobs.jsonl").exists():
        print(f"{args.out} has no settings.json: its results are taken to be of these settings", file=sys.stderr)
    half_written = file.with_suffix(".new")
    half_written.write_text(json.dumps(asked, indent=1) + "\n")
    half_written.rename(file)


def cell_name(method, subject, seed):
    return f"{method}-{subject.name}-{seed}".replace("_", "-").lower()


def job_name(args, method, subject, seed):
    """Another one where the photos, the base model or the training differ: a service may have jobs of other runs."""
    digest = hashlib.sha256(json.dumps([args.base, METHODS[method], args.train_flags, subject.noun, subject.wrong_noun]).encode())
    for photo in sorted(file for file in pathlib.Path(subject.photos).rglob("*") if file.is_file()):
        digest.update(hashlib.sha256(photo.read_bytes()).digest())
    return f"{cell_name(method, subject, seed)}-{digest.hexdigest()[:8]}"


def find_job(name):
    """The job of an earlier run, or None."""
    told = subprocess.run([BIN / "likeness", "get", name, "--json"], capture_output=True, text=True)
    return json.loads(told.stdout) if told.returncode == 0 else None


def train(args, subject, method, seed, name):
    """The finished training job."""
    job = find_job(name)
    if job is not None and job["state"] in ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED"):
        run(BIN / "likeness", "retry", name)
    elif job is None:
        noun = subject.wrong_noun if method == "noun-wrong" else subject.noun
        photos = subject.photos
        if method == "noun-none":
            photos = captioned(photos, f"a {TOKEN}", args.out / "captioned" / subject.name)
        base = [f"--base={args.base}"] if args.base else []
        run(BIN / "likeness", "train", f"--class={noun}", "--photos", photos, "--name", name, "--seed", seed, "--no-samples",
            f"--rare-token={TOKEN}", "--detach", *base, *METHODS[method], *args.train_flags)
    told = subprocess.run([BIN / "likeness", "watch", name, "--json"], capture_output=True, text=True)
    job = find_job(name)
    if told.returncode != 0 or job["state"] != "JOB_STATE_SUCCEEDED":
        raise RuntimeError(f"{name}: {(job or {}).get('error', {}).get('message', told.stderr.strip()[-500:])}")
    return job


def judge(args, subject, method, seed, name, folder):
    """The finished evaluation, its pictures in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    prompts = subject.prompts_for(TOKEN if method == "noun-none" else None)
    told = subprocess.run([BIN / "likeness", "evaluate", name, f"--photos={subject.photos}", f"--images={args.images_per_prompt}",
                           f"--seed={seed}", "--json", f"--out={folder}", *args.evaluate_flags, *prompts],
                          capture_output=True, text=True)
    job = json.loads(told.stdout or "{}")
    if told.returncode != 0:
        raise RuntimeError(f"{name}: {job.get('error', {}).get('message', told.stderr.strip()[-500:])}")
    return job


class World:
    """What the miniature's world is measured with besides: networks that know it by its own labels (models/mini-eval)."""

    def __init__(self):
        self.vectors = {}

    def vector(self, subject):
        if subject.name not in self.vectors:
            self.vectors[subject.name] = mean_vector(measure(subject.photos))
        return self.vectors[subject.name]

    def figures(self, subject, prompts, per_prompt, samples):
        rows, vector = measure(samples), self.vector(subject)
        scenes = [next((name for name, words in SCENES.items() if prompt.endswith(words)), None) for prompt in prompts]
        right = [row["scene"] == scene for row, scene in zip(rows, (s for s in scenes for _ in range(per_prompt))) if scene]
        found = {"identity": statistics.fmean(dot(row["identity"], vector) for row in rows), "scene": statistics.fmean(map(float, right))}
        spreads = spread(rows[i:i + per_prompt] for i in range(0, len(rows), per_prompt))
        return found | ({} if spreads is None else {"spread": spreads})


def do_cell(args, subject, method, seed, world):
    """One job: its figures."""
    name = job_name(args, method, subject, seed)
    trained = train(args, subject, method, seed, name)
    folder = args.out / "pictures" / cell_name(method, subject, seed)
    judged = judge(args, subject, method, seed, name, folder)
    metrics = trained.get("metrics", {}) | judged.get("metrics", {})
    row = {"method": method, "subject": subject.name, "seed": seed, **{key: metrics[key] for key in MEASURED if key in metrics},
           "training_seconds": trained["metrics"].get("training_seconds"), "judging_seconds": metrics.get("judging_seconds"),
           "drawing_seconds": metrics.get("samples_seconds"), "prompts": len(subject.prompts), "images_per_prompt": args.images_per_prompt}
    if world:
        row |= world.figures(subject, subject.prompts, args.images_per_prompt, folder / "samples")
    return row


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a directory in the published layout, or mini: subjects drawn for the built-in model")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("protocol"))
    parser.add_argument("--methods", default="dreambooth,lora,textual_inversion,dreambooth-without-prior",
                        help=f"of {', '.join(METHODS)} [%(default)s]")
    parser.add_argument("--subjects", help="how many, or which, with commas between [all; of mini 8]")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each subject and method [%(default)s]")
    parser.add_argument("--prompts", type=int, help="the first so many of each list [all]")
    parser.add_argument("--images-per-prompt", type=int, default=4, help="[%(default)s]")
    parser.add_argument("--base", help="base model [the only one; of mini: mini]")
    parser.add_argument("--models", type=pathlib.Path, default=mini_world.ROOT / "models", help="of the worker that is started")
    parser.add_argument("--server", help="use the service there, and start none")
    parser.add_argument("--train-flags", default="", help="more flags for `likeness train`, in one word")
    parser.add_argument("--evaluate-flags", default="", help="more flags for `likeness evaluate`, in one word")
    args = parser.parse_args()
    args.train_flags, args.evaluate_flags = args.train_flags.split(), args.evaluate_flags.split()
    args.methods = args.methods.split(",")
    unknown = set(args.methods) - set(METHODS)
    if unknown:
        parser.error(f"--methods: there is no {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    args.out = args.out.resolve()
    if args.dataset == "mini" and args.base is None:
        args.base = "mini"
    return args


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command goes on"))  # stops the service, too
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    world = World() if args.dataset == "mini" else None
    dataset = args.out / "subjects" if world else pathlib.Path(args.dataset)
    try:
        if world:
            draw_world(dataset, int(args.subjects) if (args.subjects or "").isdigit() else 8)
        subjects = read_dataset(dataset, args.subjects, args.prompts)
        check_settings(args)
    except DatasetError as error:
        sys.exit(f"protocol.py: {error}")

    # Seed by seed: whoever stops early has every method of every subject.
    wanted = {(method, subject.name, seed): (subject, method, seed)
              for seed in range(args.seeds) for subject in subjects for method in args.methods}
    if args.server:
        os.environ["LIKENESS_SERVER"] = args.server
        serving = contextlib.nullcontext()
    else:
        serving = mini_world.service(args.out, args.models, args.base)
    done, failed = do_all(args.out / "jobs.jsonl", ("method", "subject", "seed"), wanted, lambda job: do_cell(args, *job, world),
                          ("dino", "clip_i", "clip_t", "pres"), serving)

    rows = list(done.values())
    samples = {}
    for subject, method, seed in wanted.values():
        files = sorted((args.out / "pictures" / cell_name(method, subject, seed) / "samples").glob("*.png"))
        if seed == 0 and files:
            samples.setdefault(subject.name, {})[method] = files[::args.images_per_prompt][:SHOWN]
    print(write_all(rows, f"{len(subjects)} subjects of {dataset.name if not world else 'the drawn world'}", subjects, samples, args.out))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
