// x[p, h, w] = sum of g[p, oh, ow] over the windows with i[p, oh, ow] = h W + w: gather's adjoint
// P planes, x [H, W], g and i [OH, OW]; windows of SIZE x SIZE_W pixels, gaps counted, from (oh STRIDE - TOP, ow STRIDE_W - LEFT)
// on. Sums run in row-major order. Where windows do not overlap, nor begin before x, a thread makes the rows of a row of
// windows, N = P ceil(H / STRIDE), window by window; else it makes one row, N = P H, one pixel after another.
override N: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override SIZE_W: u32 = 0u; // 0: SIZE
override STRIDE: u32;
override STRIDE_W: u32 = 0u; // 0: STRIDE
override TOP: u32 = 0u;
override LEFT: u32 = 0u;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> i: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let wide = select(SIZE_W, SIZE, SIZE_W == 0u);
  let step = select(STRIDE_W, STRIDE, STRIDE_W == 0u);
  if TOP + LEFT == 0u && STRIDE >= SIZE && step >= wide {
    let lines = (H + STRIDE - 1u) / STRIDE;
    let oh = t % lines;
    let row = (t / lines * OH + min(oh, OH - 1u)) * OW;
    for (var ow = 0u; ow * step < W; ow++) {
      let k = row + min(ow, OW - 1u);
      let place = u32(i[k]);
      let value = select(0.0, g[k], oh < OH && ow < OW);
      for (var h = oh * STRIDE; h < min((oh + 1u) * STRIDE, H); h++) {
        for (var w = ow * step; w < min((ow + 1u) * step, W); w++) {
          x[(t / lines * H + h) * W + w] = select(0.0, value, place == h * W + w);
        }
      }
    }
    return;
  }
  let h = t % H;
  let plane = t / H * (OH * OW);
  let last_h = min((h + TOP) / STRIDE + 1u, OH);
  for (var w = 0u; w < W; w++) {
    let last_w = min((w + LEFT) / step + 1u, OW);
    var sum = 0.0;
    for (var oh = first_window(h + TOP, SIZE, STRIDE); oh < last_h; oh++) {
      for (var ow = first_window(w + LEFT, wide, step); ow < last_w; ow++) {
        let k = plane + oh * OW + ow;
        if i[k] == f32(h * W + w) { sum += g[k]; }
      }
    }
    x[t * W + w] = sum;
  }
}

// The first window that reaches pixel c: ceil((c + 1 - size) / stride), at least 0.
fn first_window(c: u32, size: u32, stride: u32) -> u32 {
  return select(0u, (c + stride - size) / stride, c >= size);
}
