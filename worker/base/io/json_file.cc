#include "worker/base/io/json_file.h"

#include <fstream>
#include <sstream>
#include <string>

#include "worker/base/error.h"
#include "worker/base/io/atomic_file.h"
#include "worker/base/io/mapped_file.h"
#include "worker/base/io/model_json.h"

namespace likeness {

nlohmann::json ReadJsonFile(const std::filesystem::path& path) {
  const auto label = (path.parent_path().filename() / path.filename()).string();
  if (!std::filesystem::is_regular_file(path)) {
    throw Error(ErrorKind::kFailedPrecondition, label + " is missing");
  }
  return ParseModelJson(MappedFile(path).bytes(), label);
}

nlohmann::json ReadJsonIfThere(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();  // of which a parser would let errors out
  return nlohmann::json::parse(text.str(), /*cb=*/nullptr, /*allow_exceptions=*/false);
}

void WriteJsonFile(const std::filesystem::path& path, const nlohmann::json& value) {
  AtomicFile file(path);
  file.Write(value.dump(/*indent=*/2) + "\n");
  file.Commit();
}

}  // namespace likeness
