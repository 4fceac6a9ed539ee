"""Text models, UNet and autoencoder against transformers and diffusers, on random weights."""

import json
import pathlib
import tempfile

import parity
from parity import diffusers, run_probe, torch, transformers

FORWARD_LIMIT = 1e-5
GRADIENT_LIMIT = 1e-4


PROMPTS = ["a dog in the snow", "", "dog " * 20]


def check_encoding(args, reference, model, report):
    ours = run_probe(args.probe, "encode", model, {}, {"prompts": "\n".join(PROMPTS)})
    with torch.no_grad():
        told = parity.encode(reference, PROMPTS)
    assert ours.keys() == told.keys()
    for name, theirs in told.items():
        report.check(f"prompts as {name}", parity.relative_error(ours[name], theirs), FORWARD_LIMIT)


def unet_inputs(reference, batch, height, width):
    config = reference.unet.config
    inputs = {
        "latents": torch.randn(batch, config.out_channels, height, width),
        "timesteps": torch.randint(1000, (batch,)),
        "context": torch.randn(batch, reference.tokenizer.model_max_length, config.cross_attention_dim),
    }
    if config.addition_embed_type == "text_time":
        pooled = reference.text_encoder_2.config.projection_dim
        inputs |= {"pooled": torch.randn(batch, pooled), "numbers": torch.randint(1024, (batch, 6))}
    if config.in_channels > config.out_channels:
        inputs["canvas"] = torch.randn(batch, config.in_channels - config.out_channels, height, width)
    return inputs


def predict(reference, inputs):
    return parity.predict(reference, inputs["latents"], inputs["timesteps"], inputs)


def check_unet(args, reference, model, report):
    size = reference.unet.config.sample_size
    sizes = [(size, size)] if args.full else [(size, size), (size, size + 4), (size - 1, size + 2)]
    for height, width in sizes:
        inputs = unet_inputs(reference, 2, height, width)
        ours = run_probe(args.probe, "predict", model, inputs)
        with torch.no_grad():
            prediction = predict(reference, inputs)
        error = parity.relative_error(ours["prediction"], prediction)
        report.check(f"UNet at {height}x{width}, forward", error, FORWARD_LIMIT)


def check_unet_gradients(args, reference, model, report):
    size = reference.unet.config.sample_size
    inputs = unet_inputs(reference, 1 if args.full else 2, size, size)
    inputs["target"] = torch.randn_like(inputs["latents"])
    ours = run_probe(args.probe, "gradients", model, inputs)
    (predict(reference, inputs) - inputs["target"]).square().mean().backward()
    gradients = {name: p.grad for name, p in reference.unet.named_parameters()}
    assert ours.keys() == gradients.keys()
    errors = {name: parity.relative_error(ours[name], gradients[name]) for name in gradients}
    worst = max(errors, key=errors.get)
    report.check(f"UNet, gradients of {len(errors)} parameters, worst {worst}", errors[worst],
                 GRADIENT_LIMIT)
    reference.unet.zero_grad(set_to_none=True)


def check_vae(args, reference, model, report):
    config = reference.vae.config
    size = config.sample_size
    latent_size = size >> (len(config.block_out_channels) - 1)
    batch = 1 if args.full else 2
    inputs = {"images": torch.rand(batch, 3, size, size) * 2 - 1,
              "latents": torch.randn(batch, config.latent_channels, latent_size, latent_size)}
    ours = run_probe(args.probe, "vae", model, inputs)
    with torch.no_grad():
        moments = reference.vae.encode(inputs["images"]).latent_dist
        decoded = reference.vae.decode(inputs["latents"] / config.scaling_factor).sample
    for name, theirs in (("mean", moments.mean), ("logvar", moments.logvar), ("decoded", decoded)):
        report.check(f"autoencoder, {name}", parity.relative_error(ours[name], theirs), FORWARD_LIMIT)


def check_tiles(args, reference, model, report):
    """Pictures larger than the autoencoder's own, uneven ones among them, in the tiles of enable_vae_tiling."""
    config = reference.vae.config
    cell = 2 ** (len(config.block_out_channels) - 1)
    side = config.sample_size // cell
    reference.vae.enable_tiling()
    for height, width in [(2 * side + 3, 3 * side), (side, side + 1), (side, side)]:
        inputs = {"images": torch.rand(1, 3, height * cell, width * cell) * 2 - 1,
                  "latents": torch.randn(1, config.latent_channels, height, width)}
        ours = run_probe(args.probe, "vae", model, inputs, {"tiled": "1"})
        with torch.no_grad():
            moments = reference.vae.encode(inputs["images"]).latent_dist
            decoded = reference.vae.decode(inputs["latents"] / config.scaling_factor).sample
        for name, theirs in (("mean", moments.mean), ("logvar", moments.logvar), ("decoded", decoded)):
            report.check(f"autoencoder in tiles, {height}x{width}, {name}", parity.relative_error(ours[name], theirs), FORWARD_LIMIT)
    reference.vae.disable_tiling()


def check_saved_directory(args, reference, model, report):
    """diffusers and transformers read what we write, and find the same numbers."""
    with tempfile.TemporaryDirectory() as directory:
        run_probe(args.probe, "save", model, {}, {"directory": directory})
        again = type(reference).from_pretrained(directory)
    for part in (*parity.text_encoders(reference), "unet", "vae"):
        ours, theirs = (getattr(p, part).state_dict() for p in (again, reference))
        same = ours.keys() == theirs.keys() and all(
            torch.equal(ours[key], theirs[key]) for key in theirs)
        report.check(f"{part} written by us, read by diffusers", 0 if same else 1, 0)
    for part in ("unet", "vae"):
        ours, theirs = (json.loads(getattr(p, part).to_json_string()) for p in (again, reference))
        lost = {key for key in theirs if not key.startswith("_") and ours.get(key) != theirs[key]}
        report.check(f"{part}'s settings as diffusers reads them, but for {sorted(lost)}", len(lost), 0)
    ids = [p.tokenizer("a dog", padding="max_length").input_ids for p in (again, reference)]
    report.check("tokenizer written by us, read by transformers", 0 if ids[0] == ids[1] else 1, 0)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()  # they warn of every prompt that is cut
    transformers.logging.set_verbosity_error()
    for family, sizes in parity.sizes_of(args).items():
        print(family)
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            reference = parity.save_random_pipeline(directory, sizes)
            torch.manual_seed(1)
            for check in (check_encoding, check_unet, check_unet_gradients, check_vae, check_tiles,
                          check_saved_directory):
                if check is check_tiles and args.full:
                    continue
                check(args, reference, directory / "model", report)
    report.exit()


if __name__ == "__main__":
    main()
