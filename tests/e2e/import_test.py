"""Files of other programs imported over gRPC: they draw what the file's own loader in diffusers draws."""
import json
import pathlib
import re
import subprocess
import sys
import unittest

import service
from service import State
from likeness.v1 import fine_tune_pb2, model_pb2, model_service_pb2, model_service_pb2_grpc

import drawn_twice  # without diffusers this test is skipped
from drawn_twice import PROMPT, drawn_there
import parity
from parity import load_file, save_file, torch
import safetensors.torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict


def randomized(module):
    """What training would have left."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return module


class Imports(drawn_twice.Case):
    """What is read for each family."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(3)
        cls.stored = model_service_pb2_grpc.ModelServiceStub(cls.service.channel)
        cls.base = cls.drawn_here("baseModels/tiny")

    @classmethod
    def drawn_here(cls, model, prompt=PROMPT):
        return drawn_twice.drawn_here(cls.service, model, prompt)

    def job(self, file, **settings):
        job = service.job_pb2.Job()
        job.import_model.inline = pathlib.Path(file).read_bytes()
        job.import_model.file_name = pathlib.Path(file).name
        job.import_model.class_noun = "dog"
        for field, value in settings.items():
            setattr(job.import_model, field, value)
        return job

    def imported(self, file, **settings):
        done = self.service.wait(self.service.create(self.job(file, **settings)).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        model = self.stored.GetModel(model_service_pb2.GetModelRequest(name=done.output_model))
        self.assertEqual((model.kind, model.base_model), (model_pb2.MODEL_KIND_ADAPTER, "baseModels/tiny"))
        return model

    def check_same(self, there, here, what):
        self.assertGreater(abs(here - self.base).max(), 3, what)
        self.assertLessEqual(abs(there - here).max(), 1, what)

    def saved(self, name, unet_alone=False, **config):
        """pytorch_lora_weights.safetensors of diffusers, with its metadata."""
        pipeline, layers = self.base_pipeline(), {}
        for part in ["unet"] if unet_alone else ["unet", *parity.text_encoders(pipeline)]:
            module = getattr(pipeline, part)
            targets = ["to_q", "to_v", "conv1", "to_out.0"] if part == "unet" else ["q_proj", "v_proj"]
            module.add_adapter(LoraConfig(target_modules=targets, **config))
            layers[f"{part}_lora_layers"] = get_peft_model_state_dict(randomized(module))
            layers[f"{part}_lora_adapter_metadata"] = module.peft_config["default"].to_dict()
        folder = self.directory / name
        pipeline.save_lora_weights(folder, **layers)
        return folder / "pytorch_lora_weights.safetensors"

    def loaded(self, file):
        pipeline = self.base_pipeline()
        pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
        return pipeline

    def kohya(self, name, unet, text_encoder, ranks, alphas):
        """A file with ranks and alphas of the layers in turn, and a pipeline with W + alpha / rank up down in the place of W."""
        pipeline, updates, layers = self.base_pipeline(), {}, {}
        encoders = parity.text_encoders(pipeline)
        prefixes = dict(zip(encoders, ["lora_te"] if len(encoders) == 1 else ["lora_te1", "lora_te2"]))
        for part, prefix, ends in (("unet", "lora_unet", unet), *((part, prefix, text_encoder) for part, prefix in prefixes.items())):
            for layer, module in getattr(pipeline, part).named_modules():
                if layer.endswith(ends):
                    layer = layer if part == "unet" or layer.startswith("text_model") else f"text_model.{layer}"
                    layers[f"{prefix}_{layer.replace('.', '_')}"] = module.weight
        for number, (layer, weight) in enumerate(sorted(layers.items())):
            rank, alpha, inner = ranks[number % len(ranks)], alphas[number % len(alphas)], weight.shape[2:]
            down = torch.randn(rank, weight.shape[1], *inner) * 0.3
            up = torch.randn(weight.shape[0], rank, *(1 for _ in inner)) * 0.3
            updates |= {f"{layer}.lora_down.weight": down, f"{layer}.lora_up.weight": up, f"{layer}.alpha": torch.tensor(alpha)}
            weight.data += alpha / rank * (up.flatten(1) @ down.flatten(1)).view(weight.shape)
        file = self.directory / f"{name}.safetensors"
        save_file(updates, file)
        return file, pipeline

    @staticmethod
    def file_of(model, path):
        return next(file.blob for file in model.files if file.path == path)

    def test_a_lora_of_diffusers(self):
        for name, config in {"alpha": dict(r=3, lora_alpha=5), "rslora": dict(r=3, lora_alpha=2, use_rslora=True),
                             # diffusers does not find the magnitudes of text encoders again
                             "dora": dict(r=2, lora_alpha=2, use_dora=True, unet_alone=True)}.items():
            with self.subTest(name=name):
                file = self.saved(name, **config)
                model = self.imported(file)
                self.assertEqual((model.method, model.class_noun, model.token), ("lora", "dog", "zwx"))
                self.check_same(drawn_there(self.loaded(file)), self.drawn_here(model.name), name)

    def test_a_lora_of_kohya_with_ranks_and_alphas_of_its_layers(self):
        file, merged = self.kohya("kohya", ("to_q", "to_v", "conv1"), ("q_proj", "out_proj"), (1, 2, 3), (0.5, 1.5))
        self.check_same(drawn_there(merged), self.drawn_here(self.imported(file).name), "as kohya defines it")
        # diffusers says that it ignores alphas of attention layers that are not the most frequent.
        file, _ = self.kohya("kohya-in-diffusers", ("to_q", "to_v", "conv1"), ("q_proj", "out_proj"), (2,), (1.0,))
        self.check_same(drawn_there(self.loaded(file)), self.drawn_here(self.imported(file).name), "diffusers' loader")

    def test_a_lora_of_peft(self):
        pipeline = self.base_pipeline()
        config = LoraConfig(r=2, lora_alpha=2, target_modules=["to_q", "to_v"])
        pipeline.unet = randomized(get_peft_model(pipeline.unet, config))
        pipeline.unet.save_pretrained(self.directory / "peft")
        model = self.imported(self.directory / "peft/adapter_model.safetensors")
        pipeline.unet = pipeline.unet.merge_and_unload()
        self.check_same(drawn_there(pipeline), self.drawn_here(model.name), "peft")

    def test_words_of_diffusers_and_a1111(self):
        encoders = parity.text_encoders(self.base_pipeline())
        rows = [torch.randn(2, encoder.config.hidden_size) for encoder in encoders.values()]
        of_diffusers = {"qqq": rows[0]} if len(rows) == 1 else dict(zip(("clip_l", "clip_g"), rows))
        cases = {"diffusers": (of_diffusers, {} if len(rows) == 1 else dict(token="qqq"), "qqq")}
        if len(rows) == 1:
            cases["a1111"] = ({"emb_params": rows[0]}, dict(token="www"), "www")
        for name, (tensors, settings, word) in cases.items():
            with self.subTest(name=name):
                folder = self.directory / name
                folder.mkdir()
                file = folder / "learned_embeds.safetensors"
                save_file(tensors, file)
                model = self.imported(file, **settings)
                self.assertEqual((model.method, model.token), ("textual_inversion", word))
                pipeline = self.base_pipeline()
                if name == "a1111":
                    pipeline.load_textual_inversion(rows[0], token=word)
                else:
                    parity.load_word(pipeline, folder, word)
                self.check_same(drawn_there(pipeline, f"a {word} dog"), self.drawn_here(model.name, f"a {word} dog"), name)

    def test_what_was_trained_here_comes_back_as_it_was(self):
        photos = service.draw_photos(self.service.directory / "photos")
        for method in ("hypernetwork", "lora", "textual_inversion"):
            job = service.fine_tune_job(photos)
            getattr(job.fine_tune, method).SetInParent()
            job.fine_tune.training.learning_rate = 0.02
            done = self.service.wait(self.service.create(job).name)
            files = {path: data for path, data in self.service.outputs(done).items() if path.endswith(".safetensors")}
            for path, data in files.items():
                with self.subTest(path=path):
                    file = self.directory / pathlib.Path(path).name
                    file.write_bytes(data)
                    model = self.imported(file, token="zwx")
                    self.assertEqual(model.method, method)
                    self.assertTrue((self.drawn_here(model.name) == self.drawn_here(done.output_model)).all())
                    again = safetensors.torch.load(self.service.read_blob(self.file_of(model, pathlib.Path(path).name)))
                    before = safetensors.torch.load(data)
                    self.assertEqual(again.keys(), before.keys())
                    self.assertTrue(all(torch.equal(again[key], before[key]) for key in before))


class StableDiffusionXL(Imports):
    family = "Stable Diffusion XL"


class StableDiffusion1(Imports):
    def failed(self, file, **settings):
        done = self.service.wait(self.service.create(self.job(file, **settings)).name)
        self.assertEqual((done.state, service.error_reason(done.error)), (State.JOB_STATE_FAILED, "FILE_UNUSABLE"), done)
        return done.error.message

    def test_without_a_class_noun_the_subject_is_its_token_alone(self):
        file = self.saved("classless", r=2, lora_alpha=2)
        model = self.imported(file, class_noun="", token="qqq")
        job = service.generate_job(["a {subject} in the snow", "a {class}"], model.name, steps=2)
        done = self.service.wait(self.service.create(job).name)
        drawn = [output.prompt for output in done.outputs if output.prompt]
        self.assertEqual(drawn, ["a qqq in the snow", "a {class}"])
        self.assertEqual(list(done.warnings),
                         ["prompts[1] holds {class}, and the model has no class noun: it is read as it is written"])

    def test_a_lora_that_nobody_gave_a_word_says_which_is_used(self):
        file = self.saved("nameless", r=2, lora_alpha=2)
        for settings, words in (({}, ['"zwx", the base model\'s default, is used']), (dict(token="qqq"), [])):
            done = self.service.wait(self.service.create(self.job(file, **settings)).name)
            self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
            self.assertEqual(len(done.warnings), len(words), done.warnings)
            for word, warning in zip(words, done.warnings):
                self.assertIn(word, warning)

    def test_a1111s_pickle_of_a_hypernetwork_is_made_and_imported_by_the_documents_recipes(self):
        def run(document, call):
            text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / document).read_text()
            recipe, = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if call in block]
            subprocess.run([sys.executable, "-c", recipe], cwd=self.directory, check=True)

        job = service.fine_tune_job(service.draw_photos(self.service.directory / "pickled"))
        job.fine_tune.hypernetwork.layer_structure.extend([1, 2, 2, 1])
        job.fine_tune.hypernetwork.activation = fine_tune_pb2.HYPERNETWORK_ACTIVATION_MISH
        job.fine_tune.hypernetwork.activate_output = True
        job.fine_tune.hypernetwork.dropout = 0.1
        job.fine_tune.hypernetwork.last_layer_dropout = False
        job.fine_tune.training.learning_rate = 0.02
        done = self.service.wait(self.service.create(job).name)
        trained = self.directory / "hypernetwork.safetensors"
        trained.write_bytes(next(data for path, data in self.service.outputs(done).items() if path.endswith(trained.name)))
        run("hypernetworks.md", "torch.save")
        run("exports.md", "torch.load(\"rex")
        model = self.imported(self.directory / "rex.safetensors", token="zwx")
        self.assertTrue((self.drawn_here(model.name) == self.drawn_here(done.output_model)).all())

    def test_a_file_that_does_not_fit_is_refused_by_its_key(self):
        good = load_file(self.saved("good", r=2, lora_alpha=2))
        some = sorted(key for key in good if key.endswith("lora_A.weight") and good[key].dim() == 2)[0]
        cases = {
            "unet.nowhere.lora_A.weight": good | {"unet.nowhere.lora_A.weight": torch.zeros(2, 4)},
            some[:-len(".lora_A.weight")]: good | {some: torch.zeros(2, 7)},
            f"{some}.lora_mid.weight": good | {f"{some}.lora_mid.weight": torch.zeros(2, 2)},
            "something.else": {"something.else": torch.zeros(3), "other": torch.zeros(3)},
        }
        for key, tensors in cases.items():
            with self.subTest(key=key):
                file = self.directory / "bad.safetensors"
                save_file(tensors, file)
                message = self.failed(file)
                self.assertTrue(key in message or key == "something.else" and "other" in message, message)
                self.assertIn("bad.safetensors", message)
        up = some.replace("lora_A", "lora_B")
        self.assertIn(f"{up} holds values that are not finite", self.refused_of(good | {up: good[up] * float("nan")}))
        self.assertIn("alpha is 0", self.refused_of(good | {some.replace("lora_A.weight", "alpha"): torch.zeros(())}))
        save_file({"emb_params": torch.zeros(1, 7)}, file)
        self.assertIn("text", self.failed(file))

    def refused_of(self, tensors):
        file = self.directory / "bad.safetensors"
        save_file(tensors, file)
        return self.failed(file)

    def test_a_word_that_cannot_stand_for_a_subject_is_refused_unless_another_is_given(self):
        rows = torch.randn(1, self.base_pipeline().text_encoder.config.hidden_size)
        for word in ("two words", "a\n\x1b[31m", "{subject}", "w" * 65):
            with self.subTest(word=word[:10]):
                self.assertIn("cannot stand for a subject", self.refused_of({word: rows}))
        self.assertEqual(self.imported(self.directory / "bad.safetensors", token="qqq").token, "qqq")
        self.assertIn("a holds values that are not finite", self.refused_of({"a": rows * float("inf")}))

    def test_a_hypernetwork_for_contexts_of_other_widths_is_refused_by_its_width(self):
        shape = {"layer_structure": [1, 1, 1], "activation_func": "linear", "is_layer_norm": False, "self_attention": True,
                 "dropout_structure": [0, 0, 0]}
        pair = {f"7.{net}.linear.{layer}.{name}": torch.zeros(sizes) for net in (0, 1) for layer in (0, 1)
                for name, sizes in (("weight", (7, 7)), ("bias", (7,)))}
        file = self.directory / "wide.safetensors"
        save_file(pair, file, metadata={"hypernetwork": json.dumps(shape)})
        message = self.failed(file)
        self.assertTrue("wide.safetensors" in message and "width 7" in message, message)

    def test_what_is_no_safetensors_file_is_refused_at_once(self):
        file = self.directory / "pickle.safetensors"
        file.write_bytes(b"\x80\x02}q\x00." * 10)
        with self.assertRaises(service.grpc.RpcError) as caught:
            self.service.create(self.job(file))
        self.assertEqual((service.error_reason(caught.exception), service.error_fields(caught.exception)),
                         ("FILE_UNUSABLE", ["job.import_model.inline"]))
        with self.assertRaises(service.grpc.RpcError) as caught:
            self.service.create(self.job(file, token="two words", file_name="a/b"))
        self.assertEqual(service.error_fields(caught.exception), ["job.import_model.file_name", "job.import_model.token"])

    def test_the_file_goes_with_the_model_that_is_erased(self):
        file = self.directory / "erased.safetensors"
        save_file({"qq": torch.randn(1, self.base_pipeline().text_encoder.config.hidden_size)}, file)
        model = self.imported(file)
        blob = self.service.get(model.job).import_model.blob
        self.assertEqual(self.service.read_blob(blob), file.read_bytes())
        self.stored.EraseModel(model_service_pb2.EraseModelRequest(name=model.name))
        with self.assertRaises(service.grpc.RpcError):
            self.service.read_blob(blob)


del Imports  # it has no family

if __name__ == "__main__":
    unittest.main()
