// Options that more than one subcommand has, each described and checked in one place.
#pragma once

#include "command.hpp"
#include "generate.hpp"
#include "plan.hpp"
#include "rank_memory.hpp"

namespace kronattn {

/// --order, --rows, --width, ...: the sizes and laws of a synthetic problem.
void add_instance_options(CommandLine& line);
Instance read_instance(const CommandLine& line);

/// --epsilon, --method, --degree, --scale, --precision, --output-precision: what is asked of a solve.
void add_wish_options(CommandLine& line);
Wishes read_wishes(const CommandLine& line);
/// Marks the wishes that a problem of this shape has no use for.
void mark_idle_wishes(const CommandLine& line, const ProblemShape& shape);
std::optional<double> read_scale(const CommandLine& line);
/// `stored`: the precision of the problem, which the output has unless an option says otherwise.
Precision read_output_precision(const CommandLine& line, Precision stored);

/// --threads and --report.
void add_run_options(CommandLine& line);
/// Sets the threads of this rank and says how many they are: --threads, else OMP_NUM_THREADS, else this
/// rank's share of the cores it may run on. Collective.
int read_threads(const CommandLine& line, const Communicator& comm);

/// --memory-per-rank.
void add_memory_option(CommandLine& line);
/// What a rank may take: --memory-per-rank, else its share of what its host has. Collective.
RankMemory read_memory(const CommandLine& line, const Communicator& comm);

/// --quiet and --log-level, which all subcommands have.
void add_log_options(CommandLine& line);
LogLevel read_log_level(const CommandLine& line);

}  // namespace kronattn
