#include "mini/pretrain_tokenizer.h"

#include <algorithm>
#include <set>
#include <sstream>

#include "mini/captions.h"
#include "mini/pretrain_unet.h"
#include "worker/base/error.h"
#include "worker/tokenizers/vocabulary_trainer.h"

namespace likeness::mini {
namespace {

// What people write in prompts beside the captions' own words. The model has not seen pictures of
// most of these; being one token each, they leave room in the context and can be taught by
// fine-tuning.
constexpr const char* kEverydayWords = R"(
an the of and with without in on at by to from for near under over behind beside between front top side inside outside
photo photograph picture image painting drawing sketch render close up portrait view style oil watercolor cartoon pixel
big small tiny huge tall short long round square old new clean dirty wet dry shiny soft bright dark light cute happy sad
one two three four some many single pair another same other every no not
red orange yellow green blue purple pink brown black white gray grey gold silver cyan turquoise violet beige teal
striped spotted plain patched checkered dotted colorful rainbow wooden metal glass plastic stone paper fabric
dog cat duck robot car boat teapot backpack bird horse fish cow pig sheep bear rabbit mouse frog fox lion monkey elephant
toy ball book bottle bowl box can candle chair clock cup hat house lamp phone plush shoe sneaker boot table vase bag bus
truck train plane bike ship tower bridge castle tree flower leaf rock sun moon star cloud rain fire ice
wearing holding standing sitting running sleeping swimming flying playing riding floating eating
scarf glasses sunglasses outfit santa police chef crown collar tie shirt jacket
beach city desert field floor forest garden grass hill jungle lake mountain ocean park river road room rug sand sea
sidewalk sky snow street wall water window kitchen farm village space night day morning evening sunset summer winter
spring autumn wheat sunflowers leaves eiffel temple market background cobblestone dirt milk mirror cube shaped
man woman boy girl person people baby face head body eye ear nose mouth leg tail hand foot wheel sail handle
good best high quality detailed realistic simple beautiful funny strange blurry ugly bad low
)";

}  // namespace

std::vector<std::string> RareWords() {
  // Consonants that seldom stand together, in threes; "sks" is what DreamBooth's examples use.
  std::vector<std::string> words = {"sks"};
  for (const char first : std::string("zxqvkj")) {
    for (const char second : std::string("wkzxq")) {
      for (const char third : std::string("xvqzw")) {
        if (first == second || second == third || first == third) continue;
        words.push_back({first, second, third});
      }
    }
  }
  return words;
}

std::vector<std::string> VocabularyWords() {
  const auto captions = CaptionWords();
  std::set<std::string> words(captions.begin(), captions.end());
  std::istringstream everyday(kEverydayWords);
  for (std::string word; everyday >> word;) words.insert(word);
  for (const auto& word : RareWords()) words.insert(word);
  return {words.begin(), words.end()};
}

void PretrainTokenizer(const PretrainOptions& options) {
  TrainVocabulary(VocabularyWords(), kContextLength).Save(options.directory / "tokenizer");
}

ClipTokenizer LoadPretrainedTokenizer(const std::filesystem::path& directory) {
  if (!std::filesystem::exists(directory / "tokenizer")) {
    throw Error(ErrorKind::kFailedPrecondition,
                "the tokenizer is not there: run the stage \"tokenizer\" first");
  }
  return ClipTokenizer::Load(directory / "tokenizer");
}

}  // namespace likeness::mini
