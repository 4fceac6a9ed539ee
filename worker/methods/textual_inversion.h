// Textual Inversion, Gal et al. 2208.01618: what is trained are the rows that the text encoders
// read for a word of its own; nothing else of the model moves. Source of the details: diffusers'
// examples/textual_inversion.
#pragma once

#include <filesystem>
#include <memory>

#include "worker/exports/embedding_file.h"
#include "worker/methods/method.h"

namespace likeness {

std::unique_ptr<Attached> AttachTextualInversion(Family& model, const MethodSpec& spec);
TrainedMemory MemoryOfTextualInversion(const Family& model, const MethodSpec& spec);
void WriteTextualInversion(Family& model, Attached& attached, const WriteSpec& spec,
                           const nlohmann::json& card);
// `strength` is 1: kInvalidArgument for any other, since a word is there or is not.
std::unique_ptr<AppliedAdapter> ApplyTextualInversion(Family& model,
                                                      const std::filesystem::path& directory,
                                                      double strength);
void MergeTextualInversion(Family& model, const std::filesystem::path& directory, double strength,
                           MergedAdapters& merged);
NamedTensors ReadTrainedWord(Family& model, Attached& attached,
                             const std::filesystem::path& directory);

// Throws Error(kFailedPrecondition), naming both widths, for a word whose rows are not as wide as
// those that the model's text encoders read.
void CheckRowWidths(const Family& model, const WordEmbedding& embedding);

// The word is one of the model's while what this returns lives.
std::unique_ptr<AppliedAdapter> SpeakWord(Family& model, NewWord word);

// The files of a model's directory, without the card: two for each word. `attached` is
// AttachTextualInversion's.
void WriteWordFiles(Attached& attached, const std::filesystem::path& directory);

}  // namespace likeness
