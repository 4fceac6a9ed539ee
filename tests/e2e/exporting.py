"""Models of every method, exported over gRPC and drawn with in diffusers: what the tests of exports share."""
import pathlib

import service
from service import State
from likeness.v1 import export_pb2, fine_tune_pb2, output_pb2

import drawn_twice  # without diffusers the tests are skipped
from drawn_twice import drawn_there
import parity
from parity import diffusers, documented, load_file

DIFFUSERS, SINGLE_FILE, LORA = (export_pb2.ExportFormat.Value(f"EXPORT_FORMAT_{name}")
                                for name in ("DIFFUSERS", "SINGLE_FILE", "LORA"))


def lora(spec, rank=3):
    spec.lora.rank = rank
    spec.lora.train_text_encoder = True


def pivotal(spec):
    spec.pivotal_tuning.lora.rank = 2
    spec.pivotal_tuning.textual_inversion.vectors = 2
    spec.pivotal_tuning.vectors_learning_rate = 0.1


def other_custom_diffusion(spec):
    spec.subjects[0].token, spec.subjects[0].class_noun = "sks", "cat"
    spec.custom_diffusion.SetInParent()


def lora_of_keys_and_values(spec):
    spec.subjects[0].token, spec.subjects[0].class_noun = "hmv", "cat"
    spec.lora.rank = 2
    spec.lora.targets.extend(["attn2.to_k", "attn2.to_v"])


def load_with_peft(pipeline, folder):
    file = folder / "pytorch_lora_weights.safetensors"
    for part in sorted({key.partition(".")[0] for key in load_file(file)}):
        documented("exports.md", "load_in_peft")(getattr(pipeline, part), part, file, folder / part)


LOADERS = {  # of a pipeline of the base model and the folder with a model's files
    "load_lora_weights": lambda pipeline, folder: pipeline.load_lora_weights(
        str(folder), weight_name="pytorch_lora_weights.safetensors"),
    "load_textual_inversion": lambda pipeline, folder: parity.load_word(pipeline, folder, "zwx"),
    "load_attn_procs": parity.load_custom_diffusion,
    "PeftModel": load_with_peft,
}

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
    "other_custom": other_custom_diffusion,
    "key_lora": lora_of_keys_and_values,
}


def id_of(method):
    return method.replace("_", "-")


def model_of(method):
    return f"tenants/default/models/{id_of(method)}"


class ExportCase(drawn_twice.Case):
    """`methods`: those of which there is a model."""

    methods = METHODS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        photos = service.draw_photos(cls.service.directory / "photos")
        trained = []
        for method in cls.methods:
            job = service.fine_tune_job(photos, steps=4, seed=20 + list(METHODS).index(method))
            del job.fine_tune.samples.prompts[:]
            METHODS[method](job.fine_tune)
            job.fine_tune.training.learning_rate = 1e-3 if method == "dreambooth" else 0.02
            trained.append(cls.service.create(job, job_id=id_of(method)))
        for job in trained:
            done = cls.service.wait(job.name)
            assert done.state == State.JOB_STATE_SUCCEEDED, done

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

    def drawn_from_single_file(self, folder):
        return drawn_there(type(self.base_pipeline()).from_single_file(
            str(folder / "model.safetensors"), config=str(self.models / "tiny"), local_files_only=True))

    def refused(self, job):
        with self.assertRaises(service.grpc.RpcError) as caught:
            self.service.create(job)
        return service.error_fields(caught.exception)
