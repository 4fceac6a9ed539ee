"""The same picture drawn by the service and by a pipeline of diffusers, as arrays of whole numbers."""
import io
import pathlib
import shutil
import sys
import tempfile
import unittest

import service
from service import State

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
import parity  # noqa: E402  (without diffusers the test is skipped)
from parity import diffusers, torch, transformers  # noqa: E402
import numpy  # noqa: E402
import PIL.Image  # noqa: E402

PROMPT = "a zwx dog in the snow"
DRAWING = dict(seed=5, steps=4, guidance=5.0)


def drawn_here(running, model, prompt=PROMPT, adapters=()):
    """By the service; `adapters`: names of models and strengths."""
    job = service.generate_job([prompt], model, **DRAWING)
    for name, strength in adapters:
        job.generate.model.adapters.add(model=name, strength=strength)
    done = running.wait(running.create(job).name)
    if done.state != State.JOB_STATE_SUCCEEDED:
        raise AssertionError(done)
    picture = PIL.Image.open(io.BytesIO(running.outputs(done)["samples/0000.png"]))
    return numpy.asarray(picture.convert("RGB")).astype(int)


def drawn_there(pipeline, prompt=PROMPT):
    """By the pipeline."""
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(prompt, num_inference_steps=DRAWING["steps"], guidance_scale=DRAWING["guidance"],
                       generator=torch.Generator().manual_seed(DRAWING["seed"]), output_type="np").images[0]
    return (picture * 255).round().astype(int)


class Case(unittest.TestCase):
    """A service with one base model, "tiny". `family`: of what kind it is, a name of parity.SIZES [the model that most tests have]."""

    family = None

    @classmethod
    def setUpClass(cls):
        diffusers.logging.set_verbosity_error()
        diffusers.utils.logging.disable_progress_bar()
        transformers.logging.set_verbosity_error()
        transformers.logging.disable_progress_bar()
        cls.service = service.Service()
        cls.addClassCleanup(cls.service.close)
        temporary = tempfile.TemporaryDirectory(prefix="likeness-drawn-twice-")
        cls.addClassCleanup(temporary.cleanup)
        cls.directory = pathlib.Path(temporary.name)
        cls.models = cls.service.models
        if cls.family:
            cls.models = cls.directory / "models"
            parity.save_random_pipeline(cls.directory / "random", parity.SIZES[cls.family])
            shutil.move(cls.directory / "random/model", cls.models / "tiny")
            (cls.models / "tiny/likeness_defaults.json").write_text('{"fine_tune": {"subjects": [{"token": "zwx"}]}}')
        cls.service.start_worker(models=cls.models)
        cls.service.wait_for_models()

    @classmethod
    def base_pipeline(cls):
        return diffusers.DiffusionPipeline.from_pretrained(cls.models / "tiny")
