# LibTorch as a target of our own, `likeness_torch`, from an unpacked LibTorch or an installed `torch` wheel.
# find_package(Torch) of a CUDA build stops without a CUDA toolkit; linking its libraries does not need one.

set(LIKENESS_TORCH_DIR "" CACHE PATH "Directory with include/ and lib/ of LibTorch (2.11 to 2.14); default: the wheel in .venv, then python3's")

function(likeness_find_torch out)
  if(LIKENESS_TORCH_DIR)
    set(${out} ${LIKENESS_TORCH_DIR} PARENT_SCOPE)
    return()
  endif()
  file(GLOB wheel ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
  if(NOT wheel)
    execute_process(COMMAND python3 -c "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
                    OUTPUT_VARIABLE wheel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(NOT wheel)
    message(FATAL_ERROR "LibTorch not found. Run scripts/setup, or set LIKENESS_TORCH_DIR.")
  endif()
  list(GET wheel 0 wheel)
  set(${out} ${wheel} PARENT_SCOPE)
endfunction()

likeness_find_torch(torch_dir)
file(STRINGS ${torch_dir}/include/torch/headeronly/version.h version_lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
list(TRANSFORM version_lines REPLACE "[^0-9]" "")
list(JOIN version_lines "." LIKENESS_TORCH_VERSION)
if(LIKENESS_TORCH_VERSION AND (LIKENESS_TORCH_VERSION VERSION_LESS 2.11 OR LIKENESS_TORCH_VERSION VERSION_GREATER 2.14))
  message(WARNING "LibTorch ${LIKENESS_TORCH_VERSION} was never tried: 2.11 to 2.14 are")
endif()
message(STATUS "LibTorch ${LIKENESS_TORCH_VERSION} in ${torch_dir}")

# The wheel carries headers of another protobuf (include/google). They must not shadow the system's, so the compiler
# sees a directory of links to everything else.
set(torch_include ${CMAKE_BINARY_DIR}/torch-include)
file(MAKE_DIRECTORY ${torch_include})
file(GLOB entries ${torch_dir}/include/*)
foreach(entry ${entries})
  get_filename_component(entry_name ${entry} NAME)
  if(NOT entry_name STREQUAL "google" AND NOT EXISTS ${torch_include}/${entry_name})
    file(CREATE_LINK ${entry} ${torch_include}/${entry_name} SYMBOLIC)
  endif()
endforeach()

find_package(Threads REQUIRED)
add_library(likeness_torch INTERFACE)
target_include_directories(likeness_torch SYSTEM INTERFACE ${torch_include} ${torch_include}/torch/csrc/api/include)
set(torch_libs ${torch_dir}/lib/libtorch_cpu.so ${torch_dir}/lib/libc10.so)
set(LIKENESS_TORCH_CUDA OFF)
if(EXISTS ${torch_dir}/lib/libtorch_cuda.so)
  set(LIKENESS_TORCH_CUDA ON)
  list(APPEND torch_libs ${torch_dir}/lib/libtorch_cuda.so ${torch_dir}/lib/libc10_cuda.so)
endif()
# libtorch_cuda registers itself when loaded; nothing refers to it by name, so the linker must not drop it.
target_link_libraries(likeness_torch INTERFACE -Wl,--no-as-needed ${torch_libs} -Wl,--as-needed Threads::Threads)
# gRPC's targets bring -pthread, which the precompiled header below must have been compiled with to be accepted beside them.
target_compile_options(likeness_torch INTERFACE -pthread)
target_link_options(likeness_torch INTERFACE -Wl,--allow-shlib-undefined)
# Without it at::parallel_for runs on one thread. The runtime is LibTorch's own where it carries one: another would bring
# threads of its own. Clang's OpenMP cannot use that one.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(likeness_torch INTERFACE -fopenmp)
  file(GLOB torch_openmp ${torch_dir}/lib/libgomp*.so*)
  if(NOT torch_openmp)
    set(torch_openmp -fopenmp)
  endif()
  target_link_libraries(likeness_torch INTERFACE ${torch_openmp})
endif()

# What a program needs of it at run time: all of its libraries but those of Python and of its own tests.
set(LIKENESS_TORCH_LIBRARIES ${torch_dir}/lib)
file(GLOB LIKENESS_TORCH_RUNTIME ${LIKENESS_TORCH_LIBRARIES}/*.so ${LIKENESS_TORCH_LIBRARIES}/*.so.*)
list(FILTER LIKENESS_TORCH_RUNTIME EXCLUDE REGEX
     "/lib(torch_python|torchbind|jitbackend|backend_with_compiler|aoti_custom_ops|shm)[^/]*$")

# One precompiled header of torch/torch.h, compiled once and shared by every target that uses torch.
likeness_precompiled_header(likeness_torch_pch HEADERS <torch/torch.h> DEPS likeness_torch)

function(likeness_use_torch name scope)
  target_link_libraries(${name} ${scope} likeness_torch)
  likeness_use_precompiled_header(${name} likeness_torch_pch)
  if(LIKENESS_UNITY)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
endfunction()
