// Pages about the program, made from what each subcommand says of itself and its options.
#pragma once

#include <string>
#include <vector>

#include "command.hpp"

namespace kronattn {

/// kronattn --help: what the program is about, and its subcommands.
std::string overview_page(const std::vector<CommandLine>& commands);

/// kronattn COMMAND --help.
std::string help_page(const CommandLine& line);

}  // namespace kronattn
