#!/usr/bin/env python3
"""A study of DreamBooth on the miniature model: subjects x seeds x settings, through the real service.

    benchmarks/study.py recommended --out study

starts likeness-server and likeness-worker on loopback, trains every subject with every setting of the plan, and measures
what was drawn with models/mini-eval; beside it stand the figures of the job's own judge (docs/evaluation.md), which the paper's
tables have. Each job leaves a line in <out>/jobs.jsonl; a job that has one is not done again, so a study that was stopped goes on
where it was, and plans share what they have in common. In the end <out>/<plan>/ holds table.md, table.csv and page.png, for some
plans also a plot.

Settings are chosen with --subjects tuning, and reported with --subjects held-out (the default).
"""
import argparse
import dataclasses
import functools
import json
import pathlib
import shutil
import statistics
import sys

from mini_world import BIN, MODEL, captioned, dot, draw_subject, mean_vector, measure, run, service, spread
from resumable import do_all
from study_settings import (DISTRACTORS, FIRST_DISTRACTOR, MOST_PHOTOS, NEW_SCENES, NO_NOUN, OF_CLASS, PER_PROMPT, PHOTOS, PLANS,
                            SUBJECTS, TOKEN, VIEWS, WORN, WRONG_NOUN, job_folder)
from study_tables import JUDGED, write_all


# Of the files of a model: what nobody needs who draws with it in diffusers.
NOT_LOADED = ("kohya_lora.safetensors", "a1111_embedding.safetensors", "likeness_card.json")


class Subject:
    """Photos to learn from, held-out views of it, and the other identities of its class.

    Whatever the number of photos, they are the first of the same MOST_PHOTOS, and pictures are compared with the same
    PHOTOS of them and the same views."""

    def __init__(self, subject_class, seed, photos, out):
        self.subject_class, self.seed = subject_class, seed
        folder = out / "subjects" / f"{subject_class}-{seed}"
        self.photos, self.views = folder / f"{photos}-photos", folder / "views"
        compared = folder / f"{PHOTOS}-photos"
        if not self.views.exists():
            draw_subject(subject_class, seed, MOST_PHOTOS + VIEWS, folder / "all")
            for count in range(1, MOST_PHOTOS + 1):
                copy(sorted((folder / "all").iterdir())[:count], folder / f"{count}-photos")
            copy(sorted((folder / "all").iterdir())[MOST_PHOTOS:], self.views)
        self.vector = mean_vector(measure(compared))
        self.reachable = statistics.fmean(dot(row["identity"], self.vector)
                                          for row in measure(self.views, through=MODEL))
        self.other_vectors = self.others(subject_class, out)

    @staticmethod
    @functools.cache
    def others(subject_class, out):
        """The mean vector of each of the class's other identities."""
        folder = out / "others" / subject_class
        if not folder.exists():
            drawn = folder.with_name(subject_class + ".drawing")
            shutil.rmtree(drawn, ignore_errors=True)
            for i in range(DISTRACTORS):
                draw_subject(subject_class, FIRST_DISTRACTOR + i, PHOTOS, drawn / "one")
                copy(sorted((drawn / "one").iterdir()), drawn / "all", prefix=f"{i:02d}-")
                shutil.rmtree(drawn / "one")
            (drawn / "all").rename(folder)
            drawn.rmdir()
        rows = measure(folder)
        return [mean_vector(rows[i:i + PHOTOS]) for i in range(0, len(rows), PHOTOS)]


def copy(files, folder, prefix=""):
    folder.mkdir(exist_ok=True, parents=True)
    for file in files:
        shutil.copy(file, folder / (prefix + file.name))


# What is asked of a subject, and what its pictures are to show; in the order in which they are drawn.
SUBJECT_PROMPTS = ([("scene", scene) for scene in NEW_SCENES for _ in range(PER_PROMPT)]
                   + [("accessory", thing) for thing in WORN for _ in range(PER_PROMPT)])


def subject_texts(said):
    return [f"a {said} {words}" for words in (NEW_SCENES | WORN).values()]


def score_subject(subject, prompts, rows):
    """What pictures of the subject reached, in the order of their prompts."""
    result = {key: [] for key in ("identity", "first", "scene", "accessory", "class")}
    for row, (kind, wanted) in zip(rows, prompts):
        likeness = dot(row["identity"], subject.vector)
        result["class"].append(row["class"] == subject.subject_class)
        if kind == "accessory":
            result["accessory"].append(row["accessory"] == wanted)
            continue
        result["identity"].append(likeness / subject.reachable)
        result["first"].append(likeness > max(dot(row["identity"], other) for other in subject.other_vectors))
        result["scene"].append(row["scene"] == wanted)
    return {key: statistics.fmean(map(float, values)) for key, values in result.items()}


def score(subject, prompts, samples, before):
    """What one job reached, from its pictures in the order of the prompts."""
    rows = list(zip(measure(samples), prompts))
    of_class = [row for row, (kind, _) in rows if kind == "class"]
    of_subject = [(row, prompt) for row, prompt in rows if prompt[0] != "class"]
    summary = score_subject(subject, [prompt for _, prompt in of_subject], [row for row, _ in of_subject])
    summary["drift"] = (statistics.fmean(dot(r["identity"], subject.vector) for r in of_class)
                        - statistics.fmean(dot(r["identity"], subject.vector) for r in before))
    summary["diversity kept"] = spread([of_class]) / spread([before])
    return summary


