#include "core/net/connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "tests/unit/core/net/stream_pair.h"

using namespace bw;
using namespace bw::net;

TEST_CASE("connection: both ends open, and know each other's addresses") {
  StreamPair pair;
  pair.connect();
  pair.open();
  CHECK(pair.client.connection->peer() == pair.address);
  CHECK(pair.server.connection->local() == pair.address);
  CHECK(pair.server.connection->peer() == pair.client.connection->local());
  CHECK_FALSE(pair.client.connection->is_tls());
}

TEST_CASE("connection: 16 MiB pass both ways at once, byte exact") {
  StreamPair pair;
  pair.connect();
  const std::string up = pattern(16 << 20, 1);
  const std::string down = pattern(16 << 20, 2);
  pair.client.connection->write_copy(up);  // before it is open
  pair.client.connection->finish_writing();
  pair.open();
  for (size_t i = 0; i < down.size(); i += 100'000) {
    pair.server.connection->write_copy(std::string_view(down).substr(i, 100'000));
  }
  pair.server.connection->finish_writing();
  pair.until([&] { return pair.client.ended && pair.server.ended; });
  CHECK(pair.server.got == up);
  CHECK(pair.client.got == down);
  CHECK(pair.client.connection->buffered() == 0);
}

TEST_CASE("connection: over a UNIX path too") {
  const std::string path = "net_test_" + std::to_string(getpid()) + ".sock";
  {
    StreamPair pair(nullptr, "unix:" + path);
    pair.connect();
    pair.client.connection->write_copy("hello");
    pair.until([&] { return pair.server.got == "hello"; });
    CHECK(pair.client.connection->peer().loopback());
  }
  StreamPair again(nullptr, "unix:" + path);  // the path was left behind and nobody answers on it
  ::unlink(path.c_str());
}

TEST_CASE("connection: half close, then the other way still works") {
  StreamPair pair;
  pair.connect();
  pair.client.connection->write_copy("question");
  pair.client.connection->finish_writing();
  pair.until([&] { return pair.server.ended; });
  CHECK(pair.server.got == "question");
  pair.server.connection->write_copy("answer");
  pair.server.connection->finish_writing();
  pair.until([&] { return pair.client.ended; });
  CHECK(pair.client.got == "answer");
  CHECK_FALSE(pair.client.error);
}

TEST_CASE("connection: what is not consumed comes again in front of what follows") {
  StreamPair pair;
  std::vector<std::string> seen;
  pair.server.when_data = [&](std::string_view bytes) -> size_t {
    seen.emplace_back(bytes);
    return bytes.find('\n') == std::string_view::npos ? 0 : bytes.find('\n') + 1;
  };
  pair.connect();
  pair.client.connection->write_copy("par");
  pair.until([&] { return seen.size() == 1; });
  pair.client.connection->write_copy("tial\nrest");
  pair.until([&] { return seen.size() == 2; });
  CHECK(seen[1] == "partial\nrest");
  pair.client.connection->write_copy("!");
  pair.until([&] { return seen.size() == 3; });
  CHECK(seen[2] == "rest!");
}

TEST_CASE("connection: a pause holds data and the end back, a resume gives both in a later turn") {
  StreamPair pair;
  pair.connect();
  pair.server.when_data = [&](std::string_view bytes) -> size_t {
    pair.server.got += bytes.substr(0, 2);
    pair.server.connection->pause_reading();
    return 2;
  };
  pair.open();
  pair.client.connection->write_copy("abcd");
  pair.client.connection->finish_writing();
  pair.until([&] { return pair.server.got == "ab"; });
  pair.settle();
  CHECK(pair.server.got == "ab");
  CHECK_FALSE(pair.server.ended);
  pair.server.connection->resume_reading();
  CHECK(pair.server.got == "ab");
  pair.until([&] { return pair.server.got == "abcd"; });
  pair.settle();
  CHECK_FALSE(pair.server.ended);
  pair.server.connection->resume_reading();
  pair.until([&] { return pair.server.ended; });
}

TEST_CASE("connection: a slow reader stops the writer, and on_drained starts it again") {
  StreamPair pair;
  pair.connect();
  pair.open();
  pair.client.connection->pause_reading();
  size_t written = 0;
  const size_t total = 32 << 20;
  const std::string block = pattern(64 * 1024, 3);
  const auto fill = [&] {
    while (written < total && pair.server.connection->buffered() <= Connection::kHighWater) {
      pair.server.connection->write_copy(block);
      written += block.size();
    }
  };
  pair.server.when_drained = fill;
  fill();
  pair.settle(2000);
  CHECK(written < total);
  CHECK(pair.server.connection->buffered() > Connection::kLowWater);
  pair.client.connection->resume_reading();
  pair.until([&] { return pair.client.got.size() == total; });
  CHECK(pair.server.drained > 0);
}

TEST_CASE("connection: on_progress comes once a flush that moved bytes, before on_drained") {
  StreamPair pair;
  pair.connect();
  pair.open();
  std::string order;
  pair.server.when_progress = [&] { order += 'p'; };
  pair.server.when_drained = [&] { order += 'd'; };
  SECTION("small writes of one turn are one flush") {
    pair.server.connection->write_copy("one");
    pair.server.connection->write_copy("two");
    pair.until([&] { return pair.client.got == "onetwo"; });
    CHECK(order == "p");
    pair.settle();
    CHECK(order == "p");
  }
  SECTION("before on_drained, and not while the kernel takes nothing") {
    pair.client.connection->pause_reading();
    pair.server.connection->write_copy(pattern(16 << 20, 7));
    pair.settle(500);
    REQUIRE(pair.server.connection->buffered() > Connection::kHighWater);
    CHECK_FALSE(order.empty());
    const size_t seen = order.size();
    pair.settle(500);
    CHECK(order.size() == seen);
    pair.client.connection->resume_reading();
    pair.until([&] { return pair.client.got.size() == 16 << 20; });
    pair.settle();
    CHECK(order.find('d') != std::string::npos);
    CHECK(order[order.find('d') - 1] == 'p');
  }
  SECTION("after finish_writing and close_after_flush it still tells of the bytes") {
    pair.server.connection->write_copy("last");
    const bool closing = GENERATE(false, true);
    closing ? pair.server.connection->close_after_flush()
            : pair.server.connection->finish_writing();
    pair.until([&] { return pair.client.ended; });
    CHECK(order == "p");
  }
  SECTION("the connection may be closed and retired in it") {
    pair.server.when_progress = [&] {
      pair.server.connection->close();
      pair.loop.retire(std::move(pair.server.connection));
    };
    pair.server.connection->write_copy("x");
    pair.until([&] { return pair.client.ended; });
    CHECK(pair.client.got == "x");
  }
}

TEST_CASE("connection: a refused connect is told once, as unreachable") {
  StreamPair pair;
  pair.listener.reset();
  pair.connect();
  pair.until([&] { return pair.client.error.has_value(); });
  CHECK(pair.client.error->kind == Error::Kind::unreachable);
  CHECK(pair.client.error->code == ECONNREFUSED);
  CHECK_FALSE(pair.client.open);
  pair.client.connection->write_copy("into the void");
  CHECK(pair.client.connection->buffered() == 0);
}

TEST_CASE("connection: a reset is an error, also while reading is paused") {
  StreamPair pair;
  pair.connect();
  pair.open();
  const bool paused = GENERATE(false, true);
  if (paused) {
    pair.server.connection->pause_reading();
    pair.client.connection->write_copy("unread");
    pair.settle();
  }
  pair.client.connection->close(true);
  pair.until([&] { return pair.server.error.has_value(); });
  CHECK(pair.server.error->kind == Error::Kind::closed);
  CHECK_FALSE(pair.server.ended);
  pair.server.connection->write_copy("late");
  pair.settle();
}

TEST_CASE("connection: an early answer is read although writing failed") {
  StreamPair pair;
  pair.connect();
  pair.open();
  pair.server.connection->write_copy("413");
  pair.server.connection->pause_reading();
  pair.settle();
  pair.client.got.clear();
  pair.client.connection->pause_reading();
  pair.server.connection->write_copy(" too large");
  pair.settle();
  pair.client.connection->resume_reading();
  pair.client.connection->write_copy(pattern(1 << 20, 4));
  pair.settle(3);
  pair.server.connection->close();  // with unread input: a reset
  pair.until([&] { return pair.client.error.has_value() || pair.client.ended; });
  CHECK(pair.client.error);
  CHECK(pair.client.got == " too large");
}

TEST_CASE("connection: close and retire inside callbacks are safe") {
  StreamPair pair;
  pair.connect();
  SECTION("in on_data") {
    pair.server.when_data = [&](std::string_view bytes) {
      pair.server.connection->close();
      pair.loop.retire(std::move(pair.server.connection));
      return bytes.size();
    };
    pair.client.connection->write_copy("x");
    pair.until([&] { return pair.client.ended; });
  }
  SECTION("in on_open, with writes queued") {
    pair.client.when_open = [&] {
      pair.client.connection->write_copy("y");
      pair.loop.retire(std::move(pair.client.connection));
    };
    pair.until([&] { return pair.server.ended; });
  }
  SECTION("in on_drained") {
    pair.client.connection->write_copy(pattern(1 << 20, 5));
    pair.client.when_drained = [&] { pair.loop.retire(std::move(pair.client.connection)); };
    pair.until([&] { return pair.server.ended || pair.server.error; });
  }
  pair.settle();
}

TEST_CASE("connection: close_after_flush sends everything, even when its user has gone") {
  StreamPair pair;
  pair.connect();
  pair.open();
  const std::string all = pattern(8 << 20, 6);
  pair.server.connection->write_copy(all);
  pair.server.connection->close_after_flush();
  const bool retire = GENERATE(false, true);
  if (retire) pair.loop.retire(std::move(pair.server.connection));
  pair.client.connection->write_copy("never read by anyone");
  pair.until([&] { return pair.client.ended; });
  CHECK(pair.client.got == all);
  pair.client.connection->close();
  if (!retire) {
    pair.until([&] { return pair.server.error.has_value(); });
    CHECK(pair.server.error->kind == Error::Kind::closed);
    CHECK(pair.server.got.empty());
  }
  pair.settle();
}

TEST_CASE("connection: a lingering connection goes after one second") {
  ManualClock clock;
  Loop loop(clock);
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
  auto connection = Connection::accepted(loop, fds[0], Address(), nullptr);
  End end;
  end.take(std::move(connection));
  end.connection->write_copy("bye");
  end.connection->close_after_flush();
  for (int i = 0; i < 5; ++i) loop.turn();
  CHECK_FALSE(end.error);
  char bytes[8];
  CHECK(::read(fds[1], bytes, sizeof bytes) == 3);
  CHECK(::read(fds[1], bytes, sizeof bytes) == 0);
  clock.advance(std::chrono::milliseconds(1001));
  loop.turn();
  REQUIRE(end.error);
  CHECK(end.error->kind == Error::Kind::closed);
  ::close(fds[1]);
}
