// v[k, t / BLOCK, r, c, t % BLOCK] = (F d F^T)[r, c] of tile t in channels 4 k to 4 k + 3: F is B^T for an image's
// tiles, which overlap, and A for those of its convolution's gradient, which do not
// B images, C channels, H W pixels, DOWN ACROSS tiles of an image, SIZE SIZE results of a tile
// (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016, for 3 x 3 filters)
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> v: array<vec4f>;

override B: u32;
override C: u32;
override H: u32;
override W: u32;
override DOWN: u32;
override ACROSS: u32;
override PAD: u32 = 0u;
override BLOCK: u32;
override SIZE: u32;
override SIDE: u32; // points on a side of a tile: SIZE + 2
override OF: u32;
const OF_image = 0u;
const OF_gradient = 1u;

// Four channels of a pixel, the first of which is c; 0 beyond the images and their channels.
fn seen(n: u32, c: u32, h: u32, w: u32) -> vec4f {
  let inside = (n < B) & (h >= PAD) & (h < H + PAD) & (w >= PAD) & (w < W + PAD);
  let i = select(0u, ((n * C + c) * H + h - PAD) * W + w - PAD, inside);
  let v = vec4f(x[i], x[i + H * W], x[i + 2u * H * W], x[i + 3u * H * W]);
  let all = vec4u(c) + vec4u(0u, 1u, 2u, 3u) < vec4u(C);
  return select(vec4f(0.0), v, all & vec4<bool>(inside));
}

// A row of a tile, or a column, at the points of the algorithm.
fn along(d0: vec4f, d1: vec4f, d2: vec4f, d3: vec4f, d4: vec4f, d5: vec4f) -> array<vec4f, 6> {
  let none = vec4f(0.0);
  if (OF == OF_image && SIZE == 2u) {
    return array<vec4f, 6>(d0 - d2, d1 + d2, d2 - d1, d1 - d3, none, none);
  }
  if (OF == OF_image) {
    let even = d4 - 4.0 * d2;
    let odd = d3 - 4.0 * d1;
    let even2 = d4 - d2;
    let odd2 = 2.0 * (d3 - d1);
    return array<vec4f, 6>(4.0 * d0 - 5.0 * d2 + d4, even + odd, even - odd, even2 + odd2, even2 - odd2,
      4.0 * d1 - 5.0 * d3 + d5);
  }
  if (SIZE == 2u) {
    return array<vec4f, 6>(d0, d0 + d1, d0 - d1, -d1, none, none);
  }
  let even = d0 + d2;
  let odd = d1 + d3;
  let even2 = d0 + 4.0 * d2;
  let odd2 = 2.0 * d1 + 8.0 * d3;
  return array<vec4f, 6>(d0, even + odd, even - odd, even2 + odd2, even2 - odd2, d3);
}

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let i = (group_id.x + group_id.y * groups.x) * 32u + local;
  let blocks = (B * DOWN * ACROSS + BLOCK - 1u) / BLOCK;
  let deep = (C + 3u) / 4u;
  let t = i % (blocks * BLOCK);
  let k = i / (blocks * BLOCK);
  if (k >= deep) {
    return;
  }
  let w = t % ACROSS * SIZE;
  let h = t / ACROSS % DOWN * SIZE;
  let n = t / (ACROSS * DOWN);
  let c = 4u * k;
  let to = (k * blocks + t / BLOCK) * SIDE * SIDE * BLOCK + t % BLOCK;
  let r{r} = along(seen(n, c, h + {r}u, w), seen(n, c, h + {r}u, w + 1u), seen(n, c, h + {r}u, w + 2u), seen(n, c, h + {r}u, w + 3u), seen(n, c, h + {r}u, w + 4u), seen(n, c, h + {r}u, w + 5u)); // each r < 6
  let c{c} = along(r0[{c}], r1[{c}], r2[{c}], r3[{c}], r4[{c}], r5[{c}]); // each c < 6
  v[to + {r * SIDE + c}u * BLOCK] = c{c}[{r}]; // each r < SIDE, c < SIDE
}
