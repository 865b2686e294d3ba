#include "shared_options.hpp"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "gap_maxip.hpp"
#include "match.hpp"
#include "text.hpp"

namespace kronattn {

namespace po = boost::program_options;

namespace {

constexpr Index most_threads = 1024, highest_order = 64;

/// "N1,N2,...": one length per mode.
std::vector<Index> key_rows(const CommandLine& line, Index modes) {
  std::vector<Index> rows;
  std::istringstream list(line.text("key-rows"));
  for (std::string item; std::getline(list, item, ',');) {
    std::size_t used = 0;
    Index length = 0;
    try {
      length = std::stoll(item, &used);
    } catch (const std::exception&) {
    }
    if (used != item.size() || length < 1)
      line.complain("--key-rows is " + line.text("key-rows") +
                    "; need whole numbers above 0, as in 1000,2000");
    rows.push_back(length);
  }
  if (static_cast<Index>(rows.size()) != modes)
    line.complain("--key-rows names " + std::to_string(rows.size()) + " lengths; order " +
                  std::to_string(modes + 1) + " needs " + std::to_string(modes));
  return rows;
}

}  // namespace

void add_instance_options(CommandLine& line) {
  line.add()(
      "instance",
      po::value<std::string>()->default_value("random")->value_name(
          "random|gap-maxip|gap-maxip-original|match2|match3|matchk"),
      "what the rows are. random: entries of a --distribution. The others have an answer for every query, "
      "which the file keeps as the dataset truth: the output is near 1 or near 0. gap-maxip: is there a "
      "tuple of 0/1 vectors with a large product (the papers' lower bound, decided by any small error); "
      "gap-maxip-original: the same, outputs as tiny as the papers'; match2, match3, matchk: do x_i and "
      "1, 2, K - 1 tokens sum to 0 mod --modulus")  //
      ("order", po::value<Index>()->default_value(2)->value_name("K"),
       "order of attention, 2 to 64: one query mode and K - 1 key/value modes; match2 and match3 say it")  //
      ("rows", po::value<Index>()->value_name("N"),
       "rows of Q, and of each mode unless --key-rows is given, at least 1; with --key-rows at least 0; "
       "needed for a synthetic problem; of gap-maxip, the vectors of each family, at least 2; of match, the "
       "tokens, at least 1")  //
      ("width", po::value<Index>()->value_name("D"),
       "width of queries and keys, at least 1; needed for a random problem; of gap-maxip, the length of the "
       "0/1 "
       "vectors, at least 4, and datasets are twice as wide")  //
      ("modulus", po::value<Index>()->value_name("M"),
       "of match: tokens are numbers mod M, 2 to 100000; needed there")  //
      ("relation", po::value<Index>()->value_name("L"),
       "of match: the truth is whether L tokens sum to 0, 2 to 64, whatever the order of attention (default: "
       "the order)")  //
      ("key-rows", po::value<std::string>()->value_name("N1,N2,..."),
       "rows of each of the K - 1 modes, at least 1 each (default: those of Q)")  //
      ("value-width", po::value<Index>()->value_name("DV"),
       "columns of the values, at least 1 (default: the width)")  //
      ("heads", po::value<Index>()->value_name("H"),
       "independent heads, at least 1; datasets are then (heads, rows, width) (default: one head, datasets "
       "are "
       "(rows, width))")  //
      ("bound", po::value<double>()->default_value(1, "1")->value_name("B"),
       "entries of Q and K lie in [-B, B], B above 0")  //
      ("distribution",
       po::value<std::string>()->default_value("uniform")->value_name("uniform|gaussian|sphere|positive"),
       "of the entries of Q and K. uniform: in [-B, B]; gaussian: deviation B/3, cut at B; sphere: rows of "
       "norm "
       "B; positive: uniform in [0, B]")  //
      ("values", po::value<std::string>()->default_value("signal")->value_name("signal|uniform"),
       "signal: V[j,c] = K[j, c mod d] / B, so that the output says something; uniform: in [-1, 1]")  //
      ("seed", po::value<Index>()->default_value(1)->value_name("S"),
       "a whole number of at least 0; another seed, another problem");
}

namespace {

/// What a planted instance says itself, or has nothing to do with, must not be given.
void refuse(const CommandLine& line, const std::vector<const char*>& names) {
  for (const char* name : names)
    if (line.given(name))
      line.complain("--" + std::string(name) + " does not go with --instance " + line.text("instance"));
}

Index needed(const CommandLine& line, const char* name, Index smallest) {
  if (!line.given(name))
    line.complain("need --" + std::string(name) + " for --instance " + line.text("instance"));
  return line.integer(name, smallest);
}

Index at_most(const CommandLine& line, const char* name, Index value, Index largest) {
  if (value > largest)
    line.complain("--" + std::string(name) + " is " + std::to_string(value) + "; need at most " +
                  std::to_string(largest));
  return value;
}

enum InstanceChoice { random_rows, gap_maxip, gap_maxip_original, match2, match3, matchk };

std::shared_ptr<const PlantedInstance> planted_instance(const CommandLine& line, InstanceChoice choice) {
  refuse(line, {"key-rows", "value-width", "heads", "bound", "distribution", "values"});
  const auto seed = static_cast<std::uint64_t>(line.integer("seed", 0));
  Index order = at_most(line, "order", line.integer("order", 2), highest_order);
  if (choice == gap_maxip || choice == gap_maxip_original) {
    refuse(line, {"modulus", "relation"});
    return std::make_shared<GapMaxip>(
        PlantedFamilies(order, needed(line, "rows", 2), needed(line, "width", 4), seed),
        choice == gap_maxip ? GapMaxip::Reduction::strengthened : GapMaxip::Reduction::original);
  }
  refuse(line, {"width"});
  if (choice != matchk) {
    const Index said = choice == match2 ? 2 : 3;
    if (line.given("order") && order != said)
      line.complain("--order is " + std::to_string(order) + ", --instance " + line.text("instance") +
                    " has order " + std::to_string(said) + "; need --instance matchk for another");
    order = said;
  }
  const Index relation =
      line.given("relation") ? at_most(line, "relation", line.integer("relation", 2), highest_order) : order;
  const Index modulus = at_most(line, "modulus", needed(line, "modulus", 2), MatchTokens::largest_modulus);
  return std::make_shared<MatchInstance>(order,
                                         MatchTokens(relation, needed(line, "rows", 1), modulus, seed));
}

}  // namespace

Instance read_instance(const CommandLine& line) {
  const auto choice = static_cast<InstanceChoice>(line.choice("instance"));
  if (choice != random_rows) {
    Instance instance;
    instance.planted = planted_instance(line, choice);
    instance.shape = instance.planted->shape();
    instance.bound = instance.planted->bound();
    instance.seed = static_cast<std::uint64_t>(line.integer("seed", 0));
    return instance;
  }
  refuse(line, {"modulus", "relation"});
  for (const char* name : {"rows", "width"})
    if (!line.given(name)) line.complain(std::string("need --").append(name));
  Instance instance;
  ProblemShape& shape = instance.shape;
  const Index order = line.integer("order", 2);
  if (order > highest_order)
    line.complain("--order is " + std::to_string(order) + "; need at most " + std::to_string(highest_order));
  shape.queries = line.integer("rows", 0);
  shape.width = line.integer("width", 1);
  shape.value_width = line.given("value-width") ? line.integer("value-width", 1) : shape.width;
  shape.scale = 1.0 / static_cast<double>(shape.width);
  shape.keys.assign(static_cast<std::size_t>(order - 1), shape.queries);
  if (line.given("key-rows"))
    shape.keys = key_rows(line, order - 1);
  else if (shape.queries == 0)
    line.complain("--rows is 0; need at least 1, or --key-rows");
  instance.has_heads = line.given("heads");
  shape.heads = instance.has_heads ? line.integer("heads", 1) : 1;
  instance.bound = line.number("bound");
  if (!(instance.bound > 0 && std::isfinite(instance.bound)))
    line.complain("--bound is " + short_number(instance.bound) + "; need a finite number above 0");
  instance.distribution = static_cast<Distribution>(line.choice("distribution"));
  instance.signal_values = line.choice("values") == 0;
  instance.seed = static_cast<std::uint64_t>(line.integer("seed", 0));
  return instance;
}

void add_wish_options(CommandLine& line) {
  line.add()("epsilon", po::value<double>()->default_value(1e-6, "1e-6")->value_name("E"),
             "the promise: |O - exact| <= E * max|V1| * ... * max|Vk-1| for every entry, 0 < E < 1")  //
      ("method", po::value<std::string>()->default_value("auto")->value_name("auto|polynomial|exact"),
       "auto: the cheapest way that keeps the promise; polynomial: near-linear time, or fail; exact: all key "
       "tuples")  //
      ("degree", po::value<Index>()->value_name("G"),
       "use exactly this total degree, at least 0; without --epsilon no promise is asked and the bound is "
       "reported; not with --method exact (default: what the promise needs)")  //
      ("scale", po::value<double>()->value_name("X"),
       "what scores are multiplied with, any finite number (default: the file's attribute scale, else "
       "1/width)")  //
      ("precision", po::value<std::string>()->default_value("auto")->value_name("auto|double|single"),
       "of the arithmetic; single: float32 for scores and exponentials of rows that are summed exactly, for "
       "sums "
       "over a few keys too where that keeps the promise, and for the monomials whose roundings the promise "
       "bears, with --degree for all; auto: single where it keeps the promise, but for --method exact and "
       "--degree; else double")  //
      ("coordinates", po::value<std::string>()->default_value("auto")->value_name("auto|off"),
       "auto: the polynomial method may change coordinates where that is free (order 2: keys centred, "
       "coordinates "
       "turned and balanced, negligible ones left out); off: as they stand in the file, for study")  //
      ("second-moments", po::bool_switch(),
       "the polynomial method sums squares of values, too: sharper error bounds, by how the values spread, "
       "for up to twice the work; a promise takes no lower degree, since log_normalizer needs it as well")  //
      ("output-precision", po::value<std::string>()->value_name("double|single"),
       "of O: float64 or float32 (default: the type of Q)");
}

Wishes read_wishes(const CommandLine& line) {
  Wishes wishes;
  wishes.method = static_cast<Method>(line.choice("method"));
  if (const auto precision = line.choice("precision"); precision > 0)
    wishes.arithmetic = precision == 1 ? Precision::double_precision : Precision::single_precision;
  wishes.change_coordinates = line.choice("coordinates") == 0;
  wishes.second_moments = line.flag("second-moments");
  if (wishes.second_moments && wishes.method == Method::exact)
    line.complain("--second-moments goes with --method polynomial or auto, not exact");
  if (line.given("degree")) {
    wishes.degree = line.integer("degree", 0);
    if (wishes.method == Method::exact)
      line.complain("--degree goes with --method polynomial or auto, not exact");
  }
  if (line.given("epsilon") || !wishes.degree) {
    wishes.epsilon = line.number("epsilon");
    if (!(*wishes.epsilon > 0 && *wishes.epsilon < 1))
      line.complain("--epsilon is " + short_number(*wishes.epsilon) + "; need a number above 0 and below 1");
  }
  return wishes;
}

void mark_idle_wishes(const CommandLine& line, const ProblemShape& shape) {
  if (shape.queries > 0) return;
  for (const char* name : {"method", "degree", "precision", "second-moments"})
    line.is_in_vain(name, "there are no queries");
}

std::optional<double> read_scale(const CommandLine& line) {
  if (!line.given("scale")) return std::nullopt;
  const double scale = line.number("scale");
  if (!std::isfinite(scale)) line.complain("--scale is " + short_number(scale) + "; need a finite number");
  return scale;
}

Precision read_output_precision(const CommandLine& line, Precision stored) {
  return line.given("output-precision") ? line.precision("output-precision") : stored;
}

void add_run_options(CommandLine& line) {
  line.add()(
      "threads", po::value<Index>()->value_name("T"),
      "threads per rank, 1 to 1024; no result depends on it (default: OMP_NUM_THREADS, else this rank's "
      "share of the cores)")  //
      ("report", po::value<std::string>()->value_name("FILE"),
       "write the JSON report to this file; replaces what is there");
}

int read_threads(const CommandLine& line, const Communicator& comm) {
  int threads = omp_get_max_threads();
  if (line.given("threads")) {
    const Index wanted = line.integer("threads", 1);
    if (wanted > most_threads)
      line.complain("--threads is " + std::to_string(wanted) + "; need at most " +
                    std::to_string(most_threads));
    threads = static_cast<int>(wanted);
  } else if (std::getenv("OMP_NUM_THREADS") == nullptr) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    const int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    const bool bound = cores < sysconf(_SC_NPROCESSORS_ONLN);
    threads = std::max(1, bound ? cores : cores / comm.ranks_on_host());
  }
  threads = static_cast<int>(comm.min(threads));
  omp_set_num_threads(threads);
  return threads;
}

