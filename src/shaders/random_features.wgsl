// y[n, d] = SCALE cos(sum_k x[n, k] w[k, d] + b[d])
// N rows, K inputs, D features
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
override N: u32;
override K: u32;
override D: u32;
override SCALE: f32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if (t >= N * D) { return; }
  var s = b[t % D];
  for (var k = 0u; k < K; k++) { s += x[(t / D) * K + k] * w[k * D + t % D]; }
  y[t] = SCALE * cos(s);
}
