// y[p, oh, ow] = the first largest x[p, h, w] in the window at (oh STRIDE - TOP, ow STRIDE_W - LEFT); from HALF on where: h W + w
// P planes, x [H, W], y [OH, OW] twice, N = P OH OW; SIZE x SIZE_W pixels of a window, those outside of x left out (none is
// where INSIDE is 1, and some pixel of every window is inside). As in PyTorch, the last NaN wins.
override N: u32;
override HALF: u32;
override H: u32;
override W: u32;
override OH: u32;
override OW: u32;
override SIZE: u32;
override SIZE_W: u32 = 0u; // 0: SIZE
override STRIDE: u32;
override STRIDE_W: u32 = 0u; // 0: STRIDE
override DILATION: u32 = 1u;
override DILATION_W: u32 = 1u;
override TOP: u32 = 0u;
override LEFT: u32 = 0u;
override INSIDE: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 64u;
  if t >= N { return; }
  let plane = t / (OH * OW) * (H * W);
  let wide = select(SIZE_W, SIZE, SIZE_W == 0u);
  let step = select(STRIDE_W, STRIDE, STRIDE_W == 0u);
  let rows = range(t / OW % OH * STRIDE, TOP, DILATION, SIZE, H);
  let columns = range(t % OW * step, LEFT, DILATION_W, wide, W);
  let corner = rows.x * W + columns.x;
  var index = corner;
  var best = x[plane + corner];
  for (var dh = 0u; dh < rows.y; dh++) {
    for (var dw = 0u; dw < columns.y; dw++) {
      let k = corner + dh * (DILATION * W) + dw * DILATION_W;
      let v = x[plane + k];
      let wins = v > best || (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
      best = select(best, v, wins);
      index = select(index, k, wins);
    }
  }
  y[t] = best;
  y[HALF + t] = f32(index);
}

// Of a window's pixels along an axis those inside: the first, and how many.
fn range(start: u32, before: u32, apart: u32, count: u32, length: u32) -> vec2u {
  if INSIDE == 1u { return vec2u(start, count); }
  let skipped = (max(start, before) - start + apart - 1u) / apart;
  let first = start + skipped * apart - before;
  return vec2u(first, min(count - skipped, (length - first + apart - 1u) / apart));
}
