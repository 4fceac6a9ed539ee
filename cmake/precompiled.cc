// Compiled only so that each precompiled header has an owner (likeness_precompiled_header in
// LikenessBuild.cmake).
