#!/usr/bin/env python3
"""A study of DreamBooth on the miniature model: subjects x seeds x settings, through the real service.

    benchmarks/study.py recommended --out study

starts likeness-server and likeness-worker on loopback, trains every subject with every setting of the plan, and measures
what was drawn with models/mini-eval; beside it stand the figures of the job's own judge (docs/evaluation.md), which the paper's
tables have. Each job leaves a line in <out>/jobs.jsonl; a job that has one is not done again, so a study that was stopped goes on
where it was, and plans share what they have in common. In the end <out>/<plan>/ holds table.md, table.csv and page.png, for the
plan `steps` also overfitting.svg, for `rates` heat-map.svg.

Settings are chosen with --subjects tuning, and reported with --subjects held-out (the default).
"""
import argparse
import dataclasses
import functools
import itertools
import json
import pathlib
import shutil
import statistics
import sys

from intervals import cell
from mini_world import ACCESSORIES, BIN, MODEL, SCENES, captioned, dot, draw_subject, mean_vector, measure, run, service, spread
from protocol_report import to_markdown, write_csv
from resumable import do_all

# (class, seed of the identity). The two sets share no subject.
SUBJECTS = {
    "tuning": [("dog", 4), ("teapot", 5), ("robot", 6), ("cat", 7)],
    "held-out": [("dog", 21), ("cat", 22), ("duck", 23), ("robot", 24),
                 ("car", 25), ("boat", 26), ("teapot", 27), ("backpack", 28)],
}
DISTRACTORS = 39      # other identities of the class, among which the subject is to be found
FIRST_DISTRACTOR = 1000
PHOTOS = 4            # learned from, unless the number is what is varied
MOST_PHOTOS = 6
VIEWS = 4             # of the subject, held out: what can be reached, and the loss on what was not learned

