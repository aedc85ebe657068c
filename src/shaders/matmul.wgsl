// y[b, m, n] = act(sum_k a[b, m, k] b[b, k, n] + bias[n])
// M rows, N columns, K inner, BATCH matrices
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
override M: u32;
override N: u32;
override K: u32;
override BATCH: u32 = 1u;
override TRANSPOSE_A: u32 = 0u;
override TRANSPOSE_B: u32 = 0u;
override A_STRIDE: u32;
override B_STRIDE: u32;
override BIAS_STRIDE: u32 = 0u;
override HAS_BIAS: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if (t >= BATCH * M * N) { return; }
  let n = t % N;
  let m = (t / N) % M;
  let g = t / (M * N);
  var s = 0.0;
  for (var k = 0u; k < K; k++) {
    let av = a[g * A_STRIDE + select(m * K + k, k * M + m, TRANSPOSE_A == 1u)];
    let bv = b[g * B_STRIDE + select(k * N + n, n * K + k, TRANSPOSE_B == 1u)];
    s += av * bv;
  }
  if (HAS_BIAS == 1u) { s += bias[g * BIAS_STRIDE + n]; }
  y[t] = select(s, select(s, 0.0, s <= 0.0), ACTIVATION == ACTIVATION_relu);
}
