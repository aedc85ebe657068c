// w[s, co, ci, kh, kw] = sum of x[b, ci, oh STRIDE + kh, ow STRIDE + kw] g[b, co, oh, ow] over the images of share s
// B images in SPLIT shares, CI CO channels, OH OW pixels of g, KH KW kernel. x and g are read from textures, row by row
// of 1024 texels with four channels of a pixel in each; x has its padding in it.
// A thread makes a row of the kernel, for 4 input channels and GROUPS groups of 4 output channels: a_j_k_g.
@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var g: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;

override B: u32;
override CI: u32;
override CO: u32;
override KH: u32;
override KW: u32;
override OH: u32;
override OW: u32;
override STRIDE: u32 = 1u;
override SPLIT: u32 = 1u;
override GROUPS: u32 = 2u;
override PIXELS: u32 = 4u; // pixels of a row that are read at once: a divisor of OW
override SPAN: u32 = 6u; // pixels that these see: (PIXELS - 1) STRIDE + KW

fn texel(i: u32) -> vec2u {
  return vec2u(i % 1024u, i / 1024u);
}

fn seen(i: u32) -> vec4f {
  return textureLoad(x, texel(i));
}

fn slope(i: u32) -> vec4f {
  return textureLoad(g, texel(i));
}

// One tap of an input channel in four output channels, the first of which is co.
fn store(share: u32, co: u32, ci: u32, tap: u32, sum: vec4f) {
  if (ci >= CI) {
    return;
  }
  let taps = KH * KW;
  let i = ((share * CO + co) * CI + ci) * taps + tap;
  if (co < CO) { w[i] = sum.x; }
  if (co + 1u < CO) { w[i + CI * taps] = sum.y; }
  if (co + 2u < CO) { w[i + 2u * CI * taps] = sum.z; }
  if (co + 3u < CO) { w[i + 3u * CI * taps] = sum.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let quads = (CO + 3u) / 4u;
  let deep = (CI + 3u) / 4u;
  let wide = (OW - 1u) * STRIDE + KW;
  let tall = (OH - 1u) * STRIDE + KH;
  let blocks = (quads + GROUPS - 1u) / GROUPS;
  // A workgroup shares its output channels and images: input channels and rows of the kernel are its threads'.
  let rounds = (deep * KH + 31u) / 32u;
  let at = group_id.x + group_id.y * groups.x;
  let t = at % rounds * 32u + local;
  let quad = at / rounds % blocks * GROUPS;
  let share = at / (rounds * blocks);
  if (t >= deep * KH || share >= SPLIT) {
    return;
  }
  let c = t % deep;
  let kh = t / deep;
  let images = (B + SPLIT - 1u) / SPLIT;
  var a{j}_{k}_{q} = vec4f(0.0); // each j < 4, k < KW, q < GROUPS
  for (var n = share * images; n < min((share + 1u) * images, B); n++) {
    for (var oh = 0u; oh < OH; oh++) {
      let xs = ((n * deep + c) * tall + oh * STRIDE + kh) * wide;
      let gs = ((n * quads + quad) * OH + oh) * OW;
      for (var ow = 0u; ow < OW; ow += PIXELS) {
        let x{i} = seen(xs + ow * STRIDE + {i}u); // each i < SPAN
        let g{p}_{q} = slope(gs + {q}u * OH * OW + ow + {p}u); // each p < PIXELS, q < GROUPS
        a0_{k}_{q} += x{p * STRIDE + k}.x * g{p}_{q}; // each k < KW, q < GROUPS, p < PIXELS
        a1_{k}_{q} += x{p * STRIDE + k}.y * g{p}_{q}; // each k < KW, q < GROUPS, p < PIXELS
        a2_{k}_{q} += x{p * STRIDE + k}.z * g{p}_{q}; // each k < KW, q < GROUPS, p < PIXELS
        a3_{k}_{q} += x{p * STRIDE + k}.w * g{p}_{q}; // each k < KW, q < GROUPS, p < PIXELS
      }
    }
  }
  store(share, 4u * quad + {4 * q}u, 4u * c + {j}u, kh * KW + {k}u, a{j}_{k}_{q}); // each j < 4, k < KW, q < GROUPS
}
