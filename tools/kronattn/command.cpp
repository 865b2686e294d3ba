#include "command.hpp"

#include <algorithm>
#include <cctype>
#include <iostream>
#include <sstream>

namespace kronattn {

namespace po = boost::program_options;

namespace {

OptionText text_of(const po::option_description& option) {
  OptionText text;
  text.name = option.long_name();
  const std::string letter = option.canonical_display_name(po::command_line_style::allow_dash_for_short);
  if (letter.size() == 2 && letter[0] == '-') text.letter = letter.substr(1);
  text.argument = option.format_parameter();  // "E" or "E (=1e-6)"
  const std::string mark = " (=";
  const std::size_t preset = text.argument.find(mark);
  if (preset != std::string::npos) {
    text.preset = text.argument.substr(preset + mark.size());
    text.preset.pop_back();
    text.argument.resize(preset);
  }
  text.description = option.description();
  return text;
}

}  // namespace

std::vector<std::string> OptionText::choices() const {
  std::vector<std::string> words;
  std::istringstream alternatives(argument);
  for (std::string word; std::getline(alternatives, word, '|');)
    if (std::none_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; }))
      words.push_back(word);
  return words;
}

std::string OptionText::meaning() const {
  std::string text = description;
  if (!preset.empty()) text.append(" (default: ").append(preset).append(")");
  return text;
}

std::string CommandText::synopsis() const {
  std::string text = "kronattn " + name;
  for (const std::string& file : files) {
    text.append(files_needed ? " " : " [");
    for (char c : file) text += static_cast<char>(std::toupper(c));
    text.append(many_files && file == files.back() ? "..." : "").append(files_needed ? "" : "]");
  }
  return text + " [options]";
}

CommandLine::CommandLine(CommandText text) : text_(std::move(text)) {
  add()("help", po::bool_switch(), "print this page and leave");
}

std::vector<OptionText> CommandLine::options() const {
  std::vector<OptionText> texts;
  for (const auto& option : options_.options()) texts.push_back(text_of(*option));
  std::rotate(texts.begin(), texts.begin() + 1, texts.end());  // --help, the first declared, is shown last
  return texts;
}

bool CommandLine::parse(const std::vector<std::string>& arguments) {
  const std::string& name = text_.name;
  po::options_description all;
  po::positional_options_description positions;
  for (const std::string& file : text_.files) {
    all.add_options()(file.c_str(), po::value<std::vector<std::string>>());
    positions.add(file.c_str(), text_.many_files && file == text_.files.back() ? -1 : 1);
  }
  all.add(options_);
  try {
    const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(arguments).options(all).positional(positions).style(style).run(),
              values_);
    po::notify(values_);
  } catch (const po::error& error) {
    complain(std::string(error.what()) + "; see kronattn " + name + " --help");
  }
  if (flag("help")) return false;
  for (const std::string& file : text_.files)
    if (text_.files_needed && values_.count(file) == 0)
      complain("need a file: " + file + "; see kronattn " + name + " --help");
  return true;
}

Index CommandLine::integer(const std::string& name, Index smallest) const {
  const Index number = value<Index>(name);
  if (number < smallest)
    complain("--" + name + " is " + std::to_string(number) + "; need at least " + std::to_string(smallest));
  return number;
}

std::size_t CommandLine::choice(const std::string& name) const {
  const std::vector<std::string> choices = text_of(options_.find(name, false)).choices();
  const auto found = std::find(choices.begin(), choices.end(), text(name));
  if (found == choices.end()) {
    std::string list;
    for (const std::string& one : choices)
      list += (list.empty() ? "" : one == choices.back() ? " or " : ", ") + one;
    complain("--" + name + " is " + text(name) + "; need " + list);
  }
  return static_cast<std::size_t>(found - choices.begin());
}

Precision CommandLine::precision(const std::string& name) const {
  return choice(name) == 0 ? Precision::double_precision : Precision::single_precision;
}

std::vector<std::string> CommandLine::notes() const {
  std::vector<std::string> notes;
  for (const OptionText& option : options()) {
    const auto vain = in_vain_.find(option.name);
    if (!given(option.name) || (read_.count(option.name) > 0 && vain == in_vain_.end())) continue;
    notes.push_back("--" + option.name + " was given but not used in this run");
    if (vain != in_vain_.end()) notes.back().append(" (").append(vain->second).append(")");
  }
  return notes;
}

void Session::note(const std::string& text) const {
  progress.end();
  if (comm.root() && level >= LogLevel::warning) std::cerr << "note: " + text + "\n";
}

void Session::print(const std::string& text) const {
  progress.end();  // the live line makes room
  if (comm.root() && level >= LogLevel::info) std::cout << text << std::flush;
}

}  // namespace kronattn
