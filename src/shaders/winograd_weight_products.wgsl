// p[s, ci / 4, q, e, ci % 4] = sum over tiles t of v[ci / 4, t / BLOCK, e, t % BLOCK][ci % 4] g[q, t / BLOCK, e, t % BLOCK]:
// images' tiles by their gradients', at each point e, over the images of share s
// CI CO channels, SPLIT shares of EACH tiles of ALL, POINTS points. v has four input channels in a texel, g four output
// channels; both are
// read from textures, row by row of 1024 texels.
// A thread makes QUADS groups of 4 input channels in GROUPS groups of 4 output channels: a_i_j_g.
@group(0) @binding(0) var v: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var g: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> p: array<vec4f>;

override CI: u32;
override CO: u32;
override ALL: u32;
override EACH: u32;
override BLOCK: u32;
override SPLIT: u32 = 1u;
override POINTS: u32;
override QUADS: u32;
override GROUPS: u32;
override TILES: u32; // tiles that are read at once: a divisor of EACH, ALL and BLOCK

fn texel(i: u32) -> vec2u {
  return vec2u(i % 1024u, i / 1024u);
}

fn seen(i: u32) -> vec4f {
  return textureLoad(v, texel(i));
}

fn slope(i: u32) -> vec4f {
  return textureLoad(g, texel(i));
}

fn store(share: u32, k: u32, q: u32, e: u32, j: u32, sum: vec4f) {
  let quads = (CO + 3u) / 4u;
  let deep = (CI + 3u) / 4u;
  if ((k < deep) & (q < quads)) {
    p[(((share * deep + k) * quads + q) * POINTS + e) * 4u + j] = sum;
  }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let quads = (CO + 3u) / 4u;
  let deep = (CI + 3u) / 4u;
  let blocks = (quads + GROUPS - 1u) / GROUPS;
  let rounds = (deep + QUADS - 1u) / QUADS;
  let i = (group_id.x + group_id.y * groups.x) * 8u + local;
  let k = i % rounds * QUADS;
  let q = i / rounds % blocks * GROUPS;
  let e = i / (rounds * blocks) % POINTS;
  let share = i / (rounds * blocks * POINTS);
  if (share >= SPLIT) {
    return;
  }
  var a{i}_{j}_{g} = vec4f(0.0); // each i < QUADS, j < 4, g < GROUPS
  let step = (ALL + BLOCK - 1u) / BLOCK * POINTS * BLOCK;
  for (var t = share * EACH; t < min((share + 1u) * EACH, ALL); t += TILES) {
    let at = t / BLOCK * POINTS * BLOCK + e * BLOCK + t % BLOCK;
    let v{i}_{t} = seen((k + {i}u) * step + at + {t}u); // each i < QUADS, t < TILES
    let g{g}_{t} = slope((q + {g}u) * step + at + {t}u); // each g < GROUPS, t < TILES
    a{i}_0_{g} += v{i}_{t}.x * g{g}_{t}; // each i < QUADS, g < GROUPS, t < TILES
    a{i}_1_{g} += v{i}_{t}.y * g{g}_{t}; // each i < QUADS, g < GROUPS, t < TILES
    a{i}_2_{g} += v{i}_{t}.z * g{g}_{t}; // each i < QUADS, g < GROUPS, t < TILES
    a{i}_3_{g} += v{i}_{t}.w * g{g}_{t}; // each i < QUADS, g < GROUPS, t < TILES
  }
  store(share, k + {i}u, q + {g}u, e, {j}u, a{i}_{j}_{g}); // each i < QUADS, j < 4, g < GROUPS
}
