// What the store answers: products, lists and events, with their validators, tags and conditions.
#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/digest.h"
#include "core/base/log.h"
#include "core/http/dates.h"
#include "core/text/json.h"
#include "origin/api.h"
#include "origin/conditional.h"
#include "origin/gzip.h"
#include "origin/product.h"

namespace bw::origin {
namespace {

using http::EndpointRequest;
using http::EndpointResponse;
using http::FieldId;
using text::Json;

constexpr std::string_view kProducts = "/v1/products";
constexpr std::string_view kFreshness =
    "max-age=60, stale-while-revalidate=30, stale-if-error=86400";
constexpr std::string_view kAbsentFreshness = "max-age=10";
constexpr std::string_view kListTag = "products";
constexpr size_t kLeastCompressed = 256;
constexpr size_t kMostListed = 100;
constexpr size_t kUsuallyListed = 20;

std::string etag_of(std::string_view bytes) {
  const Hash128 mark = xxh3_128(bytes);
  char raw[16];
  std::memcpy(raw, &mark.hi, 8);
  std::memcpy(raw + 8, &mark.lo, 8);
  return "\"" + hex({raw, sizeof raw}) + "\"";
}

EndpointResponse problem(int status, std::string_view name, std::string_view detail) {
  EndpointResponse response = EndpointResponse::problem(status, name, detail);
  response.fields.add(FieldId::cache_control, "no-store");
  return response;
}

EndpointResponse malformed_query() { return problem(400, "query", "a percent escape is broken"); }

EndpointResponse storage_problem(const Error& error) {
  log::error("store: " + describe(error));
  if (error.kind == Error::Kind::busy) return problem(503, "busy", "too many purges wait");
  return problem(500, "storage", "");
}

EndpointResponse method_problem(std::string_view allowed) {
  EndpointResponse response = EndpointResponse::wrong_method(allowed);
  response.fields.add(FieldId::cache_control, "no-store");
  return response;
}

EndpointResponse absent(std::string_view id) {
  EndpointResponse response = EndpointResponse::problem(404, "not-found", "no such product");
  response.fields.add(FieldId::cache_control, kAbsentFreshness);
  response.fields.add(FieldId::cache_tag, product_tag(id));
  return response;
}

// A representation with its validators, compressed when that is welcome; 304 when it is known.
EndpointResponse represent(const EndpointRequest& request, std::string body, std::string tags,
                           std::optional<WallTime> modified, WallTime now) {
  EndpointResponse response = EndpointResponse::json(200, std::move(body));
  Validators validators{.etag = etag_of(response.body), .last_modified = {}};
  if (modified) validators.last_modified = modified->seconds();
  if (accepts_gzip(request.head) && response.body.size() >= kLeastCompressed) {
    if (std::optional<std::string> small = gzip(response.body)) {
      validators.etag = gzip_etag(validators.etag);
      response.body = std::move(*small);
      response.fields.add(FieldId::content_encoding, "gzip");
    }
  }
  response.fields.add(FieldId::cache_control, kFreshness);
  response.fields.add(FieldId::cache_tag, tags);
  response.fields.add(FieldId::vary, "accept-encoding");
  response.fields.add(FieldId::etag, validators.etag);
  if (validators.last_modified) {
    response.fields.add(FieldId::last_modified, http::format_date(*validators.last_modified));
  }
  switch (judge(request.head, &validators, now.seconds())) {
    case Precondition::go:
      break;
    case Precondition::not_modified:
      response.status = 304;
      response.body.clear();
      response.fields.remove(FieldId::content_type);
      response.fields.remove(FieldId::content_encoding);
      break;
    case Precondition::failed:
      return problem(412, "precondition", "");
  }
  return response;
}

std::string tags_of(std::string_view id, const Json& product) {
  const std::string category = category_tag(product);
  return product_tag(id) + (category.empty() ? "" : ", " + category);
}

EndpointResponse get_product(const EndpointRequest& request, const std::string& id,
                             ProductStore& store, WallTime now) {
  if (!http::percent_decode(request.head.query().value_or(""))) return malformed_query();
  const auto fields = parse_fields(request.query("fields").value_or(""));
  if (!fields) return problem(400, "query", "fields: names of a product's members");
  const auto found = store.get(id);
  if (!found) return storage_problem(found.error());
  if (!*found) return absent(id);
  const Result<Json> product = Json::parse((*found)->text);
  if (!product) return storage_problem(product.error());
  return represent(request, project(*product, *fields).dump(), tags_of(id, *product),
                   (*found)->updated, now);
}

EndpointResponse list_products(const EndpointRequest& request, ProductStore& store, WallTime now) {
  if (!http::percent_decode(request.head.query().value_or(""))) return malformed_query();
  const auto fields = parse_fields(request.query("fields").value_or(""));
  if (!fields) return problem(400, "query", "fields: names of a product's members");
  size_t limit = kUsuallyListed;
  if (const auto text = request.query("limit")) {
    const auto end = text->data() + text->size();
    const auto [at, error] = std::from_chars(text->data(), end, limit);
    if (error != std::errc() || at != end || limit < 1 || limit > kMostListed) {
      return problem(400, "query", "limit: 1 to 100");
    }
  }
  const std::string cursor = request.query("cursor").value_or("");
  if (!cursor.empty() && !is_product_id(cursor)) return problem(400, "query", "cursor: not ours");
  auto found = store.list(cursor, limit + 1);
  if (!found) return storage_problem(found.error());
  const bool more = found->size() > limit;
  if (more) found->pop_back();
  Json items = Json::array();
  std::string tags(kListTag);
  for (const StoredProduct& stored : *found) {
    const Result<Json> product = Json::parse(stored.text);
    if (!product) return storage_problem(product.error());
    items.push(project(*product, *fields));
    tags += ", " + product_tag(stored.id);
  }
  Json list = Json::object();
  list.set("items", std::move(items));
  list.set("next", more ? Json(found->back().id) : Json());
  return represent(request, list.dump(), std::move(tags), std::nullopt, now);
}

EndpointResponse change_product(EndpointRequest request, const std::string& id, ProductStore& store,
                                WallTime now, bool& wrote) {
  const std::string& method = request.head.method;
  Json given;
  if (method != "DELETE") {
    std::string why;
    Result<Json> parsed = Json::parse(request.body, {.max_bytes = Api::kMaxBody}, &why);
    if (!parsed) return problem(400, "json", why);
    given = std::move(*parsed);
  }
  // A client may hold the tag of the compressed twin.
  if (const auto match = request.head.fields.combined(FieldId::if_match)) {
    request.head.fields.set(FieldId::if_match, without_gzip_marks(*match));
  }
  EndpointResponse response;
  const Status changed = store.change(id, now, [&](const std::optional<StoredProduct>& current) {
    using Change = ProductStore::Change;
    Json old;
    std::optional<Validators> validators;
    if (current) {
      validators.emplace();
      validators->etag = etag_of(current->text);
      validators->last_modified = current->updated.seconds();
      Result<Json> parsed = Json::parse(current->text);
      if (parsed) old = std::move(*parsed);
    }
    if (judge(request.head, validators ? &*validators : nullptr, now.seconds()) !=
        Precondition::go) {
      response = problem(412, "precondition", "");
      return Change{};
    }
    Change change;
    change.tags = {product_tag(id)};
    if (const std::string category = category_tag(old); !category.empty()) {
      change.tags.push_back(category);
    }
    if (method != "PUT" && !current) {
      response = problem(404, "not-found", "no such product");
      return Change{};
    }
    if (method == "DELETE") {
      change.kind = Change::Kind::erase;
      change.tags.emplace_back(kListTag);
      response.status = 204;
      response.fields.add(FieldId::cache_control, "no-store");
      return change;
    }
    std::string why;
    const Json wanted = method == "PATCH" ? merge_patch(old, given) : given;
    const Result<Json> product = make_product(id, wanted, now, &why);
    if (!product) {
      response = problem(422, "product", why);
      return Change{};
    }
    const std::string category = category_tag(*product);
    if (std::find(change.tags.begin(), change.tags.end(), category) == change.tags.end()) {
      change.tags.push_back(category);
    }
    if (!current) change.tags.emplace_back(kListTag);
    change.kind = Change::Kind::put;
    change.text = product->dump();
    response = EndpointResponse::json(current ? 200 : 201, change.text);
    response.fields.add(FieldId::cache_control, "no-store");
    response.fields.add(FieldId::etag, etag_of(change.text));
    response.fields.add(FieldId::last_modified, http::format_date(now.seconds()));
    if (!current) response.fields.add(FieldId::location, std::string(kProducts) + "/" + id);
    return change;
  });
  if (!changed) return storage_problem(changed.error());
  wrote = response.status < 300;
  return response;
}

EndpointResponse add_event(const EndpointRequest& request, ProductStore& store) {
  std::string why;
  const Result<Json> event = Json::parse(request.body, {.max_bytes = Api::kMaxBody}, &why);
  if (!event) return problem(400, "json", why);
  const Result<uint64_t> number = store.add_event(request.body);
  if (!number) return storage_problem(number.error());
  Json body = Json::object();
  body.set("id", std::to_string(*number));
  EndpointResponse response = EndpointResponse::json(202, body.dump());
  response.fields.add(FieldId::cache_control, "no-store");
  return response;
}

}  // namespace

EndpointResponse answer_from_store(const EndpointRequest& request, ProductStore& store,
                                   WallTime now, bool& wrote) {
  const std::string_view path = request.head.path();
  const std::string& method = request.head.method;
  const bool reads = method == "GET" || method == "HEAD";
  if (path == "/v1/events") {
    return method == "POST" ? add_event(request, store) : method_problem("POST");
  }
  if (path == kProducts) {
    return reads ? list_products(request, store, now) : method_problem("GET, HEAD");
  }
  const std::string_view rest = path.substr(kProducts.size());
  const std::optional<std::string> id = http::percent_decode(rest.substr(1));
  if (!id || !is_product_id(*id)) return problem(404, "not-found", "no such product");
  if (reads) return get_product(request, *id, store, now);
  if (method == "PUT" || method == "PATCH" || method == "DELETE") {
    return change_product(request, *id, store, now, wrote);
  }
  return method_problem("GET, HEAD, PUT, PATCH, DELETE");
}

}  // namespace bw::origin
