"""Models and their adapters exported over gRPC, and drawn with in diffusers: the same pictures as here."""
import dataclasses
import pathlib
import re
import shutil
import sys
import tempfile
import unittest

import service
from service import State
from likeness.v1 import export_pb2, fine_tune_pb2, model_pb2, model_service_pb2, model_service_pb2_grpc, output_pb2

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
from parity import diffusers, documented, load_file, torch  # noqa: E402  (without them this test is skipped)
import drawn_twice  # noqa: E402
from drawn_twice import drawn_there  # noqa: E402

DIFFUSERS, SINGLE_FILE, LORA = (export_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{name}")
                                for name in ("DIFFUSERS", "SINGLE_FILE", "LORA"))


def lora(spec, rank=3):
    spec.lora.rank = rank
    spec.lora.train_text_encoder = True


def pivotal(spec):
    spec.pivotal_tuning.lora.rank = 2
    spec.pivotal_tuning.textual_inversion.vectors = 2
    spec.pivotal_tuning.vectors_learning_rate = 0.1


def load_with_peft(pipeline, folder):
    file = folder / "pytorch_lora_weights.safetensors"
    for part in sorted({key.partition(".")[0] for key in load_file(file)}):
        documented("exports.md", "load_in_peft")(getattr(pipeline, part), part, file, folder / part)


def load_custom_diffusion(pipeline, folder):
    pipeline.unet.load_attn_procs(str(folder), weight_name="pytorch_custom_diffusion_weights.safetensors", _pipeline=pipeline)


LOADERS = {  # of a pipeline of the base model and the folder with a model's files
    "load_lora_weights": lambda pipeline, folder: pipeline.load_lora_weights(
        str(folder), weight_name="pytorch_lora_weights.safetensors"),
    "load_textual_inversion": lambda pipeline, folder: pipeline.load_textual_inversion(
        str(folder / "learned_embeds.safetensors")),
    "load_attn_procs": load_custom_diffusion,
    "PeftModel": load_with_peft,
}


@dataclasses.dataclass
class Row:
    """Of the table in docs/exports.md."""

    method: str  # as the contract calls it
    live: str
    merged: str
    formats: set
    files: set  # of safetensors
    loaders: list  # of the own files: loaders that are used one after the other, for each "or" another list
    loaders_of_merged: set


