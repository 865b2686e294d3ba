// Numbers in messages.
#pragma once

#include <cstdio>
#include <string>

namespace kronattn {

/// Three significant digits: enough to understand an error.
inline std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace kronattn
