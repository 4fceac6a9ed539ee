// Car, boat, teapot and backpack.
#pragma once

#include "mini/subjects.h"

namespace likeness::mini {

DrawnSubject DrawCar(const Identity& identity);
DrawnSubject DrawBoat(const Identity& identity);
DrawnSubject DrawTeapot(const Identity& identity);
DrawnSubject DrawBackpack(const Identity& identity);

}  // namespace likeness::mini
