// x[p, h, w] = sum of g[p, oh, ow] over the windows with i[p, oh, ow] = h W + w: gather's adjoint
// P planes, x [H, W], g and i [OH, OW], N = P H W; SIZE window edge. Sums run in row-major order.
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
  let pixel = t % (H * W);
  let h = pixel / W;
  let w = pixel % W;
  let plane = t / (H * W) * (OH * OW);
  var sum = 0.0;
  if STRIDE >= SIZE {
    // Windows do not overlap: at most one holds this pixel. No branch, for cheaper loads.
    let oh = h / STRIDE;
    let ow = w / STRIDE;
    let k = plane + min(oh, OH - 1u) * OW + min(ow, OW - 1u);
    sum = select(0.0, g[k], i[k] == f32(pixel));
  } else {
    let last_h = min(h / STRIDE + 1u, OH);
    let last_w = min(w / STRIDE + 1u, OW);
    for (var oh = first_window(h); oh < last_h; oh++) {
      for (var ow = first_window(w); ow < last_w; ow++) {
        let k = plane + oh * OW + ow;
        if i[k] == f32(pixel) { sum += g[k]; }
      }
    }
  }
  x[t] = sum;
}

// The first window that reaches pixel c: ceil((c + 1 - SIZE) / STRIDE), at least 0.
fn first_window(c: u32) -> u32 {
  return select(0u, (c + STRIDE - SIZE) / STRIDE, c >= SIZE);
}
