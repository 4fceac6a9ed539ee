#include "worker/checkpoints/component_files.h"

#include <gtest/gtest.h>

#include "worker/base/error.h"
#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/file_kind.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class ComponentFilesTest : public testing::Test {
 protected:
  // As diffusers names a variant's shards; `number` is what each of the two holds.
  void WriteShards(const std::string& stem, const std::string& index, float number) {
    const std::string names[] = {stem + "-00001-of-00002.safetensors",
                                 stem + "-00002-of-00002.safetensors"};
    WriteSafetensors(temp_.path() / names[0], {{"a", torch::full({2}, number)}});
    WriteSafetensors(temp_.path() / names[1], {{"b", torch::full({2}, number)}});
    WriteJsonFile(temp_.path() / index, {{"weight_map", {{"a", names[0]}, {"b", names[1]}}}});
  }
  // The number in every tensor that is opened for `dtype`.
  float Opened(torch::ScalarType dtype) {
    const auto files = OpenComponent(temp_.path(), "unet", "net", dtype);
    EXPECT_EQ(files.size(), 2);
    for (const auto& file : files) {
      for (const auto& name : file.Names()) return file.Get(name)[0].item<float>();
    }
    return 0;
  }

  TempDir temp_;
};

TEST_F(ComponentFilesTest, ShardsOfAVariantAreFoundWhereverTheIndexNamesIt) {
  for (const char* index : {"net.safetensors.index.fp16.json", "net.fp16.safetensors.index.json"}) {
    WriteShards("net.fp16", index, 16);
    EXPECT_EQ(Opened(torch::kFloat32), 16) << index << " where there is nothing else";
    fs::remove(temp_.path() / index);
  }
  WriteShards("net.fp16", "net.safetensors.index.fp16.json", 16);
  WriteShards("net.bf16", "net.bf16.safetensors.index.json", 17);
  WriteShards("net", "net.safetensors.index.json", 32);
  EXPECT_EQ(Opened(torch::kFloat32), 32);
  EXPECT_EQ(Opened(torch::kFloat16), 16);
  EXPECT_EQ(Opened(torch::kBFloat16), 17);
}

TEST(FileKindTest, AnIndexIsWhatItIndexes) {
  for (const char* file :
       {"unet/net.safetensors", "unet/net.fp16.safetensors", "net-00001-of-00002.safetensors",
        "unet/net.safetensors.index.json", "unet/net.safetensors.index.fp16.json",
        "unet/net.fp16.safetensors.index.json"}) {
    EXPECT_EQ(KindOfFile(file), FileKind::kWeights) << file;
  }
  for (const char* file : {"unet/net.bin", "x.ckpt", "unet/pytorch_model.bin.index.json",
                           "unet/pytorch_model.bin.index.fp16.json"}) {
    EXPECT_EQ(KindOfFile(file), FileKind::kPickle) << file;
  }
  for (const char* file : {"model_index.json", "vocab.json", "merges.txt", "a.index.json"}) {
    EXPECT_EQ(KindOfFile(file), FileKind::kText) << file;
  }
  EXPECT_EQ(KindOfFile("README.md"), FileKind::kOther);
}

}  // namespace
}  // namespace likeness
