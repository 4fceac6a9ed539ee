// How CLIP prepares text and cuts it into pieces, each of which the byte-pair merges see alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace likeness {

// NFC, runs of white space to one space, lower case: UTF-8 to UTF-8. kInvalidArgument if text is
// not UTF-8.
std::string NormalizeClipText(std::string_view text);

// Pieces of normalized text, as UTF-8: the matches of
//   's|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
// and, as the reference has them too, "<|", "startoftext", "|>" apart from marks that follow (and
// so for endoftext).
std::vector<std::string> SplitClipPieces(std::string_view normalized);

}  // namespace likeness
