#include "pages.hpp"

#include <sstream>

namespace kronattn {

namespace {

constexpr std::size_t page_columns = 100, option_columns = 26;

const char* const what_it_does =
    "Computes attention of order k = 2, 3, 4, ... with a proven error bound on every row:";
const char* const formula =
    "O[i,c] = sum_J exp(s(i;J)) V1[j1,c] ... Vk-1[jk-1,c] / sum_J exp(s(i;J)),\n"
    "s(i;J) = scale * sum_l Q[i,l] K1[j1,l] ... Kk-1[jk-1,l],\n";
const char* const how_it_does =
    "in time proportional to the number of rows where scores are small, exactly elsewhere. Every command "
    "runs "
    "alone or under mpirun.";

struct ProgramOption {
  const char *usage, *description;
};
const ProgramOption program_options[] = {{"COMMAND --help", "the options of a command"},
                                         {"--version", "version, commit and build"},
                                         {"--help", "this overview"}};

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

/// "PROBLEM RESULT ", "[PROBLEM] ", "FILE... " or nothing.
std::string files_usage(const CommandText& about) {
  std::string usage;
  for (const std::string& file : about.files) {
    const char* const more = about.many_files && file == about.files.back() ? "..." : "";
    usage.append(about.files_needed ? "" : "[").append(upper(file)).append(more);
    usage.append(about.files_needed ? " " : "] ");
  }
  return usage;
}

/// "-o, --output FILE"
std::string usage_of(const OptionText& option) {
  std::string usage;
  if (!option.letter.empty()) usage.append("-").append(option.letter).append(", ");
  usage.append("--").append(option.name);
  if (!option.argument.empty()) usage.append(" ").append(option.argument);
  return usage;
}

std::string description_of(const OptionText& option) {
  std::string description = option.description;
  if (!option.preset.empty()) description.append(" (default: ").append(option.preset).append(")");
  return description;
}

/// The words, broken where a line would get longer than the page; all lines but the first are indented.
std::string wrapped(const std::string& words, std::size_t indent) {
  std::string text;
  std::size_t column = indent;
  std::istringstream in(words);
  for (std::string word; in >> word;) {
    if (column > indent && column + 1 + word.size() > page_columns) {
      text.append("\n").append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      text += " ";
      ++column;
    }
    text += word;
    column += word.size();
  }
  return text + "\n";
}

/// A name and, beside or below it, what it means.
std::string entry(const std::string& name, const std::string& meaning, std::size_t columns) {
  std::string text = "  " + name;
  if (text.size() + 2 <= columns)
    text.resize(columns, ' ');
  else
    text.append("\n").append(columns, ' ');
  return text + wrapped(meaning, columns);
}

std::string exit_code_entries(const std::map<int, std::string>& exit_codes) {
  std::string text;
  for (const auto& [code, meaning] : exit_codes) text += entry(std::to_string(code), meaning, 6);
  return text;
}

/// Over all commands: `done` keeps its plain meaning, the others add theirs.
std::map<int, std::string> all_exit_codes(const std::vector<CommandLine>& commands) {
  std::map<int, std::string> codes = CommandText().exit_codes;
  for (const CommandLine& command : commands)
    codes.insert(command.about().exit_codes.begin(), command.about().exit_codes.end());
  return codes;
}

}  // namespace

std::string overview_page(const std::vector<CommandLine>& commands) {
  std::ostringstream text;
  text << "kronattn COMMAND [arguments]\n\n" << wrapped(what_it_does, 0) << "\n";
  std::istringstream lines(formula);
  for (std::string line; std::getline(lines, line);) text << "    " << line << "\n";
  text << "\n" << wrapped(how_it_does, 0) << "\nCommands:\n";
  for (const CommandLine& command : commands)
    text << entry(command.about().name, command.about().summary, 14);
  text << "\n";
  for (const ProgramOption& option : program_options)
    text << entry(std::string("kronattn ").append(option.usage), option.description, 34);
  text << "\nExit codes:\n" << exit_code_entries(all_exit_codes(commands));
  return text.str();
}

std::string help_page(const CommandLine& line) {
  const CommandText& about = line.about();
  std::ostringstream text;
  text << "kronattn " << about.name << " " << files_usage(about) << "[options]\n\n"
       << wrapped(about.description, 0) << "\nOptions:\n";
  for (const OptionText& option : line.options())
    text << entry(usage_of(option), description_of(option), option_columns);
  text << "\nExamples:\n";
  for (const std::string& example : about.examples) text << "  " << example << "\n";
  text << "\nExit codes:\n" << exit_code_entries(about.exit_codes);
  return text.str();
}

}  // namespace kronattn
