// Pages about the program, made from what each subcommand says of itself and its options.
#pragma once

#include <string>
#include <vector>

#include "command.hpp"

namespace kronattn {

/// What the program says of itself.
struct ProgramText {
  const char *name_line, *what, *formula, *how;
  std::vector<std::pair<std::string, std::string>> options;  // what stands after "kronattn", and its meaning
};
const ProgramText& program_text();

/// Of all commands together.
std::map<int, std::string> all_exit_codes(const std::vector<CommandLine>& commands);

/// kronattn --help: what the program is about, and its subcommands.
std::string overview_page(const std::vector<CommandLine>& commands);

/// kronattn COMMAND --help.
std::string help_page(const CommandLine& line);

/// kronattn --man: a manual page of section 1, in roff. `version`: "0.1.0".
std::string manual_page(const std::vector<CommandLine>& commands, const std::string& version);

/// kronattn --completion bash: what bash sources to complete commands, options and their choices.
std::string bash_completion(const std::vector<CommandLine>& commands);

}  // namespace kronattn
