// y[b, k, oh, ow] = act(sum x[b, g CI + ci, (oh STRIDE_H + kh DILATION_H - TOP) / SPREAD_H, (ow STRIDE_W + kw DILATION_W - LEFT) / SPREAD_W]
// w[k, ci, kh, kw] + bias[k] + residual[b, k, oh, ow]) over the pixels of x that are whole numbers inside of it
// B images in GROUPS groups g of CI channels ci in, CO channels k of a group out; H W in, OH OW out, KH KW kernel. What
// is spread has SPREAD - 1 zeros between its pixels: the adjoint of a stride.
// A thread makes CHANNELS channels of ROWS x PIXELS pixels by TAPS_H x TAPS_W taps at once: accumulator a_k_q_p of channel
// k, row q, pixel p. With SPREAD a divisor of ROWS and PIXELS, zeros between pixels are neither loaded nor multiplied.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // if HAS_BIAS
@group(0) @binding(3) var<storage, read> residual: array<f32>; // if HAS_RESIDUAL
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
override TOP: i32 = 0; // rows of zeros above the first, columns of zeros left of the first; negative ones are left out
override LEFT: i32 = 0;
override SPREAD_H: i32 = 1;
override SPREAD_W: i32 = 1;
override CHANNELS: u32 = 1u; // a divisor of CO
override ROWS: u32 = 2u;
override PIXELS: u32 = 4u;
override TAPS_H: u32 = 3u; // a divisor of KH
override TAPS_W: u32 = 3u; // a divisor of KW
override TURNS: u32 = 1u; // CI (KH / TAPS_H) (KW / TAPS_W): channels and blocks of taps, one after the other
override TALL: u32 = 4u; // rows that a tile sees at once: (ROWS - 1) STRIDE_H + (TAPS_H - 1) DILATION_H + 1
override SPAN: u32 = 6u; // columns: (PIXELS - 1) STRIDE_W + (TAPS_W - 1) DILATION_W + 1
override HAS_BIAS: u32 = 0u;
override HAS_RESIDUAL: u32 = 0u;
override ACTIVATION: u32 = 0u;
const ACTIVATION_none = 0u;
const ACTIVATION_relu = 1u;
const ACTIVATION_relu6 = 2u;

fn offset(k: u32) -> f32 {
  if (HAS_BIAS == 0u) {
    return 0.0;
  }
  return bias[k];
}

// Which of n rows or columns lies at i; one of the others where none does.
fn place(i: i32, spread: i32, n: u32) -> u32 {
  return u32(clamp(i / spread, 0, i32(n) - 1));
}

// Whether one does: `step` is i or differs from it by a multiple of `spread`.
fn lies(i: i32, step: i32, spread: i32, n: u32) -> bool {
  return (i >= 0) & (i < spread * i32(n)) & (step % spread == 0);
}

fn store(i: u32, outside: bool, sum: f32) {
  if (outside) {
    return;
  }
  var v = sum;
  if (HAS_RESIDUAL == 1u) {
    v += residual[i];
  }
  if (ACTIVATION != ACTIVATION_none) {
    v = select(v, 0.0, v <= 0.0);
  }
  if (ACTIVATION == ACTIVATION_relu6) {
    v = select(v, 6.0, v >= 6.0);
  }
  y[i] = v;
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let strips = (OW + PIXELS - 1u) / PIXELS;
  let bands = (OH + ROWS - 1u) / ROWS;
  let blocks = GROUPS * CO / CHANNELS;
  let t = (group_id.x + group_id.y * groups.x) * 32u + local;
  if (t >= B * blocks * bands * strips) {
    return;
  }
  // Where a strip is the whole row, padding costs no load.
  let ow = select(t % strips * PIXELS, 0u, OW <= PIXELS);
  let oh = t / strips % bands * ROWS;
  let channel = t / (strips * bands) % blocks * CHANNELS;
  let n = t / (strips * bands * blocks);
  // How far the tile's corner is from one that is the same to every tile.
  let odd_h = select(i32(oh * STRIDE_H), 0, ROWS * STRIDE_H % u32(SPREAD_H) == 0u);
  let odd_w = select(i32(ow * STRIDE_W), 0, PIXELS * STRIDE_W % u32(SPREAD_W) == 0u);
  let b{k} = offset(channel + {k}u); // each k < CHANNELS
  var a{k}_{q}_{p} = b{k}; // each k < CHANNELS, q < ROWS, p < PIXELS
  // A loop, unless there is only one turn of it: that would keep the accumulators out of registers.
  let turn = 0u; // each once < TURNS + 1 / TURNS - 1
  for (var turn = 0u; turn < TURNS; turn++) { // each often < 2 - (TURNS + 1 / TURNS)
    let kw = turn % (KW / TAPS_W) * TAPS_W;
    let kh = turn / (KW / TAPS_W) % (KH / TAPS_H) * TAPS_H;
    let ci = turn / (KW / TAPS_W * (KH / TAPS_H));
    let plane = ((n * GROUPS + channel / CO) * CI + ci) * H * W;
    let first_h = i32(kh * DILATION_H) - TOP;
    let first_w = i32(kw * DILATION_W) - LEFT;
    let h = i32(oh * STRIDE_H) + first_h;
    let v = i32(ow * STRIDE_W) + first_w;
    let row{r} = plane + place(h + {r}, SPREAD_H, H) * W; // each r < TALL
    let on_row{r} = lies(h + {r}, odd_h + first_h + {r}, SPREAD_H, H); // each r < TALL
    let column{i} = place(v + {i}, SPREAD_W, W); // each i < SPAN
    let on_column{i} = lies(v + {i}, odd_w + first_w + {i}, SPREAD_W, W); // each i < SPAN
    let x{r}_{i} = select(0.0, x[row{r} + column{i}], on_row{r} & on_column{i}); // each r < TALL, i < SPAN
    let w{k}_{a}_{b} = w[(((channel + {k}u) * CI + ci) * KH + kh + {a}u) * KW + kw + {b}u]; // each k < CHANNELS, a < TAPS_H, b < TAPS_W
    a{k}_{q}_{p} += x{q * STRIDE_H + (a * DILATION_H)}_{p * STRIDE_W + (b * DILATION_W)} * w{k}_{a}_{b}; // each k < CHANNELS, q < ROWS, p < PIXELS, a < TAPS_H, b < TAPS_W
  } // each often < 2 - (TURNS + 1 / TURNS)
  let at{k}_{q} = ((n * GROUPS * CO + channel + {k}u) * OH + oh + {q}u) * OW + ow; // each k < CHANNELS, q < ROWS
  let below{q} = OH % ROWS != 0u && oh + {q}u >= OH; // each q < ROWS
  let beyond{p} = OW % PIXELS != 0u && ow + {p}u >= OW; // each p < PIXELS
  store(at{k}_{q} + {p}u, below{q} | beyond{p}, a{k}_{q}_{p}); // each k < CHANNELS, q < ROWS, p < PIXELS
}
