#!/usr/bin/env python3
"""What it costs two subjects that their LoRAs become one: identity and scenes of each, alone and by each rule of merging.

    benchmarks/merging.py --out study [--pairs 4]

The LoRAs are those of benchmarks/study.py with the recommended settings; what --out holds of them is used, the rest is trained.
The first subject of a pair is the first adapter, whose change an orthogonal merge keeps whole.
"""
import argparse
import json
import pathlib
import shutil
import statistics

from mini_world import BIN, measure, run, service
from study import Subject, do_job, score_subject
from study_settings import LORA, NEW_SCENES, PER_PROMPT, SUBJECTS, TOKEN, WORN, job_folder

RULES = ("sum", "orthogonal")
MOST_RANK = 32  # two LoRAs of rank 16 are one of it, exactly


def trained(subject, out):
    folder = job_folder(out, LORA, f"{subject.subject_class}-{subject.seed}", 0)
    if not (folder / "model").exists():
        do_job(out, subject, 0, LORA)
    return (folder / "model").read_text()


def merge(models, rule, folder):
    """The name of the model that is both, and how far the second changes what the first does."""
    job = json.loads(run(BIN / "likeness", "export", "mini", "--format=lora", *(f"--adapter={model}" for model in models),
                         f"--merge={rule}", f"--rank={MOST_RANK}", "--out", folder, "--force", "--json"))
    [lora] = folder.rglob("pytorch_lora_weights.safetensors")
    imported = json.loads(run(BIN / "likeness", "import", lora, "--base=mini", f"--rare-token={TOKEN}", "--class=thing", "--json"))
    return imported["name"].split("/")[-1], job["metrics"]["adapter_overlap"]


def drawn(model, subject, folder):
    """Identity, as a share of what can be reached, and scenes."""
    shutil.rmtree(folder, ignore_errors=True)
    texts = [f"a {TOKEN} {subject.subject_class} {words}" for words in (NEW_SCENES | WORN).values()]
    run(BIN / "likeness", "generate", *texts, "--model", model, f"--images={PER_PROMPT}", "--seed=0", "--out", folder)
    prompts = [("scene", scene) for scene in NEW_SCENES for _ in range(PER_PROMPT)]
    prompts += [("accessory", thing) for thing in WORN for _ in range(PER_PROMPT)]
    found = score_subject(subject, prompts, measure(folder))
    return {key: found[key] for key in ("identity", "first", "scene", "accessory")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("study"))
    parser.add_argument("--pairs", type=int, default=4)
    args = parser.parse_args()
    args.out = args.out.resolve()
    rows = []
    with service(args.out):
        for number in range(args.pairs):
            pair = [Subject(*subject, 4, args.out) for subject in SUBJECTS["held-out"][2 * number:2 * number + 2]]
            models = [trained(subject, args.out) for subject in pair]
            overlap = None
            for rule in ("alone", *RULES):
                folder = args.out / "merged" / f"{number}-{rule}"
                if rule != "alone":
                    both, overlap = merge(models, rule, folder / "files")
                for place, (subject, model) in enumerate(zip(pair, models)):
                    row = drawn(model if rule == "alone" else both, subject, folder / subject.subject_class)
                    rows.append({"pair": number, "rule": rule, "place": place, "overlap": overlap, **row})
                    print(json.dumps(rows[-1]), flush=True)
    print("\n| | identity, first | second | scenes | accessories |\n|---|---|---|---|---|")
    for rule in ("alone", *RULES):
        of_rule = [row for row in rows if row["rule"] == rule]
        of_place = [[row["identity"] for row in of_rule if row["place"] == place] for place in (0, 1)]
        cells = [f"{statistics.fmean(values):.3f} ({min(values):.2f} to {max(values):.2f})" for values in of_place]
        cells += [f"{statistics.fmean(row[key] for row in of_rule):.2f}" for key in ("scene", "accessory")]
        print(f"| {rule} | {' | '.join(cells)} |")
    print(f"\nOverlap: {statistics.fmean(row['overlap'] for row in rows if row['rule'] == 'sum'):.3f}")


if __name__ == "__main__":
    main()
