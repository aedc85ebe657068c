// y[p, oh, ow] = the first largest x[p, h, w] in the window at (oh STRIDE, ow STRIDE); from HALF on where: h W + w
// P planes, x [H, W], y [OH, OW] twice, N = P OH OW; SIZE window edge. As in PyTorch, the last NaN wins.
override N: u32;
override HALF: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override STRIDE: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let plane = t / (OH * OW) * (H * W);
  let corner = t / OW % OH * STRIDE * W + t % OW * STRIDE;
  var index = corner;
  var best = x[plane + corner];
  for (var dh = 0u; dh < SIZE; dh++) {
    for (var dw = 0u; dw < SIZE; dw++) {
      let k = corner + dh * W + dw;
      let v = x[plane + k];
      let wins = v > best || (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
      best = select(best, v, wins);
      index = select(index, k, wins);
    }
  }
  y[t] = best;
  y[HALF + t] = f32(index);
}
