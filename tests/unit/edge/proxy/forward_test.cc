#include "edge/proxy/forward.h"

#include <catch2/catch.hpp>

#include "edge/cache/cache_policy.h"

using namespace bw;
using namespace bw::edge;

namespace {

struct Setting {
  Setting() { route.policy = policy; }
  http::RequestHead forward(bool may_store, bool trusted = false) {
    const ForwardFacts facts{.node = "edge1",
                             .route = route,
                             .client = client,
                             .peer = peer,
                             .peer_trusted = trusted,
                             .may_store = may_store,
                             .request_id = "id1"};
    return forward_request(head, facts);
  }
  std::shared_ptr<SitePolicy> policy = std::make_shared<SitePolicy>();
  Route route;
  ClientFacts client{.ip = *net::Ip::parse("192.0.2.1")};
  net::Ip peer = *net::Ip::parse("10.0.0.1");
  http::RequestHead head{.method = "GET",
                         .scheme = "https",
                         .authority = "www.shop.test",
                         .target = "/p",
                         .version = http::Version::http2};
};

}  // namespace

TEST_CASE("forward: what steers an origin unkeyed is dropped from a fetch that may be stored") {
  Setting setting;
  for (const char* name : {"x-original-url", "x-rewrite-url", "x-host", "x-http-method-override",
                           "x-forwarded-server", "forwarded"}) {
    setting.head.fields.add(name, "evil");
  }
  const http::RequestHead sent = setting.forward(true);
  for (const http::Field field : sent.fields) CHECK(field.value != "evil");
  CHECK(sent.fields.find(http::FieldId::x_forwarded_for) == "192.0.2.1");
  CHECK(sent.fields.find(http::FieldId::x_forwarded_proto) == "https");
  CHECK(sent.fields.find(http::FieldId::x_forwarded_host) == "www.shop.test");

  setting.policy->key.headers = {"x-original-url"};
  CHECK(setting.forward(true).fields.find("x-original-url") == "evil");
}

TEST_CASE("forward: the chain of addresses goes on only behind a trusted peer") {
  Setting setting;
  setting.head.fields.add(http::FieldId::x_forwarded_for, "198.51.100.7");
  CHECK(setting.forward(false, true).fields.find(http::FieldId::x_forwarded_for) ==
        "198.51.100.7, 10.0.0.1");
  CHECK(setting.forward(false, false).fields.find(http::FieldId::x_forwarded_for) == "10.0.0.1");
}

TEST_CASE("forward: a fetch that may be stored asks for the whole, unconditionally") {
  Setting setting;
  setting.head.method = "HEAD";
  for (const char* name : {"range", "if-range", "if-match", "if-none-match", "if-modified-since",
                           "if-unmodified-since"}) {
    setting.head.fields.add(name, "x");
  }
  setting.head.fields.add(http::FieldId::accept_encoding, "gzip;q=0.5, deflate, br;q=0");
  const http::RequestHead sent = setting.forward(true);
  CHECK(sent.method == "GET");
  for (const char* name : {"range", "if-range", "if-match", "if-none-match", "if-modified-since",
                           "if-unmodified-since"}) {
    CHECK_FALSE(sent.fields.find(name).has_value());
  }
  CHECK(sent.fields.find(http::FieldId::accept_encoding) == "gzip");
}

TEST_CASE("forward: tier fields of clients go, in whatever spelling") {
  Setting setting;
  setting.head.fields.add("breakwater-client", "1.2.3.4");
  setting.head.fields.add("breakwater_hop", "1");
  setting.head.fields.add("connection", "x-mine");
  setting.head.fields.add("x-mine", "1");
  const http::RequestHead sent = setting.forward(false);
  CHECK_FALSE(sent.fields.find("breakwater-client").has_value());
  CHECK_FALSE(sent.fields.find("breakwater_hop").has_value());
  CHECK_FALSE(sent.fields.find("x-mine").has_value());
  CHECK(sent.fields.find(http::FieldId::via) == "2 edge1");
  CHECK(sent.fields.find(http::FieldId::x_request_id) == "id1");
}

TEST_CASE("forward: loops are found by our own members of CDN-Loop") {
  http::FieldList fields;
  fields.add(http::FieldId::cdn_loop, "other, breakwater;node=edge1 ,breakwater;node=edge12");
  fields.add(http::FieldId::cdn_loop, "breakwater;node=shield1");
  CHECK(find_loop(fields, "edge1").this_node);
  CHECK(find_loop(fields, "edge1").ours == 3);
  CHECK_FALSE(find_loop(fields, "edge").this_node);
  CHECK_FALSE(find_loop({}, "edge1").this_node);
}
