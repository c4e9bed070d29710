# bw_room(NAME [LINK ...] [PRIVATE ...]): one static library of every .cc in the folder.
# LINK names the rooms below it (the same table as scripts/layers.py); PRIVATE a third-party home.
function(bw_room name)
  cmake_parse_arguments(ROOM "" "" "LINK;PRIVATE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  if(NOT sources)  # a room of headers only
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${CMAKE_SOURCE_DIR})
    target_link_libraries(${name} INTERFACE ${ROOM_LINK})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ROOM_LINK} PRIVATE ${ROOM_PRIVATE})
endfunction()

# bw_fuzz(FILE): tests/fuzz/NAME_fuzz.cc becomes NAME_fuzz; its corpus is tests/fuzz/corpus/NAME.
function(bw_fuzz file)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" topic ${name})
  add_executable(${name} ${file})
  target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  target_link_libraries(${name} PRIVATE geo core_http core_dns core_text core_net core_base geo_locate
                        purge purge_client edge_cache edge_guard)
  set(corpus ${CMAKE_CURRENT_SOURCE_DIR}/corpus/${topic})
  set(scratch ${CMAKE_CURRENT_BINARY_DIR}/scratch/${topic})
  file(MAKE_DIRECTORY ${scratch})
  set(corpus_argument)
  if(IS_DIRECTORY ${corpus})
    set(corpus_argument ${corpus})
  endif()
  add_test(NAME ${name} COMMAND ${name} -runs=20000 -max_total_time=20 -max_len=4096 -timeout=10
                                ${scratch} ${corpus_argument})
  set_tests_properties(${name} PROPERTIES TIMEOUT 120 LABELS fuzz)
endfunction()
