// kronattn generate: synthetic problems.

#include "generate.hpp"

#include <cfloat>

#include "output_file.hpp"
#include "shared_options.hpp"

namespace kronattn {

namespace po = boost::program_options;

ExitCode run_generate(const Session& session, const std::vector<std::string>& arguments) {
  CommandLine line(
      "generate",
      "Writes a problem file: Q, K1, V1, ... with the same entries for the same seed at any number of ranks.",
      {}, "  mpirun -n 2 kronattn generate --order 3 --rows 100000 --width 8 -o problem.h5");
  add_instance_options(line);
  line.add()("precision", po::value<std::string>()->default_value("double"), "double or single")  //
      ("output,o", po::value<std::string>(), "file to write")                                     //
      ("overwrite", po::bool_switch(), "replace the file if it exists");
  if (!line.parse(arguments, session.comm.root())) return done;
  if (!line.given("output")) line.complain("need --output");
  Instance instance = read_instance(line);
  instance.precision = line.precision("precision");
  if (instance.precision == Precision::single_precision && instance.bound > FLT_MAX)
    line.complain("--bound is larger than single precision holds; need --precision double");
  check_output(session.comm, line.text("output"), line.flag("overwrite"), {});
  generate(session.comm, instance, line.text("output"), line.flag("overwrite"));
  return done;
}

}  // namespace kronattn
