"""Text model, UNet and autoencoder against transformers and diffusers, on random weights."""

import pathlib
import tempfile

import parity
from parity import diffusers, run_probe, torch

FORWARD_LIMIT = 1e-5
GRADIENT_LIMIT = 1e-4


def check_text_model(args, reference, model, report):
    config = reference.text_encoder.config
    ids = torch.randint(config.vocab_size, (3, config.max_position_embeddings))
    ours = run_probe(args.probe, "text_model", model, {"input_ids": ids})
    with torch.no_grad():
        hidden = reference.text_encoder(ids).last_hidden_state
    report.check("text model, forward", parity.relative_error(ours["hidden"], hidden), FORWARD_LIMIT)


def unet_inputs(reference, batch, height, width):
    config = reference.unet.config
    return {
        "latents": torch.randn(batch, config.in_channels, height, width),
        "timesteps": torch.randint(1000, (batch,)),
        "context": torch.randn(batch, reference.tokenizer.model_max_length,
                               config.cross_attention_dim),
    }


def predict(reference, inputs):
    return reference.unet(inputs["latents"], inputs["timesteps"], inputs["context"]).sample


def check_unet(args, reference, model, report):
    size = reference.unet.config.sample_size
    sizes = [(size, size)] if args.full else [(size, size), (size, size + 4), (size - 1, size + 2)]
    for height, width in sizes:
        inputs = unet_inputs(reference, 2, height, width)
        ours = run_probe(args.probe, "unet", model, inputs)
        with torch.no_grad():
            prediction = predict(reference, inputs)
        error = parity.relative_error(ours["prediction"], prediction)
        report.check(f"UNet at {height}x{width}, forward", error, FORWARD_LIMIT)


def check_unet_gradients(args, reference, model, report):
    size = reference.unet.config.sample_size
    inputs = unet_inputs(reference, 1 if args.full else 2, size, size)
    inputs["target"] = torch.randn_like(inputs["latents"])
    ours = run_probe(args.probe, "unet_gradients", model, inputs)
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
        decoded = reference.vae.decode(inputs["latents"]).sample
    for name, theirs in (("mean", moments.mean), ("logvar", moments.logvar), ("decoded", decoded)):
        report.check(f"autoencoder, {name}", parity.relative_error(ours[name], theirs), FORWARD_LIMIT)


def check_saved_directory(args, reference, model, report):
    """diffusers and transformers read what we write, and find the same numbers."""
    with tempfile.TemporaryDirectory() as directory:
        run_probe(args.probe, "save", model, {}, {"directory": directory})
        again = diffusers.StableDiffusionPipeline.from_pretrained(directory)
    for part in ("text_encoder", "unet", "vae"):
        ours, theirs = (getattr(p, part).state_dict() for p in (again, reference))
        same = ours.keys() == theirs.keys() and all(
            torch.equal(ours[key], theirs[key]) for key in theirs)
        report.check(f"{part} written by us, read by diffusers", 0 if same else 1, 0)
    ids = [p.tokenizer("a dog", padding="max_length").input_ids for p in (again, reference)]
    report.check("tokenizer written by us, read by transformers", 0 if ids[0] == ids[1] else 1, 0)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        reference = parity.save_random_pipeline(directory, parity.FULL if args.full else parity.TINY)
        torch.manual_seed(1)
        for check in (check_text_model, check_unet, check_unet_gradients, check_vae,
                      check_saved_directory):
            check(args, reference, directory / "model", report)
    report.exit()


if __name__ == "__main__":
    main()
