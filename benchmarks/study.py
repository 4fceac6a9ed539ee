#!/usr/bin/env python3
"""A study of DreamBooth on the miniature model: subjects x seeds x settings, through the real service.

    benchmarks/study.py recommended --out study

starts likeness-server and likeness-worker on loopback, trains every subject with every setting of the plan, and measures
what was drawn with models/mini-eval. Each job leaves a row in <out>/<plan>/rows.jsonl; a job that has one is not done
again, so a study that was stopped goes on where it was. In the end <out>/<plan>/ holds table.md, table.csv and page.png,
and for the plan `rates` heat-map.svg.

Settings are chosen with --subjects tuning, and reported with --subjects held-out (the default).
"""
import argparse
import csv
import itertools
import json
import math
import pathlib
import random
import shutil
import statistics
import sys
import time

from mini_world import ACCESSORIES, BIN, MODEL, SCENES, measure, run, service

# (class, seed of the identity). The two sets share no subject.
SUBJECTS = {
    "tuning": [("dog", 4), ("teapot", 5), ("robot", 6), ("cat", 7)],
    "held-out": [("dog", 21), ("cat", 22), ("duck", 23), ("robot", 24),
                 ("car", 25), ("boat", 26), ("teapot", 27), ("backpack", 28)],
}
DISTRACTORS = 39      # other identities of the class, among which the subject is to be found
FIRST_DISTRACTOR = 1000
PHOTOS = 4            # learned from; as many more views tell what can be reached

# Scenes that no photo of draw-subject shows, and something to wear.
NEW_SCENES = {name: SCENES[name] for name in ("snow", "beach", "city", "cobblestones", "pink-fabric")}
WORN = {name: ACCESSORIES[name] for name in ("red-hat", "black-top-hat")}  # what every class can wear
PER_PROMPT = 2
OF_CLASS = 8          # pictures of "a dog"

# What a plan varies: a name for each setting, and its flags of `likeness train`.
PLANS = {
    "recommended": {"with prior": [], "without prior": ["--no-prior"]},
    "tower": {"UNet and text encoder": [], "UNet only": ["--no-train-text-encoder"],
              "UNet only, 5e-4": ["--no-train-text-encoder", "--learning-rate=5e-4"]},
    "steps": {f"{n} steps": [f"--steps={n}"] for n in (50, 100, 200, 400, 800)},
    "rates": {f"{rate:g} x {n}": [f"--learning-rate={rate}", f"--steps={n}"]
              for rate in (5e-5, 1e-4, 2e-4, 4e-4) for n in (100, 200, 400)},
    "photos": {f"{n} photos": [n] for n in (1, 2, 3, 4, 6)},
    "class noun": {"right": [], "wrong": ["--class=boat"]},
}


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def mean_vector(rows):
    return [statistics.fmean(column) for column in zip(*(row["identity"] for row in rows))]


class Subject:
    """Photos to learn from, more to compare with, and the other identities of its class."""

    def __init__(self, subject_class, seed, photos, out):
        self.subject_class, self.seed = subject_class, seed
        self.folder = out / "subjects" / f"{subject_class}-{seed}-{photos}"
        self.photos, self.views = self.folder / "photos", self.folder / "views"
        if not self.folder.exists():
            self.draw(subject_class, seed, photos + PHOTOS, self.photos)
            self.views.mkdir()
            for file in sorted(self.photos.iterdir())[photos:]:
                shutil.move(file, self.views / file.name)
        self.vector = mean_vector(measure(self.photos))
        self.reachable = statistics.fmean(dot(row["identity"], self.vector)
                                          for row in measure(self.views, through=MODEL))
        self.others = []
        for i in range(DISTRACTORS):
            other = out / "others" / f"{subject_class}-{i}"
            if not other.exists():
                self.draw(subject_class, FIRST_DISTRACTOR + i, PHOTOS, other)
            self.others.append(other)
        self.other_vectors = [mean_vector(measure(other)) for other in self.others]

    @staticmethod
    def draw(subject_class, seed, photos, folder):
        run(BIN / "likeness-worker", "draw-subject", "--class", subject_class, "--seed", seed, "--photos", photos,
            "--out", folder)


