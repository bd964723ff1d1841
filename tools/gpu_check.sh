#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tests and measures the CUDA back end on a machine with a GPU, which needs neither compiler nor packages:
#   tools/gpu_check.sh pack BUILD FILE [MODEL...]   puts the programs of a build, the libraries that they need and model
#                                                   directories into FILE (tar.xz)
#   tools/gpu_check.sh run FILE OUT                 there, in this tree: kernels, models, compute-sanitizer, bench; texts and
#                                                   evidence.json into the folder OUT
set -euo pipefail

programs='cuda_kernels_test cuda_models_test quamba2'

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# What the evidence is of: every source of the back end.
digest() { cat src/backends/cuda/*.cu src/backends/cuda/*.cuh src/backends/cuda/*.h src/backends/cuda/device/* | sha256sum | cut -c1-16; }

pack() {
  local build=$1 file=$2 folder program model
  shift 2
  folder=$(mktemp -d)
  mkdir -p "$folder/lib" "$folder/models"
  for program in $programs; do
    cp "$build/bin/$program" "$folder/"
    strip "$folder/$program"
    # The C and C++ libraries are those of the machine.
    ldd "$folder/$program" | awk '/=> \// { print $3 }' | grep -vE '/(libc|libm|libstdc\+\+|libgcc_s|libcrypto)\.' |
      while read -r library; do cp -L "$library" "$folder/lib/"; done || true
  done
  for model in "$@"; do cp -rL "$model" "$folder/models/"; done
  digest >"$folder/digest"
  XZ_OPT=-1 tar cJf "$file" -C "$folder" .
  rm -r "$folder"
  ls -l "$file"
}

run() {
  local file=$1 out=$2 folder failed=0 kernels=0 models=0 memory=0 name
  folder=$(mktemp -d)
  tar xJf "$file" -C "$folder"
  mkdir -p "$out"
  export LD_LIBRARY_PATH=$folder/lib QUAMBA2_SOURCE=$PWD
  QUAMBA2_GPU_MODELS=$(find "$folder/models" -mindepth 1 -maxdepth 1 -type d | sort | paste -sd:)
  export QUAMBA2_GPU_MODELS
  [ -n "$QUAMBA2_GPU_MODELS" ] || unset QUAMBA2_GPU_MODELS
  name=$(nvidia-smi --query-gpu=name,driver_version --format=csv,noheader | head -n 1) || die "no GPU here"
  "$folder/cuda_kernels_test" >"$out/kernels.txt" 2>&1 || kernels=$?
  "$folder/cuda_models_test" >"$out/models.txt" 2>&1 || models=$?
  compute-sanitizer --tool memcheck --error-exitcode 9 "$folder/cuda_kernels_test" \
    --gtest_filter='-*RealisticShapes*:*PanelsAndTiles*:Slow*' >"$out/memcheck.txt" 2>&1 || memory=$?
  grep -E '^ .* problems|^\[  FAILED|^\[  PASSED|mean KL|SKIPPED \]' "$out/kernels.txt" "$out/models.txt" || true
  tail -n 1 "$out/memcheck.txt"
  [ $kernels = 0 ] && [ $models = 0 ] && [ $memory = 0 ] || failed=1
  printf '{"device": "%s", "date": "%s", "digest": "%s", "kernels": %d, "models": %d, "memcheck": %d}\n' "$name" \
    "$(date -I)" "$(cat "$folder/digest")" $kernels $models $memory | tee "$out/evidence.json"
  "$folder/quamba2" bench --random mamba2-130m --recipe w4a16 --device cuda:0 -p 512 -n 128 -r 3 | tee "$out/bench.md" || failed=1
  rm -r "$folder"
  return $failed
}

case ${1:-} in
  pack) [ $# -ge 3 ] || die "usage: $0 pack BUILD FILE [MODEL...]"; shift; pack "$@" ;;
  run) [ $# = 3 ] || die "usage: $0 run FILE OUT"; run "$2" "$3" ;;
  *) die "usage: $0 pack BUILD FILE [MODEL...] | run FILE OUT" ;;
esac
