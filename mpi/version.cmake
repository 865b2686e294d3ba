# Writes version.hpp with the commit of the moment, at every build; the file changes only when its content does.
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE KRONATTN_COMMIT
                OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(KRONATTN_COMMIT unknown)
else()
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    string(APPEND KRONATTN_COMMIT "+changes")
  endif()
endif()
configure_file(${SOURCE}/mpi/version.hpp.in ${OUTPUT} @ONLY)
