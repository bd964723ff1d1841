# Programs lie together in bin/, whichever folder makes them.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)

# quamba2_module(NAME graph DEPS ops tensor SRCS graph.cc TESTS graph_test.cc [LIBS fmt::fmt] [TEST_DEPS backends_cpu])
#
# Makes the static library quamba2_<name> and one test program <name>_test. DEPS are the layers that the
# module may include: tools/check_layers reads them from here, so they are written once.
function(quamba2_module)
  cmake_parse_arguments(M "" "NAME" "DEPS;SRCS;TESTS;LIBS;TEST_DEPS" ${ARGN})
  set(target quamba2_${M_NAME})
  add_library(${target} STATIC ${M_SRCS})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(${target} PRIVATE quamba2_options)
  foreach(dep IN LISTS M_DEPS)
    target_link_libraries(${target} PUBLIC quamba2_${dep})
  endforeach()
  target_link_libraries(${target} PRIVATE ${M_LIBS})

  if(QUAMBA2_TESTS AND M_TESTS)
    set(test_sources ${M_TESTS})
    quamba2_test(NAME ${M_NAME}_test SRCS ${test_sources} DEPS ${M_NAME} ${M_TEST_DEPS})
  endif()
endfunction()

# quamba2_test(NAME graph_test SRCS a_test.cc DEPS graph backend [LABELS slow]): a GoogleTest program, one CTest entry a
# test case. GoogleTest is precompiled once and shared.
function(quamba2_test)
  cmake_parse_arguments(T "" "NAME;LABELS" "SRCS;DEPS" ${ARGN})
  if(NOT TARGET quamba2_gtest)
    add_library(quamba2_gtest STATIC ${PROJECT_SOURCE_DIR}/tests/support/paths.cc)
    target_include_directories(quamba2_gtest PUBLIC ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/include)
    target_link_libraries(quamba2_gtest PUBLIC GTest::gtest_main PRIVATE quamba2_options)
    target_precompile_headers(quamba2_gtest INTERFACE <gtest/gtest.h>)
    target_compile_definitions(quamba2_gtest PRIVATE QUAMBA2_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  endif()
  add_executable(${T_NAME} ${T_SRCS})
  target_link_libraries(${T_NAME} PRIVATE quamba2_options quamba2_gtest)
  foreach(dep IN LISTS T_DEPS)
    target_link_libraries(${T_NAME} PRIVATE quamba2_${dep})
  endforeach()
  if(NOT T_LABELS)
    set(T_LABELS default)
  endif()
  # A case whose suite is named Slow* runs in `./dev test --all` only.
  gtest_discover_tests(${T_NAME} DISCOVERY_MODE PRE_TEST TEST_FILTER -Slow* PROPERTIES LABELS ${T_LABELS} TIMEOUT 600)
  gtest_discover_tests(${T_NAME} DISCOVERY_MODE PRE_TEST TEST_FILTER Slow* TEST_LIST ${T_NAME}_slow
    PROPERTIES LABELS slow TIMEOUT 5400)
endfunction()
