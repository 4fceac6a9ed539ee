#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

namespace likeness {

// SHA-256, in hex, of a file. It is read once by this process, under whatever name, until its size
// or time changes. Thread safe. `poll`, where there is one, is called every fraction of a second;
// what it throws ends this.
std::string DigestOfFile(const std::filesystem::path& path, const std::function<void()>& poll = {});

// From here on digests of large files are remembered in `file`, too, and those that earlier
// processes left there are taken for files that are the same still. One that cannot be read or
// written is passed over; whoever may write it decides what a file's digest is.
void RememberDigestsIn(const std::filesystem::path& file);

// DigestOfFile of each file that is part of the model, by its path in the directory:
// model_index.json, and all weights, configs and tokenizer files (.safetensors, .json, .txt) in the
// directory's folders.
std::map<std::string, std::string> ModelFileDigests(const std::filesystem::path& dir,
                                                    const std::function<void()>& poll = {});

// SHA-256, in hex, over these (path, digest) pairs, sorted.
std::string ModelDigest(const std::map<std::string, std::string>& files);
std::string ModelDigest(const std::filesystem::path& dir, const std::function<void()>& poll = {});

}  // namespace likeness
