"""Settings of the training and of the prior over gRPC: what they leave out, what they change, and that a kill costs no bit."""
import io
import json
import subprocess
import unittest

from PIL import Image

import service
from service import State
from likeness.v1 import capabilities_service_pb2, fine_tune_pb2


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

    def test_class_photos_take_the_place_of_drawn_images(self):
        job = self.job(learning_rate=1e-3, seed=5)
        job.fine_tune.prior.class_images = 8  # whole batches: rounding depends on a batch's size
        drawn = self.run_job(job)
        self.assertIn("class_images_drawn", drawn.metrics)
        prior = drawn.resolved.fine_tune.prior
        drawing = service.generate_job([prior.class_prompt], model=drawn.fine_tune.base_model, steps=prior.sampling_steps,
                                       images_per_prompt=8, seed=0, sampler=prior.sampler, guidance=prior.guidance)
        outputs = self.service.outputs(self.run_job(drawing))
        job.fine_tune.ClearField("prior")
        for number in range(8):
            job.fine_tune.prior.class_photos.add(inline=outputs[f"samples/{number:04}.png"], file_name=f"{number}.png")
        done = self.run_job(job)
        self.assertNotIn("class_images_drawn", done.metrics)
        self.assertNotIn("class_pictures_seconds", done.metrics)
        self.assertFalse(done.resolved.fine_tune.prior.HasField("class_images"))
        unet = "model/unet/diffusion_pytorch_model.safetensors"
        self.assertEqual(self.service.outputs(done)[unet], self.service.outputs(drawn)[unet], "of the same pixels")
        again = self.job(learning_rate=1e-3, seed=5)
        again.fine_tune.CopyFrom(done.resolved.fine_tune)
        again.fine_tune.ClearField("output_model_id")
        self.assertEqual(self.service.outputs(self.run_job(again))[unet], self.service.outputs(done)[unet])

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
        last = done.progress.measurements
        self.assertEqual(last.validation_loss_step, 8)
        self.assertEqual(last.validation_loss, done.metrics["validation_loss_after"], "no weight has moved")
        self.assertFalse(last.HasField("subject_score"), "nobody judges")

    def test_several_subjects_are_learned_together_and_drawn_by_their_numbers(self):
        job = self.job(steps=4)
        spec = job.fine_tune
        other = spec.subjects.add(token="abc", class_noun="cat")
        other.photos.add(inline=self.photos[1], caption="a {subject} on a sofa")
        other.validation_photos.add(inline=self.photos[0])
        spec.textual_inversion.vectors = 1
        spec.samples.prompts[:] = ["{subject1} beside {subject2}"]
        done = self.run_job(job)
        outputs = self.service.outputs(done)
        first = done.resolved.fine_tune.subjects[0].token
        card = json.loads(outputs["model/likeness_card.json"])
        self.assertEqual(card["subjects"], [{"token": first, "class_noun": "dog"}, {"token": "abc", "class_noun": "cat"}])
        self.assertIn("model/learned_embeds-2.safetensors", outputs)
        self.assertIn("validation_loss_after", done.metrics)
        drawn = [output.prompt for output in done.outputs if output.prompt]
        self.assertEqual(drawn, [f"{first} dog beside abc cat"])

        drawing = service.generate_job(["a {subject2} in the snow"], model=done.output_model, steps=2)
        drawn = [output.prompt for output in self.run_job(drawing).outputs if output.prompt]
        self.assertEqual(drawn, ["a abc cat in the snow"])

    def test_the_bases_default_token_of_two_subjects_is_refused_at_once(self):
        job = self.job()
        job.fine_tune.subjects.add(token="ZWX", class_noun="cat").photos.add(inline=self.photos[1])  # the base's default is zwx
        with self.assertRaises(service.grpc.RpcError) as refused:
            self.service.create(job)
        self.assertEqual(service.error_fields(refused.exception), ["job.fine_tune.subjects[1].token"])
        self.assertIn('is "ZWX", the default token of baseModels/tiny', refused.exception.details())

    def test_the_text_encoder_stays_after_its_steps(self):
        def text_encoder(steps):
            job = self.job(steps=steps, learning_rate=1e-3)
            job.fine_tune.dreambooth.train_text_encoder = True
            job.fine_tune.dreambooth.text_encoder_steps = 2
            return self.service.outputs(self.run_job(job))["model/text_encoder/model.safetensors"]
        self.assertEqual(text_encoder(2), text_encoder(4))

    def test_the_fused_backward_pass_makes_the_same_model(self):
        models = []
        for settings in (dict(max_grad_norm=0), dict(fused_backward_pass=True)):
            done = self.run_job(self.job(optimizer=fine_tune_pb2.OPTIMIZER_ADAFACTOR, **settings))
            self.assertEqual(done.resolved.fine_tune.training.max_grad_norm, 0)
            models.append(self.service.outputs(done)["model/unet/diffusion_pytorch_model.safetensors"])
        self.assertEqual(*models)

    def test_sixteen_bit_trainings_run_on_any_worker(self):
        models = set()
        for precision in (fine_tune_pb2.PRECISION_FP32, fine_tune_pb2.PRECISION_FP16, fine_tune_pb2.PRECISION_BF16_WEIGHTS):
            done = self.run_job(self.job(precision=precision))
            self.assertEqual(done.resolved.fine_tune.training.precision, precision)
            slow = [warning for warning in done.warnings if "PRECISION_FP16" in warning]
            self.assertEqual(len(slow), precision == fine_tune_pb2.PRECISION_FP16, done.warnings)
            models.add(self.service.outputs(done)["model/unet/diffusion_pytorch_model.safetensors"])
        self.assertEqual(len(models), 3)

    def test_an_adapter_without_masters_is_refused_at_once(self):
        job = self.job(precision=fine_tune_pb2.PRECISION_BF16_WEIGHTS)
        job.fine_tune.lora.rank = 2
        with self.assertRaises(service.grpc.RpcError) as refused:
            self.service.create(job)
        self.assertIn("training.precision: is PRECISION_BF16_WEIGHTS; for lora", refused.exception.details())

    def test_a_memory_budget_picks_settings_or_says_what_is_the_least(self):
        generous = self.run_job(self.job(memory_budget_bytes=1 << 40))
        training = generous.resolved.fine_tune.training
        self.assertFalse(training.gradient_checkpointing or training.fused_backward_pass)
        note = next(text for text in generous.warnings if text.startswith("memory budget"))
        self.assertRegex(note, r"^memory budget 1024\.0 GiB: the job's own settings, estimated \d+ MiB$")

        refused = self.service.wait(self.service.create(self.job(memory_budget_bytes=1 << 20)).name)
        self.assertEqual(refused.state, State.JOB_STATE_FAILED)
        self.assertNotIn("class_images_drawn", refused.metrics)
        self.assertIn("job.fine_tune.training.memory_budget_bytes: is 1048576 (1 MiB), and the least that this job would need is ",
                      refused.error.message)
        least = int(refused.error.message.split("would need is ")[1].split()[0])
        tight = self.run_job(self.job(memory_budget_bytes=least))
        training = tight.resolved.fine_tune.training
        self.assertTrue(training.gradient_checkpointing or training.fused_backward_pass)
        self.assertEqual(training.memory_budget_bytes, least)

    def masked(self, photos, masks, **training):
        job = service.fine_tune_job(photos, steps=6, **training)
        for photo, mask in zip(job.fine_tune.subjects[0].photos, masks):
            photo.mask.inline = mask
        return job

    def test_transparency_is_a_mask(self):
        photo = Image.open(io.BytesIO(self.photos[0])).convert("RGB")
        mask = Image.new("L", photo.size)
        mask.paste(255, (photo.width // 8, photo.height // 4, photo.width * 5 // 8, photo.height * 7 // 8))
        transparent = photo.convert("RGBA")
        transparent.putalpha(mask)
        on_white = Image.new("RGB", photo.size, "white")
        on_white.paste(photo, mask=mask)
        model = lambda job: self.service.outputs(self.run_job(job))["model/unet/diffusion_pytorch_model.safetensors"]
        by_alpha = self.masked([service.png(transparent)], [], alpha_masks=True, unmasked_weight=0.1)
        by_mask = self.masked([service.png(on_white)], [service.png(mask)], unmasked_weight=0.1)
        whole = self.masked([service.png(on_white)], [])
        for job in (by_alpha, by_mask, whole):
            job.fine_tune.training.seed = 5
        self.assertEqual(model(by_alpha), model(by_mask))
        self.assertNotEqual(model(by_mask), model(whole))

    def test_an_alpha_channel_that_is_opaque_all_over_is_no_mask(self):
        opaque = Image.open(io.BytesIO(self.photos[0])).convert("RGBA")
        done = self.run_job(self.masked([service.png(opaque)], [], alpha_masks=True))
        self.assertTrue(any("no photo has a mask" in warning for warning in done.warnings), done.warnings)

    def test_a_background_behind_masks_is_not_said_to_be_learned(self):
        mask = Image.new("L", (64, 64))
        mask.paste(255, (16, 16, 48, 48))
        photos = []
        for colour in ("red", "lime", "blue"):
            photo = Image.new("RGB", mask.size, "grey")
            photo.paste(colour, mask=mask)
            photos.append(service.png(photo))
        for masks, training, said in (([], {}, True), ([service.png(mask)] * 3, {}, False),
                                      ([service.png(mask)] * 3, {"unmasked_weight": 0.1}, True)):
            done = self.run_job(self.masked(photos, masks, **training))
            self.assertEqual(any("the background looks the same" in warning for warning in done.warnings), said, done.warnings)

    def test_photos_keep_their_aspect_ratios(self):
        wide = [service.png(Image.open(io.BytesIO(photo)).convert("RGB").crop((0, 16, 64, 48))) for photo in self.photos[:2]]
        unets = []
        for buckets in (False, True):
            done = self.run_job(self.masked(wide + self.photos[2:], [], aspect_ratio_buckets=buckets))
            self.assertEqual(done.resolved.fine_tune.training.aspect_ratio_buckets, buckets)
            outputs = self.service.outputs(done)
            unets.append(outputs["model/unet/diffusion_pytorch_model.safetensors"])
            settings = json.loads(outputs["model/likeness_card.json"])["settings"]
            self.assertEqual("aspect_ratio_buckets" in settings, buckets)
        self.assertNotEqual(*unets)

    def test_masks_that_cannot_be_used_are_named(self):
        size = Image.open(io.BytesIO(self.photos[1])).size
        other = self.masked(self.photos, [service.png(Image.new("L", size, 255)), service.png(Image.new("L", (size[0], size[1] + 8), 255))])
        with self.assertRaises(service.grpc.RpcError) as refused:
            self.service.create(other)
        self.assertEqual(service.error_reason(refused.exception), "MASK_SIZE_DIFFERS")
        self.assertEqual(service.error_fields(refused.exception), ["job.fine_tune.subjects[0].photos[1].mask"])
        black = self.service.wait(self.service.create(self.masked(self.photos, [service.png(Image.new("L", size))])).name)
        self.assertEqual(service.error_reason(black.error), "MASK_EMPTY", black)
        self.assertEqual(service.error_fields(black.error), ["job.fine_tune.subjects[0].photos[0].mask"])

    def test_the_command_line_takes_masks_beside_photos(self):
        folder = self.service.directory / "masked"
        folder.mkdir()
        for number, photo in enumerate(self.photos):
            (folder / f"{number}.png").write_bytes(photo)
        size = Image.open(io.BytesIO(self.photos[1])).size
        (folder / "1.mask.png").write_bytes(service.png(Image.new("L", size, 255)))
        train = [service.BIN / "likeness", "train", "--class=dog", f"--photos={folder}", f"--server={self.service.address}",
                 "--name=with-masks", "--steps=2", "--no-samples", "--no-prior", "--detach"]
        subprocess.run(train, check=True, capture_output=True, timeout=60)
        done = self.service.wait("tenants/default/jobs/with-masks")
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        photos = done.fine_tune.subjects[0].photos
        self.assertEqual([photo.mask.file_name for photo in photos], ["", "1.mask.png", ""])
        (folder / "2.mask.png").write_bytes(service.png(Image.new("L", (32, 40), 255)))
        refused = subprocess.run(train, capture_output=True, text=True, timeout=60)
        self.assertEqual(refused.returncode, 4, refused.stderr)
        self.assertIn("2.mask.png: Has 32 x 40 px", refused.stderr)

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


class UnadvisedBaseTest(unittest.TestCase):
    def test_a_base_that_names_no_token_gets_a_rare_one_of_its_vocabulary(self):
        running = service.Service()
        self.addCleanup(running.close)
        (running.models / "tiny/likeness_defaults.json").write_text('{"fine_tune": {"prior": {"samplingSteps": 2}}}')
        running.start_worker()
        running.wait_for_models()
        offered = running.capabilities.GetCapabilities(capabilities_service_pb2.GetCapabilitiesRequest()).base_models
        self.assertEqual([model.default_token for model in offered], ["zwx"])
        photos = service.draw_photos(running.directory / "photos")
        done = running.wait(running.create(service.fine_tune_job(photos, steps=1)).name)
        self.assertEqual(done.resolved.fine_tune.subjects[0].token, "zwx")


if __name__ == "__main__":
    unittest.main()
