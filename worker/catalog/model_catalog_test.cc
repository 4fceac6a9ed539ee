#include "worker/catalog/model_catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "worker/base/io/json_file.h"
#include "worker/base/io/temp_dir.h"
#include "worker/checkpoints/model_digest.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::SizeIs;

class ModelCatalogTest : public testing::Test {
 protected:
  ModelCatalogTest() { SaveModel(models() / "tiny", TinyModel(), torch::kFloat32); }
  fs::path models() const { return temp_.path() / "models"; }
  fs::path memory() const { return temp_.path() / "cache" / "models.json"; }
  void Copy(const std::string& name) {
    fs::copy(models() / "tiny", models() / name, fs::copy_options::recursive);
  }
  ModelCatalog Scan() {
    auto catalog = ModelCatalog::Scan(models(), memory());
    EXPECT_TRUE(catalog.ok()) << catalog.status();
    return std::move(catalog).value_or(ModelCatalog());
  }
  static std::vector<std::string> Offered(const ModelCatalog& catalog) {
    std::vector<std::string> names;
    for (const auto& offer : catalog.Offers()) names.push_back(offer.name());
    return names;
  }

  TempDir temp_;
};

TEST_F(ModelCatalogTest, DirectoryInTheMemorysPlaceIsNoMemory) {
  fs::create_directories(memory());
  EXPECT_THAT(Offered(Scan()), SizeIs(1));
}

TEST_F(ModelCatalogTest, DirectoryInThePlaceOfDefaultsRejectsItsModelAlone) {
  Copy("other");
  fs::create_directories(models() / "other" / "likeness_defaults.json");
  const auto catalog = Scan();
  EXPECT_THAT(Offered(catalog), SizeIs(1));
  EXPECT_THAT(catalog.rejected(), SizeIs(1));
}

TEST_F(ModelCatalogTest, EveryModelIsOfferedUnderAnIdOfItsOwnAndFoundAsItIsCalled) {
  for (const char* name : {"Tiny_V5.1", "tiny-v5-1", "模型甲", "模型乙", "sd 1.5 (fp16)"})
    Copy(name);
  const auto catalog = Scan();
  EXPECT_THAT(catalog.rejected(), IsEmpty());
  EXPECT_THAT(Offered(catalog), SizeIs(6));
  for (const char* name : {"Tiny_V5.1", "tiny-v5-1", "模型甲", "模型乙", "sd 1.5 (fp16)"}) {
    const auto found = catalog.Find(std::string("baseModels/") + name);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->display_name, name);
    EXPECT_EQ(catalog.Find(found->facts.name)->directory, found->directory);
  }
  EXPECT_EQ(catalog.Find("baseModels/Tiny_V5.1")->facts.name, "baseModels/Tiny_V5.1");
  EXPECT_THAT(catalog.Find("baseModels/sd 1.5 (fp16)")->facts.name,
              MatchesRegex("baseModels/sd-1.5-fp16-[0-9a-f]{8}"));
}

TEST_F(ModelCatalogTest, AModelWhosePartsDoNotFitIsNamedAndHidesNothing) {
  Copy("wide");
  auto config = ReadJsonFile(models() / "wide/tokenizer/tokenizer_config.json");
  config["model_max_length"] = 77;
  WriteJsonFile(models() / "wide/tokenizer/tokenizer_config.json", config);
  const auto catalog = Scan();
  EXPECT_THAT(Offered(catalog), ElementsAre("baseModels/tiny"));
  ASSERT_THAT(catalog.rejected(), SizeIs(1));
  EXPECT_EQ(catalog.rejected()[0].path, "wide");
  EXPECT_THAT(std::string(catalog.rejected()[0].reason.message()),
              HasSubstr("model_max_length is 77 where"));
}

TEST_F(ModelCatalogTest, AnExaminedModelIsNotReadAgainUntilAFileChanges) {
  const auto digest = Scan().Find("baseModels/tiny")->facts.digest;
  // The same size and time: nothing tells that this is no model any more.
  const auto weights = models() / "tiny/unet/diffusion_pytorch_model.safetensors";
  const auto time = fs::last_write_time(weights);
  const std::string zeros(fs::file_size(weights), '\0');
  std::ofstream(weights, std::ios::binary) << zeros;
  fs::last_write_time(weights, time);
  EXPECT_EQ(Scan().Find("baseModels/tiny")->facts.digest, digest);
  fs::last_write_time(weights, time + std::chrono::seconds(1));
  EXPECT_THAT(Offered(Scan()), IsEmpty());
}

// A link's target is watched as a file of the directory would be.
TEST_F(ModelCatalogTest, AChangeBehindASymbolicLinkIsSeen) {
  fs::rename(models() / "tiny/vae", temp_.path() / "vae");
  fs::create_directory_symlink(temp_.path() / "vae", models() / "tiny/vae");
  EXPECT_THAT(Offered(Scan()), ElementsAre("baseModels/tiny"));
  std::ofstream(temp_.path() / "vae/config.json") << "{";
  EXPECT_THAT(Offered(Scan()), IsEmpty());
}

TEST_F(ModelCatalogTest, AMemoryThatIsNotOursIsWrittenAnew) {
  for (const char* text : {"{", "[1]", R"({"x": 3})", "{}"}) {
    fs::create_directories(memory().parent_path());
    std::ofstream(memory()) << text;
    EXPECT_THAT(Offered(Scan()), ElementsAre("baseModels/tiny")) << text;
  }
  auto remembered = ReadJsonFile(memory());
  remembered.begin().value()["digest"] = 3;
  WriteJsonFile(memory(), remembered);
  EXPECT_EQ(Scan().Find("")->facts.digest, ModelDigest(models() / "tiny"));
}

TEST_F(ModelCatalogTest, AMemoryThatCannotBeWrittenDoesNotEndTheWorker) {
  fs::create_directories(temp_.path());
  std::ofstream(temp_.path() / "cache") << "a file where the cache should be";
  EXPECT_THAT(Offered(Scan()), ElementsAre("baseModels/tiny"));
}

}  // namespace
}  // namespace likeness