# Scenes that no photo of draw-subject shows, and something to wear.
NEW_SCENES = {name: SCENES[name] for name in ("snow", "beach", "city", "cobblestones", "pink-fabric")}
WORN = {name: ACCESSORIES[name] for name in ("red-hat", "black-top-hat")}  # what every class can wear
TOKEN = json.loads((MODEL / "likeness_defaults.json").read_text())["fine_tune"]["subjects"][0]["token"]
PER_PROMPT = 2
OF_CLASS = 8          # pictures of "a dog"
PROMPTS_SHOWN = len(NEW_SCENES | WORN) + 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is done to a subject."""
    flags: tuple = ()        # of `likeness train`
    photos: int = PHOTOS     # learned from
    noun: str = ""           # said instead of the subject's class; NO_NOUN for none at all
    trained: bool = True     # or the base model is asked for its class

    def slug(self):
        """Names the setting in the record and in the file system, whatever a plan calls it."""
        parts = [flag.strip("-") for flag in self.flags]
        parts += [f"{self.photos}-photos"] * (self.photos != PHOTOS) + [f"noun-{self.noun}"] * (self.noun != "")
        parts += ["untrained"] * (not self.trained)
        return "_".join(parts).replace("=", "-") or "recommended"  # contact-sheet takes no = in a path


NO_NOUN = "none"
RECOMMENDED = Setting()
WITHOUT_PRIOR = Setting(("--no-prior",))

# What a plan varies: a name for each setting.
PLANS = {
    "recommended": {"before training": Setting(trained=False), "with prior": RECOMMENDED, "without prior": WITHOUT_PRIOR},
    "tower": {"UNet and text encoder": RECOMMENDED, "UNet only": Setting(("--no-train-text-encoder",)),
              "UNet only, 5e-4": Setting(("--no-train-text-encoder", "--learning-rate=5e-4"))},
    "steps": {f"{n} steps": RECOMMENDED if n == 200 else Setting((f"--steps={n}",)) for n in (50, 100, 200, 400, 800)},
    "rates": {f"{rate:g} x {n}": Setting((f"--learning-rate={rate}", f"--steps={n}"))
              for rate in (5e-5, 1e-4, 2e-4, 4e-4) for n in (100, 200, 400)},
    "photos": {f"{n} photo{'s' * (n > 1)}": Setting(photos=n) for n in (1, 2, 3, 4, 5, 6)},
    "methods": {"DreamBooth": RECOMMENDED, "LoRA, rank 16": Setting(("--method=lora",)),
                "LoRA, rank 4": Setting(("--method=lora", "--rank=4")),
                "DoRA, rank 16": Setting(("--method=lora", "--variant=dora")),
                "LoHa, rank 16": Setting(("--method=lora", "--variant=loha")),
                "LoKr, rank 16": Setting(("--method=lora", "--variant=lokr")),
                "pivotal tuning": Setting(("--method=pivotal_tuning",)),
                "hypernetwork": Setting(("--method=hypernetwork",)),
                "Custom Diffusion": Setting(("--method=custom_diffusion",)),
                "SVDiff": Setting(("--method=svdiff",)),
                "Textual Inversion": Setting(("--method=textual_inversion",))},
    "class noun": {"right": RECOMMENDED, "wrong": Setting(noun="wrong"),
                   "right, without prior": WITHOUT_PRIOR, "none, without prior": Setting(("--no-prior",), noun=NO_NOUN)},
}
WRONG_NOUN = {"dog": "boat", "cat": "car", "duck": "teapot", "robot": "backpack",
              "car": "cat", "boat": "dog", "teapot": "duck", "backpack": "robot"}


# What the job's judge says of the subject's pictures, and of the class.
JUDGED = {"dino": "DINO", "dino_photos": "DINO, photos", "clip_i": "CLIP-I", "clip_i_photos": "CLIP-I, photos", "clip_t": "CLIP-T",
          "pres": "PRES", "pres_before": "PRES before", "div": "DIV", "copied_images": "copied"}


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


def do_job(args, subject, seed, setting, folder):
    noun = subject.subject_class
    prompts = ([("scene", scene) for scene in NEW_SCENES for _ in range(PER_PROMPT)]
               + [("accessory", thing) for thing in WORN for _ in range(PER_PROMPT)]
               + [("class", None)] * OF_CLASS)
    before = args.out / "before" / f"{noun}-{seed}"
    if not before.exists():
        draw("mini", f"a {noun}", OF_CLASS, seed, before)
    shutil.rmtree(folder, ignore_errors=True)
    said = {"": "{subject}", NO_NOUN: TOKEN}.get(setting.noun, "{subject}") if setting.trained else noun
    texts = [f"a {said} {words}" for words in (NEW_SCENES | WORN).values()] + [f"a {noun}"] * (OF_CLASS // PER_PROMPT)
    row = {}
    if setting.trained:
        photos = subject.photos
        if setting.noun == NO_NOUN:
            photos = captioned(photos, f"a {TOKEN}", photos.with_name(photos.name + "-captioned"))
        told = run(
            BIN / "likeness", "train", f"--class={WRONG_NOUN[noun] if setting.noun == 'wrong' else noun}",
            "--photos", photos, "--validation", subject.views, "--base", "mini", "--seed", seed,
            f"--images-per-prompt={PER_PROMPT}", *(f"--prompt={text}" for text in texts), "--wait", "--json",
            "--out", folder, *setting.flags)
        job = json.loads(told)
        kept = sum(int(output["sizeBytes"]) for output in job["outputs"] if output["kind"] == "OUTPUT_KIND_MODEL_FILE")
        row = {"held-out loss": job["metrics"]["validation_loss_after"], "kilobytes": kept / 1000,
               "training seconds": job["metrics"]["training_seconds"], **judged(job, folder)}
    else:
        for i, text in enumerate(texts):
            draw("mini", text, PER_PROMPT, seed + PER_PROMPT * i, folder / f"{i:02d}")
            (folder / "samples").mkdir(exist_ok=True)
            for picture in sorted((folder / f"{i:02d}").glob("*.png")):
                picture.rename(folder / "samples" / f"{i:02d}-{picture.name}")
    return {"setting": setting.slug(), "subject": f"{noun}-{subject.seed}", "seed": seed, **row,
            **score(subject, prompts, folder / "samples", measure(before))}


def write_tables(rows, folder):
    write_csv(rows, folder / "table.csv")
    # Times tell more of the machine's other work than of the setting, except between methods that ran side by side.
    untold = {"setting", "subject", "seed", "seconds", *JUDGED}
    untold |= set() if folder.name == "methods" else {"training seconds", "kilobytes"}
    there = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    settings = {name: [row for row in rows if row["setting"] == name] for name in dict.fromkeys(row["setting"] for row in rows)}

    def table(columns, digits):
        return ["setting", "jobs", *columns.values()], [
            [name, str(len(mine)), *(cell(mine, key, digits(key)) for key in columns)] for name, mine in settings.items()]

    shown = {"By the world's own labels": table({key: key for key in there if key not in untold},
                                                lambda key: 3 if key == "held-out loss" else 2)}
    measured = {key: name for key, name in JUDGED.items() if key in there}
    if measured:
        shown["By the paper's measures"] = table(measured, lambda key: 3)
    (folder / "table.md").write_text(to_markdown(shown))
    print(to_markdown(shown))


def write_heat_map(rows, folder):
    """Identity times scene for each learning rate and number of steps, of the plan `rates`."""
    mean = {}
    for setting in dict.fromkeys(row["setting"] for row in rows):
        mine = [row["identity"] * row["scene"] for row in rows if row["setting"] == setting]
        mean[tuple(map(float, setting.split(" x ")))] = statistics.fmean(mine)
    rates, steps = (sorted({key[i] for key in mean}) for i in (0, 1))
    low, high = min(mean.values()), max(mean.values())
    tile = "<rect x='{x}' y='{y}' width='96' height='56' fill='hsl({hue:.0f},60%,62%)'/>" \
           "<text x='{tx}' y='{ty}' text-anchor='middle'>{value:.2f}</text>"
    label = "<text x='{}' y='{}' text-anchor='{}'>{}</text>"
    parts = [label.format(20, 28, "start", "Identity x scene; rate down, steps across")]
    for row, rate in enumerate(rates):
        parts.append(label.format(84, 108 + 60 * row, "end", f"{rate:g}"))
        for column, count in enumerate(steps):
            x, y, value = 96 + 100 * column, 74 + 60 * row, mean[rate, count]
            parts.append(tile.format(x=x, y=y, tx=x + 48, ty=y + 34, hue=20 + 110 * (value - low) / (high - low), value=value))
    parts += [label.format(144 + 100 * column, 60, "middle", f"{count:g}") for column, count in enumerate(steps)]
    (folder / "heat-map.svg").write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{110 + 100 * len(steps)}' height='{90 + 60 * len(rates)}' "
        "font-family='sans-serif' font-size='15'><rect width='100%' height='100%' fill='white'/>"
        + "".join(parts) + "</svg>\n")


def write_overfitting(rows, folder):
    """Identity, scenes, accessories and held-out loss against steps, of the plan `steps`, one below the other; where the loss
    is least stands a line."""
    settings = list(dict.fromkeys(row["setting"] for row in rows))
    curves = {key: [statistics.fmean(row[key] for row in rows if row["setting"] == setting) for setting in settings]
              for key in ("identity", "scene", "accessory", "held-out loss")}
    least = curves["held-out loss"].index(min(curves["held-out loss"]))
    x = [150 + 120 * i for i in range(len(settings))]
    line = "<polyline points='{}' fill='none' stroke='{}' stroke-width='3'/>"
    label = "<text x='{}' y='{:.0f}' text-anchor='{}' fill='{}'>{}</text>"
    parts = [f"<line x1='{x[least]}' x2='{x[least]}' y1='46' y2='420' stroke='#999' stroke-dasharray='4 4'/>",
             label.format(x[least] + 6, 58, "start", "#666", "least held-out loss"),
             label.format(20, 28, "start", "black", "Steps: the subject, what was asked for, and the loss on held-out photos")]
    for strip, ((key, values), colour) in enumerate(zip(curves.items(), ("#1565c0", "#2e7d32", "#6a1b9a", "#c62828"))):
        low, high = (0.5, 1.05) if key != "held-out loss" else (0, 1.1 * max(values))
        bottom = 145 + 90 * strip
        points = [(x[i], bottom - 60 * (value - low) / (high - low)) for i, value in enumerate(values)]
        parts.append(line.format(" ".join(f"{px},{py:.0f}" for px, py in points), colour))
        parts += [label.format(px, py - 8, "middle", colour, f"{value:.2f}" if low else f"{value:.3f}")
                  for (px, py), value in zip(points, values)]
        parts.append(label.format(20, bottom - 24, "start", colour, key))
    parts += [label.format(x[i], 440, "middle", "black", setting) for i, setting in enumerate(settings)]
    (folder / "overfitting.svg").write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{x[-1] + 70}' height='460' font-family='sans-serif' "
        "font-size='15'><rect width='100%' height='100%' fill='white'/>" + "".join(parts) + "</svg>\n")


def write_page(rows, settings, folder, out):
    """The photos of each subject, and under them, for each setting, a picture of each prompt, then three of "a dog"; the
    first seed."""
    sheet = []
    for name in dict.fromkeys(row["subject"] for row in rows):
        photos = out / "subjects" / name / f"{MOST_PHOTOS}-photos"
        sheet.append(f"{name}, its photos=" + ",".join(map(str, sorted(photos.iterdir()))))
        for row in rows:
            if row["subject"] == name and row["seed"] == 0:
                samples = sorted((job_folder(out, settings[row["setting"]], name, 0) / "samples").glob("*.png"))
                sheet.append(f"{row['setting']}=" + ",".join(map(str, samples[:PER_PROMPT * PROMPTS_SHOWN:PER_PROMPT])))
    run(BIN / "likeness-worker", "contact-sheet", "--out", folder / "page.png", "--tile", 96,
        *itertools.chain.from_iterable(("--row", row) for row in sheet))


def job_folder(out, setting, subject, seed):
    return out / "jobs" / setting.slug() / f"{subject}-{seed}"


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
        subject = Subject(noun, identity, setting.photos, args.out)
        return do_job(args, subject, seed, setting, job_folder(args.out, setting, f"{noun}-{identity}", seed))

    done, failed = do_all(args.out / "jobs.jsonl", ("setting", "subject", "seed"), wanted, do,
                          ("identity", "first", "scene", "dino"), service(args.out))
    if failed:
        sys.exit(1)
    rows = [done[key] | {"setting": name} for key, (name, *_) in wanted.items()]
    folder = args.out / args.plan.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    write_tables(rows, folder)
    write_page(rows, settings, folder, args.out)
    if args.plan == "rates":
        write_heat_map(rows, folder)
    if args.plan == "steps":
        write_overfitting(rows, folder)


if __name__ == "__main__":
    main()
