#include <cstdio>

int main() {
  std::fputs("breakwater: usage: breakwater PROGRAM [OPTIONS]\n", stderr);
  return 2;
}
