"""What the parity scripts share: random models as diffusers writes them, and the probe that runs ours."""

import argparse
import json
import pathlib
import re
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

# As Stable Diffusion 2 is unlike it: OpenCLIP's text tower without its last layer, linear projections, a number of heads at
# each level, and a model that predicts v.
TINY_2 = types.SimpleNamespace(
    tokens=12,
    text=dict(TINY.text, num_hidden_layers=4, hidden_act="gelu", projection_dim=24),
    unet=dict(TINY.unet, attention_head_dim=(2, 4, 8), use_linear_projection=True, upcast_attention=True),
    vae=TINY.vae,
    scheduler=dict(prediction_type="v_prediction"),
)

# With a last timestep that holds no signal.
TINY_2_ZERO_SNR = types.SimpleNamespace(**vars(TINY_2))
TINY_2_ZERO_SNR.scheduler = dict(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing")

# Stable Diffusion XL: two text towers, blocks of several layers, sizes and crops as a condition.
TINY_XL = types.SimpleNamespace(
    tokens=12,
    text=TINY.text,
    # 2: as the published files have it, which are older than transformers' own use of it.
    text_2=dict(TINY.text, hidden_size=48, num_hidden_layers=4, hidden_act="gelu", projection_dim=24, eos_token_id=2),
    unet=dict(TINY.unet, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
              up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), cross_attention_dim=32 + 48,
              attention_head_dim=(2, 4, 8), transformer_layers_per_block=(1, 2, 3), use_linear_projection=True,
              addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=24 + 6 * 8),
    vae=dict(TINY.vae, scaling_factor=0.13025),
)

# That fills masks: beside the latents it sees a mask and the latents of what lies outside.
TINY_INPAINT = types.SimpleNamespace(**vars(TINY))
TINY_INPAINT.unet = dict(TINY.unet, in_channels=9)
TINY_XL_INPAINT = types.SimpleNamespace(**vars(TINY_XL))
TINY_XL_INPAINT.unet = dict(TINY_XL.unet, in_channels=9)

SIZES = {"Stable Diffusion 1": TINY, "Stable Diffusion 2": TINY_2, "Stable Diffusion 2, zero SNR": TINY_2_ZERO_SNR,
         "Stable Diffusion XL": TINY_XL, "Stable Diffusion 1, inpainting": TINY_INPAINT,
         "Stable Diffusion XL, inpainting": TINY_XL_INPAINT}

# Stable Diffusion 1.5.
FULL = types.SimpleNamespace(
    tokens=77,
    text=dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12,
              num_attention_heads=12),
    unet=dict(sample_size=64, cross_attention_dim=768),
    vae=dict(sample_size=512, block_out_channels=(128, 256, 512, 512), layers_per_block=2),
)

# Stable Diffusion 2.1, of 768 pixels.
FULL_2 = types.SimpleNamespace(
    tokens=77,
    text=dict(vocab_size=49408, hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
              hidden_act="gelu", projection_dim=512),
    unet=dict(sample_size=96, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True,
              upcast_attention=True),
    vae=dict(sample_size=768, block_out_channels=(128, 256, 512, 512), layers_per_block=2),
    scheduler=dict(prediction_type="v_prediction"),
)

# Stable Diffusion XL 1.0: text encoders and UNet, forward alone, at a quarter of its pictures' height and width. The autoencoder
# differs from Stable Diffusion 1's in its weights alone.
FULL_XL = types.SimpleNamespace(
    tokens=77,
    text=FULL.text,
    text_2=dict(vocab_size=49408, hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20,
                hidden_act="gelu", projection_dim=1280),
    unet=dict(sample_size=128, block_out_channels=(320, 640, 1280), cross_attention_dim=2048, attention_head_dim=(5, 10, 20),
              down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
              up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 2, 10),
              use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256,
              projection_class_embeddings_input_dim=1280 + 6 * 256),
    vae=dict(FULL.vae, sample_size=1024, scaling_factor=0.13025),
    forward_at=32,
)
FULL_SIZES = {"Stable Diffusion 1": FULL, "Stable Diffusion 2": FULL_2, "Stable Diffusion XL": FULL_XL}


