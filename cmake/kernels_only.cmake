# What a cross build of the kernels takes from the machine that builds, which has no libraries for the other one: headers
# that are whole libraries, and GoogleTest's sources (Debian's package googletest).

# Not the folder that the headers lie in: /usr/include has the C library of this machine too.
find_path(NLOHMANN_JSON_DIR json.hpp PATHS /usr/include/nlohmann NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH REQUIRED)
set(headers ${PROJECT_BINARY_DIR}/headers)
file(MAKE_DIRECTORY ${headers})
file(CREATE_LINK ${NLOHMANN_JSON_DIR} ${headers}/nlohmann SYMBOLIC)
add_library(nlohmann_json::nlohmann_json INTERFACE IMPORTED)
target_include_directories(nlohmann_json::nlohmann_json INTERFACE ${headers})

if(QUAMBA2_TESTS)
  set(BUILD_GMOCK OFF)
  set(INSTALL_GTEST OFF)
  add_subdirectory(/usr/src/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL)
endif()
