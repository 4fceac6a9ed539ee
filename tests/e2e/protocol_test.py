"""benchmarks/protocol.py over a dataset in the published layout, through the real service, with a tiny random model; and the tables of
benchmarks/study.py."""
import contextlib
import csv
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import service

PROTOCOL = service.ROOT / "benchmarks/protocol.py"
PROMPTS = """Classes

subject_name,class
backpack,backpack
dog6,dog

Prompts

Object Prompts
prompt_list = [
'a {0} {1} in the jungle'.format(unique_token, class_token),
'a {0} {1} with a city in the background'.format(unique_token, class_token),
'a cube shaped {0} {1}'.format(unique_token, class_token),
]

Live Subject Prompts
prompt_list = [
'a {0} {1} wearing a red hat'.format(unique_token, class_token),
'a {0} {1} wearing a santa hat'.format(unique_token, class_token),
]
"""


class Protocol(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service(evaluators=True)
        cls.addClassCleanup(cls.service.close)
        cls.service.start_worker()
        cls.service.wait_for_models()
        cls.dataset = cls.service.directory / "dataset"
        for subject in ("backpack", "dog6"):
            service.draw_photos(cls.dataset / subject)
        (cls.dataset / "prompts_and_classes.txt").write_text(PROMPTS)

    def run_protocol(self, out, *flags, dataset=None):
        return subprocess.run([sys.executable, PROTOCOL, dataset or self.dataset, f"--out={out}", f"--server={self.service.address}",
                               "--prompts=2", "--images-per-prompt=1", "--train-flags=--steps=2", "--evaluate-flags=--steps=2", *flags],
                              capture_output=True, text=True, timeout=240,
                              env=os.environ | {"LIKENESS_BUILD_DIR": str(service.BIN.parent)})

    def test_tables_are_made_of_every_subject_and_method_and_a_stopped_run_goes_on(self):
        out = self.service.directory / "protocol"
        first = self.run_protocol(out, "--methods=dreambooth", "--subjects=backpack")
        self.assertEqual(first.returncode, 0, first.stderr)
        methods = "--methods=dreambooth,dreambooth-without-prior,noun-right,noun-none"
        whole = self.run_protocol(out, methods)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        self.assertIn("7/7  noun-none, dog6, seed 0: dino ", whole.stderr, "one of eight was done before")
        self.assertRegex(whole.stderr, r"min gone, about \d+ left")
        for title in ("## Subject and prompt fidelity", "## Prior preservation", "## Class noun"):
            self.assertIn(title, whole.stdout)
        tables = json.loads((out / "tables.json").read_text())
        columns, rows = tables["Subject and prompt fidelity"]
        self.assertEqual(columns, ["", "jobs", "DINO ↑", "CLIP-I ↑", "CLIP-T ↑"])
        self.assertEqual([row[:2] for row in rows], [["real photos", ""], ["DreamBooth", "2"]])
        self.assertRegex(rows[1][2], r"^-?\d\.\d{3} \(-?\d\.\d{3} to -?\d\.\d{3}\)$")
        with open(out / "jobs.csv") as file:
            found = list(csv.DictReader(file))
        self.assertEqual(len(found), 8)
        self.assertTrue(all(float(row["clip_t"]) <= 1 and row["pres_before"] for row in found))
        page = (out / "report.html").read_text()
        self.assertEqual(page.count("<img "), 2 * 2 + 8 * 2)
        again = self.run_protocol(out, methods)
        self.assertEqual((again.returncode, again.stdout, again.stderr), (0, whole.stdout, ""), "nothing is done twice")
        other = self.run_protocol(out, methods, "--images-per-prompt=2")
        self.assertNotEqual(other.returncode, 0)
        self.assertIn("images_per_prompt was 1 and is 2; name another --out", other.stderr)
        for file in ("tables.md", "jobs.csv"):
            self.assertTrue((out / file).exists(), "what was there stays")

    def test_jobs_of_other_settings_have_other_names_and_half_made_folders_are_not_taken_as_whole(self):
        program = """
import argparse, pathlib, sys
sys.path.insert(0, sys.argv[1])
import protocol
photos, out = pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
subject = argparse.Namespace(name="dog6", photos=photos, noun="dog", wrong_noun="cat")
def name(base="a", flags=()):
    return protocol.job_name(argparse.Namespace(base=base, train_flags=list(flags)), "lora", subject, 0)
assert name() == name() and name().startswith("lora-dog6-0-"), name()
assert len({name(), name("b"), name(flags=["--steps=2"])}) == 3
def stopped(*_):
    raise KeyboardInterrupt
copy, protocol.shutil.copytree = protocol.shutil.copytree, lambda source, to: (copy(source, to), stopped())
try:
    protocol.captioned(photos, "a sks", out)
except KeyboardInterrupt:
    assert not out.exists()
protocol.shutil.copytree = copy
assert len(list(protocol.captioned(photos, "a sks", out).glob("*.txt"))) == len(list(photos.iterdir()))
"""
        ran = subprocess.run([sys.executable, "-c", program, PROTOCOL.parent, self.dataset / "dog6", self.service.directory / "captions"],
                             capture_output=True, text=True, env=os.environ | {"LIKENESS_BUILD_DIR": str(service.BIN.parent)})
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_prompts_are_those_of_the_subjects_kind(self):
        out = self.service.directory / "kinds"
        ran = self.run_protocol(out, "--methods=noun-none,dreambooth")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        prompts = {}
        for name in ("dreambooth-dog6-0", "noun-none-dog6-0", "dreambooth-backpack-0"):
            report = json.loads((out / "pictures" / name / "report/evaluation.json").read_text())
            prompts[name] = [row["prompt"] for row in report["pictures"]]
        self.assertEqual(prompts, {"dreambooth-dog6-0": ["a sks dog wearing a red hat", "a sks dog wearing a santa hat"],
                                   "noun-none-dog6-0": ["a sks wearing a red hat", "a sks wearing a santa hat"],
                                   "dreambooth-backpack-0": ["a sks backpack in the jungle",
                                                             "a sks backpack with a city in the background"]})

    def test_what_is_wrong_with_a_dataset_is_named(self):
        odd = self.service.directory / "odd"
        odd.mkdir()
        self.assertIn("prompts_and_classes.txt", self.run_protocol(odd, dataset=odd).stderr)
        shutil.copytree(self.dataset, odd / "more")
        shutil.rmtree(odd / "more/dog6")
        self.assertIn("dog6", self.run_protocol(odd, dataset=odd / "more").stderr)
        alone = self.run_protocol(odd / "out", "--subjects=backpack", "--methods=dreambooth", dataset=odd / "more")
        self.assertEqual(alone.returncode, 0, alone.stderr)
        self.assertIn("there is no subject cat", self.run_protocol(odd, "--subjects=cat").stderr)
        self.assertIn("magic", self.run_protocol(odd, "--methods=magic").stderr)


class Study(unittest.TestCase):
    """What benchmarks/study.py makes of jobs that are done."""

    def setUp(self):
        sys.path.insert(0, str(PROTOCOL.parent))
        self.addCleanup(sys.path.remove, str(PROTOCOL.parent))
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_the_judges_figures_are_those_of_the_subjects_pictures(self):
        import study
        (self.folder / "report").mkdir()
        pictures = [{"prompt": "a sks dog", "dino": .8, "clip_t": .2}, {"prompt": "a sks dog", "dino": .8, "clip_t": .4},
                    {"prompt": "a sks dog in the snow", "dino": .8, "clip_t": .7}, {"prompt": "a dog", "clip_t": .9}]
        (self.folder / "report/evaluation.json").write_text(json.dumps({"pictures": pictures}))
        job = {"metrics": {"dino": .8, "clip_t": .6, "pres": .1, "loss": .05}}
        self.assertEqual(study.judged(job, self.folder), {"dino": .8, "clip_t": (.3 + .7) / 2, "pres": .1})
        self.assertEqual(study.judged({"metrics": {"loss": .05}}, self.folder / "none"), {})

    def test_the_papers_measures_have_a_table_where_jobs_were_judged(self):
        import study_tables
        rows = [{"setting": name, "subject": "dog-21", "seed": seed, "identity": .5, "held-out loss": .0625, "seconds": 3.0}
                for name in ("with prior", "without prior") for seed in (0, 1)]
        with contextlib.redirect_stdout(io.StringIO()):
            study_tables.write_tables("recommended", rows, self.folder)
            unjudged = (self.folder / "table.md").read_text()
            study_tables.write_tables("recommended", [row | ({"dino": .875} if row["setting"] == "with prior" else {}) for row in rows], self.folder)
        self.assertIn("| setting | jobs | identity | held-out loss |", unjudged)
        self.assertIn("| with prior | 2 | 0.50 (0.50 to 0.50) | 0.062 (0.062 to 0.062) |", unjudged)
        self.assertNotIn("DINO", unjudged)
        table = (self.folder / "table.md").read_text()
        self.assertTrue(table.startswith(unjudged))
        self.assertIn("| setting | jobs | DINO |", table)
        self.assertIn("| with prior | 2 | 0.875 (0.875 to 0.875) |\n| without prior | 2 |  |", table)

    def test_what_is_kept_of_the_identity_is_told_of_pairs_of_one_subject_and_seed(self):
        import study_tables
        rows = [{"setting": name, "subject": subject, "seed": 0, "identity": identity, "kilobytes": size}
                for name, size, of in (("DreamBooth", 14000., {"dog-21": .5, "cat-22": 1.}), ("LoRA", 250., {"dog-21": .4, "cat-22": 1.}))
                for subject, identity in of.items()]
        with contextlib.redirect_stdout(io.StringIO()):
            study_tables.write_tables("sizes", rows, self.folder)
        study_tables.write_price(rows, "kilobytes", "kilobytes of a subject", self.folder)
        self.assertIn("| LoRA | 2 | 0.900 (0.800 to 1.000) |", (self.folder / "table.md").read_text())
        self.assertIn("LoRA: 250", (self.folder / "price.svg").read_text())

    def test_a_job_that_failed_is_done_again_and_the_others_are_not(self):
        from resumable import do_all
        done, broken = [], {"b"}

        def do(job):
            if job in broken:
                raise RuntimeError("no memory")
            done.append(job)
            return {"method": "lora", "subject": job, "seed": 0}

        def run():
            with contextlib.redirect_stderr(io.StringIO()) as told:
                wanted = {("lora", job, 0): job for job in ("a", "b", "c")}
                rows, failed = do_all(self.folder / "jobs.jsonl", ("method", "subject", "seed"), wanted, do, (), contextlib.nullcontext())
            return [key[1] for key in rows], failed, told.getvalue()

        names, failed, told = run()
        self.assertEqual((names, failed), (["a", "c"], ["no memory"]))
        self.assertIn("2/3  lora, b, seed 0: no memory", told)
        broken.clear()
        self.assertEqual(run()[:2], (["a", "c", "b"], []))
        self.assertEqual(done, ["a", "c", "b"])
        self.assertEqual(run()[2], "")


if __name__ == "__main__":
    unittest.main()
