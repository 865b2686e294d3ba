// Numbers in messages.
#pragma once

#include <sstream>
#include <string>

namespace kronattn {

/// Three significant digits: enough to understand an error.
inline std::string short_number(double value) {
  std::ostringstream text;
  text.precision(3);
  text << value;
  return text.str();
}

}  // namespace kronattn
