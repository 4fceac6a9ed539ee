"""What the parity scripts share: random models as diffusers writes them, and the probe that runs ours."""

import argparse
import json
import pathlib
import string
import subprocess
import sys
import tempfile
import types

SKIPPED = 77  # what ctest takes as "skipped"

try:
    import diffusers
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
except ImportError as error:
    print(f"skipped: {error}. scripts/setup installs what the parity tests compare with.")
    sys.exit(SKIPPED)

TINY = types.SimpleNamespace(
    tokens=12,
    text=dict(vocab_size=54, hidden_size=32, intermediate_size=64, num_hidden_layers=3,
              num_attention_heads=4),
    unet=dict(sample_size=8, block_out_channels=(32, 64, 64), layers_per_block=1,
              down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
              up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
              cross_attention_dim=32, attention_head_dim=4, norm_num_groups=8),
    vae=dict(sample_size=32, block_out_channels=(16, 32, 32), layers_per_block=1,
             norm_num_groups=8),
)

# Stable Diffusion 1.5.
FULL = types.SimpleNamespace(
    tokens=77,
    text=dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
              num_attention_heads=12),
    unet=dict(sample_size=64, cross_attention_dim=768),
    vae=dict(sample_size=512, block_out_channels=(128, 256, 512, 512), layers_per_block=2),
)


def parse_args(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--probe", required=True, help="path of likeness_parity_probe")
    parser.add_argument("--full", action="store_true",
                        help="the sizes of Stable Diffusion 1.5 (12 GB of memory, minutes)")
    return parser.parse_args()


def write_letter_tokenizer(directory, tokens):
    """A CLIP tokenizer that knows single letters and no merges."""
    directory.mkdir(parents=True)
    words = list(string.ascii_lowercase) + [c + "</w>" for c in string.ascii_lowercase]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (directory / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (directory / "merges.txt").write_text("#version: 0.2\n")
    end = "<|endoftext|>"
    (directory / "tokenizer_config.json").write_text(json.dumps(dict(
        tokenizer_class="CLIPTokenizer", model_max_length=tokens, bos_token="<|startoftext|>",
        eos_token=end, pad_token=end, unk_token=end)))


def randomize(model):
    """Fresh norms are one and fresh biases zero: that would hide exchanged keys."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def save_random_pipeline(directory, sizes, seed=0):
    """Writes a random StableDiffusionPipeline and returns it."""
    torch.manual_seed(seed)
    write_letter_tokenizer(directory / "letters", sizes.tokens)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(directory / "letters")
    text = transformers.CLIPTextConfig(max_position_embeddings=sizes.tokens, bos_token_id=52,
                                       eos_token_id=53, pad_token_id=53, **sizes.text)
    vae_levels = len(sizes.vae["block_out_channels"])
    pipeline = diffusers.StableDiffusionPipeline(
        tokenizer=tokenizer,
        text_encoder=randomize(transformers.CLIPTextModel(text)),
        unet=randomize(diffusers.UNet2DConditionModel(**sizes.unet)),
        vae=randomize(diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * vae_levels,
            up_block_types=("UpDecoderBlock2D",) * vae_levels, **sizes.vae)),
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            clip_sample=False, set_alpha_to_one=False),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    pipeline.save_pretrained(directory / "model")
    return pipeline


def run_probe(probe, command, model, inputs, settings=None):
    """Runs the probe on a dict of tensors and gives back a dict of tensors."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = [str(pathlib.Path(scratch) / name) for name in ("in.safetensors", "out.safetensors")]
        tensors = {name: tensor.contiguous() for name, tensor in inputs.items()}
        save_file(tensors or {"none": torch.zeros(1)}, paths[0], metadata=settings)
        subprocess.run([probe, command, str(model), *paths], check=True)
        return load_file(paths[1])


def relative_error(ours, reference):
    """Largest difference over the largest reference value, in double precision."""
    ours, reference = ours.double(), reference.double()
    if ours.shape != reference.shape:
        return float("inf")
    return ((ours - reference).abs().max() / reference.abs().max().clamp_min(1e-30)).item()


class Report:
    """Collects figures, prints each with its limit, and knows whether all held."""

    def __init__(self):
        self.failed = False

    def check(self, what, value, limit):
        held = value <= limit  # not the reverse: NaN fails
        self.failed |= not held
        print(f"{'ok  ' if held else 'FAIL'} {what}: {value:.2e} (at most {limit:.0e})", flush=True)

    def exit(self):
        sys.exit(1 if self.failed else 0)