def parse_args(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--probe", required=True, help="path of likeness_parity_probe")
    parser.add_argument("--full", action="store_true",
                        help="the sizes of Stable Diffusion 1.5, 2.1 and XL (16 GiB of memory; half an hour with XL)")
    parser.add_argument("--only", default="", help="the families whose name holds this")
    return parser.parse_args()


def sizes_of(args):
    """Sizes by the name of the family."""
    return {name: sizes for name, sizes in (FULL_SIZES if args.full else SIZES).items() if args.only in name}


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
    """Writes a random pipeline and returns it."""
    torch.manual_seed(seed)
    write_letter_tokenizer(directory / "letters", sizes.tokens)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(directory / "letters")
    tower = dict(max_position_embeddings=sizes.tokens, bos_token_id=52, eos_token_id=53, pad_token_id=53)
    text = transformers.CLIPTextConfig(**tower, **sizes.text)
    fills_masks = sizes.unet.get("in_channels") == 9
    if hasattr(sizes, "text_2"):
        kind = diffusers.StableDiffusionXLInpaintPipeline if fills_masks else diffusers.StableDiffusionXLPipeline
        text_2 = transformers.CLIPTextConfig(**tower | sizes.text_2)
        others = dict(tokenizer_2=tokenizer, add_watermarker=False,
                      text_encoder_2=randomize(transformers.CLIPTextModelWithProjection(text_2)))
    else:
        kind = diffusers.StableDiffusionInpaintPipeline if fills_masks else diffusers.StableDiffusionPipeline
        others = dict(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    vae_levels = len(sizes.vae["block_out_channels"])
    pipeline = kind(
        tokenizer=tokenizer,
        text_encoder=randomize(transformers.CLIPTextModel(text)),
        unet=randomize(diffusers.UNet2DConditionModel(**sizes.unet)),
        vae=randomize(diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * vae_levels,
            up_block_types=("UpDecoderBlock2D",) * vae_levels, **sizes.vae)),
        scheduler=diffusers.DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
            clip_sample=False, set_alpha_to_one=False, **getattr(sizes, "scheduler", {})),
        **others)
    pipeline.save_pretrained(directory / "model")
    return pipeline


def text_encoders(pipeline):
    """By the names of their folders."""
    return {name: getattr(pipeline, name) for name in ("text_encoder", "text_encoder_2") if getattr(pipeline, name, None)}


def encode(pipeline, prompts, sides=None):
    """What the UNet is told beside x and t, by the names of the probe; differentiable. sides: width and height [the model's]."""
    if not getattr(pipeline, "text_encoder_2", None):
        ids = pipeline.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
        return {"context": pipeline.text_encoder(ids)[0]}
    context, _, pooled, _ = pipeline.encode_prompt(prompts, device="cpu", do_classifier_free_guidance=False)
    width, height = sides or [pipeline.vae.config.sample_size] * 2
    return {"context": context, "pooled": pooled, "numbers": torch.tensor([[height, width, 0, 0, height, width]] * len(prompts))}


def predict(pipeline, latents, timesteps, told):
    more = {"text_embeds": told["pooled"], "time_ids": told["numbers"]} if "pooled" in told else None
    latents = torch.cat([latents, told["canvas"]], 1) if "canvas" in told else latents
    return pipeline.unet(latents, timesteps, told["context"], added_cond_kwargs=more).sample


def blank_canvas(pipeline):
    """What a pipeline that fills masks has to be given where all is to be drawn."""
    if pipeline.unet.config.in_channels == pipeline.unet.config.out_channels:
        return {}
    side = pipeline.vae.config.sample_size
    return dict(image=torch.zeros(1, 3, side, side), mask_image=torch.ones(1, 1, side, side), strength=1.0, height=side, width=side)


def canvas(pipeline, pixels, masks, noise):
    """As train_dreambooth_inpaint tells the UNet of masks and what lies outside; pixels: uint8 [N,H,W,3]."""
    outside = (pixels.permute(0, 3, 1, 2) / 127.5 - 1) * (masks < 0.5)
    with torch.no_grad():
        moments = pipeline.vae.encode(outside).latent_dist
    latents = (moments.mean + moments.std * noise) * pipeline.vae.config.scaling_factor
    return torch.cat([torch.nn.functional.interpolate(masks, size=latents.shape[2:]), latents], 1)


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


def documented(document, name):
    """The function of this name that a document gives its readers."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / document).read_text()
    program, = (block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if f"def {name}(" in block)
    names = {}
    exec(program, names)
    return names[name]


def load_custom_diffusion(pipeline, folder):
    """Without `_pipeline` load_attn_procs reads the file and leaves the UNet as it is."""
    pipeline.unet.load_attn_procs(str(folder), weight_name="pytorch_custom_diffusion_weights.safetensors", _pipeline=pipeline)


def load_word(pipeline, folder, word):
    """What was learned of the word, from the folder of a model that this service made."""
    file = str(folder / "learned_embeds.safetensors")
    if hasattr(pipeline, "text_encoder_2"):
        documented("exports.md", "load_words_of_xl")(pipeline, file, word)
    else:
        pipeline.load_textual_inversion(file)


class Report:
    """Collects figures, prints each with its limit, and knows whether all held."""

    def __init__(self):
        self.held = []

    def check(self, what, value, limit):
        held = value <= limit  # not the reverse: NaN fails
        self.held.append(held)
        print(f"{'ok  ' if held else 'FAIL'} {what}: {value:.2e} (at most {limit:.0e})", flush=True)

    def exit(self):
        if not self.held:
            sys.exit("nothing was checked")
        sys.exit(0 if all(self.held) else 1)


def drawn(pipeline, request):
    """What a diffusers pipeline draws of a request of the probe's: [images,H,W,3], whole numbers from 0 to 255."""
    pictures = [torch.from_numpy(pipeline(
        request["prompt"], num_inference_steps=request["steps"], guidance_scale=request["guidance"],
        generator=torch.Generator().manual_seed(request["seed"] + i), output_type="np").images[0]) for i in range(request["images"])]
    return (torch.stack(pictures) * 255).round()
