// w[s, co, ci, kh, kw] = sum over the images of split s, oh, ow of x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] g[b, co, oh, ow]
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; SPLIT shares of the images
// A thread makes 5 kw of ROWS kh of one ci in CHANNELS channels co: y_c_r holds four kw, z_c_r the fifth.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
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
override ROWS: u32 = 5u; // rows of the kernel it makes, 1 to 5

// The pixel at row h and column v of the padded plane that starts at `plane`, 0 in the padding.
fn pixel(plane: u32, h: u32, v: u32) -> f32 {
  if (PAD == 0u) {
    return x[plane + min(h, H - 1u) * W + min(v, W - 1u)];
  }
  let inside = h >= PAD && h < H + PAD && v >= PAD && v < W + PAD;
  return select(0.0, x[plane + min(h - PAD, H - 1u) * W + min(v - PAD, W - 1u)], inside);
}

// Four neighbours; with a stride a narrow kernel needs fewer, without one the window slides on over them.
fn four(plane: u32, h: u32, v: u32) -> vec4f {
  var p = vec4f(pixel(plane, h, v), 0.0, 0.0, 0.0);
  if (STRIDE == 1u || KW > 1u) { p.y = pixel(plane, h, v + 1u); }
  if (STRIDE == 1u || KW > 2u) { p.z = pixel(plane, h, v + 2u); }
  if (STRIDE == 1u || KW > 3u) { p.w = pixel(plane, h, v + 3u); }
  return p;
}

