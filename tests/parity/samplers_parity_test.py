"""Every sampler against the scheduler of diffusers that it is named after: one trajectory for each kind of prediction, spacing
of timesteps and schedule of sigmas that the reference allows, with a model that both can write down and the same noise."""

import importlib
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import parity
from parity import diffusers, load_file, save_file, torch

try:
    import scipy  # noqa: F401  the reference's beta sigmas and LMS need it
    import torchsde  # noqa: F401  and its DPM-Solver++ SDE this
except ImportError as error:
    print(f"skipped: {error}. scripts/setup installs what the parity tests compare with.")
    sys.exit(parity.SKIPPED)

# The last two as StableDiffusionPipeline has them, whatever the file says.
BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False)
# name -> class, settings that make it this sampler, whether its class spreads sigmas
SAMPLERS = {
    "ddpm": ("DDPMScheduler", {}, False),
    "ddim": ("DDIMScheduler", {}, False),
    "pndm": ("PNDMScheduler", {}, False),
    "plms": ("PNDMScheduler", dict(skip_prk_steps=True), False),
    "lms": ("LMSDiscreteScheduler", {}, True),
    "euler": ("EulerDiscreteScheduler", {}, True),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}, False),
    "heun": ("HeunDiscreteScheduler", {}, True),
    "dpm2": ("KDPM2DiscreteScheduler", {}, True),
    "dpm2_ancestral": ("KDPM2AncestralDiscreteScheduler", {}, True),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}, True),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", dict(algorithm_type="sde-dpmsolver++"), True),
    "dpmpp_sde": ("DPMSolverSDEScheduler", {}, True),
    "unipc": ("UniPCMultistepScheduler", {}, True),
    "deis": ("DEISMultistepScheduler", {}, True),
    "lcm": ("LCMScheduler", {}, False),
    "tcd": ("TCDScheduler", {}, False),
}
NO_SAMPLE_PREDICTION = {"pndm", "plms", "euler_ancestral", "dpm2", "dpm2_ancestral", "dpmpp_sde"}  # in the reference
SIGMAS = {"": None, "_karras": "use_karras_sigmas", "_exponential": "use_exponential_sigmas", "_beta": "use_beta_sigmas"}
ZERO_SNR = dict(rescale_betas_zero_snr=True, timestep_spacing="trailing")


def table():
    """(sampler as it is asked for, its scheduler file, steps, eta): the whole product."""
    for name, prediction, spacing in itertools.product(SAMPLERS, ["epsilon", "v_prediction", "sample"],
                                                       ["leading", "linspace", "trailing"]):
        if prediction == "sample" and name in NO_SAMPLE_PREDICTION:
            continue
        for suffix in SIGMAS if SAMPLERS[name][2] else [""]:
            # From 15 steps on the solvers keep their order to the end.
            steps = 16 if prediction == "v_prediction" else 7
            yield name + suffix, dict(BETAS, prediction_type=prediction, timestep_spacing=spacing), steps, 0.0


