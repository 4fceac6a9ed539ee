# The packages of Debian 12 that everything but the engine needs.
find_package(Threads REQUIRED)
find_package(Protobuf REQUIRED)
find_package(absl REQUIRED)
find_package(gRPC REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(ZLIB REQUIRED)

# cpp-httplib brings no CMake configuration. The library was built with OpenSSL, which its requests have a field for.
find_path(LIKENESS_HTTPLIB_INCLUDE httplib.h REQUIRED)
find_library(LIKENESS_HTTPLIB cpp-httplib REQUIRED)
add_library(likeness_httplib INTERFACE)
target_include_directories(likeness_httplib SYSTEM INTERFACE ${LIKENESS_HTTPLIB_INCLUDE})
target_compile_definitions(likeness_httplib INTERFACE CPPHTTPLIB_OPENSSL_SUPPORT)
target_link_libraries(likeness_httplib INTERFACE ${LIKENESS_HTTPLIB})

# Little CMS brings no CMake configuration.
find_path(LIKENESS_LCMS2_INCLUDE lcms2.h REQUIRED)
find_library(LIKENESS_LCMS2 lcms2 REQUIRED)
add_library(likeness_lcms2 INTERFACE)
target_include_directories(likeness_lcms2 SYSTEM INTERFACE ${LIKENESS_LCMS2_INCLUDE})
target_link_libraries(likeness_lcms2 INTERFACE ${LIKENESS_LCMS2})

# Debian's OpenCV packages that hold only some of its modules bring no CMake configuration.
find_path(LIKENESS_OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
add_library(likeness_opencv INTERFACE)
target_include_directories(likeness_opencv SYSTEM INTERFACE ${LIKENESS_OPENCV_INCLUDE})
foreach(module core dnn imgproc imgcodecs)
  find_library(LIKENESS_OPENCV_${module} opencv_${module} REQUIRED)
  target_link_libraries(likeness_opencv INTERFACE ${LIKENESS_OPENCV_${module}})
endforeach()

# What nearly every file of server and client includes, parsed once; and the same with the test framework.
set(rpc_headers <functional> <map> <memory> <string> <vector> <absl/status/statusor.h> <absl/strings/str_cat.h>
    <absl/time/time.h> <google/protobuf/duration.pb.h> <google/protobuf/map_field_inl.h> <google/protobuf/message.h>
    <google/protobuf/timestamp.pb.h> <grpcpp/grpcpp.h>)
set(rpc_packages gRPC::grpc++ protobuf::libprotobuf absl::statusor absl::strings absl::time)
likeness_precompiled_header(likeness_rpc_pch HEADERS ${rpc_headers} DEPS ${rpc_packages})
if(LIKENESS_TESTS)
  likeness_precompiled_header(likeness_test_pch HEADERS ${rpc_headers} <gmock/gmock.h> <gtest/gtest.h>
                              DEPS ${rpc_packages} GTest::gmock)
endif()
