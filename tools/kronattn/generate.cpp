// kronattn generate: synthetic problems.

#include "generate.hpp"

#include <cfloat>

#include "output_file.hpp"
#include "shared_options.hpp"

namespace kronattn {

namespace po = boost::program_options;

CommandLine generate_line() {
  CommandLine line(
      {.name = "generate",
       .summary = "write a synthetic problem",
       .description =
           "Writes a problem file: Q, K1, V1, ..., Kk-1, Vk-1, with the same entries for the same "
           "seed at any number of ranks. The file appears under its name only when it is complete. With "
           "--instance the rows are random, or a problem with a known answer: then the file has a dataset "
           "truth, 1 "
           "where attention is at least the attribute yes_at_least and 0 where it is at most no_at_most; "
           "decide_above lies between. Its other attributes are the parameters.",
       .examples = {"kronattn generate --rows 50000 --width 8 --seed 7 -o problem.h5",
                    "mpirun -n 2 kronattn generate --order 3 --rows 100000 --width 8 -o problem.h5",
                    "kronattn generate --instance gap-maxip --order 3 --rows 1000 --width 32 -o problem.h5",
                    "kronattn generate --instance match3 --rows 60 --modulus 997 -o problem.h5"}});
  line.add()("output,o", po::value<std::string>()->value_name("FILE"), "problem file to write; needed")  //
      ("overwrite", po::bool_switch(), "replace the file if it exists");
  add_instance_options(line);
  line.add()("precision", po::value<std::string>()->default_value("double")->value_name("double|single"),
             "of the entries in the file: float64 or float32");
  add_memory_option(line);
  add_log_options(line);
  return line;
}

ExitCode run_generate(const Session& session, const CommandLine& line) {
  if (!line.given("output")) line.complain("need --output");
  Instance instance = read_instance(line);
  instance.precision = line.precision("precision");
  if (instance.planted && instance.precision == Precision::single_precision)
    line.complain("--precision is single; --instance " + line.text("instance") +
                  " needs double, for which its answers are proven");
  if (instance.precision == Precision::single_precision && instance.bound > FLT_MAX)
    line.complain("--bound is larger than single precision holds; need --precision double");
  check_output(session.comm, line.text("output"), line.flag("overwrite"), {});
  generate(session.comm, instance, line.text("output"), line.flag("overwrite"), session.progress,
           read_memory(line, session.comm));
  return done;
}

}  // namespace kronattn
