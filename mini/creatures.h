// Dog, cat, duck and robot: the classes with a face.
#pragma once

#include "mini/subjects.h"

namespace likeness::mini {

DrawnSubject DrawDog(const Identity& identity);
DrawnSubject DrawCat(const Identity& identity);
DrawnSubject DrawDuck(const Identity& identity);
DrawnSubject DrawRobot(const Identity& identity);

}  // namespace likeness::mini
