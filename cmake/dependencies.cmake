# What Doppio stands on; docs/decisions.md says why each is there. Debian's packages are named by install_packages.sh.
# Since version 22 protobuf needs Abseil's libraries, which only its own CMake package names; Debian 12 and 13 have none.
find_package(Protobuf CONFIG QUIET)
if(NOT Protobuf_FOUND)
  find_package(Protobuf REQUIRED)
endif()
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(OpenCV REQUIRED COMPONENTS core imgproc imgcodecs)
find_package(glog REQUIRED)
find_package(gflags REQUIRED)
find_package(Threads REQUIRED)
find_package(JPEG REQUIRED)  # OpenCV brings it along
find_package(ZLIB REQUIRED)  # likewise, and protobuf
find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256; HDF5 brings it along
find_package(pugixml REQUIRED)  # annotations of Pascal VOC
find_package(nlohmann_json REQUIRED)  # annotations of COCO; headers only

find_path(LMDB_INCLUDE_DIR lmdb.h REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
add_library(lmdb::lmdb UNKNOWN IMPORTED)
set_target_properties(lmdb::lmdb PROPERTIES IMPORTED_LOCATION ${LMDB_LIBRARY}
                                            INTERFACE_INCLUDE_DIRECTORIES ${LMDB_INCLUDE_DIR})

# By hand, because the package's own config file asks for Snappy's development package.
find_path(LEVELDB_INCLUDE_DIR leveldb/db.h REQUIRED)
find_library(LEVELDB_LIBRARY leveldb REQUIRED)
add_library(leveldb::leveldb UNKNOWN IMPORTED)
set_target_properties(leveldb::leveldb PROPERTIES IMPORTED_LOCATION ${LEVELDB_LIBRARY}
                                                  INTERFACE_INCLUDE_DIRECTORIES ${LEVELDB_INCLUDE_DIR})

# By hand, because the package's own config file asks for OpenCL, which we do not use.
find_path(DNNL_INCLUDE_DIR dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(dnnl::dnnl UNKNOWN IMPORTED)
set_target_properties(dnnl::dnnl PROPERTIES IMPORTED_LOCATION ${DNNL_LIBRARY}
                                            INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE_DIR})

# Optional reader and writer for .h5 files.
find_package(HDF5 COMPONENTS C)

if(DOPPIO_TESTS)
  find_package(GTest REQUIRED)
endif()

if(DOPPIO_CUDA OR DOPPIO_EMULATED_CUDA)
  find_package(CUDAToolkit 12 REQUIRED)
  # Headers alone: the libraries are loaded by programs that find them.
  find_path(CUDNN_INCLUDE_DIR cudnn_cnn_v9.h HINTS ${CUDAToolkit_INCLUDE_DIRS} DOC "where cuDNN 9's headers are")
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS} DOC "where NCCL's header is")
  if(NCCL_INCLUDE_DIR)
    file(STRINGS ${NCCL_INCLUDE_DIR}/nccl.h nccl_config REGEX ncclCommInitRankConfig)
    if(NOT nccl_config)
      message(STATUS "NCCL in ${NCCL_INCLUDE_DIR} is older than 2.14 and cannot be used")
      set(NCCL_INCLUDE_DIR NCCL_INCLUDE_DIR-NOTFOUND)
    endif()
  endif()
endif()
if(DOPPIO_CUDA)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    # Turing to Blackwell: one of each generation, whose code serves the whole generation, and PTX for those to come.
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90)
    if(CUDAToolkit_VERSION VERSION_GREATER_EQUAL 12.8)
      set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90-real 100 120-real)
    endif()
  endif()
  set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake before 3.26 does not know nvcc's flag
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  endif()
endif()
