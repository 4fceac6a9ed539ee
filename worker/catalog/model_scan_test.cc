#include "worker/catalog/model_scan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "worker/base/io/temp_dir.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ModelScanTest : public testing::Test {
 protected:
  fs::path root() const { return temp_.path(); }
  void Write(const fs::path& relative, const std::string& text = "{}") {
    fs::create_directories((root() / relative).parent_path());
    std::ofstream(root() / relative) << text;
  }
  ModelScan Scan() {
    auto scan = ScanForModels(root());
    EXPECT_TRUE(scan.ok()) << scan.status();
    return std::move(scan).value_or(ModelScan{});
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const auto& model : Scan().found) names.push_back(model.display_name);
    return names;
  }

  TempDir temp_;
};

TEST_F(ModelScanTest, ModelsAreCalledByTheirOwnNamesUpToThreeLevelsDown) {
  Write("Realistic_Vision_V5.1/model_index.json");
  Write("a/b/模型甲/model_index.json");
  Write("a/b/c/too deep/model_index.json");
  Write("half a download/unet/config.json");
  Write(".hidden/model_index.json");
  Write("judges/measures.json");
  Write("judges/a.safetensors");
  EXPECT_THAT(Names(), ElementsAre("Realistic_Vision_V5.1", "模型甲", "half a download"));
  EXPECT_THAT(Scan().rejected, IsEmpty());
}

TEST_F(ModelScanTest, AnEvaluatorsFilesInTheFolderOfAllModelsHideNone) {
  Write("mini/model_index.json");
  Write("measures.json");
  Write("config.json", R"({"model_type": "vit"})");
  Write("judge/config.json", R"({"model_type": "vit"})");
  Write("judge/model.safetensors");
  EXPECT_THAT(Names(), ElementsAre("mini"));
}

TEST_F(ModelScanTest, StrayWeightsAreNamedAndHideNothing) {
  Write("mini/model_index.json");
  for (const char* file : {"a.ckpt", "b.pt", "c.pth", "d.gguf"}) Write(file);
  Write("Stable-diffusion/v1-5.ckpt");
  Write("Stable-diffusion/other/model_index.json");
  EXPECT_THAT(Names(), ElementsAre("other", "mini"));
  const auto rejected = Scan().rejected;
  ASSERT_THAT(rejected, SizeIs(2));
  EXPECT_EQ(rejected[0].path, root().filename());
  EXPECT_THAT(std::string(rejected[0].reason.message()),
              HasSubstr("a.ckpt, b.pt, c.pth and 1 more: weights that do not lie in a"));
  EXPECT_EQ(rejected[1].path, "Stable-diffusion");
  EXPECT_THAT(std::string(rejected[1].reason.message()), HasSubstr("v1-5.ckpt: weights"));
}

TEST_F(ModelScanTest, ASafetensorsFileThatLiesInNoModelIsOne) {
  Write("v1-5 (pruned).safetensors");
  Write("sdxl/base_1.0.safetensors");
  Write("mini/model_index.json");
  Write("mini/v1-5-ema.safetensors");
  Write("mini/unet/diffusion_pytorch_model.safetensors");
  Write("judges/measures.json");
  Write("judges/identity.safetensors");
  Write("tokenizer/vocab.json");
  Write(".hidden.safetensors");
  EXPECT_THAT(Names(), ElementsAre("mini", "base_1.0", "v1-5 (pruned)"));
  EXPECT_EQ(Scan().found[1].directory, fs::canonical(root()) / "sdxl/base_1.0.safetensors");
  EXPECT_THAT(Scan().rejected, IsEmpty());
}

// Root reads everything: for as long as this lives, somebody else does.
class AsNobody {
 public:
  AsNobody() {
    if (was_root_) {
      EXPECT_EQ(seteuid(65534), 0);
    }
  }
  ~AsNobody() {
    if (was_root_) {
      EXPECT_EQ(seteuid(0), 0);
    }
  }

 private:
  const bool was_root_ = geteuid() == 0;
};

TEST_F(ModelScanTest, AFolderThatCannotBeReadIsNamedAndHidesNothing) {
  Write("mini/model_index.json");
  fs::permissions(root(), fs::perms(0755));
  fs::create_directories(root() / "lost+found");
  fs::permissions(root() / "lost+found", fs::perms::none);
  ModelScan scan;
  {
    const AsNobody nobody;
    scan = Scan();
  }
  fs::permissions(root() / "lost+found", fs::perms::owner_all);
  ASSERT_THAT(scan.found, SizeIs(1));
  EXPECT_EQ(scan.found[0].display_name, "mini");
  ASSERT_THAT(scan.rejected, SizeIs(1));
  EXPECT_EQ(scan.rejected[0].path, "lost+found");
  EXPECT_THAT(std::string(scan.rejected[0].reason.message()), HasSubstr("cannot be read"));
}

TEST_F(ModelScanTest, RevisionsOfAHuggingFaceCacheAreToldApart) {
  const std::string main = "39593d5650112b4cc580433f6b0435385882d819",
                    other = "aaaaaaaa50112b4cc580433f6b0435385882d819";
  const fs::path repository = "hub/models--runwayml--stable-diffusion-v1-5";
  Write(repository / "refs/main", main + "\n");
  Write(repository / "blobs/0123");
  for (const auto& commit : {main, other}) {
    fs::create_directories(root() / repository / "snapshots" / commit);
    fs::create_symlink("../../blobs/0123",
                       root() / repository / "snapshots" / commit / "model_index.json");
  }
  Write("hub/models--gpt2/snapshots/" + other + "/model.safetensors");
  EXPECT_THAT(Names(), ElementsAre("gpt2@aaaaaaaa", "runwayml/stable-diffusion-v1-5",
                                   "runwayml/stable-diffusion-v1-5@aaaaaaaa"));
}

TEST_F(ModelScanTest, SymbolicLinksAreFollowedAndNeverRoundInCircles) {
  TempDir elsewhere;
  fs::create_directories(elsewhere.path() / "big");
  std::ofstream(elsewhere.path() / "big/model_index.json") << "{}";
  fs::create_directory_symlink(elsewhere.path() / "big", root() / "linked");
  fs::create_directories(root() / "folder");
  fs::create_directory_symlink(root(), root() / "folder/back");
  fs::create_directory_symlink(root() / "nowhere", root() / "dangling");
  EXPECT_THAT(Names(), ElementsAre("linked"));
  EXPECT_THAT(Scan().rejected, IsEmpty());
}

TEST_F(ModelScanTest, TheDirectoryItselfMayBeAModel) {
  Write("mini/model_index.json");
  const auto scan = ScanForModels(root() / "mini/");
  ASSERT_TRUE(scan.ok());
  ASSERT_THAT(scan->found, SizeIs(1));
  EXPECT_EQ(scan->found[0].display_name, "mini");
  EXPECT_EQ(ScanForModels(root() / "none").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace likeness
