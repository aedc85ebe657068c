// w[s, co, ci, kh, kw] = sum over the images of split s, oh, ow of x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] g[b, co, oh, ow]
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; a thread makes 5 kw of one kh, one ci and CHANNELS channels co
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;

override B: u32;
override CI: u32;
override H: u32;
override W: u32;
override CO: u32;
override KH: u32;
override KW: u32;
override OH: u32;
override OW: u32;
override STRIDE: u32 = 1u;
override PAD: u32 = 0u;
override SPLIT: u32 = 1u;
override CHANNELS: u32 = 8u; // output channels a thread makes, 1 to 8

fn pixel(row: u32, v: u32) -> f32 {
  if (PAD == 0u) {
    return x[row + min(v, W - 1u)];
  }
  return select(0.0, x[row + min(v - PAD, W - 1u)], v >= PAD && v < W + PAD);
}

// Four gradients of a row from ow on, 0 past its end.
fn gradients(i: u32, ow: u32) -> vec4f {
  if (OW % 4u == 0u) {
    return g[(i + ow) >> 2u];
  }
  let a = i + ow;
  let b = i + min(ow + 1u, OW - 1u);
  let c = i + min(ow + 2u, OW - 1u);
  let d = i + min(ow + 3u, OW - 1u);
  return vec4f(
    g[a >> 2u][a & 3u],
    select(0.0, g[b >> 2u][b & 3u], ow + 1u < OW),
    select(0.0, g[c >> 2u][c & 3u], ow + 2u < OW),
    select(0.0, g[d >> 2u][d & 3u], ow + 3u < OW),
  );
}

