"""The networks that judge pictures against transformers and lpips, on random weights: embeddings, distances, preprocessing.

Of LPIPS the backbone is random and the heads are the package's own.
"""
import json
import pathlib
import sys
import tempfile
import types

import parity
from parity import torch, transformers

EMBEDDING_LIMIT = 1e-5
DISTANCE_LIMIT = 1e-5
PIXEL_LIMIT = 1.0001 / 255
IMAGENET = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
PROMPTS = ["a dog in the snow", "dog", "a dog on the beach and a cat and a duck"]

try:
    import numpy
    import PIL
    from PIL import Image
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(parity.SKIPPED)


# (height, width). Pillow shrinks tall pictures in another order since version 13.
TALL = [(90, 50), (100, 33)] if int(PIL.__version__.split(".")[0]) >= 13 else []


def pictures(count, height, width, seed=0):
    """Smooth shapes and noise, so that resizing has something to do at every scale."""
    random = numpy.random.default_rng(seed)
    out = []
    for _ in range(count):
        coarse = random.integers(0, 256, (5, 7, 3), dtype=numpy.uint8)
        smooth = numpy.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC), dtype=float)
        out.append((smooth + random.normal(0, 40, smooth.shape)).clip(0, 255).astype(numpy.uint8))
    return torch.from_numpy(numpy.stack(out))


def pil_processor(kind):
    """The processor that works with Pillow, under the name that this version of transformers gives it."""
    for name in (f"{kind}ImageProcessorPil", f"{kind}ImageProcessor"):
        if hasattr(transformers, name):
            return getattr(transformers, name)
    raise AttributeError(kind)


def check_pixels(args, report, what, directory, processor, images, clip):
    ours = parity.run_probe(args.probe, "clip_pixels" if clip else "vit_pixels", directory, {"images": images})["pixels"]
    theirs = processor(images=[Image.fromarray(i.numpy()) for i in images], return_tensors="pt")["pixel_values"]
    deviation = torch.tensor(processor.image_std).view(1, 3, 1, 1)
    error = ((ours - theirs) * deviation).abs().max().item() if ours.shape == theirs.shape else float("inf")
    report.check(f"{what}, preprocessing of {images.shape[2]}x{images.shape[1]}, in [0,1]", error, PIXEL_LIMIT)
    return theirs


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


