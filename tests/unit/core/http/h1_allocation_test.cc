// What a kept-alive request costs of the heap: nothing, below the handler. Counts operator new of
// the whole test program.
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>
#include <string>

#include "core/base/check.h"
#include "core/http/server.h"

namespace {
thread_local size_t allocations = 0;
}

void* operator new(size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
void* operator new(size_t size) {
  if (void* p = operator new(size, std::nothrow)) return p;
  std::abort();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { std::free(p); }

using namespace bw;
using namespace bw::http;

namespace {

constexpr size_t kPipelined = 16;
const std::string kBig(4000, 'b');

// Answers at once, from places that are there already.
class StaticService final : public Service {
 public:
  std::string_view body = "hello";
  size_t sent = 0;

  std::unique_ptr<StreamHandler> on_request(ServerStream& stream) override {
    stream.send_prepared(head_, {});
    stream.send_body(Slice::of_static(body));
    stream.finish();
    return std::make_unique<Handler>(*this);
  }
  void prepare() {
    head_ = PreparedHead(200, body.size());
    head_.add({FieldId::content_type, "content-type", "text/plain"});
  }

 private:
  struct Handler final : StreamHandler {
    explicit Handler(StaticService& s) : service(s) {}
    static void* operator new(size_t) {
      BW_CHECK(used < kPipelined * 2);
      return room[used++];
    }
    static void operator delete(void*) {
      if (--gone == 0) used = 0, gone = kPipelined;
    }
    void on_body(std::string_view) override {}
    void on_body_end(const FieldList&) override {}
    void on_abort(Error) override {}
    void on_sent() override { ++service.sent; }
    StaticService& service;
    alignas(16) static inline char room[kPipelined * 2][64];
    static inline size_t used = 0;
    static inline size_t gone = kPipelined;
  };
  PreparedHead head_;
};

size_t allocations_of_rounds(std::string_view body) {
  ManualClock clock;
  net::Loop loop(clock);
  StaticService service;
  service.body = body;
  service.prepare();
  Server server(loop, service, {});
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  server.accept(ends[0], net::Address());
  std::string requests;
  for (size_t i = 0; i < kPipelined; ++i) {
    requests +=
        "GET /a/path/longer/than/a/small/string HTTP/1.1\r\nHost: static.example\r\n"
        "User-Agent: test\r\nAccept: */*\r\n\r\n";
  }
  static char answers[256 * 1024];
  const auto round = [&] {
    const size_t before = service.sent;
    REQUIRE(::send(ends[1], requests.data(), requests.size(), 0) ==
            static_cast<ssize_t>(requests.size()));
    for (int turn = 0; turn < 100 && service.sent < before + kPipelined; ++turn) loop.turn(false);
    loop.turn(false);
    CHECK(service.sent == before + kPipelined);
    ssize_t n = 0;
    size_t got = 0;
    while ((n = ::recv(ends[1], answers, sizeof answers, 0)) > 0) got += static_cast<size_t>(n);
    CHECK(got > kPipelined * body.size());
  };
  for (int i = 0; i < 4; ++i) round();
  size_t counted = 0;
  for (int i = 0; i < 4; ++i) {
    const size_t before = service.sent;
    if (::send(ends[1], requests.data(), requests.size(), 0) < 0) return SIZE_MAX;
    const size_t start = allocations;
    for (int turn = 0; turn < 100 && service.sent < before + kPipelined; ++turn) loop.turn(false);
    loop.turn(false);
    counted += allocations - start;
    while (::recv(ends[1], answers, sizeof answers, 0) > 0) {
    }
  }
  ::close(ends[1]);
  server.close_all();
  for (int i = 0; i < 4; ++i) loop.turn(false);
  return counted;
}

}  // namespace

TEST_CASE("h1 server: kept-alive requests take nothing from the heap below their handlers") {
  CHECK(allocations_of_rounds("hello") == 0);
  CHECK(allocations_of_rounds(kBig) == 0);
}
