"""Every method over gRPC: trained, kept as an adapter, drawn with at strengths over the warm base, which stays as it was."""
import json
import unittest

import service
from service import State
from likeness.v1 import fine_tune_pb2, model_pb2, model_service_pb2, model_service_pb2_grpc

LORA_FILES = {"pytorch_lora_weights.safetensors", "kohya_lora.safetensors"}
WORD_FILES = {"learned_embeds.safetensors", "a1111_embedding.safetensors"}


def lora(variant):
    return lambda spec: spec.lora.MergeFrom(fine_tune_pb2.Lora(rank=2, variant=variant, up_learning_rate_ratio=4))


def pivotal(spec):
    spec.pivotal_tuning.lora.rank = 2
    spec.pivotal_tuning.textual_inversion.vectors = 2
    spec.pivotal_tuning.vectors_learning_rate = 0.1


def hypernetwork(spec):
    spec.hypernetwork.layer_structure.extend([1, 1.5, 1])
    spec.hypernetwork.activation = fine_tune_pb2.HYPERNETWORK_ACTIVATION_RELU
    spec.hypernetwork.dropout = 0.1
    spec.hypernetwork.activate_output = True
    spec.hypernetwork.weight_initialization = fine_tune_pb2.WEIGHT_INITIALIZATION_XAVIER_UNIFORM


def t_lora(spec):
    spec.lora.MergeFrom(fine_tune_pb2.Lora(rank=4, min_rank=1))


# What is asked for, and the files that an adapter of it has.
METHODS = {
    "dora": (lora(fine_tune_pb2.LORA_VARIANT_DORA), LORA_FILES),
    "t-lora": (t_lora, {"t_lora.safetensors"}),
    "loha": (lora(fine_tune_pb2.LORA_VARIANT_LOHA), {"lycoris.safetensors"}),
    "lokr": (lora(fine_tune_pb2.LORA_VARIANT_LOKR), {"lycoris.safetensors"}),
    "pivotal": (pivotal, LORA_FILES | WORD_FILES),
    "hypernetwork": (hypernetwork, {"hypernetwork.safetensors"}),
    "custom": (lambda spec: spec.custom_diffusion.SetInParent(), WORD_FILES | {"pytorch_custom_diffusion_weights.safetensors"}),
    "svdiff": (lambda spec: spec.svdiff.SetInParent(), {"spectral_shifts.safetensors"}),
}


