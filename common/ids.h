// Random identifiers and seeds, from the operating system's generator.
#pragma once

#include <cstdint>
#include <string>

namespace likeness {

// `length` characters of [a-z0-9], the first of them a letter.
std::string RandomId(int length);

// A random UUID (version 4).
std::string RandomUuid();

// 32 hex digits that nobody can guess: lease tokens.
std::string RandomSecret();

// Any of 0 to 2^32 - 1.
uint32_t RandomSeed();

}  // namespace likeness
