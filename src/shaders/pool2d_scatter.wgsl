// x[p, h, w] = sum of g[p, oh, ow] over the windows with i[p, oh, ow] = h W + w: gather's adjoint
// P planes, x [H, W], g and i [OH, OW]; SIZE window edge. Sums run in row-major order.
// Where windows do not overlap a thread makes the rows of a row of windows, N = P ceil(H / STRIDE), window by
// window; else it makes one row, N = P H, one pixel after another.
override N: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;

@group(0) @binding(0) var<storage, read> g: array<f32>;
@group(0) @binding(1) var<storage, read> i: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  if STRIDE >= SIZE {
    let lines = (H + STRIDE - 1u) / STRIDE;
    let oh = t % lines;
    let row = (t / lines * OH + min(oh, OH - 1u)) * OW;
    for (var ow = 0u; ow * STRIDE < W; ow++) {
      let k = row + min(ow, OW - 1u);
      let place = u32(i[k]);
      let value = select(0.0, g[k], oh < OH && ow < OW);
      for (var h = oh * STRIDE; h < min((oh + 1u) * STRIDE, H); h++) {
        for (var w = ow * STRIDE; w < min((ow + 1u) * STRIDE, W); w++) {
          x[(t / lines * H + h) * W + w] = select(0.0, value, place == h * W + w);
        }
      }
    }
    return;
  }
  let h = t % H;
  let plane = t / H * (OH * OW);
  let last_h = min(h / STRIDE + 1u, OH);
  for (var w = 0u; w < W; w++) {
    let last_w = min(w / STRIDE + 1u, OW);
    var sum = 0.0;
    for (var oh = first_window(h); oh < last_h; oh++) {
      for (var ow = first_window(w); ow < last_w; ow++) {
        let k = plane + oh * OW + ow;
        if i[k] == f32(h * W + w) { sum += g[k]; }
      }
    }
    x[t * W + w] = sum;
  }
}

// The first window that reaches pixel c: ceil((c + 1 - SIZE) / STRIDE), at least 0.
fn first_window(c: u32) -> u32 {
  return select(0u, (c + STRIDE - SIZE) / STRIDE, c >= SIZE);
}
