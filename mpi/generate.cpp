#include "generate.hpp"

#include "output_file.hpp"
#include "tiles.hpp"
#include "version.hpp"

namespace kronattn {

namespace {

std::vector<Index> table(const Instance& instance, Index rows, Index width) {
  return instance.has_heads ? std::vector<Index>{instance.shape.heads, rows, width}
                            : std::vector<Index>{rows, width};
}

void round_to_single(Matrix& data) {
  data = data.cast<float>().cast<double>();
}

}  // namespace

void generate(const Communicator& comm, const Instance& instance, const std::string& path, bool overwrite) {
  const ProblemShape& shape = instance.shape;
  std::vector<DatasetPlan> datasets = {
      {"Q", table(instance, shape.queries, shape.width), instance.precision, instance.has_heads}};
  for (Index m = 0; m < shape.modes(); ++m) {
    const Index rows = shape.keys[static_cast<std::size_t>(m)];
    const std::string number = std::to_string(m + 1);
    datasets.push_back(
        {"K" + number, table(instance, rows, shape.width), instance.precision, instance.has_heads});
    datasets.push_back(
        {"V" + number, table(instance, rows, shape.value_width), instance.precision, instance.has_heads});
  }
  OutputFile file(comm, path, datasets, overwrite);

  // Dataset 0 is Q; 2m+1 and 2m+2 are the keys and values of mode m.
  const auto write_mode = [&](std::size_t dataset, Index head, Index total, bool values) {
    const Range blocks = share(tile_count(total, random_block_rows), comm.size(), comm.rank());
    for (Index block = blocks.begin; block < blocks.end; ++block) {
      const Range rows = tile_range(block, total, random_block_rows);
      Matrix data = random_block(instance.distribution, instance.bound, instance.seed,
                                 static_cast<Index>(dataset), head, block, rows.size(), shape.width);
      if (instance.precision == Precision::single_precision) round_to_single(data);
      file.write(dataset, head, rows, data.data());
      if (!values) continue;
      Matrix value_data(rows.size(), shape.value_width);
      if (instance.signal_values) {
        for (Index c = 0; c < shape.value_width; ++c)
          value_data.col(c) = data.col(c % shape.width) / instance.bound;
      } else {
        value_data = random_block(Distribution::uniform, 1, instance.seed, static_cast<Index>(dataset) + 1,
                                  head, block, rows.size(), shape.value_width);
      }
      file.write(dataset + 1, head, rows, value_data.data());
    }
  };
  comm.together([&] {
    for (Index head = 0; head < shape.heads; ++head) {
      write_mode(0, head, shape.queries, false);
      for (std::size_t m = 0; m < shape.keys.size(); ++m) write_mode(2 * m + 1, head, shape.keys[m], true);
    }
  });
  file.check_written();
  file.commit({{"kronattn_version", std::string(version)}});
}

}  // namespace kronattn
