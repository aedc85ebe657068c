// y[n, d] = SCALE cos(sum_k x[n, k] w[k, d] + b[d])
// N rows, K inputs, D features; a thread makes an 8 x 8 tile, one k a turn
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

override N: u32;
override K: u32;
override D: u32;
override SCALE: f32;

// Four frequencies from element i on; a row whose length is a multiple of 4 takes one load.
fn load(i: u32) -> vec4f {
  if (D % 4u == 0u) {
    return w[min(i, K * D - 1u) >> 2u];
  }
  let end = K * D - 1u;
  let p = min(i, end);
  let q = min(i + 1u, end);
  let r = min(i + 2u, end);
  let s = min(i + 3u, end);
  return vec4f(w[p >> 2u][p & 3u], w[q >> 2u][q & 3u], w[r >> 2u][r & 3u], w[s >> 2u][s & 3u]);
}

fn store(n: u32, d: u32, h: vec4f) {
  if (n >= N) {
    return;
  }
  let i = n * D + d;
  if (d < D) { y[i] = SCALE * cos(h.x + b[d]); }
  if (d + 1u < D) { y[i + 1u] = SCALE * cos(h.y + b[d + 1u]); }
  if (d + 2u < D) { y[i + 2u] = SCALE * cos(h.z + b[d + 2u]); }
  if (d + 3u < D) { y[i + 3u] = SCALE * cos(h.w + b[d + 3u]); }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let columns = (D + 7u) / 8u;
  if (t >= columns * ((N + 7u) / 8u)) {
    return;
  }
  let n = t / columns * 8u;
  let d = t % columns * 8u;
  let r0 = min(n, N - 1u) * K; var y0 = vec4f(0.0); var z0 = vec4f(0.0);
  let r1 = min(n + 1u, N - 1u) * K; var y1 = vec4f(0.0); var z1 = vec4f(0.0);
  let r2 = min(n + 2u, N - 1u) * K; var y2 = vec4f(0.0); var z2 = vec4f(0.0);
  let r3 = min(n + 3u, N - 1u) * K; var y3 = vec4f(0.0); var z3 = vec4f(0.0);
  let r4 = min(n + 4u, N - 1u) * K; var y4 = vec4f(0.0); var z4 = vec4f(0.0);
  let r5 = min(n + 5u, N - 1u) * K; var y5 = vec4f(0.0); var z5 = vec4f(0.0);
  let r6 = min(n + 6u, N - 1u) * K; var y6 = vec4f(0.0); var z6 = vec4f(0.0);
  let r7 = min(n + 7u, N - 1u) * K; var y7 = vec4f(0.0); var z7 = vec4f(0.0);
  for (var k = 0u; k < K; k++) {
    let p = load(k * D + d);
    let q = load(k * D + d + 4u);
    let x0 = x[r0 + k]; y0 += x0 * p; z0 += x0 * q;
    let x1 = x[r1 + k]; y1 += x1 * p; z1 += x1 * q;
    let x2 = x[r2 + k]; y2 += x2 * p; z2 += x2 * q;
    let x3 = x[r3 + k]; y3 += x3 * p; z3 += x3 * q;
    let x4 = x[r4 + k]; y4 += x4 * p; z4 += x4 * q;
    let x5 = x[r5 + k]; y5 += x5 * p; z5 += x5 * q;
    let x6 = x[r6 + k]; y6 += x6 * p; z6 += x6 * q;
    let x7 = x[r7 + k]; y7 += x7 * p; z7 += x7 * q;
  }
  store(n, d, y0); store(n, d + 4u, z0);
  store(n + 1u, d, y1); store(n + 1u, d + 4u, z1);
  store(n + 2u, d, y2); store(n + 2u, d + 4u, z2);
  store(n + 3u, d, y3); store(n + 3u, d + 4u, z3);
  store(n + 4u, d, y4); store(n + 4u, d + 4u, z4);
  store(n + 5u, d, y5); store(n + 5u, d + 4u, z5);
  store(n + 6u, d, y6); store(n + 6u, d + 4u, z6);
  store(n + 7u, d, y7); store(n + 7u, d + 4u, z7);
}
