#include "worker/diffusion/scheduler_file.h"

namespace likeness {

void IgnoreSamplerSettings(ConfigReader& reader) {
  reader.Ignore({"algorithm_type",
                 "clip_sample",
                 "clip_sample_range",
                 "corrector_order",
                 "disable_corrector",
                 "dynamic_thresholding_ratio",
                 "euler_at_final",
                 "final_sigmas_type",
                 "flow_shift",
                 "interpolation_type",
                 "lambda_min_clipped",
                 "lower_order_final",
                 "noise_sampler_seed",
                 "original_inference_steps",
                 "predict_x0",
                 "predictor_order",
                 "rescale_betas_zero_snr",
                 "sample_max_value",
                 "set_alpha_to_one",
                 "shift_terminal",
                 "sigma_max",
                 "sigma_min",
                 "skip_prk_steps",
                 "solver_order",
                 "solver_p",
                 "solver_type",
                 "steps_offset",
                 "thresholding",
                 "time_shift_type",
                 "timestep_scaling",
                 "timestep_spacing",
                 "timestep_type",
                 "use_beta_sigmas",
                 "use_corrector",
                 "use_dynamic_shifting",
                 "use_exponential_sigmas",
                 "use_flow_sigmas",
                 "use_karras_sigmas",
                 "use_lu_lambdas",
                 "variance_type"});
}

}  // namespace likeness
