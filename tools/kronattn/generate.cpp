// kronattn generate: synthetic problems.

#include "generate.hpp"

#include <cmath>
#include <iostream>
#include <sstream>

#include "command.hpp"
#include "output_file.hpp"

namespace kronattn {

namespace po = boost::program_options;

namespace {

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

ExitCode run_generate(const Session& session, const std::vector<std::string>& arguments) {
  CommandLine line(
      "generate",
      "Writes a problem file: Q, K1, V1, ... with the same entries for the same seed at any number of ranks.",
      {}, "  mpirun -n 2 kronattn generate --order 3 --rows 100000 --width 8 -o problem.h5");
  line.add()("order", po::value<Index>()->default_value(2), "order k: one query and k-1 key/value modes")  //
      ("rows", po::value<Index>(), "rows of Q, and of each mode unless --key-rows is given")               //
      ("width", po::value<Index>(), "width d of queries and keys")                                         //
      ("key-rows", po::value<std::string>(), "rows of each mode, N1,N2,...")                               //
      ("value-width", po::value<Index>(), "columns of the values (default: the width)")                    //
      ("heads", po::value<Index>(), "independent heads; datasets are then (heads, rows, width)")           //
      ("bound", po::value<double>()->default_value(1, "1"), "entries of Q and K lie in [-B, B]")           //
      ("distribution", po::value<std::string>()->default_value("uniform"),
       "uniform: entries in [-B, B]; gaussian: deviation B/3, cut at B; sphere: rows of norm B; positive: "
       "entries in [0, B]")  //
      ("values", po::value<std::string>()->default_value("signal"),
       "signal: V[j,c] = K[j, c mod d] / B, so that the output says something; uniform: in [-1, 1]")  //
      ("seed", po::value<std::uint64_t>()->default_value(1), "another seed, another problem")         //
      ("precision", po::value<std::string>()->default_value("double"), "double or single")            //
      ("output,o", po::value<std::string>(), "file to write")                                         //
      ("overwrite", po::bool_switch(), "replace the file if it exists");
  if (!line.parse(arguments)) {
    if (session.comm.root()) std::cout << line.help();
    return done;
  }
  for (const char* name : {"rows", "width", "output"})
    if (!line.given(name)) line.complain(std::string("need --") + name);

  Instance instance;
  ProblemShape& shape = instance.shape;
  const Index order = line.integer("order", 2);
  shape.queries = line.integer("rows", 0);
  shape.width = line.integer("width", 1);
  shape.value_width = line.given("value-width") ? line.integer("value-width", 1) : shape.width;
  shape.keys.assign(static_cast<std::size_t>(order - 1), shape.queries);
  if (line.given("key-rows"))
    shape.keys = key_rows(line, order - 1);
  else if (shape.queries == 0)
    line.complain("--rows is 0; need at least 1, or --key-rows");
  instance.has_heads = line.given("heads");
  shape.heads = instance.has_heads ? line.integer("heads", 1) : 1;
  instance.bound = line.number("bound");
  if (!(instance.bound > 0 && std::isfinite(instance.bound)))
    line.complain("--bound is " + std::to_string(instance.bound) + "; need a finite number above 0");
  instance.distribution =
      static_cast<Distribution>(line.choice("distribution", {"uniform", "gaussian", "sphere", "positive"}));
  instance.signal_values = line.choice("values", {"signal", "uniform"}) == 0;
  instance.seed = line.seed();
  instance.precision = precision_of(line.choice("precision", {"double", "single"}));
  check_output(session.comm, line.text("output"), line.flag("overwrite"), {});
  generate(session.comm, instance, line.text("output"), line.flag("overwrite"));
  return done;
}

}  // namespace kronattn
