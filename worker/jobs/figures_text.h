// A picture's figures as people read them.
#pragma once

#include <string>
#include <vector>

#include "worker/evaluation/judge.h"

namespace likeness {

// "DINO 0.71", "CLIP-T 0.30": what was measured of this picture alone; nothing of what is
// not finite.
std::vector<std::string> FigureTexts(const PictureFigures& figures);

}  // namespace likeness