def settings():
    """What the files may say beside, on each sampler that has it."""
    for name, prediction, eta in itertools.product(["ddim", "tcd"], ["epsilon", "v_prediction"], [0.3, 0.5, 1.0]):
        yield name, dict(BETAS, prediction_type=prediction), 6, eta
    for name, eta in [("ddim", 0.5), ("tcd", 0.5), ("tcd", 1.0)]:  # DDIM's with eta 1 is not a number in the reference
        yield name, dict(BETAS, prediction_type="v_prediction", **ZERO_SNR), 7, eta
    for name in ["ddpm", "ddim", "euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "lcm", "tcd"]:
        for prediction in ["v_prediction"] + ["sample"] * (name not in NO_SAMPLE_PREDICTION):
            yield name, dict(BETAS, prediction_type=prediction, **ZERO_SNR), 7, 0.0
    for name in ["ddpm", "ddim", "dpmpp_2m", "dpmpp_2m_sde", "unipc", "deis", "lcm"]:
        yield name, dict(BETAS, thresholding=True, dynamic_thresholding_ratio=0.8, sample_max_value=1.5), 7, 0.0
    for name, order, kind, steps in itertools.product(["dpmpp_2m", "dpmpp_2m_sde"], [1, 2, 3], ["midpoint", "heun"], [7, 16]):
        yield name, dict(BETAS, solver_order=order, solver_type=kind), steps, 0.0
    for order, steps in itertools.product([1, 2, 3], [7, 16]):
        yield "unipc", dict(BETAS, solver_order=order), steps, 0.0
        # Without noise at the end the reference divides by it.
        yield "unipc", dict(BETAS, solver_order=order, solver_type="bh1", final_sigmas_type="sigma_min"), steps, 0.0
    for order, steps in itertools.product([1, 2, 3], [7, 16]):
        yield "deis", dict(BETAS, solver_order=order), steps, 0.0
    for name in ["dpmpp_2m", "deis"]:
        yield name, dict(BETAS, lower_order_final=False, solver_order=3), 7, 0.0
    for name in ["euler", "euler_karras", "dpmpp_2m", "dpmpp_2m_karras", "unipc"]:
        yield name, dict(BETAS, final_sigmas_type="sigma_min"), 16, 0.0
    yield "dpmpp_2m", dict(BETAS, final_sigmas_type="sigma_min", euler_at_final=True), 16, 0.0
    for variance in ["fixed_small_log", "fixed_large"]:
        yield "ddpm", dict(BETAS, variance_type=variance), 7, 0.0
    yield "ddim", dict(BETAS, set_alpha_to_one=False), 7, 0.0
    yield "plms", dict(BETAS, set_alpha_to_one=True), 7, 0.0
    yield "lcm", dict(BETAS, original_inference_steps=25, timestep_scaling=4.0), 4, 0.0
    for name in SAMPLERS:
        yield name, dict(BETAS, timestep_spacing="leading", steps_offset=3), 7, 0.0
    for name in ["ddpm", "ddim", "lcm"]:
        yield name, dict(BETAS, clip_sample=True, clip_sample_range=0.8), 7, 0.0
    for name in SAMPLERS:
        yield name, {}, 5, 0.0  # the class's own defaults
        if name != "dpm2_ancestral":  # not a number in the reference
            yield name, dict(beta_schedule="squaredcos_cap_v2"), 5, 0.0
        yield name, dict(BETAS, num_train_timesteps=400), 5, 0.0


class Replay:
    """Gives the same noise, one after the other, wherever a scheduler would draw."""

    def __init__(self, noise):
        self.noise = noise
        self.drawn = 0

    def __call__(self, *args, **kwargs):
        self.drawn += 1
        return self.noise[self.drawn - 1]


def split_name(asked):
    for suffix in list(SIGMAS)[1:]:
        if asked.endswith(suffix):
            return asked.removesuffix(suffix), {SIGMAS[suffix]: True}
    return asked, {}


def trajectory(asked, config, steps, eta, x, noise):
    name, sigmas = split_name(asked)
    kind, fixed, _ = SAMPLERS[name]
    scheduler = getattr(diffusers, kind).from_config({**config, **fixed})
    scheduler.register_to_config(**sigmas)  # in the constructor they would be spread over 1,000 steps, which takes long
    scheduler.set_timesteps(steps)
    replay = Replay(noise)
    module = importlib.import_module(type(scheduler).__module__)
    if name == "dpmpp_sde":
        scheduler.noise_sampler = replay
    elif hasattr(module, "randn_tensor"):
        module.randn_tensor = replay
    extra = dict(eta=eta) if name in ("ddim", "tcd") else {}
    x = x * scheduler.init_noise_sigma
    points = []
    for t in scheduler.timesteps:
        asked_about = scheduler.scale_model_input(x, t)
        points.append(asked_about.float())
        output = torch.tanh(asked_about) * (0.5 + t.float() / 2000)
        x = scheduler.step(output, t, x, **extra, return_dict=False)[0]
    return torch.stack([*points, x.float()])


def run_probe(probe, cases, x, noise):
    with tempfile.TemporaryDirectory() as scratch:
        paths = [str(pathlib.Path(scratch) / name) for name in ("in.safetensors", "out.safetensors")]
        asked = [dict(config=config, sampler=name, steps=steps, eta=eta) for name, config, steps, eta in cases]
        save_file(dict(x=x, noise=noise), paths[0], metadata=dict(cases=json.dumps(asked)))
        subprocess.run([probe, *paths], check=True)
        results = load_file(paths[1])
        return [results[str(i)] for i in range(len(cases))]


def limit_of(config):
    """The noisiest sigma is 4,096 with zero terminal SNR and 20,000 with cosine betas. There the reference holds latents of that
    size in float32, and the model is asked about differences of them."""
    extreme = config.get("rescale_betas_zero_snr") or config.get("beta_schedule") == "squaredcos_cap_v2"
    return 1e-4 if extreme else 1e-5


def main():
    args = parity.parse_args(__doc__)
    diffusers.logging.set_verbosity_error()
    torch.manual_seed(0)
    x = torch.randn(2, 4, 4, 4)
    noise = torch.randn(40, 2, 4, 4, 4)
    cases = [*table(), *settings()]
    ours = run_probe(args.probe, cases, x, noise)
    report = parity.Report()
    worst = {}
    for case, result in zip(cases, ours):
        name, config, steps, eta = case
        wanted = trajectory(*case, x, noise)
        error = parity.relative_error(result, wanted)
        limit = limit_of(config)
        worst[name, limit] = max(worst.get((name, limit), 0), error)
        if not error <= limit:
            report.check(f"{name}, {steps} steps, eta {eta}, {config}", error, limit)
    for (name, limit), error in worst.items():
        report.check(f"{name}, the worst of its trajectories", error, limit)
    print(f"{len(cases)} trajectories")
    report.exit()


if __name__ == "__main__":
    main()
