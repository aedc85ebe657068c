// y[n] = the k[n]-th largest of |x[n, i]|
// N rows of C, a workgroup each; k whole, 1 to C. NaN counts as the largest.
//
// Found bit by bit: the largest number that at least k are not below. Magnitudes are ordered as their bits are.
// Few threads a row, for barriers cost lavapipe more the more they are; 16 numbers a turn, for it silently ends a
// thread after 65,535 turns in all.
override N: u32;
override C: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> k: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

var<workgroup> parts: array<u32, 8>;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = group.x + group.y * groups.x;
  if n >= N { return; }
  let wanted = u32(k[n]);
  var bits = 0u;
  for (var bit = 0x40000000u; bit > 0u; bit >>= 1u) {
    let many = count(n * C, lane, bits | bit) >= wanted;
    bits = select(bits, bits | bit, many);
  }
  y[n] = bitcast<f32>(bits);
}

// how many in the row from `first` on are not below the number of these bits
fn count(first: u32, lane: u32, bits: u32) -> u32 {
  var s = 0u;
  var i = first + lane;
  for (; i + 120u < first + C; i += 128u) {
    s += select(0u, 1u, magnitude(i + {8 * j}u) >= bits); // each j < 16
  }
  for (; i < first + C; i += 8u) { s += select(0u, 1u, magnitude(i) >= bits); }
  workgroupBarrier();
  parts[lane] = s;
  workgroupBarrier();
  var sum = 0u;
  for (var k = 0u; k < 8u; k++) { sum += parts[k]; }
  return sum;
}

fn magnitude(i: u32) -> u32 {
  return bitcast<u32>(x[i]) & 0x7fffffffu;
}
