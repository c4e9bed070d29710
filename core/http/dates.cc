#include "core/http/dates.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "core/http/server_connection.h"

namespace bw::http {
namespace {

constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};

// A reader of fixed formats: every take answers false once anything didn't match.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  bool literal(std::string_view wanted) {
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  bool number(size_t digits, int& value) {
    if (rest_.size() < digits) return false;
    value = 0;
    for (size_t i = 0; i < digits; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') return false;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return true;
  }
  template <size_t N>
  bool name(const std::array<std::string_view, N>& names, int& index) {
    for (size_t i = 0; i < N; ++i) {
      if (literal(names[i])) {
        index = static_cast<int>(i);
        return true;
      }
    }
    return false;
  }
  bool time(int& hour, int& minute, int& second) {
    return number(2, hour) && literal(":") && number(2, minute) && literal(":") &&
           number(2, second);
  }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

struct Parts {
  int day_name = 0;
  int year = 0;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

std::optional<int64_t> seconds_of(const Parts& parts) {
  using namespace std::chrono;
  const year_month_day date(year(parts.year), month(static_cast<unsigned>(parts.month + 1)),
                            day(static_cast<unsigned>(parts.day)));
  // A leap second is read as the second after it, as POSIX time does.
  if (!date.ok() || parts.hour > 23 || parts.minute > 59 || parts.second > 60) return std::nullopt;
  const int64_t days = sys_days(date).time_since_epoch().count();
  return days * 86400 + parts.hour * 3600 + parts.minute * 60 + parts.second;
}

int year_of(int64_t seconds) {
  using namespace std::chrono;
  const sys_days day = floor<days>(sys_seconds(std::chrono::seconds(seconds)));
  return static_cast<int>(year_month_day(day).year());
}

// RFC 850: two digits that seem more than 50 years ahead are of the past century.
int full_year(int two_digits, int64_t now) {
  const int current = year_of(now);
  int year = current - current % 100 + two_digits;
  if (year > current + 50) year -= 100;
  if (year <= current - 50) year += 100;
  return year;
}

}  // namespace

std::optional<int64_t> parse_date(std::string_view text, int64_t now) {
  Parts p;
  Reader fixdate(text);  // Sun, 06 Nov 1994 08:49:37 GMT
  if (fixdate.name(kDays, p.day_name) && fixdate.literal(", ") && fixdate.number(2, p.day) &&
      fixdate.literal(" ") && fixdate.name(kMonths, p.month) && fixdate.literal(" ") &&
      fixdate.number(4, p.year) && fixdate.literal(" ") &&
      fixdate.time(p.hour, p.minute, p.second) && fixdate.literal(" GMT") && fixdate.at_end()) {
    return seconds_of(p);
  }
  Reader rfc850(text);  // Sunday, 06-Nov-94 08:49:37 GMT
  if (rfc850.name(kLongDays, p.day_name) && rfc850.literal(", ") && rfc850.number(2, p.day) &&
      rfc850.literal("-") && rfc850.name(kMonths, p.month) && rfc850.literal("-") &&
      rfc850.number(2, p.year) && rfc850.literal(" ") && rfc850.time(p.hour, p.minute, p.second) &&
      rfc850.literal(" GMT") && rfc850.at_end()) {
    p.year = full_year(p.year, now);
    return seconds_of(p);
  }
  Reader asctime(text);  // Sun Nov  6 08:49:37 1994
  if (asctime.name(kDays, p.day_name) && asctime.literal(" ") && asctime.name(kMonths, p.month) &&
      asctime.literal(" ") && asctime.number(asctime.literal(" ") ? 1 : 2, p.day) &&
      asctime.literal(" ") && asctime.time(p.hour, p.minute, p.second) && asctime.literal(" ") &&
      asctime.number(4, p.year) && asctime.at_end()) {
    return seconds_of(p);
  }
  return std::nullopt;
}

std::string format_date(int64_t seconds) {
  using namespace std::chrono;
  constexpr int64_t kFirst = -62'167'219'200;  // of year 0
  constexpr int64_t kLast = 253'402'300'799;   // of year 9999
  seconds = std::clamp(seconds, kFirst, kLast);
  const sys_days day = floor<days>(sys_seconds(std::chrono::seconds(seconds)));
  const year_month_day date(day);
  const int64_t time = seconds - int64_t{day.time_since_epoch().count()} * 86400;

  std::string text;
  text.reserve(29);
  const auto number = [&text](int64_t value, int digits) {
    char reversed[4];
    for (int i = 0; i < digits; ++i, value /= 10) reversed[i] = static_cast<char>('0' + value % 10);
    for (int i = digits; i-- > 0;) text.push_back(reversed[i]);
  };
  text.append(kDays[weekday(day).c_encoding()]).append(", ");
  number(static_cast<unsigned>(date.day()), 2);
  text.append(" ").append(kMonths[static_cast<unsigned>(date.month()) - 1]).append(" ");
  number(static_cast<int>(date.year()), 4);
  text.append(" ");
  number(time / 3600, 2);
  text.append(":");
  number(time / 60 % 60, 2);
  text.append(":");
  number(time % 60, 2);
  text.append(" GMT");
  return text;
}

std::string_view date_now(const net::Loop& loop) {
  thread_local int64_t made_for = INT64_MIN;
  thread_local std::string text;
  const int64_t now = loop.wall().seconds();
  if (now != made_for) {
    text = format_date(now);
    made_for = now;
  }
  return text;
}

}  // namespace bw::http
