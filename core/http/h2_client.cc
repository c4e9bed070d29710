#include "core/http/client_session.h"

namespace bw::http {

// None in this build: whoever asks for HTTP/2 gets a clear error from the pool.
std::unique_ptr<ClientSession> make_h2_client_session(ClientSessionParts) { return nullptr; }

}  // namespace bw::http
