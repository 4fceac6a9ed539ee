// One function a sampler; each takes latents at the grid's first level to clean ones. Together with
// their settings they are the rows of sampler_table.cc.
#pragma once

#include <torch/torch.h>

#include "worker/diffusion/sampler_table.h"

namespace likeness {

// Ho et al., 2006.11239, algorithm 2, over a part of the timesteps. diffusers' DDPMScheduler.
torch::Tensor RunDdpm(const Sampling& sampling, torch::Tensor x_BCHW);
// Song et al., 2010.02502, eq. 12. diffusers' DDIMScheduler.
torch::Tensor RunDdim(const Sampling& sampling, torch::Tensor x_BCHW);
// Liu et al., 2202.09778. diffusers' PNDMScheduler.
torch::Tensor RunPndm(const Sampling& sampling, torch::Tensor x_BCHW);
// The reference leaves out as many questions to the model as steps. The second step's level is
// asked about twice, so a run that begins later begins one level before its step.
Level PndmStart(const Grid& grid, size_t first);
// Linear multistep, of fourth order. diffusers' LMSDiscreteScheduler.
torch::Tensor RunLms(const Sampling& sampling, torch::Tensor x_BCHW);
// Karras et al., 2206.00364, algorithm 1 without its second half. diffusers'
// EulerDiscreteScheduler.
torch::Tensor RunEuler(const Sampling& sampling, torch::Tensor x_BCHW);
// The same with part of the noise drawn anew. diffusers' EulerAncestralDiscreteScheduler.
torch::Tensor RunEulerAncestral(const Sampling& sampling, torch::Tensor x_BCHW);
// 2206.00364, algorithm 1. diffusers' HeunDiscreteScheduler.
torch::Tensor RunHeun(const Sampling& sampling, torch::Tensor x_BCHW);
// DPM-Solver-2: Lu et al., 2206.00927, algorithm 1. diffusers' KDPM2DiscreteScheduler.
torch::Tensor RunDpm2(const Sampling& sampling, torch::Tensor x_BCHW);
// diffusers' KDPM2AncestralDiscreteScheduler.
torch::Tensor RunDpm2Ancestral(const Sampling& sampling, torch::Tensor x_BCHW);
// DPM-Solver++, multistep, of order 1 to 3, deterministic or as an SDE: Lu et al., 2211.01095,
// algorithm 2 and appendix. diffusers' DPMSolverMultistepScheduler.
torch::Tensor RunDpmMultistep(const Sampling& sampling, torch::Tensor x_BCHW);
// DPM-Solver++ of second order as an SDE, single step, with noise from one Brownian motion.
// diffusers' DPMSolverSDEScheduler.
torch::Tensor RunDpmSde(const Sampling& sampling, torch::Tensor x_BCHW);
// Zhao et al., 2302.04867. diffusers' UniPCMultistepScheduler.
torch::Tensor RunUniPc(const Sampling& sampling, torch::Tensor x_BCHW);
// Zhang and Chen, 2204.13902, log-rho. diffusers' DEISMultistepScheduler.
torch::Tensor RunDeis(const Sampling& sampling, torch::Tensor x_BCHW);
// Luo et al., 2310.04378. diffusers' LCMScheduler.
torch::Tensor RunLcm(const Sampling& sampling, torch::Tensor x_BCHW);
// Zheng et al., 2402.19159. diffusers' TCDScheduler.
torch::Tensor RunTcd(const Sampling& sampling, torch::Tensor x_BCHW);

}  // namespace likeness
