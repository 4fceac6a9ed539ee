#!/usr/bin/env python3
"""What it costs two subjects that their adapters become one: identity and scenes of each, alone and by each rule of merging.

    benchmarks/merging.py --out study [--pairs 4] [--method custom_diffusion]

The adapters (LoRAs, or those of Custom Diffusion without a learned word, of which the constrained merge can be made, too) are trained with
the recommended settings, the second of a pair with a word of its own; what --out holds of benchmarks/study.py and of another run is used.
The first subject is the first adapter, whose change an orthogonal merge keeps whole.
"""
import argparse
import dataclasses
import json
import pathlib
import shutil
import statistics

from mini_world import BIN, measure, run, service
from study import SUBJECT_PROMPTS, Subject, do_job, score_subject, subject_texts
from study_settings import LORA, PER_PROMPT, PHOTOS, SUBJECTS, TOKEN, Setting, job_folder

TOKENS = (TOKEN, "hmv")


@dataclasses.dataclass(frozen=True)
class Method:
    setting: Setting
    rules: tuple
    rank: int  # of a LoRA that holds two adapters exactly

    def settings(self):
        return self.setting, Setting((*self.setting.flags, f"--rare-token={TOKENS[1]}"))


CUSTOM_DIFFUSION = Setting(("--method=custom_diffusion", "--no-train-token"))
METHODS = {"lora": Method(LORA, ("sum", "orthogonal"), 32),
           "custom_diffusion": Method(CUSTOM_DIFFUSION, ("sum", "orthogonal", "constrained"), 128)}


def trained(subject, setting, out):
    folder = job_folder(out, setting, f"{subject.subject_class}-{subject.seed}", 0)
    if not (folder / "model").exists():
        do_job(out, subject, 0, setting)
    return (folder / "model").read_text()


def merge(models, rule, rank, folder):
    """The name of the model that is both, and what the job says of the merge."""
    job = json.loads(run(BIN / "likeness", "export", "mini", "--format=lora", *(f"--adapter={model}" for model in models),
                         f"--merge={rule}", f"--rank={rank}", "--out", folder, "--force", "--json"))
    [lora] = folder.rglob("pytorch_lora_weights.safetensors")
    imported = json.loads(run(BIN / "likeness", "import", lora, "--base=mini", f"--rare-token={TOKEN}", "--class=thing", "--json"))
    figures = {key: value for key, value in job["metrics"].items() if key.startswith(("adapter_", "merge_"))}
    return imported["name"].split("/")[-1], figures


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
    parser.add_argument("--method", choices=METHODS, default="lora")
    args = parser.parse_args()
    method = METHODS[args.method]
    args.out = args.out.resolve()
    rows = []
    with service(args.out):
        for number in range(args.pairs):
            pair = [Subject(*subject, PHOTOS, args.out) for subject in SUBJECTS["held-out"][2 * number:2 * number + 2]]
            models = [trained(subject, setting, args.out) for subject, setting in zip(pair, method.settings())]
            figures = {}
            for rule in ("alone", *method.rules):
                folder = args.out / f"merged-{args.method}" / f"{number}-{rule}"
                if rule != "alone":
                    both, figures = merge(models, rule, method.rank, folder / "files")
                for place, (subject, model) in enumerate(zip(pair, models)):
                    row = drawn(model if rule == "alone" else both, subject, TOKENS[place], folder / subject.subject_class)
                    rows.append({"pair": number, "rule": rule, "place": place, **figures, **row})
                    print(json.dumps(rows[-1]), flush=True)
    print("\n| | identity, first | second | scenes | accessories |\n|---|---|---|---|---|")
    for rule in ("alone", *method.rules):
        of_rule = [row for row in rows if row["rule"] == rule]
        of_place = [[row["identity"] for row in of_rule if row["place"] == place] for place in (0, 1)]
        cells = [f"{statistics.fmean(values):.3f} ({min(values):.2f} to {max(values):.2f})" for values in of_place]
        cells += [f"{statistics.fmean(row[key] for row in of_rule):.2f}" for key in ("scene", "accessory")]
        print(f"| {rule} | {' | '.join(cells)} |")
    print(f"\nOverlap: {statistics.fmean(row['adapter_overlap'] for row in rows if row['rule'] == 'sum'):.3f}")


if __name__ == "__main__":
    main()
