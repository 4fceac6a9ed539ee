#include <opencv2/core/utils/logger.hpp>

#include "common/logging.h"
#include "worker/images/decode.h"
#include "worker/images/decoded_file.h"

namespace likeness {

void DecoderLog::Add(const char* line) {
  if (++lines_ <= kMostLines) LogWarning("decoder", {{"library", library_}, {"line", line}});
}

void SilenceImageLibraries() {
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
}

}  // namespace likeness
