#include "edge/proxy/delivery.h"

#include "tests/unit/edge/proxy/proxy_rig.h"

using namespace bw::edge;
using namespace bw;

namespace {

// A disk that answers `busy` reads with busy before it answers one.
struct BusySource final : BodySource {
  explicit BusySource(std::string all) : bytes(std::move(all)) {}
  void read(uint64_t offset, size_t length, UniqueFunction<void(Result<Slice>)> done) override {
    ++reads;
    if (busy > 0) {
      --busy;
      done(Error{.kind = Error::Kind::busy, .side = Error::Side::storage, .text = "busy"});
      return;
    }
    done(Slice::copy_of(std::string_view(bytes).substr(offset, std::min<size_t>(length, 4))));
  }
  std::string bytes;
  int busy = 0;
  int reads = 0;
};

struct Scene final : DeliveryEvents {
  Scene() {
    ObjectMeta meta;
    meta.status = 200;
    meta.body_size = source->bytes.size();
    object = Ref<Object>(new Object(meta, source));
    client.send_head({.status = 200});
  }
  void on_delivered(std::optional<Error> error) override {
    delivered = true;
    fault = error;
  }
  void on_overrun() override {
    ++overruns;
    if (busy > 0) {
      --busy;
      delivery.no_rest({.kind = Error::Kind::busy, .side = Error::Side::self, .text = "busy"});
    } else {
      delivery.resume_from(object);
    }
  }
  void turn(int turns) {
    for (int i = 0; i < turns; ++i) {
      loop.turn(false);
      clock.advance(Delivery::kAskAgain);
    }
  }

  ManualClock clock;
  net::Loop loop{clock};
  std::shared_ptr<BusySource> source = std::make_shared<BusySource>("0123456789");
  Ref<Object> object;
  ScriptedClient client{loop};
  int busy = 0;  // answers to on_overrun
  int overruns = 0;
  bool delivered = false;
  std::optional<Error> fault;
  Delivery delivery{loop, client, *this};
};

}  // namespace

TEST_CASE("delivery: a disk that is busy for a while delays a body and doesn't break it") {
  Scene scene;
  scene.source->busy = 7;
  scene.delivery.from_object(scene.object, 0, 10, Slice::copy_of("01"));
  scene.turn(40);
  CHECK(scene.delivered);
  CHECK_FALSE(scene.fault);
  CHECK(scene.client.body == "0123456789");
  CHECK(scene.client.finished);
}

TEST_CASE("delivery: a disk that stays busy ends the body visibly, as busy") {
  Scene scene;
  scene.source->busy = 1'000'000;
  scene.delivery.from_object(scene.object, 0, 10, Slice::copy_of("01"));
  scene.turn(static_cast<int>(Delivery::kPatience / Delivery::kAskAgain) - 2);
  CHECK_FALSE(scene.delivered);
  scene.turn(10);
  REQUIRE(scene.fault);
  CHECK(scene.fault->kind == Error::Kind::busy);
  CHECK(scene.client.aborted);
}

TEST_CASE("delivery: who left while the disk is busy isn't asked for any more") {
  Scene scene;
  scene.source->busy = 1'000'000;
  scene.delivery.from_object(scene.object, 0, 10, Slice::copy_of("01"));
  scene.turn(3);
  const int reads = scene.source->reads;
  CHECK(reads > 1);
  scene.client.left = true;
  scene.delivery.stop();
  scene.turn(10);
  CHECK(scene.source->reads == reads);
  CHECK(scene.client.misuses == 0);
}

TEST_CASE("delivery: who was overrun asks a busy disk for the rest again, and gets it") {
  Scene scene;
  scene.busy = 5;
  scene.on_overrun();
  scene.turn(40);
  CHECK(scene.overruns == 6);
  CHECK(scene.delivered);
  CHECK_FALSE(scene.fault);
}