def judged(job, folder):
    """The figures of the job's judge; how far prompts are followed of the subject's pictures alone, as all other figures are."""
    found = {key: job["metrics"][key] for key in JUDGED if key in job["metrics"]}
    if "clip_t" in found:
        groups = {}
        for picture in json.loads((folder / "report/evaluation.json").read_text())["pictures"]:
            if "dino" in picture:
                groups.setdefault(picture["prompt"], []).append(picture["clip_t"])
        found["clip_t"] = statistics.fmean(map(statistics.fmean, groups.values()))
    return found


def draw(model, prompt, images, seed, folder):
    run(BIN / "likeness", "generate", prompt, "--model", model, "--images", images, "--seed", seed, "--out", folder)


def learn(subject, seed, setting, texts, folder):
    """Trains; the job draws the samples itself. The model's ID stays in `folder`."""
    noun, photos = subject.subject_class, subject.photos
    if setting.noun == NO_NOUN:
        photos = captioned(photos, f"a {TOKEN}", photos.with_name(photos.name + "-captioned"))
    job = json.loads(run(
        BIN / "likeness", "train", f"--class={WRONG_NOUN[noun] if setting.noun == 'wrong' else noun}",
        "--photos", photos, "--validation", subject.views, "--base", "mini", "--seed", seed,
        f"--images-per-prompt={PER_PROMPT}", *(f"--prompt={text}" for text in texts), "--wait", "--json",
        "--out", folder, *setting.flags))
    (folder / "model").write_text(job["name"].split("/")[-1])
    kept = sum(int(output["sizeBytes"]) for output in job["outputs"]
               if output["kind"] == "OUTPUT_KIND_MODEL_FILE" and pathlib.PurePosixPath(output["path"]).name not in NOT_LOADED)
    return {"held-out loss": job["metrics"]["validation_loss_after"], "kilobytes": kept / 1000,
            "training seconds": job["metrics"]["training_seconds"], **judged(job, folder)}


def draw_with_export(subject, seed, setting, texts, trained, folder):
    """Draws with the LoRA of the model that was trained in the folder `trained`."""
    if not (trained / "model").exists():
        raise RuntimeError(f"{trained} names no model: remove that job's line from jobs.jsonl to train it again")
    run(BIN / "likeness", "export", (trained / "model").read_text(), "--format=lora", *setting.export, "--out", folder / "files")
    [lora] = (folder / "files").rglob("pytorch_lora_weights.safetensors")
    imported = json.loads(run(BIN / "likeness", "import", lora, "--base=mini", f"--rare-token={TOKEN}",
                              f"--class={subject.subject_class}", "--json"))
    job = json.loads(run(BIN / "likeness", "evaluate", imported["name"].split("/")[-1], *texts, "--photos", subject.photos,
                         f"--images={PER_PROMPT}", "--seed", seed, "--json", "--out", folder))
    return {"kilobytes": lora.stat().st_size / 1000, **judged(job, folder)}


def draw_with_base(seed, texts, folder):
    for i, text in enumerate(texts):
        draw("mini", text, PER_PROMPT, seed + PER_PROMPT * i, folder / f"{i:02d}")
        (folder / "samples").mkdir(exist_ok=True)
        for picture in sorted((folder / f"{i:02d}").glob("*.png")):
            picture.rename(folder / "samples" / f"{i:02d}-{picture.name}")
    return {}


def do_job(out, subject, seed, setting):
    noun, name = subject.subject_class, f"{subject.subject_class}-{subject.seed}"
    prompts = SUBJECT_PROMPTS + [("class", None)] * OF_CLASS
    before = out / "before" / f"{noun}-{seed}"
    if not before.exists():
        draw("mini", f"a {noun}", OF_CLASS, seed, before)
    folder = job_folder(out, setting, name, seed)
    shutil.rmtree(folder, ignore_errors=True)
    said = {"": "{subject}", NO_NOUN: TOKEN}.get(setting.noun, "{subject}") if setting.trained else noun
    texts = subject_texts(said) + [f"a {noun}"] * (OF_CLASS // PER_PROMPT)
    if not setting.trained:
        row = draw_with_base(seed, texts, folder)
    elif setting.export:
        trained = job_folder(out, dataclasses.replace(setting, export=()), name, seed)
        row = draw_with_export(subject, seed, setting, texts, trained, folder)
    else:
        row = learn(subject, seed, setting, texts, folder)
    return {"setting": setting.slug(), "subject": name, "seed": seed, **row,
            **score(subject, prompts, folder / "samples", measure(before))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("study"))
    parser.add_argument("--subjects", choices=SUBJECTS, default="held-out")
    parser.add_argument("--count", type=int, default=8, help="how many of the subjects [8]")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds for each [3]")
    args = parser.parse_args()
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    settings = PLANS[args.plan]
    wanted = {(setting.slug(), f"{noun}-{identity}", seed): (name, noun, identity, seed)
              for noun, identity in SUBJECTS[args.subjects][:args.count] for seed in range(args.seeds) for name, setting in settings.items()}

    def do(job):
        name, noun, identity, seed = job
        setting = settings[name]
        return do_job(args.out, Subject(noun, identity, setting.photos, args.out), seed, setting)

    done, failed = do_all(args.out / "jobs.jsonl", ("setting", "subject", "seed"), wanted, do,
                          ("identity", "first", "scene", "dino"), service(args.out))
    if failed:
        sys.exit(1)
    rows = [done[key] | {"setting": name} for key, (name, *_) in wanted.items()]
    folder = args.out / args.plan.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    write_all(args.plan, rows, settings, folder, args.out)


if __name__ == "__main__":
    main()
