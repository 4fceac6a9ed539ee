"""The main job over gRPC: photos in, a personalized model and its pictures out, the same offline and again."""
import io
import json
import pathlib
import subprocess
import tempfile
import unittest

import service
from service import State

PNG = b"\x89PNG\r\n\x1a\n"


class MainJob(service.JobTest):
    SERVICE = {"lease_duration": "3s"}  # a stopped worker may be handed a job first

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.spec = service.fine_tune_job(cls.photos, steps=6)
        cls.spec.fine_tune.previews.every_steps = 3
        cls.events = []
        cls.job = cls.service.create(cls.spec, job_id="rex")
        cls.events = list(cls.service.watch(cls.job.name))
        cls.done = cls.service.get(cls.job.name)
        cls.outputs = cls.service.outputs(cls.done)

    def run_offline(self, job_json, *flags):
        out = pathlib.Path(tempfile.mkdtemp(dir=self.service.directory))
        (out / "spec.json").write_text(job_json)
        subprocess.run([service.BIN / "likeness-worker", "run", f"--job={out / 'spec.json'}", f"--out={out / 'out'}",
                        f"--models={self.service.models}", f"--cache-dir={out / 'cache'}", "--threads=1",
                        "--device=cpu", *flags], check=True, capture_output=True, timeout=100)
        return out / "out"

    def assert_same_outputs(self, directory, but=()):
        for path, expected in self.outputs.items():
            if path not in but:
                self.assertEqual(service.bare((directory / path).read_bytes()), expected, f"{path} differs")

    def test_succeeds_with_model_pictures_and_contact_sheet(self):
        self.assertEqual(self.done.state, State.JOB_STATE_SUCCEEDED, self.done)
        self.assertEqual(self.done.attempt, 1)
        paths = set(self.outputs)
        self.assertLessEqual({"model/model_index.json", "model/likeness_card.json", "samples/0000.png",
                              "samples/0001.png", "contact-sheet.png"}, paths)
        for output in self.done.outputs:
            self.assertEqual(output.size_bytes, len(self.service.read_blob(output.blob)))
            if output.path.endswith(".png"):
                self.assertTrue(self.outputs[output.path].startswith(PNG))
                self.assertEqual(output.media_type, "image/png")
        self.assertEqual([o.prompt for o in self.done.outputs if o.path.startswith("samples/")],
                         ["a zwx dog in the snow", "a dog"])
        self.assertEqual([o.seed for o in self.done.outputs if o.path.startswith("samples/")], [5, 6])

    def test_card_says_what_was_learned(self):
        card = json.loads(self.outputs["model/likeness_card.json"])
        self.assertEqual((card["token"], card["class_noun"]), ("zwx", "dog"))
        self.assertEqual(len(card["loss"]), 6)

    def test_resolved_names_every_default(self):
        resolved = self.done.resolved
        self.assertEqual(len(resolved.base_model_digest), 64)
        self.assertEqual(resolved.fine_tune.base_model, "baseModels/tiny")
        self.assertEqual(resolved.fine_tune.subjects[0].token, "zwx")
        self.assertEqual(resolved.fine_tune.training.learning_rate, 1e-3)
        self.assertEqual(resolved.fine_tune.dreambooth.text_encoder_learning_rate, 1e-3)
        self.assertEqual(resolved.fine_tune.prior.class_prompt, "a dog")
        self.assertEqual(resolved.fine_tune.training.seed, 11)
        self.assertTrue(all(photo.blob for photo in resolved.fine_tune.subjects[0].photos))

    def test_watch_shows_phases_steps_checkpoints_and_previews(self):
        kinds = {event.WhichOneof("event") for event in self.events}
        self.assertLessEqual({"snapshot", "state_change", "progress", "checkpoint", "sample"}, kinds)
        self.assertEqual(self.events[0].WhichOneof("event"), "snapshot")
        self.assertEqual(self.events[-1].state_change.to, State.JOB_STATE_SUCCEEDED)
        previews = [event.sample for event in self.events if event.WhichOneof("event") == "sample"]
        self.assertEqual([preview.step for preview in previews], [3, 6])
        self.assertTrue(all(preview.preview.startswith(PNG) for preview in previews))
        self.assertEqual(previews[0].prompt, "a zwx dog")

    def test_figures_are_kept(self):
        self.assertGreater(self.done.metrics["loss"], 0)
        self.assertGreater(self.done.metrics["training_seconds"], 0)
        page = self.worker.metrics()
        self.assertIn('likeness_worker_jobs_total{method="dreambooth",outcome="succeeded"}', page)
        self.assertIn("process_resident_memory_bytes", page)

    def test_a_worker_that_is_up_is_healthy(self):
        subprocess.run([service.BIN / "likeness-worker", "healthcheck",
                        f"--metrics-address={self.worker.metrics_address}"], check=True)

    def test_offline_run_gives_the_same_bytes(self):
        from google.protobuf import json_format
        self.assert_same_outputs(self.run_offline(json_format.MessageToJson(self.spec)))

    def test_offline_run_of_resolved_gives_the_same_bytes(self):
        from google.protobuf import json_format
        self.assert_same_outputs(self.run_offline(json_format.MessageToJson(self.done.resolved),
                                                  f"--photos={self.photo_dir}"))

    def test_a_job_from_resolved_gives_the_same_bytes(self):
        again = service.job_pb2.Job(fine_tune=self.done.resolved.fine_tune)
        again.fine_tune.output_model_id = ""
        done = self.service.wait(self.service.create(again).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertEqual(self.service.outputs(done), self.outputs)

    def test_seed_0_is_a_seed(self):
        spec = service.fine_tune_job(self.photos, steps=1, seed=0)
        spec.fine_tune.samples.seed = 0
        first = self.service.wait(self.service.create(spec).name)
        second = self.service.wait(self.service.create(spec).name)
        self.assertEqual(first.resolved.fine_tune.training.seed, 0)
        self.assertEqual(first.resolved.fine_tune.samples.seed, 0)
        self.assertEqual(self.service.outputs(first), self.service.outputs(second))
        self.assertEqual(next(o.seed for o in first.outputs if o.path == "samples/0000.png"), 0)

    def test_a_personalized_model_draws(self):
        def draw():
            spec = service.generate_job(["a {subject} in the snow"], self.done.output_model, seed=5, images_per_prompt=2)
            return self.service.wait(self.service.create(spec).name)

        drawn = draw()
        self.assertEqual(drawn.state, State.JOB_STATE_SUCCEEDED, drawn)
        self.assertEqual(drawn.outputs[0].prompt, "a zwx dog in the snow")
        # The same picture as the fine-tune's first sample: same model, prompt, seed and steps, and the first of two in a batch.
        self.assertEqual(self.service.outputs(drawn)["samples/0000.png"], self.outputs["samples/0000.png"])

    def test_another_worker_downloads_the_model_and_draws_the_same(self):
        self.worker.send(service.signal.SIGSTOP)
        try:
            other = self.service.start_worker("other")
            spec = service.generate_job(["a {subject} in the snow"], self.done.output_model, seed=5, images_per_prompt=2)
            drawn = self.service.wait(self.service.create(spec).name)
            other.terminate()
        finally:
            self.worker.send(service.signal.SIGCONT)
        self.assertEqual(self.service.outputs(drawn)["samples/0000.png"], self.outputs["samples/0000.png"])

    def test_generate_images_streams_progress_and_pictures(self):
        request = service.job_service_pb2.GenerateImagesRequest(generate={
            "prompts": ["a dog"], "images_per_prompt": 2, "seed": 1, "model": {"name": "baseModels/tiny"}})
        events = list(self.service.jobs.GenerateImages(request, timeout=60))
        images = [event.image for event in events if event.WhichOneof("event") == "image"]
        self.assertEqual([image.index for image in images], [0, 1])
        self.assertTrue(all(image.png.startswith(PNG) for image in images))
        self.assertEqual([image.output.seed for image in images], [1, 2])
        self.assertEqual(events[-1].job.state, State.JOB_STATE_SUCCEEDED)

    def test_image_i_depends_on_seed_plus_i_alone(self):
        two = self.service.outputs(self.service.wait(self.service.create(
            service.generate_job(["a cat"], "baseModels/tiny", seed=7, images_per_prompt=2)).name))
        one = self.service.outputs(self.service.wait(self.service.create(
            service.generate_job(["a cat"], "baseModels/tiny", seed=8)).name))
        # Drawn in a batch of two and alone: equal but for the last bit of rounding.
        from PIL import Image, ImageChops
        pictures = [Image.open(io.BytesIO(png)) for png in (two["samples/0001.png"], one["samples/0000.png"])]
        self.assertLessEqual(max(high for _, high in ImageChops.difference(*pictures).getextrema()), 1)

    def test_cancel_stops_a_running_job(self):
        job = self.service.create(service.fine_tune_job(self.photos, steps=100000))
        self.service.wait_for_phase(job.name, "TRAINING", 1)
        self.service.jobs.CancelJob(service.job_service_pb2.CancelJobRequest(name=job.name))
        self.assertEqual(self.service.wait(job.name).state, State.JOB_STATE_CANCELLED)
        # The worker is free for the next.
        self.assertEqual(self.service.wait(self.service.create(service.generate_job(["a dog"], "baseModels/tiny")).name).state,
                         State.JOB_STATE_SUCCEEDED)


if __name__ == "__main__":
    unittest.main()
