"""Adapters over gRPC: LoRA and learned words are trained, kept, drawn with over the warm base, and survive kills to the bit."""
import hashlib
import json
import pathlib
import shutil
import tempfile
import unittest

import service
from service import State
from likeness.v1 import model_pb2, model_service_pb2, model_service_pb2_grpc

LORA_FILE = "model/pytorch_lora_weights.safetensors"
KOHYA_FILE = "model/kohya_lora.safetensors"


def lora_job(photos, steps=6, **training):
    job = service.fine_tune_job(photos, steps=steps, **training)
    job.fine_tune.lora.rank = 4
    job.fine_tune.lora.train_text_encoder = True
    job.fine_tune.lora.dropout = 0.1
    job.fine_tune.training.learning_rate = 0.01
    return job


class LoraTest(service.JobTest):
    SERVICE = {"lease_duration": "3s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.base_before = cls.draw("baseModels/tiny")
        cls.done = cls.service.wait(cls.service.create(lora_job(cls.photos), job_id="rex").name)
        cls.outputs = cls.service.outputs(cls.done)

    @classmethod
    def draw(cls, model="", adapters=(), prompt="a zwx dog in the snow"):
        job = service.generate_job([prompt], model, seed=5, steps=3, images_per_prompt=2)  # in batches of two, as samples are
        for name, strength in adapters:
            job.generate.model.adapters.add(model=name, strength=strength)
        done = cls.service.wait(cls.service.create(job).name)
        if done.state != State.JOB_STATE_SUCCEEDED:
            raise AssertionError(done)
        return cls.service.outputs(done)["samples/0000.png"]

    def test_the_model_is_an_adapter_of_kilobytes(self):
        self.assertEqual(self.done.state, State.JOB_STATE_SUCCEEDED, self.done)
        models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        model = models.GetModel(model_service_pb2.GetModelRequest(name=self.done.output_model))
        self.assertEqual((model.method, model.kind), ("lora", model_pb2.MODEL_KIND_ADAPTER))
        self.assertEqual({file.path for file in model.files},
                         {"pytorch_lora_weights.safetensors", "kohya_lora.safetensors", "likeness_card.json"})
        base = sum(file.stat().st_size for file in (self.service.models / "tiny").rglob("*.safetensors"))
        self.assertLess(model.size_bytes, base / 4)
        card = json.loads(self.outputs["model/likeness_card.json"])
        self.assertEqual((card["method"], card["token"], card["settings"]["lora"]["rank"]), ("lora", "zwx", 4))

    def test_resolved_names_every_default(self):
        lora = self.done.resolved.fine_tune.lora
        self.assertEqual((lora.rank, lora.alpha, list(lora.targets)), (4, 4, ["to_q", "to_k", "to_v", "to_out.0"]))
        self.assertFalse(self.done.resolved.fine_tune.HasField("dreambooth"))

    def test_it_draws_over_the_base_and_leaves_it_as_it_was(self):
        # As the fine-tune's first sample: same adapter, prompt, seed and steps.
        sample = self.outputs["samples/0000.png"]
        self.assertEqual(self.draw(self.done.output_model, prompt="a {subject} in the snow"), sample)
        self.assertEqual(self.draw(adapters=[(self.done.output_model, 1)]), sample)
        self.assertEqual(self.draw("baseModels/tiny", [(self.done.output_model, 0)]), self.base_before)
        half = self.draw("baseModels/tiny", [(self.done.output_model, 0.5)])
        self.assertNotIn(half, (sample, self.base_before))
        self.assertEqual(self.draw("baseModels/tiny"), self.base_before)
        self.assertNotEqual(sample, self.base_before)

    def test_a_prompt_names_adapters_for_itself(self):
        job = service.generate_job(["a {subject} in the snow <lora:rex:1>", "a dog in the snow",
                                    "a zwx dog in the snow <lora:rex:0.5>"], "baseModels/tiny", seed=5, steps=3, images_per_prompt=2)
        job.generate.prompt_adapters = True
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        self.assertEqual([output.prompt for output in done.outputs],
                         2 * ["a zwx dog in the snow"] + 2 * ["a dog in the snow"] + 2 * ["a zwx dog in the snow"])
        drawn = list(self.service.outputs(done).values())
        self.assertEqual(drawn[0], self.outputs["samples/0000.png"])
        plain = service.generate_job(["a dog in the snow"], "baseModels/tiny", seed=7, steps=3, images_per_prompt=2)
        half = service.generate_job(["a zwx dog in the snow"], "baseModels/tiny", seed=9, steps=3, images_per_prompt=2)
        half.generate.model.adapters.add(model=self.done.output_model, strength=0.5)
        for data, other in ((drawn[2], plain), (drawn[4], half)):
            alone = self.service.wait(self.service.create(other).name)
            self.assertEqual(data, self.service.outputs(alone)["samples/0000.png"])
        self.assertEqual(self.draw("baseModels/tiny"), self.base_before)

    def test_of_an_erased_model_the_worker_keeps_no_copy(self):
        done = self.service.wait(self.service.create(lora_job(self.photos, steps=2, seed=12), job_id="gone").name)
        self.draw(done.output_model)
        models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        model = models.GetModel(model_service_pb2.GetModelRequest(name=done.output_model))
        digests = {file.blob.rsplit("/", 1)[1] for file in model.files}
        cache = self.service.directory / f"cache-{self.worker.name}"

        def copies():
            return {hashlib.sha256(file.read_bytes()).hexdigest() for file in cache.rglob("*") if file.is_file()} & digests

        self.assertTrue(copies())
        erasure = models.EraseModel(model_service_pb2.EraseModelRequest(name=model.name))
        self.assertEqual(list(erasure.models), [model.name])
        self.assertEqual(len(erasure.jobs), 2)  # that made it, that drew with it
        self.draw("baseModels/tiny")  # so that the worker asks for another job
        self.worker.wait_for_log("models erased")
        self.assertEqual(copies(), set())

    def test_another_worker_draws_the_same(self):
        self.worker.send(service.signal.SIGSTOP)
        try:
            other = self.service.start_worker("other")
            drawn = self.draw(self.done.output_model, prompt="a {subject} in the snow")
            other.terminate()
        finally:
            self.worker.send(service.signal.SIGCONT)
        self.assertEqual(drawn, self.outputs["samples/0000.png"])

    def test_a_killed_worker_costs_no_bit(self):
        slow = lora_job(self.photos, steps=60)
        straight = self.service.wait(self.service.create(slow).name)
        job = self.service.create(slow)
        self.service.wait_for_phase(job.name, "TRAINING", 9)
        self.worker.kill()
        type(self).worker = self.service.start_worker("after-the-kill")
        killed = self.service.wait(job.name)
        self.assertEqual(killed.state, State.JOB_STATE_SUCCEEDED, killed)
        self.assertEqual(killed.attempt, 2)
        self.assertEqual(self.service.outputs(killed), self.service.outputs(straight))

    def test_a_learned_word_is_read_over_the_base(self):
        job = service.fine_tune_job(self.photos, steps=60)
        job.fine_tune.textual_inversion.vectors = 2
        job.fine_tune.training.learning_rate = 0.1
        straight = self.service.wait(self.service.create(job).name)
        self.assertEqual(straight.state, State.JOB_STATE_SUCCEEDED, straight)
        outputs = self.service.outputs(straight)
        self.assertLess(sum(len(data) for path, data in outputs.items() if path.endswith(".safetensors")), 4096)
        self.assertEqual(straight.resolved.fine_tune.textual_inversion.initial_text, "dog")
        self.assertEqual(straight.resolved.fine_tune.prior.weight, 0)
        sample = outputs["samples/0000.png"]
        self.assertEqual(self.draw(straight.output_model, prompt="a {subject} in the snow"), sample)
        self.assertNotEqual(sample, self.base_before)
        self.assertEqual(self.draw("baseModels/tiny"), self.base_before)
        both = self.draw(adapters=[(straight.output_model, 1), (self.done.output_model, 0.5)])
        self.assertNotIn(both, (sample, self.outputs["samples/0000.png"], self.base_before))

        killed = self.service.create(job)
        self.service.wait_for_phase(killed.name, "TRAINING", 9)
        self.worker.kill()
        type(self).worker = self.service.start_worker("after-another-kill")
        again = self.service.wait(killed.name)
        self.assertEqual((again.state, again.attempt), (State.JOB_STATE_SUCCEEDED, 2), again)
        self.assertEqual(self.service.outputs(again), outputs)

    def test_targets_that_name_no_layer_are_refused_before_training(self):
        job = lora_job(self.photos)
        job.fine_tune.lora.targets.append("to_z")
        ended = self.service.wait(self.service.create(job).name)
        self.assertEqual(ended.state, State.JOB_STATE_FAILED)
        self.assertEqual(service.error_fields(ended.error), ["job.fine_tune.lora.targets[0]"])

    def test_an_adapter_of_another_base_is_refused(self):
        # The base's files change under its name; a worker that starts then offers the new ones.
        with tempfile.TemporaryDirectory() as aside:
            models = pathlib.Path(aside) / "models"
            shutil.copytree(self.service.models, models)
            config = models / "tiny/scheduler/scheduler_config.json"
            changed = json.loads(config.read_text()) | {"beta_end": 0.013}
            config.write_text(json.dumps(changed))
            self.worker.terminate()
            try:
                other = self.service.start_worker("changed", models=models)
                job = service.generate_job(["a dog"], self.done.output_model, steps=3)
                ended = self.service.wait(self.service.create(job).name)
                allowed = service.generate_job(["a dog"], "baseModels/tiny", steps=3)
                allowed.generate.model.adapters.add(model=self.done.output_model, allow_other_base=True)
                drawn = self.service.wait(self.service.create(allowed).name)
                other.terminate()
            finally:
                type(self).worker = self.service.start_worker("again")
        self.assertEqual(ended.state, State.JOB_STATE_FAILED)
        self.assertEqual(service.error_reason(ended.error), "BASE_MODEL_CHANGED")
        self.assertEqual(drawn.state, State.JOB_STATE_SUCCEEDED, drawn)
        self.assertIn("was made for a base model with digest", " ".join(drawn.warnings))


if __name__ == "__main__":
    unittest.main()
