# Installs the build tree `BUILD`, builds docs/cpp_example against the installed package as a stranger would, and
# compares what it says of an image with what `doppio classify` says.
cmake_minimum_required(VERSION 3.24)
set(work ${BUILD}/package_test)
file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})

function(run output)
  execute_process(COMMAND ${ARGN} OUTPUT_VARIABLE out ERROR_VARIABLE err RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${status}\n${out}${err}")
  endif()
  set(${output} "${out}" PARENT_SCOPE)
endfunction()

run(_ ${CMAKE_COMMAND} --install ${BUILD} --prefix ${work}/installed)
run(_ ${CMAKE_COMMAND} -S ${SOURCE}/docs/cpp_example -B ${work}/example -DCMAKE_PREFIX_PATH=${work}/installed
      -DCMAKE_BUILD_TYPE=Debug -G ${GENERATOR})
run(_ ${CMAKE_COMMAND} --build ${work}/example)

set(doppio ${work}/installed/bin/doppio)
set(image ${SOURCE}/data/fashion_mnist/examples/ankle_boot.png)
file(WRITE ${work}/list.txt "${image} 0\n")
file(WRITE ${work}/labels.txt "a\nb\nc\nd\ne\nf\n")
run(_ ${doppio} convert imageset --resize_height=8 --resize_width=8 / ${work}/list.txt ${work}/lmdb)
run(mean_log ${doppio} mean ${work}/lmdb ${work}/mean.binaryproto)
run(_ ${doppio} train --solver=${SOURCE}/tests/package/solver.prototxt --set snapshot_prefix=${work}/net)
set(weights ${work}/net_iter_2.caffemodel)
run(example ${work}/example/classification ${SOURCE}/tests/package/net.prototxt ${weights} ${work}/mean.binaryproto
            ${work}/labels.txt ${image})

# The same by the command, with the channel means that `doppio mean` has logged.
string(REGEX MATCHALL "mean_value channel \\[[0-9]\\]: *[0-9.]+" lines "${mean_log}")
string(REGEX REPLACE "mean_value channel \\[[0-9]\\]: *" "" means "${lines}")
string(REPLACE ";" "," means "${means}")
run(command ${doppio} classify --quiet --model=${SOURCE}/tests/package/net.prototxt --weights=${weights} --mean_value=${means}
            --labels=${work}/labels.txt ${image})
if(NOT example STREQUAL command OR NOT example MATCHES "[01]\\.[0-9]+ - \"[a-f]\"")
  message(FATAL_ERROR "the example prints\n${example}\nand the command, with means ${means},\n${command}")
endif()

execute_process(COMMAND ${work}/example/classification ${SOURCE}/tests/package/net.prototxt missing.caffemodel
                        ${work}/mean.binaryproto ${work}/labels.txt ${image}
                RESULT_VARIABLE status ERROR_VARIABLE message)
if(NOT status EQUAL 1 OR NOT message MATCHES "missing.caffemodel")
  message(FATAL_ERROR "missing weights: status ${status}, message '${message}'")
endif()
