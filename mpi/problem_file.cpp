#include "problem_file.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "watchdog.hpp"

namespace kronattn {

namespace {

const std::string queries_name = "Q";

std::string shape_text(const std::vector<Index>& shape) {
  std::string text;
  for (Index length : shape) text += (text.empty() ? "" : " x ") + std::to_string(length);
  return text.empty() ? "a single number" : text;
}

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// The names of the key or value datasets, by mode; checks gaps and both spellings.
std::vector<std::string> mode_names(const std::vector<std::string>& names, const std::string& letter) {
  const auto has = [&](const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::vector<std::string> found;
  for (Index m = 1; has(letter + std::to_string(m)); ++m) found.push_back(letter + std::to_string(m));
  if (has(letter)) {
    if (!found.empty())
      throw std::runtime_error("both " + letter + " and " + letter + "1 are there; need one of them");
    found.push_back(letter);
  }
  return found;
}

/// Opens a dataset and checks that it is a table of floating numbers.
h5::DatasetInfo table_info(const h5::Handle& file, const std::string& name) {
  if (!h5::has_link(file, name)) throw std::runtime_error("dataset " + name + " is missing");
  if (!h5::has_dataset(file, name))
    throw std::runtime_error(name + " is no dataset, or a link that leads nowhere; need a dataset");
  const h5::Handle dataset = h5::open_dataset(file, name);
  const h5::DatasetInfo info = h5::dataset_info(dataset);
  if (!info.floating) throw std::runtime_error(name + " is not of type float32 or float64");
  if (info.elsewhere)
    throw std::runtime_error(name +
                             " has its entries in other files; need them in this one, since missing "
                             "ones would be read as zeros");
  if (const auto filter = h5::missing_filter(dataset))
    throw std::runtime_error(name + " needs the filter " + *filter + ", which this HDF5 does not have");
  if (info.shape.size() != 2 && info.shape.size() != 3)
    throw std::runtime_error(name + " is " + shape_text(info.shape) +
                             "; need rows x width, or heads x rows x width");
  double entries = 8;
  for (Index length : info.shape) entries *= static_cast<double>(length);
  if (entries > static_cast<double>(std::numeric_limits<Index>::max()))
    throw std::runtime_error(name + " is " + shape_text(info.shape) + ", more than this machine can address");
  return info;
}

/// "K1 is 64 x 5, Q is 3000 x 4; the widths must agree"
void need_equal(Index one, Index other, const std::string& name, const h5::DatasetInfo& info,
                const std::string& other_name, const h5::DatasetInfo& other_info, const std::string& what) {
  if (one != other)
    throw std::runtime_error(name + " is " + shape_text(info.shape) + ", " + other_name + " is " +
                             shape_text(other_info.shape) + "; the " + what + " must agree");
}

double file_scale(const h5::Handle& file, Index width) {
  if (!h5::has_attribute(file, "scale")) return 1.0 / static_cast<double>(width);
  const std::optional<double> scale = h5::number_attribute(file, "scale");
  if (!scale || !std::isfinite(*scale)) throw std::runtime_error("attribute scale is not a finite number");
  return *scale;
}

ProblemDescription describe(const h5::Handle& file, std::optional<double> scale) {
  const std::vector<std::string> names = h5::link_names(file);
  ProblemDescription description;
  description.key_names = mode_names(names, "K");
  description.value_names = mode_names(names, "V");
  const h5::DatasetInfo queries = table_info(file, queries_name);
  if (description.key_names.empty()) throw std::runtime_error("dataset K1 is missing");
  for (std::size_t m = 0; m < description.key_names.size(); ++m) {
    std::string value_name = description.key_names[m];
    value_name[0] = 'V';
    if (m >= description.value_names.size() || description.value_names[m] != value_name)
      throw std::runtime_error("dataset " + value_name + " is missing; each key dataset needs its values");
  }
  for (const std::string& name : names) {
    const auto mode_of = [&](const std::string& key_name) { return name.substr(1) == key_name.substr(1); };
    if ((name[0] == 'K' || name[0] == 'V') &&
        std::none_of(description.key_names.begin(), description.key_names.end(), mode_of))
      throw std::runtime_error("dataset " + name + " belongs to no mode; the keys of this file are " +
                               list_of(description.key_names));
  }

  const bool has_heads = queries.shape.size() == 3;
  const std::size_t row = has_heads ? 1 : 0;
  description.has_heads = has_heads;
  description.precision = queries.bytes == 4 ? Precision::single_precision : Precision::double_precision;
  description.query_bytes = queries.bytes;
  ProblemShape& shape = description.shape;
  shape.heads = has_heads ? queries.shape[0] : 1;
  shape.queries = queries.shape[row];
  shape.width = queries.shape[row + 1];
  std::optional<h5::DatasetInfo> first_values;
  for (std::size_t m = 0; m < description.key_names.size(); ++m) {
    const std::string& key_name = description.key_names[m];
    const std::string& value_name = description.value_names[m];
    const h5::DatasetInfo keys = table_info(file, key_name), values = table_info(file, value_name);
    for (const auto& [name, info] : {std::pair(key_name, keys), std::pair(value_name, values)}) {
      if (info.shape.size() != queries.shape.size())
        throw std::runtime_error(name + " is " + shape_text(info.shape) + ", " + queries_name + " is " +
                                 shape_text(queries.shape) + "; all need heads or none");
      if (has_heads)
        need_equal(info.shape[0], shape.heads, name, info, queries_name, queries, "numbers of heads");
    }
    need_equal(keys.shape[row + 1], shape.width, key_name, keys, queries_name, queries, "widths");
    need_equal(values.shape[row], keys.shape[row], value_name, values, key_name, keys, "numbers of rows");
    if (!first_values) first_values = values;
    need_equal(values.shape[row + 1], first_values->shape[row + 1], value_name, values,
               description.value_names.front(), *first_values, "widths");
    if (keys.shape[row] == 0) throw std::runtime_error(key_name + " has no rows; need at least one key");
    shape.keys.push_back(keys.shape[row]);
    description.key_bytes.push_back(keys.bytes);
    description.value_bytes.push_back(values.bytes);
  }
  shape.value_width = first_values->shape[row + 1];
  if (shape.heads == 0) throw std::runtime_error(queries_name + " has no heads; need at least one");
  if (shape.width == 0) throw std::runtime_error(queries_name + " has width 0; need at least one column");
  if (shape.value_width == 0)
    throw std::runtime_error(description.value_names.front() + " has width 0; need at least one column");
  const double scale_in_file = file_scale(file, shape.width);
  shape.scale = scale.value_or(scale_in_file);
  return description;
}

nlohmann::json to_json(const ProblemDescription& description) {
  const ProblemShape& shape = description.shape;
  return {{"heads", shape.heads},
          {"queries", shape.queries},
          {"keys", shape.keys},
          {"width", shape.width},
          {"value_width", shape.value_width},
          {"scale", shape.scale},
          {"has_heads", description.has_heads},
          {"single", description.precision == Precision::single_precision},
          {"query_bytes", description.query_bytes},
          {"key_bytes", description.key_bytes},
          {"value_bytes", description.value_bytes},
          {"key_names", description.key_names},
          {"value_names", description.value_names}};
}

ProblemDescription from_json(const nlohmann::json& json) {
  ProblemDescription description;
  description.shape = {json["heads"], json["queries"],     json["keys"].get<std::vector<Index>>(),
                       json["width"], json["value_width"], json["scale"]};
  description.has_heads = json["has_heads"];
  description.precision =
      json["single"].get<bool>() ? Precision::single_precision : Precision::double_precision;
  description.query_bytes = json["query_bytes"];
  description.key_bytes = json["key_bytes"].get<std::vector<Index>>();
  description.value_bytes = json["value_bytes"].get<std::vector<Index>>();
  description.key_names = json["key_names"].get<std::vector<std::string>>();
  description.value_names = json["value_names"].get<std::vector<std::string>>();
  return description;
}

}  // namespace

ProblemDescription describe_problem(const std::string& path, std::optional<double> scale) {
  const h5::Handle file = h5::open_file(path, h5::Access::read);
  try {
    return describe(file, scale);
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

ProblemFile::ProblemFile(const Communicator& comm, const std::string& path, std::optional<double> scale,
                         const RankMemory& memory)
    : path_(path) {
  std::string text;
  comm.together([&] {
    if (comm.root()) text = to_json(describe_problem(path, scale)).dump();
  });
  description_ = from_json(nlohmann::json::parse(comm.broadcast(text, 0)));
  comm.together([&] { system_file_.emplace(path); });
  file_ = h5::open_file(path, h5::Access::read, comm);
  const double most_cached = memory.left(comm, 0) / static_cast<double>(4 * (1 + 2 * shape().modes()));
  comm.together([&] {
    system_file_->check_name();
    const auto open = [&](const std::string& name) {
      h5::Handle dataset = h5::open_dataset(file_, name, most_cached);
      buffer_bytes_ += h5::buffer_bytes(dataset);
      const bool is_plain = h5::is_plain(dataset, path);
      return Dataset{std::move(dataset), is_plain};
    };
    queries_ = open(queries_name);
    for (const std::string& key_name : description_.key_names) keys_.push_back(open(key_name));
    for (const std::string& value_name : description_.value_names) values_.push_back(open(value_name));
  });
}

const std::string& ProblemFile::part_name(Part part) const {
  const auto mode = static_cast<std::size_t>(part.mode);
  return part.kind == Part::queries ? queries_name
         : part.kind == Part::keys  ? description_.key_names[mode]
                                    : description_.value_names[mode];
}

namespace {

/// Entries of so many bytes that stand side by side, by all threads.
bool read_entries(const h5::SystemFile& file, h5::Extent extent, Index bytes, Matrix& data) {
  Activity::moved();
  constexpr Index piece = Index{1} << 15;
  bool done = true;
#pragma omp parallel for reduction(&& : done) if (data.size() > piece)
  for (Index begin = 0; begin < data.size(); begin += piece) {
    const Index count = std::min(piece, data.size() - begin);
    const h5::Extent own{extent.begin + begin * bytes, count * bytes};
    if (bytes == sizeof(double)) {
      done = file.read(own, data.data() + begin) && done;
    } else {
      std::array<float, piece> numbers;
      done = file.read(own, numbers.data()) && done;
      std::copy_n(numbers.begin(), count, data.data() + begin);
    }
  }
  return done;
}

}  // namespace

Matrix ProblemFile::read(Part part, Index head, Range rows) {
  const auto mode = static_cast<std::size_t>(part.mode);
  const Dataset& dataset = part.kind == Part::queries ? queries_
                           : part.kind == Part::keys  ? keys_[mode]
                                                      : values_[mode];
  Matrix data(rows.size(), columns(part));
  if (rows.size() == 0) return data;
  const Index bytes = part.kind == Part::queries ? description_.query_bytes
                      : part.kind == Part::keys  ? description_.key_bytes[mode]
                                                 : description_.value_bytes[mode];
  const auto extent = [&](Range some) {
    return h5::extent_of(dataset.handle, description_.has_heads, head, some, columns(part) * bytes);
  };
  const bool done = dataset.is_plain ? read_entries(*system_file_, extent(rows), bytes, data)
                                     : h5::read_rows(dataset.handle, description_.has_heads, head, rows,
                                                     H5T_NATIVE_DOUBLE, data.data());
  system_file_->check_length();
  if (!done)
    throw std::runtime_error(path_ + ": rows " + std::to_string(rows.begin) + " to " +
                             std::to_string(rows.end) + " of " + part_name(part) + " can't be read");
  bytes_read_ += data.size() * bytes;
  const Range next{rows.end, std::min(rows.end + rows.size(), this->rows(part))};
  if (next.size() > 0) system_file_->read_ahead(extent(next));
  return data;
}

std::string ProblemFile::entry_name(Part part, Index head, Index row, Index column) const {
  const std::string first = description_.has_heads ? std::to_string(head) + "," : "";
  return path_ + ": " + part_name(part) + "[" + first + std::to_string(row) + "," + std::to_string(column) +
         "]";
}

}  // namespace kronattn