fn store(i: u32, kw: u32, four: vec4f, fifth: f32) {
  if (kw < KW) { w[i + kw] = four.x; }
  if (kw + 1u < KW) { w[i + kw + 1u] = four.y; }
  if (kw + 2u < KW) { w[i + kw + 2u] = four.z; }
  if (kw + 3u < KW) { w[i + kw + 3u] = four.w; }
  if (kw + 4u < KW) { w[i + kw + 4u] = fifth; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let runs = (KW + 4u) / 5u;
  let blocks = (CO + CHANNELS - 1u) / CHANNELS;
  if (t >= SPLIT * blocks * CI * KH * runs) {
    return;
  }
  let kw = t % runs * 5u;
  let kh = t / runs % KH;
  let ci = t / (runs * KH) % CI;
  let co = t / (runs * KH * CI) % blocks * CHANNELS;
  let s = t / (runs * KH * CI * blocks);
  let chunk = (B + SPLIT - 1u) / SPLIT;
  let f0 = min(co, CO - 1u) * OH * OW; var y0 = vec4f(0.0); var z0 = 0.0;
  let f1 = min(co + 1u, CO - 1u) * OH * OW; var y1 = vec4f(0.0); var z1 = 0.0;
  let f2 = min(co + 2u, CO - 1u) * OH * OW; var y2 = vec4f(0.0); var z2 = 0.0;
  let f3 = min(co + 3u, CO - 1u) * OH * OW; var y3 = vec4f(0.0); var z3 = 0.0;
  let f4 = min(co + 4u, CO - 1u) * OH * OW; var y4 = vec4f(0.0); var z4 = 0.0;
  let f5 = min(co + 5u, CO - 1u) * OH * OW; var y5 = vec4f(0.0); var z5 = 0.0;
  let f6 = min(co + 6u, CO - 1u) * OH * OW; var y6 = vec4f(0.0); var z6 = 0.0;
  let f7 = min(co + 7u, CO - 1u) * OH * OW; var y7 = vec4f(0.0); var z7 = 0.0;
  for (var n = s * chunk; n < min(B, (s + 1u) * chunk); n++) {
    for (var oh = 0u; oh < OH; oh++) {
      let h = oh * STRIDE + kh;
      if (h < PAD || h >= H + PAD) {
        continue;
      }
      let row = ((n * CI + ci) * H + h - PAD) * W;
      let image = n * CO * OH * OW + oh * OW;
      for (var ow = 0u; ow < OW; ow += 4u) {
        // u_j: the pixels that gradient j meets under kw .. kw + 3, and e: under kw + 4.
        let v = ow * STRIDE + kw;
        var u0: vec4f; var u1: vec4f; var u2: vec4f; var u3: vec4f; var e: vec4f;
        if (STRIDE == 1u) {
          let p = vec4f(pixel(row, v), pixel(row, v + 1u), pixel(row, v + 2u), pixel(row, v + 3u));
          let q = vec4f(pixel(row, v + 4u), pixel(row, v + 5u), pixel(row, v + 6u), pixel(row, v + 7u));
          u0 = p; u1 = vec4f(p.yzw, q.x); u2 = vec4f(p.zw, q.xy); u3 = vec4f(p.w, q.xyz); e = q;
        } else {
          let a = v + STRIDE; let b = a + STRIDE; let c = b + STRIDE;
          u0 = vec4f(pixel(row, v), pixel(row, v + 1u), pixel(row, v + 2u), pixel(row, v + 3u));
          u1 = vec4f(pixel(row, a), pixel(row, a + 1u), pixel(row, a + 2u), pixel(row, a + 3u));
          u2 = vec4f(pixel(row, b), pixel(row, b + 1u), pixel(row, b + 2u), pixel(row, b + 3u));
          u3 = vec4f(pixel(row, c), pixel(row, c + 1u), pixel(row, c + 2u), pixel(row, c + 3u));
          e = vec4f(pixel(row, v + 4u), pixel(row, a + 4u), pixel(row, b + 4u), pixel(row, c + 4u));
        }
        let g0 = gradients(image + f0, ow); y0 += g0.x * u0 + g0.y * u1 + g0.z * u2 + g0.w * u3; z0 += dot(g0, e);
        if (CHANNELS > 1u) { let g1 = gradients(image + f1, ow); y1 += g1.x * u0 + g1.y * u1 + g1.z * u2 + g1.w * u3; z1 += dot(g1, e); }
        if (CHANNELS > 2u) { let g2 = gradients(image + f2, ow); y2 += g2.x * u0 + g2.y * u1 + g2.z * u2 + g2.w * u3; z2 += dot(g2, e); }
        if (CHANNELS > 3u) { let g3 = gradients(image + f3, ow); y3 += g3.x * u0 + g3.y * u1 + g3.z * u2 + g3.w * u3; z3 += dot(g3, e); }
        if (CHANNELS > 4u) { let g4 = gradients(image + f4, ow); y4 += g4.x * u0 + g4.y * u1 + g4.z * u2 + g4.w * u3; z4 += dot(g4, e); }
        if (CHANNELS > 5u) { let g5 = gradients(image + f5, ow); y5 += g5.x * u0 + g5.y * u1 + g5.z * u2 + g5.w * u3; z5 += dot(g5, e); }
        if (CHANNELS > 6u) { let g6 = gradients(image + f6, ow); y6 += g6.x * u0 + g6.y * u1 + g6.z * u2 + g6.w * u3; z6 += dot(g6, e); }
        if (CHANNELS > 7u) { let g7 = gradients(image + f7, ow); y7 += g7.x * u0 + g7.y * u1 + g7.z * u2 + g7.w * u3; z7 += dot(g7, e); }
      }
    }
  }
  if (CHANNELS > 0u && co + 0u < CO) { store((((s * CO + co + 0u) * CI + ci) * KH + kh) * KW, kw, y0, z0); }
  if (CHANNELS > 1u && co + 1u < CO) { store((((s * CO + co + 1u) * CI + ci) * KH + kh) * KW, kw, y1, z1); }
  if (CHANNELS > 2u && co + 2u < CO) { store((((s * CO + co + 2u) * CI + ci) * KH + kh) * KW, kw, y2, z2); }
  if (CHANNELS > 3u && co + 3u < CO) { store((((s * CO + co + 3u) * CI + ci) * KH + kh) * KW, kw, y3, z3); }
  if (CHANNELS > 4u && co + 4u < CO) { store((((s * CO + co + 4u) * CI + ci) * KH + kh) * KW, kw, y4, z4); }
  if (CHANNELS > 5u && co + 5u < CO) { store((((s * CO + co + 5u) * CI + ci) * KH + kh) * KW, kw, y5, z5); }
  if (CHANNELS > 6u && co + 6u < CO) { store((((s * CO + co + 6u) * CI + ci) * KH + kh) * KW, kw, y6, z6); }
  if (CHANNELS > 7u && co + 7u < CO) { store((((s * CO + co + 7u) * CI + ci) * KH + kh) * KW, kw, y7, z7); }
}
