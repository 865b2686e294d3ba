#include "pages.hpp"

#include <sstream>

namespace kronattn {

namespace {

constexpr std::size_t page_columns = 100, option_columns = 26;

/// "-o, --output FILE"
std::string usage_of(const OptionText& option) {
  std::string usage;
  if (!option.letter.empty()) usage.append("-").append(option.letter).append(", ");
  usage.append("--").append(option.name);
  if (!option.argument.empty()) usage.append(" ").append(option.argument);
  return usage;
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

}  // namespace

const ProgramText& program_text() {
  static const ProgramText text = {
      "attention of any order with a proven error on every row, over MPI",
      "Computes attention of order k = 2, 3, 4, ... with a proven error bound on every row:",
      "O[i,c] = sum_J exp(s(i;J)) V1[j1,c] ... Vk-1[jk-1,c] / sum_J exp(s(i;J)),\n"
      "s(i;J) = scale * sum_l Q[i,l] K1[j1,l] ... Kk-1[jk-1,l],\n",
      "in time proportional to the number of rows where scores are small, exactly elsewhere. Every command "
      "runs alone or under mpirun.",
      {{"COMMAND --help", "the options of a command"},
       {"--version", "version, commit and build"},
       {"--help", "an overview"},
       {"--man", "the manual page, for man -l"},
       {"--completion bash", "completion of commands and options, for bash to source"}}};
  return text;
}

std::map<int, std::string> all_exit_codes(const std::vector<CommandLine>& commands) {
  std::map<int, std::string> codes = CommandText().exit_codes;
  for (const CommandLine& command : commands)
    codes.insert(command.about().exit_codes.begin(), command.about().exit_codes.end());
  return codes;
}

std::string overview_page(const std::vector<CommandLine>& commands) {
  const ProgramText& program = program_text();
  std::ostringstream text;
  text << "kronattn COMMAND [arguments]\n\n" << wrapped(program.what, 0) << "\n";
  std::istringstream lines(program.formula);
  for (std::string line; std::getline(lines, line);) text << "    " << line << "\n";
  text << "\n" << wrapped(program.how, 0) << "\nCommands:\n";
  for (const CommandLine& command : commands)
    text << entry(command.about().name, command.about().summary, 14);
  text << "\n";
  for (const auto& [usage, meaning] : program.options) text << entry("kronattn " + usage, meaning, 32);
  text << "\nExit codes:\n" << exit_code_entries(all_exit_codes(commands));
  return text.str();
}

std::string help_page(const CommandLine& line) {
  const CommandText& about = line.about();
  std::ostringstream text;
  text << about.synopsis() << "\n\n" << wrapped(about.description, 0) << "\nOptions:\n";
  for (const OptionText& option : line.options())
    text << entry(usage_of(option), option.meaning(), option_columns);
  text << "\nExamples:\n";
  for (const std::string& example : about.examples) text << "  " << example << "\n";
  text << "\nExit codes:\n" << exit_code_entries(about.exit_codes);
  return text.str();
}

}  // namespace kronattn
