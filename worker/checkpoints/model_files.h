// The files of a model directory, wherever they lie: in a Hugging Face cache all of them are
// symbolic links, elsewhere a whole folder is one.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace likeness {

// All files below `dir` by their paths in it ("unet/config.json"), the same on every machine.
// Symbolic links to files and to folders are followed; one that leads to nothing or back to a
// folder it lies in, a hidden name, and what lies more than four folders deep are left out.
// Errors: kNotFound (no such directory), kFailedPrecondition for a folder that cannot be read,
// named by its path in `dir`.
std::map<std::string, std::filesystem::path> FilesOfModel(const std::filesystem::path& dir);

}  // namespace likeness
