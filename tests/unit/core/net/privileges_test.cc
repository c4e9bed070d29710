#include "core/net/privileges.h"

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "tests/support/temp_dir.h"

using namespace bw;
using namespace bw::net;

namespace {

// What `body` answers, in a process of its own.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

struct Supervisor {
  int fd = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  explicit Supervisor(const std::string& path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, path.data(), path.size());
    const bool abstract = path[0] == '@';
    if (abstract) at.sun_path[0] = '\0';
    const size_t size = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
    REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), static_cast<socklen_t>(size)) == 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~Supervisor() {
    ::close(fd);
    ::unsetenv("NOTIFY_SOCKET");
  }
  std::string told() {
    char text[256];
    const ssize_t n = ::recv(fd, text, sizeof text, MSG_DONTWAIT);
    return n < 0 ? std::string() : std::string(text, static_cast<size_t>(n));
  }
};

}  // namespace

TEST_CASE("privileges: nobody is told when there is no supervisor") {
  ::unsetenv("NOTIFY_SOCKET");
  CHECK(sd_notify("READY=1").ok());
}

TEST_CASE("privileges: the supervisor is told, by path and by abstract name") {
  test::TempDir dir;
  const bool abstract = GENERATE(false, true);
  Supervisor supervisor(abstract ? "@breakwater-test-" + std::to_string(::getpid())
                                 : dir / "notify");
  CHECK(sd_notify("READY=1\nSTATUS=well").ok());
  CHECK(supervisor.told() == "READY=1\nSTATUS=well");
  CHECK(sd_notify_reloading().ok());
  const std::string told = supervisor.told();
  CHECK(told.starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(std::atoll(told.c_str() + std::strlen("RELOADING=1\nMONOTONIC_USEC=")) > 0);
}

TEST_CASE("privileges: a supervisor that isn't there is an error") {
  for (const std::string& path :
       {std::string("relative"), "/" + std::string(200, 'x'), std::string("/no/such/socket")}) {
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    CHECK_FALSE(sd_notify("READY=1").ok());
  }
  ::unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("privileges: root becomes the user for good, others stay what they are") {
  if (::geteuid() != 0) {
    CHECK(drop_privileges("no-such-user", "", nullptr).ok());
    return;
  }
  const passwd* nobody = ::getpwnam("nobody");
  REQUIRE(nobody != nullptr);
  const uid_t uid = nobody->pw_uid;
  const gid_t gid = nobody->pw_gid;
  CHECK(in_child([&] {
          if (!drop_privileges("nobody", "", nullptr).ok()) return 1;
          if (::getuid() != uid || ::geteuid() != uid || ::getgid() != gid) return 2;
          gid_t groups[64];
          const int count = ::getgroups(64, groups);
          for (int i = 0; i < count; ++i) {
            if (groups[i] == 0) return 3;
          }
          return ::setuid(0) == 0 ? 4 : 0;
        }) == 0);
  CHECK(in_child([&] {
          if (!drop_privileges("nobody", "daemon", nullptr).ok()) return 1;
          return ::getgid() == ::getgrnam("daemon")->gr_gid && ::getuid() == uid ? 0 : 2;
        }) == 0);
  CHECK(in_child([] { return drop_privileges("", "", nullptr).ok() && ::getuid() == 0 ? 0 : 1; }) ==
        0);
}

TEST_CASE("privileges: unknown users and groups are told") {
  if (::geteuid() != 0) return;
  std::string why;
  CHECK_FALSE(drop_privileges("no-such-user", "", &why).ok());
  CHECK(why == "no user no-such-user");
  CHECK_FALSE(drop_privileges("nobody", "no-such-group", &why).ok());
  CHECK(why == "no group no-such-group");
}

TEST_CASE("privileges: the descriptor limit is raised to the hard one") {
  CHECK(in_child([] {
          rlimit limit{};
          ::getrlimit(RLIMIT_NOFILE, &limit);
          limit.rlim_cur = 64;
          ::setrlimit(RLIMIT_NOFILE, &limit);
          const uint64_t raised = raise_descriptor_limit();
          ::getrlimit(RLIMIT_NOFILE, &limit);
          return raised == limit.rlim_max && limit.rlim_cur == limit.rlim_max ? 0 : 1;
        }) == 0);
}
