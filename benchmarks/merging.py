#!/usr/bin/env python3
"""What it costs two subjects that their LoRAs become one: identity and scenes of each, alone and by each rule of merging.

    benchmarks/merging.py --out study [--pairs 4]

The LoRAs are trained with the recommended settings, the second of a pair with a word of its own; what --out holds of benchmarks/study.py
and of another run is used. The first subject is the first adapter, whose change an orthogonal merge keeps whole.
"""
import argparse
import json
import pathlib
import shutil
import statistics

from mini_world import BIN, measure, run, service
from study import SUBJECT_PROMPTS, Subject, do_job, score_subject, subject_texts
from study_settings import LORA, PER_PROMPT, PHOTOS, SUBJECTS, TOKEN, Setting, job_folder

RULES = ("sum", "orthogonal")
TOKENS = (TOKEN, "hmv")
SETTINGS = (LORA, Setting((*LORA.flags, f"--rare-token={TOKENS[1]}")))
MOST_RANK = 32  # two LoRAs of rank 16 are one of it, exactly


def trained(subject, setting, out):
    folder = job_folder(out, setting, f"{subject.subject_class}-{subject.seed}", 0)
    if not (folder / "model").exists():
        do_job(out, subject, 0, setting)
    return (folder / "model").read_text()


def merge(models, rule, folder):
    """The name of the model that is both, and how far the second changes what the first does."""
    job = json.loads(run(BIN / "likeness", "export", "mini", "--format=lora", *(f"--adapter={model}" for model in models),
                         f"--merge={rule}", f"--rank={MOST_RANK}", "--out", folder, "--force", "--json"))
    [lora] = folder.rglob("pytorch_lora_weights.safetensors")
    imported = json.loads(run(BIN / "likeness", "import", lora, "--base=mini", f"--rare-token={TOKEN}", "--class=thing", "--json"))
    return imported["name"].split("/")[-1], job["metrics"]["adapter_overlap"]


def drawn(model, subject, token, folder):
    """Identity, as a share of what can be reached, and scenes."""
    shutil.rmtree(folder, ignore_errors=True)
    texts = subject_texts(f"{token} {subject.subject_class}")
    run(BIN / "likeness", "generate", *texts, "--model", model, f"--images={PER_PROMPT}", "--seed=0", "--out", folder)
    found = score_subject(subject, SUBJECT_PROMPTS, measure(folder))
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
            pair = [Subject(*subject, PHOTOS, args.out) for subject in SUBJECTS["held-out"][2 * number:2 * number + 2]]
            models = [trained(subject, setting, args.out) for subject, setting in zip(pair, SETTINGS)]
            overlap = None
            for rule in ("alone", *RULES):
                folder = args.out / "merged" / f"{number}-{rule}"
                if rule != "alone":
                    both, overlap = merge(models, rule, folder / "files")
                for place, (subject, model) in enumerate(zip(pair, models)):
                    row = drawn(model if rule == "alone" else both, subject, TOKENS[place], folder / subject.subject_class)
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
