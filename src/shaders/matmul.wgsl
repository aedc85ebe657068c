// y[g, m, n] = act(sum_k a[g, m, k] b[g, k, n] + bias[n])
// G = BATCH matrices, M rows, N columns, K inner; a thread makes an 8 x 8 tile, four k a turn
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // if HAS_BIAS
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

override M: u32;
override N: u32;
override K: u32;
override BATCH: u32 = 1u;
override TRANSPOSE_A: u32 = 0u; // a is [K, M]
override TRANSPOSE_B: u32 = 0u; // b is [N, K]
override A_STRIDE: u32; // elements between matrices, 0 = shared
override B_STRIDE: u32;
override BIAS_STRIDE: u32 = 0u;
override HAS_BIAS: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;

// Elements i .. i + 3 of a row, of which those at or past `count` are 0. Rows whose length is a
// multiple of 4 take one vec4 load; `aligned` is a constant, so the other branch is not compiled.
fn loadA(i: u32, count: u32, aligned: bool) -> vec4f {
  if (aligned) {
    return a[i >> 2u];
  }
  return vec4f(
    select(0.0, a[i >> 2u][i & 3u], count > 0u),
    select(0.0, a[(i + 1u) >> 2u][(i + 1u) & 3u], count > 1u),
    select(0.0, a[(i + 2u) >> 2u][(i + 2u) & 3u], count > 2u),
    select(0.0, a[(i + 3u) >> 2u][(i + 3u) & 3u], count > 3u),
  );
}

fn loadB(i: u32, count: u32, aligned: bool) -> vec4f {
  if (aligned) {
    return b[i >> 2u];
  }
  return vec4f(
    select(0.0, b[i >> 2u][i & 3u], count > 0u),
    select(0.0, b[(i + 1u) >> 2u][(i + 1u) & 3u], count > 1u),
    select(0.0, b[(i + 2u) >> 2u][(i + 2u) & 3u], count > 2u),
    select(0.0, b[(i + 3u) >> 2u][(i + 3u) & 3u], count > 3u),
  );
}

fn finish(value: vec4f, g: u32, n: u32) -> vec4f {
  var v = value;
  if (HAS_BIAS == 1u) {
    let i = g * BIAS_STRIDE;
    v += vec4f(bias[i + min(n, N - 1u)], bias[i + min(n + 1u, N - 1u)],
      bias[i + min(n + 2u, N - 1u)], bias[i + min(n + 3u, N - 1u)]);
  }
  if (ACTIVATION == ACTIVATION_relu) {
    v = select(v, vec4f(0.0), v <= vec4f(0.0));
  }
  return v;
}

fn store(g: u32, m: u32, n: u32, value: vec4f) {
  if (M % 8u != 0u && m >= M) { return; }
  if (N % 8u != 0u && n >= N) { return; }
  let v = finish(value, g, n);
  let i = (g * M + m) * N + n;
  if (N % 4u == 0u) {
    y[i >> 2u] = v;
    return;
  }
  y[i >> 2u][i & 3u] = v.x;
  if (n + 1u < N) { y[(i + 1u) >> 2u][(i + 1u) & 3u] = v.y; }
  if (n + 2u < N) { y[(i + 2u) >> 2u][(i + 2u) & 3u] = v.z; }
  if (n + 3u < N) { y[(i + 3u) >> 2u][(i + 3u) & 3u] = v.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let columns = (N + 7u) / 8u;
  let tiles = columns * ((M + 7u) / 8u);
  if (t >= BATCH * tiles) {
    return;
  }
  let g = t / tiles;
  let m = (t % tiles) / columns * 8u;
  let n = t % columns * 8u;
  let baseA = g * A_STRIDE;
  let baseB = g * B_STRIDE;
  let alignedA = (TRANSPOSE_A == 0u && K % 4u == 0u) || (TRANSPOSE_A == 1u && M % 4u == 0u && K % 4u == 0u);
  let alignedB = (TRANSPOSE_B == 1u && K % 4u == 0u) || (TRANSPOSE_B == 0u && N % 4u == 0u && K % 4u == 0u);
  var y{r} = vec4f(0.0); var z{r} = vec4f(0.0); // each r < 8
  for (var k = 0u; k < K; k += 4u) {
    let rest = K - k;
    var a{r}: vec4f; // each r < 8
    if (TRANSPOSE_A == 0u) {
      a{r} = loadA(baseA + min(m + {r}u, M - 1u) * K + k, rest, alignedA); // each r < 8
    } else {
      // Four columns of a, four k each: turned here, which costs nothing in registers.
      let i0 = baseA + k * M + m;
      let last = baseA + K * M - 1u;
      let p{i} = select(vec4f(0.0), loadA(min(i0 + {i}u * M, last), M - m, alignedA), rest > {i}u); // each i < 4
      let q{i} = select(vec4f(0.0), loadA(min(i0 + {i}u * M + 4u, last), select(0u, M - m - 4u, M > m + 4u), alignedA), rest > {i}u); // each i < 4
      a{c} = vec4f(p0[{c}], p1[{c}], p2[{c}], p3[{c}]); // each c < 4
      a{c + 4} = vec4f(q0[{c}], q1[{c}], q2[{c}], q3[{c}]); // each c < 4
    }
    var b{i}: vec4f; var c{i}: vec4f; // each i < 4
    if (TRANSPOSE_B == 0u) {
      let i0 = baseB + k * N + n;
      let last = baseB + K * N - 1u;
      b{i} = select(vec4f(0.0), loadB(min(i0 + {i}u * N, last), N - n, alignedB), rest > {i}u); // each i < 4
      c{i} = select(vec4f(0.0), loadB(min(i0 + {i}u * N + 4u, last), select(0u, N - n - 4u, N > n + 4u), alignedB), rest > {i}u); // each i < 4
    } else {
      let r{r} = loadB(baseB + min(n + {r}u, N - 1u) * K + k, rest, alignedB); // each r < 8
      b{i} = vec4f(r0[{i}], r1[{i}], r2[{i}], r3[{i}]); c{i} = vec4f(r4[{i}], r5[{i}], r6[{i}], r7[{i}]); // each i < 4
    }
    y{r} += a{r}.x * b0 + a{r}.y * b1 + a{r}.z * b2 + a{r}.w * b3; // each r < 8
    z{r} += a{r}.x * c0 + a{r}.y * c1 + a{r}.z * c2 + a{r}.w * c3; // each r < 8
  }
  store(g, m + {r}u, n, y{r}); store(g, m + {r}u, n + 4u, z{r}); // each r < 8
}
