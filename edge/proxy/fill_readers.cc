// Who reads a fill: cursors, what they are told, and how far the fetch may go ahead of them.

#include <algorithm>
#include <utility>

#include "edge/proxy/fill.h"

namespace bw::edge {

// Pauses, resumes or ends the fetch by what readers have read.
void Fill::look_at_readers() {
  Pace pace = Pace::go_on;
  bool wanted = false;
  {
    const std::lock_guard lock(mutex_);
    look_posted_ = false;
    if (ended_) return;
    pace = pace_locked();
    wanted = state_ == FillState::connecting || storing_;
    for (const LoopReaders& one : loops_) wanted = wanted || !one.readers.empty();
  }
  if (!wanted) {
    fail({.kind = Error::Kind::cancelled,
          .side = Error::Side::client,
          .text = "nobody reads this response and it isn't stored"},
         true);  // who joined since we looked asks again
    return;
  }
  const bool pause = pace != Pace::go_on;
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    if (pace == Pace::budget) home_.node().metrics.fill_pauses.add();
    fetch_->pause();
  } else {
    fetch_->resume();
  }
}

Fill::Pace Fill::pace_locked() const {
  if (keep_all_ || state_ != FillState::body) return Pace::go_on;
  bool any = false;
  bool waits = false;
  uint64_t slowest = UINT64_MAX;
  uint64_t fastest = 0;
  for (const LoopReaders& one : loops_) {
    for (const FillReader* reader : one.readers) {
      // Who reads on from the disk waits for the end, not we for him.
      if (reader->position_ < popped_bytes_) continue;
      any = true;
      slowest = std::min(slowest, reader->position_);
      fastest = std::max(fastest, reader->position_);
      waits = waits || (reader->waits_ && reader->position_ == total_);
    }
  }
  if (!any) return Pace::go_on;
  if (total_ - (storing_ ? fastest : slowest) > kWindow) return Pace::window;
  return scarce_ && !waits ? Pace::budget : Pace::go_on;
}

// Once memory holds the object its body isn't held a second time.
void Fill::read_from_object_locked() {
  if (!keep_all_ || popped_ > 0) return;
  const std::vector<Slice>& body = object_->body();
  pieces_.assign(body.begin(), body.end());
  for (LoopReaders& one : loops_) {
    for (FillReader* reader : one.readers) {
      reader->index_ = 0;
      reader->within_ = static_cast<size_t>(reader->position_);
      while (reader->index_ < pieces_.size() && reader->within_ > pieces_[reader->index_].size()) {
        reader->within_ -= pieces_[reader->index_++].size();
      }
    }
  }
}

void Fill::trim_locked() {
  if (keep_all_) return;
  uint64_t slowest = UINT64_MAX;
  uint64_t fastest = 0;
  for (const LoopReaders& one : loops_) {
    for (const FillReader* reader : one.readers) {
      if (reader->position_ < popped_bytes_) continue;
      slowest = std::min(slowest, reader->position_);
      fastest = std::max(fastest, reader->position_);
    }
  }
  while (!pieces_.empty()) {
    const uint64_t piece_end = popped_bytes_ + pieces_.front().size();
    const bool read_by_all = piece_end <= slowest && slowest != UINT64_MAX;
    // Who is so far behind another reads on from the disk. Nobody has to who reads alone.
    const bool beyond = storing_ && piece_end + 2 * kWindow < fastest;
    // Nobody reads (yet): who comes later starts at the first byte, so it has to be there or gone.
    const bool unread = slowest == UINT64_MAX && total_ - popped_bytes_ > 2 * kWindow;
    if (!read_by_all && !beyond && !unread) return;
    popped_bytes_ = piece_end;
    ++popped_;
    pieces_.pop_front();
  }
}

void Fill::notify() {
  std::vector<net::Loop*> to_tell;
  {
    const std::lock_guard lock(mutex_);
    for (LoopReaders& one : loops_) {
      if (one.posted || one.readers.empty()) continue;
      one.posted = true;
      to_tell.push_back(one.loop);
    }
  }
  for (net::Loop* loop : to_tell) {
    loop->post([self = shared_from_this(), loop] { self->tell(loop); });
  }
}

void Fill::tell(net::Loop* loop) {
  std::vector<FillReader*> readers;
  const auto of_loop = [&](const LoopReaders& one) { return one.loop == loop; };
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(loops_.begin(), loops_.end(), of_loop);
    if (found == loops_.end()) return;
    found->posted = false;
    readers = found->readers;
  }
  for (FillReader* reader : readers) {
    {
      // One told before may have made this one leave.
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(loops_.begin(), loops_.end(), of_loop);
      if (found == loops_.end() ||
          std::find(found->readers.begin(), found->readers.end(), reader) == found->readers.end()) {
        continue;
      }
    }
    reader->watcher_.on_fill();
  }
}

void Fill::leave(FillReader& reader) {
  bool look = false;
  {
    const std::lock_guard lock(mutex_);
    for (LoopReaders& one : loops_) {
      if (one.loop == &reader.loop_) std::erase(one.readers, &reader);
    }
    trim_locked();
    look = !look_posted_ && state_ == FillState::body;
    if (look) look_posted_ = true;
  }
  if (look) home_.loop().post([self = shared_from_this()] { self->look_at_readers(); });
}

FillReader::FillReader(std::shared_ptr<Fill> fill, net::Loop& loop, FillWatcher& watcher)
    : fill_(std::move(fill)), loop_(loop), watcher_(watcher) {}

FillReader::~FillReader() { fill_->leave(*this); }

Slice FillReader::read() {
  Slice piece;
  bool look = false;
  {
    const std::lock_guard lock(fill_->mutex_);
    if (position_ < fill_->popped_bytes_) return {};
    if (index_ < fill_->popped_) {  // read to its end before it was let go
      index_ = fill_->popped_;
      within_ = static_cast<size_t>(position_ - fill_->popped_bytes_);
    }
    const std::deque<Slice>& pieces = fill_->pieces_;
    size_t at = static_cast<size_t>(index_ - fill_->popped_);
    if (at + 1 < pieces.size() && within_ == pieces[at].size()) {
      ++at;
      ++index_;
      within_ = 0;
    }
    waits_ = at >= pieces.size() || within_ == pieces[at].size();
    if (!waits_) {
      piece = pieces[at].part(within_, pieces[at].size() - within_);
      within_ += piece.size();
      position_ += piece.size();
      fill_->trim_locked();
    }
    // Who waits is waited for only where the budget let nobody read ahead.
    look = !fill_->keep_all_ && (!waits_ || fill_->scarce_) && !fill_->look_posted_ &&
           fill_->state_ == FillState::body;
    if (look) fill_->look_posted_ = true;
  }
  if (look) {
    fill_->home_.loop().post([fill = fill_] { fill->look_at_readers(); });
  }
  return piece;
}

bool FillReader::at_end() const {
  const std::lock_guard lock(fill_->mutex_);
  return fill_->state_ == FillState::complete && position_ == fill_->total_;
}

bool FillReader::overrun() const {
  const std::lock_guard lock(fill_->mutex_);
  return position_ < fill_->popped_bytes_;
}

}  // namespace bw::edge