class MethodsTest(service.JobTest):
    SERVICE = {"lease_duration": "3s"}

    def job(self, method, steps=5):
        job = service.fine_tune_job(self.photos, steps=steps)
        METHODS[method][0](job.fine_tune)
        job.fine_tune.training.learning_rate = 0.02
        return job

    def draw(self, model="", adapters=(), prompt="a {subject} in the snow"):
        job = service.generate_job([prompt], model, seed=5, steps=3, images_per_prompt=2)  # in batches of two, as samples are
        for name, strength in adapters:
            job.generate.model.adapters.add(model=name, strength=strength)
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return self.service.outputs(done)["samples/0000.png"]

    def test_each_makes_an_adapter_that_draws_at_any_strength(self):
        base = self.draw("baseModels/tiny", prompt="a dog in the snow")
        models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        for method, (_, files) in METHODS.items():
            with self.subTest(method=method):
                done = self.service.wait(self.service.create(self.job(method), job_id=method).name)
                self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
                model = models.GetModel(model_service_pb2.GetModelRequest(name=done.output_model))
                self.assertEqual(model.kind, model_pb2.MODEL_KIND_ADAPTER)
                self.assertEqual({file.path for file in model.files}, files | {"likeness_card.json"})
                outputs = self.service.outputs(done)
                self.assertEqual(json.loads(outputs["model/likeness_card.json"])["method"], model.method)
                sample = outputs["samples/0000.png"]
                self.assertEqual(self.draw(done.output_model), sample, "as the fine-tune's own first picture")
                half = self.draw("baseModels/tiny", [(done.output_model, 0.5)])
                self.assertNotEqual(half, sample)
                none = self.draw("baseModels/tiny", [(done.output_model, 0)], prompt="a dog in the snow")
                self.assertEqual(none, base)
                self.assertEqual(self.draw("baseModels/tiny", prompt="a dog in the snow"), base)

    def test_training_goes_on_from_an_adapter(self):
        for method, (_, files) in METHODS.items():
            with self.subTest(method=method):
                first = self.service.wait(self.service.create(self.job(method, steps=2)).name)
                job = self.job(method, steps=1)
                job.fine_tune.training.learning_rate = 1e-12  # nothing that 16 bits tell from nothing
                if method == "pivotal":
                    job.fine_tune.pivotal_tuning.vectors_learning_rate = 1e-12
                job.fine_tune.initial_model = first.output_model
                done = self.service.wait(self.service.create(job).name)
                self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
                before, after = self.service.outputs(first), self.service.outputs(done)
                card = json.loads(after["model/likeness_card.json"])
                self.assertTrue(card["settings"]["initial_model"])
                for path in files - WORD_FILES:
                    self.assertEqual(before[f"model/{path}"], after[f"model/{path}"], path)
                self.assertEqual(before["samples/0000.png"], after["samples/0000.png"])

    def test_an_initial_model_that_does_not_fit_is_refused(self):
        first = self.service.wait(self.service.create(self.job("loha", steps=1)).name)
        job = self.job("hypernetwork")
        job.fine_tune.initial_model = first.output_model
        self.assertEqual(self.refused(job), ["job.fine_tune.initial_model"])
        job = self.job("loha")
        job.fine_tune.initial_model = "tenants/default/models/nobody"
        with self.assertRaises(service.grpc.RpcError) as caught:
            self.service.create(job)
        self.assertEqual(service.error_reason(caught.exception), "MODEL_NOT_FOUND")
        job.fine_tune.initial_model = first.output_model
        job.fine_tune.lora.rank, job.fine_tune.lora.alpha = 3, 3
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual((done.state, done.attempt), (State.JOB_STATE_FAILED, 1), done)
        self.assertEqual(service.error_fields(done.error), ["job.fine_tune.lora.rank"])
        self.assertIn("is 3; the initial model has 2", done.error.message)

    def test_adapters_of_several_methods_draw_together(self):
        names = []
        for method in ("hypernetwork", "loha"):
            done = self.service.wait(self.service.create(self.job(method, steps=3)).name)
            names.append(done.output_model)
        both = self.draw("baseModels/tiny", [(name, 1) for name in names])
        self.assertNotIn(both, [self.draw("baseModels/tiny", [(name, 1)]) for name in names])

    def test_a_killed_worker_costs_no_bit(self):
        straight = self.service.wait(self.service.create(self.job("hypernetwork", steps=60)).name)
        job = self.service.create(self.job("hypernetwork", steps=60))
        self.service.wait_for_phase(job.name, "TRAINING", 9)
        self.worker.kill()
        type(self).worker = self.service.start_worker("after-the-kill")
        killed = self.service.wait(job.name)
        self.assertEqual((killed.state, killed.attempt), (State.JOB_STATE_SUCCEEDED, 2), killed)
        self.assertEqual(self.service.outputs(killed), self.service.outputs(straight))

    def test_settings_that_are_not_allowed_are_named(self):
        job = self.job("pivotal")
        job.fine_tune.pivotal_tuning.lora.train_text_encoder = True
        job.fine_tune.pivotal_tuning.vectors_learning_rate = 0
        self.assertEqual(self.refused(job), ["job.fine_tune.pivotal_tuning.lora.train_text_encoder",
                                             "job.fine_tune.pivotal_tuning.vectors_learning_rate"])
        job = self.job("hypernetwork")
        del job.fine_tune.hypernetwork.layer_structure[:]
        job.fine_tune.hypernetwork.layer_structure.extend([1, 5, 2])
        self.assertEqual(self.refused(job), ["job.fine_tune.hypernetwork.layer_structure[1]",
                                             "job.fine_tune.hypernetwork.layer_structure[2]"])
        job = self.job("lokr")
        job.fine_tune.lora.lokr_factor = 300
        job.fine_tune.lora.up_learning_rate_ratio = 0.5
        self.assertEqual(self.refused(job), ["job.fine_tune.lora.up_learning_rate_ratio", "job.fine_tune.lora.lokr_factor"])

    def refused(self, job):
        with self.assertRaises(service.grpc.RpcError) as caught:
            self.service.create(job)
        return service.error_fields(caught.exception)


if __name__ == "__main__":
    unittest.main()
