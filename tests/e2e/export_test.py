"""Models and their adapters exported over gRPC, and drawn with in diffusers: the same pictures as here."""
import shutil
import unittest

import service
from service import State
from likeness.v1 import export_pb2, model_service_pb2, model_service_pb2_grpc
import exporting
from exporting import DIFFUSERS, LORA, SINGLE_FILE, load_with_peft, model_of
from parity import diffusers, load_file, torch
import drawn_twice
from drawn_twice import drawn_there


class ExportTest(exporting.ExportCase):
    methods = ["lora", "other-lora", "textual_inversion", "dora", "min_rank", "pivotal_tuning", "svdiff", "hypernetwork", "to-erase",
               "dreambooth"]

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
        self.assertLess(weights.stat().st_size, 0.6 * (self.models / "tiny/vae" / weights.name).stat().st_size)
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
                pipeline = self.base_pipeline()
                pipeline.load_lora_weights(str(folder), weight_name=file)
                self.check_same(drawn_there(pipeline), here, file)

    def test_what_is_parallel_to_the_adapters_before_is_left_out_of_an_orthogonal_merge(self):
        adapters = [("lora", 0.7), ("other-lora", 1)]

        def weights_of(pipeline):
            return {f"{part}.{name}": value.double() for part in ("unet", "text_encoder")
                    for name, value in getattr(pipeline, part).state_dict().items()}

        def weights(*args, **settings):
            done, folder = self.export("baseModels/tiny", DIFFUSERS, *args, **settings)
            return done, weights_of(diffusers.DiffusionPipeline.from_pretrained(folder))

        base = weights_of(self.base_pipeline())
        (_, first), (_, second) = (weights([adapter]) for adapter in adapters)
        summed_up, _ = weights(adapters)
        done, both = weights(adapters, merge=export_pb2.ADAPTER_MERGE_ORTHOGONAL)
        everything = parallel = 0
        for name, value in both.items():
            one, other = ((of[name] - base[name]).flatten(1 if value.dim() > 1 else 0) for of in (first, second))
            shared = one * ((other * one).sum(0) / (one * one).sum(0).clamp_min(1e-30)) if one.any() else 0 * other
            self.assertLess(abs(value - base[name] - (one + other - shared).view(value.shape)).max(), 1e-5, name)
            everything, parallel = everything + (other ** 2).sum(), parallel + (shared ** 2).sum()
        self.assertGreater(parallel, 0)
        self.assertAlmostEqual(done.metrics["adapter_overlap"], float(parallel / everything), delta=1e-3)
        self.assertAlmostEqual(summed_up.metrics["adapter_overlap"], done.metrics["adapter_overlap"])

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
                pipeline = self.base_pipeline()
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
                         for of in (whole, self.models / "tiny"))
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
                pipeline = self.base_pipeline()
                pipeline.load_lora_weights(str(folder), weight_name=name)
                self.check_same(drawn_there(pipeline), here, name)
                self.check_same(drawn_twice.drawn_here(self.service, self.imported(folder / name)), here, name)
        pipeline = self.base_pipeline()
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
        self.assertEqual(self.refused(self.spec(model_of("lora"), DIFFUSERS, merge=7)), ["job.export_model.merge"])
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


if __name__ == "__main__":
    unittest.main()
