#include "worker/base/io/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include "third_party/nlohmann/json.hpp"
#include "worker/base/error.h"
#include "worker/base/io/config_reader.h"
#include "worker/base/io/mapped_file.h"
#include "worker/base/io/model_json.h"
#include "worker/base/io/safetensors_dtype.h"

namespace likeness {
namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "tensors are stored little-endian");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit

[[noreturn]] void Corrupt(const std::string& label, const std::string& why) {
  throw Error(ErrorKind::kDataLoss, label + " is not a valid safetensors file: " + why);
}

// dtype times shape; nothing where that overflows.
std::optional<uint64_t> ByteSize(torch::ScalarType dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = torch::elementSize(dtype);
  for (const int64_t extent : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) return {};
  }
  return bytes;
}

std::string ReadHeader(const std::string& label, std::string_view bytes) {
  if (const auto instead = WhatLiesInstead(bytes)) {
    throw Error(ErrorKind::kDataLoss, label + " is " + *instead);
  }
  if (bytes.size() < sizeof(uint64_t)) {
    Corrupt(label, "it has " + std::to_string(bytes.size()) + " bytes, fewer than a header");
  }
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof(size));
  if (size > kMaxHeaderBytes) {
    Corrupt(label, "its header claims " + std::to_string(size) + " bytes; at most " +
                       std::to_string(kMaxHeaderBytes) + " are allowed");
  }
  if (size > bytes.size() - sizeof(size)) {
    Corrupt(label, "it is cut: its header claims " + std::to_string(size) + " bytes of a file of " +
                       std::to_string(bytes.size()));
  }
  return std::string(bytes.substr(sizeof(size), size));
}

// A parser would keep one of several values of a key, and which one is up to the parser.
json ParseHeader(const std::string& label, const std::string& header) {
  std::vector<std::set<std::string>> keys;  // of the objects that have begun and not ended
  return json::parse(header, [&](int, json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) Corrupt(label, "its header has \"" + key + "\" twice");
    }
    return true;
  });
}

// As the format has them; the parser's own conversion would cut fractions off and turn signs.
std::vector<int64_t> WholeNumbers(const std::string& label, const std::string& tensor,
                                  const char* field, const json& list) {
  constexpr auto kMost = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const bool whole = list.is_array() && std::all_of(list.begin(), list.end(), [](const json& x) {
                       return x.is_number_unsigned() && x.get<uint64_t>() <= kMost;
                     });
  if (!whole) {
    Corrupt(label, "tensor " + tensor + " has the " + field + " " + ShownJson(list) +
                       "; a list of whole numbers from 0 is allowed");
  }
  return list.get<std::vector<int64_t>>();
}

}  // namespace

SafetensorsFile SafetensorsFile::Open(const std::filesystem::path& path) {
  SafetensorsFile result;
  result.label_ = path.filename().string();
  result.file_ = std::make_shared<MappedFile>(path);
  const std::string header = ReadHeader(result.label_, result.file_->bytes());
  const uint64_t data_begin = sizeof(uint64_t) + header.size();
  try {
    result.AddEntries(header, data_begin);
  } catch (const json::exception&) {
    Corrupt(result.label_, "its header is not as the format says");
  }
  result.CheckLayout(data_begin);
  return result;
}

void SafetensorsFile::AddEntries(const std::string& header, uint64_t data_begin) {
  const uint64_t data_size = file_->size() - data_begin;
  const auto tensors = ParseHeader(label_, header);
  for (const auto& [name, value] : tensors.items()) {
    if (name == "__metadata__") {
      ReadMetadata(value);
      continue;
    }
    const auto code = value.at("dtype").get<std::string>();
    const auto dtype = SafetensorsDtype(code);
    if (!dtype) Corrupt(label_, "tensor " + name + " has the unknown dtype " + code);
    const auto offsets = WholeNumbers(label_, name, "data_offsets", value.at("data_offsets"));
    if (offsets.size() != 2 || offsets[0] > offsets[1] ||
        static_cast<uint64_t>(offsets[1]) > data_size) {
      Corrupt(label_, "tensor " + name + " lies outside the file's " + std::to_string(data_size) +
                          " bytes of data; was it cut?");
    }
    Entry entry{.dtype = *dtype,
                .shape = WholeNumbers(label_, name, "shape", value.at("shape")),
                .begin = data_begin + static_cast<uint64_t>(offsets[0]),
                .end = data_begin + static_cast<uint64_t>(offsets[1])};
    if (ByteSize(entry.dtype, entry.shape) != entry.end - entry.begin) {
      Corrupt(label_, "tensor " + name + " has a size that is not its dtype times its shape");
    }
    entries_.emplace(name, std::move(entry));
  }
}

void SafetensorsFile::ReadMetadata(const json& metadata) {
  if (metadata.is_null()) return;
  if (!metadata.is_object()) Corrupt(label_, "its __metadata__ is no object");
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) Corrupt(label_, "in its __metadata__, " + key + " is not a string");
    metadata_[key] = value;
  }
}

// Every byte of data belongs to exactly one tensor.
void SafetensorsFile::CheckLayout(uint64_t data_begin) const {
  std::vector<std::pair<uint64_t, uint64_t>> spans;
  for (const auto& [name, entry] : entries_) spans.emplace_back(entry.begin, entry.end);
  std::sort(spans.begin(), spans.end());
  uint64_t at = data_begin;
  for (const auto& [begin, end] : spans) {
    if (begin != at) Corrupt(label_, "its tensors overlap or leave holes");
    at = end;
  }
  if (at != file_->size()) Corrupt(label_, "it has bytes that belong to no tensor");
}

std::vector<std::string> SafetensorsFile::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

bool SafetensorsFile::Contains(const std::string& name) const { return entries_.contains(name); }

const SafetensorsFile::Entry& SafetensorsFile::Find(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) {
    throw Error(ErrorKind::kNotFound, label_ + " has no tensor " + name);
  }
  return found->second;
}

std::vector<int64_t> SafetensorsFile::Shape(const std::string& name) const {
  return Find(name).shape;
}

torch::Tensor SafetensorsFile::Get(const std::string& name) const {
  const Entry& entry = Find(name);
  if (entry.begin == entry.end) return torch::empty(entry.shape, entry.dtype);
  auto keep_alive = [file = file_](void*) {};
  auto tensor = torch::from_blob(file_->data() + entry.begin, entry.shape, keep_alive, entry.dtype);
  // The format does not align; kernels may ask for elements at multiples of their size.
  return entry.begin % torch::elementSize(entry.dtype) == 0 ? tensor : tensor.clone();
}

}  // namespace likeness
