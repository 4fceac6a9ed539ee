#include "worker/methods/textual_inversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/state_dict.h"
#include "worker/exports/embedding_file.h"
#include "worker/families/tiny_model.h"
#include "worker/training/adamw.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class TextualInversionTest : public testing::Test {
 protected:
  TextualInversionTest() {
    torch::manual_seed(1);
    model_ = std::make_unique<StableDiffusion>(TinyModel());
    for (const Part& part : model_->Parts()) {
      for (auto& parameter : part.module->parameters()) parameter.requires_grad_(false);
    }
  }
  torch::Tensor Encode(const std::string& prompt) {
    torch::NoGradGuard no_grad;
    return model_->Encode({prompt}, {16, 16}).context_NSD;
  }
  static MethodSpec Spec(int64_t vectors, bool keep_norm = false) {
    MethodSpec spec{.learning_rate = 0.1};
    spec.words = {
        {.token = "zw", .vectors = vectors, .initial_text = "d o", .keep_norm = keep_norm}};
    return spec;
  }

  TempDir temp_;
  std::unique_ptr<StableDiffusion> model_;
};

TEST_F(TextualInversionTest, AWordBeginsAsTheInitialText) {
  const auto before = Encode("a zw");
  {
    const auto attached = AttachTextualInversion(*model_, Spec(2));
    EXPECT_TRUE(torch::equal(Encode("a zw"), Encode("a d o")));
    EXPECT_THAT(attached->names(), ElementsAre("text_encoder/new_rows"));
    EXPECT_TRUE(attached->trains_text_encoders());
    const auto third = AttachTextualInversion(*model_, Spec(3));  // counted round
    EXPECT_TRUE(torch::equal(Encode("a zw"), Encode("a d o d")));
  }
  EXPECT_TRUE(torch::equal(Encode("a zw"), before)) << "nothing of it is left";
}

TEST_F(TextualInversionTest, OnlyItsRowsMove) {
  NamedTensors before;
  for (const auto& [name, tensor] : StateDict(*model_->parts().text_encoder)) {
    before.emplace_back(name, tensor.clone());
  }
  const auto attached = AttachTextualInversion(*model_, Spec(2));
  const auto begun = attached->masters()[0].clone();
  AdamW optimizer(attached->Groups(), {});
  model_->Encode({"a zw"}, {16, 16}).context_NSD.square().sum().backward();
  optimizer.Step();
  attached->EndStep();
  EXPECT_GT((attached->masters()[0] - begun).abs().min().item<float>(), 0.01);
  size_t i = 0;
  for (const auto& [name, tensor] : StateDict(*model_->parts().text_encoder)) {
    EXPECT_TRUE(torch::equal(tensor, before[i++].second)) << name;
  }
}

TEST_F(TextualInversionTest, LengthsAreKeptWhereThatIsAsked) {
  const auto attached = AttachTextualInversion(*model_, Spec(2, /*keep_norm=*/true));
  const auto lengths = [&] { return attached->masters()[0].detach().norm(2, 1); };
  const auto before = lengths();
  attached->masters()[0].detach().add_(0.5);
  EXPECT_FALSE(torch::allclose(lengths(), before));
  attached->EndStep();
  EXPECT_TRUE(torch::allclose(lengths(), before));
}

TEST_F(TextualInversionTest, LengthsThatAreKeptAreThoseOfTheValuesThatTrainingBeginsWith) {
  MethodSpec spec = Spec(2, /*keep_norm=*/true);
  spec.words.push_back(spec.words[0]);
  spec.words[1].token = "abc";
  const auto attached = AttachTextualInversion(*model_, spec);
  std::vector<torch::Tensor> begun;
  for (const auto& master : attached->masters()) {
    begun.push_back(master.detach() * static_cast<double>(begun.size() + 2));
  }
  attached->BeginWith(begun);
  for (const auto& master : attached->masters()) master.detach().add_(0.5);
  attached->EndStep();
  for (size_t i = 0; i < begun.size(); ++i) {
    EXPECT_TRUE(torch::allclose(attached->masters()[i].detach().norm(2, 1), begun[i].norm(2, 1)));
    EXPECT_FALSE(torch::allclose(attached->masters()[i].detach(), begun[i]));
  }
}

