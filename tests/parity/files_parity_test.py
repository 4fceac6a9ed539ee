"""Files as diffusers writes and reads them: variants, shards, and single files in the original layout."""

import json
import pathlib
import shutil
import tempfile
import types

import parity
from parity import diffusers, load_file, run_probe, save_file, torch, transformers

# What a single file does not say is as in the published models: norms in 32 groups, 8 heads in SD 1, heads of 64 in the others
# and in text towers. SD 2's tower has 24 layers in a single file, and is told from CLIP's by its keys.
TEXT = dict(vocab_size=54, hidden_size=64, intermediate_size=128, num_hidden_layers=3, num_attention_heads=1)
OPEN_TEXT = dict(TEXT, num_hidden_layers=23, hidden_act="gelu", projection_dim=32)
VAE = dict(sample_size=512, block_out_channels=(32, 64, 64, 64), layers_per_block=2, norm_num_groups=32)
UNET = dict(sample_size=64, block_out_channels=(32, 64, 64, 64), layers_per_block=2, cross_attention_dim=64, attention_head_dim=8)
UNET_2 = dict(UNET, sample_size=96, block_out_channels=(64, 128, 128, 128), attention_head_dim=(1, 2, 2, 2),
              use_linear_projection=True)
XL_BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D",
                                                                              "UpBlock2D")
SIZES = {
    "Stable Diffusion 1": types.SimpleNamespace(tokens=12, text=TEXT, unet=UNET, vae=VAE),
    "Stable Diffusion 1, inpainting": types.SimpleNamespace(tokens=12, text=TEXT, unet=dict(UNET, in_channels=9), vae=VAE),
    "Stable Diffusion 2": types.SimpleNamespace(
        tokens=12, text=OPEN_TEXT, unet=UNET_2, vae=dict(VAE, sample_size=768), scheduler=dict(prediction_type="v_prediction")),
    "Stable Diffusion XL": types.SimpleNamespace(
        tokens=12, text=TEXT, text_2=dict(TEXT, hidden_size=128, num_attention_heads=2, num_hidden_layers=10, hidden_act="gelu",
                                          projection_dim=96),
        unet=dict(UNET_2, sample_size=128, block_out_channels=(64, 128, 128), attention_head_dim=(1, 2, 2), cross_attention_dim=192,
                  down_block_types=XL_BLOCKS[0], up_block_types=XL_BLOCKS[1], transformer_layers_per_block=(1, 2, 3),
                  addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=96 + 6 * 8),
        vae=dict(VAE, sample_size=1024, scaling_factor=0.13025)),
}


def weights(pipeline):
    parts = ("unet", "vae", *parity.text_encoders(pipeline))
    return {f"{part}.{key}": value for part in parts for key, value in getattr(pipeline, part).state_dict().items()}


def differing(ours, theirs):
    """How many tensors are not the same to the bit."""
    if ours.keys() != theirs.keys():
        return len(ours.keys() ^ theirs.keys())
    return sum(not torch.equal(ours[key], theirs[key]) for key in theirs)


def read_by_us(args, model, kind, scratch):
    """The model as the engine reads it, by way of a directory in fp32."""
    directory = scratch / "read"
    shutil.rmtree(directory, ignore_errors=True)
    run_probe(args.probe, "save", model, {}, {"directory": str(directory)})
    return kind.from_pretrained(directory)


def lay_out_as_published(file, name):
    """With what the published files hold beside: another layer of SD 2's tower, position ids, the schedule, a logit scale."""
    tensors = load_file(file)
    tensors["betas"] = torch.zeros(1000)
    tensors["model_ema.num_updates"] = torch.zeros(1, dtype=torch.int64)
    if name == "Stable Diffusion 2":
        last = "cond_stage_model.model.transformer.resblocks.22."
        tensors |= {key.replace(".22.", ".23."): value + 1 for key, value in tensors.items() if key.startswith(last)}
        tensors["cond_stage_model.model.text_projection"] = torch.randn(64, 32)
        tensors["cond_stage_model.model.logit_scale"] = torch.zeros(())
    elif name == "Stable Diffusion XL":
        tensors["conditioner.embedders.1.model.logit_scale"] = torch.zeros(())
        tensors["denoiser.sigmas"] = torch.zeros(1000)
    else:
        tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = torch.arange(12)[None]
    save_file(tensors, file)


def check_single_file(args, reference, name, scratch, report):
    kind, model, file = type(reference), scratch / "model", scratch / "one.safetensors"
    shutil.copytree(model / "tokenizer", scratch / "tokenizer")
    run_probe(args.probe, "save", model, {}, {"model": str(model), "file": str(file)})
    for what in ("written by us", "laid out as published"):
        theirs = kind.from_single_file(str(file), config=str(model), local_files_only=True)
        report.check(f"{name}: single file {what}, read by diffusers: tensors that differ",
                     differing(weights(theirs), weights(reference)), 0)
        report.check(f"{name}: single file {what}, read by us: tensors that differ",
                     differing(weights(read_by_us(args, file, kind, scratch)), weights(reference)), 0)
        lay_out_as_published(file, name)
    again = read_by_us(args, file, kind, scratch)
    for part in ("unet", "vae"):
        ours, theirs = (json.loads(getattr(p, part).to_json_string()) for p in (again, reference))
        # Seen by no number, or of the published files' own.
        lost = {key for key in theirs if not key.startswith("_") and ours.get(key) != theirs[key]} - {"upcast_attention"}
        report.check(f"{name}: {part}'s settings inferred from shapes, but for {sorted(lost)}", len(lost), 0)
    same = again.scheduler.config.prediction_type == reference.scheduler.config.prediction_type
    report.check(f"{name}: prediction type inferred", 0 if same else 1, 0)


def check_variants(args, reference, scratch, report):
    half = type(reference).from_pretrained(scratch / "model", torch_dtype=torch.float16)
    as_read = {key: value.float() for key, value in weights(half).items()}
    for what, settings in {
        "fp16": dict(variant="fp16"),
        "fp16 in shards": dict(variant="fp16", max_shard_size="300KB"),
        "in shards": dict(max_shard_size="300KB"),
    }.items():
        directory = scratch / "variant"
        shutil.rmtree(directory, ignore_errors=True)
        half.save_pretrained(directory, **settings)
        shards = len(list((directory / "unet").glob("*.safetensors")))
        if (shards > 1) != ("shards" in what):
            raise AssertionError(f"{what}: {shards} files, which shows nothing")
        theirs = weights(read_by_us(args, directory, type(reference), scratch))
        report.check(f"{what}, of {shards} files, read by us: tensors that differ", differing(theirs, as_read), 0)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    diffusers.logging.set_verbosity_error()
    transformers.logging.set_verbosity_error()
    for name, sizes in SIZES.items():
        if args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            reference = parity.save_random_pipeline(scratch, sizes)
            check_single_file(args, reference, name, scratch, report)
            if name == "Stable Diffusion 1":
                check_variants(args, reference, scratch, report)
    report.exit()


if __name__ == "__main__":
    main()
