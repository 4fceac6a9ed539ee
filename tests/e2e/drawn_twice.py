"""The same picture drawn by the service and by a pipeline of diffusers, as arrays of whole numbers."""
import io
import pathlib
import sys

import service
from service import State

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "parity"))
from parity import torch  # noqa: E402  (without it the test is skipped)
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