TEST_F(TextualInversionTest, WhatIsWrittenIsReadAsTheSameWord) {
  torch::Tensor trained;
  const fs::path out = temp_.path() / "word";
  {
    const auto attached = AttachTextualInversion(*model_, Spec(2));
    attached->masters()[0].detach().normal_(0, 1);
    trained = Encode("the ZW there");
    WriteTextualInversion(*model_, *attached, {.base_model = {}, .out = out},
                          {{"method", "textual_inversion"}});
  }
  EXPECT_THAT(SafetensorsFile::Open(out / kEmbeddingFile).Names(), ElementsAre("zw"));
  EXPECT_THAT(SafetensorsFile::Open(out / kA1111EmbeddingFile).Names(), ElementsAre("emb_params"));
  const auto before = Encode("the ZW there");
  {
    const auto applied = ApplyTextualInversion(*model_, out, 1);
    EXPECT_TRUE(torch::equal(Encode("the ZW there"), trained));
    EXPECT_FALSE(torch::equal(trained, before));
  }
  EXPECT_TRUE(torch::equal(Encode("the ZW there"), before));
}

TEST_F(TextualInversionTest, SeveralWordsAreLearnedTogetherAndWrittenApart) {
  MethodSpec spec = Spec(2);
  spec.words.push_back({.token = "abc", .vectors = 1, .initial_text = "d"});
  const fs::path out = temp_.path() / "words";
  torch::Tensor trained;
  {
    const auto attached = AttachTextualInversion(*model_, spec);
    EXPECT_EQ(std::set<std::string>(attached->names().begin(), attached->names().end()).size(),
              attached->names().size());
    for (const auto& master : attached->masters()) master.detach().normal_(0, 1);
    trained = Encode("the abc and zw there");
    WriteTextualInversion(*model_, *attached, {.base_model = {}, .out = out},
                          {{"method", "textual_inversion"}});
  }
  EXPECT_EQ(ReadEmbedding(out / kEmbeddingFile).word, "zw");
  EXPECT_EQ(ReadEmbedding(out / "learned_embeds-2.safetensors").word, "abc");
  EXPECT_TRUE(fs::exists(out / "a1111_embedding-2.safetensors"));
  const auto before = Encode("the abc and zw there");
  {
    const auto applied = ApplyTextualInversion(*model_, out, 1);
    EXPECT_TRUE(torch::equal(Encode("the abc and zw there"), trained));
    EXPECT_FALSE(torch::equal(trained, before));
  }
  EXPECT_TRUE(torch::equal(Encode("the abc and zw there"), before));
}

TEST_F(TextualInversionTest, OneWordIsLearnedByOneAdapter) {
  WriteEmbedding(temp_.path() / kEmbeddingFile, {"zw", {torch::ones({1, 16})}});
  fs::create_directories(temp_.path() / "other");
  WriteEmbedding(temp_.path() / "other" / kEmbeddingFile, {"ZW", {torch::ones({1, 16})}});
  const auto first = ApplyTextualInversion(*model_, temp_.path(), 1);
  EXPECT_THROW(ApplyTextualInversion(*model_, temp_.path() / "other", 1), Error);
  WriteEmbedding(temp_.path() / "other" / kEmbeddingFile, {"zwx", {torch::ones({1, 16})}});
  EXPECT_NO_THROW(ApplyTextualInversion(*model_, temp_.path() / "other", 1));
}

TEST_F(TextualInversionTest, AnyWordIsWrittenAndReadAgain) {
  const auto rows_KD = torch::ones({2, 16});
  for (const char* word : {"__metadata__", "clip_l", "emb_params"}) {
    WriteEmbedding(temp_.path() / kEmbeddingFile, {word, {rows_KD}});
    EXPECT_EQ(ReadEmbedding(temp_.path() / kEmbeddingFile).word, word);
    EXPECT_EQ(ReadEmbedding(temp_.path() / kEmbeddingFile).rows_KD.size(), 1u);
  }
  WriteEmbedding(temp_.path() / kEmbeddingFile, {"clip_l", {rows_KD, torch::ones({2, 20})}});
  EXPECT_EQ(ReadEmbedding(temp_.path() / kEmbeddingFile).rows_KD.size(), 2u);
}

TEST_F(TextualInversionTest, WhatDoesNotFitIsRefused) {
  WriteEmbedding(temp_.path() / kEmbeddingFile, {"zw", {torch::ones({1, 17})}});
  EXPECT_THROW(ApplyTextualInversion(*model_, temp_.path(), 1), Error);
  WriteEmbedding(temp_.path() / kEmbeddingFile,
                 {"zw", {torch::ones({1, 16}), torch::ones({1, 16})}});
  EXPECT_THROW(ApplyTextualInversion(*model_, temp_.path(), 1), Error);
  WriteEmbedding(temp_.path() / kEmbeddingFile, {"zw", {torch::ones({1, 16})}});
  EXPECT_THROW(ApplyTextualInversion(*model_, temp_.path(), 0.5), Error);
  EXPECT_NO_THROW(ApplyTextualInversion(*model_, temp_.path(), 1));
  MethodSpec spec = Spec(1);
  spec.words[0].initial_text = " ";
  EXPECT_THROW(AttachTextualInversion(*model_, spec), Error);
}

}  // namespace
}  // namespace likeness
