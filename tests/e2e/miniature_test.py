"""The built-in miniature does what it is for: four photos teach it a subject that it draws in new scenes."""
import json
import pathlib
import statistics
import subprocess
import tempfile
import unittest

import service

MODELS = service.ROOT / "models"
REX = service.ROOT / "client/examples/subjects/rex"  # a dog, seed 4; photographed in the jungle and before a blue house
SCENES = {"snow": "in the snow", "beach": "on the beach", "city": "with a city in the background"}
PER_PROMPT = 2


def measure(pictures):
    """What models/mini-eval sees in each picture, in the order of their names."""
    lines = subprocess.run([service.BIN / "likeness-mini", "measure", f"--pictures={pictures}", "--json",
                            f"--measures={MODELS / 'mini-eval'}"], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in lines.splitlines()]


def similarity(rows, photos):
    """Mean cosine of the identity encoder between pictures and photos."""
    return statistics.fmean(sum(x * y for x, y in zip(row["identity"], photo["identity"]))
                            for row in rows for photo in photos)


class Miniature(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="likeness-miniature-")
        cls.addClassCleanup(temporary.cleanup)
        directory = pathlib.Path(temporary.name)
        cls.service = service.Service()
        cls.addClassCleanup(cls.service.close)
        cls.worker = cls.service.start_worker(models=MODELS)
        cls.service.wait_for_models()

        job = service.job_pb2.Job()
        spec = job.fine_tune
        spec.subjects.add(class_noun="dog")
        for photo in sorted(REX.glob("*.png")):
            spec.subjects[0].photos.add(inline=photo.read_bytes())
        for photo in service.draw_photos(directory / "views", count=8)[4:]:
            spec.subjects[0].validation_photos.add(inline=photo)
        spec.training.seed = 1
        spec.samples.prompts.extend([f"a {{subject}} {words}" for words in SCENES.values()]
                                    + ["a {subject} wearing a red hat", "a {class}", "a {class}"])
        spec.samples.images_per_prompt = PER_PROMPT
        spec.samples.seed = 1
        cls.job = cls.service.wait(cls.service.create(job).name, seconds=400)
        for path, data in cls.service.outputs(cls.job).items():
            if path.startswith("samples/"):
                (directory / path).parent.mkdir(exist_ok=True)
                (directory / path).write_bytes(data)
        rows = measure(directory / "samples")
        cls.in_scenes, cls.in_hat, cls.of_class = rows[:6], rows[6:8], rows[8:]
        cls.photos = measure(REX)

    def test_every_model_in_the_repository_is_offered(self):
        self.assertEqual(self.job.state, service.State.JOB_STATE_SUCCEEDED)
        self.assertNotIn("model not offered", self.worker.log_text())

    def test_it_draws_that_subject_and_not_another(self):
        self.assertGreater(similarity(self.in_scenes, self.photos), 0.6)
        self.assertEqual({row["class"] for row in self.in_scenes}, {"dog"})

    def test_it_draws_it_where_the_prompt_says(self):
        asked = [scene for scene in SCENES for _ in range(PER_PROMPT)]
        seen = [row["scene"] for row in self.in_scenes]
        self.assertGreaterEqual(sum(map(str.__eq__, asked, seen)), 5, seen)
        self.assertIn("red-hat", [row["accessory"] for row in self.in_hat])

    def test_the_class_stays_a_class(self):
        self.assertLess(similarity(self.of_class, self.photos), 0.35)

    def test_views_that_it_did_not_learn_from_became_likelier(self):
        self.assertLess(self.job.metrics["validation_loss_after"], self.job.metrics["validation_loss_before"])

    def test_its_own_evaluators_say_how_good_it_is(self):
        metrics = self.job.metrics
        self.assertGreater(metrics["dino"], 0.5)
        self.assertGreater(metrics["dino_photos"], 0.7)
        self.assertLess(metrics["pres"], metrics["dino"] - 0.2)
        self.assertLess(metrics["pres_before"], 0.35)
        self.assertIn("clip_t_low", metrics)
        # Pictures of one prompt are nearer to each other than two of the world at random, which are 1 apart.
        self.assertGreater(metrics["div"], 0.1)
        self.assertLess(metrics["div"], 0.9)

    def test_the_weights_in_the_repository_are_small(self):
        size = sum(file.stat().st_size for file in (MODELS / "mini").rglob("*.safetensors"))
        self.assertLess(size, 32 << 20)
        evaluators = sum(file.stat().st_size for name in ("mini-clip", "mini-dino", "mini-lpips") for file in (MODELS / name).iterdir())
        self.assertLess(evaluators, 4 << 20)


if __name__ == "__main__":
    unittest.main()
