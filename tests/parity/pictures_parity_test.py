"""Whole pictures against diffusers' StableDiffusionPipeline: the same weights, prompts, steps, guidance, image generators."""

import contextlib
import json
import pathlib
import tempfile

import numpy
import parity
from parity import diffusers, run_probe, torch, transformers

LIMIT = 1 / 255 + 1e-6  # one level: what float32 makes of it

# 20 guided steps with both samplers; batches that split a request; seed 0 and the last one; empty and endless prompts.
REQUESTS = [
    dict(prompt="a dog in the snow", negative_prompt="", images=3, seed=7, sampler="ddim", steps=20, guidance=7.5, batch_size=2),
    dict(prompt="a dog in the snow", negative_prompt="", images=3, seed=7, sampler="dpmpp_2m", steps=20, guidance=7.5, batch_size=2),
    dict(prompt="Dog's 2nd", negative_prompt="a red hat", images=2, seed=0, sampler="ddim", steps=20, guidance=4.0, batch_size=4),
    dict(prompt="", negative_prompt="", images=1, seed=2**32 - 1, sampler="dpmpp_2m", steps=9, guidance=1.0, batch_size=1),
    dict(prompt="dog " * 2500, negative_prompt="", images=1, seed=1, sampler="dpmpp_2m", steps=20, guidance=7.5, batch_size=1),
]
REQUESTS += [dict(REQUESTS[2], steps=5, clip_skip=skip) for skip in (1, 2)]
FULL_REQUESTS = [dict(request, prompt="a dog", images=1, batch_size=1) for request in REQUESTS[:2]]

SCHEDULE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading")


def set_sampler(pipeline, name):
    settings = dict(SCHEDULE, prediction_type=pipeline.scheduler.config.prediction_type)
    if name == "ddim":
        pipeline.scheduler = diffusers.DDIMScheduler(**settings, set_alpha_to_one=False, clip_sample=False)
    else:
        pipeline.scheduler = diffusers.DPMSolverMultistepScheduler(**settings)


@contextlib.contextmanager
def tower_within_itself(pipeline):
    """StableDiffusionPipeline looks for the text tower's last norm within `text_model`, which transformers 5 does without."""
    kind = type(pipeline.text_encoder)
    flat = not hasattr(pipeline.text_encoder, "text_model")
    if flat:
        kind.text_model = property(lambda tower: tower)
    try:
        yield
    finally:
        if flat:
            del kind.text_model


def reference_pictures(pipeline, request):
    with tower_within_itself(pipeline) if "clip_skip" in request else contextlib.nullcontext():
        return draw_reference(pipeline, request)


def draw_reference(pipeline, request):
    pictures = []
    more = parity.blank_canvas(pipeline)
    if "micro_conditioning" in request:
        numbers = [int(number) for number in request["micro_conditioning"].split()]
        more |= dict(original_size=tuple(numbers[:2]), crops_coords_top_left=tuple(numbers[2:4]), target_size=tuple(numbers[4:]))
    for setting in ("guidance_rescale", "clip_skip"):
        if setting in request:
            more[setting] = request[setting]
    for i in range(request["images"]):
        pictures.append(pipeline(
            request["prompt"], negative_prompt=request["negative_prompt"] or None, num_inference_steps=request["steps"],
            guidance_scale=request["guidance"], eta=request.get("eta", 0.0), output_type="np",
            generator=torch.Generator().manual_seed(request["seed"] + i), **more).images[0])
    return (torch.from_numpy(numpy.stack(pictures)) * 255).round() / 255


# What scheduler_config.json may hold, whatever sampler it was written for. `from_config` takes each sampler's own default
# for a key that the file does not state.
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SCHEDULER_FILES = {
    "states betas alone": dict(_class_name="PNDMScheduler", skip_prk_steps=True, **BETAS),
    "states nothing": dict(_class_name="DDIMScheduler"),
    "of Stable Diffusion 1.5": dict(_class_name="PNDMScheduler", skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1,
                                    trained_betas=None, clip_sample=False, **BETAS),
    "linspace": dict(_class_name="EulerDiscreteScheduler", timestep_spacing="linspace", **BETAS),
    "trailing": dict(_class_name="DDIMScheduler", timestep_spacing="trailing", **BETAS),
    "Karras": dict(_class_name="DPMSolverMultistepScheduler", use_karras_sigmas=True, **BETAS),
    "zero terminal SNR": dict(_class_name="DDIMScheduler", timestep_spacing="trailing", rescale_betas_zero_snr=True,
                              prediction_type="v_prediction", **BETAS),
}


# StableDiffusionPipeline overrides these two of whatever scheduler it is given; StableDiffusionXLPipeline nothing.
OVERRIDDEN = dict(steps_offset=1, clip_sample=False)


def check_scheduler_files(args, reference, model, report, files, overridden):
    for what, config in files.items():
        (model / "scheduler/scheduler_config.json").write_text(json.dumps(config))
        for sampler, kind in [("ddim", diffusers.DDIMScheduler), ("dpmpp_2m", diffusers.DPMSolverMultistepScheduler)]:
            reference.scheduler = kind.from_config({**config, **overridden})
            request = dict(prompt="a dog", negative_prompt="", images=1, seed=3, sampler=sampler, steps=12, guidance=5.0,
                           batch_size=1)
            check_request(args, reference, model, report, request, f"scheduler file {what}: ")


