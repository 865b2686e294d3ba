#include <sstream>

#include "pages.hpp"

namespace kronattn {

namespace {

/// Plain words as roff: nothing in them is a request or an escape, and every character stays what it is.
std::string roff(const std::string& words) {
  static const std::map<char, const char*> spelled = {{'\\', "\\e"},  {'-', "\\-"},   {'\'', "\\(aq"},
                                                      {'`', "\\(ga"}, {'^', "\\(ha"}, {'~', "\\(ti"}};
  std::string text = words.empty() || words[0] == '.' ? "\\&" : "";
  for (char c : words) {
    const auto special = spelled.find(c);
    if (special == spelled.end())
      text += c;
    else
      text += special->second;
  }
  return text;
}

std::string in_font(char font, const std::string& words) {
  return std::string("\\f").append(1, font).append(roff(words)).append("\\fR");
}

std::string bold(const std::string& words) {
  return in_font('B', words);
}

/// Lines that stay as they are.
std::string as_it_stands(const std::vector<std::string>& lines) {
  std::string text = ".PP\n.RS 4\n.nf\n";
  for (const std::string& line : lines) text += roff(line) + "\n";
  return text + ".fi\n.RE\n";
}

std::string entry(const std::string& name, const std::string& meaning) {
  return ".TP\n" + name + "\n" + roff(meaning) + "\n";
}

std::string exit_code_entries(const std::map<int, std::string>& exit_codes) {
  std::string text;
  for (const auto& [code, meaning] : exit_codes) text += entry(bold(std::to_string(code)), meaning);
  return text;
}

std::string option_entry(const OptionText& option) {
  std::string name;
  if (!option.letter.empty()) name = bold("-" + option.letter) + ", ";
  name += bold("--" + option.name);
  if (!option.argument.empty()) name.append(" ").append(in_font('I', option.argument));
  return entry(name, option.meaning());
}

std::string command_section(const CommandLine& line) {
  const CommandText& about = line.about();
  std::string text = ".SS " + roff(about.synopsis()) + "\n" + roff(about.description) + "\n";
  for (const OptionText& option : line.options()) text += option_entry(option);
  text += ".PP\nExit codes:\n" + exit_code_entries(about.exit_codes);
  return text + ".PP\nExamples:\n" + as_it_stands(about.examples);
}

}  // namespace

std::string manual_page(const std::vector<CommandLine>& commands, const std::string& version) {
  const ProgramText& program = program_text();
  std::ostringstream page;
  page << ".TH KRONATTN 1 \"\" \"kronattn " << version << "\" \"User Commands\"\n"
       << ".nh\n.ad l\n"
       << ".SH NAME\nkronattn \\- " << roff(program.name_line) << "\n.SH SYNOPSIS\n";
  for (const CommandLine& command : commands) page << roff(command.about().synopsis()) << "\n.br\n";
  for (const auto& [usage, meaning] : program.options) page << roff("kronattn " + usage) << "\n.br\n";
  std::vector<std::string> formula;
  std::istringstream lines(program.formula);
  for (std::string line; std::getline(lines, line);) formula.push_back(line);
  page << ".SH DESCRIPTION\n"
       << roff(program.what) << "\n"
       << as_it_stands(formula) << ".PP\n"
       << roff(program.how) << "\n.SH COMMANDS\n";
  for (const CommandLine& command : commands) page << command_section(command);
  page << ".SH OPTIONS\n";
  for (const auto& [usage, meaning] : program.options) page << entry(bold("kronattn " + usage), meaning);
  page << ".SH EXIT STATUS\n" << exit_code_entries(all_exit_codes(commands));
  return page.str();
}

}  // namespace kronattn