void add_memory_option(CommandLine& line) {
  line.add()(
      "memory-per-rank", po::value<std::string>()->value_name("SIZE"),
      "memory that each rank may take, all in all, as 500M or 1.5G (K, M, G, T: powers of 1024; KB, MB, "
      "...: of 1000); blocks of rows are cut to fit, no result depends on it; what can't fit ends the "
      "run before the work (default: the share of a rank in nine tenths of what its host or control "
      "group has)");
}

RankMemory read_memory(const CommandLine& line, const Communicator& comm) {
  const std::string option = "memory-per-rank";
  if (!line.given(option)) return RankMemory::of_machine(comm);
  try {
    return {parse_bytes(line.text(option)), "--" + option};
  } catch (const std::invalid_argument&) {
    line.complain("--" + option + " is " + line.text(option) + "; need a size above 0, as 500M or 1.5G");
  }
}

void add_log_options(CommandLine& line) {
  line.add()(
      "log-level", po::value<std::string>()->default_value("info")->value_name("quiet|warning|info|debug"),
      "quiet: nothing is printed unless the run fails; warning: notes on what was given in vain; info: "
      "also a summary, and progress on stderr, live on a terminal, else every 30 seconds; debug: also the "
      "seconds of each step")  //
      ("quiet", po::bool_switch(), "the same as --log-level quiet, which it beats");
}

LogLevel read_log_level(const CommandLine& line) {
  const auto level = static_cast<LogLevel>(line.choice("log-level"));
  return line.flag("quiet") ? LogLevel::quiet : level;
}

}  // namespace kronattn
