// y = c + sign(d) u, d = x - c, u[n, i] = min(max(|d[n, i]| - t[n], 0), room), room of c + sign(d) u in [0, 1]
// N rows of C, a workgroup each; t[n] >= 0 least with sum over i of u[n, i] <= r[n]. c in [0, 1], all finite.
//
// The sum falls as t grows: t is found bit by bit, as the last number of a sum above r. The next number's is
// r or less, and u lies between what the two leave, where the sum is r: exact but for the sums' rounding.
// Few threads a row, for barriers cost lavapipe more the more they are; 16 numbers a turn, for it silently ends a
// thread after 65,535 turns in all.
override N: u32;
override C: u32;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> c: array<f32>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

var<workgroup> parts: array<f32, 8>;

@compute @workgroup_size(8)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = group.x + group.y * groups.x;
  if n >= N { return; }
  let first = n * C;
  let radius = r[n];
  var above = total(first, lane, 0.0);
  var below = 0.0;
  let inside = above <= radius;
  var bits = 0u;
  for (var bit = 0x40000000u; bit > 0u; bit >>= 1u) {
    let sum = total(first, lane, bitcast<f32>(bits | bit));
    bits = select(bits, bits | bit, sum > radius);
    above = select(above, sum, sum > radius);
    below = select(sum, below, sum > radius);
  }

  let share = (above - radius) / (above - below);
  let low = bitcast<f32>(bits);
  let high = bitcast<f32>(bits + 1u);
  for (var i = first + lane; i < first + C; i += 8u) {
    let u = (1.0 - share) * left(i, low) + share * left(i, high);
    let moved = c[i] + select(u, -u, x[i] < c[i]);
    y[i] = clamp(select(moved, x[i], inside), 0.0, 1.0);
  }
}

// the sum of u in the row from `first` on, in 8 partial sums
fn total(first: u32, lane: u32, t: f32) -> f32 {
  var s = 0.0;
  var i = first + lane;
  for (; i + 120u < first + C; i += 128u) {
    s += left(i + {8 * j}u, t); // each j < 16
  }
  for (; i < first + C; i += 8u) { s += left(i, t); }
  workgroupBarrier();
  parts[lane] = s;
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k < 8u; k++) { sum += parts[k]; }
  return sum;
}

fn left(i: u32, t: f32) -> f32 {
  let d = x[i] - c[i];
  return min(max(abs(d) - t, 0.0), select(1.0 - c[i], c[i], d < 0.0));
}
