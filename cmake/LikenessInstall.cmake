# What `cmake --install` (scripts/install) and the Debian packages (scripts/packages) hold, in three components: server, client, worker.

# Only what is installed is built for it, not the tests; scripts/install builds the target `installed`.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
find_program(LIKENESS_HELP2MAN help2man REQUIRED)

# Manual pages from each program's own --help, and the shells' completion scripts.
set(pages ${CMAKE_BINARY_DIR}/pages)
set(completions ${CMAKE_BINARY_DIR}/completions)
add_custom_command(
  OUTPUT ${pages}/stamp
  COMMAND ${CMAKE_SOURCE_DIR}/scripts/manual-pages ${LIKENESS_HELP2MAN} ${CMAKE_BINARY_DIR}/bin ${pages}
  COMMAND ${CMAKE_COMMAND} -E touch ${pages}/stamp
  DEPENDS likeness likeness-server likeness-worker ${CMAKE_SOURCE_DIR}/scripts/manual-pages
  COMMENT "Writing the manual pages")
set(completion_files ${completions}/likeness ${completions}/_likeness ${completions}/likeness.fish)
add_custom_command(
  OUTPUT ${completion_files}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${completions}
  COMMAND likeness completion bash > ${completions}/likeness
  COMMAND likeness completion zsh > ${completions}/_likeness
  COMMAND likeness completion fish > ${completions}/likeness.fish
  DEPENDS likeness
  COMMENT "Writing the completion scripts")
add_custom_target(installed ALL DEPENDS likeness likeness-server likeness-worker ${pages}/stamp ${completion_files})

# likeness_install_service(COMPONENT): the systemd unit of likeness-COMPONENT, whose paths are those of the prefix, and its user.
function(likeness_install_service component)
  set(unit likeness-${component}.service)
  install(CODE "configure_file(${CMAKE_SOURCE_DIR}/deploy/systemd/${unit}.in ${CMAKE_BINARY_DIR}/${unit} @ONLY)"
          COMPONENT ${component})
  install(FILES ${CMAKE_BINARY_DIR}/${unit} DESTINATION lib/systemd/system COMPONENT ${component})
  install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/likeness-${component}.sysusers DESTINATION lib/sysusers.d
          RENAME likeness-${component}.conf COMPONENT ${component})
endfunction()

install(TARGETS likeness-server RUNTIME DESTINATION bin COMPONENT server)
install(DIRECTORY ${pages}/server/ DESTINATION share/man/man1 COMPONENT server)
likeness_install_service(server)

install(TARGETS likeness RUNTIME DESTINATION bin COMPONENT client)
install(DIRECTORY ${pages}/client/ DESTINATION share/man/man1 COMPONENT client)
install(FILES ${completions}/likeness DESTINATION share/bash-completion/completions COMPONENT client)
# Debian's zsh looks into vendor-completions below /usr alone, where a package should leave site-functions to the administrator.
install(CODE "set(zsh_folder site-functions)
if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr\")
  set(zsh_folder vendor-completions)
endif()
file(INSTALL ${completions}/_likeness DESTINATION \${CMAKE_INSTALL_PREFIX}/share/zsh/\${zsh_folder})" COMPONENT client)
# Where XDG_DATA_DIRS is not set, fish knows no folder below /usr/local, but the administrator's.
install(CODE "set(fish_folder \${CMAKE_INSTALL_PREFIX}/share/fish/vendor_completions.d)
if(CMAKE_INSTALL_PREFIX STREQUAL \"/usr/local\")
  set(fish_folder /etc/fish/completions)
endif()
file(INSTALL ${completions}/likeness.fish DESTINATION \${fish_folder})" COMPONENT client)

# The worker finds LibTorch by a path relative to its own, so that the whole may be moved.
set_target_properties(likeness-worker PROPERTIES INSTALL_RPATH "$ORIGIN/../lib/likeness")
install(TARGETS likeness-worker RUNTIME DESTINATION bin COMPONENT worker)
install(FILES ${LIKENESS_TORCH_RUNTIME} DESTINATION lib/likeness COMPONENT worker)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/models DESTINATION share/likeness COMPONENT worker)
install(DIRECTORY ${pages}/worker/ DESTINATION share/man/man1 COMPONENT worker)
likeness_install_service(worker)

# --- Debian packages
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME likeness)
set(CPACK_PACKAGE_VENDOR Likeness)
set(CPACK_PACKAGE_CONTACT "Likeness <likeness@localhost>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL server client worker)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE zstd)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${LIKENESS_TORCH_LIBRARIES})
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME likeness)
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME likeness-server)
set(CPACK_DEBIAN_WORKER_PACKAGE_NAME likeness-worker)
set(CPACK_COMPONENT_CLIENT_DESCRIPTION "Likeness: the command line
 Teaches an image model a subject from a few photos, and draws it anywhere.")
set(CPACK_COMPONENT_SERVER_DESCRIPTION "Likeness: the server
 Accepts jobs over gRPC, queues them durably and leases them to workers.")
set(CPACK_COMPONENT_WORKER_DESCRIPTION "Likeness: the worker
 Fine-tunes text-to-image diffusion models and draws with them. Holds LibTorch and
 the miniature model.")
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS "passwd, ca-certificates")
set(CPACK_DEBIAN_WORKER_PACKAGE_DEPENDS "passwd, ca-certificates")
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS likeness)

function(likeness_package_scripts component user home)
  string(TOUPPER ${component} upper)
  set(service likeness-${component})
  set(scripts ${CMAKE_BINARY_DIR}/debian/${component})
  foreach(script postinst prerm postrm)
    configure_file(${CMAKE_SOURCE_DIR}/deploy/debian/service.${script}.in ${scripts}/${script} @ONLY
                   FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
  endforeach()
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA ${scripts}/postinst ${scripts}/prerm ${scripts}/postrm PARENT_SCOPE)
endfunction()
likeness_package_scripts(server likeness /var/lib/likeness)
likeness_package_scripts(worker likeness-worker /var/cache/likeness-worker)
include(CPack)