def check_vit(args, report, what, model, processor, sizes, pixel_size=None):
    with tempfile.TemporaryDirectory() as directory:
        parity.randomize(model).save_pretrained(directory)
        processor.save_pretrained(directory)
        for height, width in sizes:
            images = pictures(2, height, width)
            theirs = check_pixels(args, report, what, directory, processor, images, clip=False)
            ours = parity.run_probe(args.probe, "vit", directory, {"images": images})["embeddings"]
            # From the reference's pixels, which differ by a level here and there: through ours for the network's own error.
            pixels = parity.run_probe(args.probe, "vit_pixels", directory, {"images": images})["pixels"]
            with torch.no_grad():
                tokens = model(pixels).last_hidden_state
                reference = unit(tokens[:, 0])
                end_to_end = unit(model(theirs).last_hidden_state[:, 0])
            patches = parity.run_probe(args.probe, "vit_patches", directory, {"images": images})["patches"]
            report.check(f"{what}, patches", parity.relative_error(patches.flatten(0, 1), unit(tokens[:, -patches.shape[1]:].flatten(0, 1))),
                         EMBEDDING_LIMIT)
            side = model.config.patch_size
            report.check(f"{what}, patches there are", abs(patches.shape[1] - (pixels.shape[2] // side) * (pixels.shape[3] // side)), 0)
            report.check(f"{what}, class embedding", parity.relative_error(ours, reference), EMBEDDING_LIMIT)
            report.check(f"{what}, cosine lost to rounding of pixels", (1 - (ours * end_to_end).sum(1)).max().item(), 1e-3)


def check_vits(args, report):
    vit = pil_processor("ViT")
    bit = pil_processor("Bit")
    if args.full:
        small = dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=6)
        config = transformers.ViTConfig(**small, intermediate_size=1536, image_size=224, patch_size=16)
        processor = vit(size=dict(height=224, width=224), resample=3, **IMAGENET)
        check_vit(args, report, "DINO ViT-S/16", transformers.ViTModel(config, add_pooling_layer=False), processor, [(300, 400)])
        config = transformers.Dinov2WithRegistersConfig(**small, image_size=518, patch_size=14, num_register_tokens=4)
        processor = bit(size=dict(shortest_edge=256), crop_size=dict(height=224, width=224), resample=3, **IMAGENET)
        check_vit(args, report, "DINOv2 ViT-S/14 with registers", transformers.Dinov2WithRegistersModel(config), processor, [(300, 400)])
        return
    tiny = dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=32, patch_size=8)
    square = dict(height=32, width=32)
    check_vit(args, report, "ViT", transformers.ViTModel(transformers.ViTConfig(**tiny, intermediate_size=64)),
              vit(size=square, resample=3, **IMAGENET), [(50, 50), (40, 50), (20, 24), *TALL])
    check_vit(args, report, "ViT, bilinear", transformers.ViTModel(transformers.ViTConfig(**tiny, intermediate_size=64, qkv_bias=False)),
              vit(size=square, resample=2, **IMAGENET), [(64, 90)])
    cropped = dict(size=dict(shortest_edge=56), crop_size=dict(height=48, width=48), resample=3, **IMAGENET)
    for name, kind, more in [
            ("DINOv2", transformers.Dinov2Model, {}),
            ("DINOv2 with a gated perceptron", transformers.Dinov2Model, dict(use_swiglu_ffn=True)),
            ("DINOv2 with registers", transformers.Dinov2WithRegistersModel, dict(num_register_tokens=3))]:
        check_vit(args, report, name, kind(kind.config_class(**tiny, **more)), bit(**cropped), [(61, 100), (60, 60), *TALL])


def check_clip(args, report, what, text, vision, projection, sizes):
    clip = pil_processor("CLIP")
    side = vision["image_size"]
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        parity.write_letter_tokenizer(directory / "letters", text["max_position_embeddings"])
        tokenizer = transformers.CLIPTokenizer.from_pretrained(directory / "letters")
        ids = dict(bos_token_id=52, eos_token_id=53, pad_token_id=53)
        model = parity.randomize(transformers.CLIPModel(transformers.CLIPConfig(
            text_config=text | ids, vision_config=vision, projection_dim=projection)))
        processor = clip(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side), resample=3)
        model.save_pretrained(directory)
        processor.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        for height, width in sizes:
            images = pictures(2, height, width)
            check_pixels(args, report, what, directory, processor, images, clip=True)
            pixels = parity.run_probe(args.probe, "clip_pixels", directory, {"images": images})["pixels"]
            ours = parity.run_probe(args.probe, "clip", directory, {"images": images}, {"prompts": "\n".join(PROMPTS)})
            tokens = tokenizer(PROMPTS, padding=True, truncation=True, return_tensors="pt")
            with torch.no_grad():
                seen = model.get_image_features(pixel_values=pixels)
                said = model.get_text_features(**tokens)
            seen, said = (getattr(x, "pooler_output", x) for x in (seen, said))
            report.check(f"{what}, pictures", parity.relative_error(ours["embeddings"], unit(seen)), EMBEDDING_LIMIT)
            report.check(f"{what}, prompts", parity.relative_error(ours["texts"], unit(said)), EMBEDDING_LIMIT)


def check_clips(args, report):
    if args.full:
        text = dict(hidden_size=512, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=8, max_position_embeddings=77,
                    vocab_size=49408)
        vision = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, image_size=224)
        check_clip(args, report, "CLIP ViT-B/32", text, vision | dict(patch_size=32), 512, [(300, 400)])
        large = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=224, patch_size=14)
        check_clip(args, report, "CLIP ViT-L/14", text | dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12), large, 768,
                   [(300, 400)])
        return
    text = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, max_position_embeddings=16,
                vocab_size=54)
    vision = dict(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
    check_clip(args, report, "CLIP", text, vision, 24, [(50, 77), (32, 32), (40, 120), *TALL])
    check_clip(args, report, "CLIP with gelu", text | dict(hidden_act="gelu"), vision | dict(hidden_act="gelu"), 24, [(40, 50)])


def safety_scores(model, pixels, care=False):
    """What StableDiffusionSafetyChecker computes before it rounds and compares: cosines less thresholds. `care`: cosines of its
    special concepts."""
    from diffusers.pipelines.stable_diffusion.safety_checker import cosine_distance
    seen = model.visual_projection(model.vision_model(pixels)[1])
    special = cosine_distance(seen, model.special_care_embeds) - model.special_care_embeds_weights
    if care:
        return cosine_distance(seen, model.special_care_embeds)
    stricter = 0.01 * (special.mul(1000).round() > 0).any(1, keepdim=True)
    return cosine_distance(seen, model.concept_embeds) - model.concept_embeds_weights + stricter


def check_safety_checker(args, report):
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    vision = dict(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
    if args.full:
        vision = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=224, patch_size=14)
    model = parity.randomize(StableDiffusionSafetyChecker(transformers.CLIPConfig(vision_config=vision, projection_dim=24))).eval()
    side = vision["image_size"]
    images = pictures(12, 40, 50, seed=3)
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        pil_processor("CLIP")(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side), resample=3).save_pretrained(directory)
        pixels = parity.run_probe(args.probe, "clip_pixels", directory, {"images": images})["pixels"]
        with torch.no_grad():
            model.concept_embeds.normal_(), model.special_care_embeds.normal_()
            # Concept 5 is seen in some pictures, the others in none; for some special care is due.
            model.concept_embeds_weights.zero_(), model.special_care_embeds_weights.fill_(2)
            cosines = safety_scores(model, pixels)
            model.concept_embeds_weights.copy_(cosines.max(0).values + 0.02)
            model.concept_embeds_weights[5] = cosines[:, 5].median() + 0.0012
            special = safety_scores(model, pixels, care=True)
            model.special_care_embeds_weights.copy_(special.median(0).values)
        model.save_pretrained(directory)
        ours = parity.run_probe(args.probe, "safety_checker", directory, {"images": images})["scores"]
        with torch.no_grad():
            _, objected = model(clip_input=pixels, images=[numpy.zeros((1, 1, 3))] * len(images))
            report.check("safety checker, scores, in thousandths", (ours - safety_scores(model, pixels)).abs().max().item(), 6e-4)
        report.check("safety checker, pictures objected to otherwise", sum(a != b for a, b in zip(objected, (ours > 0).any(1).tolist())), 0)
        report.check("safety checker, all objected to, or none", float(len(set(objected)) == 1), 0)
        # As published checkpoints name them.
        state = parity.load_file(directory / "model.safetensors")
        renamed = {("vision_model." + key if key.startswith("vision_model.") and not key.startswith("vision_model.vision_model.") else key): value
                   for key, value in state.items()}
        renamed["vision_model.vision_model.embeddings.position_ids"] = torch.arange(3)
        parity.save_file(renamed, directory / "model.safetensors")
        again = parity.run_probe(args.probe, "safety_checker", directory, {"images": images})["scores"]
        report.check("safety checker, published names of weights", (ours - again).abs().max().item(), 0)


