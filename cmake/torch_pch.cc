// Compiled only so that the precompiled header of torch/torch.h has an owner (see
// LikenessTorch.cmake).
