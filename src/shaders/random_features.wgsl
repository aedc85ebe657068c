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
override SERIES: u32 = 0u; // 1: the cosine by its series, for WebGPU lets a driver's be off by 2^-11

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

// As `wave` of unary.wgsl.
fn cosine(v: vec4f) -> vec4f {
  if (SERIES == 0u) {
    return cos(v);
  }
  let k = round(v * 0.63661977);
  let r = ((v - k * 1.5703125) - k * 4.837512969970703e-4) - k * 7.5497899e-8;
  let s = r * r;
  let odd = r * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s / 362880.0))));
  let even = 1.0 + s * (-0.5 + s * (1.0 / 24.0 + s * (-1.0 / 720.0 + s * (1.0 / 40320.0 - s / 3628800.0))));
  let quarter = vec4i(k) + 1;
  let value = select(odd, even, (quarter & vec4i(1)) == vec4i(1));
  return select(value, -value, (quarter & vec4i(2)) == vec4i(2));
}

fn store(n: u32, d: u32, h: vec4f) {
  if (n >= N) {
    return;
  }
  let i = n * D + d;
  let end = D - 1u;
  let v = SCALE * cosine(h + vec4f(b[min(d, end)], b[min(d + 1u, end)], b[min(d + 2u, end)], b[min(d + 3u, end)]));
  if (d < D) { y[i] = v.x; }
  if (d + 1u < D) { y[i + 1u] = v.y; }
  if (d + 2u < D) { y[i + 2u] = v.z; }
  if (d + 3u < D) { y[i + 3u] = v.w; }
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
  let r{i} = min(n + {i}u, N - 1u) * K; var y{i} = vec4f(0.0); var z{i} = vec4f(0.0); // each i < 8
  for (var k = 0u; k < K; k++) {
    let p = load(k * D + d);
    let q = load(k * D + d + 4u);
    let x{i} = x[r{i} + k]; y{i} += x{i} * p; z{i} += x{i} * q; // each i < 8
  }
  store(n + {i}u, d, y{i}); store(n + {i}u, d + 4u, z{i}); // each i < 8
}
