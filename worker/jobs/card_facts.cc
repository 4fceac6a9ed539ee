#include "worker/jobs/card_facts.h"

#include "third_party/nlohmann/json.hpp"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/model_json.h"
#include "worker/support/files.h"

namespace likeness {

CardFacts ReadCardFacts(const std::filesystem::path& file) {
  const auto json = ParseModelJson(ReadFile(file), kCardFile);
  ConfigReader reader(kCardFile, json);
  CardFacts card;
  reader.Read("token", card.words.token);
  reader.Read("class_noun", card.words.class_noun);
  for (const auto& json_subject : json.value("subjects", nlohmann::json::array())) {
    ConfigReader subject(std::string(kCardFile) + ": subjects", json_subject);
    auto& [token, class_noun] = card.words.subjects.emplace_back();
    subject.Read("token", token);
    subject.Read("class_noun", class_noun);
  }
  card.method = "dreambooth";
  reader.Read("method", card.method);
  if (json.contains("base")) {
    ConfigReader base(std::string(kCardFile) + ": base", json["base"]);
    base.Read("digest", card.base_digest);
  }
  if (json.contains("settings") && json["settings"].contains("lora")) {
    ConfigReader lora(std::string(kCardFile) + ": settings: lora", json["settings"]["lora"]);
    lora.Read("variant", card.lora_variant);
  }
  int64_t size = 0;
  if (reader.Has("rehearsed_image_size")) reader.ReadSize("rehearsed_image_size", size);
  card.rehearsed_image_size = static_cast<int>(size);
  return card;
}

std::string RehearsedCard(const v1::FineTuneSpec& spec, int image_size) {
  const PromptWords words = WordsOf(spec);
  nlohmann::json card = {{"format", 1},
                         {"token", words.token},
                         {"class_noun", words.class_noun},
                         {"rehearsed_image_size", image_size}};
  for (const auto& [token, class_noun] : words.subjects) {
    card["subjects"].push_back({{"token", token}, {"class_noun", class_noun}});
  }
  return card.dump(2) + "\n";
}

}  // namespace likeness
