"""A finished training is not lost: what can be known is checked before it, and what fails after it costs no model."""
import shutil
import unittest

import service
from service import State


class LateFailures(service.JobTest):
    def steps_trained(self):
        line = next(line for line in self.worker.metrics().splitlines()
                    if line.startswith("likeness_worker_training_steps_total "))
        return float(line.split()[1])

    def test_what_the_model_cannot_do_is_refused_before_training(self):
        before = self.steps_trained()
        for part, field, value in [("samples", "steps", 1000), ("prior", "sampling_steps", 1000)]:
            job = service.fine_tune_job(self.photos)
            setattr(getattr(job.fine_tune, part), field, value)
            done = self.end(job)
            self.assertEqual(done.state, State.JOB_STATE_FAILED, done)
            self.assertEqual((done.attempt, service.error_reason(done.error)), (1, "OUT_OF_RANGE"), done.error)
            self.assertEqual(service.error_fields(done.error), [f"job.fine_tune.{part}.{field}"])
            self.assertIn("1 to 99", done.error.message)
        many = service.fine_tune_job(self.photos, steps=2000)
        many.fine_tune.previews.every_steps = 1
        self.assertEqual(service.error_fields(self.end(many).error), ["job.fine_tune.previews.every_steps"])
        drawn = self.end(service.generate_job(["a dog"], "baseModels/tiny", steps=1000))
        self.assertEqual(service.error_fields(drawn.error), ["job.generate.steps"])
        self.assertEqual(self.steps_trained(), before)

    def test_a_model_whose_pictures_cannot_be_drawn_is_kept(self):
        store = self.service.directory / "cache-worker" / "personalized"
        shutil.rmtree(store, ignore_errors=True)
        store.write_text("no directory")  # finished models cannot be put there
        self.addCleanup(store.unlink)
        done = self.end(service.fine_tune_job(self.photos))
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertTrue(any("2 of 2 pictures could not be drawn" in warning for warning in done.warnings), done.warnings)
        self.assertNotIn(str(self.service.directory), str(done.warnings))
        paths = [output.path for output in done.outputs]
        self.assertIn("model/unet/diffusion_pytorch_model.safetensors", paths)
        self.assertFalse([path for path in paths if path.endswith(".png")])
        self.service.outputs(done)

    def test_a_diverged_last_step_does_not_succeed(self):
        job = service.fine_tune_job(self.photos, steps=2, learning_rate=1.0)
        job.fine_tune.samples.ClearField("prompts")
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_FAILED, done)
        self.assertIn("diverged", done.error.message)

    def test_silent_surprises_are_warnings(self):
        job = service.fine_tune_job(self.photos, steps=1)
        job.fine_tune.subjects[0].class_noun = "a dog"
        job.fine_tune.subjects[0].photos[1].caption = "a {subject} " + "dog " * 60
        job.fine_tune.samples.prompts.append("dog " * 60)
        done = self.end(job)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        for text in ("begins with an article", "samples.prompts[2] has 60 tokens, of which the model reads 14: the last 46 change nothing",
                     "caption of photos[1] has 64 tokens, of which the model reads 14: the last 50 change nothing"):
            self.assertTrue(any(text in warning for warning in done.warnings), (text, done.warnings))
        self.assertEqual(len(set(done.warnings)), len(done.warnings))

        drawn = self.end(service.generate_job(["a {subject}", "dog " * 60], "baseModels/tiny", steps=1))
        self.assertEqual(drawn.state, State.JOB_STATE_SUCCEEDED, drawn)
        for text in ("prompts[0] holds {subject}", "prompts[1] has "):
            self.assertTrue(any(text in warning for warning in drawn.warnings), (text, drawn.warnings))


if __name__ == "__main__":
    unittest.main()
