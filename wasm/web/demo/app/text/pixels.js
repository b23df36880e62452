// What has to do with pixels, in a worker: the page stays free. The page's side is in `reader.js`.

import * as layout from "./layout.js";
import { Picture } from "./picture.js";
import { inReadingOrder, regions } from "./regions.js";

let picture = null;

const answers = {
  async open(file) {
    picture = await Picture.read(file);
    return { width: picture.width, height: picture.height, page: layout.page(picture) };
  },

  /** The map covers the whole picture. */
  find({ map, dims: [, , height, width] }) {
    const [scaleX, scaleY] = [picture.width / width, picture.height / height];
    return inReadingOrder(regions(map, width, height)).map((region) => scaled(region, scaleX, scaleY));
  },

  direction: (region) => layout.direction(picture, region),
  text: ({ region, isTurned }) => layout.text(picture, region, isTurned),
};

/** The sides of a picture are scaled almost alike: a rectangle stays one. */
function scaled({ centre: [x, y], right, width, height, score }, scaleX, scaleY) {
  const [cos, sin] = right;
  const [across, down] = [Math.hypot(cos * scaleX, sin * scaleY), Math.hypot(sin * scaleX, cos * scaleY)];
  const turned = [(cos * scaleX) / across, (sin * scaleY) / across];
  return { centre: [x * scaleX, y * scaleY], right: turned, width: width * across, height: height * down, score };
}

onmessage = async ({ data: { id, name, argument } }) => {
  try {
    postMessage({ id, result: await answers[name](argument) });
  } catch (error) {
    postMessage({ id, error: `the picture cannot be read: ${error.message}` });
  }
};
