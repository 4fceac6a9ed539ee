#include "worker/catalog/imported_files.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>

#include "worker/base/error.h"
#include "worker/base/io/temp_dir.h"
#include "worker/catalog/model_catalog.h"
#include "worker/families/diffusers_directory.h"
#include "worker/families/single_file.h"
#include "worker/families/tiny_model.h"

namespace likeness {
namespace {

namespace fs = std::filesystem;

class ImportedFilesTest : public testing::Test {
 protected:
  ImportedFilesTest() {
    SaveModel(temp_.path() / "model", TinyModelForASingleFile(), torch::kFloat16);
    fs::create_directories(models());
    fs::copy(temp_.path() / "model/tokenizer", models() / "tokenizer");
    ExportSingleFile(temp_.path() / "model", file());
  }
  fs::path models() const { return temp_.path() / "models"; }
  fs::path file() const { return models() / "v1-5 pruned.safetensors"; }
  fs::path cache() const { return temp_.path() / "cache"; }
  fs::path Directory() const { return ImportedFiles(cache()).DirectoryOf(file()); }
  int Kept() const {
    int directories = 0;
    for (const auto& entry : fs::recursive_directory_iterator(cache())) {
      directories += entry.path().filename() == "model_index.json" ? 1 : 0;
    }
    return directories;
  }

  TempDir temp_;
};

TEST_F(ImportedFilesTest, AFileIsConvertedOnceUntilItOrItsVocabularyChanges) {
  const auto directory = Directory();
  LoadModel(directory);
  const auto made = fs::last_write_time(directory / "model_index.json");
  EXPECT_EQ(Directory(), directory);
  EXPECT_EQ(fs::last_write_time(directory / "model_index.json"), made);

  fs::last_write_time(file(), fs::last_write_time(file()) + std::chrono::seconds(2));
  const auto again = Directory();
  EXPECT_NE(again, directory);
  EXPECT_EQ(Kept(), 1) << "the old one makes room";
  std::ofstream(models() / "tokenizer/merges.txt", std::ios::app) << "\n";
  EXPECT_NE(Directory(), again);
  LoadModel(Directory());
}

TEST_F(ImportedFilesTest, SettingsBesideTheFileAreThoseItRecommends) {
  const auto recommended = [&] {
    const auto catalog = ModelCatalog::Scan(models(), cache() / "models.json");
    EXPECT_TRUE(catalog.ok()) << catalog.status();
    return catalog->entries().begin()->second.facts.defaults.generate.steps();
  };
  EXPECT_EQ(recommended(), 0);
  const fs::path settings = models() / "v1-5 pruned.likeness_defaults.json";
  std::ofstream(settings) << R"({"generate": {"steps": 21}})";
  EXPECT_EQ(recommended(), 21);
  fs::remove(settings);
  EXPECT_EQ(recommended(), 0);
}

TEST_F(ImportedFilesTest, TheDirectoryOfAFileThatIsGoneIsRemoved) {
  Directory();
  EXPECT_EQ(Kept(), 1);
  fs::remove(file());
  const ImportedFiles imported(cache());
  EXPECT_EQ(Kept(), 0);
}

TEST_F(ImportedFilesTest, TheDirectoryOfAFileWhoseFolderIsNotThereIsKept) {
  Directory();
  fs::rename(models(), temp_.path() / "of another worker");
  const ImportedFiles imported(cache());
  EXPECT_EQ(Kept(), 1);
}

TEST_F(ImportedFilesTest, ACatalogueOffersFilesBesideDirectoriesAndNamesThoseThatAreNone) {
  fs::rename(temp_.path() / "model", models() / "folder");
  std::ofstream(models() / "lora.safetensors") << "no tensors";
  const auto catalog = ModelCatalog::Scan(models(), cache() / "models.json");
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const auto one = catalog->Find("baseModels/v1-5 pruned"), other = catalog->Find("folder");
  ASSERT_TRUE(one.ok()) << one.status();
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(one->facts.image_size, 512);
  EXPECT_EQ(LoadModel(one->directory)->Parts().size(), 3u);
  ASSERT_EQ(catalog->rejected().size(), 1u);
  EXPECT_EQ(catalog->rejected()[0].path, "lora");
}

}  // namespace
}  // namespace likeness
