"""MaSC over the real service: parts of the subject among SigLIP's patches, and what is around it beside the prompt."""
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
from likeness.v1 import capabilities_service_pb2, judge_pb2
from networks import finds_left
from service import State, job_pb2

PROBE = service.BIN.parent / "tests/parity/likeness_evaluator_probe"


class Masc(service.JobTest):
    SERVICE = {"evaluators": True}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.siglip = cls.service.models / "evaluators/tiny-siglip"
        segmenter = cls.service.models / "evaluators/segmenter"
        with tempfile.TemporaryDirectory() as unused:
            subprocess.run([service.BIN / "likeness-tiny-model", f"{unused}/model", f"{unused}/evaluators", cls.siglip], check=True)
        segmenter.mkdir()
        (segmenter / "config.json").write_text(json.dumps({"model_type": "u2net"}))
        cls.network = segmenter / "model.onnx"
        cls.network.write_bytes(finds_left(0.5))
        cls.service.start_worker(name="has-siglip")
        cls.worker.terminate()  # found none when it started
        service.wait_until(cls.offers_siglip, what="a worker that has SigLIP")
        job = cls.service.create(service.fine_tune_job(cls.photos), job_id="rex")
        list(cls.service.watch(job.name))
        cls.trained = cls.service.get(job.name)

    @classmethod
    def offers_siglip(cls):
        models = cls.service.capabilities.GetCapabilities(capabilities_service_pb2.GetCapabilitiesRequest()).base_models
        return any("tiny-siglip" in model.evaluators for model in models)

    def judged(self, *evaluators):
        side = Image.open(io.BytesIO(self.photos[0])).width
        self.mask = numpy.zeros((side, side), numpy.uint8)
        self.mask[:, :side // 2] = 255
        job = job_pb2.Job()
        job.evaluate.model.name = self.trained.output_model
        for photo in self.photos:
            job.evaluate.photos.add(inline=photo)
        for photo in list(job.evaluate.photos)[:2]:
            photo.mask.inline = service.png(Image.fromarray(self.mask))
        job.evaluate.prompts.extend(["a {subject} in the snow", "a zwx dog"])
        job.evaluate.images_per_prompt = 2
        job.evaluate.seed = 3
        job.evaluate.measures.append(judge_pb2.MEASURE_MASC)
        job.evaluate.evaluators.extend(evaluators)
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        outputs = self.service.outputs(done)
        report = json.loads(outputs["report/evaluation.json"])
        return done, report["pictures"], [outputs[row["path"]] for row in report["pictures"]]

    def probe(self, files, prompt):
        """What the worker's SigLIP makes of picture files whose left half is the subject."""
        images = torch.from_numpy(numpy.stack([numpy.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]))
        masks = torch.zeros_like(images)
        masks[:, :, :images.shape[2] // 2] = 255
        with tempfile.TemporaryDirectory() as folder:
            save_file({"images": images.contiguous(), "masks": masks}, f"{folder}/in", metadata={"prompts": prompt})
            subprocess.run([PROBE, "siglip", self.siglip, f"{folder}/in", f"{folder}/out"], check=True)
            return load_file(f"{folder}/out")

    def test_parts_and_surroundings_are_judged_by_siglip(self):
        self.network.write_bytes(finds_left(0.5))
        done, rows, pictures = self.judged()
        drawn = self.probe(pictures, "in the snow")
        subjects = self.probe(self.photos[:2], "dog")["patches"].unflatten(1, (4, 4))[:, :, :2].flatten(1, 2)
        for row, patches, around in zip(rows, drawn["patches"], drawn["around"]):
            found = [(subject @ patches.T).max(1).values.mean() for subject in subjects]
            self.assertAlmostEqual(row["masc"], (sum(found) / 2).item(), places=5)
            if row["prompt"].endswith("snow"):
                self.assertAlmostEqual(row["masc_prompt"], (around @ drawn["texts"][0]).item(), places=5)
            else:
                self.assertNotIn("masc_prompt", row, "it asks for nothing but the subject")
        followed = [row["masc_prompt"] for row in rows if "masc_prompt" in row]
        self.assertEqual(len(followed), 2)
        self.assertAlmostEqual(done.metrics["masc_prompt"], sum(followed) / 2)
        self.assertLessEqual({"masc_low", "masc_photos", "masc_prompt_low", "masc_prompt_high"}, set(done.metrics))
        self.assertEqual((done.metrics["masc_all_subject"], done.metrics["masc_no_subject"]), (0, 0))
        self.assertFalse([warning for warning in done.warnings if "MASC" in warning], done.warnings)

    def test_pictures_all_of_subject_are_counted(self):
        self.network.write_bytes(finds_left(1))
        done, rows, _ = self.judged()
        self.assertEqual(done.metrics["masc_all_subject"], 2)
        self.assertNotIn("masc_prompt", done.metrics)
        self.assertFalse(any("masc_prompt" in row for row in rows))
        self.assertTrue(any("MASC has no prompt following" in warning for warning in done.warnings), done.warnings)

    def test_a_damaged_segmentation_network_costs_prompt_following_alone(self):
        self.network.write_bytes(b"no network")
        job = service.fine_tune_job(self.photos, steps=1)
        mask = Image.new("L", Image.open(io.BytesIO(self.photos[0])).size, "white")
        job.fine_tune.subjects[0].photos[0].mask.inline = service.png(mask)
        job.fine_tune.judge.enabled = True
        learned = self.end(job)
        judged, _, _ = self.judged()
        for done in (learned, judged):
            self.assertIn("masc", done.metrics)
            self.assertFalse({"masc_prompt", "masc_all_subject", "masc_no_subject"} & set(done.metrics))
            self.assertIn("the measure MASC has no prompt following, masc_prompt: "
                          'evaluator "segmenter": model.onnx is not an ONNX file, or is cut', done.warnings)
        self.assertIn("dino", learned.metrics)

    def test_where_nothing_stands_out_the_whole_picture_counts(self):
        self.network.write_bytes(finds_left(0))
        done, rows, pictures = self.judged()
        drawn = self.probe(pictures, "in the snow")
        self.assertEqual(done.metrics["masc_no_subject"], 2)
        for row, whole in zip(rows, drawn["embeddings"]):
            if "masc_prompt" in row:
                self.assertAlmostEqual(row["masc_prompt"], (whole @ drawn["texts"][0]).item(), places=5)

    def test_without_siglip_parts_are_dinos_and_prompts_are_not_judged(self):
        by_siglip, _, _ = self.judged()
        done, rows, _ = self.judged("tiny-dino")
        self.assertNotEqual(done.metrics["masc"], by_siglip.metrics["masc"])
        self.assertFalse({"masc_prompt", "masc_all_subject"} & set(done.metrics))
        self.assertTrue(any("MASC has no prompt following" in warning for warning in done.warnings), done.warnings)


if __name__ == "__main__":
    unittest.main()
