// nghttp2's side of an H2Session: its callbacks and the bytes of bodies.
//
// Private to core/http: h2_session.cc makes sessions with it.
#pragma once

struct nghttp2_session;

namespace bw::http {

class H2Session;
class H2Stream;

// A session that calls `owner` back; null: no memory.
nghttp2_session* make_nghttp2_session(H2Session& owner, bool server);
// Lends the head of `stream` to nghttp2 and starts its body, if it has one. False: refused.
bool submit_head(nghttp2_session* session, H2Session& owner, H2Stream& stream, bool server,
                 bool with_body);

}  // namespace bw::http
