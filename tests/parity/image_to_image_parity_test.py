"""Pictures that start from another against diffusers: StableDiffusionImg2ImgPipeline, StableDiffusionInpaintPipeline and
their XL kin, with the same weights, picture, mask and generators; every sampler, and the three families' UNets."""

import pathlib
import tempfile

import numpy
import parity
from parity import diffusers, run_probe, torch, transformers

LIMIT = 1 / 255 + 1e-6  # one level: what float32 makes of it
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
SD_15 = dict(BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, clip_sample=False)

# By the names of the probe; dpmpp_sde has a Brownian motion of its own.
SAMPLERS = {
    "ddpm": (diffusers.DDPMScheduler, {}),
    "ddim": (diffusers.DDIMScheduler, {}),
    "plms": (diffusers.PNDMScheduler, {}),
    "lms": (diffusers.LMSDiscreteScheduler, {}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_ancestral": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "heun_karras": (diffusers.HeunDiscreteScheduler, dict(use_karras_sigmas=True)),
    "dpm2": (diffusers.KDPM2DiscreteScheduler, {}),
    "dpm2_ancestral": (diffusers.KDPM2AncestralDiscreteScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "dpmpp_2m_sde": (diffusers.DPMSolverMultistepScheduler, dict(algorithm_type="sde-dpmsolver++")),
    "unipc": (diffusers.UniPCMultistepScheduler, {}),
    "deis": (diffusers.DEISMultistepScheduler, {}),
    "lcm": (diffusers.LCMScheduler, {}),
    "tcd": (diffusers.TCDScheduler, {}),
}
IMAGE_TO_IMAGE = {False: diffusers.StableDiffusionImg2ImgPipeline, True: diffusers.StableDiffusionXLImg2ImgPipeline}
INPAINT = {False: diffusers.StableDiffusionInpaintPipeline, True: diffusers.StableDiffusionXLInpaintPipeline}


def picture(width, height):
    """Colours that run, and noise: uint8 [H,W,3]."""
    generator = torch.Generator().manual_seed(3)
    ramp = torch.stack([torch.linspace(0, 1, width).expand(height, width),
                        torch.linspace(1, 0, height)[:, None].expand(height, width), torch.full((height, width), 0.4)], -1)
    return ((0.8 * ramp + 0.2 * torch.rand(height, width, 3, generator=generator)) * 255).to(torch.uint8)


def mask(width, height):
    """White within a part that is off the middle, grey on either side of the half beside it: uint8 [H,W,3]."""
    grey = torch.zeros(height, width)
    grey[height // 4: 3 * height // 4 + 2, width // 8: width // 2] = 255
    grey[:, -3], grey[:, -2] = 127, 128
    return grey[..., None].expand(-1, -1, 3).to(torch.uint8).contiguous()


def parts_of(pipeline, xl):
    names = ["vae", "text_encoder", "tokenizer", "unet", "scheduler"] + (["text_encoder_2", "tokenizer_2"] if xl else [])
    more = dict(add_watermarker=False) if xl else dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    return {name: getattr(pipeline, name) for name in names} | more


def reference_pictures(pipeline, request, image, cut_out, xl):
    # As the pipelines' processors take pictures: [1,3,H,W] from 0 to 1.
    unit = lambda bytes: bytes.permute(2, 0, 1)[None].float() / 255
    masked = cut_out is not None
    kind = (INPAINT if masked else IMAGE_TO_IMAGE)[xl]
    reference = kind(**parts_of(pipeline, xl))
    reference.set_progress_bar_config(disable=True)
    more = {}
    if masked:
        more = dict(mask_image=unit(cut_out)[:, :1], height=image.shape[0], width=image.shape[1])
    pictures = [reference(
        request["prompt"], image=unit(image), strength=request["strength"], negative_prompt=request["negative_prompt"] or None,
        num_inference_steps=request["steps"], guidance_scale=request["guidance"], output_type="np", **more,
        generator=torch.Generator().manual_seed(request["seed"] + i)).images[0] for i in range(request["images"])]
    return (torch.from_numpy(numpy.stack(pictures)) * 255).round() / 255


def check(args, pipeline, model, report, request, image, cut_out, xl, what):
    settings = {name: str(value) for name, value in request.items() if name != "strength"}
    settings |= dict(strength_of_change=repr(request["strength"]), width=str(image.shape[1]), height=str(image.shape[0]))
    inputs = dict(image=image) | (dict(mask=cut_out) if cut_out is not None else {})
    ours = run_probe(args.probe, "pictures", model, inputs, settings)["pictures"] / 255
    wanted = reference_pictures(pipeline, request, image, cut_out, xl)
    assert wanted.std() > 0.01, "the picture is blank and shows nothing"
    report.check(f"{what}, {request['sampler']}, {request['steps']} steps, strength {request['strength']}",
                 (ours - wanted).abs().max().item(), LIMIT)


def request_of(sampler, strength, **more):
    return dict(dict(prompt="a dog in the snow", negative_prompt="red", images=2, seed=7, sampler=sampler, steps=12, guidance=5.0,
                     batch_size=2, strength=strength), **more)


def check_family(args, report, name):
    xl = "XL" in name
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch)
        pipeline = parity.save_random_pipeline(directory, parity.SIZES[name])
        scheduler = directory / "model/scheduler/scheduler_config.json"
        config = dict(_class_name="PNDMScheduler", **SD_15)
        if "prediction_type" in pipeline.scheduler.config:
            config["prediction_type"] = pipeline.scheduler.config.prediction_type
        scheduler.write_text(parity.json.dumps(config))
        side = pipeline.vae.config.sample_size
        fills_masks = pipeline.unet.config.in_channels == 9
        whole = name == "Stable Diffusion 1"
        for sampler, (kind, settings) in SAMPLERS.items() if whole else [(s, SAMPLERS[s]) for s in ("plms", "euler_ancestral")]:
            pipeline.scheduler = kind.from_config({**config, **settings})
            for strength in ([0.6, 1.0, 0.1] if whole else [0.6, 1.0]):
                image = picture(side + 8, side) if whole else picture(side, side)
                cut_out = mask(image.shape[1], image.shape[0])
                request = request_of(sampler, strength)
                if not fills_masks:
                    check(args, pipeline, directory / "model", report, request, image, None, xl, f"{name}: from a picture")
                check(args, pipeline, directory / "model", report, request, image, cut_out, xl, f"{name}: within a mask")
        if fills_masks:  # all of it is masked where nothing is said
            request = request_of(sampler, 0.5, guidance=1.0)
            check(args, pipeline, directory / "model", report, request, image, torch.full_like(cut_out, 255), xl,
                  f"{name}: all is masked")


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for name in parity.SIZES:
        if args.only in name:
            check_family(args, report, name)
    report.exit()


if __name__ == "__main__":
    main()
