"""SigLIP against transformers, MaSC against the package masc-metric, and SentencePiece against its own library, on random weights."""
import io
import pathlib
import random
import struct
import sys
import tempfile

import evaluators_parity_test as evaluators
import parity
from parity import torch, transformers

LIMIT = 1e-5
WORDS = "a dog in the snow cat beach photo of red hat and with sun river café über 東京 日本 ﬁre ½ Ⅳ … it's 12 345".split()
PROMPTS = ["a photo of a dog in the snow", "Dog!", "", "on a beach, with a red hat (and a cat)", "the river " * 40]
UNUSUAL = ["DOG", "Snow,", "ＦＵＬＬ", "e\u0301", "\u200bzero", "\u00a0gap", "\u3000wide", "😀", "ß", "İ", "x\u0300\u0301", "ﷺ", "\t", "\x1f", "_", "▁",
           "한국어", "\u1e9b\u0323", "# (a)", " ", "don't", "<sep>"]


def write_pieces(path, **settings):
    """A SentencePiece model of a few words."""
    import sentencepiece
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=7)).lower() for _ in range(400)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, hard_vocab_limit=False, minloglevel=2,
                                             **settings)
    path.write_bytes(model.getvalue())


def write_siglip_pieces(folder, **settings):
    folder.mkdir(exist_ok=True)
    write_pieces(folder / "spiece.model", model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **settings)
    tokenizer = transformers.SiglipTokenizer(str(folder / "spiece.model"))
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_gemma_pieces(folder):
    """A model as Gemma's, and SigLIP 2's tokenizer of its merges."""
    import sentencepiece
    from transformers.tokenization_utils_sentencepiece import SentencePieceExtractor
    folder.mkdir(exist_ok=True)
    path = folder / "tokenizer.model"
    write_pieces(path, model_type="bpe", vocab_size=500, pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>",
                 bos_piece="<bos>", normalization_rule_name="identity", byte_fallback=True, add_dummy_prefix=False,
                 remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True, user_defined_symbols=["<mask>"])
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    scores = {model.id_to_piece(i): model.get_score(i) for i in range(len(model))}
    vocabulary, _, merges = SentencePieceExtractor(str(path)).extract(scores)
    return transformers.Siglip2Tokenizer(vocab=vocabulary, merges=merges)


def texts():
    rng = random.Random(1)
    out = [*PROMPTS, ", in the snow", "  two  spaces ", "...", "▁a▁▁dog"]
    out += [rng.choice(["", " "]).join(rng.choices(WORDS + UNUSUAL, k=rng.randint(1, 9))) for _ in range(1500)]
    ranges = [(32, 0x250), (0x2000, 0x2700), (0x3000, 0xd7ff), (0xf900, 0xffef), (0x1f300, 0x1faff)]
    out += ["".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 20))) for _ in range(1000)]
    # Lines go to the probe. Σ has another lower case at the end of a word, which the worker does not look at.
    return [text for text in out if len(text.splitlines()) <= 1 and not set(text) & set("\n\r\x1c\x1d\x1e\x85\u2028\u2029Σ")]


def check_ids(args, report, what, folder, length, expected):
    prompts = texts()
    ours = parity.run_probe(args.probe, "siglip_ids", folder, {"images": torch.zeros(1)},
                            {"prompts": "\n".join(prompts), "length": str(length)})["ids"].tolist()
    theirs = [expected(prompt) for prompt in prompts]
    wrong = [(prompt, a, b) for prompt, a, b in zip(prompts, ours, theirs) if a != b]
    if wrong:
        print(f"{what}: {wrong[0]}")
    report.check(f"{what}, prompts of {len(prompts)} that are read otherwise", len(wrong) + abs(len(ours) - len(theirs)), 0)


def check_tokenizers(args, report):
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        for rule, more in (("nmt_nfkc", dict(vocab_size=200)), ("nfkc_cf", dict(vocab_size=200)),
                           ("identity", dict(vocab_size=450, byte_fallback=True, user_defined_symbols=["don", "<sep>"]))):
            tokenizer = write_siglip_pieces(folder / rule, normalization_rule_name=rule, **more)
            for length in (64, 5):
                check_ids(args, report, f"SigLIP's tokenizer, {rule}, {length} tokens", folder / rule, length,
                          lambda prompt: tokenizer(prompt, padding="max_length", truncation=True, max_length=length)["input_ids"])
        tokenizer = write_gemma_pieces(folder / "gemma")

        def padded(prompt):
            ids = tokenizer(prompt, add_special_tokens=False)["input_ids"][:63] + [tokenizer.eos_token_id]
            return ids + [tokenizer.pad_token_id] * (64 - len(ids))
        check_ids(args, report, "SigLIP 2's tokenizer", folder / "gemma", 64, padded)


def masks_of(count, side):
    """Blobs, so that patches are covered to any extent."""
    return evaluators.pictures(count, side, side, seed=9)[..., :1].ge(128).expand(-1, -1, -1, 3).to(torch.uint8).mul(255).contiguous()


def hidden_pool(model, hidden, hide):
    """The pooling head where a key padding mask leaves patches out."""
    head = model.vision_model.head
    attended = head.attention(head.probe.expand(len(hidden), -1, -1), hidden, hidden, key_padding_mask=hide)[0]
    return (attended + head.mlp(head.layernorm(attended)))[:, 0]


