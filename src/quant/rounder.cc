// SPDX-License-Identifier: Apache-2.0
#include "quant/rounder.h"

#include "quant/device_gptq.h"

namespace quamba2 {

Weight Rounder::by_inputs(const Graph& part, EdgeId input, const Weight& weight, const Format& format,
                          const GptqOptions& options, GptqReport* report) {
  const std::vector<int64_t>& shape = weight.values.shape();
  Weight out;
  if (const DeviceCalibration* device = calibration_.device()) {
    const DeviceHessian hessian = calibration_.device_hessian(part, input);
    out = gptq_encode(weight.name, shape, decode_weight(weight), format, hessian, options, device->backend(),
                      calibration_.backend().stream(), report);
  } else {
    if (!dense_) dense_.emplace(calibration_.backend());
    const Hessian hessian = calibration_.hessian(part, input);
    out = gptq_encode(weight.name, shape, decode_weight(weight), format, hessian, options, &*dense_, report);
  }
  out.axes = weight.axes;
  return out;
}

Weight Rounder::to_nearest(const Weight& weight, const Format& format, ScaleChoice choice) {
  const Stream host = calibration_.backend().stream();
  const std::vector<int64_t>& shape = weight.values.shape();
  const DeviceCalibration* device = calibration_.device();
  Weight out = device
                   ? encode_weight(weight.name, shape, decode_weight(weight), format, choice, device->backend(), host)
                   : encode_weight(weight.name, shape, decode_weight(weight), format, choice, host);
  out.axes = weight.axes;
  return out;
}

}  // namespace quamba2
