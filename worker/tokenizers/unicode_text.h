// Unicode text for the tokenizers: code points, classes of characters, lower case, NFC.
#pragma once

#include <string>
#include <string_view>

namespace likeness {

// kInvalidArgument, with the offset, where bytes are not UTF-8 (cut, overlong, surrogate, above
// U+10FFFF).
std::u32string DecodeUtf8(std::string_view bytes);
std::string EncodeUtf8(std::u32string_view text);

bool IsLetter(char32_t c);  // general category L
bool IsNumber(char32_t c);  // general category N
bool IsSpace(char32_t c);   // White_Space

// Character by character, without a view to context (a final sigma becomes a plain one).
std::u32string ToLower(std::u32string_view text);

// Normalization Form C (Unicode Standard Annex 15).
std::u32string NormalizeNfc(std::u32string_view text);

}  // namespace likeness
