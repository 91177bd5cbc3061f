/** What each test image does to a network: looked through bit by bit, so that a stroke never waits for all of them. */

import { run } from "./engine.js";

export const MOST = 1000; // test images that are looked through
const STRONGEST = 9;

export class Survey {
  /** imagesOf(numbers) → their pixels, as the network takes them. */
  constructor(model, count, imagesOf) {
    Object.assign(this, { model, imagesOf, of: Math.min(count, MOST), found: [] });
  }

  get searched() {
    return this.found.length;
  }

  /** Looks through more of them, for about so many milliseconds. */
  async goOn(milliseconds) {
    this.images ??= this.imagesOf(Array.from({ length: this.of }, (_, number) => number));
    const images = await this.images.catch((error) => {
      this.images = null; // asked for again, when the server is back
      throw error;
    });
    const end = performance.now() + milliseconds;
    while (this.searched < this.of && performance.now() < end) {
      const number = this.searched;
      const found = await run(this.model.version, "peaks", images[number]);
      if (number === this.searched) this.found.push(found); // else somebody else went on at the same time
    }
  }

  /** {image, value} of those whose largest number of a unit is largest. */
  strongest(layer, unit) {
    const place = this.model.layers.findIndex(({ name }) => name === layer);
    const values = this.found.map(({ peaks }, image) => ({ image, value: peaks[place][unit] }));
    return values.sort((one, other) => other.value - one.value || one.image - other.image).slice(0, STRONGEST);
  }

  /** Numbers of those to which the last hidden layer says nearly the same: the nearest first, by the angle between them. */
  nearest(features, count) {
    const length = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0)) || 1;
    const likeness = (values) => values.reduce((sum, value, at) => sum + value * features[at], 0) / length(values);
    const each = this.found.map(({ features: values }, image) => ({ image, likeness: likeness(values) }));
    return each.sort((one, other) => other.likeness - one.likeness).slice(0, count).map(({ image }) => image);
  }
}
