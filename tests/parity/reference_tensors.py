#!/usr/bin/env python3
"""Writes what diffusers and transformers compute on small random models, for a machine that has neither (scripts/gpu-check).

    tests/parity/reference_tensors.py DIRECTORY
"""

import pathlib
import shutil
import sys

import numpy
import parity
from parity import diffusers, save_file, torch, transformers

# One for each kind of computation.
FAMILIES = {"sd1": "Stable Diffusion 1", "sd2": "Stable Diffusion 2, zero SNR", "xl": "Stable Diffusion XL",
            "inpainting": "Stable Diffusion 1, inpainting"}
PROMPTS = ["a dog in the snow", ""]
STEPS = 10


def inputs_for(reference):
    config = reference.unet.config
    size = config.sample_size
    inputs = {"latents": torch.randn(2, config.out_channels, size, size), "timesteps": torch.tensor([13, 871]),
              "target": torch.randn(2, config.out_channels, size, size),
              "context": torch.randn(2, reference.tokenizer.model_max_length, config.cross_attention_dim),
              "clean": torch.randn(2, config.out_channels, size, size)}
    side = reference.vae.config.sample_size
    inputs["images"] = torch.rand(2, 3, side, side) * 2 - 1
    inputs["photos"] = torch.randint(256, (2, side, side, 3), dtype=torch.uint8)
    if config.addition_embed_type == "text_time":
        inputs |= {"pooled": torch.randn(2, reference.text_encoder_2.config.projection_dim), "numbers": torch.randint(64, (2, 6))}
    if config.in_channels > config.out_channels:
        inputs["canvas"] = torch.randn(2, config.in_channels - config.out_channels, size, size)
    return inputs


def forward(reference, inputs):
    """What is computed in one dtype, by name."""
    dtype = reference.unet.dtype
    given = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in inputs.items()}
    with torch.no_grad():
        return {"encoded": parity.encode(reference, PROMPTS)["context"],
                "prediction": parity.predict(reference, given["latents"], given["timesteps"], given),
                "mean": reference.vae.encode(given["images"]).latent_dist.mean,
                "decoded": reference.vae.decode(given["clean"] / reference.vae.config.scaling_factor).sample}


def gradients(reference, inputs):
    prediction = parity.predict(reference, inputs["latents"], inputs["timesteps"], inputs)
    (prediction - inputs["target"]).square().mean().backward()
    found = {f"gradient.{name}": p.grad.clone() for name, p in reference.unet.named_parameters()}
    reference.unet.zero_grad(set_to_none=True)
    return found


def picture(reference):
    reference.scheduler = diffusers.DDIMScheduler.from_config(reference.scheduler.config)
    drawn = reference("a dog", num_inference_steps=10, guidance_scale=5.0, generator=torch.Generator().manual_seed(7),
                      **parity.blank_canvas(reference)).images[0]
    return torch.from_numpy(numpy.asarray(drawn).copy())


def losses(reference, photos):
    """Of DreamBooth's steps without a prior; the loop of the parity test."""
    import dreambooth_parity_test as loop
    job = dict(loop.UNET_ALONE, prior_weight=0.0, class_images=0, learning_rate=2e-5, steps=STEPS)
    return loop.train(reference, job, photos, None, loop.all_weights(reference, job))[0]


def main():
    out = pathlib.Path(sys.argv[1])
    shutil.rmtree(out, ignore_errors=True)
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for folder, name in FAMILIES.items():
        reference = parity.save_random_pipeline(out / folder, parity.SIZES[name])
        reference.set_progress_bar_config(disable=True)
        shutil.rmtree(out / folder / "letters")
        torch.manual_seed(1)
        inputs = inputs_for(reference)
        tensors = inputs | forward(reference, inputs) | gradients(reference, inputs)
        tensors["picture"] = picture(reference)
        parts = (reference.unet, reference.vae, *parity.text_encoders(reference).values())
        for part in parts:
            part.to(torch.bfloat16)
        half = forward(reference, inputs)
        # How far the reference itself is from float32 in bfloat16.
        tensors |= {f"bfloat16.{key}": (value.float() - tensors[key]).norm() / tensors[key].norm() for key, value in half.items()}
        again = type(reference).from_pretrained(out / folder / "model")
        tensors["losses"] = losses(again, inputs["photos"]).float()
        save_file({key: value.detach().contiguous() for key, value in tensors.items()}, out / folder / "case.safetensors")
        print(folder, sum(value.nbytes for value in tensors.values()) >> 10, "KiB of tensors", flush=True)


if __name__ == "__main__":
    main()
