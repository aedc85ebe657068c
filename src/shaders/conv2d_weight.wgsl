// w[s, co, ci, kh, kw] = sum over the images of split s, oh, ow of x[b, ci, oh STRIDE + kh - PAD, ow STRIDE + kw - PAD] g[b, oh, ow, co]
// B images, CI CO channels, H W in, OH OW out, KH KW kernel; SPLIT shares of the images
// g has CO rounded up to a multiple of 4; with PLANAR it is `planes` [b, co, oh, ow] instead
// With PLANAR and POOL, planes has one gradient [b, co, oh, ow] of each window, which belongs to pixel places[same].
// A thread makes ROWS x COLUMNS taps of one ci in GROUPS groups of 4 channels co: accumulator a_r_c_q.
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> g: array<vec4f>; // if not PLANAR
@group(0) @binding(2) var<storage, read> planes: array<f32>; // if PLANAR
@group(0) @binding(3) var<storage, read> places: array<f32>; // if POOL
@group(0) @binding(4) var<storage, read_write> w: array<f32>;

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
override PLANAR: u32 = 0u;
override POOL: u32 = 0u; // side of the windows, 0: no windows
override GROUPS: u32 = 2u; // groups of 4 output channels a thread makes, 1 to 4
override ROWS: u32 = 5u; // rows of the kernel it makes, 1 to 5
override COLUMNS: u32 = 5u; // columns of the kernel it makes, 1 to 5

// The pixel at row h and column v of the padded plane that starts at `plane`, 0 in the padding.
fn pixel(plane: u32, h: u32, v: u32) -> f32 {
  if (PAD == 0u) {
    return x[plane + min(h, H - 1u) * W + min(v, W - 1u)];
  }
  let inside = (h >= PAD) & (h < H + PAD) & (v >= PAD) & (v < W + PAD);
  return select(0.0, x[plane + min(h - PAD, H - 1u) * W + min(v - PAD, W - 1u)], inside);
}

// Where channel co of a row and column of image n's planes is.
fn plane_at(n: u32, co: u32, row: u32, column: u32) -> u32 {
  let side = max(POOL, 1u);
  return ((n * CO + min(co, CO - 1u)) * (OH / side) + row / side) * (OW / side) + column / side;
}

// Four channels of the gradient at a pixel of image n: a vector of those from i on, or of `planes`.
fn gradient(n: u32, row: u32, column: u32, i: u32, quad: u32) -> vec4f {
  if (PLANAR == 0u) {
    return g[i + min(quad, (CO - 1u) / 4u)];
  }
  let co = 4u * quad;
  return vec4f(planes[plane_at(n, co, row, column)], planes[plane_at(n, co + 1u, row, column)],
    planes[plane_at(n, co + 2u, row, column)], planes[plane_at(n, co + 3u, row, column)]);
}

// The pixels that these belong to.
fn place(n: u32, row: u32, column: u32, quad: u32) -> vec4f {
  if (POOL == 0u) {
    return vec4f(0.0);
  }
  let co = 4u * quad;
  return vec4f(places[plane_at(n, co, row, column)], places[plane_at(n, co + 1u, row, column)],
    places[plane_at(n, co + 2u, row, column)], places[plane_at(n, co + 3u, row, column)]);
}

// Of these gradients those that belong to the pixel.
fn at_pixel(d: vec4f, p: vec4f, pixel: u32) -> vec4f {
  if (POOL == 0u) {
    return d;
  }
  return select(vec4f(0.0), d, p == vec4f(f32(pixel)));
}

fn store(s: u32, co: u32, ci: u32, kh: u32, kw: u32, sum: vec4f) {
  if (KH % ROWS != 0u && kh >= KH) { return; }
  if (KW % COLUMNS != 0u && kw >= KW) { return; }
  let filter_size = CI * KH * KW;
  let i = (s * CO + co) * filter_size + (ci * KH + kh) * KW + kw;
  let all = CO % 4u == 0u && (CO + 3u) / 4u % GROUPS == 0u;
  if (all | (co < CO)) { w[i] = sum.x; }
  if (all | (co + 1u < CO)) { w[i + filter_size] = sum.y; }
  if (all | (co + 2u < CO)) { w[i + 2u * filter_size] = sum.z; }
  if (all | (co + 3u < CO)) { w[i + 3u * filter_size] = sum.w; }
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let t = id.x + id.y * groups.x * 32u;
  let runs = (KW + COLUMNS - 1u) / COLUMNS;
  let bands = (KH + ROWS - 1u) / ROWS;
  let quads = (CO + 3u) / 4u;
  let blocks = (quads + GROUPS - 1u) / GROUPS;
  if (t >= SPLIT * blocks * CI * bands * runs) {
    return;
  }
  let kw = t % runs * COLUMNS;
  let kh = t / runs % bands * ROWS;
  let ci = t / (runs * bands) % CI;
  let quad = select(t / (runs * bands * CI) % blocks * GROUPS, 0u, blocks == 1u);
  let s = t / (runs * bands * CI * blocks);
  let chunk = (B + SPLIT - 1u) / SPLIT;
  var a{r}_{c}_{q} = vec4f(0.0); // each r < ROWS, c < COLUMNS, q < GROUPS
  for (var n = s * chunk; n < min(B, (s + 1u) * chunk); n++) {
    let plane = (n * CI + ci) * H * W;
    for (var oh = 0u; oh < OH; oh++) {
      let h = oh * STRIDE + kh;
      var i = (n * OH + oh) * OW * quads;
      var x{r}_{c} = 0.0; // each r < ROWS, c < COLUMNS
      if (STRIDE == 1u) {
        x{r}_{c} = pixel(plane, h + {r}u, kw + {c}u); // each r < ROWS, c < COLUMNS - 1
      }
      var d{q} = vec4f(0.0); var p{q} = vec4f(0.0); // each q < GROUPS
      for (var ow = 0u; ow < OW; ow++) {
        // Under the gradient at ow lie the pixels x_r_c; with stride 1 all but their last column are there.
        let v = ow * STRIDE + kw;
        if (STRIDE != 1u || {c + 1}u == COLUMNS) { x{r}_{c} = pixel(plane, h + {r}u, v + {c}u); } // each r < ROWS, c < COLUMNS
        if (ow % max(POOL, 1u) == 0u) {
          d{q} = gradient(n, oh, ow, i, quad + {q}u); p{q} = place(n, oh, ow, quad + {q}u); // each q < GROUPS
        }
        let g{q} = at_pixel(d{q}, p{q}, oh * OW + ow); // each q < GROUPS
        i += quads;
        a{r}_{c}_{q} += x{r}_{c} * g{q}; // each r < ROWS, c < COLUMNS, q < GROUPS
        if (STRIDE == 1u) {
          x{r}_{c} = x{r}_{c + 1}; // each r < ROWS, c < COLUMNS - 1
        }
      }
    }
  }
  let co = 4u * quad;
  store(s, co + {4 * q}u, ci, kh + {r}u, kw + {c}u, a{r}_{c}_{q}); // each r < ROWS, c < COLUMNS, q < GROUPS
}
