"""Settings of the training and of the prior over gRPC: what they leave out, what they change, and that a kill costs no bit."""
import json
import unittest

import service
from service import State
from likeness.v1 import fine_tune_pb2


class TrainingTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = service.Service(lease_duration="3s")
        cls.addClassCleanup(cls.service.close)
        cls.worker = cls.service.start_worker()
        cls.service.wait_for_models()
        cls.photos = service.draw_photos(cls.service.directory / "photos")

    def job(self, steps=6, **training):
        return service.fine_tune_job(self.photos, steps=steps, **training)

    def run_job(self, job):
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return done

    def test_the_bases_prediction_takes_the_place_of_class_images(self):
        job = self.job()
        job.fine_tune.prior.kind = fine_tune_pb2.PRIOR_KIND_BASE_PREDICTION
        done = self.run_job(job)
        self.assertNotIn("class_images_drawn", done.metrics)
        self.assertNotIn("class_pictures_seconds", done.metrics)
        card = json.loads(self.service.outputs(done)["model/likeness_card.json"])
        self.assertEqual(card["settings"]["prior_kind"], "base_prediction")

    def test_each_optimizer_makes_a_model_of_its_own(self):
        models = set()
        for optimizer in (fine_tune_pb2.OPTIMIZER_ADAMW, fine_tune_pb2.OPTIMIZER_ADAMW_8BIT,
                          fine_tune_pb2.OPTIMIZER_ADAFACTOR, fine_tune_pb2.OPTIMIZER_PRODIGY):
            finds_the_rate = optimizer == fine_tune_pb2.OPTIMIZER_PRODIGY
            done = self.run_job(self.job(optimizer=optimizer, **({} if finds_the_rate else {"learning_rate": 1e-3})))
            self.assertEqual(done.resolved.fine_tune.training.optimizer, optimizer)
            models.add(self.service.outputs(done)["model/unet/diffusion_pytorch_model.safetensors"])
        self.assertEqual(len(models), 4)
        self.assertEqual(done.resolved.fine_tune.training.learning_rate, 1, "of Prodigy, the last")

    def test_training_ends_where_the_validation_loss_does_not_fall(self):
        job = self.job(steps=40, learning_rate=1e-30, stop_rule=fine_tune_pb2.STOP_RULE_PLATEAU)
        job.fine_tune.subjects[0].validation_photos.add(inline=self.photos[0])
        done = self.run_job(job)
        self.assertEqual((done.metrics["training_steps"], done.metrics["best_step"]), (8, 2), "four checkpoints")
        page = self.service.outputs(done)["report/index.html"].decode()
        self.assertIn("Loss on the validation photos", page)

    def test_the_text_encoder_stays_after_its_steps(self):
        def text_encoder(steps):
            job = self.job(steps=steps, learning_rate=1e-3)
            job.fine_tune.dreambooth.train_text_encoder = True
            job.fine_tune.dreambooth.text_encoder_steps = 2
            return self.service.outputs(self.run_job(job))["model/text_encoder/model.safetensors"]
        self.assertEqual(text_encoder(2), text_encoder(4))

    def test_a_killed_worker_costs_no_bit(self):
        job = self.job(
            steps=60, learning_rate=1e-3, optimizer=fine_tune_pb2.OPTIMIZER_ADAMW_8BIT, ema_decay=0.9, gradient_checkpointing=True,
            horizontal_flips=True, caption_dropout=0.3, noise_offset=0.1, input_perturbation=0.1, debiased_estimation=True,
            learning_rate_schedule=fine_tune_pb2.LEARNING_RATE_SCHEDULE_COSINE_WITH_RESTARTS, schedule_cycles=3)
        job.fine_tune.prior.kind = fine_tune_pb2.PRIOR_KIND_BASE_PREDICTION
        straight = self.run_job(job)
        killed = self.service.create(job)
        self.service.wait_for_phase(killed.name, "TRAINING", 9)
        self.worker.kill()
        type(self).worker = self.service.start_worker("after-the-kill")
        again = self.service.wait(killed.name)
        self.assertEqual((again.state, again.attempt), (State.JOB_STATE_SUCCEEDED, 2), again)
        self.assertEqual(self.service.outputs(again), self.service.outputs(straight))


if __name__ == "__main__":
    unittest.main()