def spread(rows):
    """Diversity: one minus the mean cosine of all pairs."""
    pairs = list(itertools.combinations(rows, 2))
    return 1 - statistics.fmean(dot(a["identity"], b["identity"]) for a, b in pairs)


def score(subject, prompts, samples, before):
    """What one job reached, from its pictures in the order of the prompts."""
    rows = measure(samples)
    result = {key: [] for key in ("identity", "first", "scene", "accessory", "class")}
    of_class = []
    for row, (kind, wanted) in zip(rows, prompts):
        if kind == "class":
            of_class.append(row)
            continue
        likeness = dot(row["identity"], subject.vector)
        result["class"].append(row["class"] == subject.subject_class)
        if kind == "accessory":
            result["accessory"].append(row["accessory"] == wanted)
            continue
        result["identity"].append(likeness / subject.reachable)
        result["first"].append(likeness > max(dot(row["identity"], other) for other in subject.other_vectors))
        result["scene"].append(row["scene"] == wanted)
    summary = {key: statistics.fmean(map(float, values)) for key, values in result.items()}
    summary["drift"] = (statistics.fmean(dot(r["identity"], subject.vector) for r in of_class)
                        - statistics.fmean(dot(r["identity"], subject.vector) for r in before))
    summary["diversity kept"] = spread(of_class) / spread(before)
    return summary


