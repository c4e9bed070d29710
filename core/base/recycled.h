// Objects that come and go with each request: their memory is kept by the thread and used again.
//
//   class Exchange final : public Handler, public Recycled<Exchange> { ... };
//
// Threads: any; memory goes to the thread that freed it. Bounds: kSpare blocks a thread and type.
#pragma once

#include <cstddef>
#include <new>

#include "core/base/check.h"

namespace bw {

template <typename T>
class Recycled {
 public:
  static void* operator new(size_t size) {
    BW_CHECK(size == sizeof(T));  // of exactly this type: derive no further
    Spare& spare = Spare::mine();
    if (spare.count == 0) return ::operator new(size);
    return spare.blocks[--spare.count];
  }
  static void operator delete(void* block) {
    Spare& spare = Spare::mine();
    if (spare.count < kSpare) {
      spare.blocks[spare.count++] = block;
    } else {
      ::operator delete(block);
    }
  }

 private:
  static constexpr size_t kSpare = 64;
  struct Spare {
    ~Spare() {
      while (count > 0) ::operator delete(blocks[--count]);
    }
    static Spare& mine() {
      thread_local Spare spare;
      return spare;
    }
    size_t count = 0;
    void* blocks[kSpare];
  };
};

}  // namespace bw