def check_siglip(args, report, what, config, resample, sizes, tokenized):
    side, patch = config.vision_config.image_size, config.vision_config.patch_size
    with tempfile.TemporaryDirectory() as directory:
        folder = pathlib.Path(directory)
        model = parity.randomize(transformers.SiglipModel(config)).eval()
        model.save_pretrained(folder)
        processor = evaluators.pil_processor("Siglip")(size=dict(height=side, width=side), resample=resample)
        processor.save_pretrained(folder)
        tokenizer = tokenized(folder)
        length = config.text_config.max_position_embeddings
        ids = parity.run_probe(args.probe, "siglip_ids", folder, {"images": torch.zeros(1)},
                               {"prompts": "\n".join(PROMPTS), "length": str(length)})["ids"]
        for height, width in sizes:
            images, masks = evaluators.pictures(2, height, width), masks_of(2, 50)
            ours = parity.run_probe(args.probe, "siglip", folder, {"images": images, "masks": masks}, {"prompts": "\n".join(PROMPTS)})
            evaluators.check_pixels(args, report, what, folder, processor, images, clip=False)
            pixels = parity.run_probe(args.probe, "vit_pixels", folder, {"images": images})["pixels"]
            with torch.no_grad():
                seen = model.vision_model(pixel_values=pixels)
                said = model.text_model(input_ids=ids).pooler_output
                grid = torch.nn.functional.interpolate(masks[:, None, :, :, 0] / 255, size=(side // patch,) * 2, mode="bilinear",
                                                       align_corners=False).flatten(1)
                around = hidden_pool(model, seen.last_hidden_state, grid >= 0.5)
            report.check(f"{what}, patches", parity.relative_error(ours["patches"].flatten(0, 1),
                         evaluators.unit(seen.last_hidden_state.flatten(0, 1))), LIMIT)
            report.check(f"{what}, pictures", parity.relative_error(ours["embeddings"], evaluators.unit(seen.pooler_output)), LIMIT)
            report.check(f"{what}, patches covered by masks", (ours["covered"] - grid).abs().max().item(), LIMIT)
            report.check(f"{what}, pictures around their masks", parity.relative_error(ours["around"], evaluators.unit(around)), LIMIT)
            report.check(f"{what}, prompts", parity.relative_error(ours["texts"], evaluators.unit(said)), LIMIT)
        if tokenizer is not None:
            check_masc(args, report, folder, tokenizer, processor, side)


def check_masc(args, report, folder, tokenizer, processor, side):
    try:
        import masc
    except ImportError as error:
        print(f"MaSC's package is left out: {error}. scripts/setup --tests installs it.")
        return
    transformers.SiglipProcessor(processor, tokenizer).save_pretrained(folder)
    scorer = masc.MaSC(str(folder), device="cpu")
    # Of the size that the network reads: resizing rounds to other levels here and there.
    images, masks = evaluators.pictures(2, side, side), masks_of(2, side)
    to_image = evaluators.Image.fromarray
    scene = "a photo of in the snow"
    theirs = scorer.score(to_image(images[0].numpy()), masks[0, ..., 0].numpy(), to_image(images[1].numpy()), masks[1, ..., 0].numpy(),
                          "a photo of a dog in the snow", "dog")
    report.check("MaSC, another prompt without the subject", float(theirs.extras["prompt_text"] != scene), 0)
    ours = parity.run_probe(args.probe, "siglip", folder, {"images": images, "masks": masks}, {"prompts": scene})
    found = (ours["patches"][0][ours["covered"][0] > 0.5] @ ours["patches"][1].T).max(1).values.mean().item()
    report.check("MaSC, concept preservation", abs(found - theirs.cp), LIMIT)
    report.check("MaSC, prompt following", abs((ours["around"][1] @ ours["texts"][0]).item() - theirs.pf), LIMIT)


def by_hand(folder):
    """spiece.model without the library: letters, by the fields of sentencepiece_model.proto."""
    def piece(text, score, kind):
        body = b"\x0a" + bytes([len(text.encode())]) + text.encode() + b"\x15" + struct.pack("<f", score) + bytes([0x18, kind])
        return b"\x0a" + bytes([len(body)]) + body
    pieces = [piece("<unk>", 0, 2), piece("</s>", 0, 3), piece("▁", -1, 1)]
    pieces += [piece(letter, -2, 1) for letter in "abcdefghijklmnopqrstuvwxyz"]
    (folder / "spiece.model").write_bytes(b"".join(pieces))


def check_networks(args, report, has_pieces):
    def tokenized(folder):
        if has_pieces:
            return write_siglip_pieces(folder, vocab_size=200)
        return by_hand(folder)
    vision = dict(hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8)
    text = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=220, projection_size=48)
    if args.full:
        vision, text = {}, {}
    config = transformers.SiglipConfig(text_config=text, vision_config=vision)
    if args.full:
        check_siglip(args, report, "SigLIP base-patch16-224", config, 3, [(300, 400)], tokenized)
        return
    check_siglip(args, report, "SigLIP", config, 3, [(50, 77), (32, 32), *evaluators.TALL], tokenized)
    check_siglip(args, report, "SigLIP, bilinear", config, 2, [(64, 40)], tokenized)


def main():
    args = parity.parse_args(__doc__)
    report = parity.Report()
    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    try:
        import sentencepiece  # noqa: F401
        has_pieces = True
        check_tokenizers(args, report)
    except ImportError as error:
        has_pieces = False
        print(f"Tokenizers are left out: {error}. scripts/setup --tests installs it.")
    check_networks(args, report, has_pieces)
    if not has_pieces and all(report.held):
        sys.exit(parity.SKIPPED)
    report.exit()


if __name__ == "__main__":
    main()
