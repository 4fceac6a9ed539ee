"""Each row of the table in docs/exports.md, on each family: what the service does with the method, and what diffusers does with its files.

    export_table_test.py [StableDiffusion1|StableDiffusion2|StableDiffusionXL]
"""
import dataclasses
import re
import unittest

import service
from likeness.v1 import export_pb2, fine_tune_pb2, model_pb2, model_service_pb2, model_service_pb2_grpc
import exporting
from exporting import DIFFUSERS, LOADERS, LORA, METHODS, SINGLE_FILE, model_of
from parity import diffusers
import drawn_twice
from drawn_twice import drawn_there


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


class Table(exporting.ExportCase):
    methods = [method for method in METHODS if method not in ("other-lora", "other_custom", "key_lora", "to-erase")]

    def test_the_docs_have_a_row_for_each_method_and_variant(self):
        methods = {field.name for field in fine_tune_pb2.FineTuneSpec.DESCRIPTOR.oneofs_by_name["method"].fields}
        self.assertEqual({row.method for row in rows().values()}, methods)
        variants = {name.removeprefix("LORA_VARIANT_").lower() for name in fine_tune_pb2.LoraVariant.keys()} - {"unspecified"}
        self.assertEqual(set(rows()), methods | variants | {"min_rank"})
        self.assertEqual(set(rows()), set(self.methods))

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
                    pipeline = self.base_pipeline()
                    for name in loaders:
                        LOADERS[name](pipeline, folder)
                    self.check_same(drawn_there(pipeline), self.drawn_here("baseModels/tiny", [(method, 1)]), loaders)


class StableDiffusion1(Table):
    pass


class StableDiffusion2(Table):
    family = "Stable Diffusion 2"


class StableDiffusionXL(Table):
    family = "Stable Diffusion XL"


del Table  # it is no family

if __name__ == "__main__":
    unittest.main()
