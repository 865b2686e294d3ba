#include "command.hpp"

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <sstream>

namespace kronattn {

namespace po = boost::program_options;

CommandLine::CommandLine(std::string command, std::string description, std::vector<std::string> files,
                         std::string example, bool files_needed)
    : command_(std::move(command)),
      description_(std::move(description)),
      example_(std::move(example)),
      files_(std::move(files)),
      files_needed_(files_needed),
      options_("Options", 100, 60) {}

bool CommandLine::parse(const std::vector<std::string>& arguments, bool print_help) {
  add()("help", po::bool_switch(), "print this page and leave");
  po::options_description all;
  po::positional_options_description positions;
  for (const std::string& file : files_) {
    all.add_options()(file.c_str(), po::value<std::vector<std::string>>());
    positions.add(file.c_str(), many_files_ && file == files_.back() ? -1 : 1);
  }
  all.add(options_);
  try {
    const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(arguments).options(all).positional(positions).style(style).run(),
              values_);
    po::notify(values_);
  } catch (const po::error& error) {
    complain(std::string(error.what()) + "; see kronattn " + command_ + " --help");
  }
  if (flag("help")) {
    if (print_help) std::cout << help();
    return false;
  }
  for (const std::string& file : files_)
    if (files_needed_ && values_.count(file) == 0)
      complain("need a file: " + file + "; see kronattn " + command_ + " --help");
  return true;
}

std::string CommandLine::help() const {
  std::ostringstream text;
  text << "kronattn " << command_;
  for (const std::string& file : files_)
    text << (files_needed_ ? " " : " [") << file << (files_needed_ ? "" : "]");
  text << " [options]\n\n" << description_ << "\n\n" << options_ << "\nExample:\n" << example_ << "\n";
  return text.str();
}

Index CommandLine::integer(const std::string& name, Index smallest) const {
  const auto value = values_[name].as<Index>();
  if (value < smallest)
    complain("--" + name + " is " + std::to_string(value) + "; need at least " + std::to_string(smallest));
  return value;
}

std::size_t CommandLine::choice(const std::string& name, const std::vector<std::string>& choices) const {
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
  return choice(name, {"double", "single"}) == 0 ? Precision::double_precision : Precision::single_precision;
}

}  // namespace kronattn
