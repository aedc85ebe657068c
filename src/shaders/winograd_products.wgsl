// m[q, t / TILES, e, t % TILES] = sum over input channels ci of v[ci / 4, t / TILES, e, t % TILES][ci % 4]
// u[e, q / LANES, ci, q % LANES]: tiles by filters, at each point e
// CI CO channels, ALL tiles, POINTS points. v has four input channels in a texel, u four output channels; both are
// read from textures, row by row of 1024 texels.
// A thread makes TILES tiles in GROUPS groups of 4 channels: accumulator a_t_g.
@group(0) @binding(0) var v: texture_storage_2d<rgba32float, read>;
@group(0) @binding(1) var u: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> m: array<vec4f>;

override CI: u32;
override CO: u32;
override ALL: u32;
override POINTS: u32;
override TILES: u32;
override GROUPS: u32;
override LANES: u32;

fn texel(i: u32) -> vec2u {
  return vec2u(i % 1024u, i / 1024u);
}

fn seen(i: u32) -> vec4f {
  return textureLoad(v, texel(i));
}

fn filters(i: u32) -> vec4f {
  return textureLoad(u, texel(i));
}

fn store(q: u32, at: u32, sum: vec4f) {
  if (q < (CO + 3u) / 4u) {
    m[at] = sum;
  }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32) {
  let quads = (CO + 3u) / 4u;
  let deep = (CI + 3u) / 4u;
  let rounds = (ALL + TILES - 1u) / TILES;
  let blocks = (quads + LANES - 1u) / LANES;
  let shares = (blocks + GROUPS - 1u) / GROUPS;
  // Neighbouring threads share their tiles, and read filters side by side.
  let i = (group_id.x + group_id.y * groups.x) * 8u + local;
  let lane = i % LANES;
  let block = i / LANES % shares * GROUPS;
  let t = i / (LANES * shares) % rounds;
  let e = i / (LANES * shares * rounds);
  if (e >= POINTS) {
    return;
  }
  var a{t}_{g} = vec4f(0.0); // each t < TILES, g < GROUPS
  var vs = (t * POINTS + e) * TILES;
  var us = (e * blocks + block) * deep * 4u * LANES + lane;
  for (var c = 0u; c < deep; c++) {
    let v{t} = seen(vs + {t}u); // each t < TILES
    let u{j}_{g} = filters(us + {g}u * deep * 4u * LANES + {j}u * LANES); // each j < 4, g < GROUPS
    a{t}_{g} += v{t}.x * u0_{g} + v{t}.y * u1_{g} + v{t}.z * u2_{g} + v{t}.w * u3_{g}; // each t < TILES, g < GROUPS
    vs += rounds * POINTS * TILES;
    us += 4u * LANES;
  }
  let q = block * LANES + lane;
  let to = ((q * rounds + t) * POINTS + e) * TILES;
  store(q + {g}u * LANES, to + {g}u * LANES * rounds * POINTS * TILES + {t}u, a{t}_{g}); // each g < GROUPS, t < TILES
}