def stub_backbones():
    """lpips takes its backbones' layers from torchvision, which need not be installed for random ones."""
    conv, relu, pool = torch.nn.Conv2d, torch.nn.ReLU, torch.nn.MaxPool2d

    def alexnet(**_):
        return types.SimpleNamespace(features=torch.nn.Sequential(
            conv(3, 64, 11, 4, 2), relu(), pool(3, 2), conv(64, 192, 5, padding=2), relu(), pool(3, 2),
            conv(192, 384, 3, padding=1), relu(), conv(384, 256, 3, padding=1), relu(), conv(256, 256, 3, padding=1), relu(),
            pool(3, 2)))

    def vgg16(**_):
        layers, channels = [], 3
        for width in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]:
            layers += [conv(channels, width, 3, padding=1), relu()] if width else [pool(2, 2)]
            channels = width or channels
        return types.SimpleNamespace(features=torch.nn.Sequential(*layers))

    models = types.ModuleType("torchvision.models")
    models.alexnet, models.vgg16 = alexnet, vgg16
    torchvision = types.ModuleType("torchvision")
    torchvision.models = models
    sys.modules.setdefault("torchvision", torchvision)
    sys.modules.setdefault("torchvision.models", models)


def narrow(model, channels):
    """Keeps the first so many channels of each slice of an AlexNet, in place."""
    convs = [module for module in model.net.modules() if isinstance(module, torch.nn.Conv2d)]
    for conv, lin, before, width in zip(convs, model.lins, [3, *channels], channels):
        conv.weight = torch.nn.Parameter(conv.weight[:width, :before])
        conv.bias = torch.nn.Parameter(conv.bias[:width])
        lin.model[1].weight = torch.nn.Parameter(lin.model[1].weight[:, :width])


def check_lpips(args, report):
    stub_backbones()
    try:
        import lpips
    except ImportError as error:
        print(f"LPIPS is left out: {error}. scripts/setup --tests installs it.")
        return False
    for net, channels in (("alex", None), ("alex", [24, 72, 144, 96, 96]), ("vgg", None)):
        model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
        config = dict(model_type="lpips", net=net, version="0.1")
        if channels:
            narrow(model, channels)
            config["channels"] = channels
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            state = {k: v.contiguous() for k, v in model.state_dict().items() if not k.startswith("lins.")}
            parity.save_file(state, directory / "model.safetensors")
            (directory / "config.json").write_text(json.dumps(config))
            for side in (64, 100):
                images = pictures(4, side, side + 8)
                ours = parity.run_probe(args.probe, "lpips", directory, {"images": images})["distances"]
                signed = images.permute(0, 3, 1, 2).float() / 127.5 - 1
                with torch.no_grad():
                    theirs = model(signed[0::2], signed[1::2]).flatten()
                report.check(f"LPIPS, {net}{', narrow' if channels else ''}, {side} px", parity.relative_error(ours, theirs), DISTANCE_LIMIT)
    return True


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    check_vits(args, report)
    check_clips(args, report)
    check_safety_checker(args, report)
    whole = check_lpips(args, report)
    if not whole and all(report.held):
        sys.exit(parity.SKIPPED)
    report.exit()


if __name__ == "__main__":
    main()
