// SPDX-License-Identifier: Apache-2.0
// ssd_scan (ops/ssd_scan.h): the row of the table. Each segment is scanned in chunks or token by token, as its own length
// says, so that a sequence's result never depends on its neighbours; so is each run between two roundings of the state. Threads split the (segment, head) pairs.

namespace quamba2::QUAMBA2_ISA {
namespace {

inline Verdict supports_ssd_scan(const SsdScanArgs& a) {
  if (a.groups < 1 || a.state.values.dim[1] % a.groups != 0) return {"needs heads divisible by groups"};
  return {first_reason(refuse_rows(a.x), refuse_rows(a.dt), refuse_rows(a.b), refuse_rows(a.c), refuse_state(a.state),
                       refuse_rows(a.out), refuse_parameters(a.a_log), refuse_parameters(a.d),
                       refuse_parameters(a.dt_bias))};
}

inline int64_t ssd_thread_floats(const SsdScanArgs& a) {
  const SsdShape shape = ssd_shape(a);
  return round_up(larger(ssd_step_floats(shape), ssd_chunk_floats(shape)), 16);
}
inline size_t ssd_scan_scratch(const SsdScanArgs& a, int32_t threads) {
  return static_cast<size_t>(ssd_thread_floats(a) * threads) * sizeof(float);
}

// Thread `index` of `count` takes its share of all tokens of all heads, rounded to whole (segment, head) pairs.
inline void scan_share(const SsdScanArgs& args, int index, int count, float* scratch) {
  const int64_t heads = args.state.values.dim[1];
  int64_t all = 0, before = 0;
  for (int32_t i = 0; i < args.segment_count; ++i) all += args.segments[i].length * heads;
  const Share own = share_of(all, index, count);
  for (int32_t i = 0; i < args.segment_count; ++i) {
    const Segment& seg = args.segments[i];
    const auto head_of = [&](int64_t work) {  // the first head that starts at or after `work`
      return smaller(ceil_div(larger<int64_t>(work - before, 0), larger<int64_t>(seg.length, 1)), heads);
    };
    const Share range = {head_of(own.begin), head_of(own.end)};
    before += seg.length * heads;
    if (range.begin >= range.end || seg.length == 0) continue;
    for_state_runs(seg, args.state_every, args.state.values.dtype, [&](const Segment& run) {
      if (run.length < kShortestChunk) {
        ssd_scan_step(args, run, range, scratch);
      } else {
        ssd_scan_chunked(args, run, range, scratch);
      }
    });
  }
}

inline void run_ssd_scan(const SsdScanArgs& args, const Stream& stream) {
  const int64_t floats = ssd_thread_floats(args);
  run_parallel(stream, [&](int index) {
    scan_share(args, index, stream.threads, reinterpret_cast<float*>(stream.scratch) + floats * index);
  });
}

constexpr Kernel<SsdScanArgs> kSsdScanRows[] = {
    {"ssd_scan_" QUAMBA2_ISA_NAME, supports_ssd_scan, run_ssd_scan, ssd_scan_scratch}};

}  // namespace
}  // namespace quamba2::QUAMBA2_ISA
