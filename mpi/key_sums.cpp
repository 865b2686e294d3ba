#include "key_sums.hpp"

#include "checkpointing.hpp"
#include "degree_needs.hpp"
#include "text.hpp"
#include "work.hpp"

namespace kronattn {

namespace {

using nlohmann::json;

const char* const kind = "key sums";

/// What the problem of a file must have in common with another's for its sums to serve it.
json shape_json(const ProblemShape& shape) {
  return {{"heads", shape.heads},
          {"keys", shape.keys},
          {"width", shape.width},
          {"value width", shape.value_width},
          {"second moments", shape.second_moments},
          {"scale", shape.scale}};
}

json to_json(const Matrix& rows) {
  return {{"rows", rows.rows()},
          {"columns", rows.cols()},
          {"entries", std::vector<double>(rows.data(), rows.data() + rows.size())}};
}

Matrix matrix(const json& kept, Index columns) {
  const Index rows = kept.at("rows");
  const auto entries = kept.at("entries").get<std::vector<double>>();
  if (kept.at("columns") != columns || rows < 0 || static_cast<Index>(entries.size()) != rows * columns)
    throw std::runtime_error("a sample of another shape");
  const Matrix sample = Eigen::Map<const Matrix>(entries.data(), rows, columns);
  if (!sample.allFinite()) throw std::runtime_error("a sample that is not finite");
  return sample;
}

json to_json(const MonomialChoice& choice) {
  return {{"degree", choice.degree},
          {"threshold", choice.threshold},
          {"single_from", std::min(choice.single_from, choice.degree + 1)},
          {"axis_weights", std::vector<double>(choice.axis_weights.data(),
                                               choice.axis_weights.data() + choice.axis_weights.size())}};
}

MonomialChoice monomial_choice(const json& kept) {
  const auto weights = kept.at("axis_weights").get<std::vector<double>>();
  MonomialChoice choice{kept.at("degree"), kept.at("threshold"),
                        Eigen::Map<const Vector>(weights.data(), static_cast<Index>(weights.size())),
                        kept.at("single_from")};
  if (choice.degree < 0 || choice.degree > largest_degree || !(choice.threshold >= 0) ||
      choice.single_from < 0)
    throw std::runtime_error("monomials that can't be");
  if (!choice.has_single()) choice.single_from = all_in_double;
  return choice;
}

/// 0 where they are too many.
Index monomial_count(Index width, const MonomialChoice& choice) {
  try {
    return planned_monomials(width, choice).count();
  } catch (const NoPlan&) {
    return 0;
  }
}

/// Of all modes of a head.
std::uint64_t sum_words(const ProblemShape& shape, Index rank) {
  const double of_mode = key_sum_bytes(shape, static_cast<double>(rank)) / sizeof(std::int64_t);
  return static_cast<std::uint64_t>(shape.modes()) * static_cast<std::uint64_t>(of_mode);
}

}  // namespace

KeySumsWriter::KeySumsWriter(const Communicator& comm, const std::string& path, const std::string& temporary,
                             const ProblemShape& shape, const ProblemMeasurement& measurement,
                             const Wishes& wishes, const std::vector<PlannedHead>& heads)
    : comm_(comm) {
  json list = json::array();
  std::uint64_t words = 0;
  for (std::size_t h = 0; h < heads.size(); ++h) {
    const auto& [plan, estimate] = heads[h];
    if (plan.method == Method::exact)
      throw AgreedFailure(path + ": there are no key sums to save, the method is exact (" + estimate.reason +
                          "); need --method polynomial, or no --save-sums");
    const MeasuredHead& head = measurement.heads[h];
    const Index rank = planned_monomials(head.changed_shape(shape).width, plan.monomials).count();
    list.push_back({{"changes", !head.change.none()},
                    {"negligible_score", wishes.negligible_score()},
                    {"queries", to_json(measurement.query_samples[h])},
                    {"content", measurement.key_contents[h].halves()},
                    {"monomials", to_json(plan.monomials)},
                    {"rank", rank}});
    words += sum_words(shape, rank);
  }
  comm.together([&] {
    if (!comm.root()) return;
    const json header = {
        {"kind", kind}, {"program", maker_json()}, {"shape", shape_json(shape)}, {"heads", list}};
    file_.emplace(path, header, words, temporary);
  });
}

void KeySumsWriter::write(const KeySumWords& sums) {
  const std::string trouble =
      put_words(comm_, shared(sums), [&](std::span<const std::int64_t> words) { file_->write(words); });
  if (!trouble.empty()) throw AgreedFailure(trouble);
}

void KeySumsWriter::commit() {
  comm_.together([&] {
    if (comm_.root()) file_->commit();
  });
}

KeySums::KeySums(const Communicator& comm, const std::string& path, const ProblemShape& shape)
    : path_(path), shape_(shape) {
  std::string text;
  comm.together([&] {
    if (!comm.root()) return;
    reader_.emplace(path);
    if (reader_->header().value("kind", "") != kind)
      throw std::runtime_error(path + ": is a checkpoint; need a file that --save-sums has written");
    json known = reader_->header();
    char identity[17];
    std::snprintf(identity, sizeof identity, "%016llx", static_cast<unsigned long long>(reader_->checksum()));
    known["identity"] = identity;
    const std::vector<std::uint8_t> bytes = json::to_cbor(known);
    text.assign(bytes.begin(), bytes.end());
  });
  const json header = json::from_cbor(comm.broadcast(text, 0));
  // All ranks have the same header, so all leave in the same way.
  std::string why = difference(header.value("program", json()), maker_json());
  if (why.empty()) why = difference(header.value("shape", json()), shape_json(shape));
  if (!why.empty()) throw AgreedFailure(path + ": its sums are of another run: " + why);
  try {
    identity_ = header.at("identity");
    std::uint64_t words = 0;
    for (const json& kept : header.at("heads")) {
      heads_.push_back(
          {{kept.at("changes"), kept.at("negligible_score"), matrix(kept.at("queries"), shape.width)},
           monomial_choice(kept.at("monomials")),
           ContentSum(kept.at("content").get<std::vector<std::int64_t>>()),
           kept.at("rank")});
      const Index rank = heads_.back().rank;
      if (rank < 1 || static_cast<double>(rank) > largest_rank) throw std::runtime_error("no such rank");
      words += sum_words(shape, rank);
    }
    if (static_cast<Index>(heads_.size()) != shape.heads || (reader_ && words != reader_->words()))
      throw std::runtime_error("other sums than it says");
  } catch (const std::exception& error) {
    throw AgreedFailure(path + ": can't be believed: " + error.what());
  }
}

GivenSums KeySums::given() const {
  GivenSums sums{path_, identity_, {}};
  for (const Head& head : heads_) sums.heads.push_back(head.monomials);
  return sums;
}

std::vector<CoordinateWishes::Given> KeySums::coordinates() const {
  std::vector<CoordinateWishes::Given> given;
  for (const Head& head : heads_) given.push_back(head.coordinates);
  return given;
}

void KeySums::check(const ProblemMeasurement& measurement, double negligible_score,
                    const std::string& problem) const {
  for (std::size_t h = 0; h < heads_.size(); ++h) {
    const MeasuredHead& head = measurement.heads[h];
    const std::string of_head = heads_.size() > 1 ? " of head " + std::to_string(h) : "";
    if (measurement.key_contents[h] != heads_[h].content ||
        head.change.none() == heads_[h].coordinates.change)
      throw AgreedFailure(path_ + ": its sums" + of_head + " are of other keys or values than those in " +
                          problem);
    const MonomialChoice& choice = heads_[h].monomials;
    const Index width = head.changed_shape(shape_).width;
    if ((choice.threshold > 0 && choice.axis_weights.size() != width) ||
        monomial_count(width, choice) != heads_[h].rank)
      throw AgreedFailure(path_ + ": can't be believed: other monomials" + of_head + " than it says");
    if (!head.change.none() && !(head.changed.queries.score_error <= negligible_score))
      throw AgreedFailure(path_ + ": the coordinates of its sums" + of_head +
                          " do not serve the queries of " + problem + ": scores would be off by up to " +
                          short_number(head.changed.queries.score_error) + "; need at most " +
                          short_number(negligible_score) +
                          ", so a larger --epsilon, or new sums, made without --sums");
  }
}

void KeySums::read(Index head, const KeySumWords& sums) {
  if (!reader_) return;
  for (; next_ < head; ++next_)
    reader_->skip(sum_words(shape_, heads_[static_cast<std::size_t>(next_)].rank));
  for (const std::span<std::int64_t> words : sums) reader_->read(words);
  ++next_;
}

}  // namespace kronattn