def rows():
    """By the method or its variant."""
    text = (service.ROOT / "docs/exports.md").read_text().split("## What goes with what")[1]
    found = {}
    for line in re.findall(r"^\| (`.+) \|$", text, re.M):
        name, live, merged, formats, files, loaders = line.split(" | ")
        method, *variant = names(name)
        own, _, of_merged = loaders.partition("merged:")
        shared = set().union(*(found[other].files for other in names(files) if other in found))  # "those of"
        ways = ([name for name in names(way) if name in LOADERS] for way in own.split(" or "))
        found[(variant or [method])[0].lower()] = Row(
            method, live, merged.split(":")[0],
            formats={export_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{name.upper()}") for name in names(formats)},
            files=shared | {name for name in names(files) if name.endswith(".safetensors")},
            loaders=[way for way in ways if way], loaders_of_merged=set(names(of_merged)))
    return found


def names(text):
    return re.findall(r"`([^`]+)`", text)


METHODS = {
    "lora": lora,
    "other-lora": lambda spec: lora(spec, rank=2),
    "loha": lambda spec: spec.lora.MergeFrom(fine_tune_pb2.Lora(rank=2, variant=fine_tune_pb2.LORA_VARIANT_LOHA)),
    "textual_inversion": lambda spec: spec.textual_inversion.SetInParent(),
    "dora": lambda spec: spec.lora.MergeFrom(fine_tune_pb2.Lora(rank=2, variant=fine_tune_pb2.LORA_VARIANT_DORA)),
    "lokr": lambda spec: spec.lora.MergeFrom(fine_tune_pb2.Lora(rank=2, variant=fine_tune_pb2.LORA_VARIANT_LOKR)),
    "min_rank": lambda spec: spec.lora.MergeFrom(fine_tune_pb2.Lora(rank=3, min_rank=1)),
    "pivotal_tuning": pivotal,
    "custom_diffusion": lambda spec: spec.custom_diffusion.SetInParent(),
    "svdiff": lambda spec: spec.svdiff.SetInParent(),
    "hypernetwork": lambda spec: spec.hypernetwork.SetInParent(),
    "to-erase": lora,
    "dreambooth": lambda spec: spec.dreambooth.SetInParent(),
}


def id_of(method):
    return method.replace("_", "-")


def model_of(method):
    return f"tenants/default/models/{id_of(method)}"


class ExportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        diffusers.logging.set_verbosity_error()
        cls.service = service.Service()
        cls.addClassCleanup(cls.service.close)
        cls.service.start_worker()
        cls.service.wait_for_models()
        photos = service.draw_photos(cls.service.directory / "photos")
        trained = {}
        for number, (method, change) in enumerate(METHODS.items()):
            job = service.fine_tune_job(photos, steps=4, seed=20 + number)
            del job.fine_tune.samples.prompts[:]
            change(job.fine_tune)
            job.fine_tune.training.learning_rate = 1e-3 if method == "dreambooth" else 0.02
            trained[method] = cls.service.create(job, job_id=id_of(method))
        for method, job in trained.items():
            done = cls.service.wait(job.name)
            assert done.state == State.JOB_STATE_SUCCEEDED, done
        temporary = tempfile.TemporaryDirectory(prefix="likeness-export-")
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)

    def drawn_here(self, model, adapters=()):
        return drawn_twice.drawn_here(self.service, model, adapters=[(model_of(name), strength) for name, strength in adapters])

    def spec(self, model, export_format, adapters=(), **settings):
        job = service.job_pb2.Job()
        job.export_model.format = export_format
        job.export_model.model.name = model
        for name, strength in adapters:
            job.export_model.model.adapters.add(model=model_of(name), strength=strength)
        for field, value in settings.items():
            setattr(job.export_model, field, value)
        return job

    def export(self, *args, **settings):
        """The job that exported, and the folder with its files."""
        done = self.service.wait(self.service.create(self.spec(*args, **settings)).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        folder = self.directory / done.name.split("/")[-1]
        for path, data in self.service.outputs(done).items():
            file = folder / pathlib.Path(path).relative_to("export")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        return done, folder

    def check_same(self, there, here, what, most=1):
        self.assertLessEqual(abs(there - here).max(), most, what)

    def check_directory(self, adapters, base):
        done, folder = self.export("baseModels/tiny", DIFFUSERS, adapters)
        self.assertEqual({output.kind for output in done.outputs}, {output_pb2.OUTPUT_KIND_EXPORT})
        here = self.drawn_here("baseModels/tiny", adapters)
        self.assertGreater(abs(here - base).max(), 3)
        self.check_same(drawn_there(diffusers.DiffusionPipeline.from_pretrained(folder)), here, adapters)

    def test_the_docs_have_a_row_for_each_method_and_variant(self):
        methods = {field.name for field in fine_tune_pb2.FineTuneSpec.DESCRIPTOR.oneofs_by_name["method"].fields}
        self.assertEqual({row.method for row in rows().values()}, methods)
        variants = {name.removeprefix("LORA_VARIANT_").lower() for name in fine_tune_pb2.LoraVariant.keys()} - {"unspecified"}
        self.assertEqual(set(rows()), methods | variants | {"min_rank"})
        self.assertEqual(set(rows()), set(METHODS) - {"other-lora", "to-erase"})

    def test_each_method_is_merged_as_its_row_in_the_docs_says(self):
        base = self.drawn_here("baseModels/tiny")
        for method, row in rows().items():
            with self.subTest(method=method):
                if row.merged == "none":
                    self.assertEqual((row.formats, row.loaders_of_merged), (set(), set()))
                elif row.merged == "is a model of its own":
                    _, folder = self.export(model_of(method), DIFFUSERS)
                    self.check_same(drawn_there(diffusers.DiffusionPipeline.from_pretrained(folder)),
                                    self.drawn_here(model_of(method)), method)
                else:
                    self.assertIn(row.merged, ("weights", "tokens", "weights and tokens"))
                    self.check_directory([(method, 1 if "tokens" in row.merged else 0.7)], base)

    def test_each_method_is_exported_in_the_formats_of_its_row_in_the_docs(self):
        for method, row in rows().items():
            model, adapters = ((model_of(method), []) if row.merged == "is a model of its own"
                               else ("baseModels/tiny", [(method, 1)]))
            for export_format in (DIFFUSERS, SINGLE_FILE, LORA):
                with self.subTest(method=method, format=export_format):
                    if export_format not in row.formats:
                        refused = self.refused(self.spec(model, export_format, adapters))
                        if row.merged == "none":
                            self.assertEqual(refused, ["job.export_model.model.adapters[0].model"])
                        self.assertTrue(refused)
                        continue
                    _, folder = self.export(model, export_format, adapters)
                    if export_format == SINGLE_FILE and "from_single_file" in row.loaders_of_merged:
                        self.check_same(self.drawn_from_single_file(folder), self.drawn_here(model, adapters), method)
            with self.subTest(method=method):
                self.assertEqual("from_pretrained" in row.loaders_of_merged, DIFFUSERS in row.formats)

    def test_each_method_draws_live_as_its_row_in_the_docs_says(self):
        for method, row in rows().items():
            with self.subTest(method=method):
                half = service.generate_job([drawn_twice.PROMPT], "baseModels/tiny", **drawn_twice.DRAWING)
                half.generate.model.adapters.add(model=model_of(method), strength=0.5)
                if row.live.startswith("a model of its own"):
                    self.assertEqual(self.refused(half), ["job.generate.model.adapters[0].model"])
                elif row.live == "a word, no strength":
                    self.assertEqual(self.refused(half), ["job.generate.model.adapters[0].strength"])
                else:
                    self.assertTrue(row.live.startswith("any strength"), row.live)
                    drawn = [self.drawn_here("baseModels/tiny", [(method, strength)]) for strength in (0.5, 1)]
                    self.assertGreater(abs(drawn[0] - drawn[1]).max(), 1)

    def test_each_methods_files_and_their_loaders_are_those_of_its_row_in_the_docs(self):
        models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        for method, row in rows().items():
            with self.subTest(method=method):
                model = models.GetModel(model_service_pb2.GetModelRequest(name=model_of(method)))
                if model.kind != model_pb2.MODEL_KIND_ADAPTER:
                    self.assertIn("model_index.json", {file.path for file in model.files})
                    continue
                self.assertEqual({file.path for file in model.files}, row.files | {"likeness_card.json"})
                folder = self.directory / f"own-{method}"
                folder.mkdir()
                for file in model.files:
                    (folder / file.path).write_bytes(self.service.read_blob(file.blob))
                for loaders in row.loaders:
                    pipeline = diffusers.DiffusionPipeline.from_pretrained(self.service.models / "tiny")
                    for name in loaders:
                        LOADERS[name](pipeline, folder)
                    self.check_same(drawn_there(pipeline), self.drawn_here("baseModels/tiny", [(method, 1)]), loaders)

    def drawn_from_single_file(self, folder):
        return drawn_there(diffusers.StableDiffusionPipeline.from_single_file(
            str(folder / "model.safetensors"), config=str(self.service.models / "tiny"), local_files_only=True))

    def test_a_directory_with_a_word_is_a_base_model_that_knows_it(self):
        adapters = [("pivotal_tuning", 1)]
        _, folder = self.export("baseModels/tiny", DIFFUSERS, adapters)
        models = self.service.directory / "exported-models"
        shutil.copytree(folder, models / "worded")
        worker = self.service.start_worker("worded", models=models)
        self.addCleanup(worker.terminate)  # it would take the others' jobs, of whose base models it has none
        self.service.wait_for_models("baseModels/worded")
        self.check_same(self.drawn_here("baseModels/worded"), self.drawn_here("baseModels/tiny", adapters), "exported")

    def test_several_are_merged_together(self):
        self.check_directory([("lora", 0.7), ("dora", 0.5), ("textual_inversion", 1)], self.drawn_here("baseModels/tiny"))

    def test_weights_in_16_bits_draw_nearly_the_same(self):
        adapters = [("lora", 1)]
        _, folder = self.export("baseModels/tiny", DIFFUSERS, adapters, float16=True)
        weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
        self.assertLess(weights.stat().st_size, 0.6 * (self.service.models / "tiny/vae" / weights.name).stat().st_size)
        pipeline = diffusers.DiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
        self.check_same(drawn_there(pipeline), self.drawn_here("baseModels/tiny", adapters), "float16", most=6)

    def test_a_single_file_draws_what_the_adapters_draw_here(self):
        adapters = [("lora", 0.7), ("svdiff", 1)]
        _, folder = self.export("baseModels/tiny", SINGLE_FILE, adapters)
        self.check_same(self.drawn_from_single_file(folder), self.drawn_here("baseModels/tiny", adapters), "single file")

    def test_words_lie_beside_a_single_file(self):
        done, folder = self.export("baseModels/tiny", SINGLE_FILE, [("pivotal_tuning", 1)])
        self.assertEqual({file.name for file in (folder / "words/pivotal-tuning").iterdir()},
                         {"learned_embeds.safetensors", "a1111_embedding.safetensors"})
        self.assertTrue(any("words/pivotal-tuning" in warning for warning in done.warnings), done.warnings)

    def test_one_lora_of_two_draws_what_both_draw(self):
        adapters = [("lora", 0.7), ("other-lora", -0.5)]
        done, folder = self.export("baseModels/tiny", LORA, adapters, rank=5)
        self.assertLess(done.metrics["lora_weight_error"], 1e-4)
        here = self.drawn_here("baseModels/tiny", adapters)
        for file in ("pytorch_lora_weights.safetensors", "kohya_lora.safetensors"):
            with self.subTest(file=file):
                pipeline = diffusers.DiffusionPipeline.from_pretrained(self.service.models / "tiny")
                pipeline.load_lora_weights(str(folder), weight_name=file)
                self.check_same(drawn_there(pipeline), here, file)

    def imported(self, file):
        job = service.job_pb2.Job()
        job.import_model.inline = file.read_bytes()
        job.import_model.file_name = file.name
        job.import_model.base_model = "baseModels/tiny"  # another test has made a second one
        job.import_model.class_noun, job.import_model.token = "dog", "zwx"
        done = self.service.wait(self.service.create(job).name)
        self.assertEqual(done.state, State.JOB_STATE_SUCCEEDED, done)
        return done.output_model

    def test_a_lora_in_8_bits_draws_nearly_what_it_was_made_of(self):
        adapters = [("lora", 1)]
        _, whole = self.export("baseModels/tiny", LORA, adapters, rank=3)
        done, folder = self.export("baseModels/tiny", LORA, adapters, rank=3, float8=True)
        self.assertLess(done.metrics["lora_float8_error"], 0.05)
        self.assertGreater(done.metrics["lora_float8_error"], 0.01)
        exact, base = self.drawn_here("baseModels/tiny", adapters), self.drawn_here("baseModels/tiny")
        for file in ("pytorch_lora_weights.safetensors", "kohya_lora.safetensors"):
            with self.subTest(file=file):
                factors, before = ([value for key, value in load_file(of / file).items() if not key.endswith(".alpha")]
                                   for of in (folder, whole))
                self.assertEqual({value.dtype for value in factors}, {torch.float8_e4m3fn})
                self.assertEqual(4 * sum(value.nbytes for value in factors), sum(value.nbytes for value in before))
                pipeline = diffusers.DiffusionPipeline.from_pretrained(self.service.models / "tiny")
                pipeline.load_lora_weights(str(folder), weight_name=file)
                there = drawn_there(pipeline)
                self.check_same(there, drawn_twice.drawn_here(self.service, self.imported(folder / file)), file)
                self.assertLess(abs(there - exact).mean(), 0.2 * abs(base - exact).mean())

    def test_a_lora_of_a_whole_model_says_how_near_it_comes(self):
        errors = [self.export(model_of("dreambooth"), LORA, rank=rank)[0].metrics for rank in (1, 16)]
        for name in ("lora_weight_error", "lora_pass_error"):
            self.assertLess(errors[1][name], errors[0][name])
        self.assertLess(errors[0]["lora_weight_error"], 1)
        self.assertEqual(errors[1]["lora_rank"], 16)

    def test_a_lora_with_an_energy_has_the_least_rank_of_each_layer_that_keeps_it(self):
        energy, model = 0.8, model_of("dreambooth")
        done, folder = self.export(model, LORA, energy=energy)
        _, whole = self.export(model, DIFFUSERS)
        after, before = (diffusers.DiffusionPipeline.from_pretrained(of).unet.state_dict()
                         for of in (whole, self.service.models / "tiny"))
        file = folder / "pytorch_lora_weights.safetensors"
        ranks = {key.removeprefix("unet.").removesuffix(".lora_A.weight"): value.shape[0]
                 for key, value in load_file(file).items() if key.startswith("unet.") and key.endswith(".lora_A.weight")}
        self.assertGreater(len(set(ranks.values())), 1)
        for layer, rank in ranks.items():
            change = (after[f"{layer}.weight"] - before[f"{layer}.weight"]).flatten(1).double()
            shares = (torch.linalg.svdvals(change) ** 2).cumsum(0)
            shares = shares / shares[-1]
            with self.subTest(layer=layer):
                self.assertGreaterEqual(shares[rank - 1], energy - 1e-4)
                if rank > 1:
                    self.assertLess(shares[rank - 2], energy + 1e-4)
        metrics = done.metrics
        self.assertGreaterEqual(metrics["lora_energy"], energy)
        self.assertNotIn("layers keep less", " ".join(done.warnings))
        bounded, _ = self.export(model, LORA, energy=energy, rank=1)
        more = sum(rank > 1 for rank in ranks.values())
        self.assertIn(f"{more} of {len(ranks)} layers keep less than {energy}", " ".join(bounded.warnings))
        self.assertEqual((metrics["lora_rank_least"], metrics["lora_rank"]), (min(ranks.values()), max(ranks.values())))
        self.assertTrue(metrics["lora_rank_least"] < metrics["lora_rank_mean"] < metrics["lora_rank"])
        here = drawn_twice.drawn_here(self.service, self.imported(file))
        for name in (file.name, "kohya_lora.safetensors"):
            with self.subTest(file=name):
                pipeline = diffusers.DiffusionPipeline.from_pretrained(self.service.models / "tiny")
                pipeline.load_lora_weights(str(folder), weight_name=name)
                self.check_same(drawn_there(pipeline), here, name)
                self.check_same(drawn_twice.drawn_here(self.service, self.imported(folder / name)), here, name)
        pipeline = diffusers.DiffusionPipeline.from_pretrained(self.service.models / "tiny")
        load_with_peft(pipeline, folder)
        self.check_same(drawn_there(pipeline), here, "peft")

    def test_what_cannot_be_exported_is_refused_by_name(self):
        self.assertEqual(self.refused(self.spec("baseModels/tiny", DIFFUSERS, [("lora", 1), ("hypernetwork", 1)])),
                         ["job.export_model.model.adapters[1].model"])
        for export_format in (DIFFUSERS, SINGLE_FILE, LORA):
            self.assertEqual(self.refused(self.spec("baseModels/tiny", export_format, [("min_rank", 1)])),
                             ["job.export_model.model.adapters[0].model"])
        self.assertEqual(self.refused(self.spec(model_of("min_rank"), DIFFUSERS)), ["job.export_model.model.adapters[0].model"])
        self.assertEqual(self.refused(self.spec("baseModels/tiny", LORA)), ["job.export_model.model.name"])
        self.assertEqual(self.refused(self.spec("baseModels/tiny", 0, rank=300)),
                         ["job.export_model.format", "job.export_model.rank", "job.export_model.rank"])
        self.assertEqual(self.refused(self.spec(model_of("lora"), DIFFUSERS, float8=True)), ["job.export_model.float8"])
        self.assertEqual(self.refused(self.spec(model_of("lora"), DIFFUSERS, energy=0.9)), ["job.export_model.energy"])
        for energy in (0, 1.01, float("nan")):
            self.assertEqual(self.refused(self.spec(model_of("lora"), LORA, energy=energy)), ["job.export_model.energy"])
        self.assertEqual(self.refused(self.spec(model_of("lora"), LORA, float8=True, float16=True)), ["job.export_model.float8"])

    def test_a_model_is_kept_while_it_is_exported_and_its_exports_are_erased_with_it(self):
        copy = self.spec(model_of("lora"), DIFFUSERS)
        copy.schedule_time.GetCurrentTime()
        copy.schedule_time.seconds += 3600
        waiting = self.service.create(copy)
        models = model_service_pb2_grpc.ModelServiceStub(self.service.channel)
        with self.assertRaises(service.grpc.RpcError) as caught:
            models.DeleteModel(model_service_pb2.DeleteModelRequest(name=model_of("lora")))
        self.assertEqual(service.error_reason(caught.exception), "MODEL_IN_USE")
        self.service.jobs.CancelJob(service.job_service_pb2.CancelJobRequest(name=waiting.name))
        done, _ = self.export(model_of("to-erase"), DIFFUSERS)
        erased = models.EraseModel(model_service_pb2.EraseModelRequest(name=model_of("to-erase")))
        self.assertIn(done.name, erased.jobs)
        with self.assertRaises(service.grpc.RpcError):
            self.service.get(done.name)

    def refused(self, job):
        with self.assertRaises(service.grpc.RpcError) as caught:
            self.service.create(job)
        return service.error_fields(caught.exception)


if __name__ == "__main__":
    unittest.main()
