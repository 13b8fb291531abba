# `cmake --install build --prefix DIR`: the command, the library, its headers and what find_package(Doppio) reads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(doppio PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set_target_properties(doppio_tool PROPERTIES INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
install(TARGETS doppio_tool doppio)
foreach(mpi ${DOPPIO_MPI_LIBRARIES})
  install(TARGETS doppio_${mpi} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endforeach()
install(DIRECTORY include/doppio TYPE INCLUDE)
install(FILES ${PROJECT_BINARY_DIR}/proto/doppio.pb.h TYPE INCLUDE)
install(FILES proto/doppio.proto DESTINATION ${CMAKE_INSTALL_DATADIR}/doppio)
install(DIRECTORY models DESTINATION ${CMAKE_INSTALL_DATADIR}/doppio USE_SOURCE_PERMISSIONS
        FILES_MATCHING PATTERN *.prototxt PATTERN README.md PATTERN get_weights.sh PATTERN weights.txt)
install(FILES LICENSE TYPE DOC)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/Doppio)
configure_package_config_file(cmake/DoppioConfig.cmake.in DoppioConfig.cmake INSTALL_DESTINATION ${package}
                              PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file(DoppioConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/DoppioConfig.cmake ${PROJECT_BINARY_DIR}/DoppioConfigVersion.cmake
        DESTINATION ${package})
