#include "purge/log_writer.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace bw::purge {
namespace {

constexpr size_t kMaxBatch = 4096;  // records of one frame; a frame stays under its bound

struct Job {
  std::vector<Record> records;
  bool epoch = false;
  uint32_t above = 0;
  int64_t time_ms = 0;
  LogWriter::Done done;
};

}  // namespace

struct LogWriter::State {
  net::Loop& loop;
  std::unique_ptr<LogStore> store;
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> jobs;
  size_t waiting = 0;
  bool stopping = false;
  std::thread thread;

  State(net::Loop& l, std::unique_ptr<LogStore> s) : loop(l), store(std::move(s)) {}

  Status add(Job job) {
    {
      std::lock_guard lock(mutex);
      if (waiting + job.records.size() > kMaxWaiting) {
        return Error{.kind = Error::Kind::busy, .text = "log queue is full"};
      }
      waiting += job.records.size();
      jobs.push_back(std::move(job));
    }
    wake.notify_one();
    return {};
  }

  // The jobs of one sync: as many purges as wait, or one epoch alone.
  std::vector<Job> take() {
    std::unique_lock lock(mutex);
    wake.wait(lock, [this] { return stopping || !jobs.empty(); });
    std::vector<Job> taken;
    size_t records = 0;
    while (!jobs.empty()) {
      if (!taken.empty() && (jobs.front().epoch || taken.front().epoch ||
                             records + jobs.front().records.size() > kMaxBatch)) {
        break;
      }
      records += jobs.front().records.size();
      taken.push_back(std::move(jobs.front()));
      jobs.pop_front();
    }
    waiting -= records;
    return taken;
  }

  void work() {
    pthread_setname_np(pthread_self(), "purge-log");
    for (;;) {
      std::vector<Job> taken = take();
      if (taken.empty()) return;
      if (taken.front().epoch) {
        open_epoch(taken.front());
      } else {
        write(taken);
      }
    }
  }

  void open_epoch(Job& job) {
    const uint32_t epoch = std::max(job.above, store->end().position.epoch()) + 1;
    Result<Record> opened = store->open_epoch(epoch, false, job.time_ms);
    Result<std::vector<Record>> result =
        opened.ok() ? Result<std::vector<Record>>(std::vector<Record>{*opened}) : opened.error();
    post(job, std::move(result));
  }

  void write(std::vector<Job>& taken) {
    std::vector<Record> all;
    for (Job& job : taken) {
      std::move(job.records.begin(), job.records.end(), std::back_inserter(all));
      job.above = static_cast<uint32_t>(job.records.size());
    }
    const Status written = store->append(all);
    auto from = all.begin();
    for (Job& job : taken) {
      if (!written.ok()) {
        post(job, written.error());
        continue;
      }
      const auto to = from + job.above;
      post(job, std::vector<Record>(std::make_move_iterator(from), std::make_move_iterator(to)));
      from = to;
    }
  }

  void post(Job& job, Result<std::vector<Record>> result) {
    loop.post([done = std::move(job.done), result = std::move(result)]() mutable {
      done(std::move(result));
    });
  }
};

LogWriter::LogWriter(net::Loop& loop, std::unique_ptr<LogStore> store)
    : state_(std::make_unique<State>(loop, std::move(store))) {
  state_->thread = std::thread([state = state_.get()] { state->work(); });
}

LogWriter::~LogWriter() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  state_->thread.join();
}

Result<Record> LogWriter::begin_epoch(int64_t time_ms) {
  LogStore& store = *state_->store;
  return store.open_epoch(store.end().position.epoch() + 1, true, time_ms);
}

Status LogWriter::submit(std::vector<Record> records, Done done) {
  Job job;
  job.records = std::move(records);
  job.done = std::move(done);
  return state_->add(std::move(job));
}

Status LogWriter::submit_epoch(uint32_t above, int64_t time_ms, Done done) {
  Job job;
  job.epoch = true;
  job.above = above;
  job.time_ms = time_ms;
  job.done = std::move(done);
  return state_->add(std::move(job));
}

}  // namespace bw::purge
