# Writes the manual page and the completion, by asking the program. Where it does not run on the machine that builds it,
# the build goes on without them.
set(ENV{ASAN_OPTIONS} detect_leaks=0)
function(write_page output)
  execute_process(COMMAND ${PROGRAM} ${ARGN} OUTPUT_VARIABLE page RESULT_VARIABLE failed)
  if(failed)
    message(WARNING "${output} is not made: ${PROGRAM} does not run here (${failed})")
  else()
    file(WRITE ${output} "${page}")
  endif()
endfunction()
write_page(${MANUAL} --man)
write_page(${COMPLETION} --completion bash)
