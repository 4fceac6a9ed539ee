#include "server/base/version.h"

namespace likeness::server {

const char* Version() { return LIKENESS_VERSION; }

}  // namespace likeness::server