# Through the whole pipeline: samplers that draw noise on the way, those that ask the model twice, timesteps between two.
SAMPLERS = {
    "plms": (diffusers.PNDMScheduler, {}),
    "euler_ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun_karras": (diffusers.HeunDiscreteScheduler, dict(use_karras_sigmas=True)),
    "dpm2_ancestral": (diffusers.KDPM2AncestralDiscreteScheduler, {}),
    "dpmpp_2m_sde": (diffusers.DPMSolverMultistepScheduler, dict(algorithm_type="sde-dpmsolver++")),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {}),
    "tcd": (diffusers.TCDScheduler, {}),
}
ETAS = {"ddim": 0.5, "tcd": 0.3}


def check_samplers(args, reference, model, report):
    config = SCHEDULER_FILES["of Stable Diffusion 1.5"]
    (model / "scheduler/scheduler_config.json").write_text(json.dumps(config))
    for sampler, (kind, settings) in SAMPLERS.items():
        reference.scheduler = kind.from_config({**config, **settings})
        request = dict(prompt="a dog", negative_prompt="a cat in red", images=2, seed=11, sampler=sampler, steps=6, guidance=5.0,
                       batch_size=2, guidance_rescale=0.7, eta=ETAS.get(sampler, 0.0))
        check_request(args, reference, model, report, request)


def check_request(args, reference, model, report, request, prefix=""):
    settings = {name: str(value) for name, value in request.items()}
    ours = run_probe(args.probe, "pictures", model, {}, settings)["pictures"] / 255
    wanted = reference_pictures(reference, request)
    assert wanted.std() > 0.01, "the picture is blank and shows nothing"
    what = (f"{prefix}{request['images']} pictures, {request['sampler']}, {request['steps']} steps, guidance "
            f"{request['guidance']}, prompt {request['prompt'][:20]!r}, largest pixel difference")
    report.check(what, (ours - wanted).abs().max().item(), LIMIT)


def check_pictures(args, reference, model, report, requests):
    for request in requests:
        set_sampler(reference, request["sampler"])
        check_request(args, reference, model, report, request)


XL_SCHEDULER_FILES = {
    "states betas alone": dict(_class_name="EulerDiscreteScheduler", timestep_spacing="leading", **BETAS),
    "clips": dict(_class_name="DDIMScheduler", timestep_spacing="leading", steps_offset=2, clip_sample=True,
                  clip_sample_range=1.2, **BETAS),
    "of Stable Diffusion XL": dict(_class_name="EulerDiscreteScheduler", timestep_spacing="leading", **OVERRIDDEN, **BETAS),
}
XL_REQUESTS = [dict(request, steps=10) for request in REQUESTS[:4]] + [
    dict(REQUESTS[2], steps=5, clip_skip=1),
    # Original height and width, the crop's top and left, the target's height and width.
    dict(REQUESTS[2], steps=5, micro_conditioning="300 400 17 0 48 64"),
]


def check_family(args, report, name, requests, files):
    """XL: no prompt is zeros and not an empty one; the picture's size is told too. Inpainting: all is to be drawn."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        reference = parity.save_random_pipeline(directory, parity.SIZES[name])
        reference.set_progress_bar_config(disable=True)
        print(name)
        check_pictures(args, reference, directory / "model", report, requests)
        check_scheduler_files(args, reference, directory / "model", report, files, {})


def check_bf16(args, report, name):
    """Pictures in bfloat16 are no further from those in float32 than the reference's own are."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        reference = parity.save_random_pipeline(directory, parity.SIZES[name])
        reference.set_progress_bar_config(disable=True)
        for sampler in ("ddim", "dpmpp_2m"):
            set_sampler(reference, sampler)
            request = dict(REQUESTS[0], images=4, batch_size=2, sampler=sampler, steps=10)
            wanted = reference_pictures(reference.to(torch.float32), request)
            settings = {setting: str(value) for setting, value in request.items()} | {"drawing_in_bf16": "1"}
            ours = run_probe(args.probe, "pictures", directory / "model", {}, settings)["pictures"] / 255
            theirs = reference_pictures(reference.to(torch.bfloat16), request)
            error = lambda pictures: (pictures - wanted).abs().mean().item()
            assert error(ours) > 0, "nothing was drawn in bfloat16"
            report.check(f"{name}, bfloat16, {sampler}, mean pixel difference from float32, over the reference's own",
                         error(ours) / error(theirs), 1)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()  # it warns of every prompt that is cut
    transformers.logging.set_verbosity_error()
    for prediction_type in ["epsilon"] if args.full else ["epsilon", "v_prediction"]:
        with tempfile.TemporaryDirectory() as scratch:
            directory = pathlib.Path(scratch)
            reference = parity.save_random_pipeline(directory, parity.FULL if args.full else parity.TINY)
            reference.scheduler.register_to_config(prediction_type=prediction_type)
            reference.save_pretrained(directory / "model")
            reference.set_progress_bar_config(disable=True)
            print(prediction_type)
            check_pictures(args, reference, directory / "model", report, FULL_REQUESTS if args.full else REQUESTS)
            if prediction_type == "epsilon" and not args.full:
                check_scheduler_files(args, reference, directory / "model", report, SCHEDULER_FILES, OVERRIDDEN)
                check_samplers(args, reference, directory / "model", report)
    if not args.full:
        check_family(args, report, "Stable Diffusion XL", XL_REQUESTS, XL_SCHEDULER_FILES)
        for name in ("Stable Diffusion 1, inpainting", "Stable Diffusion XL, inpainting"):
            check_family(args, report, name, XL_REQUESTS[:1], {})
        for name in ("Stable Diffusion 1", "Stable Diffusion 2", "Stable Diffusion XL"):
            check_bf16(args, report, name)
    report.exit()


if __name__ == "__main__":
    main()
