// w[s, k, ci, kh, kw] = sum over the rows of share s, ow of x[b, g CI + ci, oh STRIDE_H + kh DILATION_H - TOP, ow STRIDE_W + kw DILATION_W - LEFT] g[b, k, oh, ow]
// B images in GROUPS groups of CI channels ci in, CO channels k of a group out; H W in, OH OW pixels of g, KH KW kernel
// The B OH rows of all images' gradients are summed in SPLIT shares.
// A thread makes TAPS_W taps of a row of the kernel for CHANNELS of ci in FILTERS of k: accumulator a_f_c_b.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;

override B: u32;
override GROUPS: u32 = 1u;
override CI: u32;
override H: u32;
override W: u32;
override CO: u32;
override KH: u32;
override KW: u32;
override OH: u32;
override OW: u32;
override STRIDE_H: u32 = 1u;
override STRIDE_W: u32 = 1u;
override DILATION_H: u32 = 1u;
override DILATION_W: u32 = 1u;
override TOP: i32 = 0;
override LEFT: i32 = 0;
override SPLIT: u32 = 1u;
override FILTERS: u32 = 1u; // a divisor of CO
override CHANNELS: u32 = 1u; // a divisor of CI
override TAPS_W: u32 = 3u; // a divisor of KW
override PIXELS: u32 = 4u; // pixels of a row that are read at once: a divisor of OW
override SPAN: u32 = 6u; // pixels that these see: (PIXELS - 1) STRIDE_W + (TAPS_W - 1) DILATION_W + 1

// The pixel at column v of the row that starts at `row`, 0 in the padding.
fn pixel(row: u32, v: i32) -> f32 {
  return select(0.0, x[row + u32(clamp(v, 0, i32(W) - 1))], (v >= 0) & (v < i32(W)));
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let t = (group_id.x + group_id.y * groups.x) * 32u + local;
  let runs = KW / TAPS_W;
  let deep = CI / CHANNELS;
  let filters = GROUPS * CO;
  let blocks = filters / FILTERS;
  if (t >= SPLIT * blocks * deep * KH * runs) {
    return;
  }
  let kw = t % runs * TAPS_W;
  let kh = t / runs % KH;
  let ci = t / (runs * KH) % deep * CHANNELS;
  let k = t / (runs * KH * deep) % blocks * FILTERS;
  let share = t / (runs * KH * deep * blocks);
  let chunk = (B * OH + SPLIT - 1u) / SPLIT;
  var a{f}_{c}_{b} = 0.0; // each f < FILTERS, c < CHANNELS, b < TAPS_W
  for (var line = share * chunk; line < min(B * OH, (share + 1u) * chunk); line++) {
    let n = line / OH;
    let oh = line % OH;
    let h = i32(oh * STRIDE_H + kh * DILATION_H) - TOP;
    if ((h < 0) | (h >= i32(H))) {
      continue;
    }
    let row = (((n * GROUPS + k / CO) * CI + ci) * H + u32(h)) * W;
    let slope = ((n * filters + k) * OH + oh) * OW;
    for (var ow = 0u; ow < OW; ow += PIXELS) {
      let v = i32(ow * STRIDE_W + kw * DILATION_W) - LEFT;
      let x{c}_{i} = pixel(row + {c}u * H * W, v + {i}); // each c < CHANNELS, i < SPAN
      let g{f}_{p} = g[slope + {f}u * OH * OW + ow + {p}u]; // each f < FILTERS, p < PIXELS
      a{f}_{c}_{b} += x{c}_{p * STRIDE_W + (b * DILATION_W)} * g{f}_{p}; // each f < FILTERS, c < CHANNELS, b < TAPS_W, p < PIXELS
    }
  }
  let at{f}_{c} = (((share * filters + k + {f}u) * CI + ci + {c}u) * KH + kh) * KW + kw; // each f < FILTERS, c < CHANNELS
  w[at{f}_{c} + {b}u] = a{f}_{c}_{b}; // each f < FILTERS, c < CHANNELS, b < TAPS_W
}
