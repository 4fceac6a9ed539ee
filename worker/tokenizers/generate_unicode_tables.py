#!/usr/bin/env python3
"""Writes unicode_tables.cc: what the tokenizer needs to know of Unicode.

The tables must agree with the `tokenizers` package, which transformers' CLIPTokenizer runs on, whatever Unicode version
it was built with. So they are asked from it, character by character:

    python worker/tokenizers/generate_unicode_tables.py > worker/tokenizers/unicode_tables.cc
"""

import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers

CHARS = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
NFC, NFD, LOWER = normalizers.NFC(), normalizers.NFD(), normalizers.Lowercase()


def ranges(regex):
    """Inclusive ranges of the characters that the regular expression matches."""
    matched = normalizers.Replace(Regex(regex), "")
    found = []
    for char in CHARS:
        if matched.normalize_str(char):
            continue
        if found and found[-1][1] == ord(char) - 1:
            found[-1][1] = ord(char)
        else:
            found.append([ord(char), ord(char)])
    return found


def lower_runs():
    """(first, last, step, delta): every step-th character from first to last becomes itself plus delta."""
    runs = []
    for char in CHARS:
        lower = LOWER.normalize_str(char)
        if lower == char:
            continue
        if len(lower) > 1:
            assert (char, lower) == ("\u0130", "i\u0307"), "a new special case: teach unicode_text.cc"
            continue
        code, delta = ord(char), ord(lower) - ord(char)
        if runs and runs[-1][3] == delta:
            first, last, step, _ = runs[-1]
            if code - last in (1, 2) and (first == last or code - last == step):
                runs[-1][1:3] = [code, code - last]
                continue
        runs.append([code, code, 1, delta])
    return runs


def canonical_pairs():
    """(composed, first, second, whether NFC composes it), the second 0 where there is one alone. Hangul is arithmetic."""
    pairs = []
    for char in CHARS:
        parts = NFD.normalize_str(char)
        if parts == char or 0xAC00 <= ord(char) <= 0xD7A3:
            continue
        if len(parts) == 1:
            pairs.append((ord(char), ord(parts), 0, 0))
            continue
        first = NFC.normalize_str(parts[:-1])
        if len(first) > 1:  # the prefix is excluded from composition itself
            first = next(c for c in CHARS if NFD.normalize_str(c) == parts[:-1])
        pairs.append((ord(char), ord(first), ord(parts[-1]), int(NFC.normalize_str(parts) == char)))
    return pairs


def combining_classes():
    """(first, last, class) of the characters that reorder, as far as the package knows of them."""
    found = []
    for char in CHARS:
        value = unicodedata.combining(char)
        if value == 0:
            continue
        probe = char + "\u0334" if value > 1 else "\u0300" + char
        assert len(NFD.normalize_str(char)) >= 1
        if value == 1 and NFD.normalize_str(probe) == probe or value > 1 and NFD.normalize_str(probe)[0] != "\u0334":
            continue  # younger than the package
        if found and found[-1][1] == ord(char) - 1 and found[-1][2] == value:
            found[-1][1] = ord(char)
        else:
            found.append([ord(char), ord(char), value])
    return found


def table(type_name, name, rows):
    cells = ["{" + ", ".join(hex(v) if v > 9 else str(v) for v in row) + "}," for row in rows]
    lines, line = [], "   "
    for cell in cells:
        if len(line) + len(cell) + 1 > 100:
            lines.append(line)
            line = "   "
        line += " " + cell
    lines.append(line)
    body = "\n".join(lines)
    return (f"constexpr {type_name} {name}Rows[] = {{\n{body}\n}};\n"
            f"const std::span<const {type_name}> {name} = {name}Rows;\n")


print(f"""// Made by generate_unicode_tables.py from tokenizers {tokenizers.__version__}. Do not edit.
#include "worker/tokenizers/unicode_tables.h"

// clang-format off
namespace likeness {{
namespace {{
""")
sections = [
    ("CodeRange", "kLetters", ranges(r"\p{L}")),
    ("CodeRange", "kNumbers", ranges(r"\p{N}")),
    ("CodeRange", "kSpaces", ranges(r"\s")),
    ("LowerRun", "kLowerRuns", lower_runs()),
    ("CanonicalPair", "kCanonicalPairs", canonical_pairs()),
    ("CombiningRange", "kCombiningRanges", combining_classes()),
]
text = [table(*section).rsplit("const std::span", 1) for section in sections]
print("\n".join(rows for rows, _ in text))
print("}  // namespace\n")
print("".join("const std::span" + span for _, span in text))
print("}  // namespace likeness\n// clang-format on")
print(", ".join(f"{name} {len(rows)}" for _, name, rows in sections), file=sys.stderr)
