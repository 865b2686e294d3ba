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

/// A command line that makes no sense: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A result that verify found wrong, on all ranks: exit code 3.
class WrongResult : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The options of one subcommand, and what was given.
class CommandLine {
 public:
  /// `files`: names of the positional arguments, all of them needed.
  CommandLine(std::string command, std::string description, std::vector<std::string> files,
              std::string example);

  boost::program_options::options_description_easy_init add() { return options_.add_options(); }

  /// Throws UsageError. False if help was asked for and nothing else is to be done.
  bool parse(const std::vector<std::string>& arguments);

  std::string help() const;

  bool given(const std::string& name) const { return values_.count(name) > 0 && !values_[name].defaulted(); }
  const std::string& file(const std::string& name) const { return text(name); }
  const std::string& text(const std::string& name) const { return values_[name].as<std::string>(); }
  bool flag(const std::string& name) const { return values_[name].as<bool>(); }
  double number(const std::string& name) const { return values_[name].as<double>(); }

  std::uint64_t seed() const { return values_["seed"].as<std::uint64_t>(); }

  /// An integer of at least `smallest`.
  Index integer(const std::string& name, Index smallest) const;
  /// One of the choices.
  std::size_t choice(const std::string& name, const std::vector<std::string>& choices) const;

  [[noreturn]] void complain(const std::string& what) const { throw UsageError(command_ + ": " + what); }

 private:
  std::string command_, description_, example_;
  std::vector<std::string> files_;
  boost::program_options::options_description options_;
  boost::program_options::variables_map values_;
};

Precision precision_of(std::size_t choice);  // of {"double", "single"}

/// Threads of this rank: --threads, else OMP_NUM_THREADS, else this rank's share of the cores it may run on.
int set_threads(const Communicator& comm, std::optional<Index> wanted);

/// Writes a report file, rank 0 only; throws AgreedFailure on all ranks. Collective.
void write_report(const Communicator& comm, const std::string& path, const Json& report);

/// What main hands to a subcommand.
struct Session {
  const Communicator& comm;
  Stopwatch since_init;
};

ExitCode run_generate(const Session& session, const std::vector<std::string>& arguments);
ExitCode run_solve(const Session& session, const std::vector<std::string>& arguments);
ExitCode run_verify(const Session& session, const std::vector<std::string>& arguments);

}  // namespace kronattn
