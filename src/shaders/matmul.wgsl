// y[g, m, n] = act(sum_k a[g, m, k] b[g, k, n] + bias[n])
// G = BATCH matrices, M rows, N columns, K inner; a thread makes an 8 x 8 tile, four k a turn
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
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
  if (m >= M || n >= N) {
    return;
  }
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
  var y0 = vec4f(0.0); var z0 = vec4f(0.0);
  var y1 = vec4f(0.0); var z1 = vec4f(0.0);
  var y2 = vec4f(0.0); var z2 = vec4f(0.0);
  var y3 = vec4f(0.0); var z3 = vec4f(0.0);
  var y4 = vec4f(0.0); var z4 = vec4f(0.0);
  var y5 = vec4f(0.0); var z5 = vec4f(0.0);
  var y6 = vec4f(0.0); var z6 = vec4f(0.0);
  var y7 = vec4f(0.0); var z7 = vec4f(0.0);
  for (var k = 0u; k < K; k += 4u) {
    let rest = K - k;
    var a0: vec4f; var a1: vec4f; var a2: vec4f; var a3: vec4f; var a4: vec4f; var a5: vec4f; var a6: vec4f; var a7: vec4f;
    if (TRANSPOSE_A == 0u) {
      a0 = loadA(baseA + min(m + 0u, M - 1u) * K + k, rest, alignedA);
      a1 = loadA(baseA + min(m + 1u, M - 1u) * K + k, rest, alignedA);
      a2 = loadA(baseA + min(m + 2u, M - 1u) * K + k, rest, alignedA);
      a3 = loadA(baseA + min(m + 3u, M - 1u) * K + k, rest, alignedA);
      a4 = loadA(baseA + min(m + 4u, M - 1u) * K + k, rest, alignedA);
      a5 = loadA(baseA + min(m + 5u, M - 1u) * K + k, rest, alignedA);
      a6 = loadA(baseA + min(m + 6u, M - 1u) * K + k, rest, alignedA);
      a7 = loadA(baseA + min(m + 7u, M - 1u) * K + k, rest, alignedA);
    } else {
      // Four columns of a, four k each: turned here, which costs nothing in registers.
      let i0 = baseA + k * M + m;
      let p0 = select(vec4f(0.0), loadA(min(i0 + 0u * M, baseA + K * M - 1u), M - m, alignedA), rest > 0u);
      let q0 = select(vec4f(0.0), loadA(min(i0 + 0u * M + 4u, baseA + K * M - 1u), select(0u, M - m - 4u, M > m + 4u), alignedA), rest > 0u);
      let p1 = select(vec4f(0.0), loadA(min(i0 + 1u * M, baseA + K * M - 1u), M - m, alignedA), rest > 1u);
      let q1 = select(vec4f(0.0), loadA(min(i0 + 1u * M + 4u, baseA + K * M - 1u), select(0u, M - m - 4u, M > m + 4u), alignedA), rest > 1u);
      let p2 = select(vec4f(0.0), loadA(min(i0 + 2u * M, baseA + K * M - 1u), M - m, alignedA), rest > 2u);
      let q2 = select(vec4f(0.0), loadA(min(i0 + 2u * M + 4u, baseA + K * M - 1u), select(0u, M - m - 4u, M > m + 4u), alignedA), rest > 2u);
      let p3 = select(vec4f(0.0), loadA(min(i0 + 3u * M, baseA + K * M - 1u), M - m, alignedA), rest > 3u);
      let q3 = select(vec4f(0.0), loadA(min(i0 + 3u * M + 4u, baseA + K * M - 1u), select(0u, M - m - 4u, M > m + 4u), alignedA), rest > 3u);
      a0 = vec4f(p0.x, p1.x, p2.x, p3.x);
      a1 = vec4f(p0.y, p1.y, p2.y, p3.y);
      a2 = vec4f(p0.z, p1.z, p2.z, p3.z);
      a3 = vec4f(p0.w, p1.w, p2.w, p3.w);
      a4 = vec4f(q0.x, q1.x, q2.x, q3.x);
      a5 = vec4f(q0.y, q1.y, q2.y, q3.y);
      a6 = vec4f(q0.z, q1.z, q2.z, q3.z);
      a7 = vec4f(q0.w, q1.w, q2.w, q3.w);
    }
    var b0: vec4f; var c0: vec4f; var b1: vec4f; var c1: vec4f; var b2: vec4f; var c2: vec4f; var b3: vec4f; var c3: vec4f;
    if (TRANSPOSE_B == 0u) {
      let i0 = baseB + k * N + n;
      b0 = select(vec4f(0.0), loadB(min(i0 + 0u * N, baseB + K * N - 1u), N - n, alignedB), rest > 0u);
      c0 = select(vec4f(0.0), loadB(min(i0 + 0u * N + 4u, baseB + K * N - 1u), select(0u, N - n - 4u, N > n + 4u), alignedB), rest > 0u);
      b1 = select(vec4f(0.0), loadB(min(i0 + 1u * N, baseB + K * N - 1u), N - n, alignedB), rest > 1u);
      c1 = select(vec4f(0.0), loadB(min(i0 + 1u * N + 4u, baseB + K * N - 1u), select(0u, N - n - 4u, N > n + 4u), alignedB), rest > 1u);
      b2 = select(vec4f(0.0), loadB(min(i0 + 2u * N, baseB + K * N - 1u), N - n, alignedB), rest > 2u);
      c2 = select(vec4f(0.0), loadB(min(i0 + 2u * N + 4u, baseB + K * N - 1u), select(0u, N - n - 4u, N > n + 4u), alignedB), rest > 2u);
      b3 = select(vec4f(0.0), loadB(min(i0 + 3u * N, baseB + K * N - 1u), N - n, alignedB), rest > 3u);
      c3 = select(vec4f(0.0), loadB(min(i0 + 3u * N + 4u, baseB + K * N - 1u), select(0u, N - n - 4u, N > n + 4u), alignedB), rest > 3u);
    } else {
      let r0 = loadB(baseB + min(n + 0u, N - 1u) * K + k, rest, alignedB);
      let r1 = loadB(baseB + min(n + 1u, N - 1u) * K + k, rest, alignedB);
      let r2 = loadB(baseB + min(n + 2u, N - 1u) * K + k, rest, alignedB);
      let r3 = loadB(baseB + min(n + 3u, N - 1u) * K + k, rest, alignedB);
      let r4 = loadB(baseB + min(n + 4u, N - 1u) * K + k, rest, alignedB);
      let r5 = loadB(baseB + min(n + 5u, N - 1u) * K + k, rest, alignedB);
      let r6 = loadB(baseB + min(n + 6u, N - 1u) * K + k, rest, alignedB);
      let r7 = loadB(baseB + min(n + 7u, N - 1u) * K + k, rest, alignedB);
      b0 = vec4f(r0.x, r1.x, r2.x, r3.x); c0 = vec4f(r4.x, r5.x, r6.x, r7.x);
      b1 = vec4f(r0.y, r1.y, r2.y, r3.y); c1 = vec4f(r4.y, r5.y, r6.y, r7.y);
      b2 = vec4f(r0.z, r1.z, r2.z, r3.z); c2 = vec4f(r4.z, r5.z, r6.z, r7.z);
      b3 = vec4f(r0.w, r1.w, r2.w, r3.w); c3 = vec4f(r4.w, r5.w, r6.w, r7.w);
    }
    y0 += a0.x * b0 + a0.y * b1 + a0.z * b2 + a0.w * b3;
    z0 += a0.x * c0 + a0.y * c1 + a0.z * c2 + a0.w * c3;
    y1 += a1.x * b0 + a1.y * b1 + a1.z * b2 + a1.w * b3;
    z1 += a1.x * c0 + a1.y * c1 + a1.z * c2 + a1.w * c3;
    y2 += a2.x * b0 + a2.y * b1 + a2.z * b2 + a2.w * b3;
    z2 += a2.x * c0 + a2.y * c1 + a2.z * c2 + a2.w * c3;
    y3 += a3.x * b0 + a3.y * b1 + a3.z * b2 + a3.w * b3;
    z3 += a3.x * c0 + a3.y * c1 + a3.z * c2 + a3.w * c3;
    y4 += a4.x * b0 + a4.y * b1 + a4.z * b2 + a4.w * b3;
    z4 += a4.x * c0 + a4.y * c1 + a4.z * c2 + a4.w * c3;
    y5 += a5.x * b0 + a5.y * b1 + a5.z * b2 + a5.w * b3;
    z5 += a5.x * c0 + a5.y * c1 + a5.z * c2 + a5.w * c3;
    y6 += a6.x * b0 + a6.y * b1 + a6.z * b2 + a6.w * b3;
    z6 += a6.x * c0 + a6.y * c1 + a6.z * c2 + a6.w * c3;
    y7 += a7.x * b0 + a7.y * b1 + a7.z * b2 + a7.w * b3;
    z7 += a7.x * c0 + a7.y * c1 + a7.z * c2 + a7.w * c3;
  }
  store(g, m + 0u, n, y0); store(g, m + 0u, n + 4u, z0);
  store(g, m + 1u, n, y1); store(g, m + 1u, n + 4u, z1);
  store(g, m + 2u, n, y2); store(g, m + 2u, n + 4u, z2);
  store(g, m + 3u, n, y3); store(g, m + 3u, n + 4u, z3);
  store(g, m + 4u, n, y4); store(g, m + 4u, n + 4u, z4);
  store(g, m + 5u, n, y5); store(g, m + 5u, n + 4u, z5);
  store(g, m + 6u, n, y6); store(g, m + 6u, n + 4u, z6);
  store(g, m + 7u, n, y7); store(g, m + 7u, n + 4u, z7);
}
