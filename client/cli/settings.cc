#include "client/cli/settings.h"

namespace likeness::client {
namespace {

constexpr absl::string_view kSamplerHelp =
    "As likeness, diffusers or A1111 name it: euler_ancestral, \"DPM++ 2M Karras\" [the model's "
    "own].";
constexpr absl::string_view kEtaHelp =
    "Share of the noise that is drawn anew in each step, 0 to 1; samplers ddim [0] and tcd [0.3] "
    "have it.";

// The common ones first.
constexpr SettingFlag kTrain[] = {
    {"", "", kTrainingHeading},
    {"steps", "training.steps", "Optimizer steps, 1 to 100000."},
    {"learning-rate", "training.learning_rate", "Above 0, at most 1."},
    {"batch-size", "training.batch_size", "Photos in a batch, 1 to 64."},
    {"seed", "training.seed", "0 to 4294967295; the same seed gives the same result [random]."},
    {"rank", "lora.rank pivotal_tuning.lora.rank", "Rank of a LoRA's updates, 1 to 256."},
    {"train-text-encoder", "dreambooth.train_text_encoder lora.train_text_encoder",
     "Better likeness, more memory; --no-train-text-encoder: the UNet alone."},
    {"stop-rule", "training.stop_rule",
     "Which weights make the model: the last step's, or those of the checkpoint that is judged "
     "best or has the lowest loss on the validation photos; plateau ends the training when three "
     "checkpoints in a row have not lowered it."},

    {"", "", kPicturesHeading},
    {"prompt", "samples.prompts",
     "Prompt of sample images drawn at the end; may be repeated. {subject} and {class} are "
     "replaced, and {subject1}, {subject2}, ... where there are several [four scenes of each "
     "subject]."},
    {"images-per-prompt", "samples.images_per_prompt", "Sample images of each prompt, 1 to 16."},
    {"negative-prompt", "samples.negative_prompt", "What sample images should not show."},
    {"sample-sampler", "samples.sampler", kSamplerHelp, "SAMPLER"},
    {"sample-steps", "samples.steps", "Sampling steps of sample images, 1 to 1000."},
    {"sample-guidance", "samples.guidance",
     "How closely sample images follow the prompt, 0 to 100."},
    {"sample-eta", "samples.eta", kEtaHelp},
    {"sample-seed", "samples.seed", "Seed of the first sample image, 0 to 4294967295 [--seed]."},
    {"preview-every", "previews.every_steps", "Steps between previews while training; 0: none."},
    {"preview-prompt", "previews.prompts",
     "Prompt of previews; may be repeated, up to 8 times [\"a {subject}\"]."},

    {"", "", kPriorHeading},
    {"prior-weight", "prior.weight", "Weight of the prior-preservation loss, 0 to 10."},
    {"prior-kind", "prior.kind",
     "What preserves the class: images of it, or the base model's own prediction, which needs "
     "none."},
    {"class-images", "prior.class_images", "Number of class images, 1 to 2000."},
    {"class-prompt", "prior.class_prompt",
     "Prompt of the class; {class} is replaced [\"a {class}\"]."},
    {"prior-sampler", "prior.sampler", kSamplerHelp, "SAMPLER"},
    {"prior-steps", "prior.sampling_steps", "Sampling steps of class images, 1 to 1000."},
    {"prior-guidance", "prior.guidance", "How closely class images follow the prompt, 0 to 100."},
    {"prior-eta", "prior.eta", kEtaHelp},

    {"", "", "Judgement of the sample images"},
    {"judge", "judge.enabled",
     "Judge the sample images; --no-judge: do not [where the worker has evaluators]."},
    {"measure", "judge.measures",
     "What to measure; may be repeated [all that the worker's evaluators can]."},
    {"evaluator", "judge.evaluators",
     "A network of the worker to measure with; may be repeated [the base model's, which likeness "
     "models get BASE lists].",
     "NAME"},

    {"", "", "LoRA and pivotal tuning"},
    {"min-rank", "lora.min_rank pivotal_tuning.lora.min_rank",
     "T-LoRA: rank at the noisiest timestep, from where it rises to --rank [--rank]."},
    {"alpha", "lora.alpha pivotal_tuning.lora.alpha",
     "A LoRA's updates are scaled by alpha / rank [the rank]."},
    {"rank-stabilized", "lora.rank_stabilized pivotal_tuning.lora.rank_stabilized",
     "rsLoRA: scale by alpha / sqrt(rank), so that high ranks learn as fast as low ones."},
    {"variant", "lora.variant pivotal_tuning.lora.variant", "How a LoRA's updates are factored."},
    {"lokr-factor", "lora.lokr_factor pivotal_tuning.lora.lokr_factor",
     "Of variant lokr: the largest size of the smaller factor, 1 to 256."},
    {"up-rate-ratio", "lora.up_learning_rate_ratio pivotal_tuning.lora.up_learning_rate_ratio",
     "LoRA+: learning rate of the up factors as a multiple of the others', 1 to 1000."},
    {"target", "lora.targets pivotal_tuning.lora.targets",
     "End of the names of UNet layers, linear or convolution, that get an update, such as to_q or "
     "conv1; may be repeated, up to 32 times [to_q, to_k, to_v, to_out.0].",
     "NAME"},
    {"dropout", "lora.dropout pivotal_tuning.lora.dropout hypernetwork.dropout",
     "Of LoRA's inputs, or between a hypernetwork's layers, 0 to below 1."},

    {"", "", "Text encoder (DreamBooth and LoRA)"},
    {"text-encoder-learning-rate",
     "dreambooth.text_encoder_learning_rate lora.text_encoder_learning_rate",
     "Of the text encoder, above 0, at most 1."},
    {"text-encoder-steps", "dreambooth.text_encoder_steps lora.text_encoder_steps",
     "Steps after which the text encoder is no longer changed, 1 to 100000."},

    {"", "", "Textual Inversion and pivotal tuning"},
    {"vectors", "textual_inversion.vectors pivotal_tuning.textual_inversion.vectors",
     "Vectors of a Textual Inversion word, 1 to 64."},
    {"initial-text", "textual_inversion.initial_text pivotal_tuning.textual_inversion.initial_text",
     "Text whose tokens the vectors begin as [the class]."},
    {"keep-norm", "textual_inversion.keep_norm pivotal_tuning.textual_inversion.keep_norm",
     "The vectors keep the lengths that they begin with."},
    {"vectors-learning-rate", "pivotal_tuning.vectors_learning_rate",
     "Of the vectors beside the LoRA's --learning-rate, above 0, at most 1."},

    {"", "", "Hypernetwork and Custom Diffusion"},
    {"layer-structure", "hypernetwork.layer_structure",
     "Layer widths as multiples of the context width, 3 to 8 numbers, such as 1,2,1.", "NUMBERS"},
    {"activation", "hypernetwork.activation",
     "Activation function between a hypernetwork's layers."},
    {"activate-output", "hypernetwork.activate_output",
     "The activation after a hypernetwork's last layer, too."},
    {"layer-norm", "hypernetwork.layer_norm", "Layer normalization after each of its layers."},
    {"last-layer-dropout", "hypernetwork.last_layer_dropout",
     "Dropout before a hypernetwork's last layer, too; --no-last-layer-dropout: not there."},
    {"weight-initialization", "hypernetwork.weight_initialization",
     "What the weights of a hypernetwork's layers begin as."},
    {"self-attention", "hypernetwork.self_attention",
     "Networks for self-attention too; --no-self-attention: for cross-attention alone."},
    {"train-token", "custom_diffusion.train_token",
     "Custom Diffusion learns the token's vector too; --no-train-token: it does not."},

    {"", "", "Photos"},
    {"crop", "subjects.crop",
     "Where photos are cut to squares: in the center, around the largest face, or around "
     "the object that stands out [center]."},
    {"aspect-ratio-buckets", "training.aspect_ratio_buckets",
     "Train on photos at about their own aspect ratios instead of cutting squares."},
    {"micro-conditioning", "training.micro_conditioning",
     "Of Stable Diffusion XL: tell the model what size each photo had and where it was cut."},
    {"flips", "training.horizontal_flips", "Flip each photo horizontally in half of the steps."},
    {"caption-dropout", "training.caption_dropout",
     "Probability that a photo is trained on with an empty prompt, 0 to below 1."},
    {"alpha-masks", "training.alpha_masks",
     "Use a photo's transparency as its mask where it has no mask file (rex/03.mask.png beside "
     "rex/03.jpg, white where the subject is)."},
    {"predicted-masks", "training.predicted_masks",
     "Mask photos without a mask by what a segmentation network of the worker finds in them."},
    {"unmasked-weight", "training.unmasked_weight", "Weight of the loss outside of masks, 0 to 1."},
    {"require-single-token", "subjects.require_single_token",
     "Fail unless the rare word is one token of the model's vocabulary."},

    {"", "", "Optimizer"},
    {"optimizer", "training.optimizer",
     "adamw_8bit and adafactor need less memory; prodigy finds the learning rate itself."},
    {"schedule", "training.learning_rate_schedule",
     "How the learning rate changes after the warm-up."},
    {"schedule-cycles", "training.schedule_cycles", "Cycles of cosine_with_restarts, 1 to 1000."},
    {"warmup-steps", "training.warmup_steps", "Steps in which the learning rate rises from 0."},
    {"gradient-accumulation-steps", "training.gradient_accumulation_steps",
     "Batches whose mean gradient makes one step, 1 to 64."},
    {"max-grad-norm", "training.max_grad_norm",
     "Global norm that gradients are clipped to; 0: they are not."},
    {"weight-decay", "training.weight_decay", "Decoupled weight decay, 0 to 1."},
    {"adam-beta1", "training.adam_beta1", "Decay of the first moment, 0 to below 1."},
    {"adam-beta2", "training.adam_beta2", "Decay of the second moment, 0 to below 1."},
    {"ema-decay", "training.ema_decay",
     "Decay of the weights' moving average, of which the model is made, 0 (off) to below 1; 0.999 "
     "is usual."},

    {"", "", "Loss"},
    {"snr-gamma", "training.snr_gamma", "Gamma of min-SNR loss weighting; 5 is usual, 0: off."},
    {"debiased-estimation", "training.debiased_estimation", "Weight the loss by 1 / sqrt(SNR)."},
    {"noise-offset", "training.noise_offset",
     "Noise added to each channel as a whole, 0 to 1; 0.05 to 0.1 helps with very dark and very "
     "bright images."},
    {"input-perturbation", "training.input_perturbation",
     "Extra noise on the input that the model is not asked to predict, 0 to 1; 0.1 is usual."},

    {"", "", "Memory and checkpoints"},
    {"precision", "training.precision",
     "Number formats to train in: of the forward and backward pass; with bf16_weights of the "
     "weights too, for DreamBooth."},
    {"gradient-checkpointing", "training.gradient_checkpointing",
     "Much less memory for about a third more time."},
    {"fused-backward-pass", "training.fused_backward_pass",
     "Less memory: each weight is changed as soon as its gradient is known. Gradients are not "
     "clipped; not with prodigy."},
    {"memory", "training.memory_budget_bytes",
     "The most memory that training may take (8GiB, 800MB). What is not given of --optimizer, "
     "--gradient-checkpointing, --fused-backward-pass and --precision is chosen to fit."},
    {"checkpoint-every", "training.checkpoint_every_steps",
     "Steps between checkpoints that another worker can resume from, 1 to 100000."},
};

constexpr SettingFlag kGenerate[] = {
    {"prompt-adapters", "prompt_adapters",
     "Read <lora:MODEL:STRENGTH> in a prompt as an adapter for that prompt, as A1111 does."},
    {"negative-prompt", "negative_prompt", "What should not be seen."},
    {"images", "images_per_prompt", "Pictures of each prompt, 1 to 64."},
    {"seed", "seed", "Of the first picture, 0 to 4294967295; the next is drawn from seed + 1."},
    {"sampler", "sampler", kSamplerHelp, "SAMPLER"},
    {"steps", "steps",
     "Sampling steps, 1 to 1000; with some samplers and base models fewer are allowed."},
    {"guidance", "guidance", "How closely the prompt is followed, 0 to 100."},
    {"eta", "eta", kEtaHelp},
    {"width", "width", "Pixels, 32 to 2048, a multiple of 8."},
    {"height", "height", "Pixels, 32 to 2048, a multiple of 8."},
    {"original-width", "micro_conditioning.original_width",
     "Of Stable Diffusion XL: the width that it is told the picture had before it was scaled and "
     "cropped, 1 to 16384 [--width]."},
    {"original-height", "micro_conditioning.original_height", "Likewise [--height]."},
    {"crop-left", "micro_conditioning.crop_left",
     "Of Stable Diffusion XL: columns that it is told were cut off, 0 to 16384 [0]."},
    {"crop-top", "micro_conditioning.crop_top", "Likewise rows [0]."},
    {"target-width", "micro_conditioning.target_width",
     "Of Stable Diffusion XL: the width that it is told the picture has, 1 to 16384 [--width]."},
    {"target-height", "micro_conditioning.target_height", "Likewise [--height]."},
    {"clip-skip", "clip_skip",
     "Layers skipped at the end of the text encoder, 0 to 8; 1 is what A1111 calls 2 [0]."},
    {"guidance-rescale", "guidance_rescale",
     "Corrects the overexposure of strong guidance, 0 to 1 [0]."},
    {"prompt-weights", "prompt_weights",
     "Read (words:1.2), (words) and [words] in prompts as weights, as A1111 does."},
    {"long-prompts", "long_prompts",
     "Read prompts of more than 75 tokens to their end, in chunks, rather than cut them off; 1000 "
     "bytes are allowed with it as without."},
    {"preview-every", "preview_every_steps",
     "Sampling steps between rough previews, kept as DIR/preview.jpg while drawing; 0: none [0]."},
    {"precision", "precision",
     "Number format to draw in; bf16 needs a worker whose processor computes in it [the "
     "worker's].",
     "fp32|bf16"},
    {"safety-check", "safety_check",
     "Withhold pictures that the worker's safety checker objects to."},
};

constexpr SettingFlag kEvaluate[] = {
    {"images", "images_per_prompt", "Images of each prompt, 1 to 64 [4]."},
    {"measure", "measures",
     "What to measure; may be repeated. rank needs --gallery, masc photos with masks [all that "
     "the worker can]."},
    {"evaluator", "evaluators",
     "A network of the worker to measure with; may be repeated [the base model's, which likeness "
     "models get BASE lists].",
     "NAME"},
    {"negative-prompt", "negative_prompt", "What the images should not show."},
    {"seed", "seed", "Seed of the first image, 0 to 4294967295 [random]."},
    {"sampler", "sampler", kSamplerHelp, "SAMPLER"},
    {"steps", "steps", "Sampling steps, 1 to 1000 [the model's]."},
    {"guidance", "guidance", "Classifier-free guidance scale, 0 to 100 [the model's]."},
    {"eta", "eta", kEtaHelp},
};

}  // namespace

absl::Span<const SettingFlag> TrainSettings() { return kTrain; }
absl::Span<const SettingFlag> GenerateSettings() { return kGenerate; }
absl::Span<const SettingFlag> EvaluateSettings() { return kEvaluate; }

}  // namespace likeness::client
