// k[g, n, m] = exp(-|x[g, n] - z[g, m]|^2 / (2 l[g]^2))
// G groups, x [N, D], z [M, D], l length scale; X_, Z_, L_STRIDE elements to the next, 0 = shared.
override G: u32;
override N: u32;
override M: u32;
override D: u32;
override X_STRIDE: u32;
override Z_STRIDE: u32;
override L_STRIDE: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> z: array<vec4f>;
@group(0) @binding(2) var<storage, read> l: array<f32>;
@group(0) @binding(3) var<storage, read_write> k: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= G * N * M { return; }
  let g = t / (N * M);
  let p = g * X_STRIDE + t / M % N * D;
  let q = g * Z_STRIDE + t % M * D;
  // Four partial sums over d = 0, 4, 8.., 1, 5, 9.. and so on, with vector loads or without.
  var s = vec4f(0.0);
  var d = 0u;
  if D % 4u == 0u && X_STRIDE % 4u == 0u && Z_STRIDE % 4u == 0u {
    for (; d < D; d += 4u) {
      let v = x[(p + d) / 4u] - z[(q + d) / 4u];
      s += v * v;
    }
  } else {
    for (; d + 4u <= D; d += 4u) {
      let v = vec4f(
        difference(p + d, q + d),
        difference(p + d + 1u, q + d + 1u),
        difference(p + d + 2u, q + d + 2u),
        difference(p + d + 3u, q + d + 3u),
      );
      s += v * v;
    }
    for (; d < D; d++) {
      let v = difference(p + d, q + d);
      s.x += v * v;
    }
  }
  let scale = l[g * L_STRIDE];
  k[t] = exp(((s.x + s.y) + (s.z + s.w)) / (-2.0 * scale * scale));
}

fn difference(i: u32, j: u32) -> f32 {
  return x[i / 4u][i % 4u] - z[j / 4u][j % 4u];
}
