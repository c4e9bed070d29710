# Warnings are errors; sanitizers apply to everything of ours.
# Designated initialisers name what differs from the defaults; leaving the rest out is their point.
add_compile_options(-Wall -Wextra -Wconversion -Werror -Wno-missing-field-initializers
                    -fno-omit-frame-pointer
                    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wthread-safety -Wno-sign-conversion)
endif()
if(BW_SANITIZE)
  add_compile_options(-fsanitize=${BW_SANITIZE})
  add_link_options(-fsanitize=${BW_SANITIZE})
  if(BW_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
  endif()
endif()
