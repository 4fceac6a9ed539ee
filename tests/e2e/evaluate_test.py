"""Judging over the real service: by default in a fine-tune, and as a job of its own."""
import io
import json
import subprocess
import tempfile
import unittest

import numpy
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import service
from likeness.v1 import capabilities_service_pb2, judge_pb2, output_pb2
from service import State, job_pb2

PROBE = service.BIN.parent / "tests/parity/likeness_evaluator_probe"
MEASURED = {"dino", "dino_photos", "clip_i", "clip_i_photos", "clip_t", "pres", "pres_before", "copying_max", "copied_images"}


class Evaluate(service.JobTest):
    SERVICE = {"evaluators": True}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.job = cls.service.create(service.fine_tune_job(cls.photos), job_id="rex")
        cls.events = list(cls.service.watch(cls.job.name))
        cls.trained = cls.service.get(cls.job.name)

    def judgement(self, **settings):
        job = job_pb2.Job()
        job.evaluate.model.name = self.trained.output_model
        for photo in self.photos:
            job.evaluate.photos.add(inline=photo)
        job.evaluate.prompts.extend(["a {subject} in the snow", "a zwx dog"])
        job.evaluate.images_per_prompt = 2
        job.evaluate.seed = 3
        for field, value in settings.items():
            setattr(job.evaluate, field, value)
        return job

    def probe(self, kind, files, key):
        """What the worker's DINO makes of picture files."""
        images = torch.from_numpy(numpy.stack([numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]))
        with tempfile.TemporaryDirectory() as folder:
            save_file({"images": images.contiguous()}, f"{folder}/in")
            subprocess.run([PROBE, kind, self.service.models / "evaluators/tiny-dino", f"{folder}/in", f"{folder}/out"], check=True)
            return load_file(f"{folder}/out")[key]

    def test_the_worker_offers_what_it_can_measure(self):
        offered, = self.service.capabilities.GetCapabilities(capabilities_service_pb2.GetCapabilitiesRequest()).base_models
        self.assertEqual(set(offered.evaluators), {"tiny-clip", "tiny-dino", "tiny-lpips"})
        self.assertEqual(len(offered.measures), 8)
        self.assertTrue(offered.fine_tune_defaults.judge.enabled)

    def test_a_fine_tune_is_judged_unless_it_says_otherwise(self):
        self.assertEqual(self.trained.state, State.JOB_STATE_SUCCEEDED, self.trained)
        self.assertLessEqual(MEASURED, set(self.trained.metrics))
        self.assertTrue(self.trained.resolved.fine_tune.judge.enabled)
        phases = {phase for event in self.events if event.HasField("progress") for phase in event.progress.phases}
        self.assertIn(job_pb2.JOB_PHASE_JUDGING, phases)
        report = json.loads(self.service.outputs(self.trained)["report/evaluation.json"])
        self.assertEqual([row["path"] for row in report["pictures"]], ["samples/0000.png", "samples/0001.png"])
        # The second is of "a dog": only how far it follows its prompt is judged.
        figures = [set(row) & {"dino", "clip_i", "copying", "copied", "clip_t"} for row in report["pictures"]]
        self.assertEqual(figures, [{"dino", "clip_i", "copying", "copied", "clip_t"}, {"clip_t"}])
        self.assertEqual(self.trained.metrics["dino"], report["pictures"][0]["dino"])
        self.assertFalse({"best", "worst"} & set(report), "of one picture there is no best")

        silent = service.fine_tune_job(self.photos)
        silent.fine_tune.judge.enabled = False
        unjudged = self.end(silent)
        self.assertEqual(unjudged.state, State.JOB_STATE_SUCCEEDED, unjudged)
        self.assertFalse(MEASURED & set(unjudged.metrics))
        # Nothing that is judged has any part in what is trained.
        files = [{path: data for path, data in self.service.outputs(job).items() if path.startswith("model/")}
                 for job in (self.trained, unjudged)]
        self.assertEqual(*files)

    def test_a_job_judges_a_model(self):
        done = self.end(self.judgement())
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertLessEqual(MEASURED | {"div", "dino_low", "dino_high", "judging_seconds"}, set(done.metrics))
        self.assertLessEqual(done.metrics["dino_low"], done.metrics["dino"])
        outputs = self.service.outputs(done)
        report = json.loads(outputs["report/evaluation.json"])
        self.assertEqual(len(report["pictures"]), 4)
        self.assertEqual(sum(path.endswith(".png") for path in outputs), 4)
        again = self.end(self.judgement())
        figures = [{name: job.metrics[name] for name in report["metrics"]} for job in (done, again)]
        self.assertEqual(*figures, "equal jobs give equal figures, intervals included")

    def test_figures_are_those_of_the_pictures_as_they_are_stored(self):
        done = self.end(self.judgement())
        outputs = self.service.outputs(done)
        report = json.loads(outputs["report/evaluation.json"])

        pictures = self.probe("vit", [outputs[row["path"]] for row in report["pictures"]], "embeddings")
        photos = self.probe("vit", self.photos, "embeddings")
        for row, cosines in zip(report["pictures"], pictures @ photos.T):
            self.assertAlmostEqual(row["dino"], cosines.mean().item(), places=5)
            self.assertAlmostEqual(row["copying"], cosines.max().item(), places=5)

    def test_measures_and_evaluators_can_be_chosen(self):
        job = self.judgement()
        job.evaluate.measures.append(judge_pb2.MEASURE_CLIP_T)
        done = self.end(job)
        self.assertIn("clip_t", done.metrics)
        self.assertNotIn("dino", done.metrics)
        job.evaluate.evaluators.append("tiny-dino")
        failed = self.end(job)
        self.assertEqual((failed.state, failed.attempt), (State.JOB_STATE_FAILED, 1), failed)
        self.assertEqual(service.error_reason(failed.error), "EVALUATOR_MISSING")
        del job.evaluate.measures[:]
        job.evaluate.evaluators[0] = "tiny-vit"
        with self.assertRaises(service.grpc.RpcError) as refused:
            self.service.create(job)
        self.assertIn('has the evaluator "tiny-vit", which job.evaluate.evaluators[0] needs', refused.exception.details())

    def test_without_the_subject_in_a_prompt_its_likeness_is_not_judged(self):
        job = self.judgement()
        job.evaluate.prompts[:] = ["a dog", "a dog in the snow"]
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertLessEqual({"clip_t", "pres", "pres_before"}, set(done.metrics))
        self.assertFalse({"dino", "clip_i", "div", "copying_max", "best_image"} & set(done.metrics), done.metrics)
        self.assertTrue(any('names the subject, "zwx"' in warning for warning in done.warnings), done.warnings)
        job.evaluate.measures.append(judge_pb2.MEASURE_DINO)
        failed = self.end(job)
        self.assertEqual((failed.state, failed.attempt), (State.JOB_STATE_FAILED, 1), failed)
        self.assertIn("MEASURE_DINO", failed.error.message)

    def test_parts_of_the_subject_are_looked_for(self):
        side = Image.open(io.BytesIO(self.photos[0])).width
        mask = numpy.zeros((side, side), numpy.uint8)
        mask[:, :side // 2] = 255
        job = self.judgement()
        for photo in list(job.evaluate.photos)[:2]:
            photo.mask.inline = service.png(Image.fromarray(mask))
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        outputs = self.service.outputs(done)
        report = json.loads(outputs["report/evaluation.json"])

        drawn = self.probe("vit_patches", [outputs[row["path"]] for row in report["pictures"]], "patches")
        # Of the grid of 4 x 4 patches the left half.
        subjects = self.probe("vit_patches", self.photos[:2], "patches").unflatten(1, (4, 4))[:, :, :2].flatten(1, 2)
        for row, picture in zip(report["pictures"], drawn):
            found = [(subject @ picture.T).max(1).values.mean() for subject in subjects]
            self.assertAlmostEqual(row["masc"], (sum(found) / 2).item(), places=5)
        self.assertIn("masc_photos", done.metrics)
        self.assertNotIn("masc", self.end(self.judgement()).metrics)

    def test_photos_rank_among_look_alikes(self):
        others = service.draw_photos(self.service.directory / "others", count=4, seed=9)
        job = self.judgement()
        for photo in others + self.photos[:1]:  # a photo is no look-alike
            job.evaluate.gallery.add(inline=photo)
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertIn(judge_pb2.MEASURE_RANK, done.resolved.evaluate.measures)
        report = json.loads(self.service.outputs(done)["report/evaluation.json"])
        ranks = [row["rank"] for row in report["pictures"]]
        self.assertTrue(all(1 <= rank <= 5 for rank in ranks), ranks)
        self.assertAlmostEqual(done.metrics["rank_first"], sum(rank == 1 for rank in ranks) / 4)
        self.assertAlmostEqual(done.metrics["rank_reciprocal"], sum(1 / rank for rank in ranks) / 4)
        self.assertAlmostEqual(done.metrics["rank_first_chance"], 3 / 7)
        del job.evaluate.gallery[:]
        self.assertNotIn("rank_first", self.end(job).metrics)
        # A photo that cannot be used is named by its place.
        box = job.evaluate.gallery.add(inline=others[0]).crop_box
        box.width = box.height = 10_000
        failed = self.end(job)
        self.assertIn("gallery[0]", failed.error.message)

    def check_that_all_is_withheld(self, job, pictures):
        created = self.service.create(job)
        shown = [event.sample for event in self.service.watch(created.name) if event.HasField("sample")]
        done = self.service.get(created.name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertEqual(shown, [])
        kinds = {output.kind for output in done.outputs}
        self.assertFalse(kinds & {output_pb2.OUTPUT_KIND_IMAGE, output_pb2.OUTPUT_KIND_PREVIEW}, done.outputs)
        outputs = self.service.outputs(done)
        self.assertEqual(outputs["report/index.html"].count(b"<img "), len(self.photos))
        report = json.loads(outputs["report/evaluation.json"])
        self.assertEqual([("path" in row, row["withheld"]) for row in report["pictures"]], [(False, True)] * pictures)
        self.assertTrue(all("clip_t" in row for row in report["pictures"]), "what is withheld is judged")
        self.assertFalse({"best", "worst"} & set(report) | {"best_image", "worst_image"} & set(done.metrics))
        return done

    def test_pictures_that_the_safety_checker_objects_to_are_withheld(self):
        import torch
        from safetensors.torch import load_file, save_file
        weights = self.service.models / "evaluators/tiny-safety-checker/model.safetensors"

        def draw():
            done = self.end(service.generate_job(["a dog", "a cat"], seed=5, steps=2, images_per_prompt=2, safety_check=True))
            self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
            return done

        self.assertEqual((len(draw().outputs), len(draw().warnings)), (4, 0))
        tensors, aside = load_file(weights), weights.with_suffix(".before")
        weights.rename(aside)  # the worker has it mapped
        self.addCleanup(aside.replace, weights)
        tensors["concept_embeds_weights"] = torch.full((17,), -2.0)  # sees every concept in every picture
        save_file(tensors, weights)
        done = draw()
        self.assertEqual(len(done.outputs), 0)
        withheld = [warning for warning in done.warnings if "withheld" in warning]
        self.assertEqual(len(withheld), 4, done.warnings)
        for prompt, seed in (("a dog", 5), ("a dog", 6), ("a cat", 7), ("a cat", 8)):
            self.assertTrue(any(f'"{prompt}", seed {seed}' in warning for warning in withheld), withheld)
        self.check_that_all_is_withheld(self.judgement(), pictures=4)
        training = service.fine_tune_job(self.photos)
        training.fine_tune.previews.every_steps = 1
        done = self.check_that_all_is_withheld(training, pictures=2)
        self.assertTrue(any("a preview is withheld" in warning for warning in done.warnings), done.warnings)
        last = done.progress.measurements  # previews are judged before they are withheld
        self.assertEqual(last.score_step, done.resolved.fine_tune.training.steps)
        self.assertTrue(last.HasField("subject_score") and last.HasField("prompt_score"), last)
        self.assertTrue(any(output.path.startswith("model/") for output in done.outputs))
        config = weights.parent / "config.json"
        text = config.read_text()
        self.addCleanup(config.write_text, text)
        config.unlink()
        failed = self.end(service.generate_job(["a dog"], safety_check=True))
        self.assertEqual((failed.state, failed.attempt), (State.JOB_STATE_FAILED, 1), failed)
        self.assertNotIn(str(self.service.directory), failed.error.message)

    def test_a_judge_that_is_asked_for_must_be_there(self):
        job = service.fine_tune_job(self.photos)
        job.fine_tune.judge.evaluators.append("tiny-dino")
        job.fine_tune.judge.measures.append(judge_pb2.MEASURE_CLIP_T)
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertTrue(any("not judged" in warning for warning in done.warnings), done.warnings)
        job.fine_tune.judge.enabled = True
        failed = self.end(job)
        self.assertEqual(service.error_reason(failed.error), "EVALUATOR_MISSING", failed)

    def test_a_judge_that_cannot_be_loaded_is_told_before_anything_is_drawn(self):
        config = self.service.models / "evaluators/tiny-dino/preprocessor_config.json"
        text = config.read_text()
        config.unlink()
        self.addCleanup(config.write_text, text)
        job = service.fine_tune_job(self.photos)
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        warning, = [warning for warning in done.warnings if "not judged" in warning]
        self.assertIn("tiny-dino", warning)
        self.assertIn("model/unet/diffusion_pytorch_model.safetensors", [output.path for output in done.outputs])
        job.fine_tune.judge.enabled = True
        for asked in (job, self.judgement()):
            created = self.service.create(asked)
            phases = {event.progress.phase for event in self.service.watch(created.name) if event.HasField("progress")}
            self.assertFalse(phases & {job_pb2.JOB_PHASE_TRAINING, job_pb2.JOB_PHASE_SAMPLING}, phases)
            failed = self.service.get(created.name)
            self.assertEqual((failed.state, failed.attempt), (State.JOB_STATE_FAILED, 1), failed)
            self.assertIn("tiny-dino", failed.error.message)
            self.assertNotIn(str(self.service.directory), failed.error.message)

    def test_judging_that_is_asked_for_without_samples_is_a_warning(self):
        job = service.fine_tune_job(self.photos)
        job.fine_tune.judge.enabled = True
        job.fine_tune.samples.ClearField("prompts")
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertTrue(any("draws no samples" in warning for warning in done.warnings), done.warnings)

    def test_the_command_line_says_how_good_it_is(self):
        out = self.service.directory / "judged"
        others = self.service.directory / "look-alikes"
        service.draw_photos(others, count=2, seed=11)
        model = self.trained.output_model.split("/")[-1]
        ran = subprocess.run([service.BIN / "likeness", "evaluate", model, f"--photos={self.photo_dir}", f"--server={self.service.address}",
                              f"--gallery={others}", "--images=2", "--seed=1", "--steps=2", f"--out={out}", "a {subject} in the snow", "a {subject}"],
                             capture_output=True, text=True, timeout=120)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        for text in ("recognised ", "your photos among themselves", "followed ", "before training", "copied", "told from look-alikes"):
            self.assertIn(text, ran.stdout)
        self.assertTrue((out / "report/evaluation.json").exists())
        self.assertTrue((out / "samples/0003.png").exists())

    def test_the_report_is_one_page_of_every_job(self):
        page = self.service.directory / "rex.html"
        subprocess.run([service.BIN / "likeness", "report", "rex", f"--server={self.service.address}", f"--out={page}"], check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        text = page.read_text()
        self.assertEqual(text.count("<img "), 3 + 2 + 8)  # photos, pictures, the class before and after
        for part in ("zwx dog", "subject (DINO)", "<path d=", "trainTextEncoder"):
            self.assertIn(part, text)
        self.assertNotIn("<script", text)


if __name__ == "__main__":
    unittest.main()
