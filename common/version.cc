#include "common/version.h"

namespace likeness {

const char* Version() { return LIKENESS_VERSION; }

}  // namespace likeness
