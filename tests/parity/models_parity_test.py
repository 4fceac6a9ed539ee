"""Text models, UNet and autoencoder against transformers and diffusers, on random weights."""

import dataclasses
import gc
import json
import pathlib
import tempfile

import parity
from parity import diffusers, run_probe, torch, transformers

FORWARD_LIMIT = 1e-5
GRADIENT_LIMIT = 1e-4
PROMPTS = ["a dog in the snow", "", "dog " * 20]


@dataclasses.dataclass
class Forward:
    """A command of the probe, and what the reference has computed of the same inputs."""

    what: str
    command: str
    inputs: dict
    settings: dict
    theirs: dict

    def check(self, args, model, report):
        ours = run_probe(args.probe, self.command, model, self.inputs, self.settings)
        assert ours.keys() == self.theirs.keys()
        for name, theirs in self.theirs.items():
            report.check(f"{self.what}, {name}", parity.relative_error(ours[name], theirs), FORWARD_LIMIT)


def encoding(reference):
    return Forward("text", "encode", {}, {"prompts": "\n".join(PROMPTS)}, parity.encode(reference, PROMPTS))


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


def unet(reference, batch, height, width):
    inputs = unet_inputs(reference, batch, height, width)
    return Forward(f"UNet at {height}x{width}", "predict", inputs, {}, {"prediction": predict(reference, inputs)})


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


def vae(what, reference, batch, height, width, settings):
    """height, width: of the latents."""
    config = reference.vae.config
    cell = 2 ** (len(config.block_out_channels) - 1)
    inputs = {"images": torch.rand(batch, 3, height * cell, width * cell) * 2 - 1,
              "latents": torch.randn(batch, config.latent_channels, height, width)}
    moments = reference.vae.encode(inputs["images"]).latent_dist
    decoded = reference.vae.decode(inputs["latents"] / config.scaling_factor).sample
    return Forward(what, "vae", inputs, settings, {"mean": moments.mean, "logvar": moments.logvar, "decoded": decoded})


def tiles(reference, side):
    """Pictures larger than the autoencoder's own, uneven ones among them, in the tiles of enable_vae_tiling."""
    reference.vae.enable_tiling()
    found = [vae(f"autoencoder in tiles, {height}x{width}", reference, 1, height, width, {"tiled": "1"})
             for height, width in [(2 * side + 3, 3 * side), (side, side + 1), (side, side)]]
    reference.vae.disable_tiling()
    return found


@torch.no_grad()
def forward_passes(args, reference, sizes):
    size = reference.unet.config.sample_size
    if hasattr(sizes, "forward_at"):
        return [encoding(reference), unet(reference, 1, sizes.forward_at, sizes.forward_at)]
    side = reference.vae.config.sample_size >> (len(reference.vae.config.block_out_channels) - 1)
    passes = [encoding(reference), unet(reference, 2, size, size), vae("autoencoder", reference, 1 if args.full else 2, side, side, {})]
    if args.full:
        return passes
    return passes + [unet(reference, 2, size, size + 4), unet(reference, 2, size - 1, size + 2)] + tiles(reference, side)


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
            passes = forward_passes(args, reference, sizes)
            if hasattr(sizes, "forward_at"):
                del reference  # ours would not fit into memory beside it
                gc.collect()
            else:
                check_unet_gradients(args, reference, directory / "model", report)
                check_saved_directory(args, reference, directory / "model", report)
            for forward in passes:
                forward.check(args, directory / "model", report)
    report.exit()


if __name__ == "__main__":
    main()
