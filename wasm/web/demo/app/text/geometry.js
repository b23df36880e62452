/**
 * The corners of the smallest convex shape around points, in order (Andrew's monotone chain).
 *
 * @param {[number, number][]} points
 */
export function hull(points) {
  const sorted = [...points].sort(([ax, ay], [bx, by]) => ax - bx || ay - by);
  const half = (points) => {
    const chain = [];
    for (const point of points) {
      while (chain.length > 1 && turn(chain.at(-2), chain.at(-1), point) <= 0) chain.pop();
      chain.push(point);
    }
    chain.pop();
    return chain;
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

function turn([ox, oy], [ax, ay], [bx, by]) {
  return (ax - ox) * (by - oy) - (ay - oy) * (bx - ox);
}

/**
 * The rectangle of the smallest area around a convex shape, one side of which lies along one of the shape's.
 *
 * @param {[number, number][]} corners of the shape
 * @returns {{ centre: number[], right: number[], width: number, height: number }} `right` is the direction of its width, a unit
 * vector within 45° of the picture's own
 */
export function smallestRectangle(corners) {
  let best = null;
  corners.forEach(([x, y], index) => {
    const [nextX, nextY] = corners[(index + 1) % corners.length];
    const length = Math.hypot(nextX - x, nextY - y);
    if (length === 0) return;
    const found = rectangleAlong(corners, upright([(nextX - x) / length, (nextY - y) / length]));
    if (best === null || found.width * found.height < best.width * best.height) best = found;
  });
  return best ?? rectangleAlong(corners, [1, 0]);
}

/** The one of a direction and those at right angles to it that points rightwards. */
function upright([x, y]) {
  if (Math.abs(x) < Math.abs(y)) return upright([y, -x]);
  return x < 0 ? [-x, -y] : [x, y];
}

function rectangleAlong(corners, right) {
  const [cos, sin] = right;
  const along = corners.map(([x, y]) => x * cos + y * sin);
  const beside = corners.map(([x, y]) => y * cos - x * sin);
  const [left, end, top, bottom] = [Math.min(...along), Math.max(...along), Math.min(...beside), Math.max(...beside)];
  const [u, v] = [(left + end) / 2, (top + bottom) / 2];
  return { centre: [u * cos - v * sin, u * sin + v * cos], right, width: end - left, height: bottom - top };
}

/** Corners of a rectangle from its upper left one on, clockwise as one sees it. */
export function cornersOf({ centre: [x, y], right: [cos, sin], width, height }) {
  const signs = [[-1, -1], [1, -1], [1, 1], [-1, 1]];
  return signs.map(([across, down]) => {
    const [u, v] = [(across * width) / 2, (down * height) / 2];
    return [x + u * cos - v * sin, y + u * sin + v * cos];
  });
}
