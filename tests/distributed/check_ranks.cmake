# Runs PROGRAM by MPIEXEC in the empty folder WORK and compares what is left there.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

# run(<ranks> <expected message, or ""> [<argument>...])
function(run ranks expected)
  execute_process(COMMAND ${MPIEXEC} ${ranks} ${PROGRAM} ${ARGN} TIMEOUT 120
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(expected STREQUAL "" AND NOT result EQUAL 0)
    message(FATAL_ERROR "${ranks} ranks failed: ${ARGN}\n${output}")
  elseif(NOT expected STREQUAL "" AND (result EQUAL 0 OR NOT output MATCHES "${expected}"))
    message(FATAL_ERROR "${ranks} ranks did not fail with \"${expected}\": ${result}\n${output}")
  endif()
endfunction()

# same(<file>...): those of all folders are those of the first.
function(same first)
  foreach(other ${ARGN})
    foreach(file ${FILES})
      execute_process(
        COMMAND ${CMAKE_COMMAND} -E compare_files ${WORK}/${first}/${file} ${WORK}/${other}/${file}
        RESULT_VARIABLE result)
      if(NOT result EQUAL 0)
        message(FATAL_ERROR "${file} of ${other} is not that of ${first}")
      endif()
    endforeach()
  endforeach()
endfunction()

set(FILES adapter/adapter_model.safetensors checkpoint.safetensors metrics.jsonl)
if(CHECK STREQUAL "bert_sentiment")
  execute_process(COMMAND ${MAKE_INPUT} ${WORK}/input COMMAND_ERROR_IS_FATAL ANY)
  foreach(ranks 1 2 4)
    # Batches of 10 and 6 over 8 shards: some have two sentences and some none.
    run(${ranks} "" --model ${WORK}/input/model --data ${WORK}/input/sentences.txt --epochs 2
      --batch 10 --rank 4 --dropout 0.1 --out ${WORK}/on_${ranks})
  endforeach()
  same(on_1 on_2 on_4)
  run(2 "rank [01] of 2: .*nowhere" --model ${WORK}/nowhere --data ${WORK}/input/sentences.txt)
  return()
endif()

if(CHECK STREQUAL "text_generation")
  execute_process(COMMAND ${MAKE_INPUT} ${WORK}/input COMMAND_ERROR_IS_FATAL ANY)
  foreach(ranks 1 2 4)
    run(${ranks} "" --model ${WORK}/input/model.gguf --data ${WORK}/input/text.txt --epochs 2
      --batch 7 --max-length 16 --shard-part 1 --rank 2 --out ${WORK}/on_${ranks})
  endforeach()
  list(TRANSFORM FILES REPLACE "^adapter/" "peft/")
  same(on_1 on_2 on_4)
  run(2 "rank [01] of 2: .*nowhere" --model ${WORK}/nowhere --data ${WORK}/input/text.txt)
  return()
endif()

foreach(ranks 1 2 4)
  if(CHECK STREQUAL "same_files" OR ranks EQUAL 1)
    run(${ranks} "" ${WORK}/on_${ranks})
  endif()
endforeach()
if(CHECK STREQUAL "same_files")
  same(on_1 on_2 on_4)
else()
  # A rank that throws ends all with its message, one that is killed ends all; others go on from the
  # last checkpoint, and end where the run without a break does.
  run(4 "rank 2 of 4: the disk is full of toys" ${WORK}/broken throw 2 17)
  run(2 "[Kk]illed|signal 9|KILLED BY SIGNAL" ${WORK}/broken kill 1 29)
  run(4 "rank 0 of 4: the disk is full of toys" ${WORK}/broken throw 0 40)
  run(2 "" ${WORK}/broken)
  same(on_1 broken)
  # One that returns alone leaves no other waiting.
  run(4 "rank 2 has returned from its program" ${WORK}/left return 2 17)
  # A file that is broken is told by whoever reads it.
  file(WRITE ${WORK}/broken/checkpoint.safetensors "none")
  run(2 "rank [01] of 2: .*checkpoint.safetensors" ${WORK}/broken)
endif()