def do_job(args, subject, seed, setting, flags, folder):
    noun = subject.subject_class
    prompts = ([("scene", scene) for scene in NEW_SCENES for _ in range(PER_PROMPT)]
               + [("accessory", thing) for thing in WORN for _ in range(PER_PROMPT)]
               + [("class", None)] * OF_CLASS)
    texts = ([f"a {{subject}} {words}" for words in (NEW_SCENES | WORN).values()]
             + [f"a {noun}"] * (OF_CLASS // PER_PROMPT))
    base = args.out / "before" / f"{noun}-{seed}"
    if not base.exists():
        run(BIN / "likeness", "generate", f"a {noun}", "--model", "mini", "--images", OF_CLASS, "--seed", seed,
            "--out", base)
    shutil.rmtree(folder, ignore_errors=True)
    started = time.monotonic()
    told = run(
        BIN / "likeness", "train", f"--class={noun}", "--photos", subject.photos, "--validation", subject.views,
        "--base", "mini", "--seed", seed,
        f"--images-per-prompt={PER_PROMPT}", *(f"--prompt={text}" for text in texts), "--wait", "--json",
        "--out", folder, *flags)
    seconds = time.monotonic() - started
    return {"setting": setting, "subject": f"{noun}-{subject.seed}", "seed": seed, "seconds": round(seconds, 1),
            "held-out loss": json.loads(told)["metrics"]["validation_loss_after"],
            **score(subject, prompts, folder / "samples", measure(base))}


def interval(rows, key, rounds=2000):
    """Mean and 95 % bootstrap interval, resampling subjects: jobs of one subject are not independent."""
    by_subject = {}
    for row in rows:
        by_subject.setdefault(row["subject"], []).append(row[key])
    means = [statistics.fmean(values) for values in by_subject.values()]
    draw = random.Random(0)
    drawn = sorted(statistics.fmean(draw.choices(means, k=len(means))) for _ in range(rounds))
    return statistics.fmean(means), drawn[int(0.025 * rounds)], drawn[int(0.975 * rounds) - 1]


def write_tables(rows, folder):
    keys = [key for key in rows[0] if key not in ("setting", "subject", "seed")]
    with open(folder / "table.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| setting | jobs | " + " | ".join(keys) + " |", "|---" * (len(keys) + 2) + "|"]
    for setting in dict.fromkeys(row["setting"] for row in rows):
        mine = [row for row in rows if row["setting"] == setting]
        cells = ["{:.2f} ({:.2f} to {:.2f})".format(*interval(mine, key)) for key in keys]
        lines.append(f"| {setting} | {len(mine)} | " + " | ".join(cells) + " |")
    (folder / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def write_heat_map(rows, folder):
    """Identity times scene for each learning rate and number of steps, of the plan `rates`."""
    mean = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        mine = [row["identity"] * row["scene"] for row in rows if row["setting"] == setting]
        mean[tuple(map(float, setting.split(" x ")))] = statistics.fmean(mine)
    rates, steps = (sorted({key[i] for key in mean}) for i in (0, 1))
    cell = "<rect x='{x}' y='{y}' width='96' height='56' fill='hsl({hue:.0f},60%,62%)'/>" \
           "<text x='{tx}' y='{ty}' text-anchor='middle'>{value:.2f}</text>"
    label = "<text x='{}' y='{}' text-anchor='{}'>{}</text>"
    parts = [label.format(20, 28, "start", "Identity x scene right; learning rate down, steps across")]
    for row, rate in enumerate(rates):
        parts.append(label.format(84, 108 + 60 * row, "end", f"{rate:g}"))
        for column, count in enumerate(steps):
            x, y, value = 96 + 100 * column, 74 + 60 * row, mean[rate, count]
            parts.append(cell.format(x=x, y=y, tx=x + 48, ty=y + 34, hue=20 + 110 * min(1, value), value=value))
    parts += [label.format(144 + 100 * column, 60, "middle", f"{count:g}") for column, count in enumerate(steps)]
    (folder / "heat-map.svg").write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{110 + 100 * len(steps)}' height='{90 + 60 * len(rates)}' "
        "font-family='sans-serif' font-size='15'><rect width='100%' height='100%' fill='white'/>"
        + "".join(parts) + "</svg>\n")


def write_page(rows, folder, out):
    """The photos of each subject, and under them one picture of each scene, for each setting; the first seed."""
    sheet = []
    for name in dict.fromkeys(row["subject"] for row in rows):
        photos = next((out / "subjects").glob(f"{name}-*")) / "photos"
        sheet.append(f"{name}, its photos=" + ",".join(map(str, sorted(photos.iterdir())[:7])))
        for row in rows:
            if row["subject"] == name and row["seed"] == rows[0]["seed"]:
                samples = sorted((folder / cell_name(row)).glob("samples/*.png"))
                sheet.append(f"{row['setting']}=" + ",".join(map(str, samples[:14:PER_PROMPT])))
    run(BIN / "likeness-worker", "contact-sheet", "--out", folder / "page.png", "--tile", 128,
        *itertools.chain.from_iterable(("--row", row) for row in sheet))


def cell_name(row):
    return f"{row['setting']}/{row['subject']}-{row['seed']}".replace(" ", "-").replace(",", "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", choices=PLANS)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("study"))
    parser.add_argument("--subjects", choices=SUBJECTS, default="held-out")
    parser.add_argument("--count", type=int, default=8, help="how many of the subjects [8]")
    parser.add_argument("--seeds", type=int, default=3, help="training seeds for each [3]")
    args = parser.parse_args()
    args.out = args.out.resolve()
    folder = args.out / args.plan.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / "rows.jsonl"
    rows = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    done = {(row["setting"], row["subject"], row["seed"]) for row in rows}
    jobs = [(subject, seed, setting) for subject in SUBJECTS[args.subjects][:args.count]
            for seed in range(args.seeds) for setting in PLANS[args.plan]]
    started, made = time.monotonic(), 0
    with service(args.out):
        for number, ((noun, identity), seed, setting) in enumerate(jobs, 1):
            if (setting, f"{noun}-{identity}", seed) in done:
                continue
            flags = PLANS[args.plan][setting]
            photos = flags[0] if flags and isinstance(flags[0], int) else PHOTOS
            subject = Subject(noun, identity, photos, args.out)
            cell = {"setting": setting, "subject": f"{noun}-{identity}", "seed": seed}
            row = do_job(args, subject, seed, setting, [f for f in flags if isinstance(f, str)],
                         folder / cell_name(cell))
            rows.append(row)
            with open(record, "a") as file:
                file.write(json.dumps(row) + "\n")
            made += 1
            left = (time.monotonic() - started) / made * (len(jobs) - number)
            print(f"{number}/{len(jobs)}  {setting}, {noun}-{identity}, seed {seed}: "
                  f"identity {row['identity']:.2f}, first {row['first']:.2f}, scene {row['scene']:.2f}"
                  f"  ({math.ceil(left / 60)} min left)", file=sys.stderr)
    write_tables(rows, folder)
    write_page(rows, folder, args.out)
    if args.plan == "rates":
        write_heat_map(rows, folder)


if __name__ == "__main__":
    main()
