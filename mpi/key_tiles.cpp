#include "key_tiles.hpp"

#include <algorithm>

#include "tiles.hpp"

namespace kronattn {

namespace {

/// Tiles under way: enough for one to pass from rank to rank while others are computed with.
constexpr std::size_t most_under_way = 3;

}  // namespace

KeyTiles::KeyTiles(const Communicator& comm, Problem& problem, Index head, const Coordinates& coordinates,
                   ExactArithmetic arithmetic, PhaseSeconds& seconds, ContentSum& content, Index kept_bytes)
    : comm_(comm),
      problem_(problem),
      head_(head),
      coordinates_(coordinates),
      arithmetic_(arithmetic),
      seconds_(seconds),
      content_(content),
      counted_(problem.shape().keys.size(), 0) {
  double bytes = 0;
  for (Index rows : problem.shape().keys)
    bytes += static_cast<double>(rows) * (arithmetic == ExactArithmetic() ? 8 : 12) *
             static_cast<double>(problem.shape().width + problem.shape().value_width);
  keep_ = bytes < static_cast<double>(kept_bytes);
}

Index KeyTiles::count(Index mode) const {
  return tile_count(problem_.shape().keys[static_cast<std::size_t>(mode)], key_tile_rows);
}

double KeyTiles::tuples() const {
  double product = 1;
  for (Index m = 0; m < problem_.shape().modes(); ++m) product *= static_cast<double>(count(m));
  return product;
}

/// Collective: sets a tile off, read by its owner.
void KeyTiles::send(Index mode, Index tile) {
  const Part keys{Part::keys, mode}, values{Part::values, mode};
  const Range rows = tile_range(tile, problem_.rows(keys), key_tile_rows);
  const Index entries = rows.size() * (problem_.columns(keys) + problem_.columns(values));
  const int owner = static_cast<int>(owner_of_tile(tile, count(mode), comm_.size()));
  std::vector<double> message(static_cast<std::size_t>(entries) + 1,
                              0.0);  // the last entry: could it be read
  std::string failure;
  Index& counted = counted_[static_cast<std::size_t>(mode)];
  const bool is_first = tile >= counted;
  counted = std::max(counted, tile + 1);
  if (comm_.rank() == owner) {
    const Timed timed(seconds_.read);
    try {
      const Matrix key_rows = problem_.read(keys, head_, rows),
                   value_rows = problem_.read(values, head_, rows);
      if (is_first) {
        content_.add(keys, head_, rows, key_rows);
        content_.add(values, head_, rows, value_rows);
      }
      std::copy_n(key_rows.data(), key_rows.size(), message.data());
      std::copy_n(value_rows.data(), value_rows.size(), message.data() + key_rows.size());
      message.back() = 1;
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }
  under_way_.push_back(
      {mode, tile, owner, failure, std::make_unique<PendingBroadcast>(comm_, std::move(message), owner)});
}

/// Collective: keys and values of a tile that has arrived, the next ones set off before.
KeyTiles::Message KeyTiles::receive(Index mode, Index tile) {
  if (under_way_.empty()) send(mode, tile);
  Message message = std::move(under_way_.front());
  under_way_.pop_front();
  if (message.mode != mode || message.tile != tile) throw std::logic_error("key tiles out of order");
  if (mode == problem_.shape().modes() - 1)
    for (Index next = (under_way_.empty() ? tile : under_way_.back().tile) + 1;
         next < count(mode) && under_way_.size() < most_under_way && !kept_.contains({mode, next}); ++next)
      send(mode, next);
  if (message.entries->wait().back() == 0)
    throw AgreedFailure(comm_.broadcast(message.failure, message.owner));
  return message;
}

std::shared_ptr<const KeyTile> KeyTiles::get(Index mode, Index tile) {
  const auto found = kept_.find({mode, tile});
  if (found != kept_.end()) return found->second;

  const Part keys{Part::keys, mode}, values{Part::values, mode};
  const Range rows = tile_range(tile, problem_.rows(keys), key_tile_rows);
  const Message message = receive(mode, tile);
  const double* entries = message.entries->wait().data();
  const Eigen::Map<const Matrix> key_rows(entries, rows.size(), problem_.columns(keys));
  const Eigen::Map<const Matrix> value_rows(entries + key_rows.size(), rows.size(), problem_.columns(values));
  auto made =
      std::make_shared<const KeyTile>(key_rows, value_rows, coordinates_.keys[static_cast<std::size_t>(mode)],
                                      coordinates_.values[static_cast<std::size_t>(mode)], arithmetic_);
  if (keep_) kept_[{mode, tile}] = made;
  return made;
}

namespace {

/// `behind`: tuples still to be passed over. Where the last one of a mode's tiles is behind, the mode is not
/// closed yet.
void absorb_modes(KeyTiles& tiles, Index mode, Index& behind,
                  std::vector<std::shared_ptr<const KeyTile>>& held, ExactAttention& attention,
                  const std::function<void()>& passed) {
  const auto m = static_cast<std::size_t>(mode);
  const bool is_last = m + 1 == held.size();
  Index below = 1;  // tuples under one tile
  for (Index next = mode + 1; next < static_cast<Index>(held.size()); ++next) below *= tiles.count(next);
  for (Index t = 0; t < tiles.count(mode); ++t) {
    if (behind > below || (is_last && behind > 0)) {
      behind -= below;
      continue;
    }
    held[m] = tiles.get(mode, t);
    if (!is_last) {
      absorb_modes(tiles, mode + 1, behind, held, attention, passed);
      attention.close_mode(mode + 1);
    } else {
      std::vector<const KeyTile*> tuple;
      for (const auto& tile : held) tuple.push_back(tile.get());
      attention.absorb(tuple);
      passed();
    }
  }
}

}  // namespace

void absorb_all(KeyTiles& tiles, Index modes, Index behind, ExactAttention& attention,
                const std::function<void()>& passed) {
  std::vector<std::shared_ptr<const KeyTile>> held(static_cast<std::size_t>(modes));
  absorb_modes(tiles, 0, behind, held, attention, passed);
}

}  // namespace kronattn
