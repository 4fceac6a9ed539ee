"""Ten DreamBooth steps with each optimizer, schedule and way to draw, against the loop of dreambooth_parity_test.

The optimizers are those of transformers, prodigyopt and bitsandbytes, the average is diffusers' EMAModel.
"""

import importlib.util

import parity
from dreambooth_parity_test import UNET_ALONE, check_case
from parity import diffusers, transformers

WITH_TEXT = dict(UNET_ALONE, text_encoder_learning_rate=4e-5)
CASES = {  # the family, the job
    "noise offset, input perturbation, flips, caption dropout, polynomial": ("Stable Diffusion 1", dict(
        UNET_ALONE, batch_size=2, noise_offset=0.1, input_perturbation=0.1, horizontal_flips=1, caption_dropout=0.4,
        lr_decay="polynomial", lr_warmup_steps=2, first_caption="a red sks dog", seed=11)),
    "inpainting, flips, input perturbation": ("Stable Diffusion 1, inpainting", dict(
        UNET_ALONE, horizontal_flips=1, input_perturbation=0.1, seed=12)),
    "debiased estimation of v, cosine with restarts": ("Stable Diffusion 2", dict(
        WITH_TEXT, debiased_estimation=1, lr_decay="cosine_with_restarts", lr_cycles=3, lr_warmup_steps=1, seed=13)),
    "debiased estimation, gradients checkpointed": ("Stable Diffusion 1", dict(
        WITH_TEXT, debiased_estimation=1, gradient_checkpointing=1, seed=14)),
    "average, gradients checkpointed": ("Stable Diffusion XL", dict(
        WITH_TEXT, ema_decay=0.9, gradient_checkpointing=1, seed=15)),
    # Of each photo: original height and width, the crop's top and left, the target's height and width.
    "sizes and crops of photos": ("Stable Diffusion XL", dict(
        WITH_TEXT, batch_size=2, micro_conditioning_0="80 60 5 0 32 32", micro_conditioning_1="32 32 0 0 32 32",
        micro_conditioning_2="300 400 0 11 32 32", seed=25)),
    "sizes and crops, the base's prediction": ("Stable Diffusion XL", dict(
        UNET_ALONE, prior_kind="base_prediction", micro_conditioning_0="80 60 5 0 32 32",
        micro_conditioning_1="32 32 0 0 32 32", micro_conditioning_2="300 400 0 11 32 32", seed=26)),
    "text encoder for four steps": ("Stable Diffusion 1", dict(WITH_TEXT, text_encoder_steps=4, seed=20)),
    # The second has one photo of the three; both share the class pictures.
    "two subjects of a class": ("Stable Diffusion 1", dict(WITH_TEXT, second_photos=1, gradient_accumulation=2, seed=22)),
    "two subjects, three samples a batch, the base's prediction": ("Stable Diffusion 2", dict(
        UNET_ALONE, second_photos=1, batch_size=3, prior_kind="base_prediction", horizontal_flips=1, seed=23)),
    # The gradient of the text encoder's biases of keys is rounding error alone, of which Adafactor makes a step as of any other.
    "Adafactor": ("Stable Diffusion 1", dict(UNET_ALONE, optimizer="adafactor", learning_rate=1e-4, seed=16)),
    # So many times the rate that is found, which is 1e-6 at first: a step is to be more than what float32 rounds away.
    "Prodigy": ("Stable Diffusion 1", dict(
        UNET_ALONE, optimizer="prodigy", learning_rate=20.0, text_encoder_learning_rate=20.0, lr_decay="cosine",
        lr_warmup_steps=2, seed=17)),
    "8-bit AdamW": ("Stable Diffusion 1", dict(WITH_TEXT, optimizer="adamw_8bit", seed=18)),
    # Under torch.amp's autocast and GradScaler, which compute some layers in float32 that are computed in 16 bits here.
    "16-bit floats": ("Stable Diffusion 1", dict(WITH_TEXT, precision="fp16", gradient_accumulation=2, seed=24)),
    "masks, flips": ("Stable Diffusion 1", dict(
        UNET_ALONE, batch_size=2, unmasked_weight=0.3, horizontal_flips=1, snr_gamma=5.0, seed=20)),
    "masks, the base's prediction": ("Stable Diffusion XL", dict(
        UNET_ALONE, batch_size=2, unmasked_weight=0.0, prior_kind="base_prediction", seed=21)),
    "the base's prediction": ("Stable Diffusion 1", dict(
        WITH_TEXT, prior_kind="base_prediction", prior_weight=0.5, batch_size=2, gradient_accumulation=2, snr_gamma=5.0,
        seed=19)),
}
LIMITS = {
    # A moment that float32's rounding moves across the limit of two 8-bit numbers is another by a hundredth, near zero by all of it:
    # the reference differs from itself by 4e-4 in what training changes where its weights begin 1e-7 apart.
    "8-bit AdamW": dict(weight_limit=1e-3, update_limit=2e-3),
    # The reference in float32 is 1.3e-2 apart from itself in what training changes.
    "16-bit floats": dict(loss_limit=2e-3, weight_limit=1e-2, update_limit=5e-2),
}
PACKAGES = {"Prodigy": "prodigyopt", "8-bit AdamW": "bitsandbytes"}


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for name, (family, job) in CASES.items():
        if args.only not in name:
            continue
        if name in PACKAGES and not importlib.util.find_spec(PACKAGES[name]):
            print(f"left out: {name}. scripts/setup --tests installs {PACKAGES[name]}.", flush=True)
            continue
        check_case(name, job, args, report, family, **LIMITS.get(name, {}))
    report.exit()


if __name__ == "__main__":
    main()
