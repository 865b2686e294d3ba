// What the subcommands share: options, their errors, and how a command is called.
#pragma once

#include <boost/program_options.hpp>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "certificate.hpp"
#include "clock.hpp"
#include "communicator.hpp"
#include "progress_display.hpp"
#include "report.hpp"

namespace kronattn {

/// Exit codes of the program.
enum ExitCode { done = 0, failed = 1, usage = 2, wrong_result = 3, stopped = 75 };

/// A command line that makes no sense: all ranks see the same one.
class UsageError : public AgreedFailure {
 public:
  explicit UsageError(const std::string& words) : AgreedFailure(words, usage) {}
};

/// A result that verify found wrong, on all ranks.
class WrongResult : public AgreedFailure {
 public:
  explicit WrongResult(const std::string& words) : AgreedFailure(words, wrong_result) {}
};

/// What a subcommand says of itself; help, manual and completion are made from this and its options.
struct CommandText {
  std::string name;
  std::string summary = {};             // what it does, in a few words
  std::string description = {};         // and in a few sentences
  std::vector<std::string> files = {};  // names of the positional arguments
  bool files_needed = true;
  bool many_files = false;                 // the last one may be given more than once
  std::vector<std::string> examples = {};  // each can be run as it stands
  std::map<int, std::string> exit_codes = {
      {done, "done"},
      {failed, "the run or a file failed; no new file stands under the name of an output"},
      {usage, "the command line makes no sense"}};

  /// "kronattn verify PROBLEM RESULT [options]"
  std::string synopsis() const;
};

/// An option as pages show it.
struct OptionText {
  std::string name;         // "output"
  std::string letter;       // "o", or empty
  std::string argument;     // "FILE", "double|single"; empty for a switch
  std::string preset;       // the default, or empty
  std::string description;  // meaning, unit, range

  /// The words that may be given: of the argument's alternatives those in small letters.
  std::vector<std::string> choices() const;
  /// The argument is a file's name.
  bool takes_file() const { return argument == "FILE"; }
  /// The description with the default.
  std::string meaning() const;
};

/// The options of one subcommand, and what was given.
class CommandLine {
 public:
  explicit CommandLine(CommandText text);

  /// Boost's way to declare options. value_name says what the argument is: N, FILE, or its choices, "a|b|c".
  boost::program_options::options_description_easy_init add() { return options_.add_options(); }

  const CommandText& about() const { return text_; }
  std::vector<OptionText> options() const;

  /// Throws UsageError. False if help was asked for: nothing else is to be done.
  bool parse(const std::vector<std::string>& arguments);

  bool given(const std::string& name) const { return values_.count(name) > 0 && !values_[name].defaulted(); }
  const std::string& file(const std::string& name) const { return files(name).front(); }
  const std::vector<std::string>& files(const std::string& name) const {
    return values_[name].as<std::vector<std::string>>();
  }

  // The value of an option. Whoever reads it uses it.
  const std::string& text(const std::string& name) const { return value<std::string>(name); }
  bool flag(const std::string& name) const { return value<bool>(name); }
  double number(const std::string& name) const { return value<double>(name); }
  /// An integer of at least `smallest`.
  Index integer(const std::string& name, Index smallest) const;
  /// Which of the choices that the option was declared with.
  std::size_t choice(const std::string& name) const;
  /// For options with the choices double|single.
  Precision precision(const std::string& name) const;

  /// An option was read, but this run has no use for it.
  void is_in_vain(const std::string& name, const std::string& why) const { in_vain_[name] = why; }
  /// A line for each option that was given, and either not read or in vain.
  std::vector<std::string> notes() const;

  [[noreturn]] void complain(const std::string& what) const { throw UsageError(text_.name + ": " + what); }

 private:
  template <class Value>
  const Value& value(const std::string& name) const {
    read_.insert(name);
    return values_[name].as<Value>();
  }

  CommandText text_;
  boost::program_options::options_description options_;
  boost::program_options::variables_map values_;
  mutable std::set<std::string> read_;
  mutable std::map<std::string, std::string> in_vain_;  // and why
};

/// What main hands to a subcommand.
struct Session {
  const Communicator& comm;
  Stopwatch since_init;
  LogLevel level;
  Progress& progress;

  /// Says what a user should know though nothing failed, on stderr, on rank 0.
  void note(const std::string& text) const;
  /// Prints what a run has to say on stdout, on rank 0.
  void print(const std::string& text) const;
};

/// A subcommand: its options, and what is done once they are read.
struct Command {
  CommandLine (*line)();
  ExitCode (*run)(const Session& session, const CommandLine& line);
};

CommandLine generate_line();
CommandLine plan_line();
CommandLine solve_line();
CommandLine verify_line();
CommandLine info_line();
ExitCode run_generate(const Session& session, const CommandLine& line);
ExitCode run_plan(const Session& session, const CommandLine& line);
ExitCode run_solve(const Session& session, const CommandLine& line);
ExitCode run_verify(const Session& session, const CommandLine& line);
ExitCode run_info(const Session& session, const CommandLine& line);

}  // namespace kronattn