fn store(s: u32, co: u32, ci: u32, kh: u32, kw: u32, y: vec4f, z: f32) {
  if (co >= CO || kh >= KH) {
    return;
  }
  let i = (((s * CO + co) * CI + ci) * KH + kh) * KW;
  if (kw < KW) { w[i + kw] = y.x; }
  if (kw + 1u < KW) { w[i + kw + 1u] = y.y; }
  if (kw + 2u < KW) { w[i + kw + 2u] = y.z; }
  if (kw + 3u < KW) { w[i + kw + 3u] = y.w; }
  if (kw + 4u < KW) { w[i + kw + 4u] = z; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let runs = (KW + 4u) / 5u;
  let bands = (KH + ROWS - 1u) / ROWS;
  let blocks = (CO + CHANNELS - 1u) / CHANNELS;
  if (t >= SPLIT * blocks * CI * bands * runs) {
    return;
  }
  let kw = t % runs * 5u;
  let kh = t / runs % bands * ROWS;
  let ci = t / (runs * bands) % CI;
  let co = t / (runs * bands * CI) % blocks * CHANNELS;
  let s = t / (runs * bands * CI * blocks);
  let chunk = (B + SPLIT - 1u) / SPLIT;
  let f0 = min(co, CO - 1u) * OH * OW;
  let f1 = min(co + 1u, CO - 1u) * OH * OW;
  let f2 = min(co + 2u, CO - 1u) * OH * OW;
  let f3 = min(co + 3u, CO - 1u) * OH * OW;
  let f4 = min(co + 4u, CO - 1u) * OH * OW;
  let f5 = min(co + 5u, CO - 1u) * OH * OW;
  let f6 = min(co + 6u, CO - 1u) * OH * OW;
  let f7 = min(co + 7u, CO - 1u) * OH * OW;
  var y0_0 = vec4f(0.0); var z0_0 = 0.0; var y0_1 = vec4f(0.0); var z0_1 = 0.0; var y0_2 = vec4f(0.0); var z0_2 = 0.0; var y0_3 = vec4f(0.0); var z0_3 = 0.0; var y0_4 = vec4f(0.0); var z0_4 = 0.0;
  var y1_0 = vec4f(0.0); var z1_0 = 0.0; var y1_1 = vec4f(0.0); var z1_1 = 0.0; var y1_2 = vec4f(0.0); var z1_2 = 0.0; var y1_3 = vec4f(0.0); var z1_3 = 0.0; var y1_4 = vec4f(0.0); var z1_4 = 0.0;
  var y2_0 = vec4f(0.0); var z2_0 = 0.0; var y2_1 = vec4f(0.0); var z2_1 = 0.0; var y2_2 = vec4f(0.0); var z2_2 = 0.0; var y2_3 = vec4f(0.0); var z2_3 = 0.0; var y2_4 = vec4f(0.0); var z2_4 = 0.0;
  var y3_0 = vec4f(0.0); var z3_0 = 0.0; var y3_1 = vec4f(0.0); var z3_1 = 0.0; var y3_2 = vec4f(0.0); var z3_2 = 0.0; var y3_3 = vec4f(0.0); var z3_3 = 0.0; var y3_4 = vec4f(0.0); var z3_4 = 0.0;
  var y4_0 = vec4f(0.0); var z4_0 = 0.0; var y4_1 = vec4f(0.0); var z4_1 = 0.0; var y4_2 = vec4f(0.0); var z4_2 = 0.0; var y4_3 = vec4f(0.0); var z4_3 = 0.0; var y4_4 = vec4f(0.0); var z4_4 = 0.0;
  var y5_0 = vec4f(0.0); var z5_0 = 0.0; var y5_1 = vec4f(0.0); var z5_1 = 0.0; var y5_2 = vec4f(0.0); var z5_2 = 0.0; var y5_3 = vec4f(0.0); var z5_3 = 0.0; var y5_4 = vec4f(0.0); var z5_4 = 0.0;
  var y6_0 = vec4f(0.0); var z6_0 = 0.0; var y6_1 = vec4f(0.0); var z6_1 = 0.0; var y6_2 = vec4f(0.0); var z6_2 = 0.0; var y6_3 = vec4f(0.0); var z6_3 = 0.0; var y6_4 = vec4f(0.0); var z6_4 = 0.0;
  var y7_0 = vec4f(0.0); var z7_0 = 0.0; var y7_1 = vec4f(0.0); var z7_1 = 0.0; var y7_2 = vec4f(0.0); var z7_2 = 0.0; var y7_3 = vec4f(0.0); var z7_3 = 0.0; var y7_4 = vec4f(0.0); var z7_4 = 0.0;
  for (var n = s * chunk; n < min(B, (s + 1u) * chunk); n++) {
    let plane = (n * CI + ci) * H * W;
    for (var oh = 0u; oh < OH; oh++) {
      let h = oh * STRIDE + kh;
      let i = n * CO * OH * OW + oh * OW;
      var p0 = four(plane, h, kw); var e0 = 0.0;
      var p1 = vec4f(0.0); var e1 = 0.0; if (ROWS > 1u) { p1 = four(plane, h + 1u, kw); }
      var p2 = vec4f(0.0); var e2 = 0.0; if (ROWS > 2u) { p2 = four(plane, h + 2u, kw); }
      var p3 = vec4f(0.0); var e3 = 0.0; if (ROWS > 3u) { p3 = four(plane, h + 3u, kw); }
      var p4 = vec4f(0.0); var e4 = 0.0; if (ROWS > 4u) { p4 = four(plane, h + 4u, kw); }
      for (var ow = 0u; ow < OW; ow++) {
        // Under the gradient at ow lie the pixels p of kw .. kw + 3, and e of kw + 4.
        let v = ow * STRIDE + kw;
        if (STRIDE != 1u) {
          p0 = four(plane, h, v);
          if (ROWS > 1u) { p1 = four(plane, h + 1u, v); }
          if (ROWS > 2u) { p2 = four(plane, h + 2u, v); }
          if (ROWS > 3u) { p3 = four(plane, h + 3u, v); }
          if (ROWS > 4u) { p4 = four(plane, h + 4u, v); }
        }
        // With a stride it is needed for a fifth column only, else as the next window's fourth.
        if (STRIDE == 1u || KW > 4u) { e0 = pixel(plane, h, v + 4u); }
        if (ROWS > 1u && (STRIDE == 1u || KW > 4u)) { e1 = pixel(plane, h + 1u, v + 4u); }
        if (ROWS > 2u && (STRIDE == 1u || KW > 4u)) { e2 = pixel(plane, h + 2u, v + 4u); }
        if (ROWS > 3u && (STRIDE == 1u || KW > 4u)) { e3 = pixel(plane, h + 3u, v + 4u); }
        if (ROWS > 4u && (STRIDE == 1u || KW > 4u)) { e4 = pixel(plane, h + 4u, v + 4u); }
        let g0 = g[i + f0 + ow]; y0_0 += g0 * p0; z0_0 += g0 * e0; if (ROWS > 1u) { y0_1 += g0 * p1; z0_1 += g0 * e1; } if (ROWS > 2u) { y0_2 += g0 * p2; z0_2 += g0 * e2; } if (ROWS > 3u) { y0_3 += g0 * p3; z0_3 += g0 * e3; } if (ROWS > 4u) { y0_4 += g0 * p4; z0_4 += g0 * e4; }
        if (CHANNELS > 1u) { let g1 = g[i + f1 + ow]; y1_0 += g1 * p0; z1_0 += g1 * e0; if (ROWS > 1u) { y1_1 += g1 * p1; z1_1 += g1 * e1; } if (ROWS > 2u) { y1_2 += g1 * p2; z1_2 += g1 * e2; } if (ROWS > 3u) { y1_3 += g1 * p3; z1_3 += g1 * e3; } if (ROWS > 4u) { y1_4 += g1 * p4; z1_4 += g1 * e4; } }
        if (CHANNELS > 2u) { let g2 = g[i + f2 + ow]; y2_0 += g2 * p0; z2_0 += g2 * e0; if (ROWS > 1u) { y2_1 += g2 * p1; z2_1 += g2 * e1; } if (ROWS > 2u) { y2_2 += g2 * p2; z2_2 += g2 * e2; } if (ROWS > 3u) { y2_3 += g2 * p3; z2_3 += g2 * e3; } if (ROWS > 4u) { y2_4 += g2 * p4; z2_4 += g2 * e4; } }
        if (CHANNELS > 3u) { let g3 = g[i + f3 + ow]; y3_0 += g3 * p0; z3_0 += g3 * e0; if (ROWS > 1u) { y3_1 += g3 * p1; z3_1 += g3 * e1; } if (ROWS > 2u) { y3_2 += g3 * p2; z3_2 += g3 * e2; } if (ROWS > 3u) { y3_3 += g3 * p3; z3_3 += g3 * e3; } if (ROWS > 4u) { y3_4 += g3 * p4; z3_4 += g3 * e4; } }
        if (CHANNELS > 4u) { let g4 = g[i + f4 + ow]; y4_0 += g4 * p0; z4_0 += g4 * e0; if (ROWS > 1u) { y4_1 += g4 * p1; z4_1 += g4 * e1; } if (ROWS > 2u) { y4_2 += g4 * p2; z4_2 += g4 * e2; } if (ROWS > 3u) { y4_3 += g4 * p3; z4_3 += g4 * e3; } if (ROWS > 4u) { y4_4 += g4 * p4; z4_4 += g4 * e4; } }
        if (CHANNELS > 5u) { let g5 = g[i + f5 + ow]; y5_0 += g5 * p0; z5_0 += g5 * e0; if (ROWS > 1u) { y5_1 += g5 * p1; z5_1 += g5 * e1; } if (ROWS > 2u) { y5_2 += g5 * p2; z5_2 += g5 * e2; } if (ROWS > 3u) { y5_3 += g5 * p3; z5_3 += g5 * e3; } if (ROWS > 4u) { y5_4 += g5 * p4; z5_4 += g5 * e4; } }
        if (CHANNELS > 6u) { let g6 = g[i + f6 + ow]; y6_0 += g6 * p0; z6_0 += g6 * e0; if (ROWS > 1u) { y6_1 += g6 * p1; z6_1 += g6 * e1; } if (ROWS > 2u) { y6_2 += g6 * p2; z6_2 += g6 * e2; } if (ROWS > 3u) { y6_3 += g6 * p3; z6_3 += g6 * e3; } if (ROWS > 4u) { y6_4 += g6 * p4; z6_4 += g6 * e4; } }
        if (CHANNELS > 7u) { let g7 = g[i + f7 + ow]; y7_0 += g7 * p0; z7_0 += g7 * e0; if (ROWS > 1u) { y7_1 += g7 * p1; z7_1 += g7 * e1; } if (ROWS > 2u) { y7_2 += g7 * p2; z7_2 += g7 * e2; } if (ROWS > 3u) { y7_3 += g7 * p3; z7_3 += g7 * e3; } if (ROWS > 4u) { y7_4 += g7 * p4; z7_4 += g7 * e4; } }
        if (STRIDE == 1u) {
          p0 = vec4f(p0.yzw, e0);
          p1 = vec4f(p1.yzw, e1);
          p2 = vec4f(p2.yzw, e2);
          p3 = vec4f(p3.yzw, e3);
          p4 = vec4f(p4.yzw, e4);
        }
      }
    }
  }
  store(s, co + 0u, ci, kh + 0u, kw, y0_0, z0_0); if (ROWS > 1u) { store(s, co + 0u, ci, kh + 1u, kw, y0_1, z0_1); } if (ROWS > 2u) { store(s, co + 0u, ci, kh + 2u, kw, y0_2, z0_2); } if (ROWS > 3u) { store(s, co + 0u, ci, kh + 3u, kw, y0_3, z0_3); } if (ROWS > 4u) { store(s, co + 0u, ci, kh + 4u, kw, y0_4, z0_4); }
  if (CHANNELS > 1u) { store(s, co + 1u, ci, kh + 0u, kw, y1_0, z1_0); if (ROWS > 1u) { store(s, co + 1u, ci, kh + 1u, kw, y1_1, z1_1); } if (ROWS > 2u) { store(s, co + 1u, ci, kh + 2u, kw, y1_2, z1_2); } if (ROWS > 3u) { store(s, co + 1u, ci, kh + 3u, kw, y1_3, z1_3); } if (ROWS > 4u) { store(s, co + 1u, ci, kh + 4u, kw, y1_4, z1_4); } }
  if (CHANNELS > 2u) { store(s, co + 2u, ci, kh + 0u, kw, y2_0, z2_0); if (ROWS > 1u) { store(s, co + 2u, ci, kh + 1u, kw, y2_1, z2_1); } if (ROWS > 2u) { store(s, co + 2u, ci, kh + 2u, kw, y2_2, z2_2); } if (ROWS > 3u) { store(s, co + 2u, ci, kh + 3u, kw, y2_3, z2_3); } if (ROWS > 4u) { store(s, co + 2u, ci, kh + 4u, kw, y2_4, z2_4); } }
  if (CHANNELS > 3u) { store(s, co + 3u, ci, kh + 0u, kw, y3_0, z3_0); if (ROWS > 1u) { store(s, co + 3u, ci, kh + 1u, kw, y3_1, z3_1); } if (ROWS > 2u) { store(s, co + 3u, ci, kh + 2u, kw, y3_2, z3_2); } if (ROWS > 3u) { store(s, co + 3u, ci, kh + 3u, kw, y3_3, z3_3); } if (ROWS > 4u) { store(s, co + 3u, ci, kh + 4u, kw, y3_4, z3_4); } }
  if (CHANNELS > 4u) { store(s, co + 4u, ci, kh + 0u, kw, y4_0, z4_0); if (ROWS > 1u) { store(s, co + 4u, ci, kh + 1u, kw, y4_1, z4_1); } if (ROWS > 2u) { store(s, co + 4u, ci, kh + 2u, kw, y4_2, z4_2); } if (ROWS > 3u) { store(s, co + 4u, ci, kh + 3u, kw, y4_3, z4_3); } if (ROWS > 4u) { store(s, co + 4u, ci, kh + 4u, kw, y4_4, z4_4); } }
  if (CHANNELS > 5u) { store(s, co + 5u, ci, kh + 0u, kw, y5_0, z5_0); if (ROWS > 1u) { store(s, co + 5u, ci, kh + 1u, kw, y5_1, z5_1); } if (ROWS > 2u) { store(s, co + 5u, ci, kh + 2u, kw, y5_2, z5_2); } if (ROWS > 3u) { store(s, co + 5u, ci, kh + 3u, kw, y5_3, z5_3); } if (ROWS > 4u) { store(s, co + 5u, ci, kh + 4u, kw, y5_4, z5_4); } }
  if (CHANNELS > 6u) { store(s, co + 6u, ci, kh + 0u, kw, y6_0, z6_0); if (ROWS > 1u) { store(s, co + 6u, ci, kh + 1u, kw, y6_1, z6_1); } if (ROWS > 2u) { store(s, co + 6u, ci, kh + 2u, kw, y6_2, z6_2); } if (ROWS > 3u) { store(s, co + 6u, ci, kh + 3u, kw, y6_3, z6_3); } if (ROWS > 4u) { store(s, co + 6u, ci, kh + 4u, kw, y6_4, z6_4); } }
  if (CHANNELS > 7u) { store(s, co + 7u, ci, kh + 0u, kw, y7_0, z7_0); if (ROWS > 1u) { store(s, co + 7u, ci, kh + 1u, kw, y7_1, z7_1); } if (ROWS > 2u) { store(s, co + 7u, ci, kh + 2u, kw, y7_2, z7_2); } if (ROWS > 3u) { store(s, co + 7u, ci, kh + 3u, kw, y7_3, z7_3); } if (ROWS > 4u) { store(s, co + 7u, ci, kh + 4u, kw, y7_4, z7_4); } }
}
