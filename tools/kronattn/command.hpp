// What the subcommands share: options, their errors, and how a command is called.
#pragma once

#include <boost/program_options.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "certificate.hpp"
#include "clock.hpp"
#include "communicator.hpp"
#include "report.hpp"

namespace kronattn {

/// Exit codes of the program.
enum ExitCode { done = 0, failed = 1, usage = 2, wrong_result = 3 };

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

/// The options of one subcommand, and what was given.
class CommandLine {
 public:
  /// `files`: names of the positional arguments; all of them are needed, unless `files_needed` is false.
  CommandLine(std::string command, std::string description, std::vector<std::string> files,
              std::string example, bool files_needed = true);

  boost::program_options::options_description_easy_init add() { return options_.add_options(); }

  /// The last positional argument may be given more than once.
  void take_many_files() { many_files_ = true; }

  /// Throws UsageError. False if help was asked for, and printed if `print_help`: nothing else is to be done.
  bool parse(const std::vector<std::string>& arguments, bool print_help);

  bool given(const std::string& name) const { return values_.count(name) > 0 && !values_[name].defaulted(); }
  const std::string& file(const std::string& name) const { return files(name).front(); }
  const std::vector<std::string>& files(const std::string& name) const {
    return values_[name].as<std::vector<std::string>>();
  }
  const std::string& text(const std::string& name) const { return values_[name].as<std::string>(); }
  bool flag(const std::string& name) const { return values_[name].as<bool>(); }
  double number(const std::string& name) const { return values_[name].as<double>(); }

  std::uint64_t seed() const { return values_["seed"].as<std::uint64_t>(); }

  /// An integer of at least `smallest`.
  Index integer(const std::string& name, Index smallest) const;
  /// One of the choices.
  std::size_t choice(const std::string& name, const std::vector<std::string>& choices) const;
  Precision precision(const std::string& name) const;

  [[noreturn]] void complain(const std::string& what) const { throw UsageError(command_ + ": " + what); }

 private:
  std::string help() const;

  std::string command_, description_, example_;
  std::vector<std::string> files_;
  bool files_needed_, many_files_ = false;
  boost::program_options::options_description options_;
  boost::program_options::variables_map values_;
};

/// What main hands to a subcommand.
struct Session {
  const Communicator& comm;
  Stopwatch since_init;
};

ExitCode run_generate(const Session& session, const std::vector<std::string>& arguments);
ExitCode run_solve(const Session& session, const std::vector<std::string>& arguments);
ExitCode run_plan(const Session& session, const std::vector<std::string>& arguments);
ExitCode run_info(const Session& session, const std::vector<std::string>& arguments);
ExitCode run_verify(const Session& session, const std::vector<std::string>& arguments);

}  // namespace kronattn
