// SHA-256 by OpenSSL. Not common/digest.h, since the engine knows no Abseil.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace likeness {

// 64 lower-case hex digits.
std::string Sha256OfBytes(std::string_view bytes);
// Errors as MappedFile's. `poll`, where there is one, is called before every 64 MiB; what it throws
// ends this.
std::string Sha256OfFile(const std::filesystem::path& path, const std::function<void()>& poll = {});

}  // namespace likeness
