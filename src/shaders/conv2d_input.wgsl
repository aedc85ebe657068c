// x[b, ci, h, v] = sum of g[b, co, oh, ow] w[co, ci, kh, kw] where oh STRIDE + kh - PAD = h, ow STRIDE + kw - PAD = v
// B images, CI CO channels, H W image, OH OW gradient, KH KW kernel; a thread makes PIXELS pixels of a row in CHANNELS channels
@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

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
override CHANNELS: u32 = 8u; // input channels a thread makes, 1 to 8
override PIXELS: u32 = 8u; // pixels of a row it makes: 4, 8 or 12

// The gradient that column c = v + PAD - kw of the padded image takes part in: at ow = c / STRIDE, if any.
// A column left of the padding wraps around to a huge one and is out as well.
fn gradient(row: u32, c: u32) -> f32 {
  if (STRIDE == 1u) {
    return select(0.0, g[row + min(c, OW - 1u)], c < OW);
  }
  let ow = c / STRIDE;
  return select(0.0, g[row + min(ow, OW - 1u)], ow < OW && c % STRIDE == 0u);
}

fn store(i: u32, v: u32, value: vec4f) {
  if (v < W) { x[i + v] = value.x; }
  if (v + 1u < W) { x[i + v + 1u] = value.y; }
  if (v + 2u < W) { x[i + v + 2u] = value.z; }
  if (v + 3u < W) { x[i + v + 3u] = value.w; }
}

fn finish(n: u32, ci: u32, h: u32, v: u32, y: vec4f, z: vec4f, u: vec4f) {
  if (ci >= CI) {
    return;
  }
  let i = ((n * CI + ci) * H + h) * W;
  store(i, v, y);
  if (PIXELS > 4u) {
    store(i, v + 4u, z);
  }
  if (PIXELS > 8u) {
    store(i, v + 8u, u);
  }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let strips = (W + PIXELS - 1u) / PIXELS;
  let blocks = (CI + CHANNELS - 1u) / CHANNELS;
  if (t >= B * blocks * H * strips) {
    return;
  }
  let v = t % strips * PIXELS;
  let h = t / strips % H;
  let ci = t / (strips * H) % blocks * CHANNELS;
  let n = t / (strips * H * blocks);
  let f0 = min(ci, CI - 1u) * KH * KW; var y0 = vec4f(0.0); var z0 = vec4f(0.0); var u0 = vec4f(0.0);
  let f1 = min(ci + 1u, CI - 1u) * KH * KW; var y1 = vec4f(0.0); var z1 = vec4f(0.0); var u1 = vec4f(0.0);
  let f2 = min(ci + 2u, CI - 1u) * KH * KW; var y2 = vec4f(0.0); var z2 = vec4f(0.0); var u2 = vec4f(0.0);
  let f3 = min(ci + 3u, CI - 1u) * KH * KW; var y3 = vec4f(0.0); var z3 = vec4f(0.0); var u3 = vec4f(0.0);
  let f4 = min(ci + 4u, CI - 1u) * KH * KW; var y4 = vec4f(0.0); var z4 = vec4f(0.0); var u4 = vec4f(0.0);
  let f5 = min(ci + 5u, CI - 1u) * KH * KW; var y5 = vec4f(0.0); var z5 = vec4f(0.0); var u5 = vec4f(0.0);
  let f6 = min(ci + 6u, CI - 1u) * KH * KW; var y6 = vec4f(0.0); var z6 = vec4f(0.0); var u6 = vec4f(0.0);
  let f7 = min(ci + 7u, CI - 1u) * KH * KW; var y7 = vec4f(0.0); var z7 = vec4f(0.0); var u7 = vec4f(0.0);
  for (var co = 0u; co < CO; co++) {
    for (var kh = 0u; kh < KH; kh++) {
      let top = h + PAD - kh;
      let oh = top / STRIDE;
      if (h + PAD < kh || oh >= OH || top % STRIDE != 0u) {
        continue;
      }
      let row = ((n * CO + co) * OH + oh) * OW;
      let k = co * CI * KH * KW + kh * KW;
      let c = v + PAD;
      var p = vec4f(gradient(row, c), gradient(row, c + 1u), gradient(row, c + 2u), gradient(row, c + 3u));
      var q = vec4f(0.0);
      if (PIXELS > 4u) {
        q = vec4f(gradient(row, c + 4u), gradient(row, c + 5u), gradient(row, c + 6u), gradient(row, c + 7u));
      }
      var r = vec4f(0.0);
      if (PIXELS > 8u) {
        r = vec4f(gradient(row, c + 8u), gradient(row, c + 9u), gradient(row, c + 10u), gradient(row, c + 11u));
      }
      for (var kw = 0u; kw < KW; kw++) {
        let w0 = w[f0 + k + kw]; y0 += w0 * p; if (PIXELS > 4u) { z0 += w0 * q; } if (PIXELS > 8u) { u0 += w0 * r; }
        if (CHANNELS > 1u) { let w1 = w[f1 + k + kw]; y1 += w1 * p; if (PIXELS > 4u) { z1 += w1 * q; } if (PIXELS > 8u) { u1 += w1 * r; } }
        if (CHANNELS > 2u) { let w2 = w[f2 + k + kw]; y2 += w2 * p; if (PIXELS > 4u) { z2 += w2 * q; } if (PIXELS > 8u) { u2 += w2 * r; } }
        if (CHANNELS > 3u) { let w3 = w[f3 + k + kw]; y3 += w3 * p; if (PIXELS > 4u) { z3 += w3 * q; } if (PIXELS > 8u) { u3 += w3 * r; } }
        if (CHANNELS > 4u) { let w4 = w[f4 + k + kw]; y4 += w4 * p; if (PIXELS > 4u) { z4 += w4 * q; } if (PIXELS > 8u) { u4 += w4 * r; } }
        if (CHANNELS > 5u) { let w5 = w[f5 + k + kw]; y5 += w5 * p; if (PIXELS > 4u) { z5 += w5 * q; } if (PIXELS > 8u) { u5 += w5 * r; } }
        if (CHANNELS > 6u) { let w6 = w[f6 + k + kw]; y6 += w6 * p; if (PIXELS > 4u) { z6 += w6 * q; } if (PIXELS > 8u) { u6 += w6 * r; } }
        if (CHANNELS > 7u) { let w7 = w[f7 + k + kw]; y7 += w7 * p; if (PIXELS > 4u) { z7 += w7 * q; } if (PIXELS > 8u) { u7 += w7 * r; } }
        // The window moves back by one column: all but one of its values are there.
        r = vec4f(q.w, r.xyz);
        q = vec4f(p.w, q.xyz);
        p = vec4f(gradient(row, c - kw - 1u), p.xyz);
      }
    }
  }
  finish(n, ci, h, v, y0, z0, u0);
  if (CHANNELS > 1u) { finish(n, ci + 1u, h, v, y1, z1, u1); }
  if (CHANNELS > 2u) { finish(n, ci + 2u, h, v, y2, z2, u2); }
  if (CHANNELS > 3u) { finish(n, ci + 3u, h, v, y3, z3, u3); }
  if (CHANNELS > 4u) { finish(n, ci + 4u, h, v, y4, z4, u4); }
  if (CHANNELS > 5u) { finish(n, ci + 5u, h, v, y5, z5, u5); }
  if (CHANNELS > 6u) { finish(n, ci + 6u, h, v, y6, z6, u6); }
  if (CHANNELS > 7u) { finish(n, ci + 7u, h, v, y7, z7, u7); }
}
