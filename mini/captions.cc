#include "mini/captions.h"

#include <set>
#include <sstream>

#include "worker/base/error.h"

namespace likeness::mini {
namespace {

constexpr const char* kClassNames[kClasses] = {"dog", "cat",  "duck",   "robot",
                                               "car", "boat", "teapot", "backpack"};
constexpr const char* kScenePhrases[kScenes] = {"in the snow",
                                                "in the jungle",
                                                "on the beach",
                                                "on a cobblestone street",
                                                "on top of pink fabric",
                                                "on top of a wooden floor",
                                                "with a city in the background",
                                                "with a mountain in the background",
                                                "with a blue house in the background",
                                                "on top of a purple rug"};
constexpr const char* kSceneNames[kScenes] = {
    "snow",         "jungle", "beach",    "cobblestones", "pink-fabric",
    "wooden-floor", "city",   "mountain", "blue-house",   "purple-rug"};
constexpr const char* kColourNames[kColours] = {"red",   "orange", "yellow", "green",
                                                "blue",  "purple", "pink",   "brown",
                                                "black", "white",  "gray"};
constexpr const char* kPatternNames[kPatterns] = {"plain", "striped", "spotted", "patched"};
constexpr const char* kAccessoryPhrases[kAccessories] = {
    "", "wearing a red hat", "wearing a black top hat", "wearing a rainbow scarf"};
constexpr const char* kAccessoryNames[kAccessories] = {"none", "red-hat", "black-top-hat",
                                                       "rainbow-scarf"};

struct Parts {
  bool primary;
  bool secondary;
  bool pattern;
  bool accessory;
  bool scene;
};

std::string Join(const Depiction& depiction, const Parts& parts) {
  const Identity& identity = depiction.identity;
  std::string text;
  auto say = [&](const char* words) {
    if (!text.empty()) text += ' ';
    text += words;
  };
  if (parts.primary) say(Name(identity.primary));
  if (parts.primary && parts.secondary) {
    say("and");
    say(Name(identity.secondary));
  }
  if (parts.pattern && identity.pattern != Pattern::kPlain) say(Name(identity.pattern));
  say(Name(identity.subject_class));
  if (parts.accessory && depiction.accessory != Accessory::kNone) say(Phrase(depiction.accessory));
  if (parts.scene) say(Phrase(depiction.scene));
  return (text[0] == 'o' ? "an " : "a ") + text;  // "orange" is the only first word with a vowel
}

}  // namespace

const char* Name(SubjectClass subject_class) {
  return kClassNames[static_cast<int>(subject_class)];
}
const char* Phrase(Scene scene) { return kScenePhrases[static_cast<int>(scene)]; }
const char* Name(Scene scene) { return kSceneNames[static_cast<int>(scene)]; }
const char* Name(Colour colour) { return kColourNames[static_cast<int>(colour)]; }
const char* Name(Pattern pattern) { return kPatternNames[static_cast<int>(pattern)]; }
const char* Name(Accessory accessory) { return kAccessoryNames[static_cast<int>(accessory)]; }
const char* Phrase(Accessory accessory) { return kAccessoryPhrases[static_cast<int>(accessory)]; }

SubjectClass ParseClass(const std::string& name) {
  std::string known;
  for (int i = 0; i < kClasses; ++i) {
    if (name == kClassNames[i]) return static_cast<SubjectClass>(i);
    known += std::string(i == 0 ? "" : ", ") + kClassNames[i];
  }
  throw Error(ErrorKind::kInvalidArgument, "no class \"" + name + "\"; known are " + known);
}

std::string Caption(const Depiction& depiction, Random& random) {
  if (random.Chance(.10f)) return "";
  Parts parts;
  parts.primary = random.Chance(.85f);
  parts.secondary = random.Chance(.25f);
  parts.pattern = random.Chance(.60f);
  parts.accessory = random.Chance(.92f);
  parts.scene = random.Chance(.85f);
  return Join(depiction, parts);
}

std::string FullCaption(const Depiction& depiction) {
  return Join(
      depiction,
      {.primary = true, .secondary = true, .pattern = true, .accessory = true, .scene = true});
}

std::vector<std::string> CaptionWords() {
  std::set<std::string> words{"a", "an", "and"};
  auto add = [&](const auto& phrases) {
    for (const char* phrase : phrases) {
      std::istringstream stream(phrase);
      for (std::string word; stream >> word;) words.insert(word);
    }
  };
  add(kClassNames);
  add(kScenePhrases);
  add(kColourNames);
  add(kAccessoryPhrases);
  for (int i = 1; i < kPatterns; ++i) words.insert(kPatternNames[i]);
  return {words.begin(), words.end()};
}

}  // namespace likeness::mini
